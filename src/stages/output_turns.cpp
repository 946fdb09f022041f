// Output directions: tangents, how well they are determined, and a Gauss-Newton step.
#include "src/stages/output_turns.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kRidge = 1e-13;  // of the largest diagonal element

/// Orthonormal rows that span what is orthogonal to the direction of neuron j's outputs: a
/// reflection that takes the direction to a coordinate axis takes the other axes there.
HostMatrix tangents(const Hypothesis& planes, Index j) {
  const Index p = planes.outputs;
  std::vector<double> mirror(planes.scales.row(j), planes.scales.row(j) + p);
  const double size = std::sqrt(dot(mirror, mirror));
  HostMatrix rows(0, p);
  if (!(size > 0)) return HostMatrix(p - 1, p);
  for (double& value : mirror) value /= size;
  Index axis = 0;
  for (Index o = 1; o < p; ++o) {
    const auto larger = std::abs(mirror[static_cast<std::size_t>(o)]);
    if (larger > std::abs(mirror[static_cast<std::size_t>(axis)])) axis = o;
  }
  double& there = mirror[static_cast<std::size_t>(axis)];
  there += there < 0 ? -1 : 1;
  const double square = dot(mirror, mirror);
  for (Index o = 0; o < p; ++o) {
    if (o == axis) continue;
    std::vector<double> row(static_cast<std::size_t>(p), 0.0);
    row[static_cast<std::size_t>(o)] = 1;
    const double factor = 2 * mirror[static_cast<std::size_t>(o)] / square;
    for (std::size_t i = 0; i < row.size(); ++i) row[i] -= factor * mirror[i];
    rows.append_row(row.data(), p);
  }
  return rows;
}

}  // namespace

HostMatrix turned_patterns(const Hypothesis& planes, const HostMatrix& above) {
  const Index k = planes.neurons();
  const Index p = planes.outputs;
  const Index each = p - 1;
  HostMatrix out(above.rows() * p, k * each);
  for (Index j = 0; j < k && each > 0; ++j) {
    const HostMatrix rows = tangents(planes, j);
    for (Index c = 0; c < above.rows(); ++c) {
      if (!(above(c, j) > 0)) continue;
      for (Index t = 0; t < each; ++t) {
        for (Index o = 0; o < p; ++o) out(c * p + o, j * each + t) = rows(t, o);
      }
    }
  }
  return out;
}

std::vector<double> turn_certainty(const WeightedFit& fit, const Hypothesis& planes,
                                   const HostMatrix& above) {
  const Index each = planes.outputs - 1;
  const HostMatrix seen = fit.unexplained(turned_patterns(planes, above));
  std::vector<double> certainty;
  for (Index j = 0; j < planes.neurons(); ++j) {
    HostMatrix own(seen.rows(), each);
    for (Index i = 0; i < seen.rows(); ++i) {
      std::copy_n(seen.row(i) + j * each, each, own.row(i));
    }
    const std::vector<double> values = singular_values(std::move(own));
    certainty.push_back(static_cast<Index>(values.size()) < each || each == 0 ? 0.0
                                                                              : values.back());
  }
  return certainty;
}

bool turn_outputs(Device& device, const WeightedFit& fit, const HostMatrix& above,
                  const HostMatrix& w, const HostMatrix& left, Hypothesis& planes) {
  const Index k = planes.neurons();
  const Index p = planes.outputs;
  const Index each = p - 1;
  const Index unknowns = k * each;
  if (unknowns == 0 || unknowns > kMostTurned) return false;
  const DeviceMatrix seen = upload(device, fit.unexplained(turned_patterns(planes, above)));
  const DeviceMatrix normals = upload(device, w);
  DeviceMatrix alike_there(device, k, k);
  multiply(device, normals, Transpose::no, normals, Transpose::yes, 1.0, 0.0, alike_there);
  DeviceMatrix inner(device, unknowns, unknowns);
  multiply(device, seen, Transpose::yes, seen, Transpose::no, 1.0, 0.0, inner);
  DeviceMatrix along(device, left.rows(), k);
  multiply(device, upload(device, left), Transpose::no, normals, Transpose::yes, 1.0, 0.0, along);
  DeviceMatrix product(device, unknowns, k);
  multiply(device, seen, Transpose::yes, along, Transpose::no, 1.0, 0.0, product);
  const HostMatrix alike = download(device, alike_there);
  const HostMatrix toward = download(device, product);
  HostMatrix system = download(device, inner);
  std::vector<double> step;
  double most = 0;
  for (Index i = 0; i < unknowns; ++i) {
    for (Index l = 0; l < unknowns; ++l) system(i, l) *= alike(i / each, l / each);
    most = std::max(most, system(i, i));
    step.push_back(toward(i, i / each));
  }
  for (Index i = 0; i < unknowns; ++i) system(i, i) += kRidge * most;
  if (!solve_positive(std::move(system), step)) return false;
  for (Index j = 0; j < k; ++j) {
    double* scale = planes.scales.row(j);
    const double size = std::sqrt(dot(scale, scale, p));
    if (!(size > 0)) continue;
    const HostMatrix rows = tangents(planes, j);
    for (Index t = 0; t < each; ++t) {
      const double by = size * step[static_cast<std::size_t>(j * each + t)];
      for (Index o = 0; o < p; ++o) scale[o] += by * rows(t, o);
    }
    const double grown = std::sqrt(dot(scale, scale, p)) / size;
    for (Index o = 0; o < p; ++o) scale[o] /= grown;
  }
  return true;
}

}  // namespace crease
