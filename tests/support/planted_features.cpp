// Least-squares problems with planted near-duplicates.
#include "tests/support/planted_features.hpp"

#include <cmath>
#include <limits>

#include "src/small_dense.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr Index kCopies = 5;

}  // namespace

void PlantedFeatures::plant(double angle, Index outputs, std::uint64_t seed) {
  ReluNetwork network = planted_network(kInputs, kNeurons, outputs, seed);
  for (Index j = 0; j < kNeurons; ++j) network.bias(j, 0) *= 0.3;  // all of them often active
  const HostMatrix away = normals(kNeurons, kInputs + 1, seed + 1);
  for (Index j = 0; j < kCopies; ++j) {
    for (Index i = 0; i < kInputs; ++i) {
      network.weights(j, i) = network.weights(j + kCopies, i) + angle * away(j, i);
    }
    network.bias(j, 0) = network.bias(j + kCopies, 0) + angle * away(j, kInputs);
  }
  weights_ = upload(device(), network.weights);
  bias_ = upload(device(), network.bias);
  FeatureRows z = rows();
  z_ = download(device(), z.chunk(0, kPoints));
  truth_ = normals(z.cols(), outputs, seed + 2);
  y_ = product(z_, truth_).value;
}

FeatureRows PlantedFeatures::rows(Index most_bytes, bool with_inputs) {
  return FeatureRows(device(), {Seed{9}, Stream::looks, 4, kPoints}, weights_, bias_, with_inputs,
                     most_bytes);
}

LeastSquaresSolution PlantedFeatures::solve(RowSource& z, ConstDeviceView y, SolveMethod method,
                                            Index first) {
  SolveOptions options;
  options.method = method;
  return solve_least_squares(device(), {z, first, y}, options);
}

double PlantedFeatures::true_condition() const {
  HostMatrix unit = z_;
  for (Index j = 0; j < unit.cols(); ++j) {
    double square = 0;
    for (Index i = 0; i < unit.rows(); ++i) square += unit(i, j) * unit(i, j);
    for (Index i = 0; i < unit.rows(); ++i) unit(i, j) /= std::sqrt(square);
  }
  const std::vector<double> values = singular_values(unit);
  return values.back() > 100 * kEps * values[0] ? values[0] / values.back()
                                                : std::numeric_limits<double>::infinity();
}

double PlantedFeatures::residual(const HostMatrix& coefficients) const {
  return distance(product(z_, coefficients).value, y_) / (norm(z_) * norm(coefficients));
}

double PlantedFeatures::backward() const {
  return 10.0 * static_cast<double>(z_.cols()) * kEps;
}

double normal_equations(const HostMatrix& a, const HostMatrix& v, const HostMatrix& y,
                        double ridge) {
  HostMatrix left = product(a, v).value;
  for (Index i = 0; i < left.size(); ++i) left.data()[i] -= y.data()[i];
  HostMatrix gradient = product(transposed(a), left).value;
  for (Index i = 0; i < gradient.size(); ++i) gradient.data()[i] += ridge * v.data()[i];
  return norm(gradient);
}

}  // namespace crease
