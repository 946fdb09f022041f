// What was paid for is kept as it was answered, within its memory.
#include "src/stages/paid.hpp"

#include <gtest/gtest.h>

#include <array>

#include "src/device_network.hpp"
#include "src/stages/ask.hpp"
#include "src/stages/measurement.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

constexpr Index kInputs = 4;
constexpr Index kOutputs = 2;
constexpr Index kPlenty = Index{1} << 20;

PaidFan fan_of(std::shared_ptr<const HostMatrix> directions) {
  PaidFan fan;
  fan.center.assign(kInputs, 0.5);
  fan.steps.assign(static_cast<std::size_t>(directions->rows()), 0.25);
  fan.answers = normals(directions->rows(), kOutputs, 3);
  fan.center_answer.assign(kOutputs, 1.0);
  fan.center_noise.assign(kOutputs, 1e-16);
  fan.directions = std::move(directions);
  return fan;
}

std::shared_ptr<const HostMatrix> some_directions(std::uint64_t seed) {
  return std::make_shared<const HostMatrix>(normals(kInputs, kInputs, seed));
}

/// Bytes of a fan beside its directions, and of the directions.
constexpr Index kFanBytes = (kInputs + kInputs * kOutputs + kInputs) * 8;
constexpr Index kDirectionBytes = kInputs * kInputs * 8;
constexpr Index kPointBytes = (kInputs + kOutputs) * 8;

TEST(PaidTest, FansThatShareDirectionsPayForThemOnce) {
  Paid paid(kInputs, kOutputs, kPlenty);
  const auto shared = some_directions(1);

  paid.add_fan(fan_of(shared));
  paid.add_fan(fan_of(shared));
  paid.add_fan(fan_of(some_directions(2)));

  EXPECT_EQ(paid.fans().size(), 3U);
  EXPECT_EQ(paid.bytes(), 3 * kFanBytes + 2 * kDirectionBytes);
}

TEST(PaidTest, PointsGiveWayToFans) {
  Paid paid(kInputs, kOutputs, kFanBytes + kDirectionBytes);
  paid.add_points(normals(3, kInputs, 4), normals(3, kOutputs, 5));
  ASSERT_EQ(paid.points().rows(), 3);

  paid.add_fan(fan_of(some_directions(1)));

  EXPECT_EQ(paid.fans().size(), 1U);
  EXPECT_EQ(paid.points().rows(), 0);
  EXPECT_EQ(paid.dropped_points(), 3);
  EXPECT_EQ(paid.dropped_fans(), 0);
}

TEST(PaidTest, NothingIsKeptBeyondItsMemory) {
  Paid paid(kInputs, kOutputs, kFanBytes + kDirectionBytes + 2 * kPointBytes);
  paid.add_fan(fan_of(some_directions(1)));

  paid.add_fan(fan_of(some_directions(2)));
  paid.add_points(normals(3, kInputs, 4), normals(3, kOutputs, 5));

  EXPECT_EQ(paid.fans().size(), 1U);
  EXPECT_EQ(paid.dropped_fans(), 1);
  EXPECT_EQ(paid.points().rows(), 2);
  EXPECT_EQ(paid.dropped_points(), 1);
  EXPECT_EQ(paid.bytes(), kFanBytes + kDirectionBytes + 2 * kPointBytes);
}

TEST(PaidTest, PointsFarOutAreNotKept) {
  Paid paid(kInputs, kOutputs, kPlenty);
  HostMatrix x(2, kInputs);
  x(0, 0) = paid.reach();
  x(1, 0) = 1.001 * paid.reach();

  paid.add_points(x, HostMatrix(2, kOutputs));

  EXPECT_EQ(paid.points().rows(), 1);
  EXPECT_EQ(paid.dropped_points(), 0);
}

TEST(PaidTest, RefusesPartsOfDifferentShapes) {
  Paid paid(kInputs, kOutputs, kPlenty);
  PaidFan fan = fan_of(some_directions(1));
  fan.steps.pop_back();

  EXPECT_THROW(paid.add_fan(std::move(fan)), BadInput);
  EXPECT_THROW(paid.add_points(HostMatrix(2, kInputs), HostMatrix(1, kOutputs)), BadInput);
}

class PaidAnswersTest : public EveryBackend {
 protected:
  ReluNetwork network() const { return planted_network(kInputs, 6, kOutputs, 17); }
};
CREASE_ON_EVERY_BACKEND(PaidAnswersTest);

TEST_P(PaidAnswersTest, ResidualsAreKeptAsAnswersOfTheFunction) {
  RecordingOracle oracle(network(), RecordingOracle::Manner::opaque);
  const RunControl control;
  Asker asker(device(), oracle, control);
  Paid paid(kInputs, kOutputs, kPlenty);
  asker.keep(&paid);
  asker.enter("lines");
  const DeviceMatrix origin = upload(device(), normals(1, kInputs, 1));
  const DeviceMatrix direction = upload(device(), normals(1, kInputs, 2));
  const DeviceNetwork known(device(), planted_network(kInputs, 3, kOutputs, 18));
  const std::array<Index, 2> first = {0, 3};

  asker.residuals({origin, direction, first}, {-1.0, 0.25, 2.0}, &known);

  ASSERT_EQ(paid.points().rows(), 3);
  EXPECT_TRUE(same_bits(paid.answers(), evaluate(device(), network(), paid.points())));
  HostMatrix expected(3, kInputs);
  const HostMatrix from = normals(1, kInputs, 1);
  const HostMatrix along = normals(1, kInputs, 2);
  for (Index j = 0; j < kInputs; ++j) {
    expected(0, j) = from(0, j) - along(0, j);
    expected(1, j) = from(0, j) + 0.25 * along(0, j);
    expected(2, j) = from(0, j) + 2.0 * along(0, j);
  }
  EXPECT_TRUE(same_bits(paid.points(), expected));
}

TEST_P(PaidAnswersTest, TheCertificatesPointsAreNotKept) {
  RecordingOracle oracle(network(), RecordingOracle::Manner::opaque);
  const RunControl control;
  Asker asker(device(), oracle, control);
  Paid paid(kInputs, kOutputs, kPlenty);
  asker.keep(&paid);
  const DeviceMatrix x = upload(device(), normals(5, kInputs, 1));

  asker.enter("looks");
  asker.points(x);
  asker.enter("certificate");
  asker.points(x);

  EXPECT_EQ(paid.points().rows(), 5);
}

TEST_P(PaidAnswersTest, GradientsKeepTheirFansAsAnswersOfTheFunction) {
  const ReluNetwork truth = network();
  RecordingOracle oracle(truth, RecordingOracle::Manner::opaque);
  const RunControl control;
  Asker asker(device(), oracle, control);
  Paid paid(kInputs, kOutputs, kPlenty);
  asker.keep(&paid);
  const SearchedLine line =
      perfect_line(truth, row_of(normals(1, kInputs, 8), 0), {0.5, 0.5, 0.5, 0.5}, kRounding);
  const NoiseModel noise = relative_noise(kRounding, kOutputs);
  const QueryPlan plan;
  Random random{Seed{3}};
  Hypothesis none(kInputs, kOutputs);
  MeasuredPieces pieces = prepare_pieces(line, noise, plan);

  measure_gradients(asker, line, noise, none, nullptr, GapPolicy{plan.gap_accuracy}, plan, random,
                    pieces);

  ASSERT_FALSE(paid.fans().empty());
  for (const PaidFan& fan : paid.fans()) {
    HostMatrix x(kInputs, kInputs);
    for (Index j = 0; j < kInputs; ++j) {
      for (Index i = 0; i < kInputs; ++i) {
        x(j, i) = fan.center[static_cast<std::size_t>(i)] +
                  fan.steps[static_cast<std::size_t>(j)] * (*fan.directions)(j, i);
      }
    }
    EXPECT_TRUE(same_bits(fan.answers, evaluate(device(), truth, x)));
  }
}

}  // namespace
}  // namespace crease
