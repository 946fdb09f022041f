// A profile on a grid, then Levenberg-Marquardt.
#include "src/stages/profile_fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "kernels/activations.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr int kScales = 17;
constexpr double kLargestScale = 4;  // and 1 / 4
constexpr int kShifts = 61;
constexpr double kLargestShift = 3;
constexpr Index kGridPoints = 400;  // at most that the grid looks at

constexpr int kMostSteps = 100;
constexpr int kMostRejections = 12;
constexpr double kFirstDamping = 1e-3;  // of the diagonal
constexpr double kLeastDamping = 1e-15;
constexpr double kDown = 6;
constexpr double kUp = 5;
constexpr double kLeastDiagonal = 1e-14;  // of the largest
constexpr double kLittle = 1e-3;          // relative gain of the sum of squares ...
constexpr int kMostLittle = 4;            // ... in so many steps in a row ends it
constexpr double kExact = 1e-30;          // sum of squares, relative, that is rounding

/// g'''(z).
double third_derivative(Activation activation, double z) {
  switch (activation) {
    case Activation::tanh: {
      const double slope = 4 * sigmoid_slope(2 * z);
      return slope * (4 - 6 * slope);
    }
    case Activation::sigmoid: {
      const double slope = sigmoid_slope(z);
      return slope * (1 - 6 * slope);
    }
    case Activation::softplus:
      return -std::tanh(0.5 * z) * sigmoid_slope(z);
    case Activation::gelu:
      return normal_density(z) * z * (z * z - 4);
    case Activation::sin:
      return -std::cos(z);
    case Activation::erf:
      return kTwoOverRootPi * std::exp(-z * z) * (4 * z * z - 2);
  }
  return 0;
}

class ProfileFit {
 public:
  ProfileFit(Activation activation, const std::vector<double>& t,
             const std::vector<double>& curvature)
      : activation_(activation), t_(t), curvature_(curvature) {}

  /// The point of the grid that explains most of the curvature.
  Profile on_grid() const {
    const std::size_t stride = (t_.size() + kGridPoints - 1) / kGridPoints;
    Profile best;
    double most = -1;
    for (int i = 0; i < kScales; ++i) {
      const double scale = std::pow(kLargestScale, 2.0 * i / (kScales - 1) - 1);
      for (int j = 0; j < kShifts; ++j) {
        const double shift = kLargestShift * (2.0 * j / (kShifts - 1) - 1);
        double along = 0, square = 0;
        for (std::size_t n = 0; n < t_.size(); n += stride) {
          const double value = activation_at(activation_, 2, scale * t_[n] + shift);
          along += value * curvature_[n];
          square += value * value;
        }
        if (!(square > 0) || !(along * along / square > most)) continue;
        most = along * along / square;
        best.factor = along / square;
        best.scale = scale;
        best.shift = shift;
      }
    }
    return best;
  }

  /// Moves it to the least sum of squares nearby, and returns that.
  double refine(Profile& profile) const {
    double size = 0;
    for (const double value : curvature_) size += value * value;
    double sum = sum_of_squares(profile);
    double damping = kFirstDamping;
    int little = 0;
    for (int step = 0; step < kMostSteps && little < kMostLittle && sum > kExact * size; ++step) {
      const double before = sum;
      if (!improve(profile, damping, sum)) break;
      little = before - sum < kLittle * before ? little + 1 : 0;
    }
    return sum;
  }

 private:
  double sum_of_squares(const Profile& profile) const {
    double sum = 0;
    for (std::size_t n = 0; n < t_.size(); ++n) {
      const double z = profile.scale * t_[n] + profile.shift;
      const double left = profile.factor * activation_at(activation_, 2, z) - curvature_[n];
      sum += left * left;
    }
    return sum;
  }

  /// One step that lowers the sum; false where there is none.
  bool improve(Profile& profile, double& damping, double& sum) const {
    HostMatrix normal(3, 3);
    std::vector<double> downhill(3);
    for (std::size_t n = 0; n < t_.size(); ++n) {
      const double z = profile.scale * t_[n] + profile.shift;
      const double value = activation_at(activation_, 2, z);
      const double turn = profile.factor * third_derivative(activation_, z);
      const std::array<double, 3> row{value, turn * t_[n], turn};
      for (Index i = 0; i < 3; ++i) {
        const double entry = row[static_cast<std::size_t>(i)];
        downhill[static_cast<std::size_t>(i)] -= entry * (profile.factor * value - curvature_[n]);
        for (Index j = 0; j < 3; ++j) normal(i, j) += entry * row[static_cast<std::size_t>(j)];
      }
    }
    const double largest = std::max({normal(0, 0), normal(1, 1), normal(2, 2)});
    if (!(largest > 0)) return false;
    for (int rejected = 0; rejected < kMostRejections; ++rejected, damping *= kUp) {
      HostMatrix system = normal;
      for (Index i = 0; i < 3; ++i) {
        system(i, i) += damping * std::max(normal(i, i), kLeastDiagonal * largest);
      }
      std::vector<double> step = downhill;
      if (!solve_positive(std::move(system), step)) continue;
      Profile next = profile;
      next.factor += step[0];
      next.scale += step[1];
      next.shift += step[2];
      if (!(next.scale > 0)) continue;
      const double lower = sum_of_squares(next);
      if (!(lower < sum)) continue;
      profile = next;
      sum = lower;
      damping = std::max(damping / kDown, kLeastDamping);
      return true;
    }
    return false;
  }

  Activation activation_;
  const std::vector<double>& t_;
  const std::vector<double>& curvature_;
};

}  // namespace

Profile fit_profile(Activation activation, const std::vector<double>& t,
                    const std::vector<double>& curvature) {
  require(!t.empty() && t.size() == curvature.size(),
          "fit_profile: there must be points, and one curvature for each");
  const double size = dot(curvature, curvature);
  if (!(size > 0) || !std::isfinite(size)) return {};
  const ProfileFit fit(activation, t, curvature);
  Profile profile = fit.on_grid();
  if (profile.factor == 0) return {};
  profile.error = std::sqrt(fit.refine(profile) / size);
  return profile;
}

}  // namespace crease
