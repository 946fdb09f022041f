// The adaptive query learner: lines, gradients and neurons, then lines of what is left.
#include "src/learners/adaptive_learner.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/answer_formats.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kCleanShare =
    1e-2;  // a clean look with more than this share of F's spread left is no success
constexpr double kWorse = 1.05;  // a line that raises the rms by more than this is taken back ...
constexpr double kRelaxed = 0x1p-20;        // ... if its gaps were measured this loosely
constexpr double kStartRelax = 0x1p-5;      // the first line never starts looser than this
constexpr double kRealJump = 1e-3;          // of the median: smaller kinks may be noise
constexpr std::size_t kMostUnresolved = 3;  // kinks without a neuron that get lines of their own
constexpr Index kResolveLines = 3;          // for each
constexpr double kNearKink = 1e-4;          // angle within which a neuron explains a kink
constexpr double kWideLines = 3;            // more lines for every doubling of the width ...
constexpr double kWide = 256;               // ... from here on
constexpr Index kLongLine = 1024;           // its answers are looked at
constexpr std::size_t kFewAnswers = 32;     // that are kept of them
constexpr double kBesideWorst = 1e-3;  // extra points beside the worst one, share of the distance

}  // namespace

/// The first line is random; later ones go through the worst point and the base point, where the
/// residual is zero on a whole piece; after a line without progress in a random direction, but
/// always through the worst point.
SearchedLine AdaptiveLearner::next_line() {
  SearchedLine line;
  const Index d = asker_.inputs();
  line.origin = random_.normals(d);
  line.direction = random_.normals(d);
  line.of_residual = hypothesis_.has_base();
  if (line.of_residual && !worst_.empty()) {
    line.origin = worst_;
    if (idle_ == 0) {
      for (std::size_t i = 0; i < line.direction.size(); ++i) {
        line.direction[i] = hypothesis_.base[i] - worst_[i];
      }
      line.base = std::sqrt(dot(line.direction, line.direction));
    }
  }
  line.direction = unit_vector(std::move(line.direction));
  if (!line.of_residual) return line;
  const auto p = static_cast<std::size_t>(asker_.outputs());
  for (Index j = 0; j < hypothesis_.neurons(); ++j) {
    const double along = dot(hypothesis_.normals.row(j), line.direction.data(), d);
    if (std::abs(along) <= 1e-300) continue;
    const auto jj = static_cast<std::size_t>(j);
    line.known.t.push_back(
        -(dot(hypothesis_.normals.row(j), line.origin.data(), d) + hypothesis_.bias[jj]) / along);
    for (std::size_t o = 0; o < p; ++o) {
      const double scale = std::abs(hypothesis_.scales(j, static_cast<Index>(o)));
      line.known.step.push_back(hypothesis_.offset_error[jj] * scale);
      line.known.bend.push_back(hypothesis_.normal_error[jj] * scale);
    }
  }
  return line;
}

/// Searches the line, measures its pieces and adds the neurons it gives; returns how many.
Index AdaptiveLearner::learn_from(SearchedLine& line) {
  asker_.enter("lines");
  fresh_ = 0;
  const Index d = asker_.inputs();
  const Index p = asker_.outputs();
  const double c = std::sqrt(static_cast<double>(d));
  const DeviceMatrix origin = upload(device_, row_view(line.origin));
  const DeviceMatrix direction = upload(device_, row_view(line.direction));
  Index asked = 0;
  const AskLine ask = [&](const std::vector<double>& t) {
    const std::array<Index, 2> all = {0, static_cast<Index>(t.size())};
    HostMatrix told;
    const HostMatrix values = asker_.residuals(
        {origin, direction, all}, t, line.of_residual ? &*current_ : nullptr, Round::next, &told);
    LineAnswers result;
    result.values.assign(values.data(), values.data() + values.size());
    for (std::size_t i = 0; i < t.size(); ++i) {
      const double rho = line.rho(t[i]);
      for (Index o = 0; o < p; ++o) {
        const double sigma = noise_.sigma(rho, o);
        result.sigmas.push_back(told.empty() ? sigma
                                             : std::hypot(sigma, told(static_cast<Index>(i), o)));
      }
    }
    asked += static_cast<Index>(t.size());
    if (!line.of_residual && asked > kLongLine) result.enough = finds_rounding(line, t, values);
    asker_.report();
    return result;
  };
  LineSearchInput input;
  input.scale = c;
  input.told = asker_.knows_sigmas();
  // Two outputs that add up to 0 are one.
  input.meetings_prove = asker_.answer_kind().modulo.empty() || p > 2;
  input.cells = line.of_residual ? plan_.deflated_cells : plan_.first_cells;
  if (line.of_residual && !worst_.empty()) {
    const double beside = kBesideWorst * line.base.value_or(c);
    input.extra = {-beside, 0, beside};
  }
  if (line.of_residual) input.known = &line.known;
  line.result = search_line(ask, p, input, plan_, random_);
  if (!rounded_.empty()) return 0;
  for (std::size_t o = 0; o < static_cast<std::size_t>(p); ++o) {
    // Answers are rounded where the function is steep: the probe may not have seen that.
    noise_.relative[o] =
        std::max(noise_.relative[o], kSlopeRounding * c * kRounding * line.result.slope_range[o]);
  }
  const auto kinks = static_cast<Index>(line.result.kinks.size());
  any_kinks_ = kinks > 0;
  asker_.set_progress(kinks, hypothesis_.neurons(), std::nullopt);
  if (line.result.pieces.empty() || (line.of_residual && !any_kinks_)) return 0;

  MeasuredPieces pieces =
      prepare_pieces(line, noise_, plan_, line.of_residual ? &hypothesis_ : nullptr);
  any_kinks_ = !pieces.kinks.empty();
  if (line.of_residual && !any_kinks_) return 0;
  GapPolicy policy = policy_;
  if (line.of_residual) {
    localize_crowded_kinks(ask, line, noise_, hypothesis_, policy_, plan_, pieces);
    // It is the sum of squares over all neurons that counts: the fewer are missing, the worse each
    // of them may be.
    const double known_for_each =
        static_cast<double>(hypothesis_.neurons()) /
        static_cast<double>(std::max<std::size_t>(1, pieces.kinks.size()));
    policy.tolerance = std::max(
        policy.tolerance,
        std::min(kStartRelax, policy.tolerance * std::sqrt(std::max(1.0, known_for_each))));
    if (pieces.kinks.empty()) return 0;
  }
  if (!line.of_residual && any_kinks_) {
    policy_.tolerance =
        std::max(policy_.tolerance, std::min(kStartRelax, 2 * median(pieces.quality)));
    policy = policy_;
  }
  measure_gradients(asker_, line, noise_, hypothesis_, current_ ? &*current_ : nullptr, policy,
                    plan_, random_, pieces);
  if (!hypothesis_.has_base()) {
    std::size_t base = pieces.size();
    double widest = 0;
    for (std::size_t m = 0; m < pieces.size(); ++m) {
      const double width = std::min(pieces.half_width[m], c) / std::hypot(c, pieces.t[m]);
      if (pieces.measured[m] && width > widest) {
        widest = width;
        base = m;
      }
    }
    if (base == pieces.size()) return 0;
    hypothesis_.base = line.point(pieces.t[base]);
    for (Index o = 0; o < p; ++o) {
      hypothesis_.gradient_noise[static_cast<std::size_t>(o)] =
          pieces.gradient_noise(static_cast<Index>(base), o);
      const double* gradient = pieces.gradient(base, static_cast<std::size_t>(o));
      std::copy_n(gradient, d, hypothesis_.gradient.row(o));
      hypothesis_.constant(o, 0) =
          pieces.values(static_cast<Index>(base), o) - dot(gradient, hypothesis_.base.data(), d);
    }
  }
  const std::vector<double> known_error =
      line.of_residual ? hypothesis_.gradient_error()
                       : std::vector<double>(static_cast<std::size_t>(p), 0.0);
  const Index before = hypothesis_.neurons();
  const Index added = add_neurons(pieces, line, noise_, policy, plan_, known_error, hypothesis_);
  fresh_ = added - hypothesis_.absorb(before, plan_.sigmas);
  return added;
}

/// Kinks of the first line that no neuron explains: a look may well miss a neuron that is active
/// nowhere near the origin, but the line has seen it. A point beyond each, seen from the base
/// point.
std::vector<std::vector<double>> AdaptiveLearner::unresolved_kinks() const {
  const SearchedLine& line = *first_line_;
  const std::vector<Kink>& kinks = line.result.kinks;
  std::vector<double> jumps;
  for (const Kink& kink : kinks) {
    double square = 0;
    for (std::size_t o = 0; o < kink.jump.size(); ++o) {
      const double jump = kink.jump[o] / line.result.scale[o];
      square += jump * jump;
    }
    jumps.push_back(std::sqrt(square));
  }
  const double typical = median(jumps);
  const double base = dot(hypothesis_.base, line.direction) - dot(line.origin, line.direction);
  const double c = std::sqrt(static_cast<double>(hypothesis_.inputs));
  std::vector<std::vector<double>> unresolved;
  for (std::size_t j = 0; j < kinks.size() && unresolved.size() < kMostUnresolved; ++j) {
    if (jumps[j] < kRealJump * typical) continue;
    const Piece& before = line.result.pieces[j];
    const Piece& after = line.result.pieces[j + 1];
    const std::vector<double> crossing = line.point(kinks[j].t);
    const double near =
        std::max(2 * (after.low - before.high), kNearKink * std::hypot(c, kinks[j].t));
    bool explained = false;
    for (Index r = 0; r < hypothesis_.neurons() && !explained; ++r) {
      const double* normal = hypothesis_.normals.row(r);
      const double along = dot(normal, line.direction.data(), hypothesis_.inputs);
      const double height = dot(normal, crossing.data(), hypothesis_.inputs) +
                            hypothesis_.bias[static_cast<std::size_t>(r)];
      explained = std::abs(height) <= near * std::abs(along);
    }
    if (explained) continue;
    const Piece& beyond = kinks[j].t > base ? after : before;
    unresolved.push_back(line.point(0.5 * (beyond.low + beyond.high)));
  }
  return unresolved;
}

/// Lines through the kinks that gave no neuron, each time less particular about narrow and far
/// pieces. True if they found some.
bool AdaptiveLearner::resolve() {
  const std::vector<std::vector<double>> points = unresolved_kinks();
  first_line_.reset();
  const GapPolicy before = policy_;
  Index added = 0;
  for (const std::vector<double>& point : points) {
    for (idle_ = 0; idle_ < kResolveLines && lines_ < most_lines(); ++idle_) {
      worst_ = point;
      SearchedLine line = next_line();
      ++lines_;
      const Index found = learn_from(line);
      if (found > 0) rebuild();
      added += found;
      if (found > 0 || !any_kinks_) break;
      policy_.tolerance = std::min(policy_.tolerance * plan_.gap_relax, kStartRelax);
    }
    policy_ = before;
  }
  idle_ = 0;
  return added > 0;
}

double AdaptiveLearner::deviation() {
  if (!deviation_) deviation_ = deviation_or_zero(device_, hypothesis_.network());
  return *deviation_;
}

/// A look at fresh points. True if it decided what to do next (nothing is left to find, or a hunt
/// hit).
bool AdaptiveLearner::look() {
  asker_.enter("looks");
  last_look_ = look_around(asker_, random_, Stream::looks, plan_.look_points, hypothesis_,
                           *current_, noise_, plan_);
  asker_.set_progress(0, hypothesis_.neurons(), last_look_.rms / spread());
  asker_.report();
  return last_look_.clean();
}

/// Fresh answers that refute the network and are not exact: this learner cannot go on.
bool AdaptiveLearner::finds_rounding(const Look& look) {
  if (look.beyond == 0 || asker_.knows_sigmas() || noise_.format != "float64") return false;
  if (!are_rounded(look.answers)) return false;
  rounded_ = look.answers;
  return true;
}

/// The same for what a long line asks, answers [n, p] at t: where F is constant but far out, every
/// step of the rounding there would be searched for kinks. Keeps those nearest to the origin.
bool AdaptiveLearner::finds_rounding(const SearchedLine& line, const std::vector<double>& t,
                                     const HostMatrix& answers) {
  if (asker_.knows_sigmas() || noise_.format != "float64") return false;
  std::vector<double> usual;
  for (Index o = 0; o < answers.cols(); ++o) {
    std::vector<double> all;
    for (Index i = 0; i < answers.rows(); ++i) all.push_back(answers(i, o));
    usual.push_back(median(std::move(all)));
  }
  std::vector<std::pair<double, Index>> others;  // than the constant: distance, row
  for (Index i = 0; i < answers.rows(); ++i) {
    const double rho = line.rho(t[static_cast<std::size_t>(i)]);
    bool other = false;
    for (Index o = 0; o < answers.cols(); ++o) {
      const double apart = std::abs(answers(i, o) - usual[static_cast<std::size_t>(o)]);
      other = other || apart > plan_.sigmas * noise_.sigma(rho, o);
    }
    if (other) others.push_back({rho, i});
  }
  std::sort(others.begin(), others.end());
  HostMatrix nearest(0, answers.cols());
  for (std::size_t i = 0; i < std::min(others.size(), kFewAnswers); ++i) {
    nearest.append_row(answers.row(others[i].second), answers.cols());
  }
  if (!are_rounded(nearest)) return false;
  rounded_ = std::move(nearest);
  return true;
}

/// One line and one look. False when there is nothing more to do.
bool AdaptiveLearner::grow() {
  const bool first = !hypothesis_.has_base();
  SearchedLine line = next_line();
  ++lines_;
  Index added = learn_from(line);
  if (!rounded_.empty()) return false;
  if (!hypothesis_.has_base()) return lines_ < most_lines();
  if (first) first_line_ = line;
  rebuild();
  bool clean = look();
  if (finds_rounding(last_look_)) return false;
  if (clean && first_line_ && resolve()) clean = look();
  return goes_on(first, added, clean);
}

/// What the last look says of going on; `added` neurons came from the line before it.
bool AdaptiveLearner::goes_on(bool first, Index added, bool clean) {
  if (!have_best_ || last_look_.rms < best_rms_) {
    best_ = hypothesis_;
  } else if (!first && added > 0 && policy_.tolerance > kRelaxed &&
             last_look_.rms > kWorse * best_rms_) {
    hypothesis_ = best_;
    rebuild();
    added = 0;
  }
  best_rms_ = have_best_ ? std::min(best_rms_, last_look_.rms) : last_look_.rms;
  have_best_ = true;

  if (clean && plan_.resolution > 0) {
    std::vector<double> hit;
    if (!hunt_.find(asker_, random_, hypothesis_, *current_, noise_, plan_, hit)) return false;
    if (finds_rounding(hunt_.last_look())) return false;
    worst_ = std::move(hit);
    // A hit line that added nothing met pieces too narrow for the accuracy asked of them.
    policy_.tolerance = !first && added == 0
                            ? std::min(policy_.tolerance * plan_.gap_relax, kStartRelax)
                            : plan_.gap_accuracy;
    idle_ = 0;
    have_best_ = false;
    return lines_ < most_lines();
  }
  // F may be constant almost everywhere: then the points say nothing of its spread.
  const auto success = [&](double spread) { return last_look_.rms <= kCleanShare * spread; };
  if (clean && (success(last_look_.spread) || success(deviation()))) {
    return false;
  }
  idle_ = added == 0 ? idle_ + 1 : 0;
  if (!first && !any_kinks_ && idle_ >= 2) return false;
  if (!first && added == 0) {
    if ((policy_.tolerance >= 1 && idle_ >= 2) || idle_ >= plan_.idle_lines) return false;
    policy_.tolerance = std::min(policy_.tolerance * plan_.gap_relax, 1.0);
  }
  worst_ = last_look_.worst;
  return lines_ < most_lines();
}

/// The missing neurons fall by a factor from line to line, so wide networks need more lines.
Index AdaptiveLearner::most_lines() const {
  const auto neurons = static_cast<double>(hypothesis_.neurons());
  return plan_.lines + static_cast<Index>(std::max(0.0, kWideLines * std::log2(neurons / kWide)));
}

void AdaptiveLearner::start_from(Hypothesis hypothesis, Look look) {
  hypothesis_ = std::move(hypothesis);
  last_look_ = std::move(look);
  given_ = true;
  rebuild();
}

void AdaptiveLearner::search() {
  bool more = !given_ || goes_on(true, hypothesis_.neurons(), last_look_.beyond == 0);
  while (more) {
    given_ = false;
    more = grow();
  }
  if (have_best_ && last_look_.rms > 2 * best_rms_) {
    hypothesis_ = best_;
    rebuild();
  }
}

}  // namespace crease
