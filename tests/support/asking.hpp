// Oracles that write down what they were asked, and that fail when they are told to.
#pragma once

#include <crease/oracle.hpp>

#include <functional>
#include <vector>

namespace crease {

/// A known network, as an opaque black box or as one that answers lines and fans itself.
class RecordingOracle final : public Oracle {
 public:
  enum class Manner { opaque, structured };
  RecordingOracle(ReluNetwork network, Manner manner);

  Index input_dim() const override { return inputs_; }
  Index output_dim() const override { return outputs_; }
  void answer(Device& device, ConstDeviceView x, DeviceView y) override;
  bool answer_line(Device& device, const Line& line, ConstDeviceView t, DeviceView y) override;
  bool answer_fan(Device& device, const Fan& fan, DeviceView y) override;

  /// Called with the answers of every batch before they are returned; may throw.
  std::function<void(Device& device, DeviceView y)> after;

  std::vector<Index> batches;  // points of every call
  Index lines = 0;             // calls of answer_line that were answered
  Index fans = 0;
  Index points() const;

 private:
  void record(Device& device, DeviceView y);

  Manner manner_;
  Index inputs_;
  Index outputs_;
  std::unique_ptr<Oracle> network_;
};

/// A known network that says how exact each of its answers is: sigma of a point, +infinity where it
/// says nothing. The answers are the exact ones, unless `disturb` changes them. Opaque, or one that
/// answers lines and fans itself.
class OracleWithSigmas final : public Oracle {
 public:
  /// Of one answer at a point x [d]; [p] is written.
  using Sigmas = std::function<void(const double* x, double* sigmas)>;
  OracleWithSigmas(ReluNetwork network, Sigmas sigmas,
                   RecordingOracle::Manner manner = RecordingOracle::Manner::opaque);

  Index input_dim() const override { return inputs_; }
  Index output_dim() const override { return outputs_; }
  AnswerKind answer_kind() const override { return {true, "told", ""}; }
  void answer(Device& device, ConstDeviceView x, DeviceView y) override;
  bool answer_line(Device& device, const Line& line, ConstDeviceView t, DeviceView y) override;
  bool answer_fan(Device& device, const Fan& fan, DeviceView y) override;

  /// Called with the answers and their standard deviations of every batch; may change the answers.
  std::function<void(HostMatrix& values, const HostMatrix& sigmas)> disturb;
  Index silent = 0;  // points without information

 private:
  RecordingOracle::Manner manner_;
  Index inputs_;
  Index outputs_;
  std::unique_ptr<Oracle> network_;
  Sigmas sigmas_;
};

}  // namespace crease
