// crease learn 'exec:COMMAND': a program as the black box.
#include <crease/files.hpp>

#include <signal.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <thread>

#include "tests/support/children.hpp"
#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

class LearnProcessTest : public ProgramTest {
 protected:
  /// learn `command` into out.safetensors and out.json on the CPU.
  std::vector<std::string> learn(const std::string& command, Index inputs, Index outputs,
                                 const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"learn",     "exec:" + command,
                                          "--inputs",  std::to_string(inputs),
                                          "--outputs", std::to_string(outputs),
                                          "--out",     file("out.safetensors"),
                                          "--report",  file("out.json"),
                                          "--device",  "cpu",
                                          "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  /// misbehave.cpp that counts over its lives, 3 inputs and 2 outputs.
  std::vector<std::string> learn_from(const std::string& mode, Index after,
                                      const std::vector<std::string>& more = {}) const {
    return learn(misbehaving_child(mode, after, 2, lives_.file("")), 3, 2, more);
  }
  Index points_answered() const {
    return static_cast<Index>(read_bytes(lives_.file("answered")).size());
  }
  /// Waits until a program that runs has come to its gate.
  void wait_for_gate() const {
    while (read_bytes(lives_.file("waiting")).find('\n') == std::string::npos) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  TemporaryFolder lives_;
};

TEST_F(LearnProcessTest, BothExamplesAreLearned) {
  for (const std::string& command : {python_child(), cpp_child()}) {
    const ProgramResult result = expect_ok(learn(command, 3, 2));
    EXPECT_THAT(result.out, HasSubstr("reached"));
    const Json json = report();
    EXPECT_EQ(json["outcome"], "reached");
    EXPECT_EQ(json["inputs"], 3);
    EXPECT_EQ(json["outputs"], 2);
    EXPECT_EQ(json["queries"]["unanswered"], 0);
    const NetworkMatch found = match(answered_network(), load_network(file("out.safetensors")));
    EXPECT_EQ(found.matched, 3);
    EXPECT_EQ(found.missing, 0);
    EXPECT_EQ(found.spurious, 0);
  }
}

TEST_F(LearnProcessTest, TheSizeOfTheRequestsChangesNothing) {
  expect_ok(learn(cpp_child(), 3, 2));
  const std::string network = read_bytes(file("out.safetensors"));
  expect_ok(learn(cpp_child(), 3, 2, {"--batch", "7"}));
  EXPECT_EQ(read_bytes(file("out.safetensors")), network);
}

TEST_F(LearnProcessTest, ABoxThatFailsInTheMiddleLeavesTheBestNetwork) {
  const std::pair<const char*, const char*> cases[] = {
      {"nan", "expected finite numbers, the oracle answered NaN or infinity in row "},
      {"short", "and then the end: the command ended with exit status 0"},
      {"shape", "and p = 2, came n = "},
      {"count", "expected a reply with n = "},
      {"extra", "expected nothing after a reply of "},
      {"text", "bytes that read \"Traceback (most \""},
      {"die", "the command ended with exit status 3"},
      {"complains", "its last words: first line | no more memory | of any kind"}};
  for (const auto& [mode, words] : cases) {
    SCOPED_TRACE(mode);
    std::filesystem::remove(lives_.file("asked"));
    const ProgramResult result = run_program(learn_from(mode, 4));

    EXPECT_EQ(result.exit_code, 5) << result.err;
    const Json json = report();
    EXPECT_EQ(json["outcome"], "oracle_failed");
    const std::string message = json["message"];
    EXPECT_THAT(message, AllOf(::testing::StartsWith("batch "), HasSubstr(words)));
    EXPECT_EQ(message.find('\n'), std::string::npos);
    EXPECT_THAT(result.out, HasSubstr(message));
    EXPECT_GT(json["queries"]["learning"], 0);
    EXPECT_GT(json["queries"]["unanswered"], 0);
    const bool is_asked_again = std::string(mode) != "nan";
    EXPECT_EQ(json["warnings"].size(), is_asked_again ? 2u : 0u);
    EXPECT_EQ(load_network(file("out.safetensors")).inputs(), 3);
  }
}

TEST_F(LearnProcessTest, ABoxThatFailsAtOnceIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"shape", "and p = 2, came n = "},
      {"die", "the command ended with exit status 3"},
      {"nan", "the oracle answered NaN or infinity in row "},
      {"early", "Loading the mod"}};
  for (const auto& [mode, words] : cases) {
    expect_refused(learn(misbehaving_child(mode, 0, 2), 3, 2), words);
    expect_refused(learn(misbehaving_child(mode, 0, 2), 3, 2), "crease: batch 1 (");
  }
  expect_refused(learn(misbehaving_child("hang", 0, 2), 3, 2, {"--timeout", "0.2"}),
                 "bytes within 0.2 seconds, came 0");
  expect_refused(learn("no-such-program", 3, 2, {"--quiet"}), "exit status 127");
}

TEST_F(LearnProcessTest, ABoxThatStumblesIsAskedAgain) {
  // Every life answers three requests and dies at the next.
  const ProgramResult result = expect_ok(learn(misbehaving_child("die", 3, 2), 3, 2));
  const Json json = report();
  EXPECT_EQ(json["outcome"], "reached");
  EXPECT_GT(json["queries"]["unanswered"], 0);
  EXPECT_GT(json["warnings"].size(), 0u);
  EXPECT_THAT(result.err, HasSubstr("warning: "));
  EXPECT_THAT(result.err, HasSubstr("asked again, 1 of 2: expected a reply of "));
  EXPECT_THAT(result.out, HasSubstr("asked in vain"));
  const std::string network = read_bytes(file("out.safetensors"));

  // The answers are the same as those of one that never does, and so is the network.
  expect_ok(learn(misbehaving_child("none", 0, 2), 3, 2));
  EXPECT_EQ(read_bytes(file("out.safetensors")), network);

  EXPECT_EQ(run_program(learn(misbehaving_child("die", 3, 2), 3, 2, {"--retries", "0"})).exit_code,
            5);
  EXPECT_EQ(report()["warnings"].size(), 0u);
}

TEST_F(LearnProcessTest, TheBudgetIsKeptToTheQueryHoweverOftenTheBoxStumbles) {
  for (const std::string mode : {"none", "stumbles"}) {
    for (const Index budget : {60, 120, 350, 500}) {
      SCOPED_TRACE(mode + ", " + std::to_string(budget));
      for (const char* name : {"asked", "answered"}) std::filesystem::remove(lives_.file(name));
      // Every second request fails, the first excepted; a call of some requests takes some tries.
      const ProgramResult result = run_program(learn_from(
          mode, 1, {"--budget", std::to_string(budget), "--batch", "200", "--retries", "50"}));
      EXPECT_EQ(result.exit_code, 4) << result.err;
      // What the box answered and what the report says is the same, to the query.
      EXPECT_EQ(report()["queries"]["total"], points_answered());
      EXPECT_LE(points_answered(), budget);
      EXPECT_EQ(report()["queries"]["unanswered"] > 0, mode == "stumbles");
    }
  }
}

TEST_F(LearnProcessTest, AStopSignalEndsWithTheBestNetworkAndItsCertificate) {
  for (const int number : {SIGINT, SIGTERM}) {
    for (const char* name : {"asked", "waiting", "go"}) std::filesystem::remove(lives_.file(name));
    Program program(learn_from("waits", 4));
    wait_for_gate();
    // In a group of its own: what a terminal sends to this program does not reach it.
    EXPECT_NE(std::stol(read_bytes(lives_.file("waiting"))), static_cast<long>(getpgrp()));
    program.signal(number);
    write_bytes(lives_.file("go"), ".");
    const ProgramResult result = program.wait();

    EXPECT_EQ(result.exit_code, 130) << result.err;
    EXPECT_EQ(report()["outcome"], "stopped");
    EXPECT_EQ(report()["certificate"]["points"], 2048);
    EXPECT_NO_THROW(load_network(file("out.safetensors")));
  }
}

TEST_F(LearnProcessTest, AStopSignalIsObeyedAlsoByARunThatNeverHadAnAnswer) {
  Program program(learn_from("dies_at_gate", 0));
  wait_for_gate();
  program.signal(SIGINT);
  write_bytes(lives_.file("go"), ".");
  const ProgramResult result = program.wait();

  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_EQ(report()["outcome"], "stopped");
  EXPECT_THAT(report()["message"].get<std::string>(),
              HasSubstr("stopped by the caller, after the black box failed: "));
  EXPECT_EQ(report()["queries"]["total"], 0);
  EXPECT_TRUE(report()["certificate"].is_null());
  EXPECT_EQ(load_network(file("out.safetensors")).neurons(), 0);
  EXPECT_EQ(read_bytes(lives_.file("asked")), ".") << "nobody waits for a box that did not answer";
}

TEST_F(LearnProcessTest, AStopSignalIsNotKeptWaitingByABoxThatFails) {
  Program program(learn_from("dies_at_gate", 4));
  wait_for_gate();
  program.signal(SIGTERM);
  write_bytes(lives_.file("go"), ".");
  const ProgramResult result = program.wait();

  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_EQ(report()["outcome"], "stopped");
  EXPECT_TRUE(report()["certificate"].is_null());
  EXPECT_EQ(read_bytes(lives_.file("asked")), ".....");
}

TEST_F(LearnProcessTest, ASecondStopSignalEndsAtOnce) {
  Program program(learn_from("waits", 4));
  wait_for_gate();
  while (!program.has_ended()) {
    program.signal(SIGINT);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(program.wait().exit_code, 128 + SIGINT);
  EXPECT_THAT(folder_.names(), IsEmpty());
}

TEST_F(LearnProcessTest, WhatTheProgramSaysIsPassedOnUnlessQuiet) {
  EXPECT_THAT(run_program(learn("echo hello there >&2; exec " + cpp_child(), 3, 2)).err,
              HasSubstr("hello there\n"));
  const ProgramResult quiet =
      run_program(learn("echo hello there >&2; exec " + cpp_child(), 3, 2, {"--quiet"}));
  EXPECT_EQ(quiet.exit_code, 0);
  EXPECT_EQ(quiet.err + quiet.out, "");
}

TEST_F(LearnProcessTest, OptionsThatDoNotFitTheTargetAreRefused) {
  const std::string out = file("x.npz");
  expect_refused({"learn", "exec:", "--inputs", "3", "--outputs", "2", "--out", out},
                 "exec: expected a command");
  expect_refused({"learn", "exec:cat", "--outputs", "2", "--out", out}, "expected --inputs D and");
  expect_refused({"learn", "exec:cat", "--inputs", "3", "--out", out}, "expected --inputs D and");
  expect_refused(learn("cat", 3, 2, {"--answers", "float32"}), "--answers: expected a file");
  for (const std::string option : {"--inputs", "--outputs", "--timeout", "--batch"}) {
    expect_refused({"learn", file("target.npz"), option, "2", "--out", out},
                   option + ": expected a target exec:COMMAND, not a file");
    expect_refused({"learn", "exec:cat", option, "0", "--out", out}, option + ": expected a");
  }
  expect_refused(learn("cat", 3, 2, {"--retries", "-1"}), "--retries: expected a whole number");
  expect_refused(learn("cat", 3, 2, {"--seconds", "0"}), "--seconds: expected a number");
  // One probability has no odds; and no log is left behind.
  expect_refused(learn("cat", 3, 1, {"--softmax", "probabilities", "--log", file("log")}),
                 "--softmax needs two outputs or more");
  EXPECT_FALSE(std::filesystem::exists(file("log")));
  // More than memory holds, before anything is started.
  expect_refused(learn("cat", Index{1} << 61, 2), "");
}

}  // namespace
}  // namespace crease
