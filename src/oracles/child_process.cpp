// Starting, asking and ending a program; POSIX.
#include "src/oracles/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <system_error>
#include <utility>

extern char** environ;

namespace crease {
namespace {

constexpr auto kGrace = std::chrono::seconds(5);
constexpr auto kNap = std::chrono::milliseconds(2);
constexpr std::size_t kHeard = 4096;      // bytes of its standard error output that are kept
constexpr std::size_t kAtOnce = 1 << 16;  // bytes of it that are read in one go: a pipe full
constexpr std::size_t kQuoted = 300;
constexpr int kQuotedLines = 3;

std::string seconds_text(double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g", seconds);
  return text.data();
}

std::string reason(int error) {
  return std::generic_category().message(error);
}

/// Both ends of a pipe, closed in other programs that are started, and never 0, 1 or 2: those are
/// overwritten in the child, in whatever order.
struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw OracleError("no pipe to the command: " + reason(errno));
    }
    from = Descriptor(ends[0]);
    to = Descriptor(ends[1]);
    for (Descriptor* end : {&from, &to}) {
      if (end->get() > 2) continue;
      const int higher = fcntl(end->get(), F_DUPFD_CLOEXEC, 3);
      if (higher < 0) throw OracleError("no pipe to the command: " + reason(errno));
      *end = Descriptor(higher);
    }
  }
  Descriptor from;
  Descriptor to;
};

void make_non_blocking(const Descriptor& end) {
  fcntl(end.get(), F_SETFL, fcntl(end.get(), F_GETFL) | O_NONBLOCK);
}

/// SIGPIPE of this thread is held back, and taken away if it came meanwhile: a program that stops
/// reading is an error of ours, and no handler of the host program is touched.
class PipeSignalHeldBack {
 public:
  PipeSignalHeldBack() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~PipeSignalHeldBack() {
    const timespec at_once{};
    while (!was_pending_ && sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  PipeSignalHeldBack(const PipeSignalHeldBack&) = delete;
  PipeSignalHeldBack& operator=(const PipeSignalHeldBack&) = delete;

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool was_pending_ = false;
};

/// In milliseconds, rounded up, as poll() wants it; 0 in the past.
int until(ChildProcess::Clock::time_point deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - ChildProcess::Clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30));
}

/// Bytes that are there, at most a buffer full: 0 at the end, nothing where there is none now.
std::optional<std::size_t> read_available(const Descriptor& end, std::span<char> buffer) {
  for (;;) {
    const ssize_t got = ::read(end.get(), buffer.data(), buffer.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
    throw OracleError("the command's answers cannot be read: " + reason(errno));
  }
}

pid_t start(const std::string& command, const Pipe& in, const Pipe& out, const Pipe& err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.from.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, out.to.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, err.to.get(), 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &pipe);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(
      &attributes,
      static_cast<short>(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
  std::string shell = "sh";
  std::string option = "-c";
  std::string text = command;
  const std::array<char*, 4> arguments = {shell.data(), option.data(), text.data(), nullptr};
  pid_t pid = -1;
  const int failed = posix_spawn(&pid, "/bin/sh", &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw OracleError("the command cannot be started: " + reason(failed));
  return pid;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    close();
    number_ = other.release();
  }
  return *this;
}

int Descriptor::release() {
  return std::exchange(number_, -1);
}

void Descriptor::close() {
  if (number_ >= 0) ::close(release());
}

/// What is still to be written.
struct ChildProcess::Request {
  std::array<iovec, 2> parts;
  std::size_t total = 0;
  std::size_t written = 0;

  Request(std::span<const char> head, std::span<const char> body)
      : parts{{{const_cast<char*>(head.data()), head.size()},
               {const_cast<char*>(body.data()), body.size()}}},
        total(head.size() + body.size()) {}

  bool whole() const { return written == total; }
  void advance(std::size_t bytes) {
    written += bytes;
    for (iovec& part : parts) {
      const std::size_t here = std::min(bytes, part.iov_len);
      part.iov_base = static_cast<char*>(part.iov_base) + here;
      part.iov_len -= here;
      bytes -= here;
    }
  }
};

ChildProcess::ChildProcess(const std::string& command,
                           const std::function<void(std::string_view)>& errors)
    : errors_(&errors) {
  Pipe in;
  Pipe out;
  Pipe err;
  pid_ = start(command, in, out, err);
  in_ = std::move(in.to);
  out_ = std::move(out.from);
  err_ = std::move(err.from);
  for (const Descriptor* end : {&in_, &out_, &err_}) make_non_blocking(*end);
}

ChildProcess::~ChildProcess() {
  in_.close();
  try {
    if (!status_ && !ends_before(Clock::now() + kGrace)) kill();
  } catch (...) {  // by who listens to its errors
    if (!status_) ::kill(-pid_, SIGKILL);
  }
  collect();
}

void ChildProcess::kill() {
  // While the leader is not collected no other group can have its number.
  if (!status_) ::kill(-pid_, SIGKILL);
  collect();
  read_errors();
}

void ChildProcess::collect() {
  if (status_) return;
  int status = 0;
  pid_t got = -1;
  while ((got = waitpid(pid_, &status, 0)) < 0 && errno == EINTR) {
  }
  status_ = got == pid_ ? status : 0;  // a host program that ignores SIGCHLD leaves no status
}

bool ChildProcess::has_ended() const {
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
    return errno == ECHILD;
  }
  return info.si_pid == pid_;
}

bool ChildProcess::ends_before(Clock::time_point deadline) {
  std::array<char, 4096> dropped{};
  while (!has_ended()) {
    if (Clock::now() >= deadline) return false;
    // It may be writing still, and must not wait for someone to read.
    read_errors();
    if (out_) {
      const auto got = read_available(out_, dropped);
      if (got && *got == 0) out_.close();
      if (got && *got > 0) continue;
    }
    ::poll(nullptr, 0, static_cast<int>(kNap.count()));
  }
  read_errors();
  return true;
}

std::string ChildProcess::how_it_ended(Clock::time_point deadline) {
  if (!ends_before(std::min(deadline, Clock::now() + kGrace))) {
    return "it did not end";
  }
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
    return "the command ended";
  }
  return info.si_code == CLD_EXITED
             ? "the command ended with exit status " + std::to_string(info.si_status)
             : "the command was ended by signal " + std::to_string(info.si_status);
}

void ChildProcess::read_errors() {
  std::array<char, 4096> buffer{};
  for (std::size_t read = 0; err_ && read < kAtOnce;) {
    const auto got = read_available(err_, buffer);
    if (!got) return;
    if (*got == 0) {
      err_.close();
      return;
    }
    read += *got;
    const std::string_view text(buffer.data(), *got);
    if (*errors_) (*errors_)(text);
    heard_ += text;
    if (heard_.size() > kHeard) heard_.erase(0, heard_.size() - kHeard);
  }
}

std::string ChildProcess::last_words() const {
  std::string words;
  std::string_view rest = heard_;
  for (int lines = 0; lines < kQuotedLines && !rest.empty();) {
    const std::size_t end = rest.find_last_not_of("\r\n");
    if (end == std::string_view::npos) break;
    rest = rest.substr(0, end + 1);
    const std::size_t begin = rest.find_last_of("\r\n") + 1;  // 0 where there is none
    const std::string line = printable(rest.substr(begin), kQuoted);
    words = words.empty() ? line : line + " | " + words;
    rest = rest.substr(0, begin);
    ++lines;
  }
  return words.size() > kQuoted ? "..." + words.substr(words.size() - kQuoted) : words;
}

void ChildProcess::refuse_early_bytes() {
  std::array<char, 4096> buffer{};
  const auto got = read_available(out_, buffer);
  if (got && *got > 0) {
    throw OracleError("expected nothing before the request, came " + std::to_string(*got) +
                      " bytes that read \"" + printable({buffer.data(), *got}, 40) + "\"");
  }
}

void ChildProcess::stopped_reading(const Request& request, Clock::time_point deadline) {
  in_.close();
  throw OracleError("expected it to read a request of " + std::to_string(request.total) +
                    " bytes, it stopped reading after " + std::to_string(request.written) +
                    " or less: " + how_it_ended(deadline));
}

void ChildProcess::write_some(Request& request) {
  while (!request.whole()) {
    const ssize_t written = ::writev(in_.get(), request.parts.data(), 2);
    if (written >= 0) {
      request.advance(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      return;
    }
  }
}

void ChildProcess::read_some(Reply& reply, Clock::time_point deadline) {
  std::array<char, 1 << 16> buffer;
  const auto got = read_available(out_, buffer);
  if (!got) return;
  if (*got == 0) {
    throw OracleError("expected a reply of " + std::to_string(reply.expected_bytes()) +
                      " bytes, came " + std::to_string(reply.bytes()) +
                      " and then the end: " + how_it_ended(deadline));
  }
  reply.take({buffer.data(), *got});
}

void ChildProcess::exchange(std::span<const char> head, std::span<const char> body, Reply& reply,
                            double timeout_seconds) {
  const PipeSignalHeldBack held_back;
  constexpr double kLongest = 1e9;  // seconds; beyond it a deadline would overflow
  const auto deadline =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(
                         std::chrono::duration<double>(std::min(timeout_seconds, kLongest)));
  refuse_early_bytes();
  Request request(head, body);
  while (!reply.whole()) {
    std::array<pollfd, 3> ends = {{{request.whole() ? -1 : in_.get(), POLLOUT, 0},
                                   {out_.get(), POLLIN, 0},
                                   {err_.get(), POLLIN, 0}}};  // -1 is left out
    const int ready = ::poll(ends.data(), ends.size(), until(deadline));
    if (ready < 0 && errno != EINTR) {
      throw OracleError("the command cannot be waited for: " + reason(errno));
    }
    if (ready > 0) {
      if (ends[2].revents != 0) read_errors();
      if (ends[1].revents != 0) read_some(reply, deadline);
      if ((ends[0].revents & POLLERR) != 0) stopped_reading(request, deadline);
      if (ends[0].revents != 0) write_some(request);
    }
    if (!reply.whole() && Clock::now() >= deadline) {
      read_errors();
      throw OracleError("expected a reply of " + std::to_string(reply.expected_bytes()) +
                        " bytes within " + seconds_text(timeout_seconds) + " seconds, came " +
                        std::to_string(reply.bytes()));
    }
  }
  if (!request.whole()) {
    throw OracleError("expected it to read a request of " + std::to_string(request.total) +
                      " bytes, it answered after " + std::to_string(request.written) + " or less");
  }
  // What it wrote in one go with the reply is there already; what comes later is met before the
  // next request.
  std::array<char, 4096> more{};
  const auto got = read_available(out_, more);
  if (got && *got > 0) reply.take({more.data(), *got});
}

}  // namespace crease
