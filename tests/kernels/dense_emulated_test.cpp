// The CUDA kernels of dense linear algebra, emulated, against their CPU twins, or their formulas
// where a kernel is only a part of a primitive.
#include "tests/support/emulated.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/cuda/dense.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();
using Shape = std::array<Index, 2>;
constexpr Shape kShapes[] = {{1, 1}, {31, 33}, {257, 2}, {3, 257}, {64, 32}, {0, 3}, {3, 0}};

class DenseEmulatedTest : public testing::Test {
 protected:
  Device& cpu() { return *cpu_; }

  /// `y` after a kernel has run on it, which gets a view of it: twice, with a stride and without.
  template <class Kernel>
  HostMatrix after(const simt::Way& way, const HostMatrix& y, const Kernel& kernel) {
    Padded inside(cpu(), y);
    simt::launch(way, [&] { kernel(inside.view()); });
    Fenced tight(cpu(), y);
    simt::launch(way, [&] { kernel(tight.view()); });
    EXPECT_TRUE(same_bits(tight.read(), inside.read()));
    return inside.read();
  }

  HostMatrix norms_on_cpu(const HostMatrix& z) {
    Padded columns(cpu(), z);
    Padded out(cpu(), 1, z.cols());
    column_norms(cpu(), columns, out);
    return out.read();
  }

  /// Both kernels of column_norms, with so many slices.
  template <class Matrix = Padded>
  HostMatrix emulated_norms(simt::LaneOrder order, const HostMatrix& z, Index slices,
                            unsigned blocks_across) {
    const Index rows_per_slice = (z.rows() + slices - 1) / slices;
    Matrix columns(cpu(), z);
    std::vector<double> sums(static_cast<std::size_t>(slices * z.cols()), kNan);
    simt::launch({static_cast<unsigned>(slices), blocks_across}, {kNormColumns, kNormLanes}, 0,
                 order, [&] { column_squares_kernel(columns, rows_per_slice, sums.data()); });
    Padded out(cpu(), 1, z.cols());
    simt::launch({1, 2}, 64, 0, order, [&] { column_norms_kernel(sums.data(), slices, out); });
    return out.read();
  }

 private:
  std::unique_ptr<Device> cpu_ = make_cpu_device({.threads = 1, .poison = true});
};

TEST_F(DenseEmulatedTest, ElementwiseKernelsHaveTheBitsOfTheCpuTwins) {
  for (const auto [n, p] : kShapes) {
    HostMatrix y = with_zeros_and_ties(distinct(n, p));
    HostMatrix a = with_zeros_and_ties(distinct(n, p, 0.25));
    if (y.size() > 40) y.data()[37] = a.data()[23] = kNan;
    Fenced other(cpu(), a);
    Fenced row(cpu(), distinct(1, p, -0.25));
    Padded sum(cpu(), y);
    Padded difference(cpu(), y);
    Padded scaled(cpu(), y);
    add_row(cpu(), row, sum);
    subtract(cpu(), other, difference);
    scale_columns(cpu(), row, scaled);
    for (const simt::Way& way : simt::ways_per_element()) {
      SCOPED_TRACE(std::to_string(n) + " x " + std::to_string(p) + ", " + way.name());
      EXPECT_TRUE(
          same_bits(after(way, y, [&](DeviceView v) { add_row_kernel(row, v); }), sum.read()));
      EXPECT_TRUE(same_bits(after(way, y, [&](DeviceView v) { subtract_kernel(other, v); }),
                            difference.read()));
      EXPECT_TRUE(same_bits(after(way, y, [&](DeviceView v) { scale_columns_kernel(row, v); }),
                            scaled.read()));
      EXPECT_TRUE(same_bits(after(way, y, [&](DeviceView v) { copy_kernel(other, v); }), a));
      EXPECT_TRUE(same_bits(after(way, y, [&](DeviceView v) { fill_kernel(-0.0, v); }),
                            HostMatrix(n, p, -0.0)));
    }
  }
}

TEST_F(DenseEmulatedTest, ProductsOfNothingOnlyScale) {
  // multiply() with an inner size of 0, and gram() of no rows, which stops at the diagonal.
  for (const Index q : {1, 31, 33, 65}) {
    for (const double beta : {0.0, 1.0, -0.75}) {
      const HostMatrix c = beta == 0.0 ? HostMatrix(q, q, kNan) : distinct(q, q);
      DeviceMatrix left(cpu(), q, 0);
      DeviceMatrix right(cpu(), 0, q);
      Padded product(cpu(), c);
      Padded triangle(cpu(), c);
      multiply(cpu(), left, Transpose::no, right, Transpose::no, 1.0, beta, product);
      gram(cpu(), right, beta, triangle);
      for (const simt::Way& way : simt::ways_per_element()) {
        SCOPED_TRACE(std::to_string(q) + ", " + way.name());
        EXPECT_TRUE(same_bits(after(way, c, [&](DeviceView v) { scale_kernel(beta, q, v); }),
                              product.read()));
        EXPECT_TRUE(same_bits(after(way, c, [&](DeviceView v) { scale_kernel(beta, 0, v); }),
                              triangle.read()));
      }
    }
  }
}

TEST_F(DenseEmulatedTest, TheFirstNonFiniteRowIsThatOfTheCpuTwin) {
  for (const auto [n, p] : kShapes) {
    const HostMatrix finite = distinct(n, p);
    std::vector<HostMatrix> cases{finite};
    if (n * p > 0) {
      HostMatrix several = finite;
      several(n - 1, 0) = kInfinity;
      cases.push_back(several);
      several(n / 2, p - 1) = kNan;
      several(n / 2, 0) = -kInfinity;
      cases.push_back(several);
      several(0, p / 2) = kNan;
      cases.push_back(several);
    }
    for (const HostMatrix& y : cases) {
      Padded inside(cpu(), y);
      const Index expected = first_non_finite_row(cpu(), inside);
      for (const simt::Way& way : simt::ways_per_element()) {
        unsigned long long first = kNoRow;
        simt::launch(way, [&] { find_non_finite_kernel(inside, &first); });
        EXPECT_EQ(first == kNoRow ? -1 : static_cast<Index>(first), expected)
            << n << " x " << p << ", " << way.name();
      }
    }
  }
}

TEST_F(DenseEmulatedTest, RowsTakeTheSignsOfTheDiagonal) {
  for (const Index d : {1, 31, 32, 33, 65}) {
    HostMatrix a = with_zeros_and_ties(distinct(d, d));
    if (d > 1) a(1, 1) = -0.0;
    if (d > 2) a(2, 0) = kNan;
    HostMatrix expected = a;
    for (Index i = 0; i < d; ++i) {
      for (Index j = 0; j < d && a(i, i) < 0.0; ++j) expected(i, j) = -a(i, j);
    }
    Padded inside(cpu(), a);
    for (const simt::Way& way : simt::ways_per_element()) {
      std::vector<double> signs(static_cast<std::size_t>(d), kNan);
      simt::launch(way, [&] { diagonal_signs_kernel(inside, signs.data()); });
      EXPECT_TRUE(same_bits(
          after(way, a, [&](DeviceView v) { scale_rows_kernel(signs.data(), v); }), expected))
          << d << ", " << way.name();
    }
  }
}

TEST_F(DenseEmulatedTest, ColumnNormsAgreeWithTheCpuTwin) {
  for (const auto [n, q] : {Shape{1, 1}, {31, 33}, {257, 2}, {3, 257}, {64, 32}, {65, 64}}) {
    const HostMatrix z = with_zeros_and_ties(distinct(n, q));
    const HostMatrix expected = norms_on_cpu(z);
    for (const simt::LaneOrder order : simt::kEveryOrder) {
      for (const Index slices : {1, 3}) {
        for (const unsigned blocks_across : {1U, 3U}) {
          EXPECT_TRUE(
              near_sum(emulated_norms(order, z, slices, blocks_across), expected, expected, n))
              << n << " x " << q << " in " << slices << " slices, " << order.name();
          EXPECT_TRUE(near_sum(emulated_norms<Fenced>(order, z, slices, blocks_across), expected,
                               expected, n))
              << n << " x " << q << " in " << slices << " slices, " << order.name();
        }
      }
    }
  }
}

TEST_F(DenseEmulatedTest, NormsOfNoRowsAreZeroAndNanStaysInItsColumn) {
  HostMatrix z = distinct(40, 67);
  z(39, 66) = kNan;
  for (const simt::LaneOrder order : simt::kEveryOrder) {
    EXPECT_TRUE(same_bits(emulated_norms(order, HostMatrix(0, 5), 1, 1), HostMatrix(1, 5)));
    const HostMatrix got = emulated_norms(order, z, 2, 2);
    for (Index j = 0; j < 67; ++j) EXPECT_EQ(std::isnan(got(0, j)), j == 66) << j;
  }
}

TEST_F(DenseEmulatedTest, PivotsThatAreNoPositiveNumbersAreReported) {
  for (const Index q : {1, 31, 33, 257}) {
    for (const double pivot : {1.0, 0.0, -1.0, kNan}) {
      HostMatrix l(q, q, -1.0);  // only the diagonal counts
      for (Index i = 0; i < q; ++i) l(i, i) = 1e-300;
      l(q - 1, q - 1) = pivot;
      Padded inside(cpu(), l);
      for (const simt::Way& way : simt::ways_per_element()) {
        int info = 0;
        simt::launch(way, [&] { check_pivots_kernel(inside, &info); });
        EXPECT_EQ(info, pivot > 0.0 ? 0 : 1) << q << ", " << pivot << ", " << way.name();
      }
    }
  }
}

TEST_F(DenseEmulatedTest, TheTriangleIsTakenOutOfAColumnMajorFactor) {
  for (const auto [n, q] : {Shape{1, 1}, {33, 31}, {257, 2}, {65, 64}}) {
    const HostMatrix factor = distinct(q, n);  // row-major [q, n] is column-major [n, q]
    HostMatrix expected(n, q);
    for (Index i = 0; i < n; ++i) {
      for (Index j = i; j < q; ++j) expected(i, j) = factor(j, i);
    }
    for (const simt::Way& way : simt::ways_per_element()) {
      EXPECT_TRUE(same_bits(after(way, HostMatrix(n, q, kNan),
                                  [&](DeviceView v) { take_r_kernel(factor.data(), v); }),
                            expected))
          << n << " x " << q << ", " << way.name();
    }
  }
}

}  // namespace
}  // namespace crease
