// A black box behind a process: one request a batch, and a new process after each failure.
#include <crease/oracle.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "src/oracles/child_process.hpp"

namespace crease {
namespace {

std::span<const char> bytes_of(ConstHostView rows) {
  return {reinterpret_cast<const char*>(rows.data),
          static_cast<std::size_t>(rows.rows * rows.cols) * sizeof(double)};
}

bool same_bits(const HostMatrix& a, const HostMatrix& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(double)) == 0;
}

class ProcessOracle final : public Oracle {
 public:
  explicit ProcessOracle(ProcessOptions options) : options_(std::move(options)) {}

  Index input_dim() const override { return options_.inputs; }
  Index output_dim() const override { return options_.outputs; }

  void answer(Device& device, ConstDeviceView x, DeviceView y) override {
    HostMatrix points = download(device, x);
    // Asked the same again after a failure, go on where it failed.
    if (answered_ == 0 || !same_bits(points, points_)) {
      answered_ = 0;
      answers_ = HostMatrix(y.rows, y.cols);
      points_ = std::move(points);
    }
    while (answered_ < points_.rows()) {
      const Index count = std::min(options_.batch, points_.rows() - answered_);
      ask(answered_, count);
      answered_ += count;
    }
    device.copy_in(answers_, y);
    answered_ = 0;
    points_ = HostMatrix();
    answers_ = HostMatrix();
  }

 private:
  void ask(Index first, Index count) {
    try {
      if (!child_) child_.emplace(options_.command, options_.errors);
      Reply reply(answers_.view().row_block(first, count));
      const std::array<char, 16> head = frame_head(count, options_.inputs);
      child_->exchange(head, bytes_of(points_.view().row_block(first, count)), reply,
                       options_.timeout_seconds);
    } catch (const OracleError& error) {
      std::string message = error.what();
      if (count < points_.rows()) {
        message = "points " + std::to_string(first) + " to " + std::to_string(first + count - 1) +
                  " of it: " + message;
      }
      if (child_) {
        child_->kill();
        const std::string words = child_->last_words();
        if (!words.empty()) message += "; its last words: " + words;
      }
      child_.reset();
      throw OracleError(message);
    } catch (...) {  // memory, or who listens to its errors: it is in the middle of something
      child_.reset();
      throw;
    }
  }

  ProcessOptions options_;
  std::optional<ChildProcess> child_;
  // The question in hand: as many of its points are answered.
  HostMatrix points_;
  HostMatrix answers_;
  Index answered_ = 0;
};

}  // namespace

std::unique_ptr<Oracle> make_process_oracle(ProcessOptions options) {
  require(!options.command.empty(), "make_process_oracle: the command must not be empty");
  require(options.inputs >= 1 && options.outputs >= 1,
          "make_process_oracle: inputs and outputs must be at least 1");
  require(options.timeout_seconds > 0, "make_process_oracle: the timeout must be positive");
  require(options.batch >= 1, "make_process_oracle: the batch must be at least 1 point");
  return std::make_unique<ProcessOracle>(std::move(options));
}

}  // namespace crease
