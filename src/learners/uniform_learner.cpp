// The query learner's uniform mode: samples, scan, pairs, norm-bounded regression, certificate.
#include "src/learners/uniform_learner.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/learners/query_plan.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/finish.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/orientation.hpp"

namespace crease {
namespace {

constexpr double kIdle = 1e-3;  // a coefficient below this share of a neuron's own jump is none
constexpr int kMostPrunings = 8;
constexpr double kWhole = 1e-2;  // the coefficient of a lone neuron is its own jump, this closely
constexpr Index kMostSingly = 100;  // more neurons than that are not tried one by one
constexpr double kNoWorse = 2;      // held-out error allowed after pruning, share of that before

Index sample_count(const QueryPlan& plan, Index d) {
  return plan.uniform_samples + 4 * (d + 1);
}

/// Candidates that the samples carry: twice as many points as columns, without those held out.
Index candidate_limit(const QueryPlan& plan, Index d, Index p, Index most_bytes) {
  return std::min(plan.uniform_samples * 3 / 8, reduction_columns(most_bytes) - (d + 1 + p));
}

}  // namespace

Index queries_needed(const QueryPlan& plan, Index d) {
  check_uniform(plan);
  require(d >= 1, "queries_needed: at least one input");
  const UniformGrid grid = uniform_grid(plan, d);
  const double price = static_cast<double>(grid.lines) * static_cast<double>(grid.intervals) *
                           static_cast<double>(d + 3) +
                       static_cast<double>(plan.uniform_samples) + 4 * static_cast<double>(d + 1) +
                       static_cast<double>(plan.certificate_points);
  require(price < 0x1p62, "the uniform plan needs more than 2^62 queries");
  return kNoiseQueries + grid.lines * grid.intervals * (d + 3) + sample_count(plan, d) +
         plan.certificate_points;
}

UniformLearner::UniformLearner(QueryRun& run)
    : device_(run.device),
      problem_(run.problem),
      plan_(run.plan),
      control_(run.control),
      asker_(run.asker),
      random_(run.random),
      grid_(uniform_grid(plan_, asker_.inputs())),
      noise_(run.noise),
      samples_{run.control.seed, Stream::uniform_mode, 0, 0},
      hypothesis_(asker_.inputs(), asker_.outputs()),
      report_(run.report) {
  const Index d = asker_.inputs();
  const Index p = asker_.outputs();
  const Index price = queries_needed(plan_, d);
  if (control_.budget.queries) {
    require(price <= *control_.budget.queries, "the uniform plan needs " + std::to_string(price) +
                                                   " queries, the budget is " +
                                                   std::to_string(*control_.budget.queries));
  }
  hypothesis_.base.assign(static_cast<std::size_t>(d), 0.0);
  hypothesis_.gradient_noise.assign(static_cast<std::size_t>(p), 0.0);
}

/// The samples of the regression come first: a run that ends short can still be fitted.
void UniformLearner::draw_samples() {
  asker_.enter("least_squares");
  const Index d = asker_.inputs();
  const Index p = asker_.outputs();
  const Index n = sample_count(plan_, d);
  const Index chunk =
      std::clamp<Index>(control_.budget.device_bytes / 4 / ((d + p) * kDoubleBytes), 1, n);
  HostMatrix answers(n, p);
  samples_.first_row = random_.take_rows(Stream::uniform_mode, n);
  samples_.count = n;
  for (Index first = 0; first < n; first += chunk) {
    const Index count = std::min(chunk, n - first);
    DeviceMatrix x(device_, count, d);
    fill_gaussian(device_, samples_.seed, static_cast<std::uint64_t>(samples_.stream),
                  samples_.first_row + first, 1.0, x);
    const DeviceMatrix y = asker_.points(x, first == 0 ? Round::next : Round::same);
    device_.copy_out(y, answers.view().row_block(first, count));
  }
  answers_ = std::move(answers);
  asker_.report();
}

/// The list S, and the regression (7) over it. Asks nothing.
void UniformLearner::fit() {
  asker_.enter("least_squares");
  const Index d = asker_.inputs();
  const Index p = asker_.outputs();
  const Index bytes = control_.budget.device_bytes / 2;
  const Index most = candidate_limit(plan_, d, p, bytes);
  NeuronList list = get_neurons(device_, lines_, noise_, plan_, most, bytes);
  if (list.left_out > 0) {
    asker_.warn(std::to_string(list.left_out) + " of " +
                std::to_string(list.pairs + list.left_out) + " pairs of pieces were left out: " +
                std::to_string(most) + " candidate neurons are all that samples and memory carry");
  }
  candidates_ = std::move(list.neurons);
  const auto k = static_cast<Index>(candidates_.size());
  HostMatrix weights(0, d);
  std::vector<double> bias;
  double steepest = plan_.uniform_weight_bound.value_or(0);
  double highest = plan_.uniform_bias_bound.value_or(0);
  for (const CandidateNeuron& neuron : candidates_) {
    weights.append_row(neuron.normal.data(), d);
    bias.push_back(neuron.bias);
    if (neuron.separation > 1) continue;
    if (!plan_.uniform_weight_bound) steepest = std::max(steepest, neuron.size);
    if (!plan_.uniform_bias_bound) {
      highest = std::max(highest, neuron.size * std::abs(neuron.bias));
    }
  }
  KnownRows known{HostMatrix(0, d), HostMatrix(0, p)};
  double kinks = 0;
  for (const ScannedLine& line : lines_) {
    kinks = std::max(kinks, static_cast<double>(line.pieces.size()) - 1);
    for (const UniformPiece& piece : line.pieces) {
      for (const bool last : {false, true}) {
        if (last && piece.count < 2) continue;
        std::vector<double> x = line.origin;
        const double t = last ? piece.last : piece.first;
        for (std::size_t i = 0; i < x.size(); ++i) x[i] += t * line.direction[i];
        known.x.append_row(x.data(), d);
        known.y.append_row((last ? piece.last_value : piece.first_value).data(), p);
      }
    }
  }
  // W of (7) for neurons of length 1: k coefficients of at most k R, and (5) for the affine part.
  // Without a neuron nothing bounds F.
  const double bound = k > 0 ? std::sqrt(kinks) * kinks * steepest + kinks * (steepest + highest)
                             : std::numeric_limits<double>::infinity();
  const DeviceMatrix weights_on_device = upload(device_, {weights.data(), k, d, d});
  const DeviceMatrix bias_on_device = upload(device_, column_view(bias));
  const ReducedRows rows = reduce_rows(device_, weights_on_device, bias_on_device, samples_,
                                       upload(device_, answers_), known, bytes);

  BoundedFit best;
  const std::vector<Index> kept = choose_columns(rows, bound, best);
  take(best, kept);
  final_ = orient(hypothesis_, held_out_rms_);
  fitted_ = true;
  report_.least_squares = {
      "qr", "norm bound along the singular values of R", best.rank, best.condition, 0, true};
  asker_.set_progress(0, hypothesis_.neurons(), std::nullopt);
  asker_.report();
}

/// All pairs are candidates, but only pairs across one hyperplane are neurons. After the regression
/// over all of them: the most credible of these lists that explains fitted and held-out rows as
/// well (neighbours on several lines, neighbours, several lines, all), then without those whose
/// coefficient came out as nothing, or as a share that others can take over.
std::vector<Index> UniformLearner::choose_columns(const ReducedRows& rows, double bound,
                                                  BoundedFit& best) const {
  const auto k = static_cast<Index>(candidates_.size());
  const auto those = [&](auto&& wanted) {
    std::vector<Index> columns;
    for (Index j = 0; j < rows.features; ++j) {
      if (j >= k || wanted(j, candidates_[static_cast<std::size_t>(j)])) columns.push_back(j);
    }
    return columns;
  };
  std::vector<Index> columns = those([](Index, const CandidateNeuron&) { return true; });
  best = fit_norm_bounded(device_, rows, columns, bound);
  const auto d = static_cast<double>(asker_.inputs());
  double noise_square = 0;
  for (Index o = 0; o < rows.outputs; ++o) {
    const double sigma = noise_.sigma(std::sqrt(1 + d + grid_.span * grid_.span), o);
    noise_square += sigma * sigma;
  }
  // The errors of the candidates themselves are no reason for more of them.
  const double held_out = kNoWorse * best.held_out_rms;
  const double fitted = kNoWorse * best.fit_rms;
  const auto explained = [&](const BoundedFit& fit) {
    double square = noise_square;
    for (Index j = 0; j < k; ++j) {
      const double* row = fit.coefficients.row(j);
      const double error = candidates_[static_cast<std::size_t>(j)].offset_error;
      square += error * error * dot(row, row, rows.outputs);
    }
    return plan_.sigmas * std::sqrt(square);
  };
  const auto try_columns = [&](std::vector<Index> fewer) {
    if (fewer.size() >= columns.size()) return false;
    BoundedFit fit = fit_norm_bounded(device_, rows, fewer, bound);
    const double error = explained(fit);
    if (!(fit.held_out_rms <= std::max(held_out, error))) return false;
    if (!(fit.fit_rms <= std::max(fitted, error))) return false;
    columns = std::move(fewer);
    best = std::move(fit);
    return true;
  };
  try_columns(those(
      [](Index, const CandidateNeuron& n) { return n.separation == 1 && n.lines.size() > 1; })) ||
      try_columns(those([](Index, const CandidateNeuron& n) { return n.separation == 1; })) ||
      try_columns(those([](Index, const CandidateNeuron& n) { return n.lines.size() > 1; }));
  const auto coefficient = [&](Index j) {
    const double* row = best.coefficients.row(j);
    return std::sqrt(dot(row, row, rows.outputs));
  };
  for (int pruning = 0; pruning < kMostPrunings; ++pruning) {
    std::vector<Index> fewer;
    for (const Index j : columns) {
      if (j >= k || coefficient(j) > kIdle * candidates_[static_cast<std::size_t>(j)].size) {
        fewer.push_back(j);
      }
    }
    if (!try_columns(std::move(fewer))) break;
  }
  // Candidates beside each other (one is the other and a little of a third, or was crossed by a
  // step unseen) share a coefficient, and only points between them could tell. The one that was met
  // less often goes.
  std::vector<Index> doubtful = columns;
  std::erase_if(doubtful, [k](Index j) { return j >= k; });
  if (static_cast<Index>(doubtful.size()) > kMostSingly) return columns;
  std::stable_sort(doubtful.begin(), doubtful.end(), [&](Index a, Index b) {
    return candidates_[static_cast<std::size_t>(a)].lines.size() <
           candidates_[static_cast<std::size_t>(b)].lines.size();
  });
  for (const Index j : doubtful) {
    const double share = coefficient(j) / candidates_[static_cast<std::size_t>(j)].size;
    if (std::abs(share - 1) <= kWhole) continue;
    std::vector<Index> fewer = columns;
    std::erase(fewer, j);
    try_columns(std::move(fewer));
  }
  return columns;
}

void UniformLearner::take(const BoundedFit& fit, const std::vector<Index>& kept) {
  const Index d = asker_.inputs();
  const Index p = asker_.outputs();
  const auto k = static_cast<Index>(candidates_.size());
  for (const Index j : kept) {
    if (j >= k) continue;
    const CandidateNeuron& neuron = candidates_[static_cast<std::size_t>(j)];
    const double* row = fit.coefficients.row(j);
    hypothesis_.add(neuron.normal, neuron.bias, std::vector<double>(row, row + p),
                    neuron.offset_error, neuron.normal_error);
  }
  // What a regression makes of noise: its variance times columns over rows; and its own rounding,
  // which over n rows adds up to sqrt(n) u of every column times its coefficient.
  const double columns = static_cast<double>(kept.size());
  const auto rows = 0.75 * static_cast<double>(samples_.count);
  const double share = std::sqrt(columns / rows);
  const std::vector<double> value_error = hypothesis_.value_error();
  const double root = std::sqrt(static_cast<double>(d + 1));
  for (Index o = 0; o < p; ++o) {
    const auto oo = static_cast<std::size_t>(o);
    const double noise = noise_.sigma(root, o) / root;
    double total = 0;
    for (const Index j : kept) total += fit.coefficients(j, o) * fit.coefficients(j, o);
    hypothesis_.gradient_noise[oo] =
        std::hypot(share * std::hypot(noise, value_error[oo]), kRounding * std::sqrt(rows * total));
    double size = 0;
    for (Index i = 0; i < d; ++i) {
      const double value = fit.coefficients(k + i, o);
      hypothesis_.gradient(o, i) = value;
      size += value * value;
    }
    // Less than the noise of one answer: F has no linear part.
    if (std::sqrt(size) <= plan_.sigmas * noise_.sigma(root, o) && hypothesis_.neurons() == 0) {
      std::fill_n(hypothesis_.gradient.row(o), d, 0.0);
    }
    hypothesis_.constant(o, 0) = fit.coefficients(k + d, o);
  }
  held_out_rms_ = fit.held_out_rms;
}

void UniformLearner::finish_short(Outcome outcome, std::string message) {
  if (!fitted_) final_ = hypothesis_.network();
  forget_certificate(report_);
  if (outcome != Outcome::device_lost) {
    const auto rest = [&] {
      if (!answers_.empty() && !fitted_) fit();
      if (outcome == Outcome::out_of_budget || outcome == Outcome::stopped) {
        const auto p = static_cast<std::size_t>(asker_.outputs());
        noise_.absolute.resize(p, 0.0);
        noise_.relative.resize(p, 0.0);
        asker_.finish_regardless();
        vouch_for(asker_, random_, problem_, plan_, noise_, hypothesis_, final_, 0, report_);
      }
    };
    if (const auto end = how_it_ends(asker_, rest)) {
      outcome = end->outcome();
      message = end->what();
    }
  }
  report_.outcome = outcome;
  report_.message = std::move(message);
}

void UniformLearner::learn() {
  draw_samples();
  scan_lines(asker_, random_, grid_, plan_, control_.budget.device_bytes / 2, noise_,
             [&](ScannedLine line) {
               lines_.push_back(std::move(line));
               const auto pieces = static_cast<Index>(lines_.back().pieces.size());
               asker_.set_progress(std::max<Index>(0, pieces - 1), 0, std::nullopt);
             });
  fit();
  vouch_for(asker_, random_, problem_, plan_, noise_, hypothesis_, final_, 0, report_);
}

}  // namespace crease
