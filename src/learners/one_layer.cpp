// One hidden layer from the span of its Hessians.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/learners/smooth_run.hpp"
#include "src/small_dense.hpp"
#include "src/stages/central_differences.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"
#include "src/stages/profile_fit.hpp"
#include "src/stages/rank_one_search.hpp"
#include "src/stages/smooth_fit.hpp"
#include "src/stages/symmetric_span.hpp"

namespace crease {
namespace {

constexpr double kVanishes = 1e3;         // roundings of a second difference
constexpr double kMedianVanishes = 1e-2;  // of the largest Hessian: a ReLU network's rare kinks
constexpr double kLeastValue = 1e-5;      // of the largest singular value: below it is truncation
constexpr double kGap = 10;               // ratio of neighbours that shows a rank
constexpr double kSaturated = 0.7;        // of all symmetric matrices
constexpr Index kSpare = 4;               // Hessians beyond the rank that are enough to see its end
constexpr Index kMissed = 16;             // of that many neurons on a line one may be missed
constexpr double kNoisySpare = 1.5;       // times the rank, where answers have errors
constexpr double kAbove = 1.3;            // of what noise makes of the singular values
constexpr double kLinear = 1e-6;          // of sd(F): a residual that a linear part must explain
constexpr Index kOffsetPoints = 4;        // per input, of the linear part

double median_norm(const HostMatrix& rows, double& largest) {
  std::vector<double> norms;
  largest = 0;
  for (Index i = 0; i < rows.rows(); ++i) {
    norms.push_back(std::sqrt(dot(rows.row(i), rows.row(i), rows.cols())));
    largest = std::max(largest, norms.back());
  }
  return median(norms);
}

class OneLayer {
 public:
  OneLayer(SmoothRun& run, Index most_hessians, Index least_hessians)
      : run_(run),
        device_(run.device),
        most_hessians_(most_hessians),
        dims_(run.basis.rows()),
        step_(hessian_step(run.sigma, run.size)),
        least_hessians_(least_hessians),
        found_(run.hessians) {
    if (found_.rows.rows() > 0) return;
    found_ = {HostMatrix(0, run.asker.inputs()), HostMatrix(0, symmetric_size(dims_))};
  }

  SmoothAttempt learn() {
    run_.asker.enter("hessians");
    const std::optional<Index> rank = find_rank();
    if (!rank) return {{}, status_};
    RankOnePlan plan;
    plan.accept = run_.sigma > 0 ? 0 : 0.999;
    plan.stop = [this] { return run_.asker.would_end(); };
    if (run_.plan.ascent) plan.method = RankOnePlan::Method::ascent;
    const SymmetricSpan span = symmetric_span(device_, upload(device_, found_.rows), *rank);
    const RankOnes found = rank_one_search(device_, span.basis, *rank, run_.random, plan);
    if (found.directions.rows() == 0) {
      return {{},
              because(reason::kRankSaturated, "no matrix of rank one in the span of the Hessians")};
    }
    return {with_offsets(neurons_of(found.directions)), ""};
  }

 private:
  /// The number of neurons, by as many Hessians as it takes.
  std::optional<Index> find_rank() {
    const Index most = symmetric_size(dims_);
    Index wanted = run_.plan.first_hessians;
    const Index known = std::min(run_.least_neurons, most);
    // The line may have missed a few: one turn of the loop costs more than they.
    if (known > 0) wanted = std::max(wanted, enough_for(known + known / kMissed) + 1);
    if (run_.problem.neurons) wanted = std::min(*run_.problem.neurons, most) + kSpare + 1;
    wanted = std::max({wanted, least_hessians_, found_.rows.rows()});
    while (true) {
      append(wanted - found_.rows.rows());
      double largest = 0;
      const double middle = median_norm(found_.rows, largest);
      if (vanish(middle, largest)) {
        status_ = run_.sigma > 0 ? kHiddenByNoise : kHessianVanishes;
        return std::nullopt;
      }
      if (run_.problem.neurons && *run_.problem.neurons <= std::min(wanted, most)) {
        return run_.problem.neurons;
      }
      const SymmetricSpan span = symmetric_span(device_, upload(device_, found_.rows), 0);
      const Index rank = rank_of(span.values);
      if (most == 1) return 1;  // a 1 x 1 matrix has rank one
      const bool saturated = static_cast<double>(rank) >= kSaturated * static_cast<double>(most);
      if (rank > 0 && !saturated && shows(rank)) return std::max(rank, known);
      if (found_.rows.rows() >= most + kSpare || found_.rows.rows() > most_hessians_) {
        // Truncation fills the span where steps are long and weights are; a line far out has
        // counted.
        if (run_.sigma > 0 && known > 0 && known < most) return known;
        status_ = because(reason::kRankSaturated,
                          std::to_string(found_.rows.rows()) +
                              " Hessians show no end of their span, of at most " +
                              std::to_string(most) + " dimensions: too many neurons for " +
                              std::to_string(dims_) + " inputs, or more than one hidden layer");
        return std::nullopt;
      }
      wanted = std::min<Index>(
          most + kSpare,
          static_cast<Index>(run_.plan.more_hessians * static_cast<double>(found_.rows.rows())) +
              1);
    }
  }

  /// Deviation of a number of a Hessian.
  double error() const { return std::sqrt(5.5) * run_.sigma_or_rounding() / (step_ * step_); }

  /// Norms of Hessians that their errors explain, or rare kinks.
  bool vanish(double middle, double largest) const {
    if (run_.sigma > 0) {
      return largest <= kAbove * error() * std::sqrt(static_cast<double>(found_.rows.cols()));
    }
    const double floor =
        kVanishes * static_cast<double>(dims_) * run_.sigma_or_rounding() / (step_ * step_);
    return middle <= std::min(floor, kMedianVanishes * largest) || largest <= floor / 100;
  }

  /// Hessians that are enough to see the end of a span: where answers have errors its least
  /// singular value must not be that of nearly as many rows.
  Index enough_for(Index rank) const {
    const double times = run_.sigma > 0 ? kNoisySpare : 1;
    return static_cast<Index>(times * static_cast<double>(rank)) + kSpare;
  }
  bool shows(Index rank) const {
    return enough_for(rank) <= found_.rows.rows() ||
           found_.rows.rows() >= symmetric_size(dims_) + kSpare;
  }

  void append(Index count) {
    if (count <= 0) return;
    const Index d = run_.asker.inputs();
    HostMatrix centers(count, d);
    for (Index i = 0; i < count; ++i) {
      const std::vector<double> along = run_.random.normals(dims_);
      for (Index a = 0; a < dims_; ++a) {
        for (Index j = 0; j < d; ++j) {
          centers(i, j) += run_.plan.radius * along[static_cast<std::size_t>(a)] * run_.basis(a, j);
        }
      }
    }
    const HostMatrix rows = download(device_, hessians(run_.asker, centers, run_.basis, step_));
    for (Index i = 0; i < count; ++i) {
      found_.centers.append_row(centers.row(i), d);
      found_.rows.append_row(rows.row(i), rows.cols());
    }
    run_.asker.report();
  }

  /// Where the singular values fall; 0: nowhere.
  Index rank_of(const std::vector<double>& values) const {
    const auto n = static_cast<double>(found_.rows.rows());
    const double numbers = static_cast<double>(found_.rows.cols());
    const double least = kLeastValue * values.front();
    // The largest singular value that noise makes beside k of the span.
    const auto chance = [&](std::size_t k) {
      const auto taken = static_cast<double>(k);
      return kAbove * error() * (std::sqrt(n - taken) + std::sqrt(numbers - taken));
    };
    if (run_.sigma > 0) {
      std::size_t above = 0;
      while (above < values.size() && values[above] > std::max(least, chance(above))) ++above;
      return above < values.size() ? static_cast<Index>(above) : 0;
    }
    const double floor = std::max(least, chance(0));
    Index rank = 0;
    double best = kGap;
    for (std::size_t k = 0; k + 1 < values.size() && values[k] >= floor; ++k) {
      const double ratio = values[k] / std::max(values[k + 1], 1e-3 * floor);
      if (ratio > best) {
        best = ratio;
        rank = static_cast<Index>(k) + 1;
      }
    }
    return rank;
  }

  /// Scales, shifts and outputs from the curvature along each direction [k, D].
  SmoothNetwork neurons_of(const HostMatrix& directions) {
    const Index k = directions.rows();
    const Index d = run_.asker.inputs();
    HostMatrix squares(0, found_.rows.cols());  // svec(a a^T)
    for (Index i = 0; i < k; ++i) {
      squares.append_row(symmetric_square(directions.row(i), dims_).data(), found_.rows.cols());
    }
    // curvatures [N, k] = rows squares^+
    const HostMatrix inverse = pseudo_inverse(squares, 1e-10);  // [n, k]
    const HostMatrix curvatures =
        product(device_, found_.rows, Transpose::no, inverse, Transpose::no);
    const HostMatrix in_inputs =
        product(device_, directions, Transpose::no, run_.basis, Transpose::no);  // [k, d]
    SmoothNetwork network(d, {k}, 1, {run_.problem.first});
    SmoothNetwork::Layer& layer = network.hidden.front();
    for (Index i = 0; i < k; ++i) {
      std::vector<double> t, curvature;
      for (Index n = 0; n < found_.rows.rows(); ++n) {
        t.push_back(dot(found_.centers.row(n), in_inputs.row(i), d));
        curvature.push_back(curvatures(n, i));
      }
      const Profile profile = fit_profile(run_.problem.first, t, curvature);
      for (Index j = 0; j < d; ++j) layer.weights(i, j) = profile.scale * in_inputs(i, j);
      layer.bias(i, 0) = profile.shift;
      network.output(0, i) = profile.factor / (profile.scale * profile.scale);
    }
    return network;
  }

  /// The constant, and the linear part where there is one: what neurons leave of fresh answers.
  SmoothNetwork with_offsets(SmoothNetwork network) {
    run_.asker.enter("least_squares");
    const Index d = run_.asker.inputs();
    const Index n = kOffsetPoints * (d + 1);
    const SmoothRun::Points points = run_.gaussian_points(n);
    const HostMatrix x = download(device_, points.x);
    const HostMatrix y = download(device_, points.y);
    const HostMatrix values = evaluate(device_, network, x);
    HostMatrix rows(n, d + 1), left(n, 1);
    for (Index i = 0; i < n; ++i) {
      left(i, 0) = y(i, 0) - values(i, 0);
      for (Index j = 0; j < d; ++j) rows(i, j) = x(i, j);
      rows(i, d) = 1;
    }
    double mean = 0, square = 0;
    for (Index i = 0; i < n; ++i) mean += left(i, 0) / static_cast<double>(n);
    for (Index i = 0; i < n; ++i) square += std::pow(left(i, 0) - mean, 2);
    network.constant(0, 0) = mean;
    const bool bends_to_a_line =
        run_.problem.first == Activation::softplus || run_.problem.first == Activation::gelu;
    const double deviation = std::sqrt(square / static_cast<double>(n));
    if (!bends_to_a_line && deviation <= std::max(kLinear, 3 * run_.sigma)) {
      return network;
    }
    // Without a linear part worth its while a rough fit of the neurons would be taken for one.
    const HostMatrix solution =
        product(device_, pseudo_inverse(rows, 1e-12), Transpose::no, left, Transpose::no);
    double slope = 0, explained = 0;
    for (Index j = 0; j < d; ++j) slope += solution(j, 0) * solution(j, 0);
    for (Index i = 0; i < n; ++i) {
      const double rest = left(i, 0) - dot(rows.row(i), solution.data(), d + 1);
      explained += rest * rest;
    }
    const bool is_linear = explained < 0.25 * square && slope > 0;
    if (!bends_to_a_line && !is_linear) return network;
    for (Index j = 0; j < d; ++j) network.linear(0, j) = solution(j, 0);
    network.constant(0, 0) = solution(d, 0);
    return network;
  }

  SmoothRun& run_;
  Device& device_;
  Index most_hessians_;
  Index dims_;
  double step_;
  Index least_hessians_;
  HessianRows& found_;
  std::string status_;
};

}  // namespace

SmoothAttempt learn_one_layer(SmoothRun& run, std::optional<Index> most_hessians,
                              Index least_hessians) {
  const Index most = most_hessians.value_or(std::numeric_limits<Index>::max());
  return OneLayer(run, most, least_hessians).learn();
}

}  // namespace crease
