// Two networks compared neuron by neuron.
#include <crease/network.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace crease {
namespace {

// One hyperplane of a network with everything on it: (normal, offset) = (w, bias) / |w|, and the
// jump sum of u_j |w_j| in R^p, which no choice of orientation changes. Of a power other than 1:
// one half-space, and the sum of u_j |w_j|^power.
struct Crease {
  std::vector<double> plane;  // normal and offset, d + 1 numbers
  std::vector<double> jump;
  Index neurons = 0;
  double outputs = 0;  // sum of |u_j| |w_j|: what the jump would be if nothing cancelled

  double offset() const { return plane.back(); }
};

double norm(const double* values, std::size_t count) {
  double scale = 0.0;  // squares neither overflow nor vanish
  for (std::size_t i = 0; i < count; ++i) scale = std::max(scale, std::abs(values[i]));
  if (scale == 0.0) return 0.0;
  double squares = 0.0;
  for (std::size_t i = 0; i < count; ++i) squares += (values[i] / scale) * (values[i] / scale);
  return scale * std::sqrt(squares);
}

double norm(const std::vector<double>& values) {
  return norm(values.data(), values.size());
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> difference(a.size());
  std::transform(a.begin(), a.end(), b.begin(), difference.begin(), std::minus<>());
  return norm(difference);
}

// Whether a hyperplane and its mirror image are one: not for powers other than 1.
enum class Sides { alike, different };

// min over the signs that `sides` allow of |a -+ b|, infinity norm; infinity as soon as all of them
// exceed `limit`.
double plane_distance(const std::vector<double>& a, const std::vector<double>& b, double limit,
                      Sides sides) {
  double same = 0.0;
  double opposite = sides == Sides::alike ? 0.0 : std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < a.size(); ++i) {
    same = std::max(same, std::abs(a[i] - b[i]));
    opposite = std::max(opposite, std::abs(a[i] + b[i]));
    if (same > limit && opposite > limit) return std::numeric_limits<double>::infinity();
  }
  return std::min(same, opposite);
}

// Sorted by |offset|, all creases within a given distance of a plane lie in one short stretch.
class ByOffset {
 public:
  ByOffset(const std::vector<Crease>& creases, Sides sides) : creases_(creases), sides_(sides) {
    order_.resize(creases.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return std::abs(creases[a].offset()) < std::abs(creases[b].offset());
    });
  }

  /// visit(index, distance) for every crease within `limit` of `plane`.
  template <class Visit>
  void near(const std::vector<double>& plane, double limit, Visit visit) const {
    const double offset = std::abs(plane.back());
    auto at = std::lower_bound(order_.begin(), order_.end(), offset - limit,
                               [&](std::size_t index, double value) {
                                 return std::abs(creases_[index].offset()) < value;
                               });
    for (; at != order_.end() && std::abs(creases_[*at].offset()) <= offset + limit; ++at) {
      const double apart = plane_distance(creases_[*at].plane, plane, limit, sides_);
      if (apart <= limit) visit(*at, apart);
    }
  }

 private:
  const std::vector<Crease>& creases_;
  Sides sides_;
  std::vector<std::size_t> order_;
};

Sides sides_of(const ReluNetwork& network) {
  return network.power == 1 ? Sides::alike : Sides::different;
}

// The live neurons, one crease each.
std::vector<Crease> live_neurons(const ReluNetwork& network) {
  const Index d = network.inputs();
  std::vector<Crease> creases;
  for (Index j = 0; j < network.neurons(); ++j) {
    if (is_dead(network, j)) continue;
    Crease crease;
    const double length = norm(network.weights.row(j), static_cast<std::size_t>(d));
    for (Index i = 0; i < d; ++i) crease.plane.push_back(network.weights(j, i) / length);
    crease.plane.push_back(network.bias(j, 0) / length);
    const double scale = network.power == 1 ? length : std::pow(length, network.power);
    for (Index o = 0; o < network.outputs(); ++o) {
      crease.jump.push_back(network.output(o, j) * scale);
    }
    crease.neurons = 1;
    crease.outputs = norm(crease.jump);
    creases.push_back(std::move(crease));
  }
  return creases;
}

// Neurons on one hyperplane (to rounding) become one crease; creases whose jump cancels (to
// rounding) are affine functions and disappear.
std::vector<Crease> live_creases(const ReluNetwork& network) {
  constexpr double kRounding = 1e-12;  // of planes 1 apart, of jumps that sum to 1
  const std::vector<Crease> neurons = live_neurons(network);
  const ByOffset by_offset(neurons, sides_of(network));
  std::vector<bool> taken(neurons.size(), false);
  std::vector<Crease> creases;
  for (std::size_t j = 0; j < neurons.size(); ++j) {
    if (taken[j]) continue;
    Crease crease = neurons[j];
    taken[j] = true;
    const double limit = kRounding * std::max(1.0, std::abs(crease.offset()));
    by_offset.near(crease.plane, limit, [&](std::size_t other, double) {
      if (taken[other]) return;
      taken[other] = true;
      for (std::size_t o = 0; o < crease.jump.size(); ++o) {
        crease.jump[o] += neurons[other].jump[o];
      }
      crease.outputs += neurons[other].outputs;
      ++crease.neurons;
    });
    if (norm(crease.jump) > kRounding * crease.outputs) creases.push_back(std::move(crease));
  }
  return creases;
}

struct Candidate {
  std::size_t target = 0;
  std::size_t learned = 0;
  double distance = 0;
};

// Every pair of creases within `tolerance`, nearest first.
std::vector<Candidate> candidate_pairs(const std::vector<Crease>& target,
                                       const std::vector<Crease>& learned, double tolerance,
                                       Sides sides) {
  std::vector<Candidate> pairs;
  const ByOffset by_offset(learned, sides);
  for (std::size_t t = 0; t < target.size(); ++t) {
    by_offset.near(target[t].plane, tolerance, [&](std::size_t l, double apart) {
      pairs.push_back({t, l, apart});
    });
  }
  std::sort(pairs.begin(), pairs.end(), [](const Candidate& a, const Candidate& b) {
    if (a.distance != b.distance) return a.distance < b.distance;
    return a.target != b.target ? a.target < b.target : a.learned < b.learned;
  });
  return pairs;
}

// The largest errors so far, with those of one crease found as another.
void note_errors(const Crease& target, const Crease& learned, Sides sides, NetworkMatch& match) {
  const double scale = norm(target.jump);
  const double found_scale = norm(learned.jump);
  double plane_same = 0.0;
  double plane_opposite = sides == Sides::alike ? 0.0 : std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < target.plane.size(); ++i) {
    plane_same = std::max(plane_same, std::abs(learned.plane[i] - target.plane[i]));
    plane_opposite = std::max(plane_opposite, std::abs(learned.plane[i] + target.plane[i]));
  }
  const double side = plane_same <= plane_opposite ? 1.0 : -1.0;
  match.hyperplanes = std::max(match.hyperplanes, std::min(plane_same, plane_opposite));
  match.scales = std::max(match.scales, distance(learned.jump, target.jump) / scale);
  for (std::size_t i = 0; i < target.plane.size(); ++i) {
    const double error = std::abs(side * found_scale * learned.plane[i] - scale * target.plane[i]);
    double& largest = i + 1 < target.plane.size() ? match.weights : match.biases;
    largest = std::max(largest, error);
  }
}

// A jump explains another if it is nearer to it than no jump at all, both ways round.
bool explains(const std::vector<double>& a, const std::vector<double>& b) {
  return distance(a, b) < std::min(norm(a), norm(b));
}

// The creases of the target that one learned crease stands for, and the sum of their jumps.
struct Group {
  std::vector<std::size_t> members;
  std::vector<double> jump;

  std::vector<double> jump_with(const Crease& crease) const {
    std::vector<double> sum = crease.jump;
    for (std::size_t o = 0; o < jump.size(); ++o) sum[o] += jump[o];
    return sum;
  }
  void add(std::size_t index, const Crease& crease) {
    jump = jump_with(crease);
    members.push_back(index);
  }
};

// Which target creases each learned crease stands for.
std::vector<Group> assign(const std::vector<Crease>& target, const std::vector<Crease>& learned,
                          const std::vector<Candidate>& pairs) {
  std::vector<Group> groups(learned.size());
  std::vector<bool> found(target.size(), false);
  // One to one, nearest first.
  for (const auto& [t, l, apart] : pairs) {
    if (found[t] || !groups[l].members.empty()) continue;
    if (!explains(target[t].jump, learned[l].jump)) continue;
    groups[l].add(t, target[t]);
    found[t] = true;
  }
  // A crease left over joins the nearest neighbour whose jump it helps to explain ...
  for (const auto& [t, l, apart] : pairs) {
    if (found[t] || groups[l].members.empty()) continue;
    const std::vector<double>& jump = learned[l].jump;
    if (distance(groups[l].jump_with(target[t]), jump) >= distance(groups[l].jump, jump)) continue;
    groups[l].add(t, target[t]);
    found[t] = true;
  }
  // ... or, with others left over beside it, makes up a learned crease that none of them explains
  // alone.
  std::vector<Group> leftovers(learned.size());
  std::vector<bool> placed = found;
  for (const auto& [t, l, apart] : pairs) {
    if (placed[t] || !groups[l].members.empty()) continue;
    leftovers[l].add(t, target[t]);
    placed[t] = true;
  }
  for (std::size_t l = 0; l < learned.size(); ++l) {
    if (leftovers[l].members.size() > 1 && explains(leftovers[l].jump, learned[l].jump)) {
      groups[l] = leftovers[l];
    }
  }
  return groups;
}

}  // namespace

NetworkMatch match(const ReluNetwork& target, const ReluNetwork& learned, double tolerance) {
  check(target);
  check(learned);
  require(target.inputs() == learned.inputs() && target.outputs() == learned.outputs(),
          "match: the networks must have the same inputs and outputs");
  require(std::isfinite(tolerance) && tolerance >= 0.0,
          "match: the tolerance must be finite and not negative");
  const std::vector<Crease> wanted = live_creases(target);
  const std::vector<Crease> found = live_creases(learned);
  const Sides sides = sides_of(target);
  std::vector<Candidate> pairs;
  if (target.power == learned.power) pairs = candidate_pairs(wanted, found, tolerance, sides);
  const std::vector<Group> groups = assign(wanted, found, pairs);
  NetworkMatch result;
  for (const Crease& crease : wanted) result.target += crease.neurons;
  for (std::size_t l = 0; l < found.size(); ++l) {
    Index neurons = 0;
    for (const std::size_t t : groups[l].members) neurons += wanted[t].neurons;
    if (neurons == 0) result.spurious += found[l].neurons;
    (neurons == 1 ? result.matched : result.merged) += neurons;
    if (groups[l].members.size() != 1) continue;
    note_errors(wanted[groups[l].members[0]], found[l], sides, result);
  }
  result.missing = result.target - result.matched - result.merged;
  return result;
}

}  // namespace crease
