// Scales and shifts of the first layer, one neuron at a time, the second layer being known.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/activations.hpp"
#include "src/small_dense.hpp"
#include "src/stages/corner_points.hpp"
#include "src/stages/corners.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kPatterns = 2;        // of the other neurons' signs ...
constexpr Index kNoisyPatterns = 8;   // ... where answers have errors
constexpr Index kDrawnPatterns = 64;  // of which those are taken that the neuron matters most in
constexpr Index kPoints = 41;
constexpr double kOfReach = 0.25;      // points lie within so much of it
constexpr double kTableOfReach = 0.3;  // arguments of g are looked up within so much of it
constexpr Index kTable = 241;
constexpr double kExplained = 1e-3;  // relative: no other start is tried
constexpr int kSteps = 60;
constexpr double kDamping = 1e-3, kDown = 6, kUp = 5, kMostDamping = 1e12;

/// F along dual_i under patterns of the other signs, as a function of z in [-1, 1], the neuron's
/// own value in signs.
class Section {
 public:
  Section(const SmoothNetwork& second, Index neuron, HostMatrix patterns)
      : second_(second), neuron_(neuron), patterns_(std::move(patterns)) {
    const SmoothNetwork::Layer& layer = second_.hidden[0];
    others_ = HostMatrix(patterns_.rows(), layer.weights.rows());
    for (Index p = 0; p < patterns_.rows(); ++p) {
      patterns_(p, neuron) = 0;
      for (Index l = 0; l < layer.weights.rows(); ++l) {
        others_(p, l) =
            layer.bias(l, 0) + dot(patterns_.row(p), layer.weights.row(l), patterns_.cols());
      }
    }
  }

  Index patterns() const { return patterns_.rows(); }
  const double* signs(Index p) const { return patterns_.row(p); }

  /// F, or its derivative by z.
  double at(Index p, double z, int derivative = 0) const {
    const SmoothNetwork::Layer& layer = second_.hidden[0];
    double sum = derivative == 0 ? second_.constant(0, 0) : 0;
    for (Index l = 0; l < layer.weights.rows(); ++l) {
      const double weight = layer.weights(l, neuron_);
      const double value = activation_at(layer.activation, derivative, others_(p, l) + z * weight);
      sum += second_.output(0, l) * value * (derivative == 0 ? 1 : weight);
    }
    return sum;
  }

 private:
  const SmoothNetwork& second_;
  Index neuron_;
  HostMatrix patterns_;  // [P, m], zeros for the neuron
  HostMatrix others_;    // [P, k]: bias and the other signs' part
};

/// Of many drawn, those patterns under which F differs most between the neuron's two ends.
Section telling_section(const SmoothNetwork& second, Index neuron, Index patterns, Random& random) {
  const Index m = second.inputs();
  const Section drawn(second, neuron, random_signs(random, kDrawnPatterns, m));
  std::vector<std::pair<double, Index>> order;
  for (Index p = 0; p < drawn.patterns(); ++p) {
    order.emplace_back(-std::abs(drawn.at(p, 1) - drawn.at(p, -1)), p);
  }
  std::sort(order.begin(), order.end());
  HostMatrix chosen(0, m);
  for (Index p = 0; p < patterns; ++p) {
    chosen.append_row(drawn.signs(order[static_cast<std::size_t>(p)].second), m);
  }
  return {second, neuron, std::move(chosen)};
}

/// z(u) = g(scale u + shift) in signs.
struct Affine {
  double scale = 1;
  double shift = 0;
};

class Profiler {
 public:
  /// values: F at pattern p and coordinate u_k at [p * kPoints + k].
  Profiler(const Section& section, Activation activation, double reach, const double* values)
      : section_(section), activation_(activation), reach_(reach), values_(values) {}

  static double coordinate(Index k, double reach) {
    return kOfReach * reach * (2 * static_cast<double>(k) / static_cast<double>(kPoints - 1) - 1);
  }

  Affine fit() const {
    Affine best;
    double least = std::numeric_limits<double>::infinity();
    const double unit = reach_ / 20;
    for (const Affine& start : {looked_up(), Affine{1, 0}, Affine{1, -unit}, Affine{1, unit}}) {
      const auto [line, square] = descend(start);
      if (square < least) {
        least = square;
        best = line;
      }
      if (least < kExplained * kExplained * variation()) break;
    }
    return best;
  }

 private:
  /// The argument of g at every u that explains the answers best, and a line through those that
  /// are not saturated.
  Affine looked_up() const {
    HostMatrix table(kTable, section_.patterns());
    std::vector<double> arguments;
    for (Index t = 0; t < kTable; ++t) {
      arguments.push_back(kTableOfReach * reach_ *
                          (2 * static_cast<double>(t) / static_cast<double>(kTable - 1) - 1));
      const double z = value_in_signs(activation_, arguments.back());
      for (Index p = 0; p < section_.patterns(); ++p) table(t, p) = section_.at(p, z);
    }
    double weights = 0, u_sum = 0, a_sum = 0, uu = 0, ua = 0;
    for (Index k = 0; k < kPoints; ++k) {
      double least = std::numeric_limits<double>::infinity();
      double argument = 0;
      for (Index t = 0; t < kTable; ++t) {
        double square = 0;
        for (Index p = 0; p < section_.patterns(); ++p) {
          square += std::pow(table(t, p) - values_[p * kPoints + k], 2);
        }
        if (square < least) {
          least = square;
          argument = arguments[static_cast<std::size_t>(t)];
        }
      }
      const double weight = std::pow(value_in_signs(activation_, argument, 1), 2);
      const double u = coordinate(k, reach_);
      weights += weight;
      u_sum += weight * u;
      a_sum += weight * argument;
      uu += weight * u * u;
      ua += weight * u * argument;
    }
    const double spread = uu * weights - u_sum * u_sum;
    const double scale = spread > 0 ? (ua * weights - u_sum * a_sum) / spread : 1;
    if (!(scale > 0) || !std::isfinite(scale)) return {};
    return {scale, (a_sum - scale * u_sum) / weights};
  }

  /// Levenberg-Marquardt in log(scale) and shift; the line and the sum of squares it leaves.
  std::pair<Affine, double> descend(Affine line) const {
    double damping = kDamping;
    std::array<double, 5> now = normal_equations(line);
    for (int step = 0; step < kSteps && damping < kMostDamping; ++step) {
      const double a = now[0] * (1 + damping), b = now[1], c = now[2] * (1 + damping);
      const double determinant = a * c - b * b;
      if (!(determinant > 0)) break;
      const double by_scale = (c * now[3] - b * now[4]) / determinant;
      const double by_shift = (a * now[4] - b * now[3]) / determinant;
      const Affine next{line.scale * std::exp(-by_scale), line.shift - by_shift};
      if (square_at(next) < square_at(line)) {
        const bool done = std::abs(by_scale) + std::abs(by_shift) < 1e-15;
        line = next;
        now = normal_equations(line);
        damping /= kDown;
        if (done) break;
      } else {
        damping *= kUp;
      }
    }
    return {line, square_at(line)};
  }

  /// Sum of squares of the values less their pattern's mean.
  double variation() const {
    double square = 0;
    for (Index p = 0; p < section_.patterns(); ++p) {
      const double* v = values_ + p * kPoints;
      double mean = 0;
      for (Index k = 0; k < kPoints; ++k) mean += v[k] / static_cast<double>(kPoints);
      for (Index k = 0; k < kPoints; ++k) square += (v[k] - mean) * (v[k] - mean);
    }
    return square;
  }

  double square_at(const Affine& line) const {
    double square = 0;
    for (Index k = 0; k < kPoints; ++k) {
      const double z = value_in_signs(activation_, line.scale * coordinate(k, reach_) + line.shift);
      for (Index p = 0; p < section_.patterns(); ++p) {
        square += std::pow(section_.at(p, z) - values_[p * kPoints + k], 2);
      }
    }
    return square;
  }

  /// J^T J (three numbers) and J^T r (two).
  std::array<double, 5> normal_equations(const Affine& line) const {
    std::array<double, 5> sums{};
    for (Index k = 0; k < kPoints; ++k) {
      const double su = line.scale * coordinate(k, reach_);
      const double z = value_in_signs(activation_, su + line.shift);
      const double slope = value_in_signs(activation_, su + line.shift, 1);
      for (Index p = 0; p < section_.patterns(); ++p) {
        const double residual = section_.at(p, z) - values_[p * kPoints + k];
        const double by_shift = section_.at(p, z, 1) * slope;
        const double by_scale = by_shift * su;
        sums[0] += by_scale * by_scale;
        sums[1] += by_scale * by_shift;
        sums[2] += by_shift * by_shift;
        sums[3] += by_scale * residual;
        sums[4] += by_shift * residual;
      }
    }
    return sums;
  }

  const Section& section_;
  Activation activation_;
  double reach_;
  const double* values_;
};

/// Coordinates [m * patterns * kPoints, m] of all sections' points.
HostMatrix coordinates_of(const std::vector<Section>& sections, double reach) {
  const auto m = static_cast<Index>(sections.size());
  const Index patterns = sections.front().patterns();
  HostMatrix coordinates(m * patterns * kPoints, m);
  for (Index i = 0; i < m; ++i) {
    for (Index p = 0; p < patterns; ++p) {
      for (Index k = 0; k < kPoints; ++k) {
        double* row = coordinates.row((i * patterns + p) * kPoints + k);
        const double* signs = sections[static_cast<std::size_t>(i)].signs(p);
        for (Index j = 0; j < m; ++j) row[j] = reach * signs[j];
        row[i] = Profiler::coordinate(k, reach);
      }
    }
  }
  return coordinates;
}

}  // namespace

SmoothNetwork with_first_layer(Asker& asker, Random& random, const SaturatedLayer& first,
                               const SmoothNetwork& second, double sigma) {
  const Index m = first.directions.rows();
  const Index d = first.directions.cols();
  require(asker.outputs() == 1 && asker.inputs() == d, "with_first_layer: of one output");
  check(second);
  require(second.layers() == 1 && second.inputs() == m && second.outputs() == 1,
          "with_first_layer: a second layer of one output in the first one's signs");
  std::vector<Section> sections;
  const Index patterns = sigma > 0 ? kNoisyPatterns : kPatterns;
  for (Index i = 0; i < m; ++i) sections.push_back(telling_section(second, i, patterns, random));
  const HostMatrix values = values_at(asker, first, coordinates_of(sections, first.reach), 1);
  const SmoothNetwork::Layer& above = second.hidden[0];
  SmoothNetwork network(d, {m, above.weights.rows()}, 1, {first.activation, above.activation});
  for (Index i = 0; i < m; ++i) {
    const Affine line = Profiler(sections[static_cast<std::size_t>(i)], first.activation,
                                 first.reach, values.row(i * patterns * kPoints))
                            .fit();
    for (Index c = 0; c < d; ++c) {
      network.hidden[0].weights(i, c) = line.scale * first.directions(i, c);
    }
    network.hidden[0].bias(i, 0) = line.shift;
  }
  network.hidden[1] = on_values(above, first.activation);
  network.output = second.output;
  network.constant = second.constant;
  return network;
}

}  // namespace crease
