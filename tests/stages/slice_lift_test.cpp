// Slices, the choice of cells, and the lift, from slices that are known exactly.
#include "src/stages/slice_lift.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "src/stages/cells.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/paid.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

class SliceLiftTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(SliceLiftTest);

/// The network on the slice as exact measurements at its origin give it; `error` is said of it.
Hypothesis on_slice(const ReluNetwork& network, const Slice& slice, double error = 1e-13) {
  const Index m = slice.frame.rows();
  const Index p = network.outputs();
  Hypothesis traces(m, p);
  traces.base.assign(static_cast<std::size_t>(m), 0.0);
  const std::vector<double> origin(static_cast<std::size_t>(network.inputs()), 0.0);
  const HostMatrix gradient = exact_gradient(network, origin);
  traces.gradient = product(gradient, transposed(slice.frame)).value;
  traces.constant = transposed(exact_values(network, HostMatrix(1, network.inputs())));
  traces.gradient_noise.assign(static_cast<std::size_t>(p), error);
  for (Index j = 0; j < network.neurons(); ++j) {
    std::vector<double> scale;
    for (Index o = 0; o < p; ++o) scale.push_back(network.output(o, j));
    HostMatrix w(0, network.inputs());
    w.append_row(network.weights.row(j), network.inputs());
    traces.add(row_of(product(w, transposed(slice.frame)).value, 0), network.bias(j, 0), scale,
               error, error);
  }
  return traces;
}

TEST_P(SliceLiftTest, ASliceIsOrthogonalAndStretched) {
  Random random({3});
  for (const auto& [m, d] : {std::pair<Index, Index>{1, 1}, {3, 50}, {7, 7}}) {
    const Slice slice = random_slice(random, m, d);
    const double square = static_cast<double>(d) / static_cast<double>(m);
    EXPECT_EQ(slice.stretch, std::sqrt(square));
    const HostMatrix gram = product(slice.frame, transposed(slice.frame)).value;
    for (Index i = 0; i < m; ++i) {
      for (Index j = 0; j < m; ++j) {
        EXPECT_TRUE(at_most(std::abs(gram(i, j) - (i == j ? square : 0.0)),
                            20 * static_cast<double>(d) * square * kRounding));
      }
    }
  }
  EXPECT_THROW(random_slice(random, 4, 3), BadInput);
}

TEST_P(SliceLiftTest, CellsAreOneMoreThanNeuronsAndNoTwoAlike) {
  const ReluNetwork network = planted_network(40, 9, 1, 5);
  Random random({4});
  const Slice slice = random_slice(random, 5, 40);
  const Hypothesis traces = on_slice(network, slice);
  const LiftCells cells =
      choose_cells(device(), random, traces, slice, 40, relative_noise(1e-16, 1));
  ASSERT_EQ(cells.centers.rows(), 10);
  EXPECT_TRUE(same_bits(cells.above, heights(device(), traces, cells.centers)));
  std::set<std::vector<bool>> patterns_seen;
  for (Index c = 0; c < 10; ++c) {
    EXPECT_GT(cells.step[static_cast<std::size_t>(c)], 0);
    std::vector<bool> active;
    for (Index j = 0; j < 9; ++j) active.push_back(cells.above(c, j) > 0);
    patterns_seen.insert(active);
  }
  EXPECT_EQ(patterns_seen.size(), 10u);
}

TEST_P(SliceLiftTest, WithManyOutputsFewCellsSuffice) {
  const ReluNetwork network = planted_network(40, 24, 6, 6);
  Random random({5});
  const Slice slice = random_slice(random, 5, 40);
  const LiftCells cells =
      choose_cells(device(), random, on_slice(network, slice), slice, 40, relative_noise(1e-16, 6));
  // (24 + 6 + 24 * 5 / 40) / 6 = 5.5 and one more to hold the solution against, at least.
  EXPECT_GE(cells.centers.rows(), 7);
  EXPECT_LE(cells.centers.rows(), 10);
}

TEST_P(SliceLiftTest, PlanesThatAreNotKnownWellEnoughLeaveNoCells) {
  const ReluNetwork network = planted_network(40, 9, 1, 5);
  Random random({4});
  const Slice slice = random_slice(random, 5, 40);
  const Hypothesis vague = on_slice(network, slice, 10.0);
  EXPECT_TRUE(
      choose_cells(device(), random, vague, slice, 40, relative_noise(1e-16, 1)).step.empty());
  RecordingOracle oracle(network, RecordingOracle::Manner::structured);
  const RunControl run;
  Asker asker(device(), oracle, run);
  const Lift lift = lift_slice(asker, random, vague, slice, relative_noise(1e-16, 1));
  EXPECT_FALSE(lift.network.has_value());
  EXPECT_FALSE(lift.reason.empty());
  EXPECT_EQ(asker.asked(), 0);
}

TEST_P(SliceLiftTest, EveryNeuronIsLiftedToWithinItsError) {
  for (const Index p : {1, 3}) {
    const Index d = 60, k = 8;
    const ReluNetwork network = planted_network(d, k, p, 7);
    RecordingOracle oracle(network, RecordingOracle::Manner::structured);
    const RunControl run;
    Asker asker(device(), oracle, run);
    Paid paid(d, p, Index{1} << 30);
    asker.keep(&paid);
    Random random({6});
    const Slice slice = random_slice(random, 6, d);
    const Hypothesis traces = on_slice(network, slice);
    const Lift lift = lift_slice(asker, random, traces, slice, relative_noise(1e-15, p));
    ASSERT_TRUE(lift.network.has_value()) << lift.reason;
    const Hypothesis& got = *lift.network;
    ASSERT_EQ(got.neurons(), k);
    for (Index j = 0; j < k; ++j) {
      const double* w = network.weights.row(j);
      double size = 0;
      for (Index o = 0; o < p; ++o) size += network.output(o, j) * network.output(o, j);
      size = std::sqrt(size);
      const double length = std::sqrt(dot(w, w, d));
      const double* scale = got.scales.row(j);
      const double found = std::sqrt(dot(scale, scale, p));
      const double side = dot(got.normals.row(j), w, d) > 0 ? 1 : -1;
      // Ten standard deviations, and the rounding of the target's own w |u|.
      const double error = std::sqrt(lift.covariance(j, j));
      EXPECT_GT(error, 0);
      for (Index i = 0; i < d; ++i) {
        EXPECT_TRUE(at_most(std::abs(side * found * got.normals(j, i) - size * w[i]),
                            10 * error + 8 * kRounding * size * length))
            << "p=" << p << " j=" << j;
      }
      EXPECT_TRUE(
          at_most(std::abs(side * found * got.bias[static_cast<std::size_t>(j)] -
                           size * network.bias(j, 0)),
                  10 * found * got.offset_error[static_cast<std::size_t>(j)] + 1e2 * kRounding));
    }
    const Index cells = static_cast<Index>(paid.fans().size());
    EXPECT_EQ(asker.asked(), cells * (d + 1) + 16);
    if (p == 1) {
      EXPECT_EQ(cells, k + 1);
    }
    const PaidFan& fan = paid.fans().front();
    HostMatrix x(0, d);
    for (Index l = 0; l < d; ++l) {
      std::vector<double> at = fan.center;
      for (Index i = 0; i < d; ++i) {
        at[static_cast<std::size_t>(i)] +=
            fan.steps[static_cast<std::size_t>(l)] * (*fan.directions)(l, i);
      }
      x.append_row(at.data(), d);
    }
    const HostMatrix expected = exact_values(network, x);
    EXPECT_TRUE(near_sum(fan.answers, expected, HostMatrix(d, p, 300), d + k));
  }
}

TEST_P(SliceLiftTest, OutputDirectionsAreBetterThanTheSlices) {
  const Index d = 60, k = 8, p = 3;
  const ReluNetwork network = planted_network(d, k, p, 7);
  RecordingOracle oracle(network, RecordingOracle::Manner::structured);
  const RunControl run;
  Asker asker(device(), oracle, run);
  Random random({6});
  const Slice slice = random_slice(random, 6, d);
  Hypothesis traces = on_slice(network, slice, 1e-9);
  const Hypothesis exact = traces;
  const HostMatrix errors = normals(k, p, 8);
  for (Index j = 0; j < k; ++j) {
    for (Index o = 0; o < p; ++o) traces.scales(j, o) *= 1 + 1e-9 * errors(j, o);
  }
  const Lift lift = lift_slice(asker, random, traces, slice, relative_noise(1e-15, p));
  ASSERT_TRUE(lift.network.has_value()) << lift.reason;
  const auto apart = [&](const Hypothesis& found) {
    double most = 0;
    for (Index j = 0; j < k; ++j) {
      const double a = std::sqrt(dot(found.scales.row(j), found.scales.row(j), p));
      const double b = std::sqrt(dot(exact.scales.row(j), exact.scales.row(j), p));
      for (Index o = 0; o < p; ++o) {
        most = std::max(most, std::abs(found.scales(j, o) / a - exact.scales(j, o) / b));
      }
    }
    return most;
  };
  EXPECT_LT(apart(*lift.network), apart(traces) / 100);
}

TEST_P(SliceLiftTest, ASliceThatLacksANeuronIsGivenUp) {
  const ReluNetwork network = planted_network(40, 9, 1, 5);
  RecordingOracle oracle(network, RecordingOracle::Manner::structured);
  const RunControl run;
  Asker asker(device(), oracle, run);
  Random random({4});
  const Slice slice = random_slice(random, 5, 40);
  Hypothesis traces = on_slice(network, slice);
  traces.remove({4});
  const Lift lift = lift_slice(asker, random, traces, slice, relative_noise(1e-16, 1));
  EXPECT_FALSE(lift.network.has_value());
  EXPECT_NE(lift.reason.find("unlike those of the slice"), std::string::npos) << lift.reason;
}

TEST_P(SliceLiftTest, AnAffineFunctionIsOneFan) {
  for (const Index p : {1, 2}) {
    const ReluNetwork network = planted_network(20, 0, p, 5);
    RecordingOracle oracle(network, RecordingOracle::Manner::structured);
    const RunControl run;
    Asker asker(device(), oracle, run);
    Random random({4});
    const Slice slice = random_slice(random, 4, 20);
    const Lift lift =
        lift_slice(asker, random, on_slice(network, slice), slice, relative_noise(1e-15, p));
    ASSERT_TRUE(lift.network.has_value()) << lift.reason;
    EXPECT_EQ(lift.network->neurons(), 0);
    EXPECT_EQ(asker.asked(), 21 + 16);
    EXPECT_TRUE(
        at_most(distance(lift.network->gradient, network.linear),
                10 * std::sqrt(20.0 * static_cast<double>(p)) * lift.network->gradient_noise[0]));
  }
}

}  // namespace
}  // namespace crease
