// Fans along the inputs, and one small least-squares problem for each of them.
#include "src/stages/input_lift.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/device_smooth_network.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/product.hpp"
#include "src/stages/smooth_fit.hpp"

namespace crease {
namespace {

constexpr Index kSpareCenters = 2;
constexpr double kStep = 0.5;    // of sqrt(d): weights of a unit neuron times it are about 1/2
constexpr double kRidge = 1e-9;  // of the mean diagonal: a neuron that is saturated at all centers

/// Inputs `first` ... first + `count` - 1 from the same centers.
struct Block {
  HostMatrix residuals;  // [2 C count, 1], row i * count + j
  HostMatrix slopes;     // [2 C count, m (+ more)] dF'/dz of the first layer
};

class InputLift {
 public:
  InputLift(Asker& asker, Random& random, const HostMatrix& basis, const SmoothNetwork& network,
            bool linear, Index centers)
      : asker_(asker), network_(network), linear_(linear), device_(asker.device()) {
    const Index d = network.inputs();
    const HostMatrix coordinates =
        download(device_, random.gaussian_points(device_, Stream::looks, centers, basis.rows()));
    HostMatrix points = product(device_, coordinates, Transpose::no, basis, Transpose::no);
    const double step = kStep * std::sqrt(static_cast<double>(d));
    HostMatrix steps(0, 1);
    for (const double sign : {1.0, -1.0}) {
      for (Index c = 0; c < centers; ++c) {
        const double signed_step = sign * step;
        steps.append_row(&signed_step, 1);
        if (sign < 0) points.append_row(points.row(c), d);
      }
    }
    centers_ = upload(device_, points);
    steps_ = std::move(steps);
  }

  Index inputs_at_once() const {
    const Index row = network_.inputs() + 3 * (network_.neurons(0) + 4);
    return std::max<Index>(1, asker_.rows_at_once(4 * row) / steps_.rows());
  }

  /// What the weights (and the linear part) of these inputs lack.
  void correct(Index first, Index count, SmoothNetwork& corrected) const {
    const Block block = ask(first, count);
    const Index m = network_.neurons(0);
    const Index unknowns = m + (linear_ ? 1 : 0);
    for (Index j = 0; j < count; ++j) {
      HostMatrix system(unknowns, unknowns);
      std::vector<double> right(static_cast<std::size_t>(unknowns));
      std::vector<double> row(static_cast<std::size_t>(unknowns));
      for (Index i = 0; i < steps_.rows(); ++i) {
        const Index at = i * count + j;
        const double step = steps_(i, 0);
        for (Index a = 0; a < m; ++a) row[static_cast<std::size_t>(a)] = step * block.slopes(at, a);
        if (linear_) row.back() = step;
        for (Index a = 0; a < unknowns; ++a) {
          const double value = row[static_cast<std::size_t>(a)];
          right[static_cast<std::size_t>(a)] += value * block.residuals(at, 0);
          for (Index b = 0; b <= a; ++b) system(a, b) += value * row[static_cast<std::size_t>(b)];
        }
      }
      double trace = 0;
      for (Index a = 0; a < unknowns; ++a) trace += system(a, a);
      for (Index a = 0; a < unknowns; ++a) {
        system(a, a) += kRidge * trace / static_cast<double>(unknowns);
        for (Index b = 0; b < a; ++b) system(b, a) = system(a, b);
      }
      if (!solve_positive(std::move(system), right)) continue;  // no slope: nothing to correct
      for (Index a = 0; a < m; ++a) {
        corrected.hidden[0].weights(a, first + j) += right[static_cast<std::size_t>(a)];
      }
      if (linear_) corrected.linear(0, first + j) += right.back();
    }
  }

 private:
  Block ask(Index first, Index count) const {
    HostMatrix directions(count, network_.inputs());
    for (Index j = 0; j < count; ++j) directions(j, first + j) = 1;
    HostMatrix steps(steps_.rows(), count);
    for (Index i = 0; i < steps.rows(); ++i) {
      std::fill(steps.row(i), steps.row(i) + count, steps_(i, 0));
    }
    const DeviceMatrix along = upload(device_, directions);
    const DeviceMatrix by = upload(device_, steps);
    const Fan fan{centers_, along, by};
    const DeviceMatrix answers = asker_.fan(fan);
    DeviceMatrix residuals(device_, answers.rows(), 1);
    DeviceSmoothNetwork(device_, network_).evaluate_fan(fan, residuals);
    subtract(device_, answers, residuals);  // F' - F
    DeviceMatrix points(device_, answers.rows(), network_.inputs());
    fan_points(device_, fan, points);
    SmoothFitPlan biases;
    biases.weights = biases.output = biases.constant = false;
    DeviceMatrix slopes(device_, answers.rows(), free_numbers(network_, biases));
    smooth_jacobian(device_, network_, biases, points, slopes);
    Block block{download(device_, residuals), download(device_, slopes)};
    for (Index i = 0; i < block.residuals.size(); ++i) block.residuals.data()[i] *= -1;
    return block;
  }

  Asker& asker_;
  const SmoothNetwork& network_;
  bool linear_;
  Device& device_;
  DeviceMatrix centers_;  // [2 C, d], each twice
  HostMatrix steps_;      // [2 C, 1] h, and then -h
};

}  // namespace

Index lift_centers(const SmoothNetwork& network, bool linear, double rows_per_unknown) {
  const auto unknowns = static_cast<double>(network.neurons(0) + (linear ? 1 : 0));
  return static_cast<Index>(std::ceil(rows_per_unknown * unknowns / 2)) + kSpareCenters;
}

SmoothNetwork lift_to_inputs(Asker& asker, Random& random, const HostMatrix& basis,
                             SmoothNetwork network, bool linear, double rows_per_unknown) {
  const Index d = asker.inputs();
  require(asker.outputs() == 1 && network.outputs() == 1, "lift_to_inputs: of one output");
  require(network.inputs() == d && basis.cols() == d && basis.rows() >= 1,
          "lift_to_inputs: network and basis must be as wide as the inputs");
  require(rows_per_unknown >= 1, "lift_to_inputs: at least one row for every unknown");
  SmoothNetwork corrected = network;
  const InputLift lift(asker, random, basis, network, linear,
                       lift_centers(network, linear, rows_per_unknown));
  const Index most = lift.inputs_at_once();
  for (Index first = 0; first < d; first += most) {
    lift.correct(first, std::min(most, d - first), corrected);
  }
  return corrected;
}

}  // namespace crease
