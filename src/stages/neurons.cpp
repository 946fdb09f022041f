// Neurons from the jumps between measured gradients.
#include <algorithm>
#include <cmath>

#include "src/small_dense.hpp"
#include "src/stages/gradients.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kFarWorse = 16;  // times the policy's tolerance

/// Between two neighbouring measured pieces: the jump of the gradient in units of scale, and its
/// noise.
struct Jump {
  std::size_t before;  // pieces
  std::size_t after;
  HostMatrix gradient;        // [p, d]
  std::vector<double> noise;  // [p] one standard deviation of a component
};

/// A neuron proposed by a jump: x -> jump * relu(+-(<normal, x> + bias)), <normal, direction> = 1.
struct Candidate {
  std::vector<double> normal;
  std::vector<double> scale;  // [p], in units of the outputs
  double t = 0;               // of its kink
  double normal_error = 0;    // one standard deviation of |normal's error|
};

class NeuronFinder {
 public:
  NeuronFinder(const MeasuredPieces& pieces, const SearchedLine& line, const NoiseModel& noise,
               const GapPolicy& policy, const QueryPlan& plan,
               const std::vector<double>& known_gradient_error, Hypothesis& hypothesis)
      : pieces_(pieces),
        line_(line),
        noise_(noise),
        policy_(policy),
        plan_(plan),
        hypothesis_(hypothesis),
        p_(pieces.scale.size()),
        d_(line.origin.size()) {
    for (std::size_t o = 0; o < p_; ++o) {
      const double error = known_gradient_error[o] / pieces.scale[o];
      known_error_ += error * error;
    }
    known_error_ = std::sqrt(known_error_);
    typical_ = typical_jump(pieces, static_cast<Index>(d_), &hypothesis);
  }

  Index run();

 private:
  /// Norm of a vector over the outputs, in units of scale.
  double scaled_norm(const std::vector<double>& v) const {
    double square = 0;
    for (std::size_t o = 0; o < p_; ++o)
      square += v[o] * v[o] / (pieces_.scale[o] * pieces_.scale[o]);
    return std::sqrt(square);
  }
  bool across_seam(std::size_t before, std::size_t after) const {
    for (std::size_t j = before; j < after; ++j) {
      if (pieces_.is_seam(j)) return true;
    }
    return false;
  }
  Jump jump_between(std::size_t before, std::size_t after) const;
  bool single(const Jump& jump, const std::vector<double>& slope_jump, double t,
              Candidate& candidate) const;
  std::vector<Candidate> group(const Jump& jump) const;
  bool add(const Jump& jump, const Candidate& candidate);

  const MeasuredPieces& pieces_;
  const SearchedLine& line_;
  const NoiseModel& noise_;
  const GapPolicy& policy_;
  const QueryPlan& plan_;
  Hypothesis& hypothesis_;
  std::size_t p_;
  std::size_t d_;
  double typical_ = 0;
  double known_error_ = 0;  // of a gradient, by the hyperplanes already known, in units of scale
};

Jump NeuronFinder::jump_between(std::size_t before, std::size_t after) const {
  Jump jump{before, after, HostMatrix(static_cast<Index>(p_), static_cast<Index>(d_)), {}};
  for (std::size_t o = 0; o < p_; ++o) {
    const auto row = static_cast<Index>(o);
    const double* a = pieces_.gradient(before, o);
    const double* b = pieces_.gradient(after, o);
    for (std::size_t i = 0; i < d_; ++i) {
      jump.gradient(row, static_cast<Index>(i)) = (b[i] - a[i]) / pieces_.scale[o];
    }
    jump.noise.push_back(std::hypot(pieces_.gradient_noise(static_cast<Index>(before), row),
                                    pieces_.gradient_noise(static_cast<Index>(after), row)) /
                         pieces_.scale[o]);
  }
  return jump;
}

/// One kink: the jump has rank one, slope_jump (x) normal. Its output side is taken from the
/// gradients again, which on a residual know it better than the slopes.
bool NeuronFinder::single(const Jump& jump, const std::vector<double>& slope_jump, double t,
                          Candidate& candidate) const {
  double square = 0;
  double noise_square = 0;
  for (std::size_t o = 0; o < p_; ++o) {
    const double d = slope_jump[o] / pieces_.scale[o];
    square += d * d;
    noise_square += d * d * jump.noise[o] * jump.noise[o];
  }
  if (!(square > 0) || !std::isfinite(t)) return false;
  candidate.normal.assign(d_, 0.0);
  for (std::size_t o = 0; o < p_; ++o) {
    const double d = slope_jump[o] / pieces_.scale[o] / square;
    const double* row = jump.gradient.row(static_cast<Index>(o));
    for (std::size_t i = 0; i < d_; ++i) candidate.normal[i] += d * row[i];
  }
  const double length_square = dot(candidate.normal, candidate.normal);
  if (!(length_square > 0) || !std::isfinite(length_square)) return false;
  for (std::size_t o = 0; o < p_; ++o) {
    const double* row = jump.gradient.row(static_cast<Index>(o));
    candidate.scale.push_back(dot(row, candidate.normal.data(), static_cast<Index>(d_)) /
                              length_square * pieces_.scale[o]);
  }
  candidate.t = t;
  candidate.normal_error = std::sqrt(noise_square) / square * std::sqrt(static_cast<double>(d_));
  // The jump must stand out of what the known hyperplanes' errors could feign.
  const bool alone = pieces_.is_local(jump.before) && pieces_.is_local(jump.after);
  return alone || std::sqrt(square * length_square) > plan_.sigmas * known_error_;
}

/// Up to p kinks: jump = slope_jumps (p x count) * normals (count x d), solved for the normals.
std::vector<Candidate> NeuronFinder::group(const Jump& jump) const {
  const std::size_t count = jump.after - jump.before;
  HostMatrix slope_jumps(static_cast<Index>(p_), static_cast<Index>(count));
  for (std::size_t q = 0; q < count; ++q) {
    for (std::size_t o = 0; o < p_; ++o) {
      slope_jumps(static_cast<Index>(o), static_cast<Index>(q)) =
          pieces_.kinks[jump.before + q].jump[o] / pieces_.scale[o];
    }
  }
  const HostMatrix inverse = pseudo_inverse(slope_jumps, 1e-14);
  std::vector<Candidate> candidates(count);
  std::vector<double> slope_error(count);  // of |jump of the slope| at each kink
  double slope_error_in_jump = 0;          // all of them, times their normals
  for (std::size_t q = 0; q < count; ++q) {
    Candidate& candidate = candidates[q];
    candidate.normal.assign(d_, 0.0);
    for (std::size_t o = 0; o < p_; ++o) {
      const double factor = inverse(static_cast<Index>(q), static_cast<Index>(o));
      const double* row = jump.gradient.row(static_cast<Index>(o));
      for (std::size_t i = 0; i < d_; ++i) candidate.normal[i] += factor * row[i];
    }
    const std::size_t j = jump.before + q;
    double square = 0;
    for (std::size_t o = 0; o < p_; ++o) {
      const double sd =
          std::hypot(pieces_.pieces[j].fit.slope_sd[o], pieces_.pieces[j + 1].fit.slope_sd[o]) /
          pieces_.scale[o];
      square += sd * sd;
    }
    slope_error[q] = std::sqrt(square);
    slope_error_in_jump += slope_error[q] * std::sqrt(dot(candidate.normal, candidate.normal));
    candidate.t = pieces_.kinks[j].t;
    candidate.scale = pieces_.kinks[j].jump;
  }
  // With fewer kinks than outputs the system is overdetermined: what it leaves must be noise.
  double left_square = 0;
  double noise_square = 0;
  for (std::size_t o = 0; o < p_; ++o) {
    noise_square += jump.noise[o] * jump.noise[o];
    for (std::size_t i = 0; i < d_; ++i) {
      double left = jump.gradient(static_cast<Index>(o), static_cast<Index>(i));
      for (std::size_t q = 0; q < count; ++q) {
        left -= slope_jumps(static_cast<Index>(o), static_cast<Index>(q)) * candidates[q].normal[i];
      }
      left_square += left * left;
    }
  }
  const double tolerance =
      plan_.sigmas * (std::sqrt(noise_square * static_cast<double>(d_)) + slope_error_in_jump);
  if (!(std::sqrt(left_square) <= tolerance)) return {};

  std::vector<Candidate> good;
  for (std::size_t q = 0; q < count; ++q) {
    Candidate& candidate = candidates[q];
    const double* row = inverse.row(static_cast<Index>(q));
    double noise = 0;
    for (std::size_t o = 0; o < p_; ++o) noise += row[o] * row[o] * jump.noise[o] * jump.noise[o];
    const double row_norm = std::sqrt(dot(row, row, static_cast<Index>(p_)));
    const double length = std::sqrt(dot(candidate.normal, candidate.normal));
    const double scale_norm = scaled_norm(candidate.scale);
    // What the jump of the slope is off by goes into the scale as well.
    candidate.normal_error =
        std::hypot(std::sqrt(noise * static_cast<double>(d_)) + row_norm * slope_error_in_jump,
                   length * slope_error[q] / scale_norm);
    const double along = dot(candidate.normal, line_.direction);
    double largest = 0;
    for (std::size_t o = 0; o < p_; ++o) {
      largest = std::max(largest, std::abs(candidate.scale[o]) / pieces_.scale[o]);
    }
    const bool consistent =
        std::abs(along - 1) <= std::max(plan_.sigmas * candidate.normal_error, 1e-6);
    if (consistent && largest > plan_.sigmas * slope_error[q] && std::isfinite(candidate.t)) {
      good.push_back(std::move(candidate));
    }
  }
  return good;
}

bool NeuronFinder::add(const Jump& jump, const Candidate& candidate) {
  const double length = std::sqrt(dot(candidate.normal, candidate.normal));
  const double allowed = policy_.last() ? 1.0 : plan_.neuron_accuracy;
  if (!std::isfinite(length) || !(plan_.sigmas * candidate.normal_error < length) ||
      !(candidate.normal_error <= allowed * length)) {
    return false;
  }
  const std::vector<double> crossing = line_.point(candidate.t);
  double sigma = 0;
  for (std::size_t o = 0; o < p_; ++o) {
    sigma = std::max(
        sigma, noise_.sigma(line_.rho(candidate.t), static_cast<Index>(o)) / pieces_.scale[o]);
    for (const std::size_t m : {jump.before, jump.after}) {
      const std::vector<double>& told = pieces_.pieces[m].sigma;
      if (!told.empty()) sigma = std::max(sigma, told[o] / pieces_.scale[o]);
    }
  }
  const double scale_norm = scaled_norm(candidate.scale);
  if (!(scale_norm > 0)) return false;
  double component = candidate.normal_error / std::sqrt(static_cast<double>(d_));
  double offset = sigma / scale_norm;
  // Known hyperplanes between the two pieces put their own errors into the jump.
  for (std::size_t r = 0; r < line_.known.t.size(); ++r) {
    if (line_.known.t[r] <= pieces_.pieces[jump.before].low ||
        line_.known.t[r] >= pieces_.pieces[jump.after].high) {
      continue;
    }
    double step = 0;
    double bend = 0;
    for (std::size_t o = 0; o < p_; ++o) {
      step = std::max(step, line_.known.step[r * p_ + o] / pieces_.scale[o]);
      bend = std::max(bend, line_.known.bend[r * p_ + o] / pieces_.scale[o]);
    }
    offset = std::hypot(offset, step / scale_norm);
    component = std::hypot(component, bend / scale_norm);
  }
  // On a residual line another one may do better: what is far worse than the policy wants is left.
  if (line_.of_residual && !policy_.last() &&
      component * std::sqrt(static_cast<double>(d_)) * scale_norm >
          kFarWorse * policy_.tolerance * typical_) {
    return false;
  }
  const double reach = std::sqrt(static_cast<double>(d_) + dot(crossing, crossing));
  hypothesis_.add(candidate.normal, -dot(candidate.normal, crossing), candidate.scale,
                  std::hypot(component * reach, offset), component);
  return true;
}

Index NeuronFinder::run() {
  Index added = 0;
  std::size_t before = pieces_.size();
  for (std::size_t after = 0; after < pieces_.size(); ++after) {
    if (!pieces_.measured[after]) continue;
    if (before != pieces_.size() && !across_seam(before, after)) {
      const Jump jump = jump_between(before, after);
      Candidate candidate;
      if (after == before + 1) {
        const Kink& kink = pieces_.kinks[before];
        if (single(jump, kink.jump, kink.t, candidate) && add(jump, candidate)) ++added;
      } else if (jump_conditioning(pieces_, before, after) >= plan_.group_conditioning) {
        for (const Candidate& member : group(jump)) added += add(jump, member) ? 1 : 0;
      } else if (policy_.last()) {
        // Nothing better will come: one kink, if the outer lines cross where the unmeasured pieces
        // are.
        const LineFit& a = pieces_.pieces[before].fit;
        const LineFit& b = pieces_.pieces[after].fit;
        std::vector<double> slope_jump;
        for (std::size_t o = 0; o < p_; ++o) slope_jump.push_back(b.slope[o] - a.slope[o]);
        const double t = intersection(a, b, pieces_.scale);
        const double low = pieces_.kinks[before].t;
        const double high = pieces_.kinks[after - 1].t;
        const bool inside = t >= low - (high - low) && t <= high + (high - low);
        if (inside && single(jump, slope_jump, t, candidate) && add(jump, candidate)) ++added;
      }
    }
    before = after;
  }
  return added;
}

}  // namespace

Index add_neurons(const MeasuredPieces& pieces, const SearchedLine& line, const NoiseModel& noise,
                  const GapPolicy& policy, const QueryPlan& plan,
                  const std::vector<double>& known_gradient_error, Hypothesis& hypothesis) {
  return NeuronFinder(pieces, line, noise, policy, plan, known_gradient_error, hypothesis).run();
}

}  // namespace crease
