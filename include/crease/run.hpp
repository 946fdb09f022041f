// What a run is given (budget, seed, log, stop) and what it gives back (outcome, certificate,
// report).
#pragma once

#include <crease/types.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace crease {

/// What a run may spend. Never exceeded by a single query.
struct Budget {
  std::optional<Index> queries;         // every point answered counts as one
  std::optional<double> seconds;        // wall clock; checked before each batch
  Index device_bytes = Index{1} << 30;  // scratch for one chunk of a batch stays below this
};

/// Something that happened; progress may be dropped, a warning may not.
struct Event {
  enum class Kind { progress, warning };
  Kind kind = Kind::progress;
  std::string stage;    // noise lines gradients hunt looks least_squares lift polish certificate
  std::string message;  // for people, may be empty for progress
  Index queries = 0;    // asked so far
  std::optional<Index> budget;
  Index kinks = 0;                       // on the line in hand
  Index neurons = 0;                     // of the network so far
  std::optional<double> relative_error;  // at the last look
  double seconds = 0;
};

struct RunControl {
  Budget budget;
  Seed seed;
  std::function<void(const Event&)> log;  // may be empty
  std::function<bool()> stop;             // may be empty; asked before each batch
  // An oracle that throws is asked the same again, this often for each call; not before its first
  // answer. Each time is a warning event.
  Index retries = 2;
};

/// How a run ended (README, "Outcomes"). Ending short is a result, not an exception.
enum class Outcome { reached, not_reached, out_of_budget, oracle_failed, device_lost, stopped };

/// "reached", "not_reached", ...
std::string to_string(Outcome outcome);

/// What fresh Gaussian points, drawn after the decision to stop, vouch for; e = |F - F'| (Euclidean
/// norm).
struct Certificate {
  Index points = 0;
  // Of these, points whose answer said nothing (AnswerKind::sigmas). T and rms_error are over the
  // others, and in (A) and (B) the silent points count as points where e > T.
  Index silent = 0;
  double confidence = 0;     // 1 - delta, of (A) and of (B)
  double largest_error = 0;  // T = max e over the points
  double mass = 1;           // (A) e <= T except on Gaussian mass <= this; no assumption. 1 -
                             // delta^(1/n) where answers always say something
  double lipschitz = 0;      // (B) if F - F' is L-Lipschitz, L this ...
  double rms_bound = 0;      // ... then rms e <= this
  double rms_error = 0;      // root mean square of e over the points
  Index beyond_limit = 0;    // points with an error beyond their noise limit
};

struct LeastSquaresReport {
  std::string solver;  // "stream", "analytic" or "qr"; empty where the stage did not run
  std::string reason;  // why this one
  Index rank = 0;
  double condition =
      0;  // of the column-scaled feature matrix, estimated from its triangular factor
  Index iterations = 0;  // of LSQR
  bool accepted = false;
};

/// How exact one neuron is, estimated from the noise of the answers: one standard deviation of each
/// kind, u and w and bias those of the network, |u| Euclidean.
struct NeuronError {
  double weights = 0;     // of a component of |u| w
  double bias = 0;        // of |u| bias
  double hyperplane = 0;  // of a component of (w, bias) / |w|, the largest
  double scale = 0;       // of |u| |w| and of the direction of u, relative
  double floor = 0;       // 2^-50 / (|u| |w|): hyperplane and scale cannot be expected to be better
};

/// What a polish did.
struct PolishReport {
  bool asked = false;     // by the caller
  bool accepted = false;  // the network is the polished one
  double tolerance = 0;   // wanted largest error
  Index fans = 0;         // new ones, of as many queries as there are inputs
  Index pairs = 0;        // of which on both sides of one neuron's hyperplane
  Index levels = 0;       // new points for the biases
  Index rounds = 0;
  Index unfinished = 0;  // neurons still less exact than wanted
};

struct RunReport {
  Outcome outcome = Outcome::not_reached;
  std::string message;  // why, where the outcome needs a reason
  std::string device;
  Seed seed;
  std::string mode;
  // Which way was taken. By the noise of the answers: noisy, or exact (lines through all inputs),
  // or slice (exact too: a slice first, then lifted; exact where that was given up); uniform: the
  // scan.
  std::string method;
  Index inputs = 0;
  Index outputs = 0;
  Index neurons = 0;
  std::string answer_format;  // float64, float32, float16, decimal, noise, or what the oracle says
  // What the answers do not determine (AnswerKind::modulo): errors are measured modulo that, and
  // the network is the one without it. Empty: nothing.
  std::string modulo;
  // One standard deviation of an answer that does not grow with it, the largest over the outputs; 0
  // where only rounding in proportion to the answers was measured.
  double answer_noise = 0;
  Index learning_queries = 0;
  Index certificate_queries = 0;
  Index unanswered_queries = 0;  // asked, each time, in calls that failed; in none of the others
  std::map<std::string, Index> queries;  // by stage
  Index reused_queries = 0;  // answers taken from logs of other runs: part of no other number
  std::map<std::string, double> seconds;  // by stage
  double total_seconds = 0;
  Index rounds = 0;           // batches that had to wait for the one before, certificate included
  Index learning_rounds = 0;  // before the certificate
  std::optional<double> rms_error;       // on the certificate's points
  std::optional<double> relative_error;  // rms_error / sd(F'); none where F' is constant
  // Largest |F - F'| over points of the certificate that are uniform in the unit ball; of smooth
  // networks only.
  std::optional<double> ball_error;
  std::optional<Certificate> certificate;
  LeastSquaresReport least_squares;
  PolishReport polish;
  std::vector<NeuronError> neuron_errors;  // of the network's neurons, in order; of a polish only
  // Mass of the largest slab that the clean N(0, I) points did not exclude, at the failure asked
  // for.
  double hunt_mass = 1;
  Index peak_device_bytes = 0;
  std::vector<std::string> warnings;
};

/// The best network so far, and how far to trust it.
template <class Network>
struct Learned {
  Network network;
  RunReport report;
};

}  // namespace crease
