// A flag that a signal handler sets.
#include "src/cli/stop_signal.hpp"

#include <csignal>

namespace crease {
namespace {

volatile std::sig_atomic_t stop_flag = 0;

extern "C" void set_stop_flag(int) {
  stop_flag = 1;
}

}  // namespace

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = set_stop_flag;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool stop_requested() {
  return stop_flag != 0;
}

}  // namespace crease
