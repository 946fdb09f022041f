// Planted curvature profiles give back their factor, scale and shift.
#include "src/stages/profile_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "src/stages/numbers.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

/// g''(z) from values of g alone; off by 1e-12 of what g and its derivatives are.
double exact_curvature(Activation activation, long double z) {
  constexpr long double h = 2e-3L;
  const auto g = [&](int steps) { return exact_activation(activation, z + steps * h); };
  return static_cast<double>((-(g(2) + g(-2)) + 16 * (g(1) + g(-1)) - 30 * g(0)) / (12 * h * h));
}

std::vector<double> column(Index n, std::uint64_t seed, double scale) {
  const HostMatrix drawn = normals(n, 1, seed);
  std::vector<double> values(drawn.data(), drawn.data() + n);
  for (double& value : values) value *= scale;
  return values;
}

std::vector<double> curvatures(Activation activation, const Profile& truth,
                               const std::vector<double>& t) {
  std::vector<double> values;
  for (const double one : t) {
    values.push_back(truth.factor * exact_curvature(activation, truth.scale * one + truth.shift));
  }
  return values;
}

Profile profile(double factor, double scale, double shift) {
  Profile truth;
  truth.factor = factor;
  truth.scale = scale;
  truth.shift = shift;
  return truth;
}

const Profile kTruths[] = {profile(1.3, 1, 0.3),    profile(-0.7, 0.6, -1.1),
                           profile(2, 1.7, 0.05),   profile(-1e-4, 3.3, 2.2),
                           profile(40, 0.9, -0.45), profile(1, 5, 0.7)};

// Curvatures are known to 1e-12; a parameter is worse by the condition of the three, below 1e3.
TEST(ProfileFitTest, ExactProfilesGiveTheirParametersBack) {
  const std::vector<double> t = column(60, 3, 1.5);
  for (const Activation activation : kActivations) {
    for (const Profile& truth : kTruths) {
      if (activation == Activation::sin && truth.scale > 4) continue;  // beyond the grid: aliases
      const Profile found = fit_profile(activation, t, curvatures(activation, truth, t));
      SCOPED_TRACE(to_string(activation) + " " + std::to_string(truth.scale));

      EXPECT_LT(found.error, 1e-9);
      EXPECT_NEAR(found.scale, truth.scale, 1e-8);
      // sin(z + pi) = -sin(z): the only other parameters of the same function
      const double turns = std::round((found.shift - truth.shift) / std::numbers::pi);
      if (activation != Activation::sin) {
        EXPECT_EQ(turns, 0);
      }
      const double sign = std::fmod(turns, 2) == 0 ? 1 : -1;
      EXPECT_NEAR(found.shift, truth.shift + turns * std::numbers::pi, 1e-8);
      EXPECT_NEAR(found.factor, sign * truth.factor, 1e-8 * std::abs(truth.factor));
    }
  }
}

// Many points: the grid looks at some of them, the fit at all. The share of the noise in the
// curvature is what is left, and the parameters are off by it over the root of the points.
TEST(ProfileFitTest, NoiseStaysInTheErrorAndAveragesOutOfTheParameters) {
  const std::vector<double> t = column(5000, 5, 1.5);
  const Profile truth = profile(1.3, 0.8, 0.4);
  std::vector<double> curvature = curvatures(Activation::tanh, truth, t);
  const double size = std::sqrt(dot(curvature, curvature) / 5000);
  const std::vector<double> noise = column(5000, 7, 0.05 * size);
  for (std::size_t i = 0; i < t.size(); ++i) curvature[i] += noise[i];

  const Profile found = fit_profile(Activation::tanh, t, curvature);
  EXPECT_NEAR(found.error, 0.05, 0.003);
  EXPECT_NEAR(found.scale, truth.scale, 0.02);
  EXPECT_NEAR(found.shift, truth.shift, 0.02);
  EXPECT_GT(std::abs(found.scale - truth.scale), 1e-7);
}

// On corners the points are few and the profile of no shift is odd: half of the truth is enough.
TEST(ProfileFitTest, FewPointsAndNoShift) {
  const std::vector<double> t{-2.1, -1.4, -0.3, 0.2, 0.9, 1.7};
  const Profile truth = profile(0.8, 0.7, 0);
  const Profile found = fit_profile(Activation::tanh, t, curvatures(Activation::tanh, truth, t));
  EXPECT_LT(found.error, 1e-9);
  EXPECT_NEAR(found.scale, truth.scale, 1e-8);
  EXPECT_NEAR(found.shift, 0, 1e-8);
}

TEST(ProfileFitTest, TheWrongActivationShowsInTheError) {
  const std::vector<double> t = column(60, 3, 1.5);
  const Profile found =
      fit_profile(Activation::tanh, t, curvatures(Activation::gelu, kTruths[0], t));
  EXPECT_GT(found.error, 0.1);
  EXPECT_GT(found.scale, 0);
}

TEST(ProfileFitTest, NoCurvatureHasNoProfile) {
  const Profile found = fit_profile(Activation::tanh, {1, 2, 3}, {0, 0, 0});
  EXPECT_EQ(found.factor, 0);
  EXPECT_EQ(found.error, 1);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, infinity, -infinity}) {
    EXPECT_EQ(fit_profile(Activation::tanh, {1, 2, 3}, {1, bad, 0}).factor, 0);
    EXPECT_EQ(fit_profile(Activation::sin, {1, bad, 3}, {1, 2, 0}).error, 1);
  }
}

TEST(ProfileFitTest, OtherSizesAreRefused) {
  EXPECT_THROW(fit_profile(Activation::tanh, {}, {}), BadInput);
  EXPECT_THROW(fit_profile(Activation::tanh, {1, 2}, {1}), BadInput);
}

}  // namespace
}  // namespace crease
