// Closeness of neurons, and the network with close neurons merged.
#include <crease/closeness.hpp>
#include <crease/gaussian.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "src/normal.hpp"

namespace crease {
namespace {

using Row = std::vector<double>;

constexpr double kEps = std::numeric_limits<double>::epsilon();

double norm(const Row& values) {
  double length = 0.0;
  for (const double value : values) length = std::hypot(length, value);
  return length;
}

double dot(const Row& a, const Row& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Row scaled(Row values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

// |scale_a * a - scale_b * b|
double distance(double scale_a, const Row& a, double scale_b, const Row& b) {
  double length = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    length = std::hypot(length, scale_a * a[i] - scale_b * b[i]);
  }
  return length;
}

// What normalising and comparing vectors of this size may round away.
double rounding(std::size_t size) {
  return (static_cast<double>(size) + 4.0) * kEps;
}

// |sin| of the angle between two unit vectors, from their distance: 1 - <a, b>^2 would lose it.
double sine(const Row& a, const Row& b) {
  const double chord = std::min(distance(1.0, a, 1.0, b), distance(1.0, a, -1.0, b));
  return chord * std::sqrt(std::max(0.0, 1.0 - 0.25 * chord * chord));
}

// A live neuron u relu(|w| (<normal, x> - threshold)).
struct Member {
  Index index = 0;
  Row weights;
  double bias = 0;
  Row outputs;
  Row normal;
  double threshold = 0;  // in units of |w|
  Row direction;         // of the outputs
  double size = 0;       // |u| |w|
};

using Cluster = std::vector<Member>;

Member member_of(const ReluNetwork& network, Index index) {
  Member member;
  member.index = index;
  member.weights.assign(network.weights.row(index), network.weights.row(index) + network.inputs());
  member.bias = network.bias(index, 0);
  for (Index o = 0; o < network.outputs(); ++o) member.outputs.push_back(network.output(o, index));
  const double length = norm(member.weights);
  const double steepness = norm(member.outputs);
  member.normal = scaled(member.weights, 1.0 / length);
  member.threshold = -member.bias / length;
  member.direction = scaled(member.outputs, 1.0 / steepness);
  member.size = steepness * length;
  return member;
}

bool are_close_normalized(const Row& normal_a, double threshold_a, const Row& normal_b,
                          double threshold_b, double delta, double alpha) {
  const double slack = rounding(normal_a.size());
  return sine(normal_a, normal_b) <= delta + slack &&
         distance(threshold_a, normal_b, threshold_b, normal_a) <=
             alpha + slack * (std::abs(threshold_a) + std::abs(threshold_b));
}

// Clusters of pairwise close live neurons, in the order of their first members.
std::vector<Cluster> clusters_of(const ReluNetwork& network, double delta, double alpha) {
  std::vector<Cluster> clusters;
  for (Index j = 0; j < network.neurons(); ++j) {
    if (is_dead(network, j)) continue;
    Member member = member_of(network, j);
    const auto home = std::find_if(clusters.begin(), clusters.end(), [&](const Cluster& cluster) {
      return std::all_of(cluster.begin(), cluster.end(), [&](const Member& other) {
        return are_close_normalized(member.normal, member.threshold, other.normal, other.threshold,
                                    delta, alpha) &&
               sine(member.direction, other.direction) <= delta + rounding(member.direction.size());
      });
    });
    if (home != clusters.end()) {
      home->push_back(std::move(member));
    } else {
      clusters.push_back({std::move(member)});
    }
  }
  return clusters;
}

void append_neuron(ReluNetwork& network, const Row& weights, double bias, const Row& outputs) {
  network.weights.append_row(weights.data(), network.inputs());
  network.bias.append_row(&bias, 1);
  HostMatrix wider(network.outputs(), network.output.cols() + 1);
  for (Index o = 0; o < network.outputs(); ++o) {
    for (Index j = 0; j < network.output.cols(); ++j) wider(o, j) = network.output(o, j);
    wider(o, network.output.cols()) = outputs[static_cast<std::size_t>(o)];
  }
  network.output = std::move(wider);
}

// affine += outputs * (factor * <weights, x> + bias)
void add_affine(ReluNetwork& network, const Row& outputs, double factor, const Row& weights,
                double bias) {
  for (Index o = 0; o < network.outputs(); ++o) {
    const double u = outputs[static_cast<std::size_t>(o)];
    network.constant(o, 0) += u * bias;
    for (Index i = 0; i < network.inputs(); ++i) {
      network.linear(o, i) += u * factor * weights[static_cast<std::size_t>(i)];
    }
  }
}

// linear * direction, one number per output.
Row along(const HostMatrix& linear, const Row& direction) {
  Row slopes(static_cast<std::size_t>(linear.rows()), 0.0);
  for (Index o = 0; o < linear.rows(); ++o) {
    for (Index i = 0; i < linear.cols(); ++i) {
      slopes[static_cast<std::size_t>(o)] += linear(o, i) * direction[static_cast<std::size_t>(i)];
    }
  }
  return slopes;
}

double sum_of_sizes(const Cluster& cluster) {
  double sum = 0.0;
  for (const Member& member : cluster) sum += member.size * (1.0 + std::abs(member.threshold));
  return sum;
}

// A linear part and constant that are rounding of the cluster's own terms become zero.
void drop_rounding(const Cluster& cluster, ReluNetwork& network) {
  const double rounded =
      (rounding(cluster[0].weights.size()) + rounding(cluster.size())) * sum_of_sizes(cluster);
  for (HostMatrix* part : {&network.linear, &network.constant}) {
    for (Index i = 0; i < part->size(); ++i) {
      if (std::abs(part->data()[i]) <= rounded) part->data()[i] = 0.0;
    }
  }
}

// The best affine function under N(0, I).
ReluNetwork affine_of(const Cluster& cluster, Index d, Index p) {
  ReluNetwork affine(d, 0, p);
  for (const Member& member : cluster) {
    const double mean = norm(member.weights) * tail_moments(member.threshold).first;
    add_affine(affine, member.outputs, normal_tail(member.threshold), member.weights, mean);
  }
  return affine;
}

// At most two neurons on the hyperplane of v* and b*, and an affine rest; no neuron where v* is
// nothing but rounding.
ReluNetwork hinge_of(const Cluster& cluster, Index d, Index p) {
  const Member& first = cluster[0];
  Row normal(first.weights.size(), 0.0);  // v*
  double offset = 0.0;                    // -b*
  ReluNetwork behind(d, 0, p);            // the cluster where the first member is silent
  ReluNetwork ahead(d, 0, p);             // ... and where it is active
  for (const Member& member : cluster) {
    const double side = dot(member.normal, first.normal) < 0.0 ? -1.0 : 1.0;
    const double sign = dot(member.direction, first.direction) < 0.0 ? -1.0 : 1.0;
    const double scale = side * sign * norm(member.outputs);
    for (std::size_t i = 0; i < normal.size(); ++i) normal[i] += scale * member.weights[i];
    offset += scale * member.bias;
    add_affine(side > 0.0 ? ahead : behind, member.outputs, 1.0, member.weights, member.bias);
  }
  const double length = norm(normal);
  ReluNetwork hinge(d, 0, p);
  if (length <= rounding(cluster.size()) * sum_of_sizes(cluster)) return hinge;
  if (dot(normal, first.normal) < 0.0) {  // negative outputs prevail: v* points behind
    normal = scaled(std::move(normal), -1.0);
    offset = -offset;
  }
  const Row unit = scaled(normal, 1.0 / length);
  const Row upward = scaled(along(ahead.linear, unit), 1.0 / length);      // a+
  const Row downward = scaled(along(behind.linear, unit), -1.0 / length);  // a-
  const auto is_zero = [](double value) { return value == 0.0; };
  if (!std::all_of(upward.begin(), upward.end(), is_zero)) {
    append_neuron(hinge, normal, offset, upward);
  }
  if (!std::all_of(downward.begin(), downward.end(), is_zero)) {
    append_neuron(hinge, scaled(normal, -1.0), -offset, downward);
  }
  hinge.linear = behind.linear;
  hinge.constant = behind.constant;
  add_affine(hinge, downward, 1.0, normal, offset);
  drop_rounding(cluster, hinge);
  return hinge;
}

// Root mean square distance of a cluster from what replaces it, under N(0, I).
double distance_to(const Cluster& cluster, const ReluNetwork& replacement) {
  ReluNetwork difference = replacement;
  for (const Member& member : cluster) {
    append_neuron(difference, member.weights, member.bias, scaled(member.outputs, -1.0));
  }
  double length = gaussian_standard_deviation(difference);
  const HostMatrix mean = gaussian_mean(difference);
  for (Index o = 0; o < mean.rows(); ++o) length = std::hypot(length, mean(o, 0));
  return length;
}

ReluNetwork merged(const Cluster& cluster, Index d, Index p) {
  ReluNetwork affine = affine_of(cluster, d, p);
  ReluNetwork hinge = hinge_of(cluster, d, p);
  if (hinge.neurons() == 0) return affine;
  const double distance = distance_to(cluster, hinge);
  // Members that agree keep their hyperplane, however rarely a Gaussian point sees it.
  if (distance <= 64.0 * kEps * sum_of_sizes(cluster)) return hinge;
  return distance_to(cluster, affine) < distance ? affine : hinge;
}

}  // namespace

bool are_close(const Neuron& a, const Neuron& b, double delta, double alpha) {
  require(a.weights.size() == b.weights.size(), "are_close: neurons must be equally wide");
  require(std::isfinite(delta) && delta >= 0.0 && std::isfinite(alpha) && alpha >= 0.0,
          "are_close: delta and alpha must be finite and not negative");
  const double length_a = norm(a.weights);
  const double length_b = norm(b.weights);
  require(length_a > 0.0 && length_b > 0.0, "are_close: a neuron has no weight");
  require(std::isfinite(length_a) && std::isfinite(length_b) && std::isfinite(a.threshold) &&
              std::isfinite(b.threshold),
          "are_close: neurons must be finite");
  return are_close_normalized(scaled(a.weights, 1.0 / length_a), a.threshold / length_a,
                              scaled(b.weights, 1.0 / length_b), b.threshold / length_b, delta,
                              alpha);
}

ReluNetwork merge_close(const ReluNetwork& network, double delta, double alpha) {
  check(network);
  require_relu(network, "merge_close");
  require(delta >= 0.0 && delta < std::numbers::sqrt2 / 2.0,
          "merge_close: delta must be in [0, sqrt(1/2))");
  require(std::isfinite(alpha) && alpha >= 0.0,
          "merge_close: alpha must be finite and not negative");
  const Index d = network.inputs();
  const Index p = network.outputs();
  std::vector<ReluNetwork> replacements;
  std::vector<Index> replaced_by(static_cast<std::size_t>(network.neurons()), -1);  // none
  std::vector<Index> first_member;
  for (const Cluster& cluster : clusters_of(network, delta, alpha)) {
    if (cluster.size() == 1) continue;
    ReluNetwork replacement = merged(cluster, d, p);
    if (replacement.neurons() >= static_cast<Index>(cluster.size())) continue;
    for (const Member& member : cluster) {
      replaced_by[static_cast<std::size_t>(member.index)] = static_cast<Index>(replacements.size());
    }
    first_member.push_back(cluster[0].index);
    replacements.push_back(std::move(replacement));
  }
  ReluNetwork result(d, 0, p);
  result.linear = network.linear;
  result.constant = network.constant;
  const auto keep = [&result](const ReluNetwork& from, Index neuron) {
    Row outputs;
    for (Index o = 0; o < from.outputs(); ++o) outputs.push_back(from.output(o, neuron));
    append_neuron(result, Row(from.weights.row(neuron), from.weights.row(neuron) + from.inputs()),
                  from.bias(neuron, 0), outputs);
  };
  for (Index j = 0; j < network.neurons(); ++j) {
    const Index by = replaced_by[static_cast<std::size_t>(j)];
    if (by < 0) {
      keep(network, j);
      continue;
    }
    if (first_member[static_cast<std::size_t>(by)] != j) continue;
    const ReluNetwork& replacement = replacements[static_cast<std::size_t>(by)];
    for (Index r = 0; r < replacement.neurons(); ++r) keep(replacement, r);
    for (Index o = 0; o < p; ++o) {
      result.constant(o, 0) += replacement.constant(o, 0);
      for (Index i = 0; i < d; ++i) result.linear(o, i) += replacement.linear(o, i);
    }
  }
  return result;
}

}  // namespace crease
