// The CUDA kernels of the least-squares solvers, emulated, against their CPU twins.
#include "tests/support/emulated.hpp"

#include <limits>
#include <memory>

#include "kernels/cuda/solve.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

class SolveEmulatedTest : public testing::Test {
 protected:
  Device& cpu() { return *cpu_; }

  template <class Kernel>
  HostMatrix after(const simt::Way& way, const HostMatrix& y, const Kernel& kernel) {
    Padded inside(cpu(), y);
    simt::launch(way, [&] { kernel(inside.view()); });
    return inside.read();
  }

 private:
  std::unique_ptr<Device> cpu_ = make_cpu_device({.threads = 1, .poison = true});
};

TEST_F(SolveEmulatedTest, ElementwiseKernelsHaveTheBitsOfTheCpuTwins) {
  for (const auto& [n, q] : {std::pair<Index, Index>{1, 1}, {31, 33}, {257, 2}, {3, 257}}) {
    HostMatrix y = with_zeros_and_ties(distinct(n, q));
    if (y.size() > 40) y.data()[37] = kNan;
    Padded other(cpu(), with_zeros_and_ties(distinct(n, q, 0.25)));
    Padded row(cpu(), distinct(1, q, -0.25));
    Padded column(cpu(), distinct(n, 1, 0.5));
    Padded scaled(cpu(), y);
    Padded sum(cpu(), y);
    scale_rows(cpu(), column, scaled);
    add_scaled(cpu(), 0.375, row, other, sum);
    Padded unit(cpu(), y);
    Padded norms(cpu(), 1, q);
    normalize_columns(cpu(), unit, norms);
    for (const simt::Way& way : simt::ways_per_element()) {
      SCOPED_TRACE(std::to_string(n) + " x " + std::to_string(q) + ", " + way.name());
      EXPECT_TRUE(same_bits(after(way, y, [&](DeviceView v) { scale_by_rows_kernel(column, v); }),
                            scaled.read()));
      EXPECT_TRUE(
          same_bits(after(way, y, [&](DeviceView v) { add_scaled_kernel(0.375, row, other, v); }),
                    sum.read()));
      EXPECT_TRUE(same_bits(after(way, y, [&](DeviceView v) { divide_columns_kernel(norms, v); }),
                            unit.read()));
    }
  }
}

TEST_F(SolveEmulatedTest, NormsThatAreTooSmallBecomeZero) {
  HostMatrix norms = distinct(1, 301);
  for (Index j = 0; j < norms.cols(); ++j) {
    if (j % 3 == 0) norms(0, j) = j % 2 == 0 ? 1e-310 : kNan;
  }
  HostMatrix expected = norms;
  for (Index j = 0; j < norms.cols(); ++j) {
    if (norms(0, j) < 1e-300) expected(0, j) = 0;
  }
  for (const simt::LaneOrder order : simt::kEveryOrder) {
    for (const unsigned blocks : {1U, 2U, 3U}) {
      Padded row(cpu(), norms);
      simt::launch({1, blocks}, 256, 0, order, [&] { clear_small_kernel(1e-300, row); });
      EXPECT_TRUE(same_bits(row.read(), expected)) << order.name();
    }
  }
}

TEST_F(SolveEmulatedTest, TheUnitDiagonalHasTheBitsOfTheCpuTwin) {
  for (const Index q : {1, 2, 33, 255, 257, 300}) {
    const HostMatrix z = distinct(40, q);
    HostMatrix g = product(transposed(z), z).value;
    if (q > 40) g(17, 17) = 1e-40;                 // left out
    if (q == 300) g(200, 200) = g(250, 3) = kNan;  // must stay what they are
    for (Index i = 0; i < q; ++i) {
      for (Index j = i + 1; j < q; ++j) g(i, j) = -7.5;
    }
    Padded expected(cpu(), g);
    Padded factors(cpu(), q, 1);
    unit_diagonal(cpu(), 1e-24, 1e-12, expected, factors);
    for (const simt::Way& way : simt::ways_per_element()) {
      SCOPED_TRACE(std::to_string(q) + ", " + way.name());
      Padded got(cpu(), g);
      Padded got_factors(cpu(), q, 1);
      simt::launch(1, kDiagonalThreads, 0, way.order,
                   [&] { diagonal_factors_kernel(1e-24, got, got_factors); });
      EXPECT_TRUE(same_bits(got_factors.read(), factors.read()));
      simt::launch(way, [&] { unit_diagonal_kernel(1e-12, got_factors, got); });
      EXPECT_TRUE(same_bits(got.read(), expected.read()));
    }
  }
}

TEST_F(SolveEmulatedTest, TheRotationsOfLsqrHaveTheBitsOfTheCpuTwin) {
  for (const Index p : {1, 3, 257}) {
    HostMatrix first = distinct(kLsqrRows, p, 1.5);
    for (Index j = 0; j < p; j += 5) first(static_cast<Index>(LsqrRow::alpha), j) = 0;
    for (Index j = 1; j < p; j += 5) first(static_cast<Index>(LsqrRow::beta), j) = kNan;
    Padded begun(cpu(), first);
    lsqr_begin(cpu(), 1e-3, begun);
    HostMatrix second = begun.read();
    const HostMatrix news = distinct(2, p, 0.75);
    for (Index j = 0; j < p; ++j) {
      second(static_cast<Index>(LsqrRow::alpha), j) = j % 4 == 0 ? 0 : news(0, j);
      second(static_cast<Index>(LsqrRow::beta), j) = j % 8 == 0 ? 0 : news(1, j);
      if (j % 16 == 0) second(static_cast<Index>(LsqrRow::rho_bar), j) = 0;
    }
    Padded rotated(cpu(), second);
    lsqr_rotate(cpu(), rotated);
    for (const simt::LaneOrder order : simt::kEveryOrder) {
      for (const unsigned blocks : {1U, 2U}) {
        Padded got(cpu(), first);
        simt::launch({1, blocks}, 256, 0, order, [&] { lsqr_begin_kernel(1e-3, got); });
        EXPECT_TRUE(same_bits(got.read(), begun.read())) << p << " " << order.name();
        Padded next(cpu(), second);
        simt::launch({1, blocks}, 256, 0, order, [&] { lsqr_rotate_kernel(next); });
        EXPECT_TRUE(same_bits(next.read(), rotated.read())) << p << " " << order.name();
      }
    }
  }
}

TEST_F(SolveEmulatedTest, TheScalarsOfConjugateGradientsHaveTheBitsOfTheCpuTwin) {
  for (const Index p : {1, 3, 257}) {
    HostMatrix first = distinct(kCgRows, p, 1.5);
    for (Index j = 0; j < p; j += 5) first(static_cast<Index>(CgRow::product), j) = 0;
    for (Index j = 1; j < p; j += 5) first(static_cast<Index>(CgRow::product), j) = kNan;
    Padded begun(cpu(), first);
    cg_begin(cpu(), 0.5, begun);
    HostMatrix second = begun.read();
    const HostMatrix news = distinct(2, p, 0.25);
    for (Index j = 0; j < p; ++j) {
      second(static_cast<Index>(CgRow::curvature), j) = j % 7 == 3 ? kNan : news(0, j);
    }
    Padded stepped(cpu(), second);
    cg_step(cpu(), stepped);
    HostMatrix third = stepped.read();
    for (Index j = 0; j < p; ++j) {
      third(static_cast<Index>(CgRow::next), j) = j % 11 == 4 ? kNan : news(1, j);
    }
    Padded turned(cpu(), third);
    cg_turn(cpu(), turned);
    for (const simt::LaneOrder order : simt::kEveryOrder) {
      for (const unsigned blocks : {1U, 2U}) {
        Padded a(cpu(), first), b(cpu(), second), c(cpu(), third);
        simt::launch({1, blocks}, 256, 0, order, [&] { cg_begin_kernel(0.5, a); });
        simt::launch({1, blocks}, 256, 0, order, [&] { cg_step_kernel(b); });
        simt::launch({1, blocks}, 256, 0, order, [&] { cg_turn_kernel(c); });
        EXPECT_TRUE(same_bits(a.read(), begun.read())) << p << " " << order.name();
        EXPECT_TRUE(same_bits(b.read(), stepped.read())) << p << " " << order.name();
        EXPECT_TRUE(same_bits(c.read(), turned.read())) << p << " " << order.name();
      }
    }
  }
}

}  // namespace
}  // namespace crease
