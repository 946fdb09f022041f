// Asker: the only place that questions an oracle. It counts, chunks, checks and keeps the budget.
#pragma once

#include <crease/oracle.hpp>
#include <crease/run.hpp>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <vector>

#include "src/stages/chunks.hpp"

namespace crease {

class DeviceNetwork;
class Paid;

/// Ends a run from within a stage; the learner turns it into the outcome of its result.
class EndOfRun : public std::exception {
 public:
  EndOfRun(Outcome outcome, std::string message)
      : outcome_(outcome), message_(std::move(message)) {}
  Outcome outcome() const { return outcome_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  Outcome outcome_;
  std::string message_;
};

/// Whether a batch had to wait for the one before it.
enum class Round { next, same };

/// Asks an oracle on behalf of one run.
///
/// Every point is one query, unless its answer is reused from another run's log. A batch that the
/// query limit does not cover is not asked at all and ends the run with out_of_budget; so do a
/// spent time budget, and RunControl::stop with `stopped`. An oracle that throws is asked the same
/// again, RunControl::retries times; then, or where it answers NaN or infinity, the run ends with
/// oracle_failed, or with an OracleError if nothing was answered yet (nothing is asked again before
/// that). What was asked and not answered costs no budget and is counted apart.
///
/// An oracle may know the standard deviation of each of its answers (AnswerKind::sigmas). Who asks
/// then takes them by `sigmas`, [n, p], +infinity where an answer says nothing; empty where the
/// oracle does not know. Who does not take them is not given answers that say nothing: they end the
/// run with oracle_failed.
///
/// A part of a run may ask through a view of another Asker (slice_asker.hpp): what is virtual here
/// is passed on there.
class Asker {
 public:
  Asker(Device& device, Oracle& oracle, const RunControl& run);
  virtual ~Asker() = default;
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  Device& device() { return *device_; }
  Index inputs() const { return inputs_; }
  Index outputs() const { return outputs_; }
  /// Whether answers come with their standard deviations.
  bool knows_sigmas() const { return knows_sigmas_; }
  /// What the oracle says of its answers so far.
  AnswerKind answer_kind() const { return oracle_->answer_kind(); }

  /// From here on queries, seconds and events count for this stage.
  virtual void enter(std::string_view stage);

  /// Answers [n, p] at points, on a fan (row i * q + j). Wait.
  virtual DeviceMatrix points(ConstDeviceView x, Round round = Round::next,
                              HostMatrix* sigmas = nullptr);
  virtual DeviceMatrix fan(const Fan& fan, Round round = Round::next, HostMatrix* sigmas = nullptr);

  /// Answers [n, p] along a line or several on the host, less what `known` says of the same points
  /// (null: nothing): one batch, one download, one wait.
  virtual HostMatrix residuals(const Lines& lines, const std::vector<double>& t,
                               const DeviceNetwork* known, Round round = Round::next,
                               HostMatrix* sigmas = nullptr);

  /// No more than this many queries in all; none lifts the limit.
  virtual void limit(std::optional<Index> queries) { limit_ = queries; }
  /// Budget::device_bytes, for scratch.
  Index scratch_bytes() const { return run_->budget.device_bytes; }
  /// Rows of so many numbers that fit into Budget::device_bytes; at least 1.
  Index rows_at_once(Index row_elements) const {
    return std::max<Index>(1, run_->budget.device_bytes / (row_elements * kDoubleBytes));
  }
  /// Queries that may still be asked.
  virtual Index left() const;
  /// Whether the next question would end the run, because of the caller or the time: for parts that
  /// ask nothing for long.
  bool would_end() const { return stop_requested() || is_late(); }
  /// Go on although the caller wants to stop or time is up: for the certificate of a run that ends
  /// short.
  virtual void finish_regardless() { finishing_ = true; }
  /// The caller wants to stop, and the oracle did not answer the last question, or none yet: it is
  /// not waited for, whatever is still to be asked.
  virtual bool gives_up() const;

  /// From here on answers at points and along lines are kept in `paid` (null: no longer), those of
  /// the certificate excepted; fans are kept by who knows their centres' answers. It must outlive
  /// the asking.
  void keep(Paid* paid) { paid_ = paid; }
  Paid* paid() const { return paid_; }

  /// Points answered, and how many of them are queries: answers from another run's log are not.
  virtual Index asked() const { return asked_; }
  virtual Index charged() const { return asked_ - reused_; }
  /// Points of calls that failed, each time they did, and of batches that never were whole.
  virtual Index unanswered() const { return unanswered_ + in_hand_; }
  virtual Index rounds() const { return rounds_; }

  /// From here on answers at points and on fans are (F - shift) / scale, so that steps and
  /// tolerances of a learner fit every target. Without standard deviations; scale > 0.
  void standardize(double shift, double scale);

  /// State that progress events repeat; call report() to send one.
  virtual void set_progress(Index kinks, Index neurons, std::optional<double> relative_error);
  virtual void report(std::string message = {});
  virtual void warn(std::string message);

  /// Writes what was counted: queries, seconds, rounds, warnings.
  virtual void write(RunReport& report);

 protected:
  /// For a view of another Asker: the same device, outputs and control, other inputs.
  Asker(const Asker& viewed, Index inputs);

 private:
  void before(Index points, Round round);
  /// Calls question() until it does not throw: one call of the oracle, of so many points.
  template <class Question>
  bool attempt(Index points, Question&& question);
  void before_retry(Index attempt, const std::string& message);
  void answer(ConstDeviceView x, DeviceView y);
  bool answer_lines(const Lines& lines, ConstDeviceView t, DeviceView y);
  bool answer_fan(const Fan& fan, DeviceView y);
  bool stop_requested() const;
  bool is_late() const;
  void ask_lines(const Lines& lines, ConstDeviceView t, DeviceView y);
  /// Columns of an answer: p, or 2 p with standard deviations.
  Index columns() const { return knows_sigmas_ ? 2 * outputs_ : outputs_; }
  /// Counts answers; the first row that is not finite, if there is one, ends the run instead.
  void take(Index answers, Index bad_row);
  bool keeps() const { return paid_ != nullptr && stage_ != "certificate"; }
  void keep_line_points(const Lines& lines, ConstHostView t, ConstHostView y);
  DeviceMatrix nothing(HostMatrix* sigmas);
  /// Checks and counts answers [n, columns()] and takes them apart.
  DeviceMatrix take_apart(DeviceMatrix y, HostMatrix* sigmas);
  void check_sigmas(ConstHostView sigmas, bool wanted) const;
  [[noreturn]] void fail(const std::string& message) const;
  double seconds_since_start() const;

  Device* device_;
  Oracle* oracle_;
  const RunControl* run_;
  Index inputs_;
  Index outputs_;
  bool knows_sigmas_;
  std::optional<Index> limit_;
  bool finishing_ = false;
  bool in_vain_ = true;  // no answer came to the last question
  Paid* paid_ = nullptr;
  double shift_ = 0;
  double scale_ = 1;
  Index asked_ = 0;
  Index reused_ = 0;
  Index reused_before_;  // the oracle's number at the last answer
  Index rounds_ = 0;
  Index batches_ = 0;       // answered
  Index batch_points_ = 0;  // of the batch in hand, and ...
  Index in_hand_ = 0;       // ... as many of them are answered
  Index unanswered_ = 0;
  Index events_kinks_ = 0;
  Index events_neurons_ = 0;
  std::optional<double> events_error_;
  std::string stage_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point stage_start_;
  std::map<std::string, Index> queries_;
  std::map<std::string, double> seconds_;
  std::vector<std::string> warnings_;
};

}  // namespace crease
