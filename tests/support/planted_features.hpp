// Least-squares problems over ReLU features with planted near-duplicates, and answers in their
// span.
#pragma once

#include "src/stages/solve.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"

namespace crease {

/// 20 neurons in R^6, of which a quarter are copies of others at relative distance `angle`: the
/// condition of the unit columns grows like 1 / angle. 200 Gaussian points.
class PlantedFeatures : public EveryBackend {
 protected:
  static constexpr Index kInputs = 6;
  static constexpr Index kNeurons = 20;
  static constexpr Index kPoints = 200;
  static constexpr Index kFeatures = kNeurons + kInputs + 1;
  static constexpr Index kWhole = Index{1} << 30;
  static constexpr Index kOneRow = 1;
  static constexpr Index kSevenRows = 7 * kFeatures * 8;

  void plant(double angle, Index outputs = 2, std::uint64_t seed = 1);

  FeatureRows rows(Index most_bytes = kWhole, bool with_inputs = true);

  LeastSquaresSolution solve(RowSource& z, ConstDeviceView y,
                             SolveMethod method = SolveMethod::automatic, Index first = 0);

  /// Of z_ with unit columns; infinite where a singular value is lost in rounding.
  double true_condition() const;

  /// |Z c - y|_F over |Z|_F |c|_F: what a backward stable solver leaves where y lies in the span.
  double residual(const HostMatrix& coefficients) const;

  /// The contract of the house for what is factorised: 10 sizes times eps.
  double backward() const;

  DeviceMatrix weights_, bias_;
  HostMatrix z_, truth_, y_;
};

/// Frobenius norm of a^T (a v - y) + ridge v.
double normal_equations(const HostMatrix& a, const HostMatrix& v, const HostMatrix& y,
                        double ridge);

}  // namespace crease
