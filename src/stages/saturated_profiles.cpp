// Linear least squares at corners; then a bisection and a regression a neuron.
#include "src/stages/saturated_profiles.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/activations.hpp"
#include "src/small_dense.hpp"
#include "src/stages/corner_points.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr Index kMoreCorners = 32;      // than unknowns
constexpr double kIndependent = 1e-10;  // least singular value of corners, of the largest
constexpr double kUnsaturated = 0.8;    // of a value in signs: there g's inverse is exact enough
constexpr double kLeastTurn = 0.4;      // of the argument between two points that make a line
constexpr int kMostLevels = 80;         // of bisection
constexpr double kFitted = 1.2;         // argument of the points that the line is fitted to
constexpr double kMostFitted = 0.98;    // their values in signs; nearer to 1 their inverse is none
constexpr int kNewtonSteps = 40;

/// g in signs is steepest at 0, with slope 1 for tanh: arguments below are in units of tanh's.
double unit_of(Activation activation) {
  return activation == Activation::sigmoid ? 2 : 1;
}

/// The argument at which g in signs is z.
double argument_of(Activation activation, double z) {
  if (activation != Activation::erf) return unit_of(activation) * std::atanh(z);
  double argument = z / kTwoOverRootPi;
  for (int step = 0; step < kNewtonSteps; ++step) {
    argument -= (std::erf(argument) - z) / activation_at(activation, 1, argument);
  }
  return argument;
}

/// scale u + shift
struct Affine {
  double scale = 0;
  double shift = 0;
};

/// Looks for two points at which a neuron is not saturated, one at a time.
class LineSearch {
 public:
  LineSearch(Activation activation, double reach)
      : activation_(activation), low_(-reach), high_(reach) {}

  bool is_done() const { return line_.scale > 0; }
  const Affine& line() const { return line_; }

  double next() const { return seen_ ? at_ + way_ : 0.5 * (low_ + high_); }

  /// z at next(), in signs.
  void take(double z) {
    const double u = next();
    const bool saturated = !(std::fabs(z) < kUnsaturated);
    if (seen_) {
      take_second(u, z, saturated);
    } else if (saturated) {
      (z > 0 ? high_ : low_) = u;
    } else {
      seen_ = true;
      at_ = u;
      argument_ = argument_of(activation_, z);
      way_ = (z > 0 ? -0.25 : 0.25) * (high_ - low_);  // over the middle
    }
  }

 private:
  void take_second(double u, double z, bool saturated) {
    if (saturated) {
      way_ *= 0.5;
      return;
    }
    const double argument = argument_of(activation_, z);
    const double scale = (argument - argument_) / (u - at_);
    if (std::fabs(argument - argument_) < kLeastTurn * unit_of(activation_)) {
      way_ *= 2;
    } else if (scale > 0) {
      line_ = {scale, argument - scale * u};
    } else {
      way_ *= 0.75;  // noise
    }
  }

  Activation activation_;
  double low_, high_;
  bool seen_ = false;
  double at_ = 0, argument_ = 0, way_ = 0;
  Affine line_;
};

/// Answers along dual_i, the other neurons saturated, as neuron i's values in signs.
class Profiles {
 public:
  Profiles(Asker& asker, Random& random, const SaturatedLayer& first, const LinearCorners& corners)
      : asker_(asker), first_(first), corners_(corners) {
    const Index m = first.directions.rows();
    patterns_ = random_signs(random, m, m);
  }

  struct Probe {
    Index neuron;
    double u;
    bool mirrored = false;  // the others' signs
  };

  std::vector<double> signs_at(const std::vector<Probe>& probes) const {
    const Index m = first_.directions.rows();
    HostMatrix coordinates(static_cast<Index>(probes.size()), m);
    std::vector<double> others;
    for (std::size_t p = 0; p < probes.size(); ++p) {
      const Probe& probe = probes[p];
      double sum = corners_.constant;
      for (Index j = 0; j < m; ++j) {
        const double sign = (probe.mirrored ? -1 : 1) * patterns_(probe.neuron, j);
        coordinates(static_cast<Index>(p), j) = j == probe.neuron ? probe.u : first_.reach * sign;
        if (j != probe.neuron) sum += corners_.outputs[static_cast<std::size_t>(j)] * sign;
      }
      others.push_back(sum);
    }
    const HostMatrix y = values_at(asker_, first_, coordinates, 1);
    std::vector<double> z;
    for (std::size_t p = 0; p < probes.size(); ++p) {
      const double output = corners_.outputs[static_cast<std::size_t>(probes[p].neuron)];
      z.push_back((y(static_cast<Index>(p), 0) - others[p]) / output);
    }
    return z;
  }

 private:
  Asker& asker_;
  const SaturatedLayer& first_;
  const LinearCorners& corners_;
  HostMatrix patterns_;  // [m, m], a row for every neuron
};

std::optional<std::vector<Affine>> searched(const Profiles& profiles, Index m,
                                            Activation activation, double reach) {
  std::vector<LineSearch> searches(static_cast<std::size_t>(m), {activation, reach});
  for (int level = 0; level < kMostLevels; ++level) {
    std::vector<Profiles::Probe> probes;
    for (Index i = 0; i < m; ++i) {
      const LineSearch& search = searches[static_cast<std::size_t>(i)];
      if (!search.is_done()) probes.push_back({i, search.next()});
    }
    if (probes.empty()) break;
    const std::vector<double> z = profiles.signs_at(probes);
    for (std::size_t p = 0; p < probes.size(); ++p) {
      searches[static_cast<std::size_t>(probes[p].neuron)].take(z[p]);
    }
  }
  std::vector<Affine> lines;
  for (const LineSearch& search : searches) {
    if (!search.is_done()) return std::nullopt;
    lines.push_back(search.line());
  }
  return lines;
}

/// Points (u, argument) with weights, and the line through them.
class Regression {
 public:
  void add(double u, double argument, double weight) {
    points_.push_back({u, argument, weight});
    weights_ += weight;
    u_ += weight * u;
    argument_ += weight * argument;
  }

  /// The line stays as it was where points have none that rises.
  void solve(Affine& line) const {
    double uu = 0, ua = 0;
    for (const auto& [u, argument, weight] : points_) {
      uu += weight * std::pow(u - u_ / weights_, 2);
      ua += weight * (u - u_ / weights_) * (argument - argument_ / weights_);
    }
    if (!(uu > 0 && ua > 0)) return;
    line = {ua / uu, (argument_ - ua / uu * u_) / weights_};
  }

 private:
  std::vector<std::array<double, 3>> points_;
  double weights_ = 0, u_ = 0, argument_ = 0;
};

/// A line through arguments at pairs of points where the line before says that g bends; as it was
/// where there are none. The second of a pair has the others' signs mirrored: what wrong directions
/// add to the argument there changes its sign, so that it is not in their mean.
void fit(const Profiles& profiles, Activation activation, Index pairs, std::vector<Affine>& lines) {
  std::vector<Profiles::Probe> probes;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (Index k = 0; k < pairs; ++k) {
      const double part =
          pairs > 1 ? 2 * static_cast<double>(k) / static_cast<double>(pairs - 1) - 1 : 0;
      const double argument = kFitted * unit_of(activation) * part;
      const double u = (argument - lines[i].shift) / lines[i].scale;
      for (const bool mirrored : {false, true}) {
        probes.push_back({static_cast<Index>(i), u, mirrored});
      }
    }
  }
  const std::vector<double> z = profiles.signs_at(probes);
  std::size_t next = 0;
  for (Affine& line : lines) {
    Regression regression;
    for (Index k = 0; k < pairs; ++k, next += 2) {
      if (!(std::max(std::fabs(z[next]), std::fabs(z[next + 1])) < kMostFitted)) continue;
      const double one = argument_of(activation, z[next]);
      const double other = argument_of(activation, z[next + 1]);
      const double variance = std::pow(activation_at(activation, 1, one), -2) +
                              std::pow(activation_at(activation, 1, other), -2);
      regression.add(probes[next].u, 0.5 * (one + other), 1 / variance);
    }
    regression.solve(line);
  }
}

}  // namespace

LinearCorners linear_corners(Asker& asker, Random& random, const SaturatedLayer& first) {
  require(asker.outputs() == 1 && asker.inputs() == first.dual.cols(),
          "linear_corners: of one output, directions as wide as the inputs");
  const Index m = first.directions.rows();
  const Index n = m + 1 + kMoreCorners;
  const HostMatrix signs = random_signs(random, n, m);
  const HostMatrix y = values_at(asker, first, signs, first.reach);
  HostMatrix rows(n, m + 1);
  for (Index i = 0; i < n; ++i) {
    std::copy(signs.row(i), signs.row(i) + m, rows.row(i));
    rows(i, m) = 1;
  }
  const HostMatrix solution =
      product(asker.device(), pseudo_inverse(rows, kIndependent), Transpose::no, y, Transpose::no);
  LinearCorners corners;
  corners.outputs.assign(solution.data(), solution.data() + m);
  corners.constant = solution(m, 0);
  for (Index i = 0; i < n; ++i) {
    corners.residual += std::pow(y(i, 0) - dot(rows.row(i), solution.data(), m + 1), 2);
    corners.largest = std::max(corners.largest, std::fabs(y(i, 0)));
  }
  corners.residual = std::sqrt(corners.residual / static_cast<double>(kMoreCorners));
  return corners;
}

std::optional<SmoothNetwork> saturated_profiles(Asker& asker, Random& random,
                                                const SaturatedLayer& first,
                                                const LinearCorners& corners, Index pairs) {
  const Index m = first.directions.rows();
  const Index d = first.directions.cols();
  require(asker.outputs() == 1 && asker.inputs() == d,
          "saturated_profiles: of one output, directions as wide as the inputs");
  require(static_cast<Index>(corners.outputs.size()) == m && pairs >= 0,
          "saturated_profiles: one output a direction, and not less than no pairs");
  const Profiles profiles(asker, random, first, corners);
  std::optional<std::vector<Affine>> lines = searched(profiles, m, first.activation, first.reach);
  if (!lines) return std::nullopt;
  if (pairs > 0) fit(profiles, first.activation, pairs, *lines);
  SmoothNetwork network(d, {m}, 1, {first.activation});
  network.constant(0, 0) = corners.constant;
  for (Index i = 0; i < m; ++i) {
    const Affine& line = (*lines)[static_cast<std::size_t>(i)];
    for (Index c = 0; c < d; ++c) {
      network.hidden[0].weights(i, c) = line.scale * first.directions(i, c);
    }
    network.hidden[0].bias(i, 0) = line.shift;
    const double output = corners.outputs[static_cast<std::size_t>(i)];
    const bool from_zero = first.activation == Activation::sigmoid;
    network.output(0, i) = from_zero ? 2 * output : output;
    if (from_zero) network.constant(0, 0) -= output;
  }
  return network;
}

}  // namespace crease
