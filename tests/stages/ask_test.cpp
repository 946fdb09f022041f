// The Asker: it counts, chunks and keeps the budget.
#include "src/stages/ask.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
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

class AskTest : public EveryBackend {
 protected:
  ReluNetwork network() const { return planted_network(kInputs, 6, kOutputs, 17); }
};
CREASE_ON_EVERY_BACKEND(AskTest);

TEST_P(AskTest, EveryPointIsOneQueryWhateverTheBatchLooksLike) {
  for (const Manner manner : {Manner::opaque, Manner::structured}) {
    RecordingOracle oracle(network(), manner);
    const RunControl run;
    Asker asker(device(), oracle, run);
    const Questions ask(device(), kInputs);
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
  const Questions ask(device(), kInputs);
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
  const Questions ask(device(), kInputs);
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

TEST_P(AskTest, SeveralLinesAreOneBatchWithTheAnswersOfEach) {
  const LinesQuestion ask(device(), kInputs);
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
  const LinesQuestion ask(device(), kInputs);
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
  const LinesQuestion ask(device(), kInputs);
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

TEST_P(AskTest, ABudgetBelowOnePointStillAsksPointByPoint) {
  RunControl run;
  run.budget.device_bytes = 1;
  RecordingOracle oracle(network(), Manner::opaque);
  Asker asker(device(), oracle, run);
  const Questions ask(device(), kInputs);
  asker.points(ask.x);
  EXPECT_EQ(oracle.batches, std::vector<Index>(7, 1));
}

TEST_P(AskTest, TheBudgetIsSpentToTheLastQueryAndNeverExceededByOne) {
  for (const Manner manner : {Manner::opaque, Manner::structured}) {
    RecordingOracle oracle(network(), manner);
    RunControl run;
    run.budget.queries = 7 + 11 + 14;
    Asker asker(device(), oracle, run);
    const Questions ask(device(), kInputs);
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
  const Questions ask(device(), kInputs);
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
  const Questions ask(device(), kInputs);
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

TEST_P(AskTest, OnlyBatchesThatWaitAreRounds) {
  RecordingOracle oracle(network(), Manner::structured);
  const RunControl run;
  Asker asker(device(), oracle, run);
  const Questions ask(device(), kInputs);
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
  const Questions ask(device(), kInputs);
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
  const Questions ask(device(), kInputs);
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

}  // namespace
}  // namespace crease
