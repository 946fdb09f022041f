// The network found so far.
#include "src/stages/hypothesis.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kCorrection =
    1e-2;  // of a scale: a neuron on the same hyperplane that corrects it

HostMatrix rows_of(const HostMatrix& matrix, const std::vector<Index>& rows) {
  HostMatrix out(static_cast<Index>(rows.size()), matrix.cols());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(matrix.row(rows[i]), matrix.cols(), out.row(static_cast<Index>(i)));
  }
  return out;
}

std::vector<double> elements_of(const std::vector<double>& values, const std::vector<Index>& rows) {
  std::vector<double> out;
  for (const Index row : rows) out.push_back(values[static_cast<std::size_t>(row)]);
  return out;
}

}  // namespace

Hypothesis::Hypothesis(Index d, Index p)
    : inputs(d),
      outputs(p),
      gradient(p, d),
      constant(p, 1),
      gradient_noise(static_cast<std::size_t>(p), 0.0),
      normals(0, d),
      scales(0, p) {}

void Hypothesis::add(std::vector<double> normal, double bias_of_normal, std::vector<double> scale,
                     double offset_error_of_normal, double normal_error_of_normal) {
  const double length = std::sqrt(dot(normal, normal));
  for (double& value : normal) value /= length;
  for (double& value : scale) value *= length;
  double offset = bias_of_normal / length;
  if (dot(normal, base) + offset > 0) {
    for (double& value : normal) value = -value;
    offset = -offset;
  }
  normals.append_row(normal.data(), inputs);
  scales.append_row(scale.data(), outputs);
  bias.push_back(offset);
  offset_error.push_back(offset_error_of_normal / length);
  normal_error.push_back(normal_error_of_normal / length);
}

Hypothesis Hypothesis::only(const std::vector<Index>& rows) const {
  Hypothesis out(inputs, outputs);
  out.base = base;
  out.normals = rows_of(normals, rows);
  out.scales = rows_of(scales, rows);
  out.bias = elements_of(bias, rows);
  out.offset_error = elements_of(offset_error, rows);
  out.normal_error = elements_of(normal_error, rows);
  return out;
}

Hypothesis Hypothesis::remove(const std::vector<Index>& neurons_to_go) {
  std::vector<bool> goes(static_cast<std::size_t>(neurons()), false);
  for (const Index j : neurons_to_go) goes[static_cast<std::size_t>(j)] = true;
  std::vector<Index> stays;
  for (Index j = 0; j < neurons(); ++j) {
    if (!goes[static_cast<std::size_t>(j)]) stays.push_back(j);
  }
  Hypothesis removed = only(neurons_to_go);
  Hypothesis left = only(stays);
  normals = std::move(left.normals);
  scales = std::move(left.scales);
  bias = std::move(left.bias);
  offset_error = std::move(left.offset_error);
  normal_error = std::move(left.normal_error);
  return removed;
}

void Hypothesis::append(const Hypothesis& other, Index r) {
  const auto rr = static_cast<std::size_t>(r);
  normals.append_row(other.normals.row(r), inputs);
  scales.append_row(other.scales.row(r), outputs);
  bias.push_back(other.bias[rr]);
  offset_error.push_back(other.offset_error[rr]);
  normal_error.push_back(other.normal_error[rr]);
}

bool Hypothesis::same_plane(Index j, const Hypothesis& other, Index r, double sigmas) const {
  const auto jj = static_cast<std::size_t>(j);
  const auto rr = static_cast<std::size_t>(r);
  const double offset = sigmas * std::hypot(offset_error[jj], other.offset_error[rr]) + kRounding;
  if (!(std::abs(bias[jj] - other.bias[rr]) <= offset)) return false;
  double apart = 0;
  for (Index i = 0; i < inputs; ++i) {
    const double difference = normals(j, i) - other.normals(r, i);
    apart += difference * difference;
  }
  const double turn = sigmas * std::sqrt(static_cast<double>(inputs)) *
                      std::hypot(normal_error[jj], other.normal_error[rr]);
  return std::sqrt(apart) <= turn + kRounding;
}

void Hypothesis::keep_better(const Hypothesis& removed, Index first, double sigmas) {
  std::vector<Index> worse;
  const Index end = neurons();
  for (Index r = 0; r < removed.neurons(); ++r) {
    bool found = false;
    bool better = false;
    for (Index j = first; j < end && !found; ++j) {
      found = same_plane(j, removed, r, sigmas);
      if (!found) continue;
      better = offset_error[static_cast<std::size_t>(j)] <
               removed.offset_error[static_cast<std::size_t>(r)];
      if (!better) worse.push_back(j);
    }
    if (!better) append(removed, r);
  }
  if (!worse.empty()) remove(worse);
}

Index Hypothesis::absorb(Index first, double sigmas) {
  std::vector<Index> by_bias(static_cast<std::size_t>(first));
  std::iota(by_bias.begin(), by_bias.end(), Index{0});
  const auto bias_of = [&](Index j) { return bias[static_cast<std::size_t>(j)]; };
  std::sort(by_bias.begin(), by_bias.end(), [&](Index a, Index b) {
    return bias_of(a) != bias_of(b) ? bias_of(a) < bias_of(b) : a < b;
  });
  double least_exact = 0;  // the largest error of an earlier neuron's offset
  for (Index j = 0; j < first; ++j) {
    least_exact = std::max(least_exact, offset_error[static_cast<std::size_t>(j)]);
  }
  std::vector<Index> gone;
  Index absorbed = 0;
  for (Index j = first; j < neurons(); ++j) {
    const auto jj = static_cast<std::size_t>(j);
    const double reach = sigmas * (offset_error[jj] + least_exact) + kRounding;
    for (auto at = std::lower_bound(by_bias.begin(), by_bias.end(), bias[jj] - reach,
                                    [&](Index a, double value) { return bias_of(a) < value; });
         at != by_bias.end() && bias_of(*at) <= bias[jj] + reach; ++at) {
      const Index r = *at;
      double left = 0;      // |scale_j + scale_r|^2
      double added = 0;     // |scale_j|^2
      double standing = 0;  // |scale_r|^2
      for (Index o = 0; o < outputs; ++o) {
        const double sum = scales(j, o) + scales(r, o);
        left += sum * sum;
        added += scales(j, o) * scales(j, o);
        standing += scales(r, o) * scales(r, o);
      }
      const double least = kCorrection * kCorrection * standing;
      if (left > least && added > least) continue;
      if (!same_plane(j, *this, r, sigmas)) continue;
      if (std::find(gone.begin(), gone.end(), r) != gone.end()) continue;
      gone.push_back(j);
      ++absorbed;
      if (left <= least) {
        gone.push_back(r);
      } else {
        for (Index o = 0; o < outputs; ++o) scales(r, o) += scales(j, o);
      }
      break;
    }
  }
  if (absorbed > 0) remove(gone);
  return absorbed;
}

void Hypothesis::scale_errors(double factor) {
  for (double& error : offset_error) error *= factor;
  for (double& error : normal_error) error *= factor;
  for (double& error : gradient_noise) error *= factor;
}

ReluNetwork Hypothesis::network() const {
  ReluNetwork network(inputs, neurons(), outputs);
  network.weights = normals;
  network.linear = gradient;
  network.constant = constant;
  for (Index j = 0; j < neurons(); ++j) {
    network.bias(j, 0) = bias[static_cast<std::size_t>(j)];
    for (Index o = 0; o < outputs; ++o) network.output(o, j) = scales(j, o);
  }
  return network;
}

std::vector<double> Hypothesis::gradient_error() const {
  std::vector<double> error(static_cast<std::size_t>(outputs), 0.0);
  for (Index o = 0; o < outputs; ++o) {
    double sum = 0;
    for (Index j = 0; j < neurons(); ++j) {
      const double term = normal_error[static_cast<std::size_t>(j)] * scales(j, o);
      sum += term * term;
    }
    error[static_cast<std::size_t>(o)] = std::sqrt(sum);
  }
  return error;
}

std::vector<double> Hypothesis::value_error() const {
  std::vector<double> error(static_cast<std::size_t>(outputs), 0.0);
  const double points = static_cast<double>(inputs + 1);
  const double away = std::sqrt(1 + dot(base, base) / points);
  for (Index o = 0; o < outputs; ++o) {
    double sum = 0;
    for (Index j = 0; j < neurons(); ++j) {
      const double term = offset_error[static_cast<std::size_t>(j)] * scales(j, o);
      sum += term * term;
    }
    error[static_cast<std::size_t>(o)] =
        std::hypot(std::sqrt(sum / points), gradient_noise[static_cast<std::size_t>(o)] * away);
  }
  return error;
}

std::vector<double> Hypothesis::rounding_error() const {
  std::vector<double> error(static_cast<std::size_t>(outputs), 0.0);
  for (Index o = 0; o < outputs; ++o) {
    double sum = dot(gradient.row(o), gradient.row(o), inputs);
    for (Index j = 0; j < neurons(); ++j) sum += scales(j, o) * scales(j, o);
    error[static_cast<std::size_t>(o)] = kRounding * std::sqrt(sum);
  }
  return error;
}

}  // namespace crease
