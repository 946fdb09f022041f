// How exact the oracle's answers are, found out by asking.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/stages/ask.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// One standard deviation of an answer, per output o:
///   sigma_o(x)^2 = absolute[o]^2 + (relative[o] * rho)^2,   rho = sqrt(1 + |x|^2).
struct NoiseModel {
  std::vector<double> absolute;
  std::vector<double> relative;
  // float64, float32, float16 or decimal: what every answer was a multiple of; noise: none of
  // these, or the same point was answered differently.
  // Where outputs differ in that, of the coarsest: `formats` has each.
  std::string format;
  std::vector<double> size = {};  // typical |F_o| / rho
  bool coarse = false;  // answers so close to one another were equal that the format is not known
  std::vector<std::string> formats = {};  // of each output; empty: all are of `format`
  // Of the first output whose deviations near the origin grow as the square of their distance: it
  // is smooth, or has very many kinks. What was measured is then no noise.
  std::optional<Index> curved = {};

  double sigma(double rho, Index output) const;
  const std::string& format_of(Index output) const;
};

inline constexpr Index kNoiseQueries = 40;

/// Asks kNoiseQueries points (one round): three-point stencils of two sizes at eight places of one
/// random line, four near the origin and four far out. What they deviate from a straight line is
/// noise, absolute or relative to rho. Answers that are all short decimals or all float32 raise it
/// to half a unit; a function that is zero where it was asked says nothing about its noise, and a
/// prior of 64 u stands in. Every output has a format of its own, unless too few of its answers
/// differ to say: then that of all answers together.
NoiseModel probe_noise(Asker& asker, Random& random);

/// Whether finite differences of the answers are as good as exact: noise at a typical point within
/// 1e-10 of the answers' size, or nothing known of it but the prior.
bool is_exact(const NoiseModel& noise);
bool is_exact(const NoiseModel& noise, Index output);

inline constexpr Index kRepeatedPoints = 16;
inline constexpr Index kRepeats = 6;
inline constexpr Index kFormatPoints = 64;

/// Noise of answers that are not exact.
struct AnswerNoise {
  NoiseModel model;
  std::vector<double> sigma;  // [p] root of the mean square of one answer's error under N(0, I)
};

/// Asks kRepeatedPoints points kRepeats times each and kFormatPoints points of N(0, I) (one round).
/// For each output: answers that differ at one point are noise, its deviation from the repeats.
/// Else a format of its answers: decimals are off by unit / sqrt(12), binary formats by their
/// spacing at |y| over sqrt(12) (`sigma` is the rms over the points). Else what the probe said.
///
/// seen  earlier answers [n, p], the format of which counts where these points show none: of a
///       function that is constant but for a small part of the points
AnswerNoise measure_noise(Asker& asker, Random& random, const NoiseModel& probed,
                          const HostMatrix& seen = {});

/// For an oracle that knows the standard deviation of each of its answers: what is left is the
/// rounding with which it evaluates F, a tenth of u rho until lines say how steep F is. Asks
/// nothing.
NoiseModel told_noise(const Asker& asker);

}  // namespace crease
