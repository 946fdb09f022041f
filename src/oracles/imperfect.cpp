// A black box whose answers are rounded, or noisy.
#include <crease/oracle.hpp>

#include <cmath>
#include <utility>

#include "kernels/ops.hpp"

namespace crease {
namespace {

class ImperfectOracle final : public Oracle {
 public:
  ImperfectOracle(std::unique_ptr<Oracle> oracle, const Imperfection& format)
      : oracle_(std::move(oracle)), format_(format) {}

  Index input_dim() const override { return oracle_->input_dim(); }
  Index output_dim() const override { return oracle_->output_dim(); }
  Index reused() const override { return oracle_->reused(); }

  void answer(Device& device, ConstDeviceView x, DeviceView y) override {
    oracle_->answer(device, x, y);
    bring_into_format(device, y);
  }
  bool answer_line(Device& device, const Line& line, ConstDeviceView t, DeviceView y) override {
    return oracle_->answer_line(device, line, t, y) && bring_into_format(device, y);
  }
  bool answer_lines(Device& device, const Lines& lines, ConstDeviceView t, DeviceView y) override {
    return oracle_->answer_lines(device, lines, t, y) && bring_into_format(device, y);
  }
  bool answer_fan(Device& device, const Fan& fan, DeviceView y) override {
    return oracle_->answer_fan(device, fan, y) && bring_into_format(device, y);
  }

 private:
  bool bring_into_format(Device& device, DeviceView y) const {
    if (format_.kind == Imperfection::Kind::noise) {
      add_answer_noise(device, format_.seed, format_.deviation, y);
    } else {
      round_answers(device, format_, y);
    }
    return true;
  }

  std::unique_ptr<Oracle> oracle_;
  Imperfection format_;
};

}  // namespace

std::unique_ptr<Oracle> make_imperfect_oracle(std::unique_ptr<Oracle> oracle,
                                              const Imperfection& format) {
  require(oracle != nullptr, "make_imperfect_oracle: there must be an oracle");
  require(!oracle->answer_kind().sigmas,
          "make_imperfect_oracle: answers with standard deviations are not brought into a format");
  require(format.decimals >= 0 && format.decimals <= Imperfection::kMostDecimals,
          "make_imperfect_oracle: decimals must be between 0 and 22");
  require(std::isfinite(format.deviation) && format.deviation >= 0,
          "make_imperfect_oracle: the deviation must be finite and not negative");
  return std::make_unique<ImperfectOracle>(std::move(oracle), format);
}

}  // namespace crease
