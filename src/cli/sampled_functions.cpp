// Two functions at the same points of N(0, I) and of the unit ball.
#include "src/cli/sampled_functions.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/stages/random.hpp"

namespace crease {
namespace {

constexpr std::uint64_t kBallStream = kVerifyStream + 1;
constexpr Index kNumbersAtOnce = Index{1} << 22;

void subtract_mean_of_rows(HostMatrix& y) {
  for (Index i = 0; i < y.rows(); ++i) {
    double mean = 0;
    for (Index o = 0; o < y.cols(); ++o) mean += y(i, o) / static_cast<double>(y.cols());
    for (Index o = 0; o < y.cols(); ++o) y(i, o) -= mean;
  }
}

/// Means and variances of columns of what is added, about the first row: no number of a constant's
/// size is squared.
class Moments {
 public:
  void add(const HostMatrix& y) {
    if (first_.empty()) {
      first_.assign(y.row(0), y.row(0) + y.cols());
      sums_.assign(first_.size(), 0);
      squares_.assign(first_.size(), 0);
    }
    rows_ += y.rows();
    for (Index i = 0; i < y.rows(); ++i) {
      for (std::size_t o = 0; o < first_.size(); ++o) {
        const double value = y.row(i)[o];
        sums_[o] += value - first_[o];
        squares_[o] += std::pow(value - first_[o], 2);
        largest_ = std::max(largest_, std::abs(value));
      }
    }
  }

  double deviation() const {
    double variance = 0;
    for (std::size_t o = 0; o < first_.size(); ++o) {
      const double mean = sums_[o] / static_cast<double>(rows_);
      variance += std::max(0.0, squares_[o] / static_cast<double>(rows_) - mean * mean);
    }
    return std::sqrt(variance);
  }

  double largest() const { return largest_; }

 private:
  Index rows_ = 0;
  std::vector<double> first_, sums_, squares_;
  double largest_ = 0;
};

/// Neurons that cancel to a constant leave rounding in proportion to this.
double size_of(const AnyNetwork& network) {
  const HostMatrix& output =
      std::visit([](const auto& each) -> const HostMatrix& { return each.output; }, network);
  const HostMatrix& weights = std::holds_alternative<ReluNetwork>(network)
                                  ? std::get<ReluNetwork>(network).weights
                                  : std::get<SmoothNetwork>(network).hidden.back().weights;
  double size = 0;
  for (Index i = 0; i < output.cols(); ++i) {
    double weight = 0;
    for (Index j = 0; j < weights.cols(); ++j) weight = std::hypot(weight, weights(i, j));
    double column = 0;
    for (Index o = 0; o < output.rows(); ++o) column = std::hypot(column, output(o, i));
    size += column * std::max(1.0, weight);
  }
  return size;
}

class Comparison {
 public:
  Comparison(Device& device, const AnyNetwork& target, const AnyNetwork& learned, Index samples,
             Seed seed, bool modulo_mean)
      : device_(device),
        target_(upload_network(device, target)),
        learned_(upload_network(device, learned)),
        inputs_(inputs_of(target)),
        outputs_(outputs_of(target)),
        samples_(samples),
        seed_(seed),
        modulo_mean_(modulo_mean) {}

  SampledError at_gaussian_points(Moments& of_target) {
    return sampled(
        0,
        [&](Index first, DeviceView x) {
          fill_gaussian(device_, seed_, kVerifyStream, first, 1.0, x);
        },
        &of_target);
  }

  SampledError in_the_ball() {
    return sampled(
        2, [&](Index first, DeviceView x) { fill_ball(device_, seed_, kBallStream, first, x); },
        nullptr);
  }

 private:
  /// At the first d columns of what fill_points writes into rows of d + more columns.
  template <class FillPoints>
  SampledError sampled(Index more, const FillPoints& fill_points, Moments* of_target) {
    const Index width = std::max(inputs_ + more, outputs_);
    const Index most = std::clamp<Index>(kNumbersAtOnce / width, 1, samples_);
    DeviceMatrix x(device_, most, inputs_ + more);
    DeviceMatrix y(device_, most, outputs_);
    std::vector<double> errors;
    errors.reserve(static_cast<std::size_t>(samples_));
    for (Index first = 0; first < samples_; first += most) {
      const Index rows = std::min(most, samples_ - first);
      const DeviceView points = x.view().row_block(0, rows);
      fill_points(first, points);
      const DeviceView values = y.view().row_block(0, rows);
      const HostMatrix wanted = values_of(target_, points.col_block(0, inputs_), values);
      const HostMatrix got = values_of(learned_, points.col_block(0, inputs_), values);
      if (of_target != nullptr) of_target->add(wanted);
      for (Index i = 0; i < rows; ++i) {
        double error = 0;
        for (Index o = 0; o < outputs_; ++o) error = std::hypot(error, wanted(i, o) - got(i, o));
        errors.push_back(error);
      }
    }
    return summary_of(errors);
  }

  HostMatrix values_of(const DeviceFunction& function, ConstDeviceView x, DeviceView y) {
    function(x, y);
    HostMatrix values = download(device_, y);
    if (modulo_mean_) subtract_mean_of_rows(values);
    return values;
  }

  Device& device_;
  DeviceFunction target_, learned_;
  Index inputs_, outputs_, samples_;
  Seed seed_;
  bool modulo_mean_;
};

}  // namespace

FunctionErrors compare_functions(Device& device, const AnyNetwork& target,
                                 const AnyNetwork& learned, Index samples, Seed seed,
                                 bool modulo_mean) {
  require(samples >= 2, "compare_functions: needs at least 2 samples");
  require(inputs_of(target) == inputs_of(learned) && outputs_of(target) == outputs_of(learned),
          "two networks at the same points must have the same inputs and outputs");
  constexpr double kRounding = 64 * std::numeric_limits<double>::epsilon();
  Comparison comparison(device, target, learned, samples, seed, modulo_mean);
  FunctionErrors errors;
  Moments of_target;
  errors.gaussian = comparison.at_gaussian_points(of_target);
  errors.ball = comparison.in_the_ball();
  const double deviation = of_target.deviation();
  if (deviation > kRounding * std::max(of_target.largest(), size_of(target))) {
    errors.deviation = deviation;
  }
  return errors;
}

}  // namespace crease
