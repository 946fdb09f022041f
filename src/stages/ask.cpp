// The only place that questions an oracle.
#include "src/stages/ask.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <utility>

#include "kernels/ops.hpp"
#include "src/device_network.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/paid.hpp"

namespace crease {

Asker::Asker(Device& device, Oracle& oracle, const RunControl& run)
    : device_(&device),
      oracle_(&oracle),
      run_(&run),
      inputs_(oracle.input_dim()),
      outputs_(oracle.output_dim()),
      knows_sigmas_(oracle.answer_kind().sigmas),
      limit_(run.budget.queries),
      reused_before_(oracle.reused()),
      start_(std::chrono::steady_clock::now()),
      stage_start_(start_) {
  require(inputs_ >= 1 && outputs_ >= 1, "the oracle must have at least one input and one output");
}

Asker::Asker(const Asker& viewed, Index inputs)
    : device_(viewed.device_),
      oracle_(viewed.oracle_),
      run_(viewed.run_),
      inputs_(inputs),
      outputs_(viewed.outputs_),
      knows_sigmas_(viewed.knows_sigmas_),
      reused_before_(viewed.reused_before_),
      start_(viewed.start_),
      stage_start_(start_) {}

double Asker::seconds_since_start() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Asker::enter(std::string_view stage) {
  const auto now = std::chrono::steady_clock::now();
  if (!stage_.empty()) {
    seconds_[stage_] += std::chrono::duration<double>(now - stage_start_).count();
  }
  stage_ = stage;
  stage_start_ = now;
}

Index Asker::left() const {
  return limit_ ? std::max<Index>(0, *limit_ - charged()) : std::numeric_limits<Index>::max();
}

void Asker::before(Index points, Round round) {
  if (stop_requested()) throw EndOfRun(Outcome::stopped, "stopped by the caller");
  if (is_late()) {
    std::ostringstream message;
    message << "the time budget of " << *run_->budget.seconds << " seconds is spent";
    throw EndOfRun(Outcome::out_of_budget, message.str());
  }
  if (points > left()) {
    throw EndOfRun(Outcome::out_of_budget, "the next batch of " + std::to_string(points) +
                                               " queries (" + stage_ + ") would exceed the " +
                                               std::to_string(*limit_) + " queries allowed here");
  }
  if (round == Round::next || rounds_ == 0) ++rounds_;
  unanswered_ += in_hand_;  // of a batch before that never was whole
  in_hand_ = 0;
  batch_points_ = points;
  in_vain_ = true;
}

void Asker::fail(const std::string& message) const {
  const std::string where = "batch " + std::to_string(batches_ + 1) + " (" +
                            std::to_string(batch_points_) + " points, stage " + stage_ + "): ";
  if (asked_ == 0) throw OracleError(where + message);
  throw EndOfRun(Outcome::oracle_failed, where + message);
}

bool Asker::stop_requested() const {
  return !finishing_ && run_->stop && run_->stop();
}

bool Asker::gives_up() const {
  return in_vain_ && run_->stop && run_->stop();
}

bool Asker::is_late() const {
  return !finishing_ && run_->budget.seconds && seconds_since_start() > *run_->budget.seconds;
}

/// After a failure: returns where the oracle is to be asked again, and ends the run else. Nothing
/// is asked again before the first answer: then a box that is set up wrongly is more likely than
/// one that stumbled, and nothing is lost. Nor, under way to an end, for a caller who waits for it.
void Asker::before_retry(Index attempt, const std::string& message) {
  if (stop_requested()) {
    throw EndOfRun(Outcome::stopped,
                   "stopped by the caller, after the black box failed: " + message);
  }
  const bool waited_for = run_->stop && run_->stop();
  if (asked_ == 0 || attempt >= run_->retries || is_late() || waited_for) fail(message);
  warn("batch " + std::to_string(batches_ + 1) + " (" + std::to_string(batch_points_) +
       " points): asked again, " + std::to_string(attempt + 1) + " of " +
       std::to_string(run_->retries) + ": " + message);
}

template <class Question>
bool Asker::attempt(Index points, Question&& question) {
  for (Index attempt = 0;; ++attempt) {
    std::string message;
    try {
      const bool answered = question();
      if (answered) in_hand_ += points;
      return answered;
    } catch (const DeviceError&) {
      throw;
    } catch (const FileError& error) {
      // Of a log around the oracle: the oracle itself may have answered.
      unanswered_ += points;
      fail(error.what());
    } catch (const BadInput& error) {  // it would be no better the second time
      unanswered_ += points;
      fail(error.what());
    } catch (const std::exception& error) {
      message = error.what();
    } catch (...) {
      message = "the oracle threw something that is no std::exception";
    }
    unanswered_ += points;
    before_retry(attempt, message);
  }
}

void Asker::answer(ConstDeviceView x, DeviceView y) {
  attempt(x.rows, [&] {
    oracle_->answer(*device_, x, y);
    return true;
  });
}

bool Asker::answer_lines(const Lines& lines, ConstDeviceView t, DeviceView y) {
  return attempt(t.rows, [&] { return oracle_->answer_lines(*device_, lines, t, y); });
}

bool Asker::answer_fan(const Fan& fan, DeviceView y) {
  return attempt(y.rows, [&] { return oracle_->answer_fan(*device_, fan, y); });
}

void Asker::take(Index answers, Index bad_row) {
  if (bad_row >= 0) {
    fail("expected finite numbers, the oracle answered NaN or infinity in row " +
         std::to_string(bad_row) + " (of 0 to " + std::to_string(answers - 1) + ")");
  }
  in_hand_ = 0;
  in_vain_ = false;
  ++batches_;
  // What another run's log knew was asked for then.
  const Index reused = oracle_->reused() - reused_before_;
  reused_before_ += reused;
  reused_ += reused;
  asked_ += answers;
  queries_[stage_] += answers - reused;
}

void Asker::check_sigmas(ConstHostView sigmas, bool wanted) const {
  for (Index i = 0; i < sigmas.rows; ++i) {
    for (Index o = 0; o < sigmas.cols; ++o) {
      const double sigma = sigmas(i, o);
      if (sigma >= 0 && (wanted || !std::isinf(sigma))) continue;
      const std::string where = " in row " + std::to_string(i);
      fail(sigma >= 0
               ? "the oracle gave no information" + where + ", which cannot do without"
               : "the oracle answered a standard deviation that is negative or no number" + where);
    }
  }
}

DeviceMatrix Asker::nothing(HostMatrix* sigmas) {
  if (sigmas != nullptr) *sigmas = HostMatrix();
  return DeviceMatrix(*device_, 0, outputs_);
}

DeviceMatrix Asker::take_apart(DeviceMatrix y, HostMatrix* sigmas) {
  if (!knows_sigmas_) {
    if (sigmas != nullptr) *sigmas = HostMatrix();
    take(y.rows(), first_non_finite_row(*device_, y));
    if (shift_ != 0 || scale_ != 1) {
      add_row(*device_, upload(*device_, HostMatrix(1, outputs_, -shift_)), y);
      scale_columns(*device_, upload(*device_, HostMatrix(1, outputs_, 1 / scale_)), y);
    }
    return y;
  }
  DeviceMatrix values(*device_, y.rows(), outputs_);
  copy(*device_, y.view().col_block(0, outputs_), values);
  HostMatrix each = download(*device_, y.view().col_block(outputs_, outputs_));
  check_sigmas(each, sigmas != nullptr);
  take(y.rows(), first_non_finite_row(*device_, values));
  if (sigmas != nullptr) *sigmas = std::move(each);
  return values;
}

namespace {

/// Rows of d inputs and p outputs that fit into `bytes`; at least 1.
Index rows_in(Index bytes, Index d, Index p) {
  return std::max<Index>(1, bytes / ((d + p) * kDoubleBytes));
}

}  // namespace

DeviceMatrix Asker::points(ConstDeviceView x, Round round, HostMatrix* sigmas) {
  if (x.rows == 0) return nothing(sigmas);
  DeviceMatrix y(*device_, x.rows, columns());
  before(x.rows, round);
  const Index chunk = rows_in(run_->budget.device_bytes, inputs_, columns());
  for (Index first = 0; first < x.rows; first += chunk) {
    const Index count = std::min(chunk, x.rows - first);
    answer(x.row_block(first, count), y.view().row_block(first, count));
  }
  DeviceMatrix answers = take_apart(std::move(y), sigmas);
  if (keeps()) paid_->add_points(download(*device_, x), download(*device_, answers));
  return answers;
}

/// In line_points' own words, so that they are the points an oracle without lines was asked.
void Asker::keep_line_points(const Lines& lines, ConstHostView t, ConstHostView y) {
  const HostMatrix origins = download(*device_, lines.origins);
  const HostMatrix directions = download(*device_, lines.directions);
  HostMatrix x(1, inputs_);
  Index line = 0;
  for (Index i = 0; i < t.rows; ++i) {
    while (lines.first[static_cast<std::size_t>(line) + 1] <= i) ++line;
    for (Index j = 0; j < inputs_; ++j) {
      x(0, j) = origins(line, j) + t.data[i * t.ld] * directions(line, j);
    }
    paid_->add_points(x, y.row_block(i, 1));
  }
}

void Asker::ask_lines(const Lines& lines, ConstDeviceView t, DeviceView y) {
  if (answer_lines(lines, t, y)) return;
  const Index chunk = rows_in(run_->budget.device_bytes, inputs_, columns());
  DeviceMatrix x(*device_, std::min(chunk, t.rows), inputs_);
  Index line = 0;
  for (Index first = 0; first < t.rows; first += chunk) {
    const Index end = std::min(first + chunk, t.rows);
    for (Index from = first; from < end;) {
      while (lines.first[static_cast<std::size_t>(line) + 1] <= from) ++line;
      const Index to = std::min(end, lines.first[static_cast<std::size_t>(line) + 1]);
      line_points(*device_, lines.line(line), t.row_block(from, to - from),
                  x.view().row_block(from - first, to - from));
      from = to;
    }
    answer(x.view().row_block(0, end - first), y.row_block(first, end - first));
  }
}

HostMatrix Asker::residuals(const Lines& lines, const std::vector<double>& t,
                            const DeviceNetwork* known, Round round, HostMatrix* sigmas) {
  const auto n = static_cast<Index>(t.size());
  if (sigmas != nullptr) *sigmas = HostMatrix();
  if (n == 0) return HostMatrix(0, outputs_);
  before(n, round);
  const ConstHostView steps = {t.data(), n, 1, 1};
  const DeviceMatrix where = upload(*device_, steps);
  if (knows_sigmas_) {
    DeviceMatrix y(*device_, n, columns());
    ask_lines(lines, where, y);
    DeviceMatrix answers = take_apart(std::move(y), sigmas);
    if (keeps()) keep_line_points(lines, steps, download(*device_, answers));
    if (known != nullptr) {
      DeviceMatrix expected(*device_, n, outputs_);
      known->evaluate_lines(lines, where, expected);
      subtract(*device_, expected, answers);
    }
    return download(*device_, answers);
  }
  DeviceMatrix both(*device_, known == nullptr ? n : 2 * n, outputs_);
  ask_lines(lines, where, both.view().row_block(0, n));
  if (known != nullptr) known->evaluate_lines(lines, where, both.view().row_block(n, n));
  const HostMatrix values = download(*device_, both);
  const auto is_bad = [](double value) { return !std::isfinite(value); };
  const double* bad = std::find_if(values.data(), values.row(n), is_bad);
  take(n, bad == values.row(n) ? -1 : (bad - values.data()) / outputs_);
  if (keeps()) keep_line_points(lines, steps, values.view().row_block(0, n));
  HostMatrix residuals(n, outputs_);
  for (Index i = 0; i < residuals.size(); ++i) {
    residuals.data()[i] = values.data()[i];
    if (known != nullptr) residuals.data()[i] -= values.row(n)[i];
  }
  return residuals;
}

DeviceMatrix Asker::fan(const Fan& fan, Round round, HostMatrix* sigmas) {
  const Index m = fan.centers.rows;
  const Index q = fan.directions.rows;
  if (m * q == 0) return nothing(sigmas);
  DeviceMatrix y(*device_, m * q, columns());
  before(m * q, round);
  // A chunk is itself a fan: whole centres, or a part of one where a centre alone is too much.
  const Index most = rows_in(run_->budget.device_bytes, inputs_, columns());
  const Index chunk = std::clamp<Index>(most / q, 1, m);
  const Index width = std::min(most, q);
  if (!answer_fan(fan, y)) {
    DeviceMatrix x(*device_, chunk * width, inputs_);
    for (Index first = 0; first < m; first += chunk) {
      const Index count = std::min(chunk, m - first);
      for (Index from = 0; from < q; from += width) {
        const Index directions = std::min(width, q - from);
        const DeviceView points = x.view().row_block(0, count * directions);
        fan_points(*device_,
                   {fan.centers.row_block(first, count), fan.directions.row_block(from, directions),
                    fan.steps.row_block(first, count).col_block(from, directions)},
                   points);
        answer(points, y.view().row_block(first * q + from, count * directions));
      }
    }
  }
  return take_apart(std::move(y), sigmas);
}

void Asker::standardize(double shift, double scale) {
  require(std::isfinite(shift) && std::isfinite(scale) && scale > 0 && !knows_sigmas_,
          "standardize: a finite shift and a scale above 0, for answers without deviations");
  shift_ = shift;
  scale_ = scale;
}

void Asker::set_progress(Index kinks, Index neurons, std::optional<double> relative_error) {
  events_kinks_ = kinks;
  events_neurons_ = neurons;
  events_error_ = relative_error;
}

void Asker::report(std::string message) {
  if (!run_->log) return;
  run_->log({Event::Kind::progress, stage_, std::move(message), charged(), run_->budget.queries,
             events_kinks_, events_neurons_, events_error_, seconds_since_start()});
}

void Asker::warn(std::string message) {
  warnings_.push_back(message);
  if (!run_->log) return;
  run_->log({Event::Kind::warning, stage_, std::move(message), charged(), run_->budget.queries,
             events_kinks_, events_neurons_, events_error_, seconds_since_start()});
}

void Asker::write(RunReport& report) {
  enter("");
  report.queries = queries_;
  report.reused_queries = reused_;
  report.seconds = seconds_;
  report.total_seconds = seconds_since_start();
  report.rounds = rounds_;
  report.unanswered_queries = unanswered();
  report.warnings = warnings_;
}

}  // namespace crease
