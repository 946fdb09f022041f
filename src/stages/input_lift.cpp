// Fans along the inputs, and one small least-squares problem for each of them.
#include "src/stages/input_lift.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/device_smooth_network.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"
#include "src/stages/smooth_fit.hpp"

namespace crease {
namespace {

constexpr Index kSpareRows = 4;
constexpr double kStep = 0.5;    // of sqrt(d): weights of a unit neuron times it are about 1/2
constexpr double kRidge = 1e-9;  // of the mean diagonal: a neuron that is saturated at all centers
constexpr int kRefinements = 4;

/// Inputs `first` ... first + `count` - 1 from the same centers.
struct Block {
  HostMatrix residuals;  // [R count, 1], row i * count + j
  HostMatrix slopes;     // [R count, m (+ more)] dF'/dz of the first layer
};

class InputLift {
 public:
  InputLift(Asker& asker, Random& random, const HostMatrix& basis, const SmoothNetwork& network,
            bool linear, Index rows)
      : asker_(asker), network_(network), linear_(linear), device_(asker.device()) {
    const Index d = network.inputs();
    const HostMatrix coordinates =
        download(device_, random.gaussian_points(device_, Stream::looks, rows, basis.rows()));
    const HostMatrix points = product(device_, coordinates, Transpose::no, basis, Transpose::no);
    const double step = kStep * std::sqrt(static_cast<double>(d));
    steps_ = HostMatrix(rows, 1);
    for (Index i = 0; i < rows; ++i) steps_(i, 0) = i % 2 == 0 ? step : -step;
    centers_ = upload(device_, points);
  }

  Index inputs_at_once() const {
    const Index row = network_.inputs() + 3 * (network_.neurons(0) + 4);
    return std::max<Index>(1, asker_.rows_at_once(4 * row) / steps_.rows());
  }

  /// What the weights (and the linear part) of these inputs lack.
  void correct(Index first, Index count, SmoothNetwork& corrected) const {
    const Block block = ask(first, count);
    const Index m = network_.neurons(0);
    for (Index j = 0; j < count; ++j) {
      const std::vector<double> lack = lack_of(block, j, count);
      for (Index a = 0; a < m; ++a) {
        corrected.hidden[0].weights(a, first + j) += lack[static_cast<std::size_t>(a)];
      }
      if (linear_) corrected.linear(0, first + j) += lack.back();
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

  /// min |rows lack - residuals| for input j of a block. The ridge that keeps neurons without
  /// slopes where they are is taken back, as far as the others allow, by solving again for what is
  /// left.
  std::vector<double> lack_of(const Block& block, Index j, Index count) const {
    const Index m = network_.neurons(0);
    const Index unknowns = m + (linear_ ? 1 : 0);
    HostMatrix rows(steps_.rows(), unknowns);
    std::vector<double> left;
    for (Index i = 0; i < rows.rows(); ++i) {
      const double step = steps_(i, 0);
      for (Index a = 0; a < m; ++a) rows(i, a) = step * block.slopes(i * count + j, a);
      if (linear_) rows(i, m) = step;
      left.push_back(block.residuals(i * count + j, 0));
    }
    HostMatrix system(unknowns, unknowns);
    double trace = 0;
    for (Index a = 0; a < unknowns; ++a) {
      for (Index b = 0; b <= a; ++b) {
        for (Index i = 0; i < rows.rows(); ++i) system(a, b) += rows(i, a) * rows(i, b);
        system(b, a) = system(a, b);
      }
      trace += system(a, a);
    }
    for (Index a = 0; a < unknowns; ++a) {
      system(a, a) += kRidge * trace / static_cast<double>(unknowns);
    }
    std::vector<double> lack(static_cast<std::size_t>(unknowns));
    for (int again = 0; again < kRefinements; ++again) {
      std::vector<double> step(static_cast<std::size_t>(unknowns));
      for (Index i = 0; i < rows.rows(); ++i) {
        for (Index a = 0; a < unknowns; ++a) {
          step[static_cast<std::size_t>(a)] += rows(i, a) * left[static_cast<std::size_t>(i)];
        }
      }
      if (!solve_positive(system, step)) break;  // no slope: nothing to correct
      for (Index a = 0; a < unknowns; ++a) {
        lack[static_cast<std::size_t>(a)] += step[static_cast<std::size_t>(a)];
      }
      for (Index i = 0; i < rows.rows(); ++i) {
        left[static_cast<std::size_t>(i)] -= dot(rows.row(i), step.data(), unknowns);
      }
    }
    return lack;
  }

  Asker& asker_;
  const SmoothNetwork& network_;
  bool linear_;
  Device& device_;
  DeviceMatrix centers_;  // [R, d]
  HostMatrix steps_;      // [R, 1] h and -h in turn
};

}  // namespace

Index lift_rows(const SmoothNetwork& network, bool linear, double rows_per_unknown) {
  const auto unknowns = static_cast<double>(network.neurons(0) + (linear ? 1 : 0));
  return static_cast<Index>(std::ceil(rows_per_unknown * unknowns)) + kSpareRows;
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
                       lift_rows(network, linear, rows_per_unknown));
  const Index most = lift.inputs_at_once();
  for (Index first = 0; first < d; first += most) {
    lift.correct(first, std::min(most, d - first), corrected);
  }
  return corrected;
}

}  // namespace crease
