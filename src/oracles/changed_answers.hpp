// A black box that is another one but for what becomes of its answers, row by row.
#pragma once

#include <crease/oracle.hpp>

#include <memory>
#include <utility>

namespace crease {

/// Asks the oracle it wraps the same, lines and fans as such, and changes what came.
class ChangedAnswers : public Oracle {
 public:
  explicit ChangedAnswers(std::unique_ptr<Oracle> oracle) : oracle_(std::move(oracle)) {}

  Index input_dim() const final { return oracle_->input_dim(); }
  Index output_dim() const final { return oracle_->output_dim(); }
  Index reused() const final { return oracle_->reused(); }

  void answer(Device& device, ConstDeviceView x, DeviceView y) final {
    oracle_->answer(device, x, place_of_answers(y));
    change(device, y);
  }
  bool answer_line(Device& device, const Line& line, ConstDeviceView t, DeviceView y) final {
    return changed(oracle_->answer_line(device, line, t, place_of_answers(y)), device, y);
  }
  bool answer_lines(Device& device, const Lines& lines, ConstDeviceView t, DeviceView y) final {
    return changed(oracle_->answer_lines(device, lines, t, place_of_answers(y)), device, y);
  }
  bool answer_fan(Device& device, const Fan& fan, DeviceView y) final {
    return changed(oracle_->answer_fan(device, fan, place_of_answers(y)), device, y);
  }

 private:
  /// The columns of y that the wrapped oracle answers: all of them, unless said otherwise.
  virtual DeviceView place_of_answers(DeviceView y) const { return y; }
  /// Whole answers [n, columns] in place of those of the wrapped oracle.
  virtual void change(Device& device, DeviceView y) = 0;

  bool changed(bool answered, Device& device, DeviceView y) {
    if (answered) change(device, y);
    return answered;
  }

  std::unique_ptr<Oracle> oracle_;
};

}  // namespace crease
