// Fewer neurons: the best coefficients on some of them, and which of them to keep.
#include <crease/gaussian.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/ops.hpp"
#include "src/gaussian_bundles.hpp"
#include "src/normal.hpp"
#include "src/small_dense.hpp"

namespace crease {
namespace {

constexpr double kRidge = 1e-14;  // of a Gram matrix with a unit diagonal
constexpr double kStale = 1e-4;   // an inverse that has shrunk by this is computed anew
constexpr int kRefinements = 2;

// The neurons of a network as far as they are not affine: what they are short of their best affine
// approximations, scaled to unit variance.
struct Curved {
  std::vector<Index> neurons;  // those that bend within kFarthest
  HostMatrix gram;             // [n, n] correlations of what they are short of
  std::vector<double> scale;   // [n] its standard deviation
  std::vector<double> mean;    // [k] E relu, of every neuron
  HostMatrix gradient;         // [k, d] of its best affine approximation
};

Curved curved_parts(Device& device, const ReluNetwork& f) {
  const Index k = f.neurons();
  const Index d = f.inputs();
  Curved curved;
  curved.gradient = HostMatrix(k, d);
  std::vector<double> towards;  // +-1 of the neurons that bend
  std::vector<double> lengths;
  for (Index j = 0; j < k; ++j) {
    double length = 0.0;
    for (Index i = 0; i < d; ++i) length = std::hypot(length, f.weights(j, i));
    if (length == 0.0) {
      curved.mean.push_back(std::max(f.bias(j, 0), 0.0));
      continue;
    }
    const double threshold = -f.bias(j, 0) / length;
    const double active = normal_tail(threshold);
    curved.mean.push_back(length * tail_moments(threshold).first);
    for (Index i = 0; i < d; ++i) curved.gradient(j, i) = active * f.weights(j, i);
    if (std::abs(threshold) > kFarthest) continue;
    curved.neurons.push_back(j);
    towards.push_back(threshold < 0.0 ? -1.0 : 1.0);
    lengths.push_back(length);
  }
  // relu(z) = z + relu(-z): turned to the side on which it is silent, a neuron bends as before and
  // its affine part is small, so that little is lost where that is taken off.
  const auto n = static_cast<Index>(curved.neurons.size());
  HostMatrix weights(n, d);
  HostMatrix bias(n, 1);
  HostMatrix affine(n, d + 1);
  for (Index a = 0; a < n; ++a) {
    const auto at = static_cast<std::size_t>(a);
    const Index j = curved.neurons[at];
    const double factor = towards[at] / lengths[at];
    bias(a, 0) = factor * f.bias(j, 0);
    for (Index i = 0; i < d; ++i) {
      weights(a, i) = factor * f.weights(j, i);
      affine(a, i) = normal_tail(-bias(a, 0)) * weights(a, i);
    }
    affine(a, d) = tail_moments(-bias(a, 0)).first;
  }
  DeviceMatrix g(device, n + 1, n + 1);
  gaussian_gram(device, upload(device, weights), upload(device, bias), false, g);
  const DeviceMatrix parts = upload(device, affine);
  DeviceMatrix shared(device, n, n);
  multiply(device, parts, Transpose::no, parts, Transpose::yes, 1.0, 0.0, shared);
  const HostMatrix moments = download(device, g);
  curved.gram = download(device, shared);
  for (Index a = 0; a < n; ++a) {
    // The diagonal by its own closed form: what bends least is right to its own size.
    const double b = -bias(a, 0);
    const TailMoments tail = tail_moments(b);
    const double active = normal_tail(b);
    const double variance =
        std::max(tail.second - tail.first * tail.first - active * active, 1e-300);
    curved.scale.push_back(std::sqrt(variance));
  }
  for (Index a = 0; a < n; ++a) {
    const auto row = static_cast<std::size_t>(a);
    for (Index b = 0; b < a; ++b) {
      const double scales = curved.scale[row] * curved.scale[static_cast<std::size_t>(b)];
      const double value = (moments(a, b) - curved.gram(a, b)) / scales;
      curved.gram(a, b) = curved.gram(b, a) = std::clamp(value, -1.0, 1.0);
    }
    curved.gram(a, a) = 1.0;
  }
  for (std::size_t a = 0; a < lengths.size(); ++a) curved.scale[a] *= lengths[a];
  return curved;
}

// The rows and columns `chosen` of a symmetric matrix, with the ridge; Cholesky factor, on the
// device. The ridge grows until it is positive.
DeviceMatrix factor_of(Device& device, const HostMatrix& gram, const std::vector<Index>& chosen) {
  const auto n = static_cast<Index>(chosen.size());
  HostMatrix part(n, n);
  for (double ridge = kRidge * static_cast<double>(n);; ridge *= 10.0) {
    for (Index a = 0; a < n; ++a) {
      for (Index b = 0; b < n; ++b) {
        part(a, b) = gram(chosen[static_cast<std::size_t>(a)], chosen[static_cast<std::size_t>(b)]);
      }
      part(a, a) += ridge;
    }
    DeviceMatrix factor = upload(device, part);
    if (cholesky(device, factor)) return factor;
    require(ridge < 1.0, "reduce_neurons: coefficients or weights are out of range");
  }
}

// x <- (L L^T)^-1 x.
void solve(Device& device, const DeviceMatrix& factor, DeviceView x) {
  solve_triangular(device, factor, Transpose::no, x);
  solve_triangular(device, factor, Transpose::yes, x);
}

// Coefficients [s, p] on the curved parts `chosen` that are nearest to those of `all` [n, p].
HostMatrix best_coefficients(Device& device, const HostMatrix& gram, const HostMatrix& all,
                             const std::vector<Index>& chosen) {
  const auto s = static_cast<Index>(chosen.size());
  const Index p = all.cols();
  HostMatrix rows(s, gram.cols());
  HostMatrix rest = all;  // of F less what is there
  HostMatrix found(s, p);
  for (Index a = 0; a < s; ++a) {
    const Index from = chosen[static_cast<std::size_t>(a)];
    std::copy_n(gram.row(from), gram.cols(), rows.row(a));
    for (Index o = 0; o < p; ++o) {
      found(a, o) = all(from, o);
      rest(from, o) = 0.0;
    }
  }
  if (s == 0) return found;
  const DeviceMatrix factor = factor_of(device, gram, chosen);
  const DeviceMatrix cross = upload(device, rows);
  DeviceMatrix step(device, s, p);
  for (int round = 0; round <= kRefinements; ++round) {
    multiply(device, cross, Transpose::no, upload(device, rest), Transpose::no, 1.0, 0.0, step);
    solve(device, factor, step);
    const HostMatrix change = download(device, step);
    for (Index a = 0; a < s; ++a) {
      for (Index o = 0; o < p; ++o) {
        found(a, o) += change(a, o);
        rest(chosen[static_cast<std::size_t>(a)], o) -= change(a, o);
      }
    }
  }
  return found;
}

// Coefficients of the curved parts of f, scaled.
HostMatrix coefficients_of(const ReluNetwork& f, const Curved& curved) {
  const auto n = static_cast<Index>(curved.neurons.size());
  HostMatrix all(n, f.outputs());
  for (Index a = 0; a < n; ++a) {
    const auto at = static_cast<std::size_t>(a);
    for (Index o = 0; o < f.outputs(); ++o) {
      all(a, o) = f.output(o, curved.neurons[at]) * curved.scale[at];
    }
  }
  return all;
}

ReluNetwork best_on(Device& device, const ReluNetwork& f, const Curved& curved,
                    const std::vector<Index>& kept) {
  const Index k = f.neurons();
  std::vector<Index> place(static_cast<std::size_t>(k), -1);  // among the curved
  for (std::size_t a = 0; a < curved.neurons.size(); ++a) {
    place[static_cast<std::size_t>(curved.neurons[a])] = static_cast<Index>(a);
  }
  std::vector<Index> chosen;
  for (const Index j : kept) {
    const Index at = place[static_cast<std::size_t>(j)];
    if (at >= 0) chosen.push_back(at);
  }
  const HostMatrix found =
      best_coefficients(device, curved.gram, coefficients_of(f, curved), chosen);
  HostMatrix change = f.output;  // coefficients of F less those of G
  ReluNetwork g(f.inputs(), static_cast<Index>(kept.size()), f.outputs());
  g.linear = f.linear;
  g.constant = f.constant;
  Index next = 0;
  for (std::size_t at = 0; at < kept.size(); ++at) {
    const Index j = kept[at];
    const auto to = static_cast<Index>(at);
    std::copy_n(f.weights.row(j), f.inputs(), g.weights.row(to));
    g.bias(to, 0) = f.bias(j, 0);
    const Index curve = place[static_cast<std::size_t>(j)];
    for (Index o = 0; o < f.outputs(); ++o) {
      // A kept neuron that is affine stays as it is.
      g.output(o, to) = curve < 0 ? f.output(o, j)
                                  : found(next, o) / curved.scale[static_cast<std::size_t>(curve)];
      change(o, j) -= g.output(o, to);
    }
    if (curve >= 0) ++next;
  }
  for (Index o = 0; o < f.outputs(); ++o) {
    for (Index j = 0; j < k; ++j) {
      if (change(o, j) == 0.0) continue;
      for (Index i = 0; i < f.inputs(); ++i) {
        g.linear(o, i) += change(o, j) * curved.gradient(j, i);
      }
      g.constant(o, 0) += change(o, j) * curved.mean[static_cast<std::size_t>(j)];
    }
  }
  return g;
}

// Backward elimination: which `count` of the curved parts to keep.
std::vector<Index> eliminate(Device& device, const HostMatrix& gram, const HostMatrix& all,
                             std::size_t count) {
  std::vector<Index> left(static_cast<std::size_t>(gram.rows()));
  for (std::size_t a = 0; a < left.size(); ++a) left[a] = static_cast<Index>(a);
  const Index p = all.cols();
  while (left.size() > count) {
    // The inverse of what is left, afresh: the updates below lose what earlier, larger inverses
    // (of neurons nearly alike) had to cancel.
    const auto n = static_cast<Index>(left.size());
    DeviceMatrix whole = upload(device, identity(n));
    solve(device, factor_of(device, gram, left), whole);
    HostMatrix inverse = download(device, whole);
    HostMatrix values = best_coefficients(device, gram, all, left);
    std::vector<bool> gone(left.size(), false);
    double largest = 0.0;
    for (Index a = 0; a < n; ++a) largest = std::max(largest, inverse(a, a));
    std::size_t remaining = left.size();
    while (remaining > count) {
      Index cheapest = -1;
      double least = 0.0;
      double still = 0.0;
      for (Index a = 0; a < n; ++a) {
        if (gone[static_cast<std::size_t>(a)]) continue;
        double squares = 0.0;
        for (Index o = 0; o < p; ++o) squares += values(a, o) * values(a, o);
        const double cost = squares / inverse(a, a);
        still = std::max(still, inverse(a, a));
        if (cheapest < 0 || cost < least) {
          cheapest = a;
          least = cost;
        }
      }
      if (still < kStale * largest || 2 * remaining < left.size()) break;
      gone[static_cast<std::size_t>(cheapest)] = true;
      --remaining;
      const double pivot = inverse(cheapest, cheapest);
      const std::vector<double> column(inverse.row(cheapest), inverse.row(cheapest) + n);
      const std::vector<double> own(values.row(cheapest), values.row(cheapest) + p);
#pragma omp parallel for schedule(static) if (n > 512)
      for (Index a = 0; a < n; ++a) {
        if (gone[static_cast<std::size_t>(a)]) continue;
        const double factor = column[static_cast<std::size_t>(a)] / pivot;
        for (Index o = 0; o < p; ++o) values(a, o) -= factor * own[static_cast<std::size_t>(o)];
        double* row = inverse.row(a);
        for (Index b = 0; b < n; ++b) row[b] -= factor * column[static_cast<std::size_t>(b)];
      }
    }
    std::vector<Index> next;
    for (std::size_t a = 0; a < left.size(); ++a) {
      if (!gone[a]) next.push_back(left[a]);
    }
    left = std::move(next);
  }
  return left;
}

}  // namespace

ReluNetwork best_on_neurons(Device& device, const ReluNetwork& f, const std::vector<Index>& kept) {
  check(f);
  require_relu(f, "best_on_neurons");
  std::vector<bool> seen(static_cast<std::size_t>(f.neurons()), false);
  for (const Index j : kept) {
    require(j >= 0 && j < f.neurons(), "best_on_neurons: expected neurons of the network");
    require(!seen[static_cast<std::size_t>(j)], "best_on_neurons: a neuron is there twice");
    seen[static_cast<std::size_t>(j)] = true;
  }
  return best_on(device, f, curved_parts(device, f), kept);
}

ReluNetwork best_on_hyperplanes(Device& device, const ReluNetwork& f, ConstHostView weights,
                                ConstHostView bias) {
  check(f);
  require_relu(f, "best_on_hyperplanes");
  require(weights.cols == f.inputs() && bias.rows == weights.rows && bias.cols == 1,
          "best_on_hyperplanes: weights must be [m, d] and bias [m, 1]");
  ReluNetwork both(f.inputs(), f.neurons() + weights.rows, f.outputs());
  both.linear = f.linear;
  both.constant = f.constant;
  std::vector<Index> kept;
  for (Index j = 0; j < both.neurons(); ++j) {
    const bool new_one = j >= f.neurons();
    for (Index i = 0; i < f.inputs(); ++i) {
      both.weights(j, i) = new_one ? weights(j - f.neurons(), i) : f.weights(j, i);
    }
    both.bias(j, 0) = new_one ? bias(j - f.neurons(), 0) : f.bias(j, 0);
    for (Index o = 0; o < f.outputs() && !new_one; ++o) both.output(o, j) = f.output(o, j);
    if (new_one) kept.push_back(j);
  }
  return best_on_neurons(device, both, kept);
}

ReluNetwork reduce_neurons(Device& device, const ReluNetwork& f, Index neurons) {
  check(f);
  require_relu(f, "reduce_neurons");
  require(neurons >= 0 && neurons <= f.neurons(),
          "reduce_neurons: expected between 0 and as many neurons as there are");
  if (neurons == f.neurons()) return f;
  Curved curved = curved_parts(device, f);
  const auto wanted = static_cast<std::size_t>(neurons);
  std::vector<Index> kept;
  if (wanted < curved.neurons.size()) {
    const HostMatrix all = coefficients_of(f, curved);
    for (const Index at : eliminate(device, curved.gram, all, wanted)) {
      kept.push_back(curved.neurons[static_cast<std::size_t>(at)]);
    }
  } else {
    kept = curved.neurons;
  }
  return best_on(device, f, curved, kept);
}

}  // namespace crease
