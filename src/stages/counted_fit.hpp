// Smooth networks fitted from far away: how many neurons the last hidden layer has, and which.
#pragma once

#include <crease/smooth_network.hpp>

#include <functional>
#include <optional>
#include <vector>

#include "src/stages/random.hpp"

namespace crease {

inline constexpr double kSettled = 1e-9;  // of the deviation: the rms of an exact fit

/// Whether h(-z) = constant - h(z): then the sign of an output is no choice.
inline bool is_symmetric(Activation activation) {
  return activation != Activation::softplus && activation != Activation::gelu;
}

/// `neurons` of unit weights in random directions and small biases; outputs 1, of the last
/// `negative` ones -1.
SmoothNetwork random_neurons(Random& random, Index inputs, Activation activation, Index neurons,
                             Index negative = 0);

struct FitData {
  ConstDeviceView points;  // [n, d]
  ConstDeviceView values;  // [n, 1]
  double deviation = 0;    // standard deviation of the values
  double target = 0;       // a fit of this rms is one
  std::function<bool()> stop;
};

struct CountFit {
  SmoothNetwork network;
  double rms = 0;
  bool stopped = false;
};

/// Levenberg-Marquardt in two passes: outputs all of one size, their signs those of `start`, the
/// size the one that gives the values their deviation; then everything. The first pass decides: a
/// start whose outputs are free at once bends them out of shape, and stays there.
CountFit fit_from_afar(Device& device, const FitData& data, SmoothNetwork start);

/// Neurons of the last layer that do nothing are dropped and ones that agree merged, down to
/// `least`: the one whose loss the others' outputs make up for best is taken out and the rest
/// fitted again, as long as the rms stays at the target and as it is (within a tenth), or falls. A
/// fit that has not reached the target because there are too many neurons may reach it so.
CountFit thinned(Device& device, const FitData& data, CountFit fit, Index least);

struct CountPlan {
  std::optional<Index> neurons;  // of the last layer; none: counted
  Index least_neurons = 1;       // where they are not given: counts start here, ...
  Index most_neurons = 1;        // ... and end here
  double sigma = 0;              // deviation of an answer
  Index most_unknowns = 6000;  // of a fit: work grows as their third power, memory as their square
  std::function<bool()> stop;  // asked within fits too; may be empty
  std::function<void(Index neurons, double rms)> tried;  // called after every fit; may be empty
};

/// What to fit: fresh points [n, d] with values [n, 1], and starts.
struct CountProblem {
  struct Rows {
    HostMatrix points;
    HostMatrix values;
  };
  std::function<Rows(Index n)> ask;
  std::function<SmoothNetwork(Index neurons, Index negative)> start;
  Activation last = Activation::tanh;
};

struct Counted {
  SmoothNetwork network;
  double rms = 0;        // of the rows fitted
  double deviation = 0;  // standard deviation of their values
  bool cut = false;      // counts of more than most_unknowns were left out
  // rms <= max(kSettled * deviation, 1.3 sigma), or the rounding of the values
  bool settled = false;
};

/// One fit a count upwards from the least (three there, where it is known, or several at the count
/// given and a few neurons more), each from fresh random starts on four rows for every unknown, and
/// thinned where it is near; where the signs of outputs matter, several splits of signs a count. A
/// count that is one or two too high is as good as the right one, so that one missed is no loss. It
/// ends with the first fit that is settled, or where a good one gets no better: then the answers'
/// errors are larger than sigma says.
Counted fit_counted(Device& device, const CountProblem& problem, const CountPlan& plan);

}  // namespace crease
