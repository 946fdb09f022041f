// The CUDA kernels of ReLU features in the emulator, against the CPU twins.
#include "tests/support/simt_emulator.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>

#include "kernels/cuda/features.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

/// `values` in memory that is NaN around them, with rows at multiples of 16 bytes or not.
struct Placed {
  Placed(Device& device, const HostMatrix& values, bool wide)
      : all(device, values.rows() + 2,
            values.cols() + (values.cols() % 2 == (wide ? 0 : 1) ? 2 : 3)),
        view(all.view().row_block(1, values.rows()).col_block(wide ? 0 : 1, values.cols())) {
    for (Index i = 0; i < values.rows(); ++i) {
      for (Index j = 0; j < values.cols(); ++j) view.data[i * view.ld + j] = values(i, j);
    }
  }

  DeviceMatrix all;
  DeviceView view;
};

bool starts_at_16_bytes(ConstDeviceView view) {
  return reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && view.ld % 2 == 0;
}

/// The sum of |terms| of relu_features.
HostMatrix terms_of(const HostMatrix& x, const HostMatrix& weights, const HostMatrix& bias) {
  HostMatrix terms = product(x, transposed(weights)).terms;
  for (Index i = 0; i < terms.rows(); ++i) {
    for (Index r = 0; r < terms.cols(); ++r) terms(i, r) += std::abs(bias(r, 0));
  }
  return terms;
}

template <class Shape, bool kWide>
void expect_features_as_on_the_cpu(Index n, Index d, Index k) {
  const auto cpu = make_cpu_device({1, true});
  const HostMatrix x = with_zeros_and_ties(distinct(n, d));
  const HostMatrix weights = with_zeros_and_ties(distinct(k, d, 0.125));
  const HostMatrix bias = with_zeros_and_ties(distinct(k, 1, -0.25));
  const Placed points(*cpu, x, kWide);
  const Placed w(*cpu, weights, kWide);
  const DeviceMatrix b = upload(*cpu, bias);
  ASSERT_EQ(starts_at_16_bytes(points.view) && starts_at_16_bytes(w.view), kWide);
  DeviceMatrix expected(*cpu, n, k);
  relu_features(*cpu, points.view, w.view, b, expected);

  constexpr std::size_t kShared =
      kStages * (Shape::kRows + Shape::kCols) * kSliceInputs * sizeof(double);
  for (const simt::LaneOrder order : simt::kEveryOrder) {
    for (const unsigned blocks : {1U, 3U}) {
      const Index tiles =
          ((n + Shape::kRows - 1) / Shape::kRows) * ((k + Shape::kCols - 1) / Shape::kCols);
      if (blocks > tiles) continue;  // every block has a tile
      Padded out(*cpu, n, k);
      const DeviceView view = out;
      simt::launch(blocks, kFeatureThreads, kShared, order, [&] {
        relu_features_kernel<Shape, kWide>(points.view, w.view, b, view, starts_at_16_bytes(view));
      });
      EXPECT_TRUE(near_sum(out.read(), download(*cpu, expected), terms_of(x, weights, bias), d + 1))
          << "n=" << n << " d=" << d << " k=" << k << " blocks=" << blocks << " " << order.name();
    }
  }
}

TEST(FeaturesEmulatedTest, LargeTilesAgreeWithTheCpuTwin) {
  expect_features_as_on_the_cpu<LargeTile, true>(1, 1, 1);
  expect_features_as_on_the_cpu<LargeTile, true>(130, 33, 129);
  expect_features_as_on_the_cpu<LargeTile, false>(129, 50, 130);
}

TEST(FeaturesEmulatedTest, SmallTilesAgreeWithTheCpuTwin) {
  expect_features_as_on_the_cpu<SmallTile, true>(65, 16, 64);
  expect_features_as_on_the_cpu<SmallTile, true>(3, 65, 129);
  expect_features_as_on_the_cpu<SmallTile, false>(66, 17, 65);
  expect_features_as_on_the_cpu<SmallTile, false>(2, 0, 3);
}

TEST(FeaturesEmulatedTest, TilesOfManyBandsAreEachTakenOnce) {
  // 13 tiles high: a band of 12 and one of 1.
  expect_features_as_on_the_cpu<SmallTile, false>(12 * SmallTile::kRows + 1, 3, 70);
}

template <bool kWide>
void expect_gaussian_features_as_on_the_cpu(Index n, Index d, Index k, int tiles_per_item) {
  const auto cpu = make_cpu_device({1, true});
  const std::uint64_t stream = 5;
  const Index first_row = (Index{1} << 32) - 7;
  const HostMatrix weights = with_zeros_and_ties(distinct(k, d, 0.125));
  const HostMatrix bias = with_zeros_and_ties(distinct(k, 1, -0.25));
  const Placed w(*cpu, weights, kWide);
  const DeviceMatrix b = upload(*cpu, bias);
  DeviceMatrix x(*cpu, n, d);
  fill_gaussian(*cpu, Seed{3}, stream, first_row, 1.0, x);
  DeviceMatrix expected(*cpu, n, k);
  gaussian_features(*cpu, Seed{3}, stream, first_row, w.view, b, expected);

  const Index slices = std::max<Index>((d + kSliceInputs - 1) / kSliceInputs, 1);
  const std::size_t shared =
      static_cast<std::size_t>(kStages * LargeTile::kCols + slices * LargeTile::kRows) *
      kSliceInputs * sizeof(double);
  for (const simt::LaneOrder order : simt::kEveryOrder) {
    Padded out(*cpu, n, k);
    const DeviceView view = out;
    simt::launch(2, kFeatureThreads, shared, order, [&] {
      gaussian_features_kernel<kWide>(3, stream, first_row, w.view, b, view,
                                      starts_at_16_bytes(view), tiles_per_item);
    });
    EXPECT_TRUE(near_sum(out.read(), download(*cpu, expected),
                         terms_of(download(*cpu, x), weights, bias), d + 1))
        << "n=" << n << " d=" << d << " k=" << k << " " << order.name();
  }
}

TEST(FeaturesEmulatedTest, GaussianPanelsAgreeWithTheCpuTwin) {
  expect_gaussian_features_as_on_the_cpu<true>(130, 33, 257, 1);  // 6 items for 2 blocks
  expect_gaussian_features_as_on_the_cpu<true>(3, 16, 257, 2);    // the second item has one tile
  expect_gaussian_features_as_on_the_cpu<false>(129, 17, 5, 1);
  expect_gaussian_features_as_on_the_cpu<false>(2, 0, 3, 1);
}

}  // namespace
}  // namespace crease
