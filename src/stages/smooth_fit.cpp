// Levenberg-Marquardt for smooth networks.
#include "src/stages/smooth_fit.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "kernels/ops.hpp"
#include "src/device_smooth_network.hpp"
#include "src/stages/chunks.hpp"

namespace crease {
namespace {

constexpr double kDown = 6;
constexpr double kUp = 5;
constexpr int kMostRejections = 12;
constexpr double kLeastDamping = 1e-15;
constexpr double kLeastDiagonal = 1e-14;  // of the largest
constexpr double kNearlyExact = 30;  // times `exact`: here a step that is right gains much, ...
constexpr double kGain = 4;          // ... at least so much of the mean square

bool moves_weights(const SmoothFitPlan& plan, std::size_t layer, std::size_t layers) {
  return plan.weights && (plan.first_weights || layer > 0 || layers == 1);
}

/// visit(part, free) for every part, in the order of the unknowns.
template <class Network, class Visit>
void for_parts(Network& network, const SmoothFitPlan& plan, const Visit& visit) {
  for (std::size_t l = 0; l < network.hidden.size(); ++l) {
    visit(network.hidden[l].weights, moves_weights(plan, l, network.hidden.size()));
    visit(network.hidden[l].bias, plan.biases);
  }
  visit(network.output, plan.output);
  visit(network.constant, plan.constant);
  visit(network.linear, plan.linear);
}

/// Rows of the Jacobian at one network.
class SmoothJacobian {
 public:
  SmoothJacobian(Device& device, const SmoothNetwork& network, const SmoothFitPlan& plan)
      : device_(device), plan_(plan), output_(upload(device, network.output)) {
    for (const SmoothNetwork::Layer& layer : network.hidden) {
      layers_.push_back({upload(device, layer.weights),
                         upload(device, ConstHostView{layer.bias.data(), 1, layer.bias.rows(),
                                                      layer.bias.rows()}),
                         layer.activation});
    }
  }

  /// out [n, q] at x [n, d].
  void rows(ConstDeviceView x, DeviceView out) const {
    const Index n = x.rows;
    std::vector<DeviceMatrix> values, slopes;  // g_l and g_l' of every layer
    for (const Layer& layer : layers_) {
      const ConstDeviceView below = values.empty() ? x : values.back().view();
      const Index k = layer.weights.rows();
      DeviceMatrix z(device_, n, k), slope(device_, n, k);
      multiply(device_, below, Transpose::no, layer.weights, Transpose::yes, 1.0, 0.0, z);
      add_row(device_, layer.bias, z);
      copy(device_, z, slope);
      activate(device_, layer.activation, 0, z);
      activate(device_, layer.activation, 1, slope);
      values.push_back(std::move(z));
      slopes.push_back(std::move(slope));
    }
    // slopes become dF / dz_l, from the last layer down.
    scale_columns(device_, output_, slopes.back());
    for (std::size_t l = layers_.size() - 1; l > 0; --l) {
      DeviceMatrix back(device_, n, layers_[l - 1].weights.rows());
      multiply(device_, slopes[l], Transpose::no, layers_[l].weights, Transpose::no, 1.0, 0.0,
               back);
      multiply_elements(device_, back, slopes[l - 1]);
    }
    Index at = 0;
    const auto next = [&](Index width) {
      at += width;
      return out.col_block(at - width, width);
    };
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const ConstDeviceView below = l == 0 ? x : values[l - 1].view();
      const Index k = slopes[l].cols();
      if (moves_weights(plan_, l, layers_.size())) {
        row_products(device_, slopes[l], below, next(k * below.cols));
      }
      if (plan_.biases) copy(device_, slopes[l], next(k));
    }
    if (plan_.output) copy(device_, values.back(), next(values.back().cols()));
    if (plan_.constant) fill(device_, 1.0, next(1));
    if (plan_.linear) copy(device_, x, next(x.cols));
  }

 private:
  struct Layer {
    DeviceMatrix weights;
    DeviceMatrix bias;  // [1, k]
    Activation activation;
  };
  Device& device_;
  const SmoothFitPlan& plan_;
  std::vector<Layer> layers_;
  DeviceMatrix output_;
};

class Problem {
 public:
  Problem(Device& device, ConstDeviceView x, ConstDeviceView y, const SmoothFitPlan& plan, Index q)
      : device_(device), x_(x), y_(y), plan_(plan), q_(q), residual_(device, x.rows, 1) {}

  /// Mean of the squared residuals; they stay for normal_equations().
  double mean_square(const SmoothNetwork& network) {
    DeviceSmoothNetwork(device_, network).evaluate(x_, residual_);
    subtract(device_, y_, residual_);
    return mean_square_of(residual_);
  }

  double mean_square_of(ConstDeviceView column) {
    DeviceMatrix norm(device_, 1, 1);
    column_norms(device_, column, norm);
    const double value = download(device_, norm)(0, 0);
    return value * value / static_cast<double>(x_.rows);
  }

  bool is_stopped() const { return plan_.stop && plan_.stop(); }

  /// J^T J and J^T r at the network whose residuals are in hand; false if stopped.
  bool normal_equations(const SmoothNetwork& network) {
    const SmoothJacobian jacobian(device_, network, plan_);
    const Index most = std::clamp<Index>(
        std::min(plan_.most_bytes, kChunkBytes) / ((q_ + 1) * kDoubleBytes), 1, x_.rows);
    if (normal_.empty()) {
      normal_ = DeviceMatrix(device_, q_ + 1, q_ + 1);
      rows_ = DeviceMatrix(device_, most, q_ + 1);
    }
    for (Index top = 0; top < x_.rows; top += most) {
      if (is_stopped()) return false;
      const Index count = std::min(most, x_.rows - top);
      const DeviceView block = rows_.view().row_block(0, count);
      jacobian.rows(x_.row_block(top, count), block.col_block(0, q_));
      copy(device_, residual_.view().row_block(top, count), block.col_block(q_, 1));
      gram(device_, block, top == 0 ? 0.0 : 1.0, normal_);
    }
    DeviceMatrix on_diagonal(device_, 1, q_ + 1);
    crease::diagonal(device_, normal_, on_diagonal);
    const HostMatrix values = download(device_, on_diagonal);
    diagonal_ = HostMatrix(1, q_);
    double largest = 0;
    for (Index j = 0; j < q_; ++j) largest = std::max(largest, values(0, j));
    for (Index j = 0; j < q_; ++j) {
      diagonal_(0, j) = std::max(values(0, j), kLeastDiagonal * largest);
    }
    return true;
  }

  /// s, or nothing where there is no Cholesky factor.
  std::optional<HostMatrix> step(double damping) {
    DeviceMatrix system(device_, q_, q_);
    copy(device_, normal_.view().row_block(0, q_).col_block(0, q_), system);
    HostMatrix shift = diagonal_;
    for (Index j = 0; j < q_; ++j) shift(0, j) *= damping;
    add_to_diagonal(device_, upload(device_, shift), system);
    if (!cholesky(device_, system)) return std::nullopt;
    DeviceMatrix gradient(device_, 1, q_);
    copy(device_, normal_.view().row_block(q_, 1).col_block(0, q_), gradient);
    const DeviceView column{gradient.view().data, q_, 1, 1};
    solve_triangular(device_, system, Transpose::no, column);
    solve_triangular(device_, system, Transpose::yes, column);
    return download(device_, gradient);
  }

 private:
  Device& device_;
  ConstDeviceView x_, y_;
  const SmoothFitPlan& plan_;
  Index q_;
  DeviceMatrix residual_;
  DeviceMatrix normal_;  // of [J, r], lower triangle
  DeviceMatrix rows_;    // of [J, r], a chunk
  HostMatrix diagonal_;
};

SmoothNetwork moved(SmoothNetwork network, const SmoothFitPlan& plan, const HostMatrix& step) {
  const double* at = step.data();
  for_parts(network, plan, [&](HostMatrix& part, bool is_free) {
    if (!is_free) return;
    for (Index i = 0; i < part.size(); ++i) part.data()[i] -= *at++;
  });
  return network;
}

}  // namespace

Index free_numbers(const SmoothNetwork& network, const SmoothFitPlan& plan) {
  Index numbers = 0;
  for_parts(network, plan, [&](const HostMatrix& part, bool is_free) {
    if (is_free) numbers += part.size();
  });
  return numbers;
}

void smooth_jacobian(Device& device, const SmoothNetwork& network, const SmoothFitPlan& plan,
                     ConstDeviceView x, DeviceView out) {
  check(network);
  require(network.outputs() == 1, "smooth_jacobian: networks of one output");
  require(
      x.cols == network.inputs() && out.rows == x.rows && out.cols == free_numbers(network, plan),
      "smooth_jacobian: x must be [n, d], the rows as wide as there are free numbers");
  SmoothJacobian(device, network, plan).rows(x, out);
}

SmoothFit fit_smooth(Device& device, ConstDeviceView x, ConstDeviceView y, SmoothNetwork start,
                     const SmoothFitPlan& plan) {
  check(start);
  require(start.outputs() == 1, "fit_smooth: networks of one output");
  require(x.rows >= 1 && x.cols == start.inputs() && y.rows == x.rows && y.cols == 1,
          "fit_smooth: x must be [n, d], y [n, 1]");
  const Index q = free_numbers(start, plan);
  Problem problem(device, x, y, plan, q);
  SmoothFit fit;
  fit.network = std::move(start);
  double mean_square = problem.mean_square(fit.network);
  const double least = plan.exact * plan.exact * problem.mean_square_of(y);
  double damping = plan.damping;
  int little = 0;
  while (q > 0 && fit.steps < plan.most_steps && mean_square > least && little < plan.most_little) {
    fit.stopped = !problem.normal_equations(fit.network);
    const bool is_close = mean_square <= kNearlyExact * kNearlyExact * least;
    const int most_tries = is_close ? 1 : kMostRejections;
    bool taken = false, is_rounding = false;
    for (int tries = 0; tries < most_tries && !taken && !fit.stopped; ++tries) {
      fit.stopped = tries > 0 && problem.is_stopped();
      if (fit.stopped) break;
      const std::optional<HostMatrix> step = problem.step(damping);
      if (!step) {
        damping *= 2 * kUp;
        continue;
      }
      SmoothNetwork next = moved(fit.network, plan, *step);
      const double now = problem.mean_square(next);
      taken = now < mean_square;  // false where it is NaN
      if (!taken) {
        damping *= kUp;
        continue;
      }
      little = 1 - now / mean_square < plan.little ? little + 1 : 0;
      is_rounding = is_close && kGain * now > mean_square;
      mean_square = now;
      fit.network = std::move(next);
      damping = std::max(damping / kDown, kLeastDamping);
    }
    if (!taken) break;
    ++fit.steps;
    if (is_rounding) break;
  }
  fit.rms = std::sqrt(mean_square);
  return fit;
}

}  // namespace crease
