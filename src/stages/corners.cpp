// The second layer at corners, and both layers at once.
#include "src/stages/corners.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/small_dense.hpp"
#include "src/stages/corner_points.hpp"
#include "src/stages/counted_fit.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kReach = 20;         // 1 - tanh(20) is below rounding
constexpr double kDependent = 1e-10;  // least singular value of independent directions, of the
                                      // largest
constexpr Index kReachCorners = 16;
constexpr int kDoublings = 6;
constexpr double kSameCorners = 1e-10;  // of their deviation
constexpr double kRoundingOfAnswers = 1e-14;
constexpr double kNoisySame = 6;   // sigma
constexpr Index kMoreNeurons = 8;  // than signs are tried, where nobody says otherwise
constexpr double kEnough = 4;      // distinct corners for every unknown: they determine it
constexpr double kSaturated =
    0.25;                          // of the coordinates of a point for both layers; the others ...
constexpr double kSpread = 0.075;  // ... are normal, of so much of the reach

void require_first(const Asker& asker, const SaturatedLayer& first) {
  require(asker.outputs() == 1, "corners: of one output");
  require(first.dual.rows() == first.directions.rows() && first.dual.rows() >= 1 &&
              first.dual.cols() == asker.inputs() && first.directions.cols() == asker.inputs(),
          "corners: directions as wide as the inputs, and their dual");
}

/// Coordinates that see both layers: some saturated, the others not.
HostMatrix mixed_coordinates(Random& random, Index n, Index m, double reach) {
  HostMatrix y = random_signs(random, n, m);
  for (Index i = 0; i < n; ++i) {
    const std::vector<double> normals = random.normals(m);
    for (Index j = 0; j < m; ++j) {
      const bool saturated = random.uniform(0, 1) < kSaturated;
      y(i, j) =
          saturated ? reach * y(i, j) : kSpread * reach * normals[static_cast<std::size_t>(j)];
    }
  }
  return y;
}

/// Fits to answers at the points factor y dual of coordinates(n), [n, m].
Corners fitted(Asker& asker, Random& random, const SaturatedLayer& first,
               Activation second_activation, const CornersPlan& plan, double factor,
               const std::function<HostMatrix(Index n)>& coordinates,
               const std::function<SmoothNetwork(SmoothNetwork second)>& on_coordinates) {
  require_first(asker, first);
  const Index m = first.directions.rows();
  CountProblem problem;
  problem.last = second_activation;
  problem.ask = [&](Index n) {
    HostMatrix y = coordinates(n);
    HostMatrix values = values_at(asker, first, y, factor);
    return CountProblem::Rows{std::move(y), std::move(values)};
  };
  problem.start = [&](Index neurons, Index negative) {
    return on_coordinates(random_neurons(random, m, second_activation, neurons, negative));
  };
  CountPlan counts;
  counts.neurons = plan.neurons;
  counts.least_neurons = plan.least_neurons;
  counts.most_neurons = plan.most_neurons > 0 ? plan.most_neurons : m + kMoreNeurons;
  counts.sigma = plan.sigma;
  counts.most_unknowns = plan.most_unknowns;
  counts.stop = plan.stop;
  counts.tried = plan.tried;
  Counted counted = fit_counted(asker.device(), problem, counts);
  Corners corners;
  corners.second = std::move(counted.network);
  corners.rms = counted.rms;
  corners.deviation = counted.deviation;
  corners.cut = counted.cut;
  corners.settled = counted.settled;
  return corners;
}

}  // namespace

double reach_of(Activation activation) {
  return activation == Activation::sigmoid ? 2 * kReach : kReach;
}

bool are_independent(const HostMatrix& directions) {
  if (directions.rows() > directions.cols()) return false;
  const std::vector<double> values = singular_values(directions);
  return values.empty() || values.back() > kDependent * values.front();
}

SaturatedLayer saturated_layer(const HostMatrix& directions, Activation activation) {
  require(saturates(activation),
          "saturated_layer: " + to_string(activation) + " does not saturate on both sides");
  require(directions.rows() >= 1, "saturated_layer: there must be a direction");
  require(are_independent(directions), "saturated_layer: directions must be linearly independent");
  const Svd parts = svd(directions);
  SaturatedLayer layer;
  layer.directions = directions;
  layer.dual = HostMatrix(directions.rows(), directions.cols());
  for (Index r = 0; r < directions.rows(); ++r) {
    for (Index i = 0; i < directions.rows(); ++i) {
      const double factor = parts.left(i, r) / parts.values[static_cast<std::size_t>(r)];
      for (Index c = 0; c < directions.cols(); ++c) {
        layer.dual(i, c) += factor * parts.right(r, c);
      }
    }
  }
  layer.activation = activation;
  layer.reach = reach_of(activation);
  return layer;
}

double saturating_reach(Asker& asker, Random& random, const SaturatedLayer& first, double sigma) {
  require_first(asker, first);
  const HostMatrix signs = random_signs(random, kReachCorners, first.directions.rows());
  double reach = first.reach;
  HostMatrix here = values_at(asker, first, signs, reach);
  for (int doubled = 0; doubled < kDoublings; ++doubled) {
    HostMatrix beyond = values_at(asker, first, signs, 2 * reach);
    double mean = 0, squares = 0, largest = 0, change = 0;
    for (Index i = 0; i < kReachCorners; ++i) {
      mean += here(i, 0) / static_cast<double>(kReachCorners);
      largest = std::max(largest, std::abs(here(i, 0)));
      change = std::max(change, std::abs(beyond(i, 0) - here(i, 0)));
    }
    for (Index i = 0; i < kReachCorners; ++i) squares += std::pow(here(i, 0) - mean, 2);
    const double deviation = std::sqrt(squares / static_cast<double>(kReachCorners));
    if (change <=
        std::max({kSameCorners * deviation, kRoundingOfAnswers * largest, kNoisySame * sigma})) {
      break;
    }
    reach *= 2;
    here = std::move(beyond);
  }
  return reach;
}

Corners learn_corners(Asker& asker, Random& random, const SaturatedLayer& first,
                      Activation second_activation, const CornersPlan& plan) {
  const Index m = first.directions.rows();
  Corners corners = fitted(
      asker, random, first, second_activation, plan, first.reach,
      [&](Index n) { return random_signs(random, n, m); },
      [](SmoothNetwork second) { return second; });
  const auto unknowns = static_cast<double>(corners.second.neurons(0) * (m + 2) + 1);
  corners.determined = second_activation != Activation::sin &&
                       std::exp2(static_cast<double>(m)) >= kEnough * unknowns;
  return corners;
}

Corners learn_both_layers(Asker& asker, Random& random, const SaturatedLayer& first,
                          Activation second_activation, const CornersPlan& plan) {
  const Index m = first.directions.rows();
  const std::vector<Activation> activations = {first.activation, second_activation};
  Corners both = fitted(
      asker, random, first, second_activation, plan, 1,
      [&](Index n) { return mixed_coordinates(random, n, m, first.reach); },
      [&](const SmoothNetwork& second) {
        SmoothNetwork start(m, {m, second.neurons(0)}, 1, activations);
        start.hidden[0].weights = identity(m);
        start.hidden[1] = on_values(second.hidden[0], first.activation);
        start.output = second.output;
        return start;
      });
  both.determined = true;
  SmoothNetwork network(asker.inputs(), {m, both.second.neurons(1)}, 1, activations);
  network.hidden = both.second.hidden;
  network.hidden[0].weights = product(asker.device(), both.second.hidden[0].weights, Transpose::no,
                                      first.directions, Transpose::no);
  network.output = both.second.output;
  network.constant = both.second.constant;
  both.second = std::move(network);
  return both;
}

}  // namespace crease
