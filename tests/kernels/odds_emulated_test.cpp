// The CUDA kernels of softmax and log-odds, emulated, against their CPU twins.
#include "tests/support/emulated.hpp"

#include <limits>
#include <memory>

#include "kernels/cuda/odds.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

class OddsEmulatedTest : public testing::Test {
 protected:
  Device& cpu() { return *cpu_; }

  template <class Matrix>
  void try_both(const HostMatrix& logits, bool logarithms) {
    Matrix expected(cpu(), logits);
    softmax(cpu(), logarithms, expected);
    for (const simt::Way& way : simt::ways_per_element()) {
      Matrix y(cpu(), logits);
      simt::launch(way, [&] { softmax_kernel(logarithms, y.view()); });
      // One text, one library: the same bits.
      EXPECT_TRUE(same_bits(y.read(), expected.read())) << way.name();
    }
    const HostMatrix numbers = expected.read();
    HostMatrix wide(numbers.rows(), 2 * numbers.cols());
    for (Index i = 0; i < numbers.rows(); ++i) {
      for (Index o = 0; o < numbers.cols(); ++o) wide(i, o) = numbers(i, o);
    }
    const OddsFormat format{logarithms, 1e-7, 0x1p-53, 1e-9};
    Matrix odds(cpu(), wide);
    log_odds(cpu(), format, odds);
    for (const simt::Way& way : simt::ways_per_element()) {
      Matrix y(cpu(), wide);
      simt::launch(way, [&] { log_odds_kernel(format, y.view()); });
      EXPECT_TRUE(same_bits(y.read(), odds.read())) << way.name();
    }
  }

 private:
  std::unique_ptr<Device> cpu_ = make_cpu_device({1, true});
};

TEST_F(OddsEmulatedTest, KernelsAgreeWithTheirTwins) {
  for (const Index n : {1, 33, 64}) {
    for (const Index p : {2, 3, 31}) {
      HostMatrix logits = with_zeros_and_ties(distinct(n, p));
      for (Index i = 0; i < logits.size(); ++i) logits.data()[i] *= 12;  // some p below 1e-9
      if (n > 1) logits(1, 0) = std::numeric_limits<double>::quiet_NaN();
      for (const bool logarithms : {false, true}) {
        try_both<Padded>(logits, logarithms);
        try_both<Fenced>(logits, logarithms);
      }
    }
  }
}

}  // namespace
}  // namespace crease
