// Starting the program, waiting for it, and what every refusal has in common.
#include "tests/support/run_program.hpp"

#include <fcntl.h>
#include <pty.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

extern char** environ;

namespace crease {
namespace {

#ifdef CREASE_PROGRAM
constexpr const char* kProgram = CREASE_PROGRAM;
#else
constexpr const char* kProgram = "";
#endif

/// Pointers into `arguments`, as exec wants them.
std::vector<char*> argv_of(const std::vector<std::string>& arguments) {
  std::vector<char*> argv = {const_cast<char*>("crease")};
  for (const std::string& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  return argv;
}

std::map<std::string, std::string> contents(const TemporaryFolder& folder) {
  std::map<std::string, std::string> contents;
  for (const std::string& name : folder.names()) contents[name] = read_bytes(folder.file(name));
  return contents;
}

}  // namespace

Program::Program(const std::vector<std::string>& arguments) {
  const std::vector<char*> argv = argv_of(arguments);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, outputs_.file("out").c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, outputs_.file("err").c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int failed = posix_spawn(&pid_, kProgram, &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw std::runtime_error("the program does not start");
}

Program::~Program() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::string Program::err() const {
  return read_bytes(outputs_.file("err"));
}

void Program::signal(int number) const {
  kill(pid_, number);
}

bool Program::catches(int number) const {
  const std::string mask = status("SigCgt:");
  return !mask.empty() && ((std::stoull(mask, nullptr, 16) >> (number - 1)) & 1) != 0;
}

std::size_t Program::peak_memory() const {
  // Not getrusage(): that counts the process from which this one was spawned.
  const std::string kilobytes = status("VmHWM:");
  return kilobytes.empty() ? 0 : 1024 * std::stoull(kilobytes);
}

std::string Program::status(const std::string& name) const {
  std::ifstream lines("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(name, 0) == 0) return line.substr(name.size());
  }
  return "";
}

bool Program::has_ended() const {
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
  return info.si_pid == pid_;
}

ProgramResult Program::wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          read_bytes(outputs_.file("out")), err()};
}

ProgramResult run_program(const std::vector<std::string>& arguments) {
  return Program(arguments).wait();
}

std::string run_on_terminal(const std::vector<std::string>& arguments) {
  const std::vector<char*> argv = argv_of(arguments);
  winsize size{};
  size.ws_row = 24;
  size.ws_col = 80;
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  if (child < 0) throw std::runtime_error("no terminal");
  if (child == 0) {
    execv(kProgram, argv.data());
    _exit(127);
  }
  std::string shown;
  char chunk[4096];
  // The last read fails once the program has closed its side.
  for (ssize_t got = 0; (got = read(terminal, chunk, sizeof chunk)) > 0;) {
    shown.append(chunk, static_cast<std::size_t>(got));
  }
  close(terminal);
  waitpid(child, nullptr, 0);
  return shown;
}

void ProgramTest::SetUp() {
  if (kProgram[0] == '\0') GTEST_SKIP() << "the program was not built";
}

std::string ProgramTest::made(const std::string& name,
                              const std::vector<std::string>& arguments) const {
  std::vector<std::string> all = {"make"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  all.insert(all.end(), {"--out", file(name)});
  expect_ok(all);
  return file(name);
}

ProgramResult ProgramTest::expect_ok(const std::vector<std::string>& arguments) const {
  const ProgramResult result = run_program(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result;
}

nlohmann::json ProgramTest::report() const {
  return nlohmann::json::parse(read_bytes(file("out.json")));
}

nlohmann::json ProgramTest::verified(const std::string& target, const std::string& learned,
                                     const std::vector<std::string>& more) const {
  std::vector<std::string> arguments = {"verify", target, learned, "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const ProgramResult result = expect_ok(arguments);
  EXPECT_EQ(result.err, "");
  return nlohmann::json::parse(result.out);
}

void ProgramTest::expect_refused(const std::vector<std::string>& arguments,
                                 const std::string& words) const {
  const auto before = contents(folder_);
  const ProgramResult result = run_program(arguments);
  const std::string called = ::testing::PrintToString(arguments);

  EXPECT_EQ(result.exit_code, 2) << called;
  EXPECT_EQ(result.out, "") << called;
  EXPECT_THAT(result.err, ::testing::StartsWith("crease: ")) << called;
  EXPECT_THAT(result.err, ::testing::HasSubstr(words)) << called;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << called << result.err;
  EXPECT_EQ(contents(folder_), before) << called;
}

}  // namespace crease
