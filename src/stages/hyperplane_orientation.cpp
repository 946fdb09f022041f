// Signs from the linear part.
#include "src/stages/hyperplane_orientation.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kMostTried = 16;  // neurons whose orientations are all tried
constexpr double kSingular = 1e-10;

/// |w - sum s_i a_i|^2 for changing signs.
class Rest {
 public:
  Rest(const HostMatrix& terms, std::vector<double> left)
      : terms_(terms), left_(std::move(left)), signs_(static_cast<std::size_t>(terms.rows()), -1) {
    for (Index i = 0; i < terms.rows(); ++i) add(i, 1);
  }
  const std::vector<int>& signs() const { return signs_; }
  double square() const { return dot(left_, left_); }
  void turn(Index i) {
    int& sign = signs_[static_cast<std::size_t>(i)];
    add(i, 2.0 * sign);
    sign = -sign;
  }

 private:
  void add(Index i, double factor) {
    for (Index j = 0; j < terms_.cols(); ++j) {
      left_[static_cast<std::size_t>(j)] += factor * terms_(i, j);
    }
  }
  const HostMatrix& terms_;
  std::vector<double> left_;
  std::vector<int> signs_;
};

std::vector<int> best_of_all(const HostMatrix& terms, const std::vector<double>& linear) {
  Rest rest(terms, linear);
  std::vector<int> best = rest.signs();
  double least = rest.square();
  for (unsigned code = 1; code < 1U << terms.rows(); ++code) {  // one turned at a time (Gray code)
    rest.turn(std::countr_zero(code));
    if (rest.square() >= least) continue;
    least = rest.square();
    best = rest.signs();
  }
  return best;
}

std::vector<int> improved(const HostMatrix& terms, const std::vector<double>& linear) {
  const Index k = terms.rows();
  const HostMatrix inverse = pseudo_inverse(terms, kSingular);  // [d, k]
  Rest rest(terms, linear);
  for (Index i = 0; i < k; ++i) {
    double sign = 0;
    for (Index j = 0; j < terms.cols(); ++j) {
      sign += linear[static_cast<std::size_t>(j)] * inverse(j, i);
    }
    if (sign > 0) rest.turn(i);
  }
  for (bool better = true; better;) {
    better = false;
    for (Index i = 0; i < k; ++i) {
      for (Index j = 0; j <= i; ++j) {
        const double before = rest.square();
        rest.turn(i);
        if (j < i) rest.turn(j);
        if (rest.square() < before * (1 - 1e-12)) {
          better = true;
          continue;
        }
        rest.turn(i);
        if (j < i) rest.turn(j);
      }
    }
  }
  return rest.signs();
}

}  // namespace

OrientedNeurons orient_neurons(const Hyperplanes& network) {
  require(network.outputs() == 1, "orient_neurons: one output");
  const Index d = network.inputs();
  HostMatrix terms(0, d);
  std::vector<Index> live;
  for (Index i = 0; i < network.neurons(); ++i) {
    if (network.scales(i, 0) == 0) continue;
    live.push_back(i);
    std::vector<double> term(network.planes.row(i), network.planes.row(i) + d);
    for (double& value : term) value *= network.scales(i, 0);
    terms.append_row(term.data(), d);
  }
  std::vector<double> left(network.linear.row(0), network.linear.row(0) + d);
  const auto k = static_cast<Index>(live.size());
  const std::vector<int> signs = k <= kMostTried ? best_of_all(terms, left) : improved(terms, left);
  OrientedNeurons result;
  result.network = ReluNetwork(d, k, 1);
  result.network.constant(0, 0) = network.linear(0, d);
  for (Index i = 0; i < k; ++i) {
    const Index from = live[static_cast<std::size_t>(i)];
    const double sign = signs[static_cast<std::size_t>(i)];
    const double scale = network.scales(from, 0);
    result.network.output(0, i) = 2 * scale;
    result.network.bias(i, 0) = sign * network.planes(from, d);
    result.network.constant(0, 0) -= sign * scale * network.planes(from, d);
    for (Index j = 0; j < d; ++j) {
      left[static_cast<std::size_t>(j)] -= sign * terms(i, j);
      result.network.weights(i, j) = sign * network.planes(from, j);
    }
  }
  result.left = std::sqrt(dot(left, left));
  return result;
}

}  // namespace crease
