// Measuring the gradients of a chain of pieces.
#include "src/stages/gradients.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/measurement.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr int kPlans = 6;               // chains tried before unmeasurable pieces are given up
constexpr double kRetryTolerance = 64;  // a retry must still be this close to the tolerance

}  // namespace

Measurement::Measurement(Asker& asker, const SearchedLine& line, const NoiseModel& noise,
                         const Hypothesis& hypothesis, const DeviceNetwork* current,
                         const GapPolicy& policy, const QueryPlan& plan, Random& random,
                         MeasuredPieces& pieces)
    : asker_(asker),
      device_(asker.device()),
      line_(line),
      noise_(noise),
      hypothesis_(hypothesis),
      current_(current),
      policy_(policy),
      plan_(plan),
      pieces_(pieces),
      d_(asker.inputs()),
      p_(asker.outputs()),
      known_gradient_error_(hypothesis.gradient_error()),
      known_step_(static_cast<std::size_t>(p_), 0.0),
      excluded_(pieces.size(), false),
      center_asked_(pieces.size(), false),
      center_answers_(static_cast<Index>(pieces.size()), p_),
      center_silent_(pieces.size(), false) {
  for (Index j = 0; j < hypothesis.neurons(); ++j) {
    for (Index o = 0; o < p_; ++o) {
      double& largest = known_step_[static_cast<std::size_t>(o)];
      largest = std::max(largest, hypothesis.offset_error[static_cast<std::size_t>(j)] *
                                      std::abs(hypothesis.scales(j, o)));
    }
  }
  if (d_ > 1) draw_basis(random);
}

void Measurement::draw_basis(Random& random) {
  basis_ = random.gaussian_points(device_, Stream::directions, d_, d_);
  orthonormal_rows(device_, basis_);
  basis_on_host_ = download(device_, basis_);
  if (asker_.paid() != nullptr) paid_basis_ = std::make_shared<const HostMatrix>(basis_on_host_);
  for (Index j = 0; j < d_; ++j) {
    basis_along_.push_back(dot(basis_on_host_.row(j), line_.direction.data(), d_));
  }
}

void Measurement::exclude_poor_pieces() {
  if (policy_.last() || pieces_.kinks.empty()) return;
  for (std::size_t m = 0; m < pieces_.size(); ++m) {
    excluded_[m] = pieces_.quality[m] > policy_.tolerance;
  }
}

/// On a line through the base point the residual is zero on the whole piece around it: no queries.
void Measurement::take_base_piece() {
  if (!line_.base) return;
  for (std::size_t m = 0; m < pieces_.size(); ++m) {
    const Piece& piece = pieces_.pieces[m];
    if (!(piece.low < *line_.base && *line_.base < piece.high)) continue;
    for (std::size_t o = 0; o < static_cast<std::size_t>(p_); ++o) {
      const double tolerance = piece.fit.slope_sd[o] + known_gradient_error_[o];
      if (std::abs(piece.fit.slope[o]) > plan_.sigmas * tolerance) return;
    }
    pieces_.measured[m] = true;
    for (std::size_t o = 0; o < static_cast<std::size_t>(p_); ++o) {
      pieces_.gradient_noise(static_cast<Index>(m), static_cast<Index>(o)) =
          known_gradient_error_[o];
    }
    return;
  }
}

std::vector<std::size_t> Measurement::missing(const std::vector<std::size_t>& chain) const {
  std::vector<std::size_t> todo;
  for (const std::size_t m : chain) {
    if (!pieces_.measured[m]) todo.push_back(m);
  }
  return todo;
}

/// With one input the slope along the line is the gradient.
void Measurement::take_slopes(const std::vector<std::size_t>& todo) {
  for (const std::size_t m : todo) {
    const LineFit& fit = pieces_.pieces[m].fit;
    for (std::size_t o = 0; o < static_cast<std::size_t>(p_); ++o) {
      *pieces_.gradient(m, o) = fit.slope[o] * line_.direction[0];
      pieces_.gradient_noise(static_cast<Index>(m), static_cast<Index>(o)) = fit.slope_sd[o];
    }
    pieces_.measured[m] = true;
  }
}

void Measurement::choose_steps(FanAnswers& fan, ConstDeviceView centers, double shrink) {
  const auto count = static_cast<Index>(fan.todo.size());
  HostMatrix first(count, 1);
  HostMatrix noise(count, 1);
  for (Index i = 0; i < count; ++i) {
    const std::size_t m = fan.todo[static_cast<std::size_t>(i)];
    first(i, 0) = pieces_.step[m] / shrink;
    noise(i, 0) = std::sqrt(2.0) * pieces_.noise[m];  // of the point and of the centre
  }
  const Index k = hypothesis_.neurons();
  if (!line_.of_residual || k == 0) {
    fan.steps = HostMatrix(count, d_);
    fan.noise = HostMatrix(count, d_);
    for (Index i = 0; i < count; ++i) {
      std::fill_n(fan.steps.row(i), d_, first(i, 0));
      std::fill_n(fan.noise.row(i), d_, noise(i, 0) / first(i, 0));
    }
    return;
  }
  // A step across a known hyperplane costs that hyperplane's own error: shorter steps may be
  // better.
  HostMatrix variance(k, 1);
  for (Index j = 0; j < k; ++j) {
    double scale_square = 0;
    for (std::size_t o = 0; o < static_cast<std::size_t>(p_); ++o) {
      const double scale = hypothesis_.scales(j, static_cast<Index>(o)) / pieces_.scale[o];
      scale_square += scale * scale;
    }
    const double error = hypothesis_.offset_error[static_cast<std::size_t>(j)];
    variance(j, 0) = error * error * scale_square;
  }
  DeviceMatrix slopes(device_, k, d_);
  multiply(device_, current_->weights(), Transpose::no, basis_, Transpose::yes, 1.0, 0.0, slopes);
  DeviceMatrix steps(device_, count, d_);
  DeviceMatrix step_noise(device_, count, d_);
  const DeviceMatrix variance_on_device = upload(device_, variance);
  const DeviceMatrix first_on_device = upload(device_, first);
  const DeviceMatrix noise_on_device = upload(device_, noise);
  const Index chunk = std::min(count, asker_.rows_at_once(k));
  DeviceMatrix all_offsets(device_, chunk, k);
  for (Index row = 0; row < count; row += chunk) {
    const Index rows = std::min(chunk, count - row);
    const DeviceView offsets = all_offsets.view().row_block(0, rows);
    multiply(device_, centers.row_block(row, rows), Transpose::no, current_->weights(),
             Transpose::yes, 1.0, 0.0, offsets);
    add_row(device_, current_->bias_as_row(), offsets);
    safest_steps(device_, offsets, slopes, variance_on_device,
                 first_on_device.view().row_block(row, rows),
                 noise_on_device.view().row_block(row, rows), steps.view().row_block(row, rows),
                 step_noise.view().row_block(row, rows));
  }
  fan.steps = download(device_, steps);
  fan.noise = download(device_, step_noise);
}

FanAnswers Measurement::ask(const std::vector<std::size_t>& todo, double shrink) {
  // Answers of F and F', differences and gradients, each d * p numbers a centre.
  const auto chunk =
      static_cast<std::size_t>(asker_.rows_at_once((asker_.knows_sigmas() ? 7 : 4) * d_ * p_ + d_));
  FanAnswers failed;
  failed.values = HostMatrix(0, p_);
  for (std::size_t first = 0; first < todo.size(); first += chunk) {
    const std::size_t count = std::min(chunk, todo.size() - first);
    const auto from = todo.begin() + static_cast<std::ptrdiff_t>(first);
    const FanAnswers part = ask_chunk({from, from + static_cast<std::ptrdiff_t>(count)}, shrink,
                                      first == 0 ? Round::next : Round::same);
    failed.todo.insert(failed.todo.end(), part.todo.begin(), part.todo.end());
    failed.silent.insert(failed.silent.end(), part.silent.begin(), part.silent.end());
    for (Index i = 0; i < part.values.rows(); ++i) failed.values.append_row(part.values.row(i), p_);
    for (Index i = 0; i < part.steps.rows(); ++i) {
      failed.steps.append_row(part.steps.row(i), d_);
      failed.noise.append_row(part.noise.row(i), d_);
    }
  }
  return failed;
}

FanAnswers Measurement::ask_chunk(const std::vector<std::size_t>& todo, double shrink,
                                  Round round) {
  FanAnswers fan{todo, {}, {}, {}, {}};
  const auto count = static_cast<Index>(todo.size());
  HostMatrix centers_on_host(0, d_);
  for (const std::size_t m : todo) {
    centers_on_host.append_row(line_.point(pieces_.t[m]).data(), d_);
  }
  const DeviceMatrix centers = upload(device_, centers_on_host);
  choose_steps(fan, centers, shrink);
  const DeviceMatrix steps = upload(device_, fan.steps);
  const Fan question{centers, basis_, steps};
  const std::vector<double> expected = pieces_.noise;
  HostMatrix sigmas;
  DeviceMatrix values = asker_.fan(question, round, &sigmas);
  if (line_.of_residual) {
    ask_centers(todo);
  }
  if (asker_.paid() != nullptr) keep_paid(fan, centers_on_host, values);
  if (line_.of_residual) {
    DeviceMatrix known(device_, count * d_, p_);
    current_->evaluate_fan(question, known);
    subtract(device_, known, values);
  }
  HostMatrix middle(count, p_);
  for (Index i = 0; i < count; ++i) {
    const auto m = static_cast<Index>(todo[static_cast<std::size_t>(i)]);
    for (Index o = 0; o < p_; ++o) middle(i, o) = pieces_.values(m, o);
  }
  DeviceMatrix differences(device_, count * p_, d_);
  divided_differences(device_, values, upload(device_, middle), steps, differences);
  DeviceMatrix gradients(device_, count * p_, d_);
  multiply(device_, differences, Transpose::no, basis_, Transpose::no, 1.0, 0.0, gradients);
  const HostMatrix measured = download(device_, gradients);

  FanAnswers failed;
  std::vector<Index> failed_rows;
  for (Index i = 0; i < count; ++i) {
    const std::size_t m = todo[static_cast<std::size_t>(i)];
    if (!take_noise(sigmas, i, expected[m], fan)) {
      failed.silent.push_back(m);
      continue;
    }
    HostMatrix gradient(p_, d_);
    std::copy_n(measured.row(i * p_), p_ * d_, gradient.data());
    if (accept(m, std::move(gradient), fan.noise.row(i), fan.steps.row(i))) continue;
    failed.todo.push_back(m);
    failed.steps.append_row(fan.steps.row(i), d_);
    failed.noise.append_row(fan.noise.row(i), d_);
    failed_rows.push_back(i);
  }
  failed.values = HostMatrix(static_cast<Index>(failed_rows.size()) * d_, p_);
  for (std::size_t i = 0; i < failed_rows.size(); ++i) {
    device_.copy_out(values.view().row_block(failed_rows[i] * d_, d_),
                     failed.values.view().row_block(static_cast<Index>(i) * d_, d_));
  }
  return failed;
}

bool Measurement::accept(std::size_t m, HostMatrix gradient, const double* noise,
                         const double* steps) {
  const LineFit& fit = pieces_.pieces[m].fit;
  double own = 0;      // independent errors of the points
  double shared = 0;   // the centre's error, common to all
  double average = 0;  // noise of a component
  for (Index j = 0; j < d_; ++j) {
    const double along = basis_along_[static_cast<std::size_t>(j)];
    own += along * along * noise[j] * noise[j];
    shared += along * pieces_.noise[m] / steps[j];
    average += noise[j] * noise[j];
  }
  const double slope_noise = std::sqrt(own + shared * shared);
  average = std::sqrt(average / static_cast<double>(d_));
  const double width = std::max(pieces_.pieces[m].high - pieces_.pieces[m].low, 1e-300);
  const bool lenient = line_.of_residual && !pieces_.is_local(m);
  for (std::size_t o = 0; o < static_cast<std::size_t>(p_); ++o) {
    const double known = lenient ? known_gradient_error_[o] + known_step_[o] / width : 0;
    const double tolerance =
        plan_.sigmas * (slope_noise * pieces_.scale[o] + fit.slope_sd[o] + known);
    const double slope = dot(gradient.row(static_cast<Index>(o)), line_.direction.data(), d_);
    if (!(std::abs(slope - fit.slope[o]) <= tolerance)) return false;
  }
  for (std::size_t o = 0; o < static_cast<std::size_t>(p_); ++o) {
    double* to = pieces_.gradient(m, o);
    const double* from = gradient.row(static_cast<Index>(o));
    const double deviation = fit.slope[o] - dot(from, line_.direction.data(), d_);
    const double correction = lenient ? 0.0 : deviation;
    for (Index i = 0; i < d_; ++i) {
      to[i] = from[i] + correction * line_.direction[static_cast<std::size_t>(i)];
    }
    // On a residual the check is lenient, for the sake of the known hyperplanes: what it let pass
    // may be an error.
    pieces_.gradient_noise(static_cast<Index>(m), static_cast<Index>(o)) =
        std::hypot(average * pieces_.scale[o], lenient ? deviation : 0.0);
  }
  pieces_.measured[m] = true;
  return true;
}

void Measurement::run() {
  exclude_poor_pieces();
  take_base_piece();
  for (int attempt = 0; attempt < kPlans; ++attempt) {
    std::vector<std::size_t> chain = plan_chain(pieces_, excluded_, plan_);
    if (chain.empty() && !hypothesis_.has_base()) {
      // The base point needs one gradient, whatever it costs: the widest piece.
      std::size_t widest = 0;
      for (std::size_t m = 1; m < pieces_.size(); ++m) {
        if (pieces_.quality[m] < pieces_.quality[widest]) widest = m;
      }
      if (attempt == 0) chain.push_back(widest);
    }
    std::vector<std::size_t> todo = missing(chain);
    if (todo.empty()) return;
    if (d_ == 1) {
      take_slopes(todo);
      return;
    }
    double shrink = 1;
    for (Index retry = 0; retry <= plan_.retries && !todo.empty(); ++retry) {
      const FanAnswers failed = ask(todo, shrink);
      todo = failed.todo.empty() ? failed.todo : repair(failed);
      for (const std::size_t m : failed.silent) {
        excluded_[m] = center_silent_[m];
        if (!center_silent_[m]) todo.push_back(m);  // nearer to the centre it may say something
      }
      shrink *= plan_.shrink;
      const bool none_measured =
          std::none_of(pieces_.measured.begin(), pieces_.measured.end(), [](bool m) { return m; });
      if (policy_.last() || (none_measured && !hypothesis_.has_base())) continue;
      std::erase_if(todo, [&](std::size_t m) {
        const bool hopeless = pieces_.quality[m] * shrink > kRetryTolerance * policy_.tolerance;
        if (hopeless) excluded_[m] = true;
        return hopeless;
      });
    }
    for (const std::size_t m : todo) excluded_[m] = true;
  }
}

void measure_gradients(Asker& asker, const SearchedLine& line, const NoiseModel& noise,
                       const Hypothesis& hypothesis, const DeviceNetwork* current,
                       const GapPolicy& policy, const QueryPlan& plan, Random& random,
                       MeasuredPieces& pieces) {
  asker.enter("gradients");
  Measurement(asker, line, noise, hypothesis, current, policy, plan, random, pieces).run();
  asker.report();
}

}  // namespace crease
