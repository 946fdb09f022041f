// What fresh points vouch for: the certificate's two statements, from the errors alone.
#pragma once

#include <crease/network.hpp>
#include <crease/run.hpp>

#include <span>

#include "src/normal.hpp"

namespace crease {

/// What n errors e_i = |F - F'|(x_i) (Euclidean norm over the outputs) vouch for, x_i ~ N(0, I)
/// drawn after F' was fixed. With T = max e_i and delta = failure:
///   (A) P(|F - F'| <= T) >= 1 - mass, mass = 1 - delta^(1/n);
///   (B) if |F - F'| is L-Lipschitz (L = lipschitz): rms_bound >= the rms of |F - F'| under N(0,
///   I),
///       the smaller of iso_max and iso_split at delta / 2 each.
/// Each holds with probability 1 - delta over the points, whatever F - F' is. Noise of mean zero in
/// the errors only enlarges both. beyond_limit is left at 0: only the caller knows its limits.
///
/// Where answers may say nothing (may_be_silent), an infinite error stands for a point whose answer
/// did: `silent` of them. T and rms_error are over the others; silent points count as points where
/// |F - F'| > T, so that mass is that of mass_with_silent_points(), and (B) goes on from it.
///
/// errors     finite (or may_be_silent), not negative, in the order the points were drawn
///            (iso_split halves them)
/// failure    in (0, 1)
/// lipschitz  not negative; 0 promises a constant |F - F'|, infinity nothing: then (B) says
/// nothing,
///            rms_bound is infinity
///
/// n = 0, or all of them silent, vouches for nothing: mass 1, rms_bound infinity. All errors 0 and
/// L = 0: rms_bound 0. Throws BadInput where an argument is out of range.
Certificate certify(std::span<const double> errors, double failure, double lipschitz,
                    bool may_be_silent = false);

/// Upper bound at level `failure` on the probability of an event that came `hits` times in n
/// independent trials (Clopper and Pearson 1934): the q with P(Binomial(n, q) <= hits) = failure.
/// 1 - failure^(1/n) without a hit, 1 where all are. Throws BadInput on failure outside (0, 1) or
/// hits outside [0, n].
double upper_mass(Index n, Index hits, double failure);

/// Upper bound at level `failure` on the mass of {e > T, or silent}, T the largest error of the
/// n - silent points that said something. Not upper_mass(): T is chosen after the points. Half of
/// the failure goes to each case: no silent point, 1 - (failure / 2)^(1/n); and some, m = n -
/// silent others, the union of being silent, at failure / 4, and e > T where not, 1 - (failure /
/// 4)^(1/m). 1 where all are silent. Throws as upper_mass.
double mass_with_silent_points(Index n, Index silent, double failure);

/// Bound on the rms of an L-Lipschitz e >= 0 from T = max e_i alone, at level `failure`:
///   rms^2 <= T^2 + 2 T L E(Z - z)_+ + L^2 E(Z - z)_+^2,   Q(z) = 1 - failure^(1/n).
/// The mass beyond T is at most Q(z), so by Gaussian isoperimetry (Borell 1975; Sudakov and
/// Tsirelson 1974) P(e > T + L s) <= Q(z + s). Tight: one missing ReLU neuron at distance z attains
/// the last term. Arguments as in certify(); n = 0 gives infinity.
double iso_max(std::span<const double> errors, double failure, double lipschitz,
               bool may_be_silent = false);

/// The same with T = max over the first half, Q(z) = 1 - (failure / 2)^(1 / |first half|), and in
/// place of T^2 a bound at failure / 2 on E min(e, T)^2 from the second half: tighter where most
/// errors are well below the largest. Fewer than two errors give infinity.
double iso_split(std::span<const double> errors, double failure, double lipschitz,
                 bool may_be_silent = false);

/// An upper bound on E y, at level `failure`, from independent y_i in [0, 1]: the smaller of the
/// empirical Bernstein bound (Maurer and Pontil 2009, Theorem 4) and the Chernoff bound in its
/// Kullback-Leibler form (Hoeffding 1963), at failure / 2 each. No y: 1. Throws BadInput on a y
/// outside [0, 1] or a failure outside (0, 1).
double upper_mean_of_bounded(std::span<const double> y, double failure);

/// 2 max_j |u_j| |w_j|: a default for L, "if what is missing is no steeper than this". 0 without
/// neurons that are not dead. Infinity with other powers than 1: their slopes have no bound.
double largest_lipschitz_guess(const ReluNetwork& network);

/// failure / (look (look + 1)), the level of the look-th certificate of one run, look >= 1: over
/// all looks these add up to `failure`. Throws BadInput where look < 1.
double look_failure(double failure, int look);

}  // namespace crease
