// Answers that come with their standard deviations.
#include "src/stages/ask.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "kernels/ops.hpp"
#include "src/device_network.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/questions.hpp"

namespace crease {
namespace {

using Manner = RecordingOracle::Manner;
constexpr Index kInputs = 3;
constexpr Index kOutputs = 2;
const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

class AskSigmasTest : public EveryBackend {
 protected:
  ReluNetwork network() const { return planted_network(kInputs, 6, kOutputs, 17); }
};
CREASE_ON_EVERY_BACKEND(AskSigmasTest);

TEST_P(AskSigmasTest, StandardDeviationsComeWithTheAnswers) {
  // sigma of output o at x: |x_o|, infinite where x_2 > 1.
  const auto sigmas = [](const double* x, double* sigma) {
    for (Index o = 0; o < kOutputs; ++o) sigma[o] = x[2] > 1 ? kInfinity : std::abs(x[o]);
  };
  const Questions ask(device(), kInputs);
  for (const Manner manner : {Manner::opaque, Manner::structured}) {
    for (const Index rows : {3, 100}) {
      OracleWithSigmas oracle(network(), sigmas, manner);
      RunControl run;
      run.budget.device_bytes = rows * (kInputs + 2 * kOutputs) * 8;
      Asker asker(device(), oracle, run);
      ASSERT_TRUE(asker.knows_sigmas());
      const auto expect_at = [&](ConstDeviceView where, const HostMatrix& values,
                                 const HostMatrix& told) {
        const HostMatrix x = download(device(), where);
        const HostMatrix expected = exact_values(network(), x);
        HostMatrix sigma(x.rows(), kOutputs);
        HostMatrix answered(x.rows(), kOutputs);
        for (Index i = 0; i < x.rows(); ++i) {
          sigmas(x.row(i), sigma.row(i));
          for (Index o = 0; o < kOutputs; ++o) {
            answered(i, o) = std::isinf(sigma(i, o)) ? 0 : expected(i, o);
          }
        }
        EXPECT_TRUE(same_bits(told, sigma));
        EXPECT_TRUE(near_sum(values, answered, HostMatrix(x.rows(), kOutputs, 100), kInputs + 6));
      };
      HostMatrix told;
      const HostMatrix points = download(device(), asker.points(ask.x, Round::next, &told));
      expect_at(ask.x, points, told);
      DeviceMatrix x(device(), 11, kInputs);
      const DeviceMatrix t = upload(device(), ask.where);
      line_points(device(), ask.line().line(0), t, x);
      const HostMatrix line = asker.residuals(ask.line(), ask.t(), nullptr, Round::next, &told);
      expect_at(x, line, told);
      DeviceMatrix fan_x(device(), 15, kInputs);
      fan_points(device(), ask.fan(), fan_x);
      const HostMatrix fan = download(device(), asker.fan(ask.fan(), Round::next, &told));
      expect_at(fan_x, fan, told);
      EXPECT_EQ(asker.asked(), 7 + 11 + 15);
    }
  }
}

TEST_P(AskSigmasTest, ResidualsComeWithTheirStandardDeviationsToo) {
  OracleWithSigmas oracle(network(), [](const double* x, double* sigma) {
    for (Index o = 0; o < kOutputs; ++o) sigma[o] = std::abs(x[o]);
  });
  const RunControl run;
  Asker asker(device(), oracle, run);
  const Questions ask(device(), kInputs);
  const DeviceNetwork known(device(), network());
  HostMatrix told;
  const HostMatrix residuals = asker.residuals(ask.line(), ask.t(), &known, Round::next, &told);
  EXPECT_EQ(told.rows(), 11);
  EXPECT_TRUE(
      near_sum(residuals, HostMatrix(11, kOutputs), HostMatrix(11, kOutputs, 100), kInputs + 6));
}

TEST_P(AskSigmasTest, WhoKnowsNoStandardDeviationsGivesNone) {
  RecordingOracle oracle(network(), Manner::opaque);
  const RunControl run;
  Asker asker(device(), oracle, run);
  const Questions ask(device(), kInputs);
  HostMatrix told(1, 1);
  asker.points(ask.x, Round::next, &told);
  EXPECT_TRUE(told.empty());
  EXPECT_FALSE(asker.knows_sigmas());
}

TEST_P(AskSigmasTest, AnswersThatSayNothingEndWhoCannotDoWithoutThem) {
  OracleWithSigmas oracle(network(), [](const double* x, double* sigma) {
    sigma[0] = 1;
    sigma[1] = x[0] == 0 ? kInfinity : 1;
  });
  const RunControl run;
  Asker asker(device(), oracle, run);
  asker.enter("looks");
  HostMatrix x(3, kInputs, 1.0);
  asker.points(upload(device(), x));
  x(2, 0) = 0;
  const auto question = [&] { asker.points(upload(device(), x)); };
  EXPECT_EQ(outcome_of(question), Outcome::oracle_failed);
  const std::string message = message_of(question);
  EXPECT_NE(message.find("(3 points, stage looks): the oracle gave no information in row 2,"),
            std::string::npos)
      << message;
  HostMatrix told;
  asker.points(upload(device(), x), Round::next, &told);
  EXPECT_EQ(told(2, 1), kInfinity);
}

TEST_P(AskSigmasTest, AStandardDeviationThatIsNoneIsTheOraclesFault) {
  for (const double bad : {-1.0, kNan}) {
    OracleWithSigmas oracle(network(), [bad](const double* x, double* sigma) {
      sigma[0] = 1;
      sigma[1] = x[0] == 0 ? bad : 1;
    });
    const RunControl run;
    Asker asker(device(), oracle, run);
    HostMatrix told;
    asker.points(upload(device(), HostMatrix(3, kInputs, 1.0)), Round::next, &told);
    const auto question = [&] {
      asker.points(upload(device(), HostMatrix(3, kInputs)), Round::next, &told);
    };
    EXPECT_EQ(outcome_of(question), Outcome::oracle_failed);
    EXPECT_NE(message_of(question).find("standard deviation that is negative"), std::string::npos);
  }
}

}  // namespace
}  // namespace crease
