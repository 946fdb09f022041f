// Products of columns, Hermite polynomials and rectified powers.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
const double kNan = std::numeric_limits<double>::quiet_NaN();

class MomentsTest : public EveryBackend {
 protected:
  static HostMatrix products_on(Device& on, const HostMatrix& a, const HostMatrix& b) {
    Padded left(on, a), right(on, b), out(on, a.rows(), a.cols() * b.cols());
    row_products(on, left, right, out);
    return out.read();
  }
  Device& cpu() { return *cpu_; }
  /// What `work` makes of y.
  static HostMatrix changed(Device& on, const HostMatrix& y,
                            const std::function<void(DeviceView)>& work) {
    Padded there(on, y);
    work(there);
    return there.read();
  }

 private:
  std::unique_ptr<Device> cpu_ = make_cpu_device({.threads = 1, .poison = true});
};
CREASE_ON_EVERY_BACKEND(MomentsTest);

TEST_P(MomentsTest, RowProductsMatchValuesWorkedByHand) {
  EXPECT_TRUE(same_bits(products_on(device(), {{2, -1}, {3, 0.5}}, {{1, 10, 100}, {4, 5, 6}}),
                        {{2, 20, 200, -1, -10, -100}, {12, 15, 18, 2, 2.5, 3}}));
}

// sum_n w_n x_n x_n^T with w = (1, -2), x = (1, 2), (3, -1).
TEST_P(MomentsTest, TheirProductWithTheRowsIsAWeightedGramMatrixOfAnySign) {
  const HostMatrix rows = {{1, 2}, {3, -1}};
  Padded x(device(), rows);
  DeviceMatrix wide = upload(device(), products_on(device(), {{1}, {-2}}, rows));
  DeviceMatrix gram(device(), 2, 2);
  multiply(device(), wide, Transpose::yes, x, Transpose::no, 1.0, 0.0, gram);

  EXPECT_TRUE(same_bits(download(device(), gram), {{-17, 8}, {8, 2}}));
}

TEST_P(MomentsTest, ElementsAreMultiplied) {
  Padded factors(device(), HostMatrix{{2, -1}, {0, 3}});
  const auto work = [&](DeviceView y) { multiply_elements(device(), factors, y); };

  EXPECT_TRUE(same_bits(changed(device(), {{1, 5}, {7, -0.5}}, work), {{2, -5}, {0, -1.5}}));
}

TEST_P(MomentsTest, HermitePolynomialsMatchValuesWorkedByHand) {
  const HostMatrix z = {{0, 1, 2, -3}};
  const auto at = [&](Index order) {
    return changed(device(), z, [&](DeviceView y) { hermite(device(), order, y); });
  };
  EXPECT_TRUE(same_bits(at(0), {{1, 1, 1, 1}}));
  EXPECT_TRUE(same_bits(at(1), z));
  EXPECT_TRUE(same_bits(at(2), {{-1, 0, 3, 8}}));        // z^2 - 1
  EXPECT_TRUE(same_bits(at(3), {{-0.0, -2, 2, -18}}));   // z^3 - 3 z
  EXPECT_TRUE(same_bits(at(4), {{3, -2, -5, 30}}));      // z^4 - 6 z^2 + 3
  EXPECT_TRUE(same_bits(at(6), {{-15, 16, -11, -96}}));  // z^6 - 15 z^4 + 45 z^2 - 15
}

TEST_P(MomentsTest, RectifiedPowersAndSlopesMatchValuesWorkedByHand) {
  const HostMatrix z = {{-4, -0.0, 0, 0.25, 4, kNan}};
  const auto power = [&](double p) {
    return changed(device(), z, [&](DeviceView y) { rectified_power(device(), p, y); });
  };
  const auto slope = [&](double p, double least) {
    return changed(device(), z, [&](DeviceView y) { rectified_slope(device(), p, least, y); });
  };
  EXPECT_TRUE(same_bits(power(1), {{0, 0, 0, 0.25, 4, kNan}}));
  EXPECT_TRUE(same_bits(power(2), {{0, 0, 0, 0.0625, 16, kNan}}));
  EXPECT_TRUE(same_bits(power(0.5), {{0, 0, 0, 0.5, 2, kNan}}));
  EXPECT_TRUE(same_bits(slope(1, 0), {{0, 0, 0, 1, 1, kNan}}));
  EXPECT_TRUE(same_bits(slope(2, 0), {{0, 0, 0, 0.5, 8, kNan}}));
  EXPECT_TRUE(same_bits(slope(2, 1), {{0, 0, 0, 2, 8, kNan}}));
  EXPECT_TRUE(same_bits(slope(3, 0), {{0, 0, 0, 0.1875, 48, kNan}}));
}

TEST_P(MomentsTest, OtherPowersAreRightToAFewRoundings) {
  const HostMatrix z = {{1e-3, 0.1, 0.9, 1.7, 30}};
  const HostMatrix power =
      changed(device(), z, [&](DeviceView y) { rectified_power(device(), 1.3, y); });
  const HostMatrix slope =
      changed(device(), z, [&](DeviceView y) { rectified_slope(device(), 0.4, 0.05, y); });
  for (Index j = 0; j < z.cols(); ++j) {
    const auto x = static_cast<long double>(z(0, j));
    const auto by_power = static_cast<double>(std::pow(x, 1.3L));
    const auto by_slope = static_cast<double>(0.4L * std::pow(std::max(x, 0.05L), -0.6L));
    // 1.3 and 0.4 - 1 are rounded once: log(30) eps more in the worst case.
    EXPECT_NEAR(power(0, j), by_power, 10 * kEps * by_power);
    EXPECT_NEAR(slope(0, j), by_slope, 10 * kEps * by_slope);
  }
}

TEST_P(MomentsTest, ColumnsAreClippedAndEmptiedBeyondTheirBounds) {
  Padded low_high(device(), HostMatrix{{-1, 0}, {1, 5}});
  Padded most(device(), HostMatrix{{1, 5}});
  const HostMatrix y = {{-3, -1}, {0.5, 5}, {1, 6}, {2, kNan}};
  const auto clip = [&](DeviceView values) { clip_columns(device(), low_high, values); };
  const auto drop = [&](DeviceView values) { drop_beyond(device(), most, values); };

  EXPECT_TRUE(same_bits(changed(device(), y, clip), {{-1, 0}, {0.5, 5}, {1, 5}, {1, kNan}}));
  EXPECT_TRUE(same_bits(changed(device(), y, drop), {{0, -1}, {0.5, 5}, {1, 0}, {0, kNan}}));
}

TEST_P(MomentsTest, TriangleAndDiagonalMatchValuesWorkedByHand) {
  const HostMatrix g = {{1, kNan, kNan}, {2, 3, kNan}, {4, 5, 6}};
  EXPECT_TRUE(same_bits(changed(device(), g, [&](DeviceView y) { symmetrize(device(), y); }),
                        {{1, 2, 4}, {2, 3, 5}, {4, 5, 6}}));
  Padded matrix(device(), HostMatrix{{1, kNan}, {2, -3}}), out(device(), 1, 2);
  diagonal(device(), matrix, out);
  EXPECT_TRUE(same_bits(out.read(), {{1, -3}}));
  Padded values(device(), HostMatrix{{10, 0.5}});
  add_to_diagonal(device(), values, matrix);
  EXPECT_TRUE(same_bits(matrix.read(), {{11, kNan}, {2, -2.5}}));
}

TEST_P(MomentsTest, AllAgreeWithTheCpuTwins) {
  for (const auto& [n, r, d] :
       {std::array<Index, 3>{1, 1, 1}, {31, 3, 33}, {64, 2, 32}, {257, 5, 7}}) {
    const HostMatrix a = with_zeros_and_ties(distinct(n, r));
    const HostMatrix b = with_zeros_and_ties(distinct(n, d, -1.5));
    EXPECT_TRUE(same_bits(products_on(device(), a, b), products_on(cpu(), a, b)));
    const auto both = [&](const HostMatrix& y, const auto& work) {
      EXPECT_TRUE(same_bits(changed(device(), y, [&](DeviceView v) { work(device(), v); }),
                            changed(cpu(), y, [&](DeviceView v) { work(cpu(), v); })));
    };
    both(b, [&](Device& on, DeviceView y) {
      Padded factors(on, distinct(n, d, 0.25));
      multiply_elements(on, factors, y);
    });
    for (const Index order : {0, 1, 2, 5}) {
      both(b, [&](Device& on, DeviceView y) { hermite(on, order, y); });
    }
    for (const double power : {0.5, 1.0, 2.0}) {
      both(b, [&](Device& on, DeviceView y) { rectified_power(on, power, y); });
    }
    for (const double power : {1.0, 1.5, 2.0, 3.0}) {
      both(b, [&](Device& on, DeviceView y) { rectified_slope(on, power, 0.5, y); });
    }
    both(distinct(n, n), [&](Device& on, DeviceView y) {
      Padded out(on, 1, n), values(on, distinct(1, n, 0.5));
      symmetrize(on, y);
      diagonal(on, y, out);
      add_to_diagonal(on, values, y);
      add_to_diagonal(on, out, y);
    });
    both(b, [&](Device& on, DeviceView y) {
      HostMatrix bounds(2, d, 0.3);
      for (Index j = 0; j < d; ++j) bounds(0, j) = -0.4;
      Padded there(on, bounds);
      clip_columns(on, there, y);
      Padded most(on, HostMatrix(1, d, 0.35));
      drop_beyond(on, most, y);
    });
  }
}

TEST_P(MomentsTest, EmptyMatricesDoNothing) {
  DeviceMatrix none(device(), 0, 3), wide(device(), 0, 9), no_columns(device(), 4, 0);
  row_products(device(), none, none, wide);
  row_products(device(), no_columns, no_columns, no_columns);
  multiply_elements(device(), none, none);
  hermite(device(), 2, none);
  rectified_power(device(), 2, none);
  rectified_slope(device(), 2, 0, none);
  DeviceMatrix square(device(), 0, 0), row(device(), 1, 0);
  symmetrize(device(), square);
  diagonal(device(), square, row);
  add_to_diagonal(device(), row, square);
}

TEST_P(MomentsTest, OtherShapesAndNumbersAreRefused) {
  DeviceMatrix a(device(), 2, 2), b(device(), 3, 2), four(device(), 2, 4), row(device(), 1, 2);
  EXPECT_THROW(row_products(device(), a, b, four), BadInput);
  EXPECT_THROW(row_products(device(), a, a, a), BadInput);
  EXPECT_THROW(multiply_elements(device(), a, b), BadInput);
  EXPECT_THROW(hermite(device(), -1, a), BadInput);
  EXPECT_THROW(hermite(device(), kMostHermite + 1, a), BadInput);
  EXPECT_THROW(rectified_power(device(), 0, a), BadInput);
  EXPECT_THROW(rectified_power(device(), kNan, a), BadInput);
  EXPECT_THROW(rectified_slope(device(), 1, -1, a), BadInput);
  EXPECT_THROW(clip_columns(device(), row, a), BadInput);
  EXPECT_THROW(drop_beyond(device(), a, a), BadInput);
  EXPECT_THROW(symmetrize(device(), b), BadInput);
  EXPECT_THROW(diagonal(device(), a, a), BadInput);
  EXPECT_THROW(add_to_diagonal(device(), row, b), BadInput);
}

}  // namespace
}  // namespace crease
