// The program as a child process.
#pragma once

#include <gmock/gmock.h>

#include <csignal>
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.hpp"

namespace crease {

struct ProgramResult {
  int exit_code = 0;  // 128 + signal where one ended it
  std::string out;
  std::string err;
};

/// A running program whose output goes into files of a folder of its own.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// What it has said so far on stderr.
  std::string err() const;
  void signal(int number) const;
  /// Whether it handles that signal by now.
  bool catches(int number) const;
  /// The most memory it has had so far, in bytes; 0 once it has ended.
  std::size_t peak_memory() const;
  bool has_ended() const;
  ProgramResult wait();

 private:
  /// What the kernel says of it under that name; empty once it has ended.
  std::string status(const std::string& name) const;

  TemporaryFolder outputs_;
  pid_t pid_ = -1;
};

ProgramResult run_program(const std::vector<std::string>& arguments);

/// The same on a terminal of 80 columns: everything it shows there.
std::string run_on_terminal(const std::vector<std::string>& arguments);

/// Tests of the program in a folder of its own; skipped where the program was not built.
class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override;

  std::string file(const std::string& name) const { return folder_.file(name); }
  /// `crease make ...` into `name`, which must work; its path.
  std::string made(const std::string& name, const std::vector<std::string>& arguments) const;
  ProgramResult expect_ok(const std::vector<std::string>& arguments) const;
  /// Exit code 2, one line on stderr with `words` in it, nothing on stdout, and the same files as
  /// before.
  void expect_refused(const std::vector<std::string>& arguments, const std::string& words) const;

  /// What `--report` wrote into out.json.
  nlohmann::json report() const;
  /// What `crease verify --json` prints.
  nlohmann::json verified(const std::string& target, const std::string& learned,
                          const std::vector<std::string>& more = {}) const;

  TemporaryFolder folder_;
};

}  // namespace crease
