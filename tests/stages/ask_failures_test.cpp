// What the Asker makes of an oracle that fails.
#include "src/stages/ask.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <stdexcept>
#include <string>

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
constexpr Index kRowBytes = (kInputs + kOutputs) * 8;  // of one point and its answer
const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

class AskFailuresTest : public EveryBackend {
 protected:
  ReluNetwork network() const { return planted_network(kInputs, 6, kOutputs, 17); }
};
CREASE_ON_EVERY_BACKEND(AskFailuresTest);

TEST_P(AskFailuresTest, AResidualThatIsNoNumberIsTheOraclesFaultByItsRow) {
  const LinesQuestion ask(device(), kInputs);
  const RunControl run;
  const DeviceNetwork known(device(), planted_network(kInputs, 4, kOutputs, 23));
  RecordingOracle oracle(network(), Manner::opaque);
  Asker asker(device(), oracle, run);
  asker.residuals(ask.lines(), ask.on_host(), &known);
  for (const double lie : {kNan, kInfinity, -kInfinity}) {
    oracle.after = [&](Device& on, DeviceView y) {
      on.copy_in(HostMatrix(1, 1, lie), y.row_block(6, 1).col_block(1, 1));
    };
    const auto question = [&] { asker.residuals(ask.lines(), ask.on_host(), &known); };
    EXPECT_EQ(outcome_of(question), Outcome::oracle_failed);
    EXPECT_NE(message_of(question).find("row 6 "), std::string::npos) << message_of(question);
    EXPECT_EQ(asker.asked(), 11);
  }
}

TEST_P(AskFailuresTest, TheFirstAnswerThatIsNoNumberIsNamedByItsRow) {
  for (const double lie : {kNan, kInfinity, -kInfinity}) {
    for (const bool first : {true, false}) {
      RecordingOracle oracle(network(), Manner::opaque);
      RunControl run;
      run.budget.device_bytes = 2 * kRowBytes;  // rows count over the batch, not over a chunk
      Asker asker(device(), oracle, run);
      asker.enter("lines");
      const Questions ask(device(), kInputs);
      if (!first) asker.points(ask.x);
      oracle.batches.clear();
      oracle.after = [&](Device& on, DeviceView y) {
        if (oracle.batches.size() != 3) return;  // rows 4 and 5
        HostMatrix wrong(1, 1, lie);
        on.copy_in(wrong, y.row_block(1, 1).col_block(1, 1));
      };
      const auto question = [&] { asker.residuals(ask.line(), ask.t(), nullptr); };
      std::string message;
      if (first) {
        EXPECT_THROW(question(), OracleError);
        oracle.batches.clear();
        message = message_of(question);
      } else {
        EXPECT_EQ(outcome_of(question), Outcome::oracle_failed);
        oracle.batches.clear();
        message = message_of(question);
      }
      EXPECT_NE(message.find("row 5 "), std::string::npos) << message;
      EXPECT_NE(message.find("lines"), std::string::npos) << message;
      EXPECT_EQ(asker.asked(), first ? 0 : 7) << "a refused batch is not an answer";
    }
  }
}

TEST_P(AskFailuresTest, AnOracleThatThrowsEndsTheRunWithItsOwnWords) {
  RecordingOracle oracle(network(), Manner::structured);
  const RunControl run;
  Asker asker(device(), oracle, run);
  const Questions ask(device(), kInputs);
  oracle.after = [](Device&, DeviceView) { throw std::runtime_error("the line was cut"); };
  EXPECT_THROW(asker.fan(ask.fan()), OracleError);
  asker.enter("lines");
  EXPECT_EQ(message_of([&] { asker.points(ask.x); }),
            "batch 1 (7 points, stage lines): the line was cut");
  oracle.after = nullptr;
  asker.points(ask.x);
  oracle.after = [](Device&, DeviceView) { throw std::runtime_error("the line was cut"); };
  EXPECT_EQ(outcome_of([&] { asker.residuals(ask.line(), ask.t(), nullptr); }),
            Outcome::oracle_failed);
  EXPECT_EQ(message_of([&] { asker.residuals(ask.line(), ask.t(), nullptr); }),
            "batch 2 (11 points, stage lines): the line was cut");
}

/// An oracle's `after` that throws at its next so many calls.
std::function<void(Device&, DeviceView)> failing(Index times) {
  return [times](Device&, DeviceView) mutable {
    if (times-- > 0) throw std::runtime_error("the line was cut");
  };
}

TEST_P(AskFailuresTest, AFailedCallIsAskedAgainAndCountedApart) {
  for (const Manner manner : {Manner::opaque, Manner::structured}) {
    RecordingOracle oracle(network(), manner);
    RecordingOracle never_fails(network(), manner);
    std::vector<Event> events;
    RunControl run;
    run.log = [&](const Event& event) { events.push_back(event); };
    Asker asker(device(), oracle, run);
    Asker other(device(), never_fails, run);
    const Questions ask(device(), kInputs);
    asker.enter("lines");
    asker.points(ask.x);
    other.points(ask.x);
    oracle.after = failing(2);
    EXPECT_TRUE(same_bits(download(device(), asker.points(ask.x)),
                          download(device(), other.points(ask.x))));
    oracle.after = failing(1);
    EXPECT_TRUE(same_bits(asker.residuals(ask.line(), ask.t(), nullptr),
                          other.residuals(ask.line(), ask.t(), nullptr)));
    oracle.after = failing(2);
    EXPECT_TRUE(same_bits(download(device(), asker.fan(ask.fan())),
                          download(device(), other.fan(ask.fan()))));

    EXPECT_EQ(asker.asked(), 7 + 7 + 11 + 15);
    EXPECT_EQ(asker.rounds(), 4) << "a question asked again is no round of its own";
    EXPECT_EQ(asker.unanswered(), 2 * 7 + 11 + 2 * 15);
    EXPECT_EQ(oracle.points(), asker.asked() + asker.unanswered());
    RunReport report;
    asker.write(report);
    EXPECT_EQ(report.unanswered_queries, asker.unanswered());
    EXPECT_EQ(report.queries["lines"], asker.asked());
    EXPECT_EQ(report.warnings.size(), 5u);
    ASSERT_EQ(events.size(), 5u);
    EXPECT_EQ(events[0].kind, Event::Kind::warning);
    EXPECT_EQ(events[0].message, "batch 2 (7 points): asked again, 1 of 2: the line was cut");
    EXPECT_EQ(events[1].message, "batch 2 (7 points): asked again, 2 of 2: the line was cut");
    EXPECT_EQ(events[2].message, "batch 3 (11 points): asked again, 1 of 2: the line was cut");
  }
}

TEST_P(AskFailuresTest, RetriesHaveTheirLimit) {
  const Questions ask(device(), kInputs);
  for (const Index retries : {0, 1, 5}) {
    RecordingOracle oracle(network(), Manner::opaque);
    RunControl run;
    run.retries = retries;
    Asker asker(device(), oracle, run);
    asker.points(ask.x);
    oracle.after = failing(retries + 1);
    EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::oracle_failed);
    EXPECT_EQ(asker.asked(), 7);
    EXPECT_EQ(asker.unanswered(), 7 * (retries + 1));
    EXPECT_EQ(static_cast<Index>(oracle.batches.size()), retries + 2);
  }
}

TEST_P(AskFailuresTest, OnlyTheChunkThatFailedIsAskedAgain) {
  const Questions ask(device(), kInputs);
  RecordingOracle oracle(network(), Manner::opaque);
  RunControl run;
  run.budget.device_bytes = 3 * kRowBytes;
  run.budget.queries = 14;
  Asker asker(device(), oracle, run);
  asker.points(ask.x);
  EXPECT_EQ(oracle.batches, (std::vector<Index>{3, 3, 1}));
  oracle.batches.clear();
  oracle.after = [&](Device&, DeviceView) {
    if (oracle.batches.size() == 2) throw std::runtime_error("the line was cut");
  };
  asker.points(ask.x);
  EXPECT_EQ(oracle.batches, (std::vector<Index>{3, 3, 3, 1}));
  EXPECT_EQ(asker.unanswered(), 3);
  EXPECT_EQ(asker.left(), 0) << "what was not answered costs nothing";
  EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::out_of_budget);
}

TEST_P(AskFailuresTest, ABatchThatIsNeverWholeCountsAsUnanswered) {
  const Questions ask(device(), kInputs);
  RunControl run;
  run.budget.device_bytes = 3 * kRowBytes;
  run.retries = 1;
  // Of chunks of 3, 3 and 1 the first is answered, the second fails twice.
  RecordingOracle oracle(network(), Manner::opaque);
  Asker asker(device(), oracle, run);
  asker.points(ask.x);
  oracle.batches.clear();
  oracle.after = [&](Device&, DeviceView) {
    if (oracle.batches.size() > 1) throw std::runtime_error("the line was cut");
  };
  EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::oracle_failed);
  EXPECT_EQ(asker.asked(), 7);
  EXPECT_EQ(asker.unanswered(), 3 + 3 + 3);
  // Nor does one with a NaN cost anything; it is not asked again.
  oracle.batches.clear();
  oracle.after = [](Device& on, DeviceView y) {
    on.copy_in(HostMatrix(1, 1, kNan), y.row_block(0, 1).col_block(0, 1));
  };
  EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::oracle_failed);
  EXPECT_EQ(oracle.batches.size(), 3u);
  EXPECT_EQ(asker.asked(), 7);
  EXPECT_EQ(asker.unanswered(), 9 + 7);
}

TEST_P(AskFailuresTest, BeforeTheFirstAnswerNothingIsAskedAgain) {
  const Questions ask(device(), kInputs);
  RecordingOracle oracle(network(), Manner::opaque);
  const RunControl run;
  Asker asker(device(), oracle, run);
  oracle.after = failing(1);
  EXPECT_THROW(asker.points(ask.x), OracleError);
  EXPECT_EQ(oracle.batches.size(), 1u);
}

TEST_P(AskFailuresTest, ACallerWhoWantsToStopWaitsForNoRetry) {
  const Questions ask(device(), kInputs);
  RecordingOracle oracle(network(), Manner::opaque);
  bool stop = false;
  RunControl run;
  run.stop = [&] { return stop; };
  Asker asker(device(), oracle, run);
  asker.points(ask.x);
  oracle.after = [&](Device&, DeviceView) {
    stop = true;
    throw std::runtime_error("the line was cut");
  };
  EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::stopped);
  EXPECT_EQ(oracle.batches.size(), 2u);
  EXPECT_TRUE(asker.gives_up());
  // Nor in the certificate that is still drawn.
  asker.finish_regardless();
  EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::oracle_failed);
  EXPECT_EQ(oracle.batches.size(), 3u);
}

TEST_P(AskFailuresTest, OnlyAnAnswerIsWorthWaitingForAfterAStop) {
  const Questions ask(device(), kInputs);
  RecordingOracle oracle(network(), Manner::opaque);
  bool stop = false;
  RunControl run;
  run.stop = [&] { return stop; };
  Asker asker(device(), oracle, run);
  EXPECT_FALSE(asker.gives_up());
  stop = true;
  EXPECT_TRUE(asker.gives_up()) << "nothing was answered yet";
  stop = false;
  asker.points(ask.x);
  stop = true;
  EXPECT_FALSE(asker.gives_up());
  EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::stopped);
  EXPECT_FALSE(asker.gives_up()) << "what was not asked did not fail";
}

TEST_P(AskFailuresTest, AFileThatFailsIsNotTheOraclesToAnswerAgain) {
  const Questions ask(device(), kInputs);
  RecordingOracle oracle(network(), Manner::opaque);
  const RunControl run;
  Asker asker(device(), oracle, run);
  asker.points(ask.x);
  oracle.after = [](Device&, DeviceView) { throw FileError("the disk is full"); };
  EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::oracle_failed);
  EXPECT_EQ(oracle.batches.size(), 2u);
}

TEST_P(AskFailuresTest, ALostDeviceIsNotTheOraclesFault) {
  RecordingOracle oracle(network(), Manner::structured);
  const RunControl run;
  Asker asker(device(), oracle, run);
  const Questions ask(device(), kInputs);
  asker.points(ask.x);
  oracle.after = [](Device&, DeviceView) { throw DeviceError("it fell off the bus"); };
  EXPECT_THROW(asker.points(ask.x), DeviceError);
}

}  // namespace
}  // namespace crease
