// A program as a black box, and every way in which one can break the protocol.
#include <crease/oracle.hpp>
#include <crease/query_learner.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <limits>
#include <thread>

#include "tests/support/children.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/temporary_folder.hpp"

namespace crease {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr double kForever = 1e6;  // seconds; no program that answers or ends is waited for so long
constexpr double kShort = 0.2;    // for programs that never answer

ProcessOptions options(const std::string& command, Index inputs, Index outputs,
                       double timeout = kForever) {
  ProcessOptions options;
  options.command = command;
  options.inputs = inputs;
  options.outputs = outputs;
  options.timeout_seconds = timeout;
  return options;
}

class ProcessOracleTest : public EveryBackend {
 protected:
  HostMatrix answers(Oracle& oracle, const HostMatrix& x) {
    const DeviceMatrix points = upload(device(), x);
    DeviceMatrix y(device(), x.rows(), oracle.output_dim());
    oracle.answer(device(), points, y);
    return download(device(), y);
  }
  /// What asking throws; a batch of so many points in 3 inputs.
  std::string failure(Oracle& oracle, Index points = 5) {
    try {
      answers(oracle, normals(points, oracle.input_dim(), 1));
    } catch (const OracleError& error) {
      const std::string text = error.what();
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
      return text;
    }
    return "nothing was thrown";
  }
  /// The same for a mode of misbehave.cpp, at its first request.
  std::string failure_of(const std::string& mode, double timeout = kForever, Index points = 5) {
    const auto oracle = make_process_oracle(options(misbehaving_child(mode, 0, 2), 3, 2, timeout));
    return failure(*oracle, points);
  }
};
CREASE_ON_EVERY_BACKEND(ProcessOracleTest);

// Inner products of 3 terms and sums of 3 neurons, of terms below 100 in sum.
constexpr double kMagnitude = 100;

TEST_P(ProcessOracleTest, BothExamplesAnswerAsTheirNetworkDoes) {
  for (const std::string& command : {python_child(), cpp_child()}) {
    const auto oracle = make_process_oracle(options(command, 3, 2));
    EXPECT_EQ(oracle->input_dim(), 3);
    EXPECT_EQ(oracle->output_dim(), 2);
    for (const Index n : {1, 5, 300}) {
      const HostMatrix x = normals(n, 3, 7);
      EXPECT_TRUE(near_sum(answers(*oracle, x), exact_values(answered_network(), x),
                           HostMatrix(n, 2, kMagnitude), 3 + 3))
          << command;
    }
  }
}

TEST_P(ProcessOracleTest, ABatchGoesInRequestsOfAtMostSoManyPoints) {
  const TemporaryFolder folder;
  const HostMatrix x = normals(10, 3, 7);
  for (const auto& [batch, requests] :
       {std::pair<Index, std::size_t>{10, 1}, {11, 1}, {4, 3}, {1, 10}}) {
    write_bytes(folder.file("asked"), "");
    ProcessOptions several = options(misbehaving_child("none", 1000, 2, folder.file("")), 3, 2);
    several.batch = batch;
    const auto oracle = make_process_oracle(several);
    EXPECT_TRUE(near_sum(answers(*oracle, x), exact_values(misbehaving_network(3, 2), x),
                         HostMatrix(10, 2, kMagnitude), 3 + 3));
    EXPECT_EQ(read_bytes(folder.file("asked")).size(), requests);
  }
}

TEST_P(ProcessOracleTest, NeitherSideWaitsForTheOther) {
  // Megabytes each way, and more than a pipe holds on the standard error output.
  const HostMatrix x = normals(40000, 3, 7);
  const HostMatrix expected = exact_values(misbehaving_network(3, 2), x);
  for (const std::string mode : {"none", "talks"}) {
    ProcessOptions large = options(misbehaving_child(mode, 0, 2), 3, 2);
    large.batch = x.rows();
    const auto oracle = make_process_oracle(large);
    EXPECT_TRUE(near_sum(answers(*oracle, x), expected, HostMatrix(40000, 2, kMagnitude), 6));
  }
}

TEST_P(ProcessOracleTest, AReplyMayComeByteByByte) {
  const auto oracle = make_process_oracle(options(misbehaving_child("bit_by_bit", 0, 2), 3, 2));
  const HostMatrix x = normals(20, 3, 7);
  EXPECT_TRUE(near_sum(answers(*oracle, x), exact_values(misbehaving_network(3, 2), x),
                       HostMatrix(20, 2, kMagnitude), 6));
}

TEST_P(ProcessOracleTest, NanIsPassedOn) {
  const auto oracle = make_process_oracle(options(misbehaving_child("nan", 0, 2), 3, 2));
  const HostMatrix y = answers(*oracle, normals(5, 3, 1));
  EXPECT_TRUE(std::isfinite(y(4, 0)));
  EXPECT_TRUE(std::isnan(y(4, 1)));
}

TEST_P(ProcessOracleTest, WhatIsNotAReplyIsRefusedByWhatWasExpectedAndWhatCame) {
  const std::string expected = "expected a reply with n = 5 and p = 2, came ";
  EXPECT_EQ(failure_of("shape"), expected + "n = 5 and p = 3");
  EXPECT_EQ(failure_of("count"), expected + "n = 4 and p = 2");
  EXPECT_EQ(failure_of("negative"), expected + "n = -5 and p = 2");
  EXPECT_EQ(failure_of("huge"), expected + "n = 4611686018427387904 and p = 2");
  EXPECT_THAT(failure_of("text"),
              AllOf(StartsWith(expected), HasSubstr("bytes that read \"Traceback (most \"")));
  EXPECT_EQ(failure_of("extra"),
            "expected nothing after a reply of 96 bytes, came 4 bytes or more");
}

TEST_P(ProcessOracleTest, AProgramThatEndsIsToldFromOneThatIsLate) {
  EXPECT_EQ(failure_of("die"),
            "expected a reply of 96 bytes, came 0 and then the end: the command ended with exit "
            "status 3");
  EXPECT_EQ(failure_of("killed"),
            "expected a reply of 96 bytes, came 0 and then the end: the command was ended by "
            "signal 9");
  EXPECT_EQ(failure_of("short"),
            "expected a reply of 96 bytes, came 88 and then the end: the command ended with exit "
            "status 0");
  EXPECT_EQ(failure_of("hang", kShort), "expected a reply of 96 bytes within 0.2 seconds, came 0");
  EXPECT_THAT(failure_of("stalls", kShort),
              StartsWith("expected a reply of 96 bytes within 0.2 seconds, came "));
  // It may be killed before it comes to that.
  EXPECT_THAT(failure_of("closes_output", kShort), StartsWith("expected a reply of 96 bytes"));
}

TEST_P(ProcessOracleTest, ACommandThatIsNoneSaysSoInTheShellsWords) {
  const auto oracle = make_process_oracle(options("/nowhere/at/all", 3, 2));
  EXPECT_THAT(failure(*oracle), AllOf(HasSubstr("exit status 127"), HasSubstr("/nowhere/at/all")));
}

TEST_P(ProcessOracleTest, AProgramThatStopsReadingIsNotASignalToThisOne) {
  struct sigaction before {};
  sigaction(SIGPIPE, nullptr, &before);
  ASSERT_EQ(before.sa_handler, SIG_DFL) << "a SIGPIPE would end this test";
  // More than a pipe holds.
  ProcessOptions large = options(misbehaving_child("closes_input", 0, 2), 3, 2, kShort);
  large.batch = 100000;
  const auto oracle = make_process_oracle(large);
  EXPECT_THAT(failure(*oracle, 100000), StartsWith("expected "));
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
  struct sigaction after {};
  sigaction(SIGPIPE, nullptr, &after);
  EXPECT_EQ(after.sa_handler, SIG_DFL);
}

TEST_P(ProcessOracleTest, WhatComesBeforeTheRequestIsNoReply) {
  const TemporaryFolder folder;
  const auto oracle = make_process_oracle(options(misbehaving_child("early", 1000, 2), 3, 2));
  EXPECT_THAT(failure(*oracle), AllOf(StartsWith("expected "), HasSubstr("Loading the mod")));
}

TEST_P(ProcessOracleTest, LastWordsAreQuotedAndPassedOn) {
  std::string heard;
  ProcessOptions listening = options(misbehaving_child("complains", 0, 2), 3, 2);
  listening.errors = [&](std::string_view text) { heard += text; };
  const auto oracle = make_process_oracle(listening);
  EXPECT_THAT(failure(*oracle), HasSubstr("exit status 7; its last words: first line | no more "
                                          "memory | of any kind"));
  EXPECT_EQ(heard, "first line\nno more memory\nof any kind\n");
}

TEST_P(ProcessOracleTest, WhoNeverStopsTalkingIsLateAllTheSame) {
  const TemporaryFolder folder;
  ProcessOptions listening =
      options(misbehaving_child("never_stops_talking", 0, 2, folder.file("")), 3, 2, kShort);
  // Slower than it talks: there is always more to read.
  listening.errors = [](std::string_view) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  const auto oracle = make_process_oracle(listening);
  EXPECT_THAT(failure(*oracle), AllOf(HasSubstr("within 0.2 seconds, came 0; its last words: "),
                                      HasSubstr("still here")));
}

TEST_P(ProcessOracleTest, AfterAFailureAnotherProcessGoesOnWhereTheOneBeforeFailed) {
  const TemporaryFolder folder;
  // Every life answers two requests and dies at the third: 5 requests take 3 lives.
  ProcessOptions fragile = options(misbehaving_child("die", 2, 2), 3, 2);
  fragile.batch = 2;
  const auto oracle = make_process_oracle(fragile);
  EXPECT_THAT(failure(*oracle, 10), StartsWith("points 4 to 5 of it: expected "));
  EXPECT_THAT(failure(*oracle, 10), StartsWith("points 8 to 9 of it: expected "));
  const HostMatrix x = normals(10, 3, 1);
  EXPECT_TRUE(near_sum(answers(*oracle, x), exact_values(misbehaving_network(3, 2), x),
                       HostMatrix(10, 2, kMagnitude), 6));
  // Another question begins at its own beginning.
  EXPECT_THAT(failure(*oracle, 9), StartsWith("points 2 to 3 of it: expected "));
  EXPECT_THAT(failure(*oracle, 8), StartsWith("points 4 to 5 of it: expected "));
}

TEST_P(ProcessOracleTest, AFailureLeavesNothingOfTheProcessGroup) {
  const TemporaryFolder folder;
  const std::string fifo = folder.file("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const int reading = open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reading, 0);
  std::string there;
  // Asked again where it was killed before the process that it started was there.
  while (there.empty()) {
    const auto oracle = make_process_oracle(
        options(misbehaving_child("leaves_another", 0, 2, folder.file("")), 3, 2, kShort));
    EXPECT_THAT(failure(*oracle), HasSubstr("within 0.2 seconds"));
    there = read_bytes(folder.file("there"));
  }
  // The end of the fifo: nobody has it open any more. A process left over would hang this test.
  fcntl(reading, F_SETFL, 0);
  char byte = 0;
  EXPECT_EQ(read(reading, &byte, 1), 0);
  close(reading);
}

TEST_P(ProcessOracleTest, TheEndOfItsInputEndsTheProgram) {
  const TemporaryFolder folder;
  {
    const auto oracle =
        make_process_oracle(options(misbehaving_child("none", 1000, 2, folder.file("")), 3, 2));
    answers(*oracle, normals(2, 3, 1));
    EXPECT_EQ(read_bytes(folder.file("end of input")), "");
  }
  EXPECT_EQ(read_bytes(folder.file("end of input")), ".");
}

TEST_P(ProcessOracleTest, AProgramThatHangsAfterItsAnswersEndsTheRunWithTheBestNetwork) {
  // Answers come from a network, and from the question on that is `asked` the program hangs: no
  // timeout is ever set against a program that answers.
  class Hanging final : public Oracle {
   public:
    Index input_dim() const override { return 3; }
    Index output_dim() const override { return 2; }
    void answer(Device& device, ConstDeviceView x, DeviceView y) override {
      (answered_++ < 3 ? *network_ : *process_).answer(device, x, y);
    }

   private:
    std::unique_ptr<Oracle> network_ = make_network_oracle(answered_network());
    std::unique_ptr<Oracle> process_ =
        make_process_oracle(options(misbehaving_child("hang", 0, 2), 3, 2, kShort));
    int answered_ = 0;
  };
  Hanging oracle;
  const Learned<ReluNetwork> learned = learn_from_queries(device(), oracle, {});
  EXPECT_EQ(learned.report.outcome, Outcome::oracle_failed);
  EXPECT_THAT(learned.report.message,
              AllOf(StartsWith("batch 4 ("), HasSubstr("within 0.2 seconds, came 0")));
  EXPECT_EQ(learned.report.warnings.size(), 2u);
  EXPECT_GT(learned.report.unanswered_queries, 0);
  EXPECT_EQ(learned.report.unanswered_queries % 3, 0) << "asked three times";
}

TEST(ProcessOracleDataTest, WhatCannotBeAProcessIsRefused) {
  EXPECT_THROW(make_process_oracle(options("", 3, 2)), BadInput);
  EXPECT_THROW(make_process_oracle(options("cat", 0, 2)), BadInput);
  EXPECT_THROW(make_process_oracle(options("cat", 3, 0)), BadInput);
  EXPECT_THROW(make_process_oracle(options("cat", 3, 2, 0)), BadInput);
  EXPECT_THROW(make_process_oracle(options("cat", 3, 2, std::numeric_limits<double>::quiet_NaN())),
               BadInput);
  ProcessOptions nothing = options("cat", 3, 2);
  nothing.batch = 0;
  EXPECT_THROW(make_process_oracle(nothing), BadInput);
}

}  // namespace
}  // namespace crease
