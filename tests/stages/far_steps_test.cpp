// Steps along lines: where they are, what hides them, and lines without any.
#include "src/stages/far_steps.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/support/devices.hpp"

namespace crease {
namespace {

class FarStepsTest : public EveryBackend {
 protected:
  /// Of a function of x in R^2, by its first coordinate on the one line, its second on the other.
  std::vector<FarStep> steps(std::function<double(const double* x)> function, double sigma = 0,
                             const std::vector<KnownStep>& known = {}, Index most_steps = 0) {
    oracle_ = make_host_oracle(2, 1, [function](ConstHostView x, HostView y) {
      for (Index i = 0; i < x.rows; ++i) y(i, 0) = function(&x(i, 0));
    });
    if (sigma > 0) {
      Imperfection noise;
      noise.kind = Imperfection::Kind::noise;
      noise.deviation = sigma;
      oracle_ = make_imperfect_oracle(std::move(oracle_), noise);
    }
    Asker asker(device(), *oracle_, control_);
    asker.enter("steps");
    StepScan scan;
    scan.radius = 1e5;
    scan.cells = 20;
    scan.finest = 30;
    scan.longest = 2000;
    scan.most_cells = 200;
    scan.sigma = sigma;
    scan.most_steps = most_steps;
    double size = 0;
    const std::vector<FarStep> found =
        far_steps(asker, {{{0, 1e5}, {1, 0}}, {{1e5, 0}, {0, 1}}}, known, scan, size);
    asked_ = asker.asked();
    size_ = size;
    return found;
  }
  Index asked_ = 0;
  double size_ = 0;

 private:
  RunControl control_;
  std::unique_ptr<Oracle> oracle_;
};
CREASE_ON_EVERY_BACKEND(FarStepsTest);

/// Steps of the first coordinate at -3e5, 100 and 7e5, of the second at 2e4.
double three_and_one(const double* x) {
  return std::tanh(x[0] + 3e5) + 0.5 * std::tanh(0.2 * (x[0] - 100)) - 2 * std::tanh(x[0] - 7e5) +
         0.25 * std::tanh(x[1] - 2e4) + 1;
}

TEST_P(FarStepsTest, ALineOfTooManyStepsIsNotMeasuredAndCosts18QueriesAStepLess) {
  const std::vector<FarStep> all = steps(three_and_one, 0, {}, 3);
  const Index price = asked_;
  const std::vector<FarStep> too_many = steps(three_and_one, 0, {}, 2);
  ASSERT_EQ(all.size(), 4U);
  ASSERT_EQ(too_many.size(), 4U);
  for (const FarStep& step : all) EXPECT_EQ(step.at.size(), 2U);
  for (const FarStep& step : too_many) EXPECT_TRUE(step.at.empty());
  EXPECT_EQ(asked_, price - 4 * 18);
}

// 18 bisections of at most some hundreds leave .002.
TEST_P(FarStepsTest, EveryStepIsFoundHalfWayBetweenItsConstants) {
  const std::vector<FarStep> found = steps(three_and_one);
  ASSERT_EQ(found.size(), 4U);
  const double where[] = {-3e5, 100, 7e5, 2e4};
  const double sizes[] = {2, 1, -4, 0.5};
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t c = i < 3 ? 0 : 1;  // along the first axis, then the second
    EXPECT_NEAR(found[i].at[c], where[i], 0.01);
    EXPECT_EQ(found[i].at[1 - c], 1e5);
    EXPECT_EQ(found[i].direction[c], 1);
    EXPECT_NEAR(found[i].after - found[i].before, sizes[i], 1e-9);
    EXPECT_LE(found[i].length, 2000);
  }
  EXPECT_EQ(size_, 4.75);  // between the second step and the third
  // Halving from 1e5 to 30 takes 12 levels, two or three cells each.
  EXPECT_LT(asked_, 2 * 21 + 4 * (3 * 12 + 2 + 18));
}

TEST_P(FarStepsTest, NoiseHidesSmallStepsOnly) {
  const std::vector<FarStep> found = steps(three_and_one, 0.03);
  ASSERT_EQ(found.size(), 3U);  // .5 is less than 24 deviations
  const double where[] = {-3e5, 100, 7e5};
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(found[i].at[0], where[i], 3);
}

TEST_P(FarStepsTest, KnownStepsAreLeftOut) {
  const std::vector<FarStep> found =
      steps(three_and_one, 0, {{{1, 0}, 0, 200}, {{-1, 0}, 2.999e5, 3.001e5}, {{0, 1}, -5, 5}});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NEAR(found[0].at[0], 7e5, 0.01);
  EXPECT_NEAR(found[1].at[1], 2e4, 0.01);
}

TEST_P(FarStepsTest, TooWideStepsAndLinesThatChangeEverywhereAreLeftOut) {
  EXPECT_TRUE(steps([](const double* x) { return std::tanh(1e-3 * x[0]); }).empty());
  // The second axis has one step, the first is no step function.
  const std::vector<FarStep> found = steps([](const double* x) {
    return 1e-6 * (x[0] - 1e5) + std::tanh(x[1] + 1e5) + std::tanh(x[1] - 1e5 - 5e3);
  });
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NEAR(found[0].at[1], -1e5, 0.01);
  EXPECT_NEAR(found[1].at[1], 1.05e5, 0.01);
  EXPECT_LT(asked_, 2000);
}

TEST_P(FarStepsTest, AConstantHasNoSteps) {
  EXPECT_TRUE(steps([](const double*) { return 1.0; }).empty());
  EXPECT_EQ(asked_, 2 * 21);
}

}  // namespace
}  // namespace crease
