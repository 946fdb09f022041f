// The pieces of a line: where to measure them, how well that can be done, and which are worth it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "src/small_dense.hpp"
#include "src/stages/gradients.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kBitPrice = 0.033;     // of a gradient, for every bit of accuracy lost
constexpr double kSpareQuality = 8;     // times the median: pieces this poor take the full step ...
constexpr double kShortestStep = 0.25;  // ... and good ones down to this share of it
constexpr double kComfortable =
    0x1p-32;                           // quality from which on a lost bit shows in the result ...
constexpr double kPoorBitPrice = 0.2;  // ... and costs this much more
constexpr double kLostKinkPrice = 3;   // of a gradient, for every kink that is left to a later line

double norm_in(const std::vector<double>& vector, const std::vector<double>& scale) {
  double sum = 0;
  for (std::size_t o = 0; o < vector.size(); ++o)
    sum += vector[o] * vector[o] / (scale[o] * scale[o]);
  return std::sqrt(sum);
}

double cosine_in(const std::vector<double>& a, const std::vector<double>& b,
                 const std::vector<double>& scale) {
  double sum = 0;
  for (std::size_t o = 0; o < a.size(); ++o) sum += a[o] * b[o] / (scale[o] * scale[o]);
  return sum / (norm_in(a, scale) * norm_in(b, scale));
}

void place(MeasuredPieces& pieces, const SearchedLine& line, double c) {
  const std::size_t n = pieces.size();
  for (std::size_t m = 0; m < n; ++m) {
    const bool first = m == 0;
    const bool last = m + 1 == n;
    const auto after = [&](const Kink& kink) { return kink.exact ? kink.t : kink.high; };
    const auto before = [&](const Kink& kink) { return kink.exact ? kink.t : kink.low; };
    double t = 0;
    double half = 0;
    if (first && last && line.result.low < 0 && line.result.high > 0) {
      half = std::min({4 * c, -line.result.low, line.result.high});
    } else if (first && last) {  // answers say nothing around the middle of the line
      t = 0.5 * (line.result.low + line.result.high);
      half = std::min(4 * c, 0.5 * (line.result.high - line.result.low));
    } else if (first) {
      const double high = before(pieces.kinks[m]);
      half = std::min(std::max(std::abs(high), c), 0.5 * (high - pieces.pieces[m].low));
      t = high - std::max(half, 1e-300);
    } else if (last) {
      const double low = after(pieces.kinks[m - 1]);
      half = std::min(std::max(std::abs(low), c), 0.5 * (pieces.pieces[m].high - low));
      t = low + std::max(half, 1e-300);
    } else {
      const double low = after(pieces.kinks[m - 1]);
      const double high = before(pieces.kinks[m]);
      t = 0.5 * (low + high);
      half = 0.5 * (high - low);
    }
    pieces.t.push_back(t);
    pieces.half_width.push_back(std::max(half, 1e-300));
  }
}

/// rounding [p] is that of evaluating F' over rho; it is in every answer of a residual.
void rate(MeasuredPieces& pieces, const SearchedLine& line, const NoiseModel& noise,
          const QueryPlan& plan, double c, const std::vector<double>& rounding) {
  const std::size_t p = pieces.scale.size();
  pieces.values = HostMatrix(static_cast<Index>(pieces.size()), static_cast<Index>(p));
  for (std::size_t m = 0; m < pieces.size(); ++m) {
    const double t = pieces.t[m];
    // The factor c / rho matters: far kinks belong to neurons nearly orthogonal to the line, whose
    // planes a step across the line reaches sooner.
    const double step = plan.step_share * pieces.half_width[m] * c / std::hypot(c, t);
    double worst = 0;
    for (std::size_t o = 0; o < p; ++o) {
      const double value = pieces.pieces[m].fit.at(t, o);
      pieces.values(static_cast<Index>(m), static_cast<Index>(o)) = value;
      double sigma = std::hypot(noise.sigma(line.rho(t), static_cast<Index>(o)),
                                rounding[o] * line.rho(t), kRounding * value);
      if (!pieces.pieces[m].sigma.empty()) sigma = std::hypot(sigma, pieces.pieces[m].sigma[o]);
      worst = std::max(worst, sigma / pieces.scale[o]);
    }
    pieces.step.push_back(step);
    pieces.noise.push_back(worst);
    pieces.quality.push_back(worst / step * std::max(1.0, std::abs(t) / c));
  }
}

std::vector<double> rounding_of(const Hypothesis* known, const MeasuredPieces& pieces) {
  return known != nullptr ? known->rounding_error() : std::vector<double>(pieces.scale.size(), 0.0);
}

/// Two kinks with parallel jumps of the same sign, closer than a gradient between them could
/// resolve.
bool is_unresolvable(const MeasuredPieces& pieces, std::size_t m, double typical, double c,
                     const QueryPlan& plan) {
  if (m == 0 || m + 1 == pieces.size()) return false;
  const double smallest =
      std::sqrt(2 / plan.step_share * pieces.noise[m] * c / std::max(typical, 1e-300));
  return 2 * pieces.half_width[m] < smallest &&
         cosine_in(pieces.kinks[m - 1].jump, pieces.kinks[m].jump, pieces.scale) > 0.999;
}

/// Joins pieces of a residual across kinks that the errors of the known hyperplanes can feign. The
/// wider piece's line stands for both.
void drop_feigned(MeasuredPieces& pieces, const std::vector<double>& known_error,
                  const QueryPlan& plan) {
  std::vector<Piece> kept = {pieces.pieces.front()};
  std::vector<Kink> kinks;
  for (std::size_t j = 0; j < pieces.kinks.size(); ++j) {
    const Kink& kink = pieces.kinks[j];
    const Piece& after = pieces.pieces[j + 1];
    bool feigned = true;
    for (std::size_t o = 0; o < kink.jump.size(); ++o) {
      feigned = feigned && std::abs(kink.jump[o]) <= plan.sigmas * known_error[o];
    }
    if (!feigned) {
      kinks.push_back(kink);
      kept.push_back(after);
      continue;
    }
    Piece& before = kept.back();
    if (after.high - after.low > before.high - before.low) {
      before.fit = after.fit;
      before.sigma = after.sigma;
    }
    before.high = after.high;
  }
  for (std::size_t j = 0; j < kinks.size(); ++j) {
    for (std::size_t o = 0; o < kinks[j].jump.size(); ++o) {
      kinks[j].jump[o] = kept[j + 1].fit.slope[o] - kept[j].fit.slope[o];
    }
  }
  pieces.pieces = std::move(kept);
  pieces.kinks = std::move(kinks);
}

/// Joins kinks around unresolvable pieces where one kink at the crossing of the outer lines
/// explains them.
void merge_unresolvable(MeasuredPieces& pieces, double c, double typical, const QueryPlan& plan) {
  std::vector<Piece> kept = {pieces.pieces.front()};
  std::vector<Kink> kinks;
  for (std::size_t m = 0; m + 1 < pieces.size();) {
    std::size_t next = m + 1;
    while (is_unresolvable(pieces, next, typical, c, plan)) ++next;
    const Kink& first = pieces.kinks[m];
    const Kink& last = pieces.kinks[next - 1];
    const double width = last.t - first.t;
    const double t =
        next == m + 1 ? first.t
                      : intersection(pieces.pieces[m].fit, pieces.pieces[next].fit, pieces.scale);
    if (next > m + 1 && t >= first.t - width && t <= last.t + width) {
      Kink joined = first;
      joined.t = t;
      joined.exact = false;
      joined.high = last.high;
      for (std::size_t o = 0; o < pieces.scale.size(); ++o) {
        joined.jump[o] = pieces.pieces[next].fit.slope[o] - pieces.pieces[m].fit.slope[o];
      }
      kinks.push_back(joined);
      kept.push_back(pieces.pieces[next]);
      m = next;
    } else {
      kinks.push_back(first);
      kept.push_back(pieces.pieces[m + 1]);
      ++m;
    }
  }
  pieces.pieces = std::move(kept);
  pieces.kinks = std::move(kinks);
}

/// A direction crosses the plane of a neighbouring kink with a chance that falls with the square of
/// the step: pieces that are measured better than the worst ones anyway take shorter steps.
void spare_steps(MeasuredPieces& pieces) {
  const double typical = median(pieces.quality);
  for (std::size_t m = 0; m < pieces.size(); ++m) {
    if (!(typical > 0)) continue;
    const double share =
        std::clamp(pieces.quality[m] / (kSpareQuality * typical), kShortestStep, 1.0);
    pieces.step[m] *= share;
  }
}

}  // namespace

std::vector<double> SearchedLine::point(double t) const {
  std::vector<double> x = origin;
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += t * direction[i];
  return x;
}

double SearchedLine::rho(double t) const {
  return std::sqrt(
      std::max(1.0, 1.0 + dot(origin, origin) + t * (2.0 * dot(origin, direction) + t)));
}

double typical_jump(const MeasuredPieces& pieces, Index d, const Hypothesis* known) {
  std::vector<double> jumps;
  if (known != nullptr && known->neurons() > 0) {
    for (Index j = 0; j < known->neurons(); ++j) {
      const double* scale = known->scales.row(j);
      jumps.push_back(norm_in({scale, scale + known->outputs}, pieces.scale));
    }
    return median(std::move(jumps));
  }
  if (pieces.kinks.empty()) return 1;
  for (const Kink& kink : pieces.kinks) jumps.push_back(norm_in(kink.jump, pieces.scale));
  return median(std::move(jumps)) * std::sqrt(static_cast<double>(d));
}

MeasuredPieces prepare_pieces(const SearchedLine& line, const NoiseModel& noise,
                              const QueryPlan& plan, const Hypothesis* known) {
  const auto d = static_cast<Index>(line.origin.size());
  const double c = std::sqrt(static_cast<double>(d));
  MeasuredPieces pieces;
  pieces.pieces = line.result.pieces;
  pieces.kinks = line.result.kinks;
  pieces.scale = line.result.scale;
  if (known != nullptr) drop_feigned(pieces, known->gradient_error(), plan);
  place(pieces, line, c);
  rate(pieces, line, noise, plan, c, rounding_of(known, pieces));
  const double typical = std::max(typical_jump(pieces, d, known), 1e-120);
  merge_unresolvable(pieces, c, typical, plan);
  assess_pieces(pieces, line, noise, plan, known);
  return pieces;
}

void assess_pieces(MeasuredPieces& pieces, const SearchedLine& line, const NoiseModel& noise,
                   const QueryPlan& plan, const Hypothesis* known) {
  const auto d = static_cast<Index>(line.origin.size());
  const double c = std::sqrt(static_cast<double>(d));
  pieces.t.clear();
  pieces.half_width.clear();
  pieces.step.clear();
  pieces.quality.clear();
  pieces.noise.clear();
  place(pieces, line, c);
  rate(pieces, line, noise, plan, c, rounding_of(known, pieces));
  const double typical = std::max(typical_jump(pieces, d, known), 1e-120);
  for (double& quality : pieces.quality) quality *= c / typical;
  spare_steps(pieces);
  const auto n = static_cast<Index>(pieces.size());
  const auto p = static_cast<Index>(pieces.scale.size());
  pieces.measured.assign(pieces.size(), false);
  pieces.gradients = HostMatrix(n * p, d);
  pieces.gradient_noise = HostMatrix(n, p);
}

double jump_conditioning(const MeasuredPieces& pieces, std::size_t first, std::size_t last) {
  if (last - first == 1) return 1;
  if (last - first > pieces.scale.size()) return 0;
  HostMatrix unit_jumps(static_cast<Index>(last - first), static_cast<Index>(pieces.scale.size()));
  for (std::size_t j = first; j < last; ++j) {
    const std::vector<double>& jump = pieces.kinks[j].jump;
    const double norm = norm_in(jump, pieces.scale);
    if (!(norm > 0)) return 0;
    for (std::size_t o = 0; o < jump.size(); ++o) {
      unit_jumps(static_cast<Index>(j - first), static_cast<Index>(o)) =
          jump[o] / pieces.scale[o] / norm;
    }
  }
  return singular_values(std::move(unit_jumps)).back();
}

std::vector<std::size_t> plan_chain(const MeasuredPieces& pieces, const std::vector<bool>& excluded,
                                    const QueryPlan& plan) {
  const std::size_t n = pieces.size();
  const std::size_t p = pieces.scale.size();
  const double best = *std::min_element(pieces.quality.begin(), pieces.quality.end());
  std::vector<double> kinks_before(n, 0.0);  // seams are none
  for (std::size_t m = 1; m < n; ++m) {
    kinks_before[m] = kinks_before[m - 1] + (pieces.is_seam(m - 1) ? 0 : 1);
  }
  std::vector<double> cost(n, kInfinity);
  std::vector<std::size_t> before(n, n);  // n: the chain starts here
  // The cheapest way to reach piece b while giving up every kink since piece a is cost[a] + price
  // times the kinks between.
  double cheapest = 0;  // of cost[a] - price a, the virtual start before piece 0 included
  std::size_t cheapest_at = n;
  for (std::size_t b = 0; b < n; ++b) {
    if (excluded[b] && !pieces.measured[b]) continue;
    const double quality = best > 0 ? std::max(1.0, pieces.quality[b] / best) : 1.0;
    const double poor = std::max(1.0, pieces.quality[b] / kComfortable);
    const double price = (pieces.measured[b] ? 0.0 : 1.0) + kBitPrice * std::log2(quality) +
                         kPoorBitPrice * std::log2(poor);
    const double own = pieces.is_local(b) ? 0.5 * price : price;  // its kink has two of them
    cost[b] = cheapest + kLostKinkPrice * kinks_before[b] + own;
    before[b] = cheapest_at;
    if (b > 0 && pieces.is_seam(b - 1) && cost[b - 1] + own < cost[b]) {
      cost[b] = cost[b - 1] + own;
      before[b] = b - 1;
    }
    std::size_t first = b - std::min(b, p);
    for (std::size_t a = first; a < b; ++a) {
      if (pieces.is_seam(a)) first = a + 1;
    }
    for (std::size_t a = first; a < b; ++a) {
      if (cost[a] == kInfinity) continue;
      const double conditioning = jump_conditioning(pieces, a, b);
      if (b - a > 1 && conditioning < plan.group_conditioning) continue;
      const double candidate = cost[a] + own - kBitPrice * std::log2(conditioning);
      if (candidate < cost[b]) {
        cost[b] = candidate;
        before[b] = a;
      }
    }
    const double since = cost[b] - kLostKinkPrice * kinks_before[b];
    if (since < cheapest) {
      cheapest = since;
      cheapest_at = b;
    }
  }
  // The end: kinks after the last measured piece are given up as well.
  std::vector<std::size_t> chain;
  for (std::size_t m = cheapest_at; m < n; m = before[m]) chain.push_back(m);
  std::reverse(chain.begin(), chain.end());
  return chain;
}

}  // namespace crease
