// Normals of level sets by secants, and what tells that there is more than one hyperplane.
#include "src/stages/secants.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr Index kInputs = 5;

class SecantsTest : public EveryBackend {
 protected:
  /// Asks a function of x.
  template <class Function>
  Asker& asking(Function function) {
    oracle_ = make_host_oracle(kInputs, 1, [function](ConstHostView x, HostView y) {
      for (Index i = 0; i < x.rows; ++i) y(i, 0) = function(&x(i, 0));
    });
    asker_ = std::make_unique<Asker>(device(), *oracle_, control_);
    asker_->enter("secants");
    return *asker_;
  }
  std::vector<double> a_ = unit_vector({0.3, -0.8, 0.1, 0.5, -0.2});
  std::vector<double> other_ = unit_vector({0.6, 0.3, -0.4, 0.1, 0.9});
  /// A point on <a, x> = 0, far from the origin, and a normal that is off by about `by`.
  LevelPoint point(double by) const {
    LevelPoint point;
    point.at = {40, -10, 25, 31, 7};
    const double height = dot(a_, point.at);
    point.normal = a_;
    for (std::size_t j = 0; j < a_.size(); ++j) {
      point.at[j] -= height * a_[j];
      point.normal[j] += by * (j % 2 == 0 ? 0.5 : -0.3);
    }
    point.normal = unit_vector(point.normal);
    point.slope = 1;
    point.before = -1;
    point.after = 1;
    point.reach = 12;
    return point;
  }
  double error(const LevelPoint& point) const {
    double square = 0;
    for (std::size_t j = 0; j < a_.size(); ++j) square += std::pow(point.normal[j] - a_[j], 2);
    return std::sqrt(square);
  }

 private:
  RunControl control_;
  std::unique_ptr<Oracle> oracle_;
  std::unique_ptr<Asker> asker_;
};
CREASE_ON_EVERY_BACKEND(SecantsTest);

TEST_P(SecantsTest, TangentsAndTheNormalAreAnOrthonormalBasisOfTheSameSpan) {
  const HostMatrix basis = svd(normals(4, 6, 3)).right;  // [4, 6]
  std::vector<double> first(basis.row(0), basis.row(0) + 6);
  std::vector<double> minus = first;
  for (double& value : minus) value = -value;
  const std::vector<double> any = in_span(basis, unit_vector({0.2, -0.9, 0.4, 0.1}));
  for (const std::vector<double>& normal : {first, minus, any}) {
    HostMatrix all = tangents(basis, normal);
    ASSERT_EQ(all.rows(), 3);
    all.append_row(normal.data(), 6);
    for (Index i = 0; i < 4; ++i) {
      double in_basis = 0;
      for (Index k = 0; k < 4; ++k) {
        EXPECT_NEAR(dot(all.row(i), all.row(k), 6), i == k ? 1 : 0, 1e-14);
        in_basis += std::pow(dot(all.row(i), basis.row(k), 6), 2);
      }
      EXPECT_NEAR(in_basis, 1, 1e-14);
    }
  }
  EXPECT_EQ(tangents(HostMatrix{{0, 1}}, {0, -1}).rows(), 0);
}

// phi = tanh + tanh^2 / 4 bends at the level, phi''/(2 phi') = 1/4: D - 1 tilts s leave an error of
// about sqrt(D) length s^2 / 4.
TEST_P(SecantsTest, DifferencesLeaveTheSquareOfTheError) {
  Asker& asker = asking([this](const double* x) {
    const double g = std::tanh(dot(a_.data(), x, kInputs));
    return g + g * g / 4;
  });
  std::vector<LevelPoint> points = {point(1e-3), point(0)};
  points[1].holds = false;
  const LevelPoint untouched = points[1];
  const double before = error(points[0]);
  tilt_by_differences(asker, identity(kInputs), 10, 0.01, points);
  EXPECT_EQ(asker.asked(), kInputs);
  EXPECT_TRUE(points[0].holds);
  EXPECT_GT(before, 1e-4);
  EXPECT_LT(error(points[0]), 10 * before * before);
  EXPECT_GT(error(points[0]), 0.01 * before * before);
  EXPECT_EQ(points[1].normal, untouched.normal);
  for (int pass = 0; pass < 2; ++pass) {
    tilt_by_differences(asker, identity(kInputs), 10, 0.01, points);
  }
  EXPECT_LT(error(points[0]), 1e-14);  // |x| 1e-16 / length
}

TEST_P(SecantsTest, AnotherNeuronNearbyIsSeenByDifferences) {
  const LevelPoint start = point(1e-4);
  const double height = dot(other_, start.at);
  Asker& asker = asking([this, height](const double* x) {
    return std::tanh(dot(a_.data(), x, kInputs)) +
           std::tanh(dot(other_.data(), x, kInputs) - height - 4);
  });
  std::vector<LevelPoint> points = {start};
  tilt_by_differences(asker, identity(kInputs), 10, 0.01, points);
  EXPECT_FALSE(points[0].holds);
}

TEST_P(SecantsTest, FlatIsWhatDoesNotChangeAlongTheHyperplane) {
  Asker& asker = asking([this](const double* x) { return std::tanh(dot(a_.data(), x, kInputs)); });
  std::vector<LevelPoint> points = {point(0), point(1e-6), point(0.1)};
  points[2].holds = false;
  const HostMatrix along = normals(4, kInputs, 5);
  EXPECT_EQ(are_flat(asker, along, 10, 1e-9, 1e-14, points),
            (std::vector<bool>{true, false, true}));
  EXPECT_EQ(asker.asked(), 2 * 5);
  EXPECT_EQ(are_flat(asker, along, 10, 1e-5, 1e-14, points), (std::vector<bool>{true, true, true}));
  EXPECT_EQ(are_flat(asker, along, 10, 1e-9, 1e-4, points), (std::vector<bool>{true, true, true}));
  points[0].holds = points[1].holds = false;
  const Index asked = asker.asked();
  are_flat(asker, along, 10, 1e-9, 0, points);
  EXPECT_EQ(asker.asked(), asked);
}

// Crossings are off by precision / 2 at most: tilts by precision / length, D - 1 of them.
TEST_P(SecantsTest, BisectionIsAsExactAsItsCrossingsOverTheLength) {
  for (const double sign : {1.0, -1.0}) {
    Asker& asker = asking([this, sign](const double* x) {
      const double g = sign * std::tanh(dot(a_.data(), x, kInputs));
      return std::round(4 * g) / 4;  // only comparisons are left
    });
    LevelPoint start = point(0.6);
    start.before = -sign;
    start.after = sign;
    ASSERT_GT(error(start), 0.3);
    std::vector<LevelPoint> points = {start};
    // A rounded tanh goes through 0 anywhere in |z| < .13.
    const double blur = 0.26;
    tilt_by_bisection(asker, identity(kInputs), {50, 50, 0.1, 0}, points);
    ASSERT_TRUE(points[0].holds);
    EXPECT_LT(error(points[0]), 2 * (0.1 + blur) / 50);
    EXPECT_EQ(asker.asked(), kInputs * (2 + 10));  // 2^10 > 100 / .1
    tilt_by_bisection(asker, identity(kInputs), {5000, 10, 0.01, 0}, points);
    ASSERT_TRUE(points[0].holds);
    EXPECT_LT(error(points[0]), 2 * (0.01 + blur) / 5000);
    EXPECT_LT(std::fabs(dot(a_, points[0].at)), blur);
  }
}

TEST_P(SecantsTest, BisectionSeesAnotherHyperplaneInTheWay) {
  const LevelPoint start = point(0.01);
  const double height = dot(other_, start.at);
  Asker& asker = asking([this, height](const double* x) {
    return std::tanh(dot(a_.data(), x, kInputs)) +
           0.3 * std::tanh(dot(other_.data(), x, kInputs) - height - 25) + 0.3;
  });
  std::vector<LevelPoint> near = {start};
  tilt_by_bisection(asker, identity(kInputs), {2, 1, 0.01, 0}, near);
  EXPECT_TRUE(near[0].holds);
  std::vector<LevelPoint> far = {start};
  tilt_by_bisection(asker, identity(kInputs), {200, 10, 0.01, 0}, far);
  EXPECT_FALSE(far[0].holds);
  EXPECT_EQ(far[0].normal, start.normal);
  // Noise of a tenth of the step hides it.
  far[0].holds = true;
  tilt_by_bisection(asker, identity(kInputs), {200, 10, 0.01, 0.1}, far);
  EXPECT_TRUE(far[0].holds);
}

TEST_P(SecantsTest, BisectionTakesNoCrossingOutsideItsWindow) {
  Asker& asker = asking([this](const double* x) { return std::tanh(dot(a_.data(), x, kInputs)); });
  std::vector<LevelPoint> points = {point(0.1)};
  points[0].reach = 30;  // the ends agree
  tilt_by_bisection(asker, identity(kInputs), {200, 5, 0.01, 0}, points);
  EXPECT_FALSE(points[0].holds);
}

TEST_P(SecantsTest, RandomUnitsAreUnitsInTheSpan) {
  const HostMatrix basis = svd(normals(3, 6, 3)).right;
  Random random(Seed{1});
  const HostMatrix units = random_units(random, basis, 5);
  ASSERT_EQ(units.rows(), 5);
  for (Index i = 0; i < 5; ++i) {
    double in_basis = 0;
    for (Index k = 0; k < 3; ++k) in_basis += std::pow(dot(units.row(i), basis.row(k), 6), 2);
    EXPECT_NEAR(in_basis, 1, 1e-14);
    EXPECT_NEAR(dot(units.row(i), units.row(i), 6), 1, 1e-14);
    EXPECT_LT(std::fabs(dot(units.row(i), units.row((i + 1) % 5), 6)), 0.999);
  }
}

}  // namespace
}  // namespace crease
