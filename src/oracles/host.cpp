// A black box that is a function on the host.
#include <crease/oracle.hpp>

#include <utility>

namespace crease {
namespace {

class HostOracle final : public Oracle {
 public:
  HostOracle(Index inputs, Index outputs, HostFunction function)
      : inputs_(inputs), outputs_(outputs), function_(std::move(function)) {}

  Index input_dim() const override { return inputs_; }
  Index output_dim() const override { return outputs_; }

  void answer(Device& device, ConstDeviceView x, DeviceView y) override {
    const HostMatrix points = download(device, x);
    HostMatrix answers(y.rows, y.cols);
    function_(points, answers);
    device.copy_in(answers, y);
  }

 private:
  Index inputs_;
  Index outputs_;
  HostFunction function_;
};

}  // namespace

bool Oracle::answer_line(Device&, const Line&, ConstDeviceView, DeviceView) {
  return false;
}
bool Oracle::answer_lines(Device& device, const Lines& lines, ConstDeviceView t, DeviceView y) {
  for (Index l = 0; l < lines.origins.rows; ++l) {
    const Index begin = lines.first[static_cast<std::size_t>(l)];
    const Index count = lines.first[static_cast<std::size_t>(l) + 1] - begin;
    if (count == 0) continue;
    if (!answer_line(device, lines.line(l), t.row_block(begin, count), y.row_block(begin, count))) {
      return false;
    }
  }
  return true;
}
bool Oracle::answer_fan(Device&, const Fan&, DeviceView) {
  return false;
}

std::unique_ptr<Oracle> make_host_oracle(Index inputs, Index outputs, HostFunction function) {
  require(inputs >= 1 && outputs >= 1, "make_host_oracle: inputs and outputs must be at least 1");
  require(static_cast<bool>(function), "make_host_oracle: the function must not be empty");
  return std::make_unique<HostOracle>(inputs, outputs, std::move(function));
}

}  // namespace crease
