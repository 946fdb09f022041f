// The end of a polish: fresh points against the errors it says are left, and the report.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "src/device_network.hpp"
#include "src/stages/polisher.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kMostDoubted = 0.25;     // of the rows: more are not wrong patterns but neurons
constexpr double kSigmas = 10;            // that a fresh point may be off by
constexpr double kUnavoidable = 4;        // times what noise leaves: no difference
constexpr double kMuchBetter = 1.0 / 16;  // of the error before, where errors are underestimated

}  // namespace

/// Fresh points against what the errors of the parts allow.
void Polisher::check() {
  const Index n = std::min(kCheckPoints, asker_.left());
  estimate(1);
  const std::vector<double> rounding = result_.hypothesis.rounding_error();
  if (n == 0) {
    result_.message = "no query was left to check what was polished: it is not taken";
    return;
  }
  const DeviceMatrix x = random_.gaussian_points(device_, Stream::cells, n, d_);
  const HostMatrix points = download(device_, x);
  const HostMatrix y = download(device_, asker_.points(x));
  const auto errors_of = [&](const ReluNetwork& network) {
    DeviceMatrix values(device_, n, p_);
    DeviceNetwork(device_, network).evaluate(x, values);
    HostMatrix out = download(device_, values);
    for (Index i = 0; i < out.size(); ++i) out.data()[i] = y.data()[i] - out.data()[i];
    return out;
  };
  const HostMatrix before = errors_of(start_.network());
  const HostMatrix after = errors_of(result_.hypothesis.network());
  const Hypothesis& planes = result_.hypothesis;
  const HostMatrix above = heights(device_, planes, points);
  const HostMatrix rows = patterns(planes, above);
  const HostMatrix through =
      product(device_, rows, Transpose::no, gradient_covariance_, Transpose::no);
  const HostMatrix levels =
      product(device_, rows, Transpose::no, levels_->covariance(), Transpose::no);
  const std::vector<double> value_error = planes.value_error();
  double worst = 0;        // in units of what is expected
  double unavoidable = 0;  // squares that noise and rounding leave, whatever the network
  double correlated = 1;   // errors of neurons together over those of each
  for (Index i = 0; i < n; ++i) {
    const double rho = std::sqrt(1 + dot(points.row(i), points.row(i), d_));
    for (Index o = 0; o < p_; ++o) {
      const Index r = i * p_ + o;
      const double parts =
          std::sqrt(std::max(0.0, dot(through.row(r), rows.row(r), rows.cols()) * rho * rho +
                                      dot(levels.row(r), rows.row(r), rows.cols())));
      const double rounded = rho * rounding[static_cast<std::size_t>(o)];
      const double sigma = std::hypot(noise_.sigma(rho, o), parts, rounded);
      worst = std::max(worst, std::abs(after(i, o)) / sigma);
      unavoidable += noise_.sigma(rho, o) * noise_.sigma(rho, o) + rounded * rounded;
      const double own = value_error[static_cast<std::size_t>(o)] * rho;
      if (own > 0) correlated = std::max(correlated, parts / own);
    }
  }
  const double size_before = dot(before.data(), before.data(), before.size());
  const double size_after = dot(after.data(), after.data(), after.size());
  const bool as_expected = worst <= kSigmas && doubted_ <= kMostDoubted;
  if (!as_expected && !(size_after <= kMuchBetter * kMuchBetter * size_before)) {
    result_.message =
        "fresh points show errors beyond what a polish could leave: a neuron may be missing, and "
        "the network is the one from before it";
    return;
  }
  if (size_after > size_before + kUnavoidable * unavoidable) {
    result_.message = "it left a larger error than before on fresh points, and is not taken";
    return;
  }
  const double factor = as_expected ? 1.0 : worst / kSigmas;
  estimate(factor);
  result_.hypothesis.scale_errors(correlated);
  result_.accepted = true;
  result_.report.accepted = true;
  for (Index i = 0; i < k_; ++i) {
    const auto ii = static_cast<std::size_t>(i);
    const NeuronError& error = result_.errors[ii];
    if (std::max(error.weights, error.bias) > wanted_[ii] / kTighter) {
      ++result_.report.unfinished;
    }
  }
  if (!as_expected) {
    result_.message = "fresh points show errors beyond those estimated: the estimates were raised";
  } else if (result_.report.unfinished > 0) {
    result_.message = std::to_string(result_.report.unfinished) + " of " + std::to_string(k_) +
                      " neurons are less exact than wanted" +
                      (short_of_queries_ ? ": no more queries were allowed" : "");
  }
}

/// The polished hypothesis and its errors, times a factor.
void Polisher::estimate(double factor) {
  for (Index i = 0; i < k_; ++i) {
    const auto ii = static_cast<std::size_t>(i);
    network_.weight_error[ii] *= factor;
    network_.offset_error[ii] *= factor;
  }
  result_.hypothesis = network_.hypothesis(start_);
  result_.errors.clear();
  const std::vector<double> lever = levels_->lever();
  double squares = 0;
  for (Index i = 0; i < k_; ++i) {
    const auto ii = static_cast<std::size_t>(i);
    const double size = network_.size(i);
    NeuronError error;
    error.weights = factor * std::sqrt(std::max(gradient_covariance_(i, i), 0.0));
    error.bias = std::hypot(factor * std::sqrt(std::max(levels_->covariance()(i, i), 0.0)),
                            error.weights * lever[ii]);
    error.hyperplane =
        std::max(error.weights, std::hypot(error.bias, error.weights * network_.bias[ii] / size)) /
        size;
    const double common =
        2 * static_cast<double>(d_) / std::numbers::pi / static_cast<double>(2 * beside_ + 1);
    error.scale = std::hypot(error.weights * std::sqrt(1 + (leans_[ii] ? common : 0.0)) / size,
                             factor * turn_error_[ii]);
    error.floor = kFloor / size;
    result_.errors.push_back(error);
    squares += error.weights * error.weights;
  }
  for (Index o = 0; o < p_; ++o) {
    const double error = factor * std::sqrt(std::max(gradient_covariance_(k_ + o, k_ + o), 0.0));
    result_.hypothesis.gradient_noise[static_cast<std::size_t>(o)] = error;
    squares += error * error;
  }
  result_.linear_error = std::sqrt(squares);
}

}  // namespace crease
