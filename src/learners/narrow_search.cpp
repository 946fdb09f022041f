// Starts, fits and rounds.
#include "src/learners/narrow_search.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string_view>
#include <utility>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/neuron_proposals.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kTrialRows = 6000;  // of searches in the significant directions alone
constexpr int kTrials = 6;
constexpr Index kFewSteps = 25;
constexpr Index kTrialSteps = 20;
constexpr double kFewStall = 1e-2;  // of the mean square
constexpr double kMuchWorse = 1.5;  // than the best so few: not worth a fit in all directions
constexpr Index kRowsPerUnknown = 30;
constexpr Index kLeastFitRows = 4000;
constexpr double kRandomTurn = 1;  // of a start at random: as far as can be
constexpr double kSame = 1.005;    // of the best error: the same optimum
constexpr Index kAgree = 3;
constexpr double kAside = 1e-3;  // of a direction found in fewer coordinates

}  // namespace

Hyperplanes without_constant(const Hyperplanes& network, Index inputs) {
  Hyperplanes result(inputs, network.outputs());
  result.planes = HostMatrix(network.neurons(), inputs + 1);
  result.scales = network.scales;
  for (Index j = 0; j <= std::min(inputs, network.inputs()); ++j) {
    for (Index i = 0; i < network.neurons(); ++i) result.planes(i, j) = network.planes(i, j);
    for (Index o = 0; o < network.outputs(); ++o) result.linear(o, j) = network.linear(o, j);
  }
  return result;
}

NarrowSearch::NarrowSearch(SampleRun& run, const NarrowPlan& plan, double accuracy,
                           const std::vector<double>& linear)
    : run_(run),
      device_(run.device()),
      plan_(plan),
      accuracy_(accuracy),
      linear_(linear),
      inputs_(run.examples().inputs()),
      dims_(run.report().inputs) {
  const ConstDeviceView held_out = run.examples().held_out_y();
  const ConstDeviceView y = held_out.rows > 0 ? held_out : rows(fit_rows(1)).y;
  const HostMatrix values = download(device_, y);
  double sum = 0;
  for (Index i = 0; i < values.size(); ++i) sum += values.data()[i];
  // A constant is not what is to be learned.
  const double mean = inputs_ > dims_ ? sum / static_cast<double>(values.size()) : 0;
  double square = 0;
  for (Index i = 0; i < values.size(); ++i) square += std::pow(values.data()[i] - mean, 2);
  answers_ = std::sqrt(square / static_cast<double>(values.size()));
  if (!(answers_ > 0)) answers_ = 1;
}

Index NarrowSearch::most_rows() const {
  const Index row = kDoubleBytes * (2 * inputs_ + 8);
  const Index memory = std::max<Index>(run_.control().budget.device_bytes / 4 / row, 1);
  return std::min(run_.examples().rows(), memory);
}

Index NarrowSearch::fit_rows(Index k) const {
  return std::min(most_rows(), std::max(kRowsPerUnknown * (k + 1) * inputs_, kLeastFitRows));
}

FitRows NarrowSearch::rows(Index count) {
  if (count > rows_count_) {
    rows_.reset();
    rows_ = run_.examples().first(count);
    rows_count_ = count;
  }
  FitRows rows = {rows_->x.row_block(0, count), rows_->y.row_block(0, count)};
  rows.offsets = false;
  return rows;
}

double NarrowSearch::error_of(const Hyperplanes& network) {
  const Index bytes = run_.control().budget.device_bytes / 4;
  FitRows seen = {run_.examples().held_out_x(), run_.examples().held_out_y()};
  if (seen.x.rows == 0) {
    seen = rows(fit_rows(network.neurons()));
  }
  return residual_rms(device_, seen, network, bytes) / answers_;
}

NarrowCandidate NarrowSearch::fitted(const Hyperplanes& start, Index steps, double first_turn,
                                     Index count) {
  HyperplaneFitPlan plan;
  plan.most_steps = steps;
  plan.first_turn = first_turn;
  plan.most_bytes = run_.control().budget.device_bytes / 2;
  plan.stop = [this] { return run_.ends(); };
  const Index least = fit_rows(start.neurons());
  HyperplaneFit fit = fit_hyperplanes(device_, rows(std::max(count, least)), start, plan);
  NarrowCandidate candidate;
  candidate.fitted = fit.rms / answers_;
  candidate.error = error_of(fit.network);
  candidate.network = std::move(fit.network);
  return candidate;
}

std::vector<double> NarrowSearch::importance(const Hyperplanes& network) {
  const std::optional<SolvedScales> solved = solve_scales(
      device_, rows(fit_rows(network.neurons())), network, run_.control().budget.device_bytes / 4);
  if (solved) return solved->importance;
  return std::vector<double>(static_cast<std::size_t>(network.neurons()), 0.0);
}

/// y - F'(z), as moments see it: without the constant, which is an offset there.
SampleView NarrowSearch::residual_label(const Hyperplanes& network) const {
  const auto seen = std::make_shared<Hyperplanes>(without_constant(network, dims_));
  SampleView view;
  view.label = [this, seen](ConstDeviceView z, ConstDeviceView y, DeviceView out) {
    evaluate(device_, *seen, z, run_.control().budget.device_bytes / 4, out);
    subtract(device_, y, out);  // F' - y: signs do not count
  };
  if (inputs_ > dims_) {
    view.turn = identity(dims_, inputs_);
  }
  return view;
}

HermiteSpan NarrowSearch::span_of(const Hyperplanes& network, Index m, const HostMatrix& guides) {
  return hermite_span(device_, run_.examples(), residual_label(network), dims_, m, guides,
                      run_.random());
}

/// With biases the constant first.
HostMatrix NarrowSearch::full_basis(const HostMatrix& span) const {
  HostMatrix basis(0, inputs_);
  std::vector<double> row(static_cast<std::size_t>(inputs_), 0.0);
  if (inputs_ > dims_) {
    row.back() = 1;
    basis.append_row(row.data(), inputs_);
    row.back() = 0;
  }
  for (Index i = 0; i < span.rows(); ++i) {
    std::copy(span.row(i), span.row(i) + dims_, row.begin());
    basis.append_row(row.data(), inputs_);
  }
  return basis;
}

NarrowSearch::Few NarrowSearch::few(const HostMatrix& basis, const std::vector<double>& linear) {
  const FitRows first = rows(std::min(kFewRows, most_rows()));
  const ConstDeviceView x = first.x;
  const Index n = x.rows;
  Few result{basis, DeviceMatrix(device_, n, basis.rows()), DeviceMatrix(device_, n, 1)};
  multiply(device_, x, Transpose::no, upload(device_, basis), Transpose::yes, 1.0, 0.0, result.z);
  copy(device_, first.y, result.r);
  multiply(device_, x, Transpose::no, upload(device_, column_view(linear)), Transpose::no, -1.0,
           1.0, result.r);
  return result;
}

/// In the leading coordinates only.
HyperplaneFit NarrowSearch::fit_few(const Few& few, Index most, Index coordinates,
                                    const HostMatrix& directions) {
  const Index n = std::min(most, few.z.rows());
  FitRows some = {few.z.view().row_block(0, n).col_block(0, coordinates),
                  few.r.view().row_block(0, n)};
  some.offsets = false;
  Hyperplanes start(coordinates, 1);
  for (Index i = 0; i < directions.rows(); ++i) {
    start.add(std::vector<double>(directions.row(i), directions.row(i) + coordinates), 0);
  }
  HyperplaneFitPlan plan;
  plan.most_steps = most < kFewRows ? kTrialSteps : kFewSteps;
  plan.first_turn = kRandomTurn;
  plan.stall = kFewStall;
  plan.most_bytes = run_.control().budget.device_bytes / 2;
  plan.stop = [this] { return run_.ends(); };
  return fit_hyperplanes(device_, some, std::move(start), plan);
}

HostMatrix NarrowSearch::random_directions(Index count, Index dimensions) {
  HostMatrix rows(0, dimensions);
  for (Index i = 0; i < count; ++i) {
    rows.append_row(unit_vector(run_.random().normals(dimensions)).data(), dimensions);
  }
  return rows;
}

/// The best of several searches in the significant directions alone, a little out of them.
HostMatrix NarrowSearch::searched_directions(const Few& few, Index k) {
  const Index m = few.z.cols();
  const Index s = std::min(m, span_.significant + inputs_ - dims_);
  HyperplaneFit best;
  for (int t = 0; t < kTrials; ++t) {
    HyperplaneFit fit = fit_few(few, kTrialRows, s, random_directions(k, s));
    if (t == 0 || fit.rms < best.rms) best = std::move(fit);
    if (run_.ends()) break;
  }
  HostMatrix directions(0, m);
  for (Index i = 0; i < k; ++i) {
    std::vector<double> row(best.network.planes.row(i), best.network.planes.row(i) + s);
    for (const double aside : run_.random().normals(m - s)) row.push_back(kAside * aside);
    directions.append_row(unit_vector(row).data(), m);
  }
  return directions;
}

/// The best network's directions in a few coordinates, of unit length.
HostMatrix NarrowSearch::seen_in(const HostMatrix& basis) const {
  HostMatrix seen(0, basis.rows());
  for (Index i = 0; i < best_.network.neurons(); ++i) {
    std::vector<double> row;
    for (Index a = 0; a < basis.rows(); ++a) {
      row.push_back(dot(best_.network.planes.row(i), basis.row(a), inputs_));
    }
    if (!(dot(row, row) > 0)) row = run_.random().normals(basis.rows());
    seen.append_row(unit_vector(row).data(), basis.rows());
  }
  return seen;
}

std::optional<HostMatrix> NarrowSearch::proposal(const std::string& kind, const Few& few, Index k) {
  const Index m = few.z.cols();
  const Index constant = inputs_ - dims_;
  if (kind == "random") return random_directions(k, m);
  if (kind == "search") return searched_directions(few, k);
  const Index matched = std::min(kMatchRows, few.z.rows());
  if (kind == "match") {
    return matched_neurons(device_, few.z.view().row_block(0, matched),
                           few.r.view().row_block(0, matched), {}, k, run_.random());
  }
  if (kind == "one more") {
    const HostMatrix kept = seen_in(few.basis);
    return matched_neurons(device_, few.z.view().row_block(0, matched),
                           few.r.view().row_block(0, matched), kept, k - kept.rows(),
                           run_.random());
  }
  const Index joint = std::min(k, m - constant);  // kind == "joint"
  const std::optional<HostMatrix> vectors =
      joint_eigenvectors(device_, few.z.view().col_block(constant, joint), few.r, run_.random());
  if (!vectors) return std::nullopt;
  HostMatrix rows(0, m);
  for (Index i = 0; i < joint; ++i) {
    std::vector<double> row(static_cast<std::size_t>(m), 0.0);
    std::copy(vectors->row(i), vectors->row(i) + joint, row.begin() + constant);
    rows.append_row(row.data(), m);
  }
  const HostMatrix others = random_directions(k - joint, m);
  for (Index i = 0; i < others.rows(); ++i) rows.append_row(others.row(i), m);
  return rows;
}

Hyperplanes NarrowSearch::lifted(const HostMatrix& directions, const HostMatrix& basis) const {
  Hyperplanes network(inputs_, 1);
  for (Index i = 0; i < directions.rows(); ++i) {
    std::vector<double> row(static_cast<std::size_t>(inputs_), 0.0);
    for (Index a = 0; a < basis.rows(); ++a) {
      for (Index j = 0; j < inputs_; ++j) {
        row[static_cast<std::size_t>(j)] += directions(i, a) * basis(a, j);
      }
    }
    network.add(row, 0);
  }
  return network;
}

void NarrowSearch::take(NarrowCandidate candidate, Index k) {
  errors_.push_back(candidate.error);
  if (!has_best_ || candidate.error < best_.error) set_best(std::move(candidate));
  run_.progress("least_squares", k, best_.error);
}

void NarrowSearch::first_round(Index k, int starts) {
  Hyperplanes none(inputs_, 1);
  std::copy(linear_.begin(), linear_.end(), none.linear.row(0));
  const Index m = std::min(dims_, k + kSpare);
  if (span_.basis.rows() != m) span_ = span_of(none, m, {});
  const Few coordinates = few(full_basis(span_.basis), linear_);
  // Moments of inputs that are not Gaussian say nothing: every other start does without.
  static constexpr std::array<std::string_view, 8> kGaussian{
      "joint", "search", "match", "random", "search", "full", "random", "search"};
  static constexpr std::array<std::string_view, 6> kOthers{"full",   "match", "full",
                                                           "search", "full",  "random"};
  double least = std::numeric_limits<double>::infinity();
  const bool grown = has_best_ && best_.network.neurons() < k;
  for (int s = grown ? -1 : 0; s < starts; ++s) {
    std::string kind = "one more";
    if (s >= 0) {
      const auto turn = static_cast<std::size_t>(s);
      kind = run_.gaussian() ? kGaussian[turn % kGaussian.size()] : kOthers[turn % kOthers.size()];
    }
    run_.end_where_asked();
    Hyperplanes start;
    if (kind == "full") {
      start = Hyperplanes(inputs_, 1);
      const HostMatrix anywhere = random_directions(k, inputs_);
      for (Index i = 0; i < k; ++i) {
        start.add(std::vector<double>(anywhere.row(i), anywhere.row(i) + inputs_), 0);
      }
    } else {
      std::optional<HostMatrix> directions = proposal(kind, coordinates, k);
      if (!directions) directions = random_directions(k, coordinates.z.cols());
      const HyperplaneFit fit = fit_few(coordinates, kFewRows, coordinates.z.cols(), *directions);
      if (fit.rms > kMuchWorse * least) continue;
      least = std::min(least, fit.rms);
      start = lifted(fit.network.planes, coordinates.basis);
    }
    take(fitted(start, plan_.fit_steps, kind == "full" ? kRandomTurn : kFoundTurn), k);
    if (best_.error < accuracy_) return;
    const Index same = std::count_if(errors_.begin(), errors_.end(),
                                     [this](double error) { return error < kSame * best_.error; });
    if (same >= kAgree) {
      agreed_ = true;
      return;
    }
  }
}

void NarrowSearch::search(Index k, int starts, int rounds, const std::function<bool()>& settled) {
  errors_.clear();
  agreed_ = false;
  first_round(k, starts);
  for (int round = 0; round < rounds && best_.error >= accuracy_; ++round) {
    if (agreed_ && (round > 0 || settled())) break;
    if (!next_round(k)) break;
  }
}

}  // namespace crease
