// Neurons that no fit comes to from where it is: a line through the worst of its rows.
#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/learners/noisy_learner.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kSeenWell = 0.25;  // error of a candidate of that line that is of use
constexpr double kFitted = 0.05;    // as if the hyperplanes of the fit were off by that
constexpr double kRounded = 0.3;    // of the spacing of a format: a rounding's deviation
constexpr double kCoarser = 2;
constexpr double kTwins = 0.1;      // between two hyperplanes ...
constexpr double kTwinReach = 4.5;  // ... not farther out than that: pairs that a fit may not see
constexpr double kDensity = 0.4;    // of N(0, 1) at 0
constexpr Index kAroundTwins = 4;   // points per unknown
constexpr double kWholeLine = 1;    // it is searched as any other, not for a slab

}  // namespace

/// Where these points are off by most.
std::vector<double> NoisyLearner::worst_of(const FitRows& rows, const Hyperplanes& network) const {
  DeviceMatrix left(device_, rows.x.rows, p_);
  evaluate(device_, network, rows.x, scratch(), left);
  subtract(device_, rows.y, left);
  const HostMatrix residual = download(device_, left);
  Index worst = 0;
  double most = -1;
  for (Index i = 0; i < residual.rows(); ++i) {
    const double square = dot(residual.row(i), residual.row(i), p_);
    if (square > most) {
      most = square;
      worst = i;
    }
  }
  const HostMatrix point = download(device_, rows.x.row_block(worst, 1));
  return {point.row(0), point.row(0) + d_};
}

/// What a line asked in one input, as rows: but for answers that are rounded more coarsely than
/// most.
void NoisyLearner::take_answers(const CrudeLine& line) {
  const std::string& format = noise_.model.format;
  const double unit = format == "float16" ? 0x1p-11 : format == "float32" ? 0x1p-24 : 0;
  HostMatrix points(0, d_);
  HostMatrix answers(0, p_);
  for (Index i = 0; i < line.points.rows(); ++i) {
    bool coarse = false;
    for (Index o = 0; o < p_; ++o) {
      const double sigma = noise_.sigma[static_cast<std::size_t>(o)];
      coarse = coarse || kRounded * unit * std::abs(line.answers(i, o)) > kCoarser * sigma;
    }
    if (coarse) continue;
    points.append_row(line.points.row(i), d_);
    answers.append_row(line.answers.row(i), p_);
  }
  rows_.add(points, answers, noise_.sigma);
}

/// A line through `point`; then what lines saw well takes the place of the hyperplane of `network`
/// that is nearest, if that may be the same neuron, or is added. A few neurons in a wrong place
/// hold all the others: no growing by seeds brings them back.
Hyperplanes NoisyLearner::with_line_through(const Hyperplanes& network,
                                            const std::vector<double>& point) {
  const CrudeLine line =
      crude_neurons_through(asker_, random_, noise_.model, run_.plan, point, kWholeLine);
  take_answers(line);
  kinks_ = std::max(kinks_, line.kinks);
  unite(crude_, line.found);
  CrudeNeurons all;
  for (Index i = 0; i < network.neurons(); ++i) {
    const double* plane = network.planes.row(i);
    all.add({plane, plane + d_ + 1}, std::vector<double>(static_cast<std::size_t>(p_), 0.0),
            kFitted, kFitted);
  }
  CrudeNeurons well;
  for (Index i = 0; i < crude_.size(); ++i) {
    const auto ii = static_cast<std::size_t>(i);
    if (!(crude_.error[ii] < kSeenWell)) continue;
    const double* plane = crude_.planes.row(i);
    const double* scale = crude_.scales.row(i);
    well.add({plane, plane + d_ + 1}, {scale, scale + p_}, crude_.error[ii],
             crude_.offset_error[ii]);
  }
  if (well.size() == 0) return network;
  unite(all, well);
  Hyperplanes more(d_, p_);
  for (Index i = 0; i < all.size(); ++i) {
    const double* plane = all.planes.row(i);
    more.add({plane, plane + d_}, plane[d_]);
  }
  return more;
}

/// Two hyperplanes that are nearly one: hardly a row lies between them, and a fit takes them for
/// one. Points around each such pair, as far from it as the two are from each other.
void NoisyLearner::ask_between_twins(const Hyperplanes& network) {
  HostMatrix points(0, d_);
  for (Index i = 0; i < network.neurons(); ++i) {
    const double* a = network.planes.row(i);
    if (std::abs(a[d_]) > kTwinReach) continue;
    for (Index j = i + 1; j < network.neurons(); ++j) {
      const double* b = network.planes.row(j);
      const double sign = dot(a, b, d_) < 0 ? -1 : 1;
      double square = 0;
      for (Index c = 0; c <= d_; ++c) square += (a[c] - sign * b[c]) * (a[c] - sign * b[c]);
      const double apart = std::sqrt(square);
      if (!(apart > 0 && apart <= kTwins)) continue;
      const double rows = kDensity * apart * static_cast<double>(rows_.size());
      if (rows >= rare_side_ * static_cast<double>(d_ + 1)) continue;
      const HostMatrix around = points_around(a, d_, kAroundTwins * (d_ + 1), random_, apart);
      for (Index r = 0; r < around.rows(); ++r) points.append_row(around.row(r), d_);
    }
  }
  if (points.rows() > may_ask()) return;
  asker_.enter("least_squares");
  rows_.ask(points, asker_, noise_.sigma);
  asker_.report();
}

}  // namespace crease
