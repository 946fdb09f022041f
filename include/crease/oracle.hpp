// Oracle: the black box a learner may ask, with structured batches; and the ready-made ones.
#pragma once

#include <crease/device.hpp>
#include <crease/network.hpp>
#include <crease/smooth_network.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace crease {

/// Points origin + t * direction.
struct Line {
  ConstDeviceView origin;     // [1, d]
  ConstDeviceView direction;  // [1, d]
};

/// Points origins[l] + t[i] * directions[l] for first[l] <= i < first[l + 1].
struct Lines {
  ConstDeviceView origins;       // [m, d]
  ConstDeviceView directions;    // [m, d]
  std::span<const Index> first;  // [m + 1] on the host, ascending from 0 to the number of points

  Line line(Index l) const { return {origins.row_block(l, 1), directions.row_block(l, 1)}; }
};

/// Points centers[i] + steps(i, j) * directions[j], in the order i * q + j.
struct Fan {
  ConstDeviceView centers;     // [m, d]
  ConstDeviceView directions;  // [q, d]
  ConstDeviceView steps;       // [m, q]
};

/// What an oracle knows of its own answers.
struct AnswerKind {
  /// Every answer comes with its standard deviation: y has 2 p columns in every question, the p
  /// answers, then their p standard deviations, >= 0; +infinity where the answer (any finite
  /// number) says nothing. The learner then does not measure the noise. Fixed from the first
  /// question on.
  bool sigmas = false;
  std::string format;  // for the report: "log-probabilities float64", ...; empty: to be found out
  std::string modulo;  // what the answers do not determine, for the report; empty: nothing
};

/// A function F: R^d -> R^p that a learner may evaluate where it likes.
/// An oracle may throw; what it throws becomes Outcome::oracle_failed with its text.
class Oracle {
 public:
  virtual ~Oracle() = default;

  virtual Index input_dim() const = 0;   // d
  virtual Index output_dim() const = 0;  // p

  /// An oracle that passes answers on unchanged passes this on too.
  virtual AnswerKind answer_kind() const { return {}; }

  /// y [n, p] <- F(x), x [n, d] row by row, ordered after and before other work of `device`; y
  /// [n, 2 p] where answer_kind() says so, here and below.
  virtual void answer(Device& device, ConstDeviceView x, DeviceView y) = 0;

  /// Structured batches. An oracle that can use the structure fills y and returns true; one that
  /// returns false (and leaves y alone) gets the same points through answer(). Every point is one
  /// query either way. Several lines of one round come together; unless answer_lines() is
  /// overridden, answer_line() gets them one after the other.
  virtual bool answer_line(Device& device, const Line& line, ConstDeviceView t, DeviceView y);
  virtual bool answer_lines(Device& device, const Lines& lines, ConstDeviceView t, DeviceView y);
  virtual bool answer_fan(Device& device, const Fan& fan, DeviceView y);

  /// Rows answered so far that were taken from another run's log (<crease/answer_log.hpp>): they
  /// are no queries and cost no budget. An oracle that wraps another passes its number on.
  virtual Index reused() const { return 0; }
};

/// A known network as a black box; lines and fans are answered without building their points.
/// It is uploaded to the device that asks first and must be destroyed before that device.
/// Networks of a power other than 1 are asked point by point: lines and fans are only fast for
/// relu. Throws BadInput as check() does.
std::unique_ptr<Oracle> make_network_oracle(ReluNetwork network);

/// A known smooth network as a black box; fans are answered without building their points. The rest
/// as for the other.
std::unique_ptr<Oracle> make_network_oracle(SmoothNetwork network);

/// y [n, p] <- F(x [n, d]) by a function on the host.
using HostFunction = std::function<void(ConstHostView x, HostView y)>;
std::unique_ptr<Oracle> make_host_oracle(Index inputs, Index outputs, HostFunction function);

/// What becomes of an answer y on its way out of a black box that is not exact.
struct Imperfection {
  enum class Kind {
    float64,   // y
    float32,   // the nearest IEEE 754 binary32 number, ties to even; beyond the largest: infinity
    float16,   // the same with binary16, whose largest number is 65504
    decimals,  // the nearest multiple of 10^-decimals, ties to even
    noise      // y + deviation * z, z a standard normal
  };
  static constexpr int kMostDecimals = 22;  // 10^22 is the last power of ten that is a double

  Kind kind = Kind::float64;
  int decimals = 0;      // 0 to kMostDecimals
  double deviation = 0;  // of the noise, in the units of the answers; >= 0
  Seed seed;             // of the noise
};

/// Answers as `oracle` does, each number then brought into `format`; lines and fans stay lines and
/// fans. Infinity, where a format has no number large enough, goes to the one who asks. The noise
/// is a pure function of the seed, the exact answers of a row, the row's place in its batch, the
/// batch's size and the output: a batch asked again is answered alike, the same point twice in one
/// batch is not. Throws BadInput on a null oracle or a format out of its range.
std::unique_ptr<Oracle> make_imperfect_oracle(std::unique_ptr<Oracle> oracle,
                                              const Imperfection& format);

/// softmax(logits) of another oracle's answers, or the logarithms of that; lines and fans stay
/// lines and fans. Answers that are not finite become NaN. Throws BadInput on a null oracle, fewer
/// than two outputs, or one whose answers come with their standard deviations.
std::unique_ptr<Oracle> make_softmax_oracle(std::unique_ptr<Oracle> logits,
                                            bool logarithms = false);

/// What is known of a black box that answers probabilities. What is not told is found out from its
/// answers: logarithms from the first row (is a number negative?); the format as the first of
/// decimals (0 to 10 digits, as few as there are), float16, float32, float64 that all numbers seen
/// so far are in, until some thousands agree.
struct LogOddsOptions {
  std::optional<bool> logarithms;      // it answers log p_o, not p_o
  std::optional<Imperfection> format;  // what its numbers were rounded to; no noise
};

/// The logits behind softmax probabilities p_o(x), modulo their common function: answers
///   z_o = log p_o - mean_o log p_o = F_o - mean_o F_o,  the sum over o is 0,
/// each with its standard deviation (AnswerKind::sigmas):
///   sigma_o = sqrt(e_o^2 + mean_o(e_o^2) / p),
///   e_o = sqrt(q^2 / p_o^2 + 4 u^2) + 2^-53 |log p_o|   where it answers p_o,
///   e_o = sqrt(q^2 + u^2) + u |log p_o|                 where it answers log p_o,
/// q half a unit of the last decimal (0 without), u the relative rounding of the format: 2^-53 of
/// float64 and of decimals, 2^-24 of float32, 2^-11 of float16. A point says nothing where some p_o
/// <= 2.3e-308 (float64), 1.2e-38 (float32), 6.2e-5 (float16), 20 q (decimals), or log p_o is
/// -infinity: logits may differ by about 708, 87, 9.7, or log(1 / (20 q)).
///
/// softmax(F + h 1) = softmax(F) for every scalar function h: what is lost is h = mean_o F_o,
/// itself a ReLU network. Neurons that act on all outputs alike are part of it.
///
/// Answers that are no probabilities (a number outside [0, 1] or NaN, a logarithm above 0, a sum
/// off 1 by more than 1e-3 + p q) are an OracleError that names the row. Throws BadInput on a null
/// oracle, fewer than two outputs, answers that come with their standard deviations, noise, or a
/// format out of its range.
std::unique_ptr<Oracle> make_log_odds_oracle(std::unique_ptr<Oracle> probabilities,
                                             const LogOddsOptions& options = {});

/// A program as a black box.
struct ProcessOptions {
  std::string command;  // what `sh -c` is given
  Index inputs = 0;
  Index outputs = 0;
  double timeout_seconds = 60;  // from the start of a request to the end of its reply
  Index batch = 4096;           // points of a request, at most
  // Gets what the program writes to its standard error output, as it comes; may be empty. The last
  // lines of a program that failed are part of the error's text in any case.
  std::function<void(std::string_view)> errors;
};

/// Asks a program through its standard input and output, all numbers little-endian:
///   request  int64 n, int64 d, then n d float64, point by point
///   reply    int64 n, int64 p, then n p float64, answer by answer
/// The program answers one request after the other and ends where its input does. It is started
/// with the first question, in a process group of its own, so that a signal of the terminal does
/// not reach it; it is ended with the oracle: its input is closed, and what has not ended 5 seconds
/// later is killed.
///
/// Answers that are too few, too late, of another shape, or followed or preceded by anything are an
/// OracleError that says what was expected and what came; the program and its process group are
/// killed, and started anew with the next question. Asked the same again, it is not asked again
/// what it has answered of it already. NaN and infinity are passed on.
///
/// Throws BadInput on an empty command, sizes below 1, or a timeout that is not positive. Linux and
/// POSIX only. No signal handler is touched.
std::unique_ptr<Oracle> make_process_oracle(ProcessOptions options);

}  // namespace crease
