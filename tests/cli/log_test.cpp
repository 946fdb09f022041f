// crease learn --log and --reuse: killed, interrupted, out of budget or out of disk, a run goes on
// where it was, bit for bit.
#include <crease/answer_log.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "tests/support/children.hpp"
#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

class LogTest : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (IsSkipped()) return;
    target_ = made("target.safetensors",
                   {"gaussian", "--inputs", "12", "--neurons", "14", "--outputs", "2"});
  }

  Words learn(const std::string& name, const Words& more = {}) const {
    Words words = {"learn",     target_,
                   "--out",     file(name + ".safetensors"),
                   "--report",  file(name + ".json"),
                   "--device",  "cpu",
                   "--threads", "1"};
    words.insert(words.end(), learner_.begin(), learner_.end());
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::string network(const std::string& name) const {
    return read_bytes(file(name + ".safetensors"));
  }
  Json report(const std::string& name) const {
    return Json::parse(read_bytes(file(name + ".json")));
  }
  /// What two runs must have in common: all but time and memory of the process.
  Json bits(const std::string& name) const {
    Json json = report(name);
    json.erase("seconds");
    json.erase("peak_device_bytes");
    return json;
  }
  void expect_same(const std::string& name, const std::string& expected) const {
    EXPECT_EQ(network(name), network(expected));
    EXPECT_EQ(bits(name), bits(expected));
  }

  /// None where it was killed before there was a log: half of its tables are taken back by whoever
  /// opens it next.
  Index answers_in(const std::string& name) const {
    try {
      return summarize_log(file(name)).answers;
    } catch (const FileError&) {
      return 0;
    }
  }

  /// Killed so often, each time at another moment: the run goes on and ends with the bits of one
  /// that nobody disturbed.
  void expect_kills_change_nothing(int kills) const {
    const auto start = std::chrono::steady_clock::now();
    expect_ok(learn("whole", {"--log", file("whole.log")}));
    const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - start;
    const Index total = summarize_log(file("whole.log")).answers;

    std::mt19937 random(12);
    std::uniform_real_distribution<double> share(0, 1);
    Index before = 0;
    for (int times_killed = 0; times_killed < kills;) {
      Program program(learn("killed", {"--log", file("log"), "--quiet"}));
      std::this_thread::sleep_for(share(random) * whole);
      program.signal(SIGKILL);
      const ProgramResult result = program.wait();
      const bool finished = result.exit_code == 0;
      if (finished) {
        expect_same("killed", "whole");
        std::filesystem::remove(file("log"));
        before = 0;
        continue;
      }
      EXPECT_EQ(result.exit_code, 128 + SIGKILL) << result.err;
      ++times_killed;
      const Index there = answers_in("log");
      EXPECT_GE(there, before);  // nothing is lost
      EXPECT_LE(there, total);
      before = there;
    }
    expect_ok(learn("killed", {"--log", file("log")}));
    expect_same("killed", "whole");
    EXPECT_EQ(summarize_log(file("log")).answers, total);  // and nothing is asked twice
  }

  std::string target_;
  Words learner_;  // options of every run
};

TEST_F(LogTest, ALogChangesNothingAndReplaysWithoutAskingAgain) {
  expect_ok(learn("plain"));
  const ProgramResult first = expect_ok(learn("first", {"--log", file("log")}));
  expect_same("first", "plain");
  const Index total = report("plain")["queries"]["total"];
  EXPECT_THAT(first.out, HasSubstr(std::to_string(total) + " answers in " + file("log") +
                                   ": 0 replayed, " + std::to_string(total) + " new"));

  const ProgramResult second = expect_ok(learn("second", {"--log", file("log")}));
  expect_same("second", "plain");
  EXPECT_THAT(second.out, HasSubstr(std::to_string(total) + " replayed, 0 new"));
  EXPECT_EQ(summarize_log(file("log")).answers, total);
}

TEST_F(LogTest, KilledAtAnyMomentItGoesOnAndEndsWithTheSameBits) {
  expect_kills_change_nothing(12);
}

TEST_F(LogTest, OutOfBudgetItGoesOnWithALargerOne) {
  for (const int larger : {500, 1000, 4000}) {
    const std::string name = std::to_string(larger);
    const Words budget = {"--budget", name};
    const int exit_code = run_program(learn("at once", budget)).exit_code;

    Words small = {"--budget", "300", "--log", file(name + ".log")};
    EXPECT_EQ(run_program(learn("small", small)).exit_code, 4);
    const Index there = summarize_log(file(name + ".log")).answers;
    EXPECT_LE(there, 300);
    Words more = budget;
    more.insert(more.end(), {"--log", file(name + ".log")});
    for (int time = 0; time < 2; ++time) {
      const ProgramResult result = run_program(learn("on", more));
      EXPECT_EQ(result.exit_code, exit_code);
      expect_same("on", "at once");
    }
    // And the small one again, although the log has gone on: it still ends where it ended.
    expect_ok({"show", file(name + ".log")});
    const Index all = summarize_log(file(name + ".log")).answers;
    EXPECT_EQ(run_program(learn("small again", small)).exit_code, 4);
    expect_same("small again", "small");
    EXPECT_EQ(summarize_log(file(name + ".log")).answers, all);
  }
}

TEST_F(LogTest, InterruptedItGoesOnToTheSameBits) {
  const auto learn_from = [this](const std::string& name, const std::string& command,
                                 const Words& more = {}) {
    Words words = learn(name, more);
    words[1] = "exec:" + command;
    words.insert(words.end(), {"--inputs", "3", "--outputs", "2"});
    return words;
  };
  expect_ok(learn_from("whole", misbehaving_child("none", 0, 2)));
  for (const Index answered : {0, 1, 2, 4}) {
    SCOPED_TRACE(answered);
    // The next question waits until the signal was sent.
    const TemporaryFolder gate;
    const std::string command = misbehaving_child("waits", answered, 2, gate.file(""));
    const Words log = {"--log", file("log" + std::to_string(answered))};
    Program program(learn_from("stopped", command, log));
    while (!program.has_ended() &&
           read_bytes(gate.file("waiting")).find('\n') == std::string::npos) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    program.signal(SIGINT);
    write_bytes(gate.file("go"), ".");
    EXPECT_EQ(program.wait().exit_code, 130);
    EXPECT_EQ(report("stopped")["outcome"], "stopped");
    EXPECT_THAT(expect_ok({"show", log[1]}).out, HasSubstr("stopped (budget none)"));

    const ProgramResult on = expect_ok(learn_from("on", command, log));
    expect_same("on", "whole");
    EXPECT_THAT(on.out, HasSubstr(" replayed, "));
  }
}

#ifdef CREASE_PROGRAM
constexpr const char* kProgram = CREASE_PROGRAM;
#else
constexpr const char* kProgram = "";
#endif

/// Exit code of the program where no file may grow beyond so many KiB.
int with_small_disk(const Words& words, int kib) {
  const pid_t child = fork();
  if (child == 0) {
    std::string command = "ulimit -f " + std::to_string(2 * kib) + "; exec '" + kProgram + "'";
    for (const std::string& word : words) command += " '" + word + "'";
    execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(LogTest, OnAFullDiskItEndsWithWhatItHasAndGoesOnLater) {
  expect_ok(learn("whole"));
  const int exit_code = with_small_disk(learn("full", {"--log", file("log"), "--quiet"}), 330);
  EXPECT_EQ(exit_code, 5);
  const Json json = report("full");
  EXPECT_EQ(json["outcome"], "oracle_failed");
  EXPECT_THAT(json["message"].get<std::string>(), HasSubstr("no room for the answers"));
  const Index there = summarize_log(file("log")).answers;
  EXPECT_EQ(json["queries"]["total"], there);  // every answer it got is in the log
  EXPECT_GT(there, 0);

  expect_ok(learn("on", {"--log", file("log")}));
  expect_same("on", "whole");
}

TEST_F(LogTest, ALogOfAnotherRunIsRefusedByName) {
  expect_ok(learn("first", {"--log", file("log"), "--quiet"}));
  const auto refused = [&](const Words& more, const std::string& words) {
    Words all = {"--log", file("log")};
    all.insert(all.end(), more.begin(), more.end());
    expect_refused(learn("other", all), words);
  };
  refused({"--seed", "1"}, "another seed");
  refused({"--accuracy", "1e-6"}, "another set of options");
  refused({"--answers", "float32"}, "another target");
  Words two_threads = learn("other", {"--log", file("log")});
  *std::find(two_threads.begin(), two_threads.end(), "1") = "2";
  expect_refused(two_threads, "another device and threads");
  target_ = made("stranger.safetensors", {"gaussian", "--inputs", "12", "--neurons", "14",
                                          "--outputs", "2", "--seed", "9"});
  refused({}, "another target");
  expect_refused(learn("other", {"--reuse", file("log")}), "another target");
  expect_refused(learn("other", {"--log", target_}), "--log: expected another file");
  expect_refused(learn("other", {"--log", file("first.json")}), "not a log of answers");
  expect_refused(learn("other", {"--reuse", file("first.json")}), "not a log of answers");
  expect_refused(learn("other", {"--log", file("nowhere/log")}), "No such file");
  expect_refused(learn("other", {"--log", ""}), "--log: expected the name of a file");
}

TEST_F(LogTest, AnotherRunNeedNotAskWhatIsKnown) {
  expect_ok(learn("first", {"--log", file("log")}));
  const Index total = report("first")["queries"]["total"];
  expect_ok(learn("second", {"--reuse", file("log"), "--accuracy", "1e-7"}));
  const Json queries = report("second")["queries"];
  EXPECT_EQ(queries["total"].get<Index>() + queries["reused"].get<Index>(), total);
  EXPECT_GT(queries["reused"], total / 2);
  EXPECT_GE(queries["learning"], 0);
  EXPECT_EQ(report("second")["outcome"], "reached");
  // Answers that cost nothing do not count against the budget.
  expect_ok(learn("third", {"--reuse", file("log"), "--certificate", "2048", "--log", file("own"),
                            "--budget", std::to_string(total)}));
  EXPECT_EQ(report("third")["queries"]["reused"], total);
  EXPECT_EQ(report("third")["queries"]["total"], 0);
  EXPECT_EQ(network("third"), network("first"));
  EXPECT_EQ(summarize_log(file("own")).reused, total);
  // Nor does another seed gain or lose anything.
  expect_ok(learn("fourth", {"--reuse", file("log"), "--seed", "5"}));
  EXPECT_EQ(report("fourth")["queries"]["reused"], 0);
}

class HessianLogTest : public LogTest {
 protected:
  void SetUp() override {
    LogTest::SetUp();
    if (IsSkipped()) return;
    target_ = made("smooth.npz", {"smooth", "--inputs", "6", "--neurons", "4"});
    learner_ = {"--learner", "hessian"};
  }
};

TEST_F(HessianLogTest, KilledAtAnyMomentItGoesOnAndEndsWithTheSameBits) {
  expect_kills_change_nothing(4);
}

// Exit status 2 writes nothing, and takes nothing away.
TEST_F(HessianLogTest, ARefusedRunLeavesNoLogAndTheOneThatWasThereAlone) {
  const Words too_small = {"--budget", "100", "--log", file("log")};
  expect_refused(learn("refused", too_small), "the budget is 100 queries");
  EXPECT_FALSE(std::filesystem::exists(file("log")));
  expect_ok(learn("whole", {"--log", file("log")}));
  const Index total = summarize_log(file("log")).answers;
  EXPECT_EQ(run_program(learn("refused", too_small)).exit_code, 2);
  EXPECT_EQ(summarize_log(file("log")).answers, total);
}

TEST_F(HessianLogTest, EndedEarlyItGoesOnAndAnotherRunPaysOnlyForWhatIsNew) {
  expect_ok(learn("whole"));
  const Index total = report("whole")["queries"]["total"];
  for (const Index budget : {total / 4, total / 3}) {
    SCOPED_TRACE(budget);
    const std::string log = file(std::to_string(budget) + ".log");
    const ProgramResult early =
        run_program(learn("early", {"--budget", std::to_string(budget), "--log", log}));
    EXPECT_EQ(early.exit_code, 4) << early.out;
    const Index known = summarize_log(log).answers;
    EXPECT_GT(known, 0);
    EXPECT_LE(known, budget);

    expect_ok(learn("second", {"--reuse", log}));
    EXPECT_EQ(network("second"), network("whole"));
    const Json queries = report("second")["queries"];
    EXPECT_GE(queries["reused"], known);
    EXPECT_EQ(queries["total"].get<Index>() + queries["reused"].get<Index>(), total);

    expect_ok(learn("on", {"--log", log}));
    expect_same("on", "whole");
    // The certificate of the run that ended early is of no use to the whole one.
    EXPECT_GE(summarize_log(log).answers, total);
    EXPECT_LE(summarize_log(log).answers,
              total + report("early")["queries"]["certificate"].get<Index>());
  }
}

}  // namespace
}  // namespace crease
