// Gaussian integrals of rectified powers without biases: products of two in closed form but for one
// integral over an angle.
#pragma once

#include <crease/network.hpp>

#include <vector>

#include "src/gaussian_bundles.hpp"

namespace crease {

/// f_p(z) = max(z, 0)^p.   0 < p <= kMostPower here and below.
inline constexpr double kMostPower = 64;

/// E f_p(z), z ~ N(0, 1): 2^(p/2 - 1) Gamma((p + 1) / 2) / sqrt(pi).
double power_mean(double p);

/// E f_p(z)^2 = E f_2p(z).
double power_square(double p);

/// Two directions. Near 0 the first, near pi the second is right to its own size.
struct Angle {
  double between = 0;
  double rest = 0;  // pi - between
};

/// Of two unit vectors.
Angle angle_between(const Row& v, const Row& w);

/// E f_p(<v, x>) f_q(<w, x>) for unit v, w and x ~ N(0, I). With x = r (cos, sin) of an angle in
/// the plane of v and w, the radius gives
///   1 / (2 pi) int_0^inf r^(p+q+1) exp(-r^2 / 2) dr = 2^((p+q)/2) Gamma((p+q)/2 + 1) / (2 pi),
/// and the angle, counted from the edge of w's half-plane,
///   int_0^L sin^q(a) sin^p(L - a) da,   L = pi - the angle of v and w,
/// a tanh-sinh sum (Takahasi and Mori 1974), halved in step until two agree to 1e-11; the error of
/// the finer one is about the square of that. Right to a relative 1e-13; microseconds. Throws
/// BadInput on powers out of their range.
class PowerProduct {
 public:
  PowerProduct(double p, double q);
  double operator()(const Angle& angle) const;

 private:
  // a / L and 1 - a / L at u >= 0; at -u they change places.
  struct Node {
    double far, near, weight;
  };
  double sum_at(const Node& node, const Angle& angle) const;

  double p_, q_, radius_;
  std::vector<std::vector<Node>> levels_;  // each between the nodes of those before
};

/// jump f_power(<normal, x>), |normal| = 1; jump = u |w|^power in R^p.
struct PowerTerm {
  Row normal;
  Row jump;
  double power = 1;
};

/// `sign` times the live neurons of a network without biases, linear part and constant, appended.
void add_power_terms(const ReluNetwork& network, double sign, std::vector<PowerTerm>& terms);

/// No biases, no linear part, no constant.
bool is_homogeneous(const ReluNetwork& network);

/// Sum of |jump| sqrt(E f^2).
double power_size(const std::vector<PowerTerm>& terms);

/// E |sum of the terms|^2, over all pairs, with an error of at most power_rounding().
double power_second_moment(const std::vector<PowerTerm>& terms);

/// 100 eps power_size()^2.
double power_rounding(const std::vector<PowerTerm>& terms);

/// E F; [p].
Row power_means(const std::vector<PowerTerm>& terms, Index outputs);

}  // namespace crease
