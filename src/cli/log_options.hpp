// --log and --reuse: the answers that a run keeps, and those that it need not ask.
#pragma once

#include <crease/answer_log.hpp>
#include <crease/run.hpp>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "src/cli/targets.hpp"

namespace crease {

struct LogOptions {
  std::string log;
  std::vector<std::string> reuse;
};

void add_log_options(CLI::App& verb, LogOptions& options);

/// The log and the past answers of one `learn`. They outlive the oracle that uses them.
class RunLog {
 public:
  /// Opens what the options name. `verb` is the command as it was parsed: every option of it that
  /// decides what is asked is part of the log's identity. Throws FileError, and BadInput where the
  /// log is one of the files that the command reads or writes otherwise.
  RunLog(const LogOptions& options, const CLI::App& verb, const OpenTarget& target,
         const Device& device, const RunControl& run);
  /// A log that this run made goes again where the run was refused before its first answer.
  ~RunLog();

  /// The target's oracle; itself where there is neither log nor past.
  std::unique_ptr<Oracle> wrap(OpenTarget& target);

  /// Makes `run.stop` tell the log that the run was ended from outside.
  void watch(RunControl& run);

  /// Notes the outcome; a line for people about what was kept, empty without a log.
  std::string end(const RunReport& report);

 private:
  std::unique_ptr<AnswerLog> log_;
  std::unique_ptr<PastAnswers> past_;
  Index before_ = 0;  // answers in the log when it was opened
  bool is_new_ = false;
  bool ended_ = false;
};

}  // namespace crease
