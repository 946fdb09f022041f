// A black box whose answers are rounded, or noisy.
#include <crease/oracle.hpp>

#include <gtest/gtest.h>

#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr Index kInputs = 4;
constexpr Index kOutputs = 2;

class ImperfectOracleTest : public EveryBackend {
 protected:
  ReluNetwork network() const { return planted_network(kInputs, 6, kOutputs, 3); }
  /// `exact`, brought into a format.
  HostMatrix imperfect(const HostMatrix& exact, const Imperfection& format) {
    DeviceMatrix y = upload(device(), exact);
    if (format.kind == Imperfection::Kind::noise) {
      add_answer_noise(device(), format.seed, format.deviation, y);
    } else {
      round_answers(device(), format, y);
    }
    return download(device(), y);
  }
};
CREASE_ON_EVERY_BACKEND(ImperfectOracleTest);

std::vector<Imperfection> every_format() {
  std::vector<Imperfection> formats(5);
  using Kind = Imperfection::Kind;
  const Kind kinds[] = {Kind::float64, Kind::float32, Kind::float16, Kind::decimals, Kind::noise};
  for (std::size_t i = 0; i < formats.size(); ++i) {
    formats[i].kind = kinds[i];
    formats[i].decimals = 3;
    formats[i].deviation = 0.01;
    formats[i].seed = Seed{5};
  }
  return formats;
}

TEST_P(ImperfectOracleTest, EveryKindOfBatchIsWhatTheOracleAnswersInTheFormat) {
  const std::unique_ptr<Oracle> exact = make_network_oracle(network());
  const DeviceMatrix x = upload(device(), normals(9, kInputs, 1));
  const DeviceMatrix directions = upload(device(), normals(3, kInputs, 2));
  const DeviceMatrix steps = upload(device(), normals(9, 3, 4));
  const DeviceMatrix t = upload(device(), normals(11, 1, 5));
  const std::vector<Index> first = {0, 4, 11};
  const Line line = {x.view().row_block(0, 1), directions.view().row_block(0, 1)};
  const Lines lines = {x.view().row_block(0, 2), directions.view().row_block(0, 2), first};
  const Fan fan = {x, directions, steps};
  DeviceMatrix nine(device(), 9, kOutputs);
  DeviceMatrix eleven(device(), 11, kOutputs);
  DeviceMatrix fans(device(), 27, kOutputs);
  for (const Imperfection& format : every_format()) {
    const std::unique_ptr<Oracle> oracle =
        make_imperfect_oracle(make_network_oracle(network()), format);
    EXPECT_EQ(oracle->input_dim(), kInputs);
    EXPECT_EQ(oracle->output_dim(), kOutputs);
    const auto both = [&](DeviceMatrix& y, const auto& ask) {
      ASSERT_TRUE(ask(*exact));
      const HostMatrix expected = imperfect(download(device(), y), format);
      ASSERT_TRUE(ask(*oracle));
      EXPECT_TRUE(same_bits(download(device(), y), expected));
      EXPECT_TRUE(ask(*oracle));
      EXPECT_TRUE(same_bits(download(device(), y), expected)) << "asked again, answered alike";
    };
    both(nine, [&](Oracle& o) {
      o.answer(device(), x, nine);
      return true;
    });
    both(eleven, [&](Oracle& o) { return o.answer_line(device(), line, t, eleven); });
    both(eleven, [&](Oracle& o) { return o.answer_lines(device(), lines, t, eleven); });
    both(fans, [&](Oracle& o) { return o.answer_fan(device(), fan, fans); });
  }
}

TEST_P(ImperfectOracleTest, AnOracleOfPointsAloneStaysOne) {
  Imperfection format;
  format.kind = Imperfection::Kind::float16;
  const auto oracle = make_imperfect_oracle(
      std::make_unique<RecordingOracle>(network(), RecordingOracle::Manner::opaque), format);
  const DeviceMatrix row = upload(device(), normals(1, kInputs, 1));
  const DeviceMatrix t = upload(device(), HostMatrix{{1}, {2}});
  const HostMatrix before = {{0.1, 0.1}, {0.1, 0.1}};
  DeviceMatrix y = upload(device(), before);
  EXPECT_FALSE(oracle->answer_line(device(), {row, row}, t, y));
  EXPECT_FALSE(
      oracle->answer_fan(device(), {row, row, t.view().row_block(0, 1)}, y.view().row_block(0, 1)));
  EXPECT_TRUE(same_bits(download(device(), y), before));
}

TEST(ImperfectOracleDataTest, WhatCostNothingBehindItCostsNothing) {
  class Reusing final : public Oracle {
   public:
    Index input_dim() const override { return 1; }
    Index output_dim() const override { return 1; }
    void answer(Device&, ConstDeviceView, DeviceView) override {}
    Index reused() const override { return 7; }
  };
  EXPECT_EQ(make_imperfect_oracle(std::make_unique<Reusing>(), {})->reused(), 7);
}

TEST(ImperfectOracleDataTest, FormatsThatAreNoneAreRefused) {
  const auto refused = [](Imperfection format) {
    EXPECT_THROW(make_imperfect_oracle(make_network_oracle(planted_network(3, 2, 1, 1)), format),
                 BadInput);
  };
  Imperfection format;
  EXPECT_THROW(make_imperfect_oracle(nullptr, format), BadInput);
  format.decimals = 23;
  refused(format);
  format.decimals = -1;
  refused(format);
  format.decimals = 0;
  format.deviation = -1;
  refused(format);
  format.deviation = std::numeric_limits<double>::quiet_NaN();
  refused(format);
}

}  // namespace
}  // namespace crease
