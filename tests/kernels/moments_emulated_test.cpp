// The CUDA kernels of moments, emulated, against their CPU twins.
#include "tests/support/emulated.hpp"

#include <functional>
#include <limits>
#include <memory>

#include "kernels/cuda/moments.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

class MomentsEmulatedTest : public testing::Test {
 protected:
  Device& cpu() { return *cpu_; }

  /// `kernel` makes of y what `twin` makes of it, in every order of the lanes.
  template <class Matrix>
  void try_in_place(const HostMatrix& y, const std::function<void(DeviceView)>& twin,
                    const std::function<void(DeviceView)>& kernel) {
    Matrix expected(cpu(), y);
    twin(expected);
    for (const simt::Way& way : simt::ways_per_element()) {
      Matrix got(cpu(), y);
      simt::launch(way, [&] { kernel(got.view()); });
      EXPECT_TRUE(same_bits(got.read(), expected.read())) << way.name();
    }
  }

 private:
  std::unique_ptr<Device> cpu_ = make_cpu_device({1, true});
};

TEST_F(MomentsEmulatedTest, KernelsThatChangeAMatrixAgreeWithTheirTwins) {
  for (const auto& [n, d] : {std::array<Index, 2>{1, 1}, {33, 3}, {5, 40}}) {
    HostMatrix y = with_zeros_and_ties(distinct(n, d, -1.25));
    y.data()[y.size() - 1] = std::numeric_limits<double>::quiet_NaN();
    Padded factors(cpu(), distinct(n, d, 0.5));
    HostMatrix range(2, d, 0.7);
    for (Index j = 0; j < d; ++j) range(0, j) = -0.2;
    Padded low_high(cpu(), range), most(cpu(), HostMatrix(1, d, 0.6));
    const auto both = [&](const auto& twin, const auto& kernel) {
      try_in_place<Padded>(y, twin, kernel);
      try_in_place<Fenced>(y, twin, kernel);
    };
    both([&](DeviceView v) { multiply_elements(cpu(), factors, v); },
         [&](DeviceView v) { multiply_elements_kernel(factors.view(), v); });
    for (const Index order : {0, 1, 4}) {
      both([&](DeviceView v) { hermite(cpu(), order, v); },
           [&](DeviceView v) { hermite_kernel(order, v); });
    }
    for (const double power : {0.5, 1.0, 2.0, 1.7}) {  // one text, one library: the same bits
      both([&](DeviceView v) { rectified_power(cpu(), power, v); },
           [&](DeviceView v) { rectified_power_kernel(power, v); });
      both([&](DeviceView v) { rectified_slope(cpu(), power, 0.1, v); },
           [&](DeviceView v) { rectified_slope_kernel(power, 0.1, v); });
    }
    both([&](DeviceView v) { clip_columns(cpu(), low_high, v); },
         [&](DeviceView v) { clip_columns_kernel(low_high.view(), v); });
    both([&](DeviceView v) { drop_beyond(cpu(), most, v); },
         [&](DeviceView v) { drop_beyond_kernel(most.view(), v); });
  }
}

TEST_F(MomentsEmulatedTest, RowProductsAgreeWithTheirTwin) {
  for (const auto& [n, r, d] : {std::array<Index, 3>{1, 1, 1}, {33, 3, 4}, {3, 2, 40}}) {
    Padded a(cpu(), distinct(n, r)), b(cpu(), distinct(n, d, 0.5)), expected(cpu(), n, r * d);
    row_products(cpu(), a, b, expected);
    for (const simt::Way& way : simt::ways_per_element()) {
      Padded got(cpu(), n, r * d);
      simt::launch(way, [&] { row_products_kernel(a.view(), b.view(), got.view()); });
      EXPECT_TRUE(same_bits(got.read(), expected.read())) << way.name();
    }
  }
}

TEST_F(MomentsEmulatedTest, TriangleAndDiagonalAgreeWithTheirTwins) {
  for (const Index q : {1, 7, 40}) {
    const HostMatrix g = distinct(q, q);
    try_in_place<Padded>(
        g, [&](DeviceView v) { symmetrize(cpu(), v); },
        [&](DeviceView v) { symmetrize_kernel(v); });
    Padded values(cpu(), distinct(1, q, 0.5));
    try_in_place<Padded>(
        g, [&](DeviceView v) { add_to_diagonal(cpu(), values, v); },
        [&](DeviceView v) { add_to_diagonal_kernel(values.view(), v); });
    Padded there(cpu(), g);
    try_in_place<Padded>(
        distinct(1, q), [&](DeviceView v) { diagonal(cpu(), there, v); },
        [&](DeviceView v) { diagonal_kernel(there.view(), v); });
  }
}

}  // namespace
}  // namespace crease
