// One run of a learner from samples: examples taken, whitened and watched, and how it ends.
#pragma once

#include <crease/network.hpp>
#include <crease/run.hpp>
#include <crease/samples.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "src/stages/ask.hpp"
#include "src/stages/examples.hpp"
#include "src/stages/random.hpp"
#include "src/stages/sample_moments.hpp"

namespace crease {

/// Deviations of residual_surplus() below which a residual looks like errors alone.
inline constexpr double kErrorsAlone = 5;
inline constexpr const char* kNoiseFloor =
    "at the noise floor: what is left of the answers looks like errors alone";

/// Throws BadInput where they are out of range.
void require_goal(double accuracy, double failure);

/// Whether an answer of these moments is a constant, to the rounding of its mean.
bool is_constant(double mean, double mean_square);

/// The end of a run on such answers.
EndOfRun constant_answers(double mean_square);

/// What both learners from samples need around their own work. Networks are seen twice: of the
/// inputs z that the examples have once they are whitened (E z z^T = I; with biases the last z is
/// 1, and biases are its weights), and of the inputs x that came.
class SampleRun {
 public:
  struct Plan {
    std::optional<Index> rows;
    std::optional<Index> held_out;
    Index held_out_share = 10;  // of the rows: one in so many ...
    Index most_held_out = 4096;
    Index least_rows = 1;    // to fit; fewer are BadInput ...
    std::string least_says;  // ... that says what it stands for
    bool biases = false;
  };

  SampleRun(Device& device, SampleSource& source, const RunControl& control, std::string mode);

  /// Opens the examples. Throws BadInput on too few rows and an endless source without plan.rows,
  /// OracleError on a number that is not finite, and what the source throws.
  void take(const Plan& plan);

  /// Whitens them and warns where they are not centred (without biases) or not Gaussian. Throws
  /// BadInput on collinear inputs. Returns the means of the whitened examples.
  SampleMeans whiten();

  /// learn() to its end, or to what ends it: EndOfRun anywhere; a lost device or a failing source
  /// once has_network() is true, which before that are passed on.
  void run(const std::function<void()>& learn, const std::function<bool()>& has_network);

  Device& device() { return device_; }
  const RunControl& control() const { return control_; }
  Examples& examples() { return *examples_; }
  const Examples& examples() const { return *examples_; }
  Random& random() { return random_; }
  RunReport& report() { return report_; }
  const RunReport& report() const { return report_; }
  /// Inputs of the networks of z: d, with biases d + 1.
  Index inputs() const { return whitening_.cols(); }
  /// Rows that tell a median or a fourth moment well enough and fit into memory.
  Index some_rows() const;
  bool gaussian() const { return gaussian_; }  // nothing speaks against it

  double seconds() const;
  bool ends() const;  // asked to stop, or out of time
  /// Throws EndOfRun where that is so.
  void end_where_asked() const;
  void warn(const std::string& message);
  void progress(const char* stage, Index neurons, double relative_error);

  /// The network of x.
  ReluNetwork in_inputs(const ReluNetwork& of_z) const;

  /// |y - F'(z)| (Euclidean) of every held-out example; infinity where `robust` and the answer has
  /// a gross error: beyond four robust_deviation()s of its output's residual.
  std::vector<double> held_out_errors(const ReluNetwork& of_z, bool robust = false);

  /// Where `unknowns` were fitted to fewer than five times as many numbers, the residual says
  /// nothing: how much better that is than what was held out. Else empty.
  std::string too_few(double numbers, double unknowns, double fitted,
                      std::optional<double> held_out) const;

  struct Goal {
    double accuracy = 0;
    double failure = 0;
    bool robust = false;
    std::function<std::string()> why;  // message where it is not reached
  };
  /// Certifies on the held-out examples, outcome `reached` where they lie within `accuracy` times
  /// the smaller of sd(F') and the deviation of the held-out answers; and completes the report.
  /// Where robust, answers with gross errors are silent points.
  Learned<ReluNetwork> finish(const ReluNetwork& of_z, const Goal& goal);

 private:
  void whiten_linear(const SampleMeans& raw);
  void whiten_affine(const SampleMeans& raw);
  void say_what_is_odd();
  std::string why_not(const Goal& goal, const Certificate& certificate, double of_answers) const;
  ReluNetwork in_white_inputs(const ReluNetwork& of_z) const;
  void certify_network(const ReluNetwork& of_z, const ReluNetwork& network, const Goal& goal);

  Device& device_;
  SampleSource& source_;
  const RunControl& control_;
  Random random_;
  std::chrono::steady_clock::time_point begun_;
  RunReport report_;
  std::optional<Examples> examples_;
  HostMatrix whitening_;  // z = whitening (x, 1) or whitening x
  bool biases_ = false;
  bool gaussian_ = true;
  bool standard_ = true;  // nothing speaks against N(0, I)
  bool certifying_ = false;
  bool device_lost_ = false;
};

}  // namespace crease
