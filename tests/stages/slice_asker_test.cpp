// A view of an Asker: a slice's questions are the whole's, and are counted there.
#include "src/stages/slice_asker.hpp"

#include <array>

#include "kernels/ops.hpp"
#include "src/device_network.hpp"
#include "src/stages/slice_lift.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

class SliceAskerTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(SliceAskerTest);

constexpr Index kInputs = 5;
constexpr Index kOutputs = 2;

TEST_P(SliceAskerTest, AsksTheWholeWhereTheSliceIs) {
  const ReluNetwork network = planted_network(kInputs, 7, kOutputs, 3);
  RecordingOracle oracle(network, RecordingOracle::Manner::opaque);
  const RunControl run;
  Asker whole(device(), oracle, run);
  const HostMatrix frame = normals(2, kInputs, 5);
  SliceAsker slice(whole, upload(device(), frame));
  EXPECT_EQ(slice.inputs(), 2);
  EXPECT_EQ(slice.outputs(), kOutputs);

  const HostMatrix t = normals(6, 2, 6);
  const HostMatrix expected = exact_values(network, product(t, frame).value);
  // Points are rounded on their way into the whole: as sums of two products, times the weights.
  const HostMatrix room(6, kOutputs, 60);
  slice.enter("looks");
  const HostMatrix points = download(device(), slice.points(upload(device(), t)));
  EXPECT_TRUE(near_sum(points, expected, room, kInputs + 7));

  const HostMatrix origin{{0, 0}};
  const HostMatrix direction{{1, 0}};
  const std::array<Index, 2> all = {0, 3};
  const HostMatrix along{{0.5, 0}, {1, 0}, {2, 0}};
  const HostMatrix on_line = exact_values(network, product(along, frame).value);
  const DeviceMatrix origin_there = upload(device(), origin);
  const DeviceMatrix direction_there = upload(device(), direction);
  const Lines lines{origin_there, direction_there, all};
  slice.enter("lines");
  EXPECT_TRUE(near_sum(slice.residuals(lines, {0.5, 1, 2}, nullptr), on_line,
                       HostMatrix(3, kOutputs, 60), kInputs + 7));

  // A fan around two points: one point for each centre and direction.
  const HostMatrix centers = normals(2, 2, 8);
  const HostMatrix directions{{1, 0}, {0, 1}};
  const HostMatrix steps(2, 2, 0.25);
  HostMatrix x(0, 2);
  for (Index c = 0; c < 2; ++c) {
    for (Index j = 0; j < 2; ++j) {
      const std::array<double, 2> at = {centers(c, 0) + (j == 0 ? 0.25 : 0),
                                        centers(c, 1) + (j == 1 ? 0.25 : 0)};
      x.append_row(at.data(), 2);
    }
  }
  slice.enter("lift");
  const DeviceMatrix centers_there = upload(device(), centers);
  const DeviceMatrix directions_there = upload(device(), directions);
  const DeviceMatrix steps_there = upload(device(), steps);
  EXPECT_TRUE(near_sum(
      download(device(), slice.fan({centers_there, directions_there, steps_there}, Round::same)),
      exact_values(network, product(x, frame).value), HostMatrix(4, kOutputs, 60), kInputs + 7));

  EXPECT_EQ(slice.asked(), 13);
  EXPECT_EQ(whole.asked(), 13);
  EXPECT_EQ(oracle.points(), 13);
  EXPECT_EQ(whole.rounds(), 2);
  RunReport report;
  slice.warn("careful");
  slice.write(report);
  EXPECT_EQ(report.queries.at("looks"), 6);
  EXPECT_EQ(report.queries.at("lines"), 3);
  EXPECT_EQ(report.queries.at("lift"), 4);
  EXPECT_EQ(report.warnings, std::vector<std::string>{"careful"});
}

TEST_P(SliceAskerTest, TakesAwayWhatIsKnownOfTheSlice) {
  const ReluNetwork network = planted_network(kInputs, 4, 1, 9);
  RecordingOracle oracle(network, RecordingOracle::Manner::structured);
  const RunControl run;
  Asker whole(device(), oracle, run);
  const HostMatrix frame = normals(2, kInputs, 10);
  SliceAsker slice(whole, upload(device(), frame));
  ReluNetwork traces(2, 4, 1);
  traces.weights = product(network.weights, transposed(frame)).value;
  traces.linear = product(network.linear, transposed(frame)).value;
  traces.bias = network.bias;
  traces.output = network.output;
  traces.constant = network.constant;
  const DeviceNetwork known(device(), traces);
  const DeviceMatrix origin = upload(device(), normals(1, 2, 11));
  const DeviceMatrix direction = upload(device(), normals(1, 2, 12));
  const std::array<Index, 2> all = {0, 4};
  slice.enter("lines");
  EXPECT_TRUE(near_sum(slice.residuals({origin, direction, all}, {-3, -1, 0.5, 2}, &known),
                       HostMatrix(4, 1), HostMatrix(4, 1, 100), kInputs + 8));
}

TEST_P(SliceAskerTest, TheLimitIsThatOfTheWhole) {
  const ReluNetwork network = planted_network(kInputs, 4, 1, 9);
  RecordingOracle oracle(network, RecordingOracle::Manner::opaque);
  RunControl run;
  run.budget.queries = 10;
  run.budget.device_bytes = 3 * (kInputs + 1) * 8;  // three points at a time
  Asker whole(device(), oracle, run);
  SliceAsker slice(whole, upload(device(), normals(2, kInputs, 10)));
  slice.enter("looks");
  EXPECT_EQ(slice.points(upload(device(), normals(8, 2, 1))).rows(), 8);
  EXPECT_EQ(whole.rounds(), 1);
  EXPECT_EQ(oracle.batches, (std::vector<Index>{3, 3, 2}));
  EXPECT_EQ(slice.left(), 2);
  EXPECT_THROW(slice.points(upload(device(), normals(3, 2, 2))), EndOfRun);
  slice.limit(std::nullopt);
  EXPECT_NO_THROW(slice.points(upload(device(), normals(3, 2, 2))));
  EXPECT_THROW(SliceAsker(whole, upload(device(), normals(2, kInputs + 1, 1))), BadInput);
}

}  // namespace
}  // namespace crease
