// Crude neurons from lines: the line, a fan in every piece, and the jumps between the pieces.
#include "src/stages/crude_neurons.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

// The line search: tests at 5 sigmas and 256 cells resolve more kinks than the 10 and 64 of exact
// answers; out to 100 scales.
constexpr double kSigmas = 5;
constexpr Index kCells = 256;
constexpr double kReach = 100;
constexpr Index kMostPoints = 8 * kCells + 4000;  // and kMorePoints for every input: a function
constexpr Index kMorePoints = 8;                  // that is nowhere straight ends here
// Finite-difference steps, share of the half width of a piece: the shorter, the fewer hyperplanes
// they cross; the longer, the less noise they see. Up to kLongStep for an error of kSmallError of
// the typical jump, up to the whole half width for kGoodJump.
constexpr double kStep = 1.0 / 16;
constexpr double kLongStep = 0.25;
constexpr double kSmallError = 0.01;
constexpr double kGoodJump = 0.3;
constexpr double kWorstJump = 0.7;  // relative error of a jump that is still of use
// How far the slope of a gradient along the line may be off from that of the line, by attempt: a
// share of the typical jump, where the noise does not allow more.
constexpr std::array<double, 3> kSlopeShares = {0.01, 0.05, 0.3};
constexpr double kRetryShrink = 4;
constexpr double kCheckSigmas = 6;
constexpr double kPieceNoise = 1.5;
constexpr double kWorstCandidate = 0.9;
constexpr double kComposite = 1;  // error of the normal of two kinks together
constexpr std::size_t kNoisePieces = 6;
constexpr std::size_t kLeastPieces = 3;  // fewer may all hide kinks
// Cells at a hit are pi / kCells of this scale: ten to the stretch in a slab of width 1.
constexpr double kSlabCells = 10;
constexpr Index kNoisePoints = 12;
constexpr double kMedianToSigma = 1.0 / 0.6745;  // of |normal|
constexpr double kMostScale = 1000;
constexpr double kLeastScale = 3;  // less is not worth leaving the origin for

/// One line, searched, and the gradients of its pieces in units of the outputs' noise.
class NoisyLine {
 public:
  NoisyLine(Asker& asker, Random& random, const NoiseModel& noise, const QueryPlan& plan,
            double scale)
      : asker_(asker),
        device_(asker.device()),
        random_(random),
        noise_(noise),
        plan_(plan),
        d_(asker.inputs()),
        p_(asker.outputs()),
        scale_(scale),
        c_(scale * std::sqrt(static_cast<double>(d_))) {}

  void search();
  void search_through(const std::vector<double>& point, double width);
  std::vector<double> piece_noise();
  void measure();
  void take_slopes();
  CrudeLine candidates() const;

 private:
  const std::vector<Piece>& pieces() const { return line_.result.pieces; }
  const std::vector<Kink>& kinks() const { return line_.result.kinks; }
  void search_from(double cell_scale);
  void keep_answers(const std::vector<double>& t, const HostMatrix& values);
  void place_pieces();
  std::vector<std::size_t> ask(const std::vector<std::size_t>& todo, std::size_t attempt);
  bool usable(std::size_t m) const {
    return noise_at_[m] * root() <= kWorstJump * typical_jump_ * step_[m];
  }
  double root() const { return std::sqrt(2 * static_cast<double>(d_)); }
  void add_candidate(std::size_t a, std::size_t b, double t, bool composite,
                     CrudeNeurons& found) const;
  double kink_error(const Kink& kink, const LineFit& a, const LineFit& b) const;

  Asker& asker_;
  Device& device_;
  Random& random_;
  const NoiseModel& noise_;
  const QueryPlan& plan_;
  Index d_;
  Index p_;
  double scale_;
  double c_;
  SearchedLine line_;
  std::vector<double> unit_;          // [p] noise of an answer at the line's scale
  std::vector<double> t_;             // [m] where a piece is measured
  std::vector<double> half_width_;    // [m]
  std::vector<double> noise_at_;      // [m] largest over the outputs, in units
  std::vector<double> step_;          // [m]
  std::vector<bool> measured_;        // [m]
  std::vector<HostMatrix> gradient_;  // [m] of [p, d], in units
  double typical_slope_jump_ = 0;     // in units
  double typical_jump_ = 0;           // of the gradient: sqrt(d) times that
  DeviceMatrix basis_;
  HostMatrix points_{0, 0};   // asked, in one input
  HostMatrix answers_{0, 0};  // there
};

void NoisyLine::search() {
  asker_.enter("lines");
  line_.origin = random_.normals(d_);
  for (double& x : line_.origin) x *= scale_;
  search_from(c_);
}

void NoisyLine::search_through(const std::vector<double>& point, double width) {
  asker_.enter("lines");
  line_.origin = point;
  search_from(c_ * std::min(1.0, kSlabCells * width));
}

void NoisyLine::search_from(double cell_scale) {
  line_.direction = unit_vector(random_.normals(d_));
  const double rho = scale_ * std::sqrt(1 + static_cast<double>(d_));
  for (Index o = 0; o < p_; ++o) unit_.push_back(std::max(noise_.sigma(rho, o), 1e-120));

  QueryPlan plan = plan_;
  plan.sigmas = kSigmas;
  plan.reach = kReach;
  plan.angle_resolution /= scale_;  // parallel hyperplanes are as far apart there as anywhere
  plan.line_points = kMostPoints + kMorePoints * d_;
  const DeviceMatrix origin = upload(device_, row_view(line_.origin));
  const DeviceMatrix direction = upload(device_, row_view(line_.direction));
  const AskLine ask = [&](const std::vector<double>& t) {
    const std::array<Index, 2> all = {0, static_cast<Index>(t.size())};
    const HostMatrix values = asker_.residuals({origin, direction, all}, t, nullptr);
    LineAnswers result;
    result.values.assign(values.data(), values.data() + values.size());
    if (d_ == 1) keep_answers(t, values);
    for (const double at : t) {
      const double distance = line_.rho(at);
      for (Index o = 0; o < p_; ++o) result.sigmas.push_back(noise_.sigma(distance, o));
    }
    asker_.report();
    return result;
  };
  LineSearchInput input;
  input.scale = cell_scale;
  input.cells = kCells;
  line_.result = search_line(ask, p_, input, plan, random_);
  place_pieces();
  asker_.set_progress(static_cast<Index>(kinks().size()), 0, std::nullopt);
}

void NoisyLine::keep_answers(const std::vector<double>& t, const HostMatrix& values) {
  for (std::size_t i = 0; i < t.size(); ++i) {
    const std::vector<double> x = line_.point(t[i]);
    if (std::abs(x[0]) > kLineReach) continue;
    points_.append_row(x.data(), 1);
    answers_.append_row(values.row(static_cast<Index>(i)), p_);
  }
}

void NoisyLine::place_pieces() {
  const std::size_t n = pieces().size();
  if (kinks().empty()) return;
  std::vector<double> jumps;
  for (const Kink& kink : kinks()) {
    double square = 0;
    for (std::size_t o = 0; o < unit_.size(); ++o) {
      square += kink.jump[o] * kink.jump[o] / (unit_[o] * unit_[o]);
    }
    jumps.push_back(std::sqrt(square));
  }
  typical_slope_jump_ = median(jumps);
  typical_jump_ = typical_slope_jump_ * std::sqrt(static_cast<double>(d_));
  for (std::size_t m = 0; m < n; ++m) {
    if (m == 0 || m + 1 == n) {
      const double kink = m == 0 ? kinks().front().t : kinks().back().t;
      half_width_.push_back(std::max(std::abs(kink), c_));
      t_.push_back(kink + (m == 0 ? -1 : 1) * half_width_.back());
    } else {
      const double low = kinks()[m - 1].t;
      const double high = kinks()[m].t;
      t_.push_back(0.5 * (low + high));
      half_width_.push_back(std::max(0.5 * (high - low), 1e-300));
    }
    noise_at_.push_back(0);
    for (Index o = 0; o < p_; ++o) {
      noise_at_[m] = std::max(
          noise_at_[m], noise_.sigma(line_.rho(t_[m]), o) / unit_[static_cast<std::size_t>(o)]);
    }
    const double most = half_width_[m] * c_ / std::hypot(c_, t_[m]);
    const double noise = noise_at_[m] * root() / typical_jump_;
    const double quiet = std::clamp(noise / kSmallError, kStep * most, kLongStep * most);
    step_.push_back(std::min(std::max(quiet, noise / kGoodJump), most));
  }
  measured_.assign(n, false);
  gradient_.resize(n);
}

/// Points inside a piece lie on a straight line: by how much each is off the chord of its two
/// neighbours is noise, whatever the format of the answers. A kink that the line search did not see
/// bends two chords of a piece, not the median of all.
std::vector<double> NoisyLine::piece_noise() {
  std::vector<std::array<double, 2>> widest;
  for (const Piece& piece : pieces()) {
    const double low = std::max(piece.low, -c_);
    const double high = std::min(piece.high, c_);
    if (high > low) widest.push_back({low, high});
  }
  std::sort(widest.begin(), widest.end(),
            [](const auto& a, const auto& b) { return a[1] - a[0] > b[1] - b[0]; });
  if (widest.size() > kNoisePieces) widest.resize(kNoisePieces);
  if (widest.size() < kLeastPieces) return {};
  std::vector<double> t;
  for (const auto& [low, high] : widest) {
    for (Index i = 0; i < kNoisePoints; ++i) {
      const double share = (static_cast<double>(i) + random_.uniform(0, 1)) / kNoisePoints;
      t.push_back(low + (high - low) * (0.25 + 0.5 * share));
    }
  }
  const DeviceMatrix origin = upload(device_, row_view(line_.origin));
  const DeviceMatrix direction = upload(device_, row_view(line_.direction));
  DeviceMatrix x(device_, static_cast<Index>(t.size()), d_);
  line_points(device_, {origin, direction}, upload(device_, column_view(t)), x);
  const HostMatrix y = download(device_, asker_.points(x));
  std::vector<double> ratio;
  for (Index o = 0; o < p_; ++o) {
    std::vector<double> deviations;
    for (std::size_t w = 0; w < widest.size(); ++w) {
      const auto first = static_cast<Index>(w) * kNoisePoints;
      for (Index i = first + 1; i + 1 < first + kNoisePoints; ++i) {
        const auto ii = static_cast<std::size_t>(i);
        const double right = (t[ii] - t[ii - 1]) / (t[ii + 1] - t[ii - 1]);
        const double bend = y(i, o) - (1 - right) * y(i - 1, o) - right * y(i + 1, o);
        const double sigma = std::hypot(noise_.sigma(line_.rho(t[ii]), o),
                                        (1 - right) * noise_.sigma(line_.rho(t[ii - 1]), o),
                                        right * noise_.sigma(line_.rho(t[ii + 1]), o));
        deviations.push_back(std::abs(bend) / std::max(sigma, 1e-300));
      }
    }
    ratio.push_back(median(deviations) * kMedianToSigma);
  }
  return ratio;
}

/// Fans of d directions around the pieces in `todo`; returns those whose gradient along the line is
/// not the slope of the line.
std::vector<std::size_t> NoisyLine::ask(const std::vector<std::size_t>& todo, std::size_t attempt) {
  std::vector<std::size_t> failed;
  const auto chunk = static_cast<std::size_t>(asker_.rows_at_once(d_ * (3 * p_ + 1)));
  for (std::size_t first = 0; first < todo.size(); first += chunk) {
    const std::size_t count = std::min(chunk, todo.size() - first);
    const auto rows = static_cast<Index>(count);
    HostMatrix centers(0, d_);
    HostMatrix values(0, p_);
    HostMatrix steps(rows, d_);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t m = todo[first + i];
      centers.append_row(line_.point(t_[m]).data(), d_);
      std::vector<double> value;
      for (std::size_t o = 0; o < unit_.size(); ++o) value.push_back(pieces()[m].fit.at(t_[m], o));
      values.append_row(value.data(), p_);
      std::fill_n(steps.row(static_cast<Index>(i)), d_, step_[m]);
    }
    const DeviceMatrix center = upload(device_, centers);
    const DeviceMatrix step = upload(device_, steps);
    const DeviceMatrix answers =
        asker_.fan({center, basis_, step}, first == 0 ? Round::next : Round::same);
    DeviceMatrix differences(device_, rows * p_, d_);
    divided_differences(device_, answers, upload(device_, values), step, differences);
    DeviceMatrix gradients(device_, rows * p_, d_);
    multiply(device_, differences, Transpose::no, basis_, Transpose::no, 1.0, 0.0, gradients);
    const HostMatrix all = download(device_, gradients);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t m = todo[first + i];
      HostMatrix gradient(p_, d_);
      bool good = true;
      for (Index o = 0; o < p_; ++o) {
        const auto oo = static_cast<std::size_t>(o);
        for (Index j = 0; j < d_; ++j) {
          gradient(o, j) = all(static_cast<Index>(i) * p_ + o, j) / unit_[oo];
        }
        const LineFit& fit = pieces()[m].fit;
        const double off =
            dot(gradient.row(o), line_.direction.data(), d_) - fit.slope[oo] / unit_[oo];
        const double allowed = std::max(
            kCheckSigmas * (kPieceNoise * noise_at_[m] / step_[m] + fit.slope_sd[oo] / unit_[oo]),
            kSlopeShares[attempt] * typical_slope_jump_);
        good = good && std::abs(off) <= allowed;
      }
      if (good) {
        measured_[m] = true;
        gradient_[m] = std::move(gradient);
      } else {
        failed.push_back(m);
      }
    }
  }
  asker_.report();
  return failed;
}

/// In one input a line is all there is: its slopes are the gradients.
void NoisyLine::take_slopes() {
  for (std::size_t m = 0; m < pieces().size(); ++m) {
    HostMatrix gradient(p_, 1);
    double error = 0;  // as if of a difference over step_
    for (Index o = 0; o < p_; ++o) {
      const auto oo = static_cast<std::size_t>(o);
      gradient(o, 0) = pieces()[m].fit.slope[oo] * line_.direction[0] / unit_[oo];
      error = std::max(error, pieces()[m].fit.slope_sd[oo] / unit_[oo]);
    }
    gradient_[m] = std::move(gradient);
    step_[m] = noise_at_[m] / std::max(error, 1e-300);
    measured_[m] = true;
  }
}

void NoisyLine::measure() {
  if (kinks().empty() || !(typical_jump_ > 0)) return;
  if (d_ == 1) {
    take_slopes();
    return;
  }
  asker_.enter("gradients");
  basis_ = random_.gaussian_points(device_, Stream::directions, d_, d_);
  orthonormal_rows(device_, basis_);
  std::vector<std::size_t> todo;
  for (std::size_t m = 0; m < pieces().size(); ++m) {
    if (usable(m)) todo.push_back(m);
  }
  for (std::size_t attempt = 0; attempt < kSlopeShares.size() && !todo.empty(); ++attempt) {
    todo = ask(todo, attempt);
    for (const std::size_t m : todo) step_[m] /= kRetryShrink;
    std::erase_if(todo, [&](std::size_t m) { return !usable(m); });
  }
}

/// Times its jump in units: how far off a kink is, between two straight lines or in a cluster.
double NoisyLine::kink_error(const Kink& kink, const LineFit& a, const LineFit& b) const {
  double square = 0;
  double jump = 0;
  for (std::size_t o = 0; o < unit_.size(); ++o) {
    const double error = std::hypot(a.sd_at(kink.t, o), b.sd_at(kink.t, o)) / unit_[o];
    square += error * error;
    jump = std::hypot(jump, kink.jump[o] / unit_[o]);
  }
  return std::sqrt(square) + (kink.exact ? 0.0 : 0.5 * (kink.high - kink.low) * jump);
}

void NoisyLine::add_candidate(std::size_t a, std::size_t b, double t, bool composite,
                              CrudeNeurons& found) const {
  HostMatrix jump(p_, d_);
  for (Index i = 0; i < jump.size(); ++i) {
    jump.data()[i] = gradient_[b].data()[i] - gradient_[a].data()[i];
  }
  const Svd parts = svd(jump);
  const double size = parts.values[0];
  const double noise = std::hypot(noise_at_[a] / step_[a], noise_at_[b] / step_[b]);
  const double error = noise * std::sqrt(static_cast<double>(d_)) / std::max(size, 1e-300);
  if (!(error <= kWorstCandidate)) return;
  std::vector<double> plane(parts.right.row(0), parts.right.row(0) + d_);
  plane = unit_vector(std::move(plane));
  const double along = dot(plane, line_.direction);
  const std::vector<double> crossing = line_.point(t);
  double normal_error = composite ? kComposite : error;
  double offset_error =
      normal_error * std::sqrt(dot(crossing, crossing)) / std::sqrt(static_cast<double>(d_));
  if (d_ == 1) {  // there is one normal, and the kink is the hyperplane
    normal_error = 0;
    offset_error = kink_error(kinks()[a], pieces()[a].fit, pieces()[b].fit) / size;
  }
  std::vector<double> scale;
  for (Index o = 0; o < p_; ++o) {
    const double change = dot(jump.row(o), plane.data(), d_) * unit_[static_cast<std::size_t>(o)];
    scale.push_back(0.5 * (along < 0 ? -change : change));
  }
  plane.push_back(-dot(plane.data(), crossing.data(), d_));
  found.add(plane, scale, normal_error, offset_error);
}

CrudeLine NoisyLine::candidates() const {
  CrudeLine line;
  line.points = points_;
  line.answers = answers_;
  line.kinks = static_cast<Index>(kinks().size());
  std::vector<std::size_t> known;
  for (std::size_t m = 0; m < measured_.size(); ++m) {
    if (measured_[m]) known.push_back(m);
  }
  for (std::size_t i = 0; i + 1 < known.size(); ++i) {
    const std::size_t a = known[i];
    const std::size_t b = known[i + 1];
    if (b - a > 2) continue;
    for (std::size_t j = a; j < b; ++j) {
      if (std::isfinite(kinks()[j].t)) add_candidate(a, b, kinks()[j].t, b - a == 2, line.found);
    }
  }
  for (const double error : line.found.error) line.cleared += error < kClearError ? 1 : 0;
  return line;
}

}  // namespace

double line_scale(const NoiseModel& noise, Index d) {
  if (d == 1) return 1;  // far out all kinks are one
  double scale = kMostScale;
  bool noisy = false;
  const double rho = std::sqrt(1 + static_cast<double>(d));
  for (std::size_t o = 0; o < noise.absolute.size(); ++o) {
    const auto output = static_cast<Index>(o);
    if (is_exact(noise, output)) continue;  // as exact out there
    noisy = true;
    const double growing = noise.relative[o] * rho;
    if (noise.format_of(output) == "float16" || !(noise.absolute[o] > 0)) return 1;
    if (growing > 0) scale = std::min(scale, noise.absolute[o] / (3 * growing));
  }
  return noisy && scale >= kLeastScale ? scale : 1;
}

CrudeLine crude_neurons(Asker& asker, Random& random, const NoiseModel& noise,
                        const QueryPlan& plan, double scale, bool with_noise) {
  NoisyLine line(asker, random, noise, plan, scale);
  line.search();
  std::vector<double> ratio = with_noise ? line.piece_noise() : std::vector<double>{};
  line.measure();
  CrudeLine result = line.candidates();
  result.noise_ratio = std::move(ratio);
  return result;
}

CrudeLine crude_neurons_through(Asker& asker, Random& random, const NoiseModel& noise,
                                const QueryPlan& plan, const std::vector<double>& point,
                                double width) {
  NoisyLine line(asker, random, noise, plan, 1);
  line.search_through(point, width);
  line.measure();
  return line.candidates();
}

}  // namespace crease
