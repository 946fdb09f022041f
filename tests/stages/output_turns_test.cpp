// Output directions: tangents, certainty, and the Gauss-Newton step on gradients in several cells.
#include "src/stages/output_turns.hpp"

#include <cmath>

#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

class OutputTurnsTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(OutputTurnsTest);

constexpr Index kInputs = 6;
constexpr Index kNeurons = 5;
constexpr Index kOutputs = 3;
constexpr Index kCells = 6;
constexpr Index kBytes = 1 << 20;

/// A network's planes, gradients in cells, and the activities there.
struct Planted {
  explicit Planted(std::uint64_t seed)
      : planes(kInputs, kOutputs), above(normals(kCells, kNeurons, seed + 1)) {
    const ReluNetwork network = planted_network(kInputs, kNeurons, kOutputs, seed);
    planes.base.assign(kInputs, 0.0);
    for (Index j = 0; j < kNeurons; ++j) {
      std::vector<double> scale;
      for (Index o = 0; o < kOutputs; ++o) scale.push_back(network.output(o, j));
      planes.add(row_of(network.weights, j), network.bias(j, 0), scale, 0, 0);
    }
    w = HostMatrix(kNeurons, kInputs);
    HostMatrix unknown(0, kInputs);
    for (Index j = 0; j < kNeurons; ++j) {
      const double size = std::sqrt(dot(planes.scales.row(j), planes.scales.row(j), kOutputs));
      for (Index i = 0; i < kInputs; ++i) w(j, i) = size * planes.normals(j, i);
      unknown.append_row(w.row(j), kInputs);
    }
    for (Index o = 0; o < kOutputs; ++o) unknown.append_row(network.linear.row(o), kInputs);
    gradients = product(patterns(planes, above), unknown).value;
  }

  Hypothesis planes;
  HostMatrix above;
  HostMatrix w;
  HostMatrix gradients;  // [n p, d]
};

WeightedFit fit_of(Device& device, const Hypothesis& planes, const HostMatrix& above) {
  return {device, patterns(planes, above),
          std::vector<double>(static_cast<std::size_t>(above.rows() * planes.outputs), 1.0),
          std::vector<double>(static_cast<std::size_t>(planes.neurons() + planes.outputs), 1.0)};
}

/// The largest angle between output directions, measured as a chord.
double apart(const Hypothesis& a, const Hypothesis& b) {
  double most = 0;
  for (Index j = 0; j < a.neurons(); ++j) {
    const double first = std::sqrt(dot(a.scales.row(j), a.scales.row(j), a.outputs));
    const double second = std::sqrt(dot(b.scales.row(j), b.scales.row(j), b.outputs));
    double square = 0;
    for (Index o = 0; o < a.outputs; ++o) {
      const double difference = a.scales(j, o) / first - b.scales(j, o) / second;
      square += difference * difference;
    }
    most = std::max(most, std::sqrt(square));
  }
  return most;
}

TEST_P(OutputTurnsTest, TangentsAreOrthonormalAndOrthogonalToTheDirection) {
  const Planted planted(4);
  HostMatrix all_on(1, kNeurons, 1.0);
  const HostMatrix turned = turned_patterns(planted.planes, all_on);
  ASSERT_EQ(turned.rows(), kOutputs);
  ASSERT_EQ(turned.cols(), kNeurons * (kOutputs - 1));
  for (Index j = 0; j < kNeurons; ++j) {
    const double* scale = planted.planes.scales.row(j);
    const double size = std::sqrt(dot(scale, scale, kOutputs));
    for (Index t = 0; t < 2; ++t) {
      double along = 0;
      double both = 0;
      double square = 0;
      for (Index o = 0; o < kOutputs; ++o) {
        const double value = turned(o, j * 2 + t);
        along += value * scale[o] / size;
        both += turned(o, j * 2) * turned(o, j * 2 + 1);
        square += value * value;
      }
      EXPECT_TRUE(at_most(std::abs(along), 30 * kRounding));
      EXPECT_TRUE(at_most(std::abs(both), 30 * kRounding));
      EXPECT_TRUE(at_most(std::abs(square - 1), 30 * kRounding));
    }
  }
  HostMatrix off(1, kNeurons, -1.0);
  EXPECT_EQ(norm(turned_patterns(planted.planes, off)), 0);
}

TEST_P(OutputTurnsTest, AStepLeavesTheSquareOfTheAngle) {
  const Planted planted(4);
  Hypothesis guess = planted.planes;
  const double off = 1e-4;
  const HostMatrix errors = normals(kNeurons, kOutputs, 5);
  for (Index j = 0; j < kNeurons; ++j) {
    const double size = std::sqrt(dot(guess.scales.row(j), guess.scales.row(j), kOutputs));
    for (Index o = 0; o < kOutputs; ++o) guess.scales(j, o) += off * size * errors(j, o);
  }
  const double before = apart(guess, planted.planes);
  ASSERT_GT(before, off / 10);
  const WeightedFit fit = fit_of(device(), guess, planted.above);
  const HostMatrix unknown = fit.solve(planted.gradients);
  HostMatrix w(kNeurons, kInputs);
  std::copy_n(unknown.data(), w.size(), w.data());
  ASSERT_TRUE(turn_outputs(device(), fit, planted.above, w, fit.unexplained(planted.gradients),
                           kBytes, guess));
  // Gauss-Newton: what is left is of second order, times how badly the angles are determined.
  double least = 1;
  for (const double certainty : turn_certainty(fit, guess, planted.above)) {
    least = std::min(least, certainty);
  }
  ASSERT_GT(least, 0);
  EXPECT_TRUE(at_most(apart(guess, planted.planes), 100 * before * before / least));
}

TEST_P(OutputTurnsTest, NeuronsActiveInTheSameCellsAreNotToldApart) {
  Planted planted(4);
  for (Index c = 0; c < kCells; ++c) planted.above(c, 1) = planted.above(c, 0);
  const std::vector<double> certainty = turn_certainty(
      fit_of(device(), planted.planes, planted.above), planted.planes, planted.above);
  ASSERT_EQ(certainty.size(), static_cast<std::size_t>(kNeurons));
  EXPECT_TRUE(at_most(certainty[0], 1e3 * kRounding));
  EXPECT_TRUE(at_most(certainty[1], 1e3 * kRounding));
}

TEST_P(OutputTurnsTest, TheSystemIsThatOfTheTurnedPatternsThemselves) {
  const Planted planted(4);
  // Two rows of a prior behind the cells: they know nothing of turns, and take some of the blame.
  const Index cells = kCells * kOutputs;
  const Index unknowns = kNeurons + kOutputs;
  HostMatrix rows = patterns(planted.planes, planted.above);
  for (Index i = 0; i < 2; ++i) {
    const HostMatrix prior = normals(1, unknowns, 31 + static_cast<std::uint64_t>(i));
    rows.append_row(prior.row(0), unknowns);
  }
  std::vector<double> sigma;
  for (Index i = 0; i < cells + 2; ++i) sigma.push_back(1 + 0.1 * static_cast<double>(i));
  const WeightedFit fit(device(), rows, sigma,
                        std::vector<double>(static_cast<std::size_t>(unknowns), 1.0));
  HostMatrix turned = turned_patterns(planted.planes, planted.above);
  const Index turns = turned.cols();
  for (Index i = 0; i < 2; ++i) {
    turned.append_row(std::vector<double>(static_cast<std::size_t>(turns), 0.0).data(), turns);
  }
  const HostMatrix seen = fit.unexplained(turned);
  const HostMatrix left = fit.unexplained(normals(cells + 2, kInputs, 33));
  const HostMatrix explained = fit.solve(turned);
  // Every number is a sum over rows and inputs of products below 10 in size.
  const double bound = static_cast<double>((cells + 2) * kInputs * unknowns) * 0x1p-52 * 10;
  for (const Index bytes : {Index{1}, 7 * 24 * turns, kBytes}) {  // row by row, seven, all
    const OutputTurns turning(device(), fit, planted.planes.scales, planted.above, planted.w,
                              bytes);
    ASSERT_EQ(turning.unknowns(), turns);
    const HostMatrix information = turning.information();
    const std::vector<double> toward = turning.toward(left);
    const HostMatrix taken = turning.explained();
    for (Index a = 0; a < turns; ++a) {
      const double* w = planted.w.row(a / 2);
      double along = 0;
      for (Index r = 0; r < cells + 2; ++r) along += seen(r, a) * dot(left.row(r), w, kInputs);
      EXPECT_TRUE(at_most(std::abs(toward[static_cast<std::size_t>(a)] - along), bound));
      for (Index b = 0; b < turns; ++b) {
        double inner = 0;
        for (Index r = 0; r < cells + 2; ++r) inner += seen(r, a) * seen(r, b);
        inner *= dot(w, planted.w.row(b / 2), kInputs);
        EXPECT_TRUE(at_most(std::abs(information(a, b) - inner), bound));
      }
      for (Index i = 0; i < unknowns; ++i) {
        EXPECT_TRUE(at_most(std::abs(taken(i, a) - explained(i, a)), bound / fit.conditioning()));
      }
    }
  }
}

TEST_P(OutputTurnsTest, TurnsAreAcrossTheirDirections) {
  const Planted planted(4);
  const WeightedFit fit = fit_of(device(), planted.planes, planted.above);
  const OutputTurns turning(device(), fit, planted.planes.scales, planted.above, planted.w, kBytes);
  std::vector<double> step;
  for (Index a = 0; a < turning.unknowns(); ++a) step.push_back(static_cast<double>(a));
  const HostMatrix turns = turning.turns(step);
  for (Index j = 0; j < kNeurons; ++j) {
    const double* scale = planted.planes.scales.row(j);
    const double size = std::sqrt(dot(scale, scale, kOutputs));
    const double length = std::hypot(step[static_cast<std::size_t>(2 * j)],
                                     step[static_cast<std::size_t>(2 * j + 1)]);
    EXPECT_TRUE(at_most(std::abs(dot(turns.row(j), scale, kOutputs)) / size,
                        30 * kRounding * std::max(length, 1.0)));
    EXPECT_TRUE(at_most(std::abs(std::sqrt(dot(turns.row(j), turns.row(j), kOutputs)) - length),
                        30 * kRounding * std::max(length, 1.0)));
  }
}

TEST_P(OutputTurnsTest, OneOutputHasNothingToTurn) {
  Hypothesis planes(2, 1);
  planes.base = {0, 0};
  planes.add({1, 0}, -1, {2}, 0, 0);
  const HostMatrix above{{1}, {-1}};
  const WeightedFit fit = fit_of(device(), planes, above);
  const HostMatrix gradients{{1, 0}, {0, 0}};
  EXPECT_EQ(turned_patterns(planes, above).cols(), 0);
  EXPECT_FALSE(turn_outputs(device(), fit, above, HostMatrix{{1, 0}}, fit.unexplained(gradients),
                            kBytes, planes));
  EXPECT_EQ(planes.scales(0, 0), 2);
}

}  // namespace
}  // namespace crease
