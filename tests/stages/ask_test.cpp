// The Asker: it counts, chunks, checks and keeps the budget.
#include "src/stages/ask.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "kernels/ops.hpp"
#include "src/device_network.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

using Manner = RecordingOracle::Manner;
constexpr Index kInputs = 3;
constexpr Index kOutputs = 2;
constexpr Index kRowBytes = (kInputs + kOutputs) * 8;  // of one point and its answer
const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

/// A line and a fan with everything they need on a device.
struct Questions {
  explicit Questions(Device& device)
      : origin(upload(device, normals(1, kInputs, 1))),
        direction(upload(device, normals(1, kInputs, 2))),
        where(normals(11, 1, 3)),
        centers(upload(device, normals(5, kInputs, 4))),
        directions(upload(device, normals(kInputs, kInputs, 5))),
        steps(upload(device, normals(5, kInputs, 6))),
        x(upload(device, normals(7, kInputs, 7))) {}

  Lines line() const { return {origin, direction, first}; }
  std::vector<double> t() const { return {where.data(), where.data() + where.size()}; }
  Fan fan() const { return {centers, directions, steps}; }

  DeviceMatrix origin, direction;
  HostMatrix where;
  std::vector<Index> first = {0, 11};
  DeviceMatrix centers, directions, steps, x;
};

class AskTest : public EveryBackend {
 protected:
  ReluNetwork network() const { return planted_network(kInputs, 6, kOutputs, 17); }
};
CREASE_ON_EVERY_BACKEND(AskTest);

/// The outcome that a question ends the run with.
template <class Question>
Outcome outcome_of(Question&& question) {
  try {
    question();
  } catch (const EndOfRun& end) {
    return end.outcome();
  }
  ADD_FAILURE() << "the run did not end";
  return Outcome::reached;
}

template <class Question>
std::string message_of(Question&& question) {
  try {
    question();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST_P(AskTest, EveryPointIsOneQueryWhateverTheBatchLooksLike) {
  for (const Manner manner : {Manner::opaque, Manner::structured}) {
    RecordingOracle oracle(network(), manner);
    const RunControl run;
    Asker asker(device(), oracle, run);
    const Questions ask(device());
    asker.points(ask.x);
    EXPECT_EQ(asker.asked(), 7);
    asker.residuals(ask.line(), ask.t(), nullptr);
    EXPECT_EQ(asker.asked(), 7 + 11);
    asker.fan(ask.fan());
    EXPECT_EQ(asker.asked(), 7 + 11 + 5 * 3);
    EXPECT_EQ(oracle.points(), asker.asked());
    EXPECT_EQ(oracle.lines, manner == Manner::structured ? 1 : 0);
    EXPECT_EQ(oracle.fans, manner == Manner::structured ? 1 : 0);
  }
}

TEST_P(AskTest, StructuredAndOpaqueOraclesGiveTheSameAnswers) {
  RecordingOracle opaque(network(), Manner::opaque);
  RecordingOracle structured(network(), Manner::structured);
  const RunControl run;
  Asker plain(device(), opaque, run);
  Asker knowing(device(), structured, run);
  const Questions ask(device());
  // Inner products of d terms, then a sum over k neurons, of terms below 10 in sum; the points
  // themselves are rounded once in the opaque way.
  constexpr double kMagnitude = 100;
  const HostMatrix line = plain.residuals(ask.line(), ask.t(), nullptr);
  const HostMatrix fan = download(device(), plain.fan(ask.fan()));
  EXPECT_TRUE(near_sum(knowing.residuals(ask.line(), ask.t(), nullptr), line,
                       HostMatrix(11, kOutputs, kMagnitude), kInputs + 6));
  EXPECT_TRUE(near_sum(download(device(), knowing.fan(ask.fan())), fan,
                       HostMatrix(15, kOutputs, kMagnitude), kInputs + 6));
  // and they are F at the points that the headers of Line and Fan name.
  HostMatrix points(11, kInputs);
  const HostMatrix origin = download(device(), ask.origin);
  const HostMatrix direction = download(device(), ask.direction);
  const std::vector<double> t = ask.t();
  for (Index i = 0; i < 11; ++i) {
    for (Index j = 0; j < kInputs; ++j)
      points(i, j) = origin(0, j) + t[static_cast<std::size_t>(i)] * direction(0, j);
  }
  EXPECT_TRUE(near_sum(line, exact_values(network(), points), HostMatrix(11, kOutputs, kMagnitude),
                       kInputs + 6));
}

TEST_P(AskTest, AnOpaqueOracleGetsChunksThatFitTheBudgetOfBytes) {
  const Questions ask(device());
  const RunControl whole;
  RecordingOracle at_once(network(), Manner::opaque);
  Asker one_piece(device(), at_once, whole);
  for (const Index rows : {1, 2, 3, 4, 6, 100}) {
    RunControl run;
    run.budget.device_bytes = rows * kRowBytes + kRowBytes - 1;
    RecordingOracle oracle(network(), Manner::opaque);
    Asker asker(device(), oracle, run);
    // The same points: the same answers, bit for bit, in the same order.
    EXPECT_TRUE(same_bits(download(device(), asker.points(ask.x)),
                          download(device(), one_piece.points(ask.x))));
    EXPECT_TRUE(same_bits(asker.residuals(ask.line(), ask.t(), nullptr),
                          one_piece.residuals(ask.line(), ask.t(), nullptr)));
    EXPECT_TRUE(same_bits(download(device(), asker.fan(ask.fan())),
                          download(device(), one_piece.fan(ask.fan()))));
    EXPECT_LE(*std::max_element(oracle.batches.begin(), oracle.batches.end()), rows)
        << "chunks of at most " << rows << " points";
    EXPECT_EQ(asker.rounds(), 3) << "chunks of one batch do not wait for each other";
  }
}

/// Three lines, the middle one without a point.
struct LinesQuestion {
  explicit LinesQuestion(Device& device)
      : origins(upload(device, normals(3, kInputs, 11))),
        directions(upload(device, normals(3, kInputs, 12))),
        where(normals(11, 1, 13)),
        t(upload(device, where)) {}

  Lines lines() const { return {origins, directions, first}; }
  std::vector<double> on_host() const { return {where.data(), where.data() + where.size()}; }

  DeviceMatrix origins, directions;
  HostMatrix where;
  DeviceMatrix t;
  std::vector<Index> first = {0, 4, 4, 11};
};

TEST_P(AskTest, SeveralLinesAreOneBatchWithTheAnswersOfEach) {
  const LinesQuestion ask(device());
  const RunControl run;
  for (const Manner manner : {Manner::opaque, Manner::structured}) {
    RecordingOracle oracle(network(), manner);
    Asker asker(device(), oracle, run);
    const HostMatrix together = asker.residuals(ask.lines(), ask.on_host(), nullptr);
    EXPECT_EQ(asker.asked(), 11);
    EXPECT_EQ(asker.rounds(), 1);
    // An opaque oracle sees points only; one that knows lines gets those that have a point.
    EXPECT_EQ(oracle.batches,
              manner == Manner::opaque ? std::vector<Index>{11} : (std::vector<Index>{4, 7}));
    for (const Index l : {0, 2}) {
      const Index from = ask.first[static_cast<std::size_t>(l)];
      const Index count = ask.first[static_cast<std::size_t>(l) + 1] - from;
      const Line line = ask.lines().line(l);
      const std::vector<Index> one = {0, count};
      const std::vector<double> t = ask.on_host();
      const HostMatrix alone =
          asker.residuals({line.origin, line.direction, one},
                          {t.begin() + from, t.begin() + from + count}, nullptr);
      for (Index i = 0; i < count; ++i) {
        for (Index o = 0; o < kOutputs; ++o) EXPECT_EQ(together(from + i, o), alone(i, o));
      }
    }
  }
  // A network that gets them all in one call.
  const std::unique_ptr<Oracle> oracle = make_network_oracle(network());
  RecordingOracle opaque(network(), Manner::opaque);
  Asker knowing(device(), *oracle, run);
  Asker plain(device(), opaque, run);
  constexpr double kMagnitude = 100;  // as above
  EXPECT_TRUE(near_sum(knowing.residuals(ask.lines(), ask.on_host(), nullptr),
                       plain.residuals(ask.lines(), ask.on_host(), nullptr),
                       HostMatrix(11, kOutputs, kMagnitude), kInputs + 6));
}

TEST_P(AskTest, ChunksMayEndAmidALine) {
  const LinesQuestion ask(device());
  const RunControl whole;
  RecordingOracle at_once(network(), Manner::opaque);
  Asker one_piece(device(), at_once, whole);
  const HostMatrix expected = one_piece.residuals(ask.lines(), ask.on_host(), nullptr);
  for (const Index rows : {1, 2, 3, 4, 5, 10, 11}) {
    RunControl run;
    run.budget.device_bytes = rows * kRowBytes;
    RecordingOracle oracle(network(), Manner::opaque);
    Asker asker(device(), oracle, run);
    EXPECT_TRUE(same_bits(asker.residuals(ask.lines(), ask.on_host(), nullptr), expected));
    EXPECT_EQ(*std::max_element(oracle.batches.begin(), oracle.batches.end()), rows);
  }
}

TEST_P(AskTest, ResidualsComeInOneDownload) {
  const LinesQuestion ask(device());
  const RunControl run;
  const DeviceNetwork known(device(), planted_network(kInputs, 4, kOutputs, 23));
  RecordingOracle oracle(network(), Manner::structured);
  Asker asker(device(), oracle, run);
  DeviceMatrix there(device(), 11, kOutputs);
  ASSERT_TRUE(oracle.answer_lines(device(), ask.lines(), ask.t, there));
  HostMatrix answers = download(device(), there);
  known.evaluate_lines(ask.lines(), ask.t, there);
  const HostMatrix expected = download(device(), there);

  const Index before = device().stats().downloaded_bytes;
  EXPECT_TRUE(same_bits(asker.residuals(ask.lines(), ask.on_host(), nullptr), answers));
  EXPECT_EQ(device().stats().downloaded_bytes - before, 11 * kOutputs * 8);
  for (Index i = 0; i < answers.size(); ++i) answers.data()[i] -= expected.data()[i];
  EXPECT_TRUE(same_bits(asker.residuals(ask.lines(), ask.on_host(), &known), answers));
  EXPECT_EQ(device().stats().downloaded_bytes - before, 3 * 11 * kOutputs * 8);
  EXPECT_EQ(asker.asked(), 22);
  EXPECT_EQ(asker.rounds(), 2);
  EXPECT_EQ(
      asker.residuals({ask.origins, ask.directions, std::vector<Index>(4, 0)}, {}, &known).rows(),
      0);
  EXPECT_EQ(asker.asked(), 22);
}

TEST_P(AskTest, AResidualThatIsNoNumberIsTheOraclesFaultByItsRow) {
  const LinesQuestion ask(device());
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

TEST_P(AskTest, ABudgetBelowOnePointStillAsksPointByPoint) {
  RunControl run;
  run.budget.device_bytes = 1;
  RecordingOracle oracle(network(), Manner::opaque);
  Asker asker(device(), oracle, run);
  const Questions ask(device());
  asker.points(ask.x);
  EXPECT_EQ(oracle.batches, std::vector<Index>(7, 1));
}

TEST_P(AskTest, TheBudgetIsSpentToTheLastQueryAndNeverExceededByOne) {
  for (const Manner manner : {Manner::opaque, Manner::structured}) {
    RecordingOracle oracle(network(), manner);
    RunControl run;
    run.budget.queries = 7 + 11 + 14;
    Asker asker(device(), oracle, run);
    const Questions ask(device());
    EXPECT_EQ(asker.left(), 32);
    asker.points(ask.x);
    asker.residuals(ask.line(), ask.t(), nullptr);
    EXPECT_EQ(asker.left(), 14);
    // 15 > 14: not a single point of it is asked.
    EXPECT_EQ(outcome_of([&] { asker.fan(ask.fan()); }), Outcome::out_of_budget);
    EXPECT_EQ(oracle.points(), 18);
    EXPECT_EQ(asker.asked(), 18);
    EXPECT_EQ(asker.rounds(), 2);
    // What fits is still answered, to the last query.
    asker.points(ask.x);
    asker.points(ask.x);
    EXPECT_EQ(asker.left(), 0);
    EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::out_of_budget);
    EXPECT_EQ(oracle.points(), 32);
  }
}

TEST_P(AskTest, ALimitStandsBeforeTheBudgetUntilItIsLifted) {
  RecordingOracle oracle(network(), Manner::structured);
  RunControl run;
  run.budget.queries = 20;
  Asker asker(device(), oracle, run);
  const Questions ask(device());
  asker.limit(10);
  asker.points(ask.x);
  EXPECT_EQ(asker.left(), 3);
  EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::out_of_budget);
  asker.limit(5);
  EXPECT_EQ(asker.left(), 0) << "a limit below what was asked leaves nothing, not less";
  asker.limit(20);
  asker.points(ask.x);
  EXPECT_EQ(asker.left(), 6);
  asker.limit(std::nullopt);
  asker.points(ask.x);
  EXPECT_EQ(asker.asked(), 21);
}

TEST_P(AskTest, StopAndTimeEndTheRunBeforeTheBatchIsAsked) {
  RecordingOracle oracle(network(), Manner::structured);
  const Questions ask(device());
  bool stop = false;
  RunControl stopping;
  stopping.stop = [&] { return stop; };
  Asker asker(device(), oracle, stopping);
  asker.points(ask.x);
  stop = true;
  EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::stopped);
  EXPECT_EQ(outcome_of([&] { asker.residuals(ask.line(), ask.t(), nullptr); }), Outcome::stopped);
  EXPECT_EQ(outcome_of([&] { asker.fan(ask.fan()); }), Outcome::stopped);
  EXPECT_EQ(oracle.points(), 7);
  asker.finish_regardless();
  asker.points(ask.x);
  EXPECT_EQ(oracle.points(), 14);

  RunControl hurried;
  hurried.budget.seconds = 1e-300;
  Asker late(device(), oracle, hurried);
  EXPECT_EQ(outcome_of([&] { late.points(ask.x); }), Outcome::out_of_budget);
  EXPECT_EQ(oracle.points(), 14);
  late.finish_regardless();
  late.limit(7);
  late.points(ask.x);
  EXPECT_EQ(outcome_of([&] { late.points(ask.x); }), Outcome::out_of_budget)
      << "finishing may outlast the time, never the queries";
  EXPECT_EQ(oracle.points(), 21);
}

TEST_P(AskTest, TheFirstAnswerThatIsNoNumberIsNamedByItsRow) {
  for (const double lie : {kNan, kInfinity, -kInfinity}) {
    for (const bool first : {true, false}) {
      RecordingOracle oracle(network(), Manner::opaque);
      RunControl run;
      run.budget.device_bytes = 2 * kRowBytes;  // rows count over the batch, not over a chunk
      Asker asker(device(), oracle, run);
      asker.enter("lines");
      const Questions ask(device());
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

TEST_P(AskTest, AnOracleThatThrowsEndsTheRunWithItsOwnWords) {
  RecordingOracle oracle(network(), Manner::structured);
  const RunControl run;
  Asker asker(device(), oracle, run);
  const Questions ask(device());
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

TEST_P(AskTest, AFailedCallIsAskedAgainAndCountedApart) {
  for (const Manner manner : {Manner::opaque, Manner::structured}) {
    RecordingOracle oracle(network(), manner);
    RecordingOracle never_fails(network(), manner);
    std::vector<Event> events;
    RunControl run;
    run.log = [&](const Event& event) { events.push_back(event); };
    Asker asker(device(), oracle, run);
    Asker other(device(), never_fails, run);
    const Questions ask(device());
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

TEST_P(AskTest, RetriesHaveTheirLimit) {
  const Questions ask(device());
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

TEST_P(AskTest, OnlyTheChunkThatFailedIsAskedAgain) {
  const Questions ask(device());
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

TEST_P(AskTest, ABatchThatIsNeverWholeCountsAsUnanswered) {
  const Questions ask(device());
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

TEST_P(AskTest, BeforeTheFirstAnswerNothingIsAskedAgain) {
  const Questions ask(device());
  RecordingOracle oracle(network(), Manner::opaque);
  const RunControl run;
  Asker asker(device(), oracle, run);
  oracle.after = failing(1);
  EXPECT_THROW(asker.points(ask.x), OracleError);
  EXPECT_EQ(oracle.batches.size(), 1u);
}

TEST_P(AskTest, ACallerWhoWantsToStopWaitsForNoRetry) {
  const Questions ask(device());
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
  // Nor in the certificate that is still drawn.
  asker.finish_regardless();
  EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::oracle_failed);
  EXPECT_EQ(oracle.batches.size(), 3u);
}

TEST_P(AskTest, AFileThatFailsIsNotTheOraclesToAnswerAgain) {
  const Questions ask(device());
  RecordingOracle oracle(network(), Manner::opaque);
  const RunControl run;
  Asker asker(device(), oracle, run);
  asker.points(ask.x);
  oracle.after = [](Device&, DeviceView) { throw FileError("the disk is full"); };
  EXPECT_EQ(outcome_of([&] { asker.points(ask.x); }), Outcome::oracle_failed);
  EXPECT_EQ(oracle.batches.size(), 2u);
}

TEST_P(AskTest, ALostDeviceIsNotTheOraclesFault) {
  RecordingOracle oracle(network(), Manner::structured);
  const RunControl run;
  Asker asker(device(), oracle, run);
  const Questions ask(device());
  asker.points(ask.x);
  oracle.after = [](Device&, DeviceView) { throw DeviceError("it fell off the bus"); };
  EXPECT_THROW(asker.points(ask.x), DeviceError);
}

TEST_P(AskTest, OnlyBatchesThatWaitAreRounds) {
  RecordingOracle oracle(network(), Manner::structured);
  const RunControl run;
  Asker asker(device(), oracle, run);
  const Questions ask(device());
  asker.points(ask.x, Round::same);
  EXPECT_EQ(asker.rounds(), 1) << "the first batch is a round whatever it says";
  asker.residuals(ask.line(), ask.t(), nullptr, Round::same);
  EXPECT_EQ(asker.rounds(), 1);
  asker.fan(ask.fan());
  asker.fan(ask.fan(), Round::same);
  EXPECT_EQ(asker.rounds(), 2);
}

TEST_P(AskTest, AnEmptyBatchAsksNothingAndCostsNothing) {
  RecordingOracle oracle(network(), Manner::structured);
  RunControl run;
  run.budget.queries = 7;
  Asker asker(device(), oracle, run);
  const Questions ask(device());
  asker.points(ask.x);
  EXPECT_EQ(asker.points(ask.x.view().row_block(0, 0)).rows(), 0);
  EXPECT_EQ(
      asker.residuals({ask.origin, ask.direction, std::vector<Index>{0, 0}}, {}, nullptr).rows(),
      0);
  EXPECT_EQ(asker
                .fan({ask.centers.view().row_block(0, 0), ask.directions,
                      ask.steps.view().row_block(0, 0)})
                .rows(),
            0);
  EXPECT_EQ(asker.asked(), 7);
  EXPECT_EQ(asker.rounds(), 1);
  EXPECT_EQ(oracle.batches.size(), 1u);
}

TEST_P(AskTest, TheReportSaysWhatWasAskedInEveryStage) {
  RecordingOracle oracle(network(), Manner::structured);
  std::vector<Event> events;
  RunControl run;
  run.budget.queries = 1000;
  run.log = [&](const Event& event) { events.push_back(event); };
  Asker asker(device(), oracle, run);
  const Questions ask(device());
  asker.enter("noise");
  asker.points(ask.x);
  asker.enter("lines");
  asker.residuals(ask.line(), ask.t(), nullptr);
  asker.set_progress(4, 2, 0.25);
  asker.report("half way");
  asker.enter("noise");
  asker.fan(ask.fan());
  asker.warn("something odd");
  RunReport report;
  asker.write(report);

  EXPECT_EQ(report.queries, (std::map<std::string, Index>{{"noise", 7 + 15}, {"lines", 11}}));
  EXPECT_EQ(report.rounds, 3);
  EXPECT_EQ(report.warnings, std::vector<std::string>{"something odd"});
  ASSERT_EQ(report.seconds.size(), 2u);
  EXPECT_LE(report.seconds["noise"] + report.seconds["lines"], report.total_seconds);

  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, Event::Kind::progress);
  EXPECT_EQ(events[0].stage, "lines");
  EXPECT_EQ(events[0].message, "half way");
  EXPECT_EQ(events[0].queries, 18);
  EXPECT_EQ(events[0].budget, 1000);
  EXPECT_EQ(events[0].kinks, 4);
  EXPECT_EQ(events[0].neurons, 2);
  EXPECT_EQ(events[0].relative_error, 0.25);
  EXPECT_EQ(events[1].kind, Event::Kind::warning);
  EXPECT_EQ(events[1].stage, "noise");
  EXPECT_EQ(events[1].queries, 33);
}

TEST_P(AskTest, AnOracleWithoutInputsOrOutputsIsRefused) {
  class Shapeless final : public Oracle {
   public:
    Shapeless(Index d, Index p) : d_(d), p_(p) {}
    Index input_dim() const override { return d_; }
    Index output_dim() const override { return p_; }
    void answer(Device&, ConstDeviceView, DeviceView) override {}

   private:
    Index d_, p_;
  };
  const RunControl run;
  for (const auto& [d, p] : {std::pair<Index, Index>{0, 1}, {1, 0}, {-1, 1}}) {
    Shapeless oracle(d, p);
    EXPECT_THROW(Asker(device(), oracle, run), BadInput);
  }
}

TEST_P(AskTest, StandardDeviationsComeWithTheAnswers) {
  // sigma of output o at x: |x_o|, infinite where x_2 > 1.
  const auto sigmas = [](const double* x, double* sigma) {
    for (Index o = 0; o < kOutputs; ++o) sigma[o] = x[2] > 1 ? kInfinity : std::abs(x[o]);
  };
  const Questions ask(device());
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
      const HostMatrix line = download(device(), asker.lines(ask.line(), t, Round::next, &told));
      expect_at(x, line, told);
      DeviceMatrix fan_x(device(), 15, kInputs);
      fan_points(device(), ask.fan(), fan_x);
      const HostMatrix fan = download(device(), asker.fan(ask.fan(), Round::next, &told));
      expect_at(fan_x, fan, told);
      EXPECT_EQ(asker.asked(), 7 + 11 + 15);
    }
  }
}

TEST_P(AskTest, ResidualsComeWithTheirStandardDeviationsToo) {
  OracleWithSigmas oracle(network(), [](const double* x, double* sigma) {
    for (Index o = 0; o < kOutputs; ++o) sigma[o] = std::abs(x[o]);
  });
  const RunControl run;
  Asker asker(device(), oracle, run);
  const Questions ask(device());
  const DeviceNetwork known(device(), network());
  HostMatrix told;
  const HostMatrix residuals = asker.residuals(ask.line(), ask.t(), &known, Round::next, &told);
  EXPECT_EQ(told.rows(), 11);
  EXPECT_TRUE(
      near_sum(residuals, HostMatrix(11, kOutputs), HostMatrix(11, kOutputs, 100), kInputs + 6));
}

TEST_P(AskTest, WhoKnowsNoStandardDeviationsGivesNone) {
  RecordingOracle oracle(network(), Manner::opaque);
  const RunControl run;
  Asker asker(device(), oracle, run);
  const Questions ask(device());
  HostMatrix told(1, 1);
  asker.points(ask.x, Round::next, &told);
  EXPECT_TRUE(told.empty());
  EXPECT_FALSE(asker.knows_sigmas());
}

TEST_P(AskTest, AnswersThatSayNothingEndWhoCannotDoWithoutThem) {
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

TEST_P(AskTest, AStandardDeviationThatIsNoneIsTheOraclesFault) {
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
