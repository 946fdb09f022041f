// Polish: a network whose neurons are all known, made as exact as the answers allow.
#include "src/stages/polish.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <numbers>
#include <numeric>

#include "src/device_network.hpp"
#include "src/stages/fan_design.hpp"
#include "src/stages/gradient_fit.hpp"
#include "src/stages/level_fit.hpp"
#include "src/stages/mirrored.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kSafety = 5;       // the largest of k d errors, in standard deviations
constexpr double kTighter = 0.5;    // the noise is seen about one bit too small
constexpr double kFloor = 0x1p-50;  // |u| |w| times the error of a hyperplane
constexpr double kPriors = 64;      // times what is known, so that it hardly weighs
constexpr double kLeastWeightPrior = 1e-14;
constexpr double kLeastLevelPrior = 1e-13;
constexpr double kLeastOffsetError = 1e-15;
constexpr double kMostFans = 1.05;  // of the unknowns of one input
// The error of a centre is common to d directions whose signs lean away from the tightest
// hyperplane: along its normal it counts sqrt(2 d / pi) times.
constexpr Index kBesideShare = 24;     // inputs for each pair of points beside a centre ...
constexpr double kBesideRoom = 0.25;   // ... so far from it, in units of its room ...
constexpr double kBesideFar = 1e-4;    // ... and of rho, at most
constexpr Index kPairsForEach = 2;     // pairs of new points for each neuron's bias
constexpr double kMostDoubted = 0.25;  // of the rows: more are not wrong patterns but neurons
constexpr Index kRounds = 3;
constexpr Index kSweeps = 4;
constexpr double kSettled = 0.02;     // of the smallest standard deviation: nothing left to sweep
constexpr Index kLevelPoints = 8192;  // of what was paid for, nearest the origin, at most
constexpr Index kCheckPoints = 64;
constexpr double kSigmas = 10;            // that a fresh point may be off by
constexpr double kUnavoidable = 4;        // times what noise leaves: no difference
constexpr double kMuchBetter = 1.0 / 16;  // of the error before, where errors are underestimated

double largest(const std::vector<double>& values) {
  return values.empty() ? 0.0 : *std::max_element(values.begin(), values.end());
}

class Polisher {
 public:
  Polisher(Asker& asker, Random& random, const NoiseModel& noise, const Paid& paid,
           double tolerance, const Hypothesis& hypothesis)
      : asker_(asker),
        device_(asker.device()),
        random_(random),
        noise_(noise),
        start_(hypothesis),
        network_(hypothesis),
        k_(hypothesis.neurons()),
        p_(hypothesis.outputs),
        d_(hypothesis.inputs),
        beside_((d_ + kBesideShare - 1) / kBesideShare),
        x_(0, d_),
        y_(0, p_) {
    result_.report.asked = true;
    result_.report.tolerance = tolerance;
    for (const PaidFan& fan : paid.fans()) fans_.push_back(&fan);
    take_points(paid);
    set_targets(tolerance * kTighter);
    level_pairs_.x = HostMatrix(0, d_);
    level_pairs_.y = HostMatrix(0, p_);
    leans_.assign(static_cast<std::size_t>(k_), false);
  }

  Polished run();

 private:
  void take_points(const Paid& paid);
  void ask_fitted_centers();
  void set_targets(double tolerance);
  void ask_fans(std::vector<WantedFan> wanted);
  void ask_part(std::vector<WantedFan>& wanted, std::size_t first, std::size_t end, Round round);
  void ask_points(const HostMatrix& x);
  void solve(FanDesign& design);
  void fit_levels(const GradientFit& gradients);
  void ask_levels();
  void check();
  void estimate(double factor);
  Index affordable() const {
    return (asker_.left() - std::min(asker_.left(), kCheckPoints)) / (d_ + 2 * beside_);
  }

  Asker& asker_;
  Device& device_;
  Random& random_;
  NoiseModel noise_;
  const Hypothesis& start_;
  UnitNetwork network_;
  Index k_;
  Index p_;
  Index d_;
  Index beside_;                  // pairs of points that say what a new fan's centre answers
  std::deque<PaidFan> own_fans_;  // addresses stay
  std::vector<const PaidFan*> fans_;
  HostMatrix x_;  // points and answers for levels
  HostMatrix y_;
  LevelPairs level_pairs_;
  std::vector<double> wanted_;
  std::vector<double> weight_prior_;
  std::vector<double> level_prior_;
  std::shared_ptr<const HostMatrix> directions_;
  HostMatrix gradient_covariance_;
  double doubted_ = 0;              // share of the rows
  std::vector<bool> leans_;         // [k] measured by fans that lean away from its hyperplane
  std::vector<double> turn_error_;  // [k] of the outputs' directions
  std::optional<LevelFit> levels_;
  bool short_of_queries_ = false;
  Polished result_{false, {}, Hypothesis(0, 0), {}, {}, 0};
};

/// Those nearest the origin: of one that is far out, errors of the weights are seen instead.
void Polisher::take_points(const Paid& paid) {
  const HostMatrix& x = paid.points();
  std::vector<std::pair<double, Index>> order;
  for (Index i = 0; i < x.rows(); ++i) order.emplace_back(dot(x.row(i), x.row(i), d_), i);
  std::sort(order.begin(), order.end());
  order.resize(std::min(order.size(), static_cast<std::size_t>(kLevelPoints)));
  for (const auto& [square, i] : order) {
    x_.append_row(x.row(i), d_);
    y_.append_row(paid.answers().row(i), p_);
  }
}

void Polisher::set_targets(double tolerance) {
  double longest = 1;
  for (Index i = 0; i < k_; ++i) {
    const auto ii = static_cast<std::size_t>(i);
    const double size = network_.size(i);
    longest = std::max(longest, size);
    wanted_.push_back(std::min(tolerance, std::max(tolerance * size, kFloor)) / kSafety);
    weight_prior_.push_back(kPriors * std::max(network_.weight_error[ii], kLeastWeightPrior));
    level_prior_.push_back(kPriors * std::max(network_.offset_error[ii], kLeastLevelPrior));
  }
  const double widest = std::max({largest(weight_prior_), kPriors * kLeastWeightPrior,
                                  kPriors * largest(start_.gradient_noise)});
  const double highest = std::max(largest(level_prior_), kPriors * kLeastLevelPrior);
  for (Index o = 0; o < p_; ++o) {
    wanted_.push_back(tolerance * longest / kSafety);
    weight_prior_.push_back(widest);
    level_prior_.push_back(std::max(highest, widest * std::sqrt(static_cast<double>(d_))));
  }
}

void Polisher::ask_points(const HostMatrix& x) {
  const HostMatrix y = download(device_, asker_.points(upload(device_, x)));
  for (Index i = 0; i < x.rows(); ++i) {
    x_.append_row(x.row(i), d_);
    y_.append_row(y.row(i), p_);
  }
}

/// Where the centre of a fan is the fit of a line: one query against an error that all its
/// directions share. Fans that the queries do not reach are left out.
void Polisher::ask_fitted_centers() {
  HostMatrix centers(0, d_);
  for (const PaidFan*& fan : fans_) {
    if (fan->center_asked) continue;
    if (centers.rows() + kCheckPoints + kMirroredPoints < asker_.left()) {
      centers.append_row(fan->center.data(), d_);
      own_fans_.push_back(*fan);
      own_fans_.back().center_asked = true;
      fan = &own_fans_.back();
    } else {
      fan = nullptr;
    }
  }
  std::erase(fans_, nullptr);
  if (centers.rows() == 0) return;
  const Index first = y_.rows();
  ask_points(centers);
  for (std::size_t i = 0; i < own_fans_.size(); ++i) {
    const double* answer = y_.row(first + static_cast<Index>(i));
    own_fans_[i].center_answer.assign(answer, answer + p_);
  }
}

void Polisher::ask_part(std::vector<WantedFan>& wanted, std::size_t first, std::size_t end,
                        Round round) {
  HostMatrix centers(0, d_);
  HostMatrix steps(0, d_);
  for (std::size_t m = first; m < end; ++m) {
    centers.append_row(wanted[m].center.data(), d_);
    steps.append_row(wanted[m].steps.data(), d_);
  }
  const DeviceMatrix centers_on_device = upload(device_, centers);
  const DeviceMatrix directions = upload(device_, *wanted[first].directions);
  const DeviceMatrix answers =
      asker_.fan({centers_on_device, directions, upload(device_, steps)}, round);
  const HostMatrix values = download(device_, answers);
  // The centres, from both sides: an oracle that knows fans rounds these as it does the others.
  HostMatrix around(0, d_);
  HostMatrix aside(steps.rows(), 2 * beside_);
  for (Index j = 0; j < 2 * beside_; ++j) {
    around.append_row(wanted[first].directions->row(j / 2), d_);
    for (Index m = 0; m < aside.rows(); ++m) {
      const std::vector<double>& center = wanted[first + static_cast<std::size_t>(m)].center;
      const double step = std::min(kBesideRoom * wanted[first + static_cast<std::size_t>(m)].room,
                                   kBesideFar * std::sqrt(1 + dot(center, center)));
      aside(m, j) = j % 2 == 0 ? step : -step;
    }
  }
  const DeviceMatrix near =
      asker_.fan({centers_on_device, upload(device_, around), upload(device_, aside)}, Round::same);
  const HostMatrix middles = download(device_, near);
  for (std::size_t m = first; m < end; ++m) {
    const auto i = static_cast<Index>(m - first);
    PaidFan fan;
    fan.center = wanted[m].center;
    fan.directions = wanted[m].directions;
    fan.steps = wanted[m].steps;
    fan.answers = HostMatrix(d_, p_);
    std::copy_n(values.row(i * d_), d_ * p_, fan.answers.data());
    fan.center_answer.assign(static_cast<std::size_t>(p_), 0.0);
    const auto count = static_cast<double>(2 * beside_);
    for (Index j = 0; j < 2 * beside_; ++j) {
      for (Index o = 0; o < p_; ++o) {
        // Differences from the first are exact: their mean is rounded once.
        fan.center_answer[static_cast<std::size_t>(o)] +=
            (middles(i * 2 * beside_ + j, o) - middles(i * 2 * beside_, o)) / count;
      }
    }
    for (Index o = 0; o < p_; ++o) {
      fan.center_answer[static_cast<std::size_t>(o)] += middles(i * 2 * beside_, o);
    }
    const double rho = std::sqrt(1 + dot(fan.center, fan.center));
    for (Index o = 0; o < p_; ++o) {
      fan.center_noise.push_back(noise_.sigma(rho, o) / std::sqrt(count));
    }
    x_.append_row(fan.center.data(), d_);
    y_.append_row(fan.center_answer.data(), p_);
    own_fans_.push_back(std::move(fan));
    fans_.push_back(&own_fans_.back());
  }
}

/// One round: what shares directions, as far as memory goes, is one batch.
void Polisher::ask_fans(std::vector<WantedFan> wanted) {
  if (wanted.empty()) return;
  std::stable_partition(wanted.begin(), wanted.end(),
                        [&](const WantedFan& fan) { return fan.directions == directions_; });
  const auto most = static_cast<std::size_t>(asker_.rows_at_once(d_ * (p_ + 1)));
  Round round = Round::next;
  for (std::size_t first = 0; first < wanted.size();) {
    std::size_t end = first + 1;
    while (end < wanted.size() && end - first < most &&
           wanted[end].directions == wanted[first].directions) {
      ++end;
    }
    ask_part(wanted, first, end, round);
    round = Round::same;
    first = end;
  }
  result_.report.fans += static_cast<Index>(wanted.size());
}

void Polisher::ask_levels() {
  const Index allowed = (asker_.left() - std::min(asker_.left(), kCheckPoints)) / 2;
  const Index most =
      std::min(kPairsForEach * k_ - static_cast<Index>(level_pairs_.neuron.size()), allowed);
  if (most < 1) {
    short_of_queries_ = short_of_queries_ || allowed == 0;
    return;
  }
  std::vector<double> wanted = wanted_;
  std::fill(wanted.begin() + k_, wanted.end(), std::numeric_limits<double>::infinity());
  const LevelPairs chosen =
      choose_levels(device_, random_, network_.hypothesis(start_), network_, noise_,
                    gradient_covariance_, levels_->covariance(), wanted, most);
  if (chosen.neuron.empty()) return;
  const HostMatrix y = download(device_, asker_.points(upload(device_, chosen.x)));
  for (Index r = 0; r < chosen.x.rows(); ++r) {
    level_pairs_.x.append_row(chosen.x.row(r), d_);
    level_pairs_.y.append_row(y.row(r), p_);
  }
  level_pairs_.neuron.insert(level_pairs_.neuron.end(), chosen.neuron.begin(), chosen.neuron.end());
  result_.report.levels += chosen.x.rows();
}

/// Gradients and levels in turn: each is linear while the other stays.
void Polisher::solve(FanDesign& design) {
  const std::vector<FanRows> rows = fan_rows(device_, network_, noise_, fans_);
  GradientFit gradients(device_, network_, rows, weight_prior_);
  levels_.reset();
  for (Index sweep = 0; sweep < kSweeps; ++sweep) {
    const double change = gradients.sweep(network_);
    gradient_covariance_ = gradients.covariance();
    if (!levels_) {
      const auto fit = [&] {
        levels_.emplace(device_, network_, network_.hypothesis(start_), noise_,
                        gradient_covariance_, level_prior_, x_, y_, level_pairs_);
      };
      fit();
      const std::size_t before = level_pairs_.neuron.size();
      ask_levels();
      if (level_pairs_.neuron.size() > before) fit();
    }
    levels_->sweep(network_);
    double least = std::numeric_limits<double>::infinity();
    for (Index i = 0; i < k_; ++i) least = std::min(least, gradient_covariance_(i, i));
    if (sweep > 0 && change <= kSettled * std::sqrt(std::max(least, 0.0))) break;
  }
  turn_error_.assign(static_cast<std::size_t>(k_), 0.0);
  for (Index i = 0; i < k_; ++i) {
    const auto ii = static_cast<std::size_t>(i);
    const double weight = std::max(gradient_covariance_(i, i), 0.0);
    const double level = std::max(levels_->covariance()(i, i), 0.0);
    turn_error_[ii] = gradients.turn_error(i);
    network_.weight_error[ii] = std::sqrt(weight);
    network_.offset_error[ii] =
        std::max(std::sqrt(weight * static_cast<double>(d_) + level), kLeastOffsetError);
  }
  doubted_ =
      static_cast<double>(gradients.doubted()) /
      static_cast<double>(std::max<std::size_t>(1, rows.size() * static_cast<std::size_t>(p_)));
  design.set_covariance(gradient_covariance_);
}

Polished Polisher::run() {
  ask_fitted_centers();
  noise_ =
      mirrored_noise(asker_, random_, network_, noise_, fan_rows(device_, network_, noise_, fans_));
  for (PaidFan& fan : own_fans_) {  // so far only those whose fitted centres were asked
    const double rho = std::sqrt(1 + dot(fan.center, fan.center));
    for (Index o = 0; o < p_; ++o) {
      fan.center_noise[static_cast<std::size_t>(o)] = noise_.sigma(rho, o);
    }
  }
  {
    DeviceMatrix basis = random_.gaussian_points(device_, Stream::directions, d_, d_);
    orthonormal_rows(device_, basis);
    directions_ = std::make_shared<const HostMatrix>(download(device_, basis));
  }
  FanDesign design(weight_prior_, wanted_);
  for (const FanRows& row : fan_rows(device_, network_, noise_, fans_)) {
    design.add(coefficients(network_, {row}), row.sigma);
  }
  // Unknowns of one input over what one fan says of it, and the outputs' directions on top.
  const double unknowns = static_cast<double>(k_ + p_) / static_cast<double>(p_) +
                          static_cast<double>(k_ * (p_ - 1)) / static_cast<double>(p_ * d_);
  Index most = static_cast<Index>(std::ceil(kMostFans * unknowns));
  if (p_ > 1) {
    // Two neurons that every fan sees on alike could trade: patterns must tell them all apart.
    most += 1 + static_cast<Index>(std::ceil(std::log2(static_cast<double>(k_ + 1))));
  }
  for (Index round = 0; round < kRounds; ++round) {
    DesignLimits limits;
    limits.most_fans = std::min(most - result_.report.fans, affordable());
    const bool pairs_before = !design.all_good();
    std::vector<WantedFan> wanted =
        choose_fans(device_, random_, network_, network_.hypothesis(start_), noise_, directions_,
                    limits, design);
    if (pairs_before && affordable() < most - result_.report.fans && !design.all_good()) {
      short_of_queries_ = true;
    }
    const bool cells = !wanted.empty() && !wanted.front().of_pair;
    for (std::size_t m = 0; m < wanted.size(); ++m) {
      if (!wanted[m].of_pair) continue;
      result_.report.pairs += 1;
      for (std::size_t i = 0; m % 2 == 1 && i < leans_.size(); ++i) {
        if (wanted[m].active[i] != wanted[m - 1].active[i]) leans_[i] = true;
      }
    }
    if (cells) leans_.assign(leans_.size(), true);
    ask_fans(std::move(wanted));
    solve(design);
    ++result_.report.rounds;
    if (design.all_good()) break;
  }
  result_.report.pairs /= 2;
  check();
  return std::move(result_);
}

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

}  // namespace

Polished polish(Asker& asker, Random& random, const NoiseModel& noise, const Paid& paid,
                double tolerance, const Hypothesis& hypothesis) {
  Paid* keeping = asker.paid();
  asker.enter("polish");
  asker.keep(nullptr);
  try {
    Polished result = Polisher(asker, random, noise, paid, tolerance, hypothesis).run();
    asker.keep(keeping);
    asker.report();
    return result;
  } catch (...) {
    asker.keep(keeping);
    throw;
  }
}

}  // namespace crease
