// A black box that answers the softmax of another one's answers.
#include <crease/oracle.hpp>

#include <utility>

#include "kernels/ops.hpp"

namespace crease {
namespace {

class SoftmaxOracle final : public Oracle {
 public:
  SoftmaxOracle(std::unique_ptr<Oracle> logits, bool logarithms)
      : logits_(std::move(logits)), logarithms_(logarithms) {}

  Index input_dim() const override { return logits_->input_dim(); }
  Index reused() const override { return logits_->reused(); }
  Index output_dim() const override { return logits_->output_dim(); }

  void answer(Device& device, ConstDeviceView x, DeviceView y) override {
    logits_->answer(device, x, y);
    softmax(device, logarithms_, y);
  }
  bool answer_line(Device& device, const Line& line, ConstDeviceView t, DeviceView y) override {
    return logits_->answer_line(device, line, t, y) && to_softmax(device, y);
  }
  bool answer_lines(Device& device, const Lines& lines, ConstDeviceView t, DeviceView y) override {
    return logits_->answer_lines(device, lines, t, y) && to_softmax(device, y);
  }
  bool answer_fan(Device& device, const Fan& fan, DeviceView y) override {
    return logits_->answer_fan(device, fan, y) && to_softmax(device, y);
  }

 private:
  bool to_softmax(Device& device, DeviceView y) const {
    softmax(device, logarithms_, y);
    return true;
  }

  std::unique_ptr<Oracle> logits_;
  bool logarithms_;
};

}  // namespace

std::unique_ptr<Oracle> make_softmax_oracle(std::unique_ptr<Oracle> logits, bool logarithms) {
  require(logits != nullptr, "make_softmax_oracle: there must be an oracle");
  require(logits->output_dim() >= 2, "make_softmax_oracle: needs two outputs or more");
  require(!logits->answer_kind().sigmas,
          "make_softmax_oracle: the answers must come without their standard deviations");
  return std::make_unique<SoftmaxOracle>(std::move(logits), logarithms);
}

}  // namespace crease
