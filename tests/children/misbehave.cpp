// A black box that keeps the process protocol for a while and then breaks it.
//
//   misbehave MODE AFTER OUTPUTS [FOLDER]
//
// Answers AFTER requests, then does what MODE says; in a FOLDER it counts requests over all its
// lives (`asked`) and the points it answered (`answered`), else over this one only.
//   F_o(x) = sum_j (1 + o + j) relu(x_j - (j + 1) / 4)
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace {

std::string folder;

bool read_all(void* to, std::size_t bytes) {
  auto* place = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = read(0, place, bytes);
    if (got <= 0) return false;
    place += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

void write_all(int where, const void* from, std::size_t bytes) {
  const auto* place = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t written = write(where, place, bytes);
    if (written <= 0) _exit(9);
    place += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void say(int where, const std::string& text) {
  write_all(where, text.data(), text.size());
}

std::string file(const std::string& name) {
  return folder + "/" + name;
}

void append(const std::string& name, const std::string& text) {
  const int where = open(file(name).c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  say(where, text);
  close(where);
}

bool exists(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0;
}

std::int64_t size_of(const std::string& name) {
  struct stat status {};
  return stat(file(name).c_str(), &status) == 0 ? status.st_size : 0;
}

[[noreturn]] void hang() {
  // Whatever happens to its input; but not longer than the folder of its test exists.
  while (folder.empty() || exists(folder)) poll(nullptr, 0, 20);
  _exit(0);
}

/// Head and answers, as one piece.
std::vector<char> reply_of(std::int64_t n, std::int64_t p, const std::vector<double>& y) {
  std::vector<char> bytes(16 + y.size() * sizeof(double));
  std::memcpy(bytes.data(), &n, 8);
  std::memcpy(bytes.data() + 8, &p, 8);
  std::memcpy(bytes.data() + 16, y.data(), y.size() * sizeof(double));
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 1;
  const std::string mode = argv[1];
  const std::int64_t after = std::atoll(argv[2]);
  const std::int64_t p = std::atoll(argv[3]);
  if (argc > 4) folder = argv[4];
  std::int64_t asked = folder.empty() ? 0 : size_of("asked");

  if (mode == "early") say(1, "Loading the model, please wait\n");
  std::int64_t head[2];
  while (read_all(head, sizeof head)) {
    const std::int64_t n = head[0];
    const std::int64_t d = head[1];
    const bool breaks = asked++ >= after;
    if (!folder.empty()) append("asked", ".");
    if (breaks && mode == "closes_input") {
      close(0);
      hang();
    }
    std::vector<double> x(static_cast<std::size_t>(n * d));
    if (!read_all(x.data(), x.size() * sizeof(double))) return 1;
    std::vector<double> y(static_cast<std::size_t>(n * p));
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t o = 0; o < p; ++o) {
        double sum = 0;
        for (std::int64_t j = 0; j < d; ++j) {
          sum += static_cast<double>(1 + o + j) *
                 std::max(0.0, x[i * d + j] - static_cast<double>(j + 1) / 4);
        }
        y[i * p + o] = sum;
      }
    }
    std::vector<char> reply = reply_of(n, p, y);
    if (breaks) {
      if (mode == "hang") hang();
      if (mode == "die") _exit(3);
      if (mode == "stumbles" && asked % 2 == 0) _exit(4);  // counted over its lives
      if (mode == "killed") raise(SIGKILL);
      if (mode == "complains") {
        say(2, "first line\nno more memory\nof any kind\n");
        _exit(7);
      }
      if (mode == "short") {
        write_all(1, reply.data(), reply.size() - 8);
        _exit(0);
      }
      if (mode == "stalls") {
        write_all(1, reply.data(), 24);
        hang();
      }
      if (mode == "closes_output") {
        close(1);
        hang();
      }
      if (mode == "shape") reply = reply_of(n, p + 1, std::vector<double>(y.size() + n));
      if (mode == "count") reply = reply_of(n - 1, p, y);
      if (mode == "huge") reply = reply_of(std::int64_t{1} << 62, p, y);
      if (mode == "negative") reply = reply_of(-n, p, y);
      if (mode == "extra") reply.insert(reply.end(), {'\n', 'o', 'k', '\n'});
      if (mode == "text") {
        const std::string text = "Traceback (most recent call last)";
        reply.assign(text.begin(), text.end());
      }
      if (mode == "nan") {
        y.back() = std::numeric_limits<double>::quiet_NaN();
        reply = reply_of(n, p, y);
      }
      if (mode == "never_stops_talking") {
        while (folder.empty() || exists(folder))
          say(2, std::string(1 << 6, '.') + "\nstill here\n");
        _exit(0);
      }
      if (mode == "talks") say(2, std::string(1 << 20, '.'));
      if (mode == "leaves_another" && fork() == 0) {
        // Holds the fifo open until it is killed.
        [[maybe_unused]] const int held = open(file("fifo").c_str(), O_WRONLY);
        append("there", ".");
        hang();
      }
      if (mode == "leaves_another") hang();
      if (mode == "waits") {
        append("waiting", std::to_string(getpgrp()) + "\n");
        while (exists(folder) && !exists(file("go"))) poll(nullptr, 0, 5);
      }
      if (mode == "dies_at_gate") {
        append("waiting", "there\n");
        while (exists(folder) && !exists(file("go"))) poll(nullptr, 0, 5);
        _exit(5);
      }
      if (mode == "bit_by_bit") {
        for (const char& byte : reply) write_all(1, &byte, 1);
        reply.clear();
      }
    }
    write_all(1, reply.data(), reply.size());
    if (!folder.empty() && !reply.empty()) append("answered", std::string(n, '.'));
  }
  if (!folder.empty()) append("end of input", ".");
}
