// A black box whose answers are rounded, or noisy.
#include <cmath>
#include <utility>

#include "kernels/ops.hpp"
#include "src/oracles/changed_answers.hpp"

namespace crease {
namespace {

class ImperfectOracle final : public ChangedAnswers {
 public:
  ImperfectOracle(std::unique_ptr<Oracle> oracle, const Imperfection& format)
      : ChangedAnswers(std::move(oracle)), format_(format) {}

 private:
  void change(Device& device, DeviceView y) override {
    if (format_.kind == Imperfection::Kind::noise) {
      add_answer_noise(device, format_.seed, format_.deviation, y);
    } else {
      round_answers(device, format_, y);
    }
  }

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
