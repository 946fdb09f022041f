// The uniform scan: biases, gradients, pieces and pairs on planted functions.
#include "src/stages/uniform.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"

namespace crease {
namespace {

constexpr double kU = 0x1p-53;

/// Two inputs, two outputs, every number a small multiple of 1/4: all sums are exact.
ReluNetwork dyadic() {
  ReluNetwork network(2, 2, 2);
  network.weights = {{1, 0.5}, {-2, 1}};
  network.bias = {{3}, {-20}};
  network.output = {{2, 1}, {-1, 4}};
  network.linear = {{0, 1}, {0.5, -0.25}};
  network.constant = {{0.25}, {-1}};
  return network;
}

class UniformTest : public EveryBackend {
 protected:
  void ask(ReluNetwork network) {
    oracle_ = make_network_oracle(std::move(network));
    asker_.emplace(device(), *oracle_, run_);
  }
  Asker& asker() { return *asker_; }

  RunControl run_;

 private:
  std::unique_ptr<Oracle> oracle_;
  std::optional<Asker> asker_;
};

TEST_P(UniformTest, GetBiasIsTheInterceptOfThePiece) {
  ask(dyadic());
  // At x = (1 + t, 2): the first neuron is 5 + t, the second -20 - 2 t; kinks at t = -5 and -10.
  // The other line is the same from 8 on.
  const DeviceMatrix origins = upload(device(), HostMatrix{{1, 2}, {9, 2}});
  const DeviceMatrix directions = upload(device(), HostMatrix{{1, 0}, {1, 0}});
  const std::vector<Index> first = {0, 3, 4};

  const HostMatrix slopes =
      get_slopes(asker(), {origins, directions, first}, {2, -7, -12, -15}, 0.5);
  EXPECT_TRUE(same_bits(slopes, {{2, -0.5}, {0, 0.5}, {-2, -7.5}, {0, 0.5}}));
  EXPECT_EQ(asker().asked(), 8);
  EXPECT_EQ(asker().rounds(), 1);

  const HostMatrix values = {{16.25, -7}, {2.25, -4.5}, {6.25, 9}};
  EXPECT_TRUE(same_bits(get_bias(values, slopes, 0, {2, -7, -12}),
                        {{12.25, -6}, {2.25, -1}, {-17.75, -81}}));
  EXPECT_TRUE(same_bits(get_bias({{2.25, -4.5}}, slopes, 3, {-15}), {{2.25, 3}}));
}

TEST_P(UniformTest, GetGradientIsTheGradientOfThePiece) {
  ask(dyadic());
  const DeviceMatrix x = upload(device(), HostMatrix{{3, 2}, {-6, 2}, {-11, 2}});
  const DeviceMatrix basis = upload(device(), HostMatrix{{0, 1}, {-1, 0}});

  const Gradients found = get_gradient(asker(), x, basis, 0x1p-4);

  EXPECT_TRUE(same_bits(found.values, {{16.25, -7}, {2.25, -4.5}, {6.25, 9}}));
  EXPECT_TRUE(same_bits(found.gradients,
                        {{2, 2}, {-0.5, -0.75}, {0, 1}, {0.5, -0.25}, {-2, 2}, {-7.5, 3.75}}));
  EXPECT_EQ(asker().asked(), 9);
}

TEST_P(UniformTest, GetGradientCrossesAHyperplaneThatIsNearerThanItsStep) {
  ask(dyadic());
  // The first neuron is 1/8 there: (6) fails for a step of 1.
  const DeviceMatrix x = upload(device(), HostMatrix{{-3.5, 1.25}});
  const DeviceMatrix basis = upload(device(), HostMatrix{{-1, 0}, {0, 1}});

  const Gradients wrong = get_gradient(asker(), x, basis, 1);
  const Gradients right = get_gradient(asker(), x, basis, 0x1p-4);

  EXPECT_EQ(wrong.gradients(0, 0), 0.25);
  EXPECT_TRUE(same_bits(right.gradients, {{2, 2}, {-0.5, -0.75}}));
}

TEST_P(UniformTest, ARandomBasisGivesTheSameGradientUpToTheNoiseOfTheAnswers) {
  const Index d = 7;
  ReluNetwork network(d, 1, 1);
  for (Index i = 0; i < d; ++i) network.weights(0, i) = 0.25 * static_cast<double>(i + 1);
  network.bias(0, 0) = 5;
  network.output(0, 0) = 2;
  ask(network);
  Random random(Seed{3});
  DeviceMatrix basis = random.gaussian_points(device(), Stream::directions, d, d);
  orthonormal_rows(device(), basis);
  const HostMatrix x(1, d, 0.5);
  const double step = 0x1p-8;

  const HostMatrix got = get_gradient(asker(), upload(device(), x), basis, step).gradients;

  // Every answer is a sum of d + 2 terms of 2 (w x) and 10, off by (d + 2) u of their size, and so
  // is its point; a difference has two of each, and the rows are orthonormal to 10 d eps.
  double size = 10;
  double weight = 0;
  for (Index i = 0; i < d; ++i) {
    size += 2 * std::abs(network.weights(0, i)) * (std::abs(x(0, i)) + step);
    weight = std::hypot(weight, 2 * network.weights(0, i));
  }
  const double one = 4 * static_cast<double>(d + 2) * kU * size / step;
  const double bound = std::sqrt(static_cast<double>(d)) * one + 20.0 * d * 2 * kU * weight;
  double error = 0;
  for (Index i = 0; i < d; ++i) error = std::hypot(error, got(0, i) - 2 * network.weights(0, i));
  EXPECT_TRUE(at_most(error, bound));
}

std::vector<ScannedLine> scan(Asker& asker, Seed seed, const QueryPlan& plan, Index bytes,
                              NoiseModel noise) {
  Random random(seed);
  std::vector<ScannedLine> lines;
  scan_lines(asker, random, uniform_grid(plan, asker.inputs()), plan, bytes, noise,
             [&](ScannedLine line) { lines.push_back(std::move(line)); });
  return lines;
}

QueryPlan small_plan() {
  QueryPlan plan;
  plan.uniform_lines = 1;
  plan.uniform_intervals = 64;
  return plan;
}

TEST_P(UniformTest, IntervalsOfOnePieceBecomeOneAlsoBeyondABump) {
  // A triangle on the line: outside, up, down, and outside again.
  ReluNetwork bump(1, 3, 1);
  bump.weights = {{1}, {1}, {1}};
  bump.bias = {{0.5}, {0}, {-0.5}};
  bump.output = {{1, -2, 1}};
  bump.constant = {{1}};
  ask(bump);
  const QueryPlan plan = small_plan();
  const UniformGrid grid = uniform_grid(plan, 1);

  const ScannedLine line =
      scan(asker(), Seed{0}, plan, Index{1} << 20, {{0}, {4 * kU}, "float64"})[0];

  ASSERT_LT(std::abs(line.origin[0]) + 0.5, plan.uniform_span);  // the bump is on the line
  ASSERT_EQ(line.pieces.size(), 3u);
  Index counted = line.rejected;
  for (const UniformPiece& piece : line.pieces) counted += piece.count;
  EXPECT_EQ(counted, grid.intervals);
  EXPECT_LE(line.rejected, 3);  // an interval for every kink
}

TEST_P(UniformTest, BlocksOfAnySizeAskTheSameAndSeeTheSame) {
  QueryPlan plan = small_plan();
  plan.uniform_lines = 3;
  const auto scan_in = [&](Index bytes) {
    ask(dyadic());
    return scan(asker(), Seed{5}, plan, bytes, {{0, 0}, {8 * kU, 8 * kU}, "float64"});
  };
  // All lines at once, each in two blocks (a line takes 64 x 336 bytes), interval by interval.
  const std::vector<ScannedLine> whole = scan_in(Index{1} << 24);
  const Index asked = asker().asked();
  EXPECT_EQ(asked, 3 * 64 * 5);
  for (const Index bytes : {Index{15000}, Index{1}}) {
    const std::vector<ScannedLine> other = scan_in(bytes);
    EXPECT_EQ(asked, asker().asked());
    ASSERT_EQ(whole.size(), 3u);
    ASSERT_EQ(other.size(), 3u);
    for (std::size_t l = 0; l < 3; ++l) {
      EXPECT_EQ(whole[l].origin, other[l].origin);
      EXPECT_EQ(whole[l].rejected, other[l].rejected);
      ASSERT_EQ(whole[l].pieces.size(), other[l].pieces.size());
      for (std::size_t i = 0; i < whole[l].pieces.size(); ++i) {
        EXPECT_EQ(whole[l].pieces[i].count, other[l].pieces[i].count);
      }
    }
  }
}

TEST_P(UniformTest, TheSlopesOfAllLinesAreOneBatch) {
  RecordingOracle oracle(dyadic(), RecordingOracle::Manner::opaque);
  Asker asker(device(), oracle, run_);
  QueryPlan plan = small_plan();
  plan.uniform_lines = 3;
  EXPECT_EQ(
      scan(asker, Seed{5}, plan, Index{1} << 24, {{0, 0}, {8 * kU, 8 * kU}, "float64"}).size(), 3u);
  // Two points an interval for every line; then a fan of d + 1 for each.
  EXPECT_EQ(oracle.batches, (std::vector<Index>{3 * 64 * 2, 64 * 3, 64 * 3, 64 * 3}));
  EXPECT_EQ(asker.rounds(), 1);
}

/// Two pieces of a line through `origin` along the first axis that meet at <w, x> = b with jump w.
ScannedLine planted_line(std::vector<double> origin, const std::vector<double>& w, double b) {
  ScannedLine line;
  const auto d = static_cast<Index>(origin.size());
  line.direction.assign(origin.size(), 0.0);
  line.direction[0] = 1;
  UniformPiece before;
  before.count = 4;
  before.first = -4;
  before.last = -1;
  before.first_value = before.last_value = {0};
  before.gradient = HostMatrix(1, d);
  before.bias = {0};
  before.gradient_noise = {1e-12};
  before.bias_noise = {1e-12};
  UniformPiece after = before;
  after.first = 1;
  after.last = 4;
  double at_origin = -b;
  for (Index i = 0; i < d; ++i) {
    after.gradient(0, i) = w[static_cast<std::size_t>(i)];
    at_origin += w[static_cast<std::size_t>(i)] * origin[static_cast<std::size_t>(i)];
  }
  after.bias = {at_origin};
  line.origin = std::move(origin);
  line.pieces = {before, after};
  return line;
}

const NoiseModel kQuiet{{0}, {1e-16}, "float64"};

TEST_P(UniformTest, GetNeuronsFindsTheHyperplaneWherePiecesMeet) {
  const ScannedLine line = planted_line({0.5, 2, -1}, {3, 0, 4}, 2);

  const NeuronList list = get_neurons(device(), {line}, kQuiet, small_plan(), 10, Index{1} << 20);

  ASSERT_EQ(list.neurons.size(), 1u);
  EXPECT_EQ(list.pairs, 1);
  EXPECT_EQ(list.left_out, 0);
  const CandidateNeuron& neuron = list.neurons[0];
  EXPECT_EQ(neuron.size, 5);
  // Not active at the origin: relu(<w, x> - 2) / 5, and 2 / 5 is off by a rounding or two.
  EXPECT_TRUE(at_most(std::abs(neuron.normal[0] - 0.6), 2 * kU));
  EXPECT_TRUE(at_most(std::abs(neuron.normal[1]), 0));
  EXPECT_TRUE(at_most(std::abs(neuron.normal[2] - 0.8), 2 * kU));
  EXPECT_TRUE(at_most(std::abs(neuron.bias + 0.4), 8 * kU));
}

TEST_P(UniformTest, OneHyperplaneMetOnSeveralLinesIsOneNeuronWhateverItsSide) {
  const std::vector<ScannedLine> lines = {planted_line({0.5, 2, -1}, {3, 0, 4}, 2),
                                          planted_line({-1, 0, 3}, {-3, 0, -4}, -2),
                                          planted_line({0, 1, 1}, {3, 1, 4}, 2)};

  const NeuronList list = get_neurons(device(), lines, kQuiet, small_plan(), 10, Index{1} << 20);

  ASSERT_EQ(list.neurons.size(), 2u);
  std::vector<std::size_t> met = {list.neurons[0].lines.size(), list.neurons[1].lines.size()};
  std::sort(met.begin(), met.end());
  EXPECT_EQ(met, (std::vector<std::size_t>{1, 2}));
}

TEST_P(UniformTest, PairsBeyondThePromisedBoundsAreDropped) {
  const ScannedLine line = planted_line({0.5, 2, -1}, {3, 0, 4}, 2);
  const auto count = [&](std::optional<double> weight, std::optional<double> bias) {
    QueryPlan plan = small_plan();
    plan.uniform_weight_bound = weight;
    plan.uniform_bias_bound = bias;
    return get_neurons(device(), {line}, kQuiet, plan, 10, Index{1} << 20).neurons.size();
  };

  EXPECT_EQ(count(5.0, 2.5), 1u);
  EXPECT_EQ(count(4.9, {}), 0u);
  EXPECT_EQ(count({}, 1.9), 0u);
}

TEST_P(UniformTest, AFullListSaysHowManyPairsItLeftOut) {
  const std::vector<ScannedLine> lines = {planted_line({0.5, 2, -1}, {3, 0, 4}, 2),
                                          planted_line({0, 1, 1}, {3, 1, 4}, 2),
                                          planted_line({0, 1, 1}, {3, 2, 4}, 2)};

  const NeuronList list = get_neurons(device(), lines, kQuiet, small_plan(), 2, Index{1} << 20);

  EXPECT_EQ(list.neurons.size(), 2u);
  EXPECT_EQ(list.left_out, 1);
}

TEST_P(UniformTest, OfSeveralOutputsThePartOfRankOneIsTheCandidate) {
  ScannedLine line = planted_line({0.5, 2, -1}, {3, 0, 4}, 2);
  const auto widen = [&](double second_output, double off_rank) {
    ScannedLine wide = line;
    for (UniformPiece& piece : wide.pieces) {
      HostMatrix gradient(2, 3);
      for (Index i = 0; i < 3; ++i) {
        gradient(0, i) = piece.gradient(0, i);
        gradient(1, i) = second_output * piece.gradient(0, i);
      }
      if (&piece == &wide.pieces[1]) gradient(1, 1) += off_rank;
      piece.gradient = gradient;
      piece.bias.push_back(second_output * piece.bias[0]);
      piece.gradient_noise.push_back(1e-12);
      piece.bias_noise.push_back(1e-12);
    }
    const NoiseModel noise{{0, 0}, {1e-16, 1e-16}, "float64"};
    return get_neurons(device(), {wide}, noise, small_plan(), 10, Index{1} << 20).neurons;
  };

  const std::vector<CandidateNeuron> one = widen(-2, 0);
  ASSERT_EQ(one.size(), 1u);
  // |u| |w| = 5 sqrt(5); a singular value decomposition is off by a few eps times its size.
  EXPECT_TRUE(at_most(std::abs(one[0].size - 5 * std::sqrt(5.0)), 100 * kU * 12));
  EXPECT_TRUE(at_most(std::abs(std::abs(one[0].normal[0]) - 0.6), 100 * kU));
  EXPECT_TRUE(at_most(std::abs(one[0].bias + 0.4), 100 * kU));
  EXPECT_TRUE(widen(-2, 3).empty());  // two hyperplanes at once
}

CREASE_ON_EVERY_BACKEND(UniformTest);

TEST(UniformGridTest, AResolutionMakesTheGridFineEnough) {
  QueryPlan plan;
  plan.uniform_lines = 10;
  plan.uniform_intervals = 64;
  plan.uniform_density = 150;
  plan.resolution = 0.05;
  const UniformGrid grid = uniform_grid(plan, 4);

  EXPECT_EQ(grid.intervals, 300);
  EXPECT_EQ(grid.span, 6);
  EXPECT_EQ(grid.length, 12.0 / 300);
  EXPECT_EQ(grid.middle(0), -6 + 0.5 * grid.length);
  plan.resolution = 1;
  EXPECT_EQ(uniform_grid(plan, 4).intervals, 64);
  plan.resolution = 1e-300;
  EXPECT_THROW(uniform_grid(plan, 4), BadInput);
}

}  // namespace
}  // namespace crease
