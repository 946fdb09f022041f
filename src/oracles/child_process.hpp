// A program that runs beside this one, asked through its standard input and output.
#pragma once

#include <crease/types.hpp>

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "src/oracles/framing.hpp"

namespace crease {

/// A descriptor that is closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { close(); }

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  int release();
  void close();

 private:
  int number_ = -1;
};

/// `sh -c COMMAND` in a process group of its own.
class ChildProcess {
 public:
  using Clock = std::chrono::steady_clock;

  /// `errors` gets what comes on its standard error output, may be empty, and must outlive it.
  /// Throws OracleError where it cannot be started.
  ChildProcess(const std::string& command, const std::function<void(std::string_view)>& errors);

  /// Closes its input, waits for its end, kills its group where it does not come.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Writes the two parts of a request, one after the other, and reads the reply meanwhile, so that
  /// neither side ever waits for the other. Returns once the reply is whole and nothing follows.
  /// Throws OracleError, and then the only thing left to do is kill().
  void exchange(std::span<const char> head, std::span<const char> body, Reply& reply,
                double timeout_seconds);

  /// Ends the process group at once.
  void kill();

  /// The last lines on its standard error output, as one line; empty where there is none.
  std::string last_words() const;

 private:
  struct Request;
  void refuse_early_bytes();
  void write_some(Request& request);
  void read_some(Reply& reply, Clock::time_point deadline);
  [[noreturn]] void stopped_reading(const Request& request, Clock::time_point deadline);
  /// Takes what is there of the standard error output, as much as a pipe holds and no more: who
  /// never stops talking must not keep this one from looking at the clock. Closes it at its end.
  void read_errors();
  /// How it ended, in words; waits for that until the deadline, 5 seconds at most.
  std::string how_it_ended(Clock::time_point deadline);
  /// Whether it has ended, without collecting it.
  bool has_ended() const;
  bool ends_before(Clock::time_point deadline);
  void collect();

  pid_t pid_ = -1;
  Descriptor in_;   // what the program reads
  Descriptor out_;  // what it answers
  Descriptor err_;
  const std::function<void(std::string_view)>* errors_;
  std::string heard_;          // the end of its standard error output
  std::optional<int> status_;  // as waitpid gives it
};

}  // namespace crease
