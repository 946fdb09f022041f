// Output directions: tangents, how well they are determined, and a Gauss-Newton step.
#include "src/stages/output_turns.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kRidge = 1e-13;  // of the largest diagonal element

/// Orthonormal rows that span what is orthogonal to a direction: a reflection that takes the
/// direction to a coordinate axis takes the other axes there. Zero for a direction that is 0.
HostMatrix tangents(const double* direction, Index p) {
  std::vector<double> mirror(direction, direction + p);
  const double size = std::sqrt(dot(mirror, mirror));
  if (!(size > 0)) return HostMatrix(p - 1, p);
  HostMatrix rows(0, p);
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

/// The tangents of all directions, one after the other: [k (p - 1), p].
HostMatrix all_tangents(const HostMatrix& directions) {
  const Index p = directions.cols();
  HostMatrix all(0, p);
  for (Index j = 0; j < directions.rows() && p > 1; ++j) {
    const HostMatrix own = tangents(directions.row(j), p);
    for (Index t = 0; t < own.rows(); ++t) all.append_row(own.row(t), p);
  }
  return all;
}

/// Rows first .. first + count - 1 of the turned patterns.
HostMatrix turned_rows(const HostMatrix& tangents, const HostMatrix& above, Index p, Index first,
                       Index count) {
  HostMatrix out(count, tangents.rows());
  for (Index r = 0; r < std::min(count, above.rows() * p - first); ++r) {
    const Index c = (first + r) / p;
    const Index o = (first + r) % p;
    for (Index a = 0; a < tangents.rows(); ++a) {
      if (above(c, a / (p - 1)) > 0) out(r, a) = tangents(a, o);
    }
  }
  return out;
}

}  // namespace

HostMatrix turned_patterns(const Hypothesis& planes, const HostMatrix& above) {
  const Index p = planes.outputs;
  return turned_rows(all_tangents(planes.scales), above, p, 0, above.rows() * p);
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

OutputTurns::OutputTurns(Device& device, const WeightedFit& fit, const HostMatrix& directions,
                         HostMatrix above, HostMatrix weights, Index most_bytes)
    : device_(device),
      fit_(fit),
      outputs_(directions.cols()),
      each_(std::max<Index>(1, outputs_ - 1)),
      above_(std::move(above)),
      weights_(std::move(weights)),
      tangents_(all_tangents(directions)),
      alike_(product(device, weights_, Transpose::no, weights_, Transpose::yes)),
      most_bytes_(most_bytes),
      shares_(shares()) {}

HostMatrix OutputTurns::rows(Index first, Index count) const {
  return turned_rows(tangents_, above_, outputs_, first, count);
}

Index OutputTurns::rows_at_once() const {
  // The patterns, what is explained of them, and what is left.
  const Index bytes = 3 * unknowns() * kDoubleBytes;
  return std::clamp<Index>(most_bytes_ / std::max<Index>(1, bytes), 1,
                           std::max<Index>(1, fit_.rows()));
}

HostMatrix OutputTurns::shares() const {
  const Index chunk = rows_at_once();
  HostMatrix sum = fit_.share(0, rows(0, std::min(chunk, fit_.rows())));
  for (Index first = chunk; first < fit_.rows(); first += chunk) {
    const HostMatrix part = fit_.share(first, rows(first, std::min(chunk, fit_.rows() - first)));
    for (Index i = 0; i < sum.size(); ++i) sum.data()[i] += part.data()[i];
  }
  return sum;
}

template <class Use>
void OutputTurns::walk(Use&& use) const {
  const Index chunk = rows_at_once();
  for (Index first = 0; first < fit_.rows(); first += chunk) {
    const Index count = std::min(chunk, fit_.rows() - first);
    use(first, upload(device_, fit_.unexplained(first, rows(first, count), shares_)));
  }
}

HostMatrix OutputTurns::information() const {
  DeviceMatrix inner(device_, unknowns(), unknowns());
  fill(device_, 0.0, inner);
  walk([&](Index, const DeviceMatrix& seen) {
    multiply(device_, seen, Transpose::yes, seen, Transpose::no, 1.0, 1.0, inner);
  });
  HostMatrix information = download(device_, inner);
  for (Index a = 0; a < unknowns(); ++a) {
    for (Index b = 0; b < unknowns(); ++b) information(a, b) *= alike(a, b);
  }
  return information;
}

std::vector<double> OutputTurns::toward(const HostMatrix& left) const {
  require(left.rows() == fit_.rows(), "OutputTurns: what is left of every row");
  const Index k = weights_.rows();
  DeviceMatrix sum(device_, unknowns(), k);
  fill(device_, 0.0, sum);
  const HostMatrix along = product(device_, left, Transpose::no, weights_, Transpose::yes);
  const DeviceMatrix along_there = upload(device_, along);
  // By M_jt, not by e_jt: rounding left something in `left` of what W explains.
  walk([&](Index first, const DeviceMatrix& seen) {
    multiply(device_, seen, Transpose::yes, along_there.view().row_block(first, seen.rows()),
             Transpose::no, 1.0, 1.0, sum);
  });
  const HostMatrix all = download(device_, sum);
  std::vector<double> own;
  for (Index a = 0; a < unknowns(); ++a) own.push_back(all(a, a / each_));
  return own;
}

HostMatrix OutputTurns::turns(const std::vector<double>& step) const {
  HostMatrix turns(above_.cols(), outputs_);
  for (Index a = 0; a < unknowns(); ++a) {
    for (Index o = 0; o < outputs_; ++o) {
      turns(a / each_, o) += step[static_cast<std::size_t>(a)] * tangents_(a, o);
    }
  }
  return turns;
}

bool turn_outputs(Device& device, const WeightedFit& fit, const HostMatrix& above,
                  const HostMatrix& w, const HostMatrix& left, Index most_bytes,
                  Hypothesis& planes) {
  const Index p = planes.outputs;
  const Index unknowns = planes.neurons() * (p - 1);
  if (unknowns == 0 || unknowns > kMostTurned) return false;
  const OutputTurns turning(device, fit, planes.scales, above, w, most_bytes);
  HostMatrix system = turning.information();
  double most = 0;
  for (Index a = 0; a < unknowns; ++a) most = std::max(most, system(a, a));
  for (Index a = 0; a < unknowns; ++a) system(a, a) += kRidge * most;
  std::vector<double> step = turning.toward(left);
  if (!solve_positive(std::move(system), step)) return false;
  const HostMatrix turns = turning.turns(step);
  for (Index j = 0; j < planes.neurons(); ++j) {
    double* scale = planes.scales.row(j);
    const double size = std::sqrt(dot(scale, scale, p));
    if (!(size > 0)) continue;
    for (Index o = 0; o < p; ++o) scale[o] += size * turns(j, o);
    const double grown = std::sqrt(dot(scale, scale, p)) / size;
    for (Index o = 0; o < p; ++o) scale[o] /= grown;
  }
  return true;
}

}  // namespace crease
