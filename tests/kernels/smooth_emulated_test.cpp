// The CUDA kernels of smooth activations and second differences, emulated, against their CPU twins.
#include "tests/support/emulated.hpp"

#include <memory>

#include "kernels/cuda/smooth.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

class SmoothEmulatedTest : public testing::Test {
 protected:
  Device& cpu() { return *cpu_; }

 private:
  std::unique_ptr<Device> cpu_ = make_cpu_device({1, true});
};

TEST_F(SmoothEmulatedTest, ActivationsAgreeWithTheirTwin) {  // one text, one library: the same bits
  const HostMatrix z = distinct(33, 5, -0.5);
  for (const Activation activation : kActivations) {
    for (int derivative = 0; derivative <= 2; ++derivative) {
      Padded expected(cpu(), z);
      activate(cpu(), activation, derivative, expected);
      for (const simt::Way& way : simt::ways_per_element()) {
        Padded got(cpu(), z);
        simt::launch(way, [&] { activate_kernel(activation, derivative, got.view()); });
        EXPECT_TRUE(same_bits(got.read(), expected.read())) << way.name();
      }
    }
  }
}

TEST_F(SmoothEmulatedTest, SecondDifferencesAgreeWithTheirTwin) {
  for (const auto& [m, d] : {std::array<Index, 2>{1, 1}, {33, 2}, {3, 9}}) {
    Padded values(cpu(), with_zeros_and_ties(distinct(m, stencil_size(d))));
    Padded expected(cpu(), m, symmetric_size(d));
    second_differences(cpu(), values, 0.01, expected);
    for (const simt::Way& way : simt::ways_per_element()) {
      Padded got(cpu(), m, symmetric_size(d));
      simt::launch(way, [&] { second_differences_kernel(values.view(), 0.01, d, got.view()); });
      EXPECT_TRUE(same_bits(got.read(), expected.read())) << way.name();
    }
  }
}

}  // namespace
}  // namespace crease
