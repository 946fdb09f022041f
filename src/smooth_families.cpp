// Planted smooth networks from the counter generator.
#include "src/smooth_families.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/planted_draw.hpp"

namespace crease {
namespace {

/// What a stream of the generator is drawn for.
enum class Part : std::uint64_t {
  directions,
  tilts,
  norms,
  shifts,
  second_directions,
  second_shifts,
  sizes,
  signs,
};
using Draw = PlantedDraw<Part>;

constexpr std::uint64_t kFirstStream = 0xfb000000;  // away from those of src/families.cpp

constexpr double kShiftsOfOne = 0.3;   // of one hidden layer
constexpr double kShiftsOfTwo = 0.05;  // of two
constexpr double kConstantOfOne = 0.3;
constexpr double kTilt = 0.3;  // of directions away from orthogonal ones; times 1 / sqrt(d)

double product_of_rows(const HostMatrix& a, Index i, Index j) {
  double sum = 0;
  for (Index t = 0; t < a.cols(); ++t) sum += a(i, t) * a(j, t);
  return sum;
}

void scale_row(HostMatrix& a, Index i, double factor) {
  for (Index t = 0; t < a.cols(); ++t) a(i, t) *= factor;
}

void normalize_row(HostMatrix& a, Index i) {
  scale_row(a, i, 1 / std::sqrt(product_of_rows(a, i, i)));
}

HostMatrix sphere(const Draw& draw, Part part, Index rows, Index cols) {
  HostMatrix directions = draw(part, rows, cols, 1);
  for (Index i = 0; i < rows; ++i) normalize_row(directions, i);
  return directions;
}

/// By Gram and Schmidt, twice, which is enough; a library's QR has other bits on every machine.
HostMatrix nearly_orthogonal(const Draw& draw, Index rows, Index cols) {
  HostMatrix directions = sphere(draw, Part::directions, rows, cols);
  for (Index i = 0; i < rows; ++i) {
    for (int pass = 0; pass < 2; ++pass) {
      for (Index j = 0; j < i; ++j) {
        const double along = product_of_rows(directions, i, j);
        for (Index t = 0; t < cols; ++t) directions(i, t) -= along * directions(j, t);
      }
      normalize_row(directions, i);
    }
  }
  const HostMatrix tilts =
      draw(Part::tilts, rows, cols, kTilt / std::sqrt(static_cast<double>(cols)));
  for (Index t = 0; t < directions.size(); ++t) directions.data()[t] += tilts.data()[t];
  for (Index i = 0; i < rows; ++i) normalize_row(directions, i);
  return directions;
}

HostMatrix coefficients_of(const SmoothPlan& plan, const Draw& draw, Index neurons) {
  using Coefficients = SmoothPlan::Coefficients;
  const bool one_sum = plan.second_layer && plan.outputs == 1;
  if (plan.coefficients.value_or(one_sum ? Coefficients::unit : Coefficients::spread) ==
      Coefficients::unit) {
    return HostMatrix(plan.outputs, neurons, 1.0);
  }
  HostMatrix sizes = draw.uniform(Part::sizes, plan.outputs, neurons, 0.5, 1.5);
  const HostMatrix signs = draw.uniform(Part::signs, plan.outputs, neurons, -1, 1);
  for (Index t = 0; t < sizes.size(); ++t) {
    if (signs.data()[t] < 0) sizes.data()[t] = -sizes.data()[t];
  }
  return sizes;
}

void check(const SmoothPlan& plan) {
  require(plan.inputs >= 1, "smooth: inputs must be at least 1");
  require(plan.outputs >= 1, "smooth: outputs must be at least 1");
  require(plan.neurons >= 1, "smooth: needs at least 1 neuron");
  const Index last = plan.second_layer.value_or(plan.neurons);
  require(last >= 1, "smooth: the second layer needs at least 1 neuron");
  constexpr Index kMostNumbers = Index{1} << 31;  // 16 GB; and no product below overflows
  for (const auto& [a, b] : {std::pair(plan.inputs, plan.neurons),
                             {plan.neurons, last},
                             {plan.outputs, last},
                             {plan.inputs, plan.outputs}}) {
    require(a <= kMostNumbers && b <= kMostNumbers && a * b <= kMostNumbers,
            "smooth: expected matrices of at most 2^31 numbers");
  }
  const std::size_t layers = plan.second_layer ? 2 : 1;
  require(plan.activations.size() == 1 || plan.activations.size() == layers,
          layers == 1 ? "smooth: one hidden layer has one activation"
                      : "smooth: two hidden layers have one activation, or one each");
  require(!plan.shifts || (std::isfinite(*plan.shifts) && *plan.shifts >= 0),
          "smooth: shifts must not be negative");
  require(plan.directions == SmoothPlan::Directions::sphere || plan.neurons <= plan.inputs,
          "smooth: orthogonal directions need as many inputs as neurons");
  require(plan.coefficients != SmoothPlan::Coefficients::unit || plan.outputs == 1,
          "smooth: with unit coefficients all outputs would be the same; expected one");
}

}  // namespace

SmoothNetwork make_smooth_network(const SmoothPlan& plan, Seed seed) {
  check(plan);
  const Draw draw(seed, kFirstStream);
  const bool two = plan.second_layer.has_value();
  const double shifts = plan.shifts.value_or(two ? kShiftsOfTwo : kShiftsOfOne);
  std::vector<Index> neurons = {plan.neurons};
  if (two) neurons.push_back(*plan.second_layer);
  std::vector<Activation> activations = plan.activations;
  activations.resize(neurons.size(), plan.activations.front());

  SmoothNetwork network(plan.inputs, neurons, plan.outputs, activations);
  SmoothNetwork::Layer& first = network.hidden.front();
  first.weights = plan.directions == SmoothPlan::Directions::sphere
                      ? sphere(draw, Part::directions, plan.neurons, plan.inputs)
                      : nearly_orthogonal(draw, plan.neurons, plan.inputs);
  first.bias = draw(Part::shifts, plan.neurons, 1, shifts);
  if (two) {
    SmoothNetwork::Layer& second = network.hidden.back();
    second.weights = sphere(draw, Part::second_directions, *plan.second_layer, plan.neurons);
    second.bias = draw(Part::second_shifts, *plan.second_layer, 1, shifts);
  } else {
    const HostMatrix norms = draw.uniform(Part::norms, plan.neurons, 1, 0.7, 1.5);
    for (Index i = 0; i < plan.neurons; ++i) scale_row(first.weights, i, norms(i, 0));
    std::fill_n(network.constant.data(), plan.outputs, kConstantOfOne);
  }
  network.output = coefficients_of(plan, draw, neurons.back());
  return network;
}

}  // namespace crease
