// Live and plain lines.
#include "src/cli/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <utility>

namespace crease {
namespace {

constexpr double kSecondsBetweenPlainLines = 5;

/// A line longer than the terminal is wide could not be overwritten.
std::string fitting(std::FILE* out, std::string line) {
  winsize size{};
  if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && line.size() >= size.ws_col) {
    line.resize(size.ws_col - 1u);
  }
  return line;
}

}  // namespace

std::string line_of(const Event& event, Learning from) {
  std::string line = event.stage + ": ";
  if (from == Learning::from_queries) {
    line += fmt::format("{}", event.queries);
    if (event.budget) line += fmt::format(" of {}", *event.budget);
    line += fmt::format(" queries, {} kinks, ", event.kinks);
  }
  line += fmt::format("{} neurons", event.neurons);
  if (event.relative_error) line += fmt::format(", error {:.2g}", *event.relative_error);
  line += fmt::format(", {:.1f} s", event.seconds);
  if (!event.message.empty()) line += ": " + event.message;
  return line;
}

Progress::Progress(std::FILE* out, bool quiet, std::string device, Learning from)
    : out_(out),
      quiet_(quiet),
      live_(isatty(fileno(out)) == 1),
      device_(std::move(device)),
      from_(from) {}

Progress::~Progress() {
  if (!quiet_) end_stage();
}

void Progress::operator()(const Event& event) {
  if (quiet_) return;
  if (!begun_) fmt::print(out_, "learning on {}\n", device_);
  begun_ = true;
  if (event.kind == Event::Kind::warning) {
    // A live line in hand is overwritten now and comes back with the next event.
    const std::string stage = event.stage.empty() ? "" : event.stage + ": ";
    fmt::print(out_, "{}warning: {}{}\n", live_ ? "\r\033[K" : "", stage, event.message);
    return;
  }
  if (pending_ && event.stage != last_.stage) end_stage();
  show(event);
  std::fflush(out_);
}

void Progress::show(const Event& event) {
  last_ = event;
  pending_ = true;
  if (live_) {
    fmt::print(out_, "\r\033[K{}", fitting(out_, line_of(event, from_)));
  } else if (event.seconds - printed_at_ >= kSecondsBetweenPlainLines) {
    end_stage();
  }
}

void Progress::end_stage() {
  if (!pending_) return;
  fmt::print(out_, "{}{}\n", live_ ? "\r\033[K" : "", line_of(last_, from_));
  printed_at_ = last_.seconds;
  pending_ = false;
}

}  // namespace crease
