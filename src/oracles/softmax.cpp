// A black box that answers the softmax of another one's answers.
#include <utility>

#include "kernels/ops.hpp"
#include "src/oracles/changed_answers.hpp"

namespace crease {
namespace {

class SoftmaxOracle final : public ChangedAnswers {
 public:
  SoftmaxOracle(std::unique_ptr<Oracle> logits, bool logarithms)
      : ChangedAnswers(std::move(logits)), logarithms_(logarithms) {}

 private:
  void change(Device& device, DeviceView y) override { softmax(device, logarithms_, y); }

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
