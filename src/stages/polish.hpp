// Polish: a network whose neurons are all known, made as exact as the answers allow.
#pragma once

#include <crease/query_learner.hpp>

#include "src/stages/ask.hpp"
#include "src/stages/hypothesis.hpp"
#include "src/stages/noise.hpp"
#include "src/stages/paid.hpp"
#include "src/stages/random.hpp"

namespace crease {

struct Polished {
  bool accepted = false;
  std::string message;    // why not, or what is still less exact than wanted; may be empty
  Hypothesis hypothesis;  // polished; only where accepted
  PolishReport report;
  std::vector<NeuronError> errors;
  double linear_error = 0;  // of a component of a linear part that any neurons were turned into
};

/// Once all neurons are known, gradients and values are linear in the weights, the directions of
/// the outputs, and the biases, as long as the points stay in their cells. Everything that was paid
/// for and new fans where a variance is still too large go into one least squares for the weights,
/// points beside the hyperplanes into one for the biases. Then fresh points check the result: where
/// they contradict it, and it is no better than before, nothing is changed.
///
/// tolerance   wanted largest error of |u| w and |u| bias (several outputs: |u| Euclidean), or
///             2^-50 where |u| |w| is so small that a hyperplane would need more
/// paid        read; answers asked here are not kept in it
/// hypothesis  of every neuron, with errors that are about right
///
/// Stops early where the queries do not reach. Throws what asking throws; `hypothesis` is never
/// changed. Source: differences within a cell of the polished network; greedy design by variances.
Polished polish(Asker& asker, Random& random, const NoiseModel& noise, const Paid& paid,
                double tolerance, const Hypothesis& hypothesis);

}  // namespace crease
