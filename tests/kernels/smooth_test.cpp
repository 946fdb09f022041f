// Smooth activations against extended precision, second differences against values worked by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>

#include "kernels/activations.hpp"
#include "kernels/ops.hpp"
#include "kernels/second_difference.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
const double kNan = std::numeric_limits<double>::quiet_NaN();

class SmoothTest : public EveryBackend {
 protected:
  HostMatrix activated(Activation activation, int derivative, const HostMatrix& z) {
    Padded there(device(), z);
    activate(device(), activation, derivative, there);
    return there.read();
  }
  static HostMatrix differences(Device& on, const HostMatrix& values, double step, Index d) {
    Padded there(on, values), out(on, values.rows(), symmetric_size(d));
    second_differences(on, there, step, out);
    return out.read();
  }
  Device& cpu() { return *cpu_; }

 private:
  std::unique_ptr<Device> cpu_ = make_cpu_device({.threads = 1, .poison = true});
};
CREASE_ON_EVERY_BACKEND(SmoothTest);

const HostMatrix kPoints = {{-800, -40, -5, -1.25, -1e-3, 0, 1e-9, 0.3, 1, 2.5, 7, 40, 800}};

/// Derivatives in extended precision, from their formulas.
long double exact_derivative(Activation activation, int derivative, long double z) {
  const long double pi = std::numbers::pi_v<long double>;
  const auto density = [&](long double t) { return std::exp(-t * t / 2) / std::sqrt(2 * pi); };
  const auto sigmoid = [](long double t) { return 1 / (1 + std::exp(-t)); };
  if (derivative == 0) return exact_activation(activation, z);
  switch (activation) {
    case Activation::tanh: {
      const long double slope = 1 / (std::cosh(z) * std::cosh(z));
      return derivative == 1 ? slope : -2 * std::tanh(z) * slope;
    }
    case Activation::sigmoid: {
      const long double slope = sigmoid(z) * sigmoid(-z);
      return derivative == 1 ? slope : slope * (sigmoid(-z) - sigmoid(z));
    }
    case Activation::softplus:
      return derivative == 1 ? sigmoid(z) : sigmoid(z) * sigmoid(-z);
    case Activation::gelu:
      if (derivative == 2) return density(z) * (2 - z * z);
      return std::erfc(-z / std::numbers::sqrt2_v<long double>) / 2 + z * density(z);
    case Activation::sin:
      return derivative == 1 ? std::cos(z) : -std::sin(z);
    case Activation::erf: {
      const long double slope = 2 / std::sqrt(pi) * std::exp(-z * z);
      return derivative == 1 ? slope : -2 * z * slope;
    }
  }
  return 0;
}

TEST_P(SmoothTest, ActivationsAndTheirDerivativesAreRightToAFewRoundings) {
  for (const Activation activation : kActivations) {
    for (int derivative = 0; derivative <= 2; ++derivative) {
      const HostMatrix got = activated(activation, derivative, kPoints);
      for (Index j = 0; j < kPoints.cols(); ++j) {
        const auto expected =
            static_cast<double>(exact_derivative(activation, derivative, kPoints(0, j)));
        const double bound = 16 * kEps * std::max(1.0, std::fabs(kPoints(0, j)));
        EXPECT_NEAR(got(0, j), expected, bound)
            << to_string(activation) << " " << derivative << " at " << kPoints(0, j);
      }
    }
  }
}

// Far out slopes are small numbers, not differences of ones.
TEST_P(SmoothTest, SlopesOfSaturatedNeuronsKeepTheirDigits) {
  const HostMatrix z = {{-20, 20}};
  for (const Activation activation : {Activation::tanh, Activation::sigmoid}) {
    const HostMatrix got = activated(activation, 1, z);
    for (Index j = 0; j < 2; ++j) {
      const auto expected = static_cast<double>(exact_derivative(activation, 1, z(0, j)));
      EXPECT_NEAR(got(0, j), expected, 100 * kEps * expected);
    }
  }
}

TEST_P(SmoothTest, NanStaysNan) {
  for (const Activation activation : kActivations) {
    for (int derivative = 0; derivative <= 2; ++derivative) {
      EXPECT_TRUE(std::isnan(activated(activation, derivative, {{kNan}})(0, 0)));
    }
  }
}

TEST_P(SmoothTest, NumbersOfASymmetricMatrixStandRowByRow) {
  for (const Index d : {1, 2, 3, 8, 65}) {
    EXPECT_EQ(dimensions_of(symmetric_size(d)), d);
    Index column = 0;
    for (Index i = 0; i < d; ++i) {
      for (Index j = i; j < d; ++j, ++column) {
        const SymmetricPlace at = place_of(column, d);
        EXPECT_EQ(at.row, i);
        EXPECT_EQ(at.col, j);
      }
    }
  }
}

// F = 3 x^2 - 2 x y + y^2 / 2 + 5 x + 1 has the Hessian [[6, -2], [-2, 1]] at every step. The
// stencil in two dimensions: 0, +e1, +e2, -e1, -e2, e1 + e2, -(e1 + e2).
TEST_P(SmoothTest, AQuadraticHasItsHessian) {
  const auto f = [](double x, double y) { return 3 * x * x - 2 * x * y + y * y / 2 + 5 * x + 1; };
  const double s = 0.5;
  HostMatrix values(0, 7);
  for (const auto& [x, y] : {std::array<double, 2>{0, 0}, {2, -1}}) {
    const std::vector<double> row = {f(x, y),     f(x + s, y),     f(x, y + s),    f(x - s, y),
                                     f(x, y - s), f(x + s, y + s), f(x - s, y - s)};
    values.append_row(row.data(), 7);
  }
  const HostMatrix got = differences(device(), values, s, 2);
  for (Index i = 0; i < 2; ++i) {
    EXPECT_EQ(got(i, 0), 6);
    EXPECT_EQ(got(i, 1), -2 * 1.41421356237309504880);
    EXPECT_EQ(got(i, 2), 1);
  }
}

TEST_P(SmoothTest, BothAgreeWithTheCpuTwins) {
  for (const Index d : {1, 2, 5, 12}) {
    for (const Index m : {1, 33}) {
      const HostMatrix values = with_zeros_and_ties(distinct(m, stencil_size(d)));
      EXPECT_TRUE(
          same_bits(differences(device(), values, 0.3, d), differences(cpu(), values, 0.3, d)));
    }
  }
}

TEST_P(SmoothTest, EmptyMatricesDoNothingAndOtherShapesAreRefused) {
  DeviceMatrix none(device(), 0, 3), values(device(), 0, stencil_size(2)), out(device(), 0, 3);
  activate(device(), Activation::tanh, 0, none);
  second_differences(device(), values, 1, out);
  DeviceMatrix four(device(), 2, 4), seven(device(), 2, 7), three(device(), 2, 3);
  EXPECT_THROW(activate(device(), Activation::tanh, 3, four), BadInput);
  EXPECT_THROW(activate(device(), Activation::tanh, -1, four), BadInput);
  EXPECT_THROW(second_differences(device(), seven, 0, three), BadInput);
  EXPECT_THROW(second_differences(device(), seven, kNan, three), BadInput);
  EXPECT_THROW(second_differences(device(), seven, 1, four), BadInput);
  EXPECT_THROW(second_differences(device(), four, 1, three), BadInput);
}

}  // namespace
}  // namespace crease
