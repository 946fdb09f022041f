// Levenberg-Marquardt within bounds over shifts and scales.
#include "src/stages/scalar_fit.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/activations.hpp"
#include "src/small_dense.hpp"
#include "src/stages/counted_fit.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kShiftsOfStarts = 0.05;
constexpr double kLeastShare = 0.05;  // a neuron of less of F starts as it is, others at |b_l| >= 1
constexpr double kIndependent = 1e-10;
constexpr double kFirstDamping = 1e-3;  // of the diagonal
constexpr double kLeastDamping = 1e-15;
constexpr double kDown = 6;
constexpr double kUp = 5;
constexpr int kMostRejections = 12;
constexpr double kLeastDiagonal = 1e-14;  // of the largest
constexpr double kLittle = 1e-4;          // relative gain of the sum of squares ...
constexpr int kMostLittle = 4;            // ... in so many steps in a row ends it

/// theta, tau, s, c0, in this order, and the signs of c.
struct Scalars {
  std::vector<double> values;
  std::vector<double> outputs;
};

class ScalarProblem {
 public:
  ScalarProblem(Device& device, const HostMatrix& x, const HostMatrix& y,
                const TwoLayerDirections& directions, Activation first, Activation second,
                const ScalarFitPlan& plan)
      : device_(device),
        y_(y),
        directions_(directions),
        first_(first),
        second_(second),
        plan_(plan),
        m0_(directions.first.rows()),
        m1_(directions.entangled.rows()),
        along_(product(device, x, Transpose::no, directions.first, Transpose::yes)),
        mixing_(product(device, directions.entangled, Transpose::no,
                        pseudo_inverse(directions.first, kIndependent), Transpose::no)) {}

  Index unknowns() const { return m0_ + 2 * m1_ + 1; }

  double bound(Index unknown) const {
    if (unknown < m0_ + m1_) return plan_.most_shift;
    return unknown < m0_ + 2 * m1_ ? plan_.most_scale : HUGE_VAL;
  }

  Scalars start(Random& random, bool plain) const {
    Scalars scalars;
    scalars.outputs.assign(static_cast<std::size_t>(m1_), plan_.output);
    if (!plain && !is_symmetric(second_)) {
      for (double& output : scalars.outputs) {
        if (random.uniform(0, 1) < 0.5) output = -output;
      }
    }
    scalars.values = random.normals(m0_ + m1_);
    for (double& value : scalars.values) value *= plain ? 0 : kShiftsOfStarts;
    const HostMatrix linear = of_linear_second_layer();
    for (Index l = 0; l < m1_; ++l) {
      const double output = scalars.outputs[static_cast<std::size_t>(l)];
      const double share = linear(l, 0) / (plan_.output * slope_of_second());
      double scale = share;
      if (std::fabs(share) > kLeastShare) {
        const double length = std::sqrt(dot(mixing_.row(l), mixing_.row(l), m0_));
        scale = std::copysign(std::max(std::fabs(share), 1 / length), share);
      }
      scalars.values.push_back(
          std::clamp(std::copysign(1.0, output) * scale, -plan_.most_scale, plan_.most_scale));
    }
    scalars.values.push_back(linear(m1_, 0));
    return scalars;
  }

  SmoothNetwork network(const Scalars& scalars) const {
    SmoothNetwork network(directions_.first.cols(), {m0_, m1_}, 1, {first_, second_});
    network.hidden[0].weights = directions_.first;
    for (Index i = 0; i < m0_; ++i) network.hidden[0].bias(i, 0) = theta(scalars, i);
    const HostMatrix weights = second_weights(scalars);
    network.hidden[1].weights = weights;
    for (Index l = 0; l < m1_; ++l) {
      network.hidden[1].bias(l, 0) = tau(scalars, l);
      network.output(0, l) = scalars.outputs[static_cast<std::size_t>(l)];
    }
    network.constant(0, 0) = scalars.values.back();
    return network;
  }

  /// Residuals F' - y [n, 1]; their derivatives [n, unknowns] too where `jacobian` is not null.
  HostMatrix residuals(const Scalars& scalars, HostMatrix* jacobian) const {
    const Index n = y_.rows();
    const HostMatrix weights = second_weights(scalars);
    std::vector<double> bend, inverse;  // g'' / g' and 1 / g' at theta
    for (Index i = 0; i < m0_; ++i) {
      inverse.push_back(1 / activation_at(first_, 1, theta(scalars, i)));
      bend.push_back(activation_at(first_, 2, theta(scalars, i)) * inverse.back());
    }
    HostMatrix left(n, 1);
    if (jacobian) *jacobian = HostMatrix(n, unknowns());
    std::vector<double> values(bend.size()), slopes(bend.size());
    for (Index r = 0; r < n; ++r) {
      for (Index i = 0; i < m0_; ++i) {
        const double z = along_(r, i) + theta(scalars, i);
        values[static_cast<std::size_t>(i)] = activation_at(first_, 0, z);
        if (jacobian) slopes[static_cast<std::size_t>(i)] = activation_at(first_, 1, z);
      }
      double sum = scalars.values.back();
      for (Index l = 0; l < m1_; ++l) {
        const double z = dot(weights.row(l), values.data(), m0_) + tau(scalars, l);
        const double output = scalars.outputs[static_cast<std::size_t>(l)];
        sum += output * activation_at(second_, 0, z);
        if (!jacobian) continue;
        const double slope = output * activation_at(second_, 1, z);
        double* row = jacobian->row(r);
        row[m0_ + l] = slope;
        for (Index i = 0; i < m0_; ++i) {
          const auto at = static_cast<std::size_t>(i);
          row[i] += slope * weights(l, i) * (slopes[at] - values[at] * bend[at]);
          row[m0_ + m1_ + l] += slope * values[at] * mixing_(l, i) * inverse[at];
        }
      }
      if (jacobian) jacobian->row(r)[unknowns() - 1] = 1;
      left(r, 0) = sum - y_(r, 0);
    }
    return left;
  }

  Device& device() const { return device_; }

 private:
  double theta(const Scalars& scalars, Index i) const {
    return scalars.values[static_cast<std::size_t>(i)];
  }
  double tau(const Scalars& scalars, Index l) const {
    return scalars.values[static_cast<std::size_t>(m0_ + l)];
  }

  HostMatrix second_weights(const Scalars& scalars) const {
    HostMatrix weights = mixing_;
    for (Index l = 0; l < m1_; ++l) {
      const double scale = scalars.values[static_cast<std::size_t>(m0_ + m1_ + l)];
      for (Index i = 0; i < m0_; ++i) {
        weights(l, i) *= scale / activation_at(first_, 1, theta(scalars, i));
      }
    }
    return weights;
  }

  double slope_of_second() const { return activation_at(second_, 1, 0); }

  /// [m1 + 1, 1]: factors of <A^+ v_l, g(A x)> / g'(0), and a constant.
  HostMatrix of_linear_second_layer() const {
    const Index n = y_.rows();
    HostMatrix features = along_;
    const double slope = activation_at(first_, 1, 0);
    for (Index i = 0; i < features.size(); ++i) {
      features.data()[i] = activation_at(first_, 0, features.data()[i]) / slope;
    }
    const HostMatrix mixed = product(device_, features, Transpose::no, mixing_, Transpose::yes);
    HostMatrix rows(n, m1_ + 1, 1.0);
    for (Index r = 0; r < n; ++r) std::copy_n(mixed.row(r), m1_, rows.row(r));
    return product(device_, pseudo_inverse(std::move(rows), kIndependent), Transpose::no, y_,
                   Transpose::no);
  }

  Device& device_;
  const HostMatrix& y_;
  const TwoLayerDirections& directions_;
  Activation first_, second_;
  const ScalarFitPlan& plan_;
  Index m0_, m1_;
  HostMatrix along_;   // [n, m0] <a_i, x_r>
  HostMatrix mixing_;  // [m1, m0] rows A^+ v_l
};

double sum_of_squares(const HostMatrix& left) {
  return dot(left.data(), left.data(), left.size());
}

/// One start, to its end.
class ScalarDescent {
 public:
  ScalarDescent(const ScalarProblem& problem, Scalars start)
      : problem_(problem), scalars_(std::move(start)) {}

  void run(const ScalarFitPlan& plan, double least) {
    sum_ = sum_of_squares(problem_.residuals(scalars_, nullptr));
    int little = 0;
    for (Index step = 0; step < plan.most_steps && little < kMostLittle && sum_ > least; ++step) {
      if (plan.stop && plan.stop()) return;
      const double before = sum_;
      if (!improve()) return;
      little = before - sum_ < kLittle * before ? little + 1 : 0;
    }
  }

  const Scalars& scalars() const { return scalars_; }
  double sum() const { return sum_; }

 private:
  /// One step that lowers the sum; false where there is none.
  bool improve() {
    HostMatrix jacobian;
    const HostMatrix left = problem_.residuals(scalars_, &jacobian);
    Device& device = problem_.device();
    HostMatrix normal = product(device, jacobian, Transpose::yes, jacobian, Transpose::no);
    const HostMatrix uphill = product(device, jacobian, Transpose::yes, left, Transpose::no);
    const Index q = normal.rows();
    std::vector<double> downhill(static_cast<std::size_t>(q));
    double largest = 0;
    for (Index i = 0; i < q; ++i) {
      downhill[static_cast<std::size_t>(i)] = -uphill(i, 0);
      if (is_held(i, -uphill(i, 0))) hold(i, normal, downhill);
      largest = std::max(largest, normal(i, i));
    }
    for (int rejected = 0; rejected < kMostRejections; ++rejected, damping_ *= kUp) {
      HostMatrix system = normal;
      for (Index i = 0; i < q; ++i) {
        system(i, i) += damping_ * std::max(normal(i, i), kLeastDiagonal * largest);
      }
      std::vector<double> step = downhill;
      if (!solve_positive(std::move(system), step)) continue;
      Scalars next = scalars_;
      for (std::size_t i = 0; i < step.size(); ++i) {
        const double bound = problem_.bound(static_cast<Index>(i));
        next.values[i] = std::clamp(next.values[i] + step[i], -bound, bound);
      }
      const double lower = sum_of_squares(problem_.residuals(next, nullptr));
      if (!(lower < sum_)) continue;
      scalars_ = std::move(next);
      sum_ = lower;
      damping_ = std::max(damping_ / kDown, kLeastDamping);
      return true;
    }
    return false;
  }

  /// Whether it is at its bound and would go beyond.
  bool is_held(Index unknown, double direction) const {
    const double value = scalars_.values[static_cast<std::size_t>(unknown)];
    return std::fabs(value) >= problem_.bound(unknown) && value * direction > 0;
  }

  static void hold(Index unknown, HostMatrix& normal, std::vector<double>& downhill) {
    for (Index j = 0; j < normal.rows(); ++j) normal(unknown, j) = normal(j, unknown) = 0;
    normal(unknown, unknown) = 1;
    downhill[static_cast<std::size_t>(unknown)] = 0;
  }

  const ScalarProblem& problem_;
  Scalars scalars_;
  double sum_ = 0;
  double damping_ = kFirstDamping;
};

}  // namespace

ScalarFit fit_scalars(Device& device, Random& random, const HostMatrix& x, const HostMatrix& y,
                      const TwoLayerDirections& directions, Activation first, Activation second,
                      const ScalarFitPlan& plan) {
  require(directions.first.rows() >= 1 && directions.entangled.rows() >= 1,
          "fit_scalars: at least one direction of either layer");
  require(directions.first.cols() == x.cols() && directions.entangled.cols() == x.cols(),
          "fit_scalars: points and directions must be of one width");
  require(x.rows() >= 1 && y.rows() == x.rows() && y.cols() == 1,
          "fit_scalars: one value for every point");
  require(plan.starts >= 1 && plan.output > 0 && plan.most_shift > 0 && plan.most_scale > 0,
          "fit_scalars: at least one start, and bounds above 0");
  const ScalarProblem problem(device, x, y, directions, first, second, plan);
  const auto n = static_cast<double>(y.rows());
  double mean = 0, square = 0;
  for (Index i = 0; i < y.rows(); ++i) mean += y(i, 0) / n;
  for (Index i = 0; i < y.rows(); ++i) square += std::pow(y(i, 0) - mean, 2);
  const double least = plan.exact * plan.exact * square;
  ScalarFit best;
  double least_sum = HUGE_VAL;
  for (int start = 0; start < plan.starts && least_sum > least; ++start) {
    if (start > 0 && plan.stop && plan.stop()) break;
    ScalarDescent descent(problem, problem.start(random, start == 0));
    descent.run(plan, least);
    if (start > 0 && !(descent.sum() < least_sum)) continue;
    least_sum = descent.sum();
    best.network = problem.network(descent.scalars());
    best.rms = std::sqrt(least_sum / n);
  }
  return best;
}

}  // namespace crease
