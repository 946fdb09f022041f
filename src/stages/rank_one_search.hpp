// Matrices of rank one, u u^T, in a subspace of symmetric matrices.
#pragma once

#include <crease/device.hpp>
#include <crease/matrix.hpp>

#include <functional>
#include <vector>

#include "src/stages/random.hpp"

namespace crease {

/// Both methods go to local maxima of F(u) = |P_W u u^T|_F^2 over unit u, P_W the projection onto
/// the subspace; F = 1 exactly where u u^T is in it. Newton steps finish what they find.
struct RankOnePlan {
  /// power: u <- normalised sum_k (u^T W_k u) W_k u (subspace power method, Kileel and Pereira
  /// 2019), the default. ascent: projected gradient ascent of the spectral norm on the sphere of
  /// the subspace (Fornasier, Klock and Rauchensteiner 2019), M <- P_W(sgn(lambda) M + 2 gamma u
  /// u^T) / |.|, lambda its eigenvalue of the largest modulus; what it finds is polished by power.
  enum class Method { power, ascent };
  Method method = Method::power;
  Index starts = 0;            // of a round; 0: 8 m
  int rounds = 6;              // at most; ends where `wanted` are accepted; accept = 0: see below
  double accept = 0.999;       // least score; 0: the best `wanted`, whatever their score
  double merge = 0.02;         // sine of an angle: nearer ones are the same
  int iterations = 0;          // at most, of one start; 0: 600, of ascent 150
  double gamma = 10;           // of ascent
  std::function<bool()> stop;  // asked before every round; may be empty
};

struct RankOnes {
  HostMatrix directions;       // [found, D] unit rows u, the best first, signs arbitrary
  std::vector<double> scores;  // |P_W u u^T|_F^2 in (0, 1]; 1: u u^T is in W
  Index starts = 0;            // tried in all
};

/// At most `wanted` rank-one matrices in the subspace with the orthonormal basis `basis` [m, D (D +
/// 1) / 2], from Gaussian starts, many at once on the device: 4 starts m D^2 operations an
/// iteration. Those of the best scores, no two nearer than plan.merge.
///
/// accept > 0: rounds until `wanted` are accepted; where all rounds left some out, one more of
/// 40 m starts. accept = 0: rounds until there are `wanted` and a round found no more, at least two
/// where the plan allows them. Throws BadInput. Waits.
RankOnes rank_one_search(Device& device, const HostMatrix& basis, Index wanted, Random& random,
                         const RankOnePlan& plan = {});

}  // namespace crease
