// learn_narrow: how many neurons, and what becomes of those that were found.
#include <crease/sample_learners.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "kernels/ops.hpp"
#include "src/learners/narrow_search.hpp"
#include "src/learners/sample_run.hpp"
#include "src/small_dense.hpp"
#include "src/stages/eliminated_fit.hpp"
#include "src/stages/hyperplane_orientation.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/surplus.hpp"

namespace crease {
namespace {

constexpr Index kMostNeurons = 100000;
constexpr double kLinear = 1e-10;  // rms that a linear function leaves, over that of y
constexpr double kAffine = 1e-13;  // of the mean square: what rounding leaves
constexpr Index kRowsPerUnknown = 3;
constexpr double kWorth = 0.95;  // what one neuron more must make of the error
constexpr int kQuickStarts = 3;
constexpr Index kInVain = 2;       // neurons more that may not help
constexpr double kNothing = 1e-9;  // relative error that is as good as none
constexpr double kAsGood = 1.02;
constexpr Index kLastSteps = 8;
constexpr double kLastTurn = 1e-3;
constexpr double kShare = 0.1;  // of the accuracy: not worth a linear part
constexpr Index kPruneSteps = 20;
constexpr double kPruneTurn = 0.1;
constexpr double kChance = 10;    // deviations of an importance that is none
constexpr double kClose = 0.99;   // cosine
constexpr Index kAllInputs = 64;  // up to which a residual is looked at in all of them

class NarrowLearner {
 public:
  NarrowLearner(Device& device, SampleSource& source, const NarrowProblem& problem,
                const NarrowPlan& plan, const RunControl& control)
      : device_(device),
        problem_(problem),
        plan_(plan),
        run_(device, source, control, "narrow"),
        inputs_(source.input_dim()),
        outputs_(source.output_dim()) {}

  Learned<ReluNetwork> learn() {
    require(outputs_ == 1, "the narrow learner is for one output: there are " +
                               std::to_string(outputs_) + "; the two-layer learner is for several");
    const auto all = [this] {
      take_examples();
      fit_linear();
      if (!done_) find_neurons();
      if (!done_) finish_fit();
    };
    run_.run(all, [this] { return has_network(); });
    if (has_network() && !final_) final_ = skip_network(search_->best().network);
    SampleRun::Goal goal;
    goal.accuracy = problem_.accuracy;
    goal.failure = problem_.failure;
    goal.why = [this] { return what_is_left(); };
    return run_.finish(final_.value_or(ReluNetwork(width(), 0, 1)), goal);
  }

 private:
  Index width() const { return inputs_ + (problem_.biases ? 1 : 0); }
  bool has_network() const { return final_ || (search_ && search_->has_best()); }

  void take_examples() {
    require(problem_.neurons.value_or(1) <= kMostNeurons,
            "k must be at most " + std::to_string(kMostNeurons));
    SampleRun::Plan plan;
    plan.rows = plan_.rows;
    plan.held_out = plan_.held_out;
    plan.held_out_share = 5;
    plan.most_held_out = 20000;
    plan.least_rows = (problem_.neurons.value_or(1) + 1) * width();
    plan.least_says = problem_.biases ? "(k + 1) (d + 1)" : "(k + 1) d";
    plan.biases = problem_.biases;
    run_.take(plan);
    means_ = run_.whiten();
    const Index k = problem_.neurons.value_or(1);
    const Index rows = run_.examples().rows() + run_.examples().held_out_x().rows;
    if (rows < kRowsPerUnknown * k * inputs_) {
      run_.warn("fewer than 3 k d examples: " + std::to_string(rows) + " of " +
                std::to_string(kRowsPerUnknown * k * inputs_) + ", success is unlikely");
    }
  }

  /// A function without neurons ends the run.
  void fit_linear() {
    for (Index j = 0; j < width(); ++j) linear_.push_back(means_.cross(0, j));
    if (is_constant(means_.answers[0], means_.answer_squares(0, 0))) {
      done_ = true;
      throw constant_answers(means_.answer_squares(0, 0));
    }
    Hyperplanes none(width(), 1);
    std::copy(linear_.begin(), linear_.end(), none.linear.row(0));
    search_.emplace(run_, plan_, problem_.accuracy, linear_);
    NarrowCandidate line = search_->fitted(none, 0, kLastTurn);
    const bool linear = line.fitted <= kLinear;
    const bool affine = !linear && !problem_.biases && is_affine();
    if (!linear && !affine) return;
    done_ = true;
    final_ = skip_network(line.network);
    search_->set_best(std::move(line));
    if (affine) {
      throw EndOfRun(Outcome::not_reached,
                     "the answers are an affine function of the inputs, with a constant that "
                     "networks without biases do not have: fit with biases");
    }
  }

  /// Whether a constant beside the linear part leaves nothing but rounding: with c = E y z - mean
  /// m, m = E z, E z z^T = I, it takes c^T (I - m m^T)^-1 c off the variance of y.
  bool is_affine() const {
    const double mean = means_.answers[0];
    const double square = means_.answer_squares(0, 0);
    if (mean * mean <= kAffine * square) return false;
    std::vector<double> slope;
    for (Index j = 0; j < inputs_; ++j) {
      slope.push_back(means_.cross(0, j) - mean * means_.inputs[static_cast<std::size_t>(j)]);
    }
    const double along = dot(slope, means_.inputs);
    const double explained =
        dot(slope, slope) + along * along / (1 - dot(means_.inputs, means_.inputs));
    return std::fabs(square - mean * mean - explained) <= kAffine * square;
  }

  void find_neurons() {
    if (problem_.neurons) {
      search_->search(*problem_.neurons, plan_.starts, plan_.rounds, [this] { return settled(); });
      return;
    }
    // Few starts for every k: with neurons lacking the best one is not worth much.
    Index in_vain = 0;
    for (Index k = 1; k <= plan_.most_neurons; ++k) {
      // Fewer rows than unknowns fit anything.
      if ((k + 1) * width() > run_.examples().rows()) return;
      const double before = search_->has_best() ? search_->best().error : HUGE_VAL;
      search_->search(k, std::min(kQuickStarts, plan_.starts), 0, {});
      if (search_->best().error >= problem_.accuracy &&
          !(search_->best().error < kWorth * before) && ++in_vain >= kInVain) {
        search_->search(k, plan_.starts, plan_.rounds, [this] { return settled(); });
      }
      if (search_->best().error < problem_.accuracy) return;
      if (search_->best().error < kWorth * before) {
        in_vain = 0;
      } else if (in_vain >= kInVain) {
        return;
      }
      if (settled()) return;
      run_.end_where_asked();
    }
  }

  /// What is left looks like errors alone.
  bool settled() {
    fit_all_rows();
    return surplus(search_->best().network, search_->most_rows()) < kErrorsAlone;
  }

  void fit_all_rows() {
    NarrowCandidate again =
        search_->fitted(search_->best().network, kLastSteps, kLastTurn, search_->most_rows());
    if (again.error <= kAsGood * search_->best().error) search_->set_best(std::move(again));
  }

  /// The rest of the rows, neurons that do nothing, orientation, and the fit as ReLUs.
  void finish_fit() {
    fit_all_rows();
    prune();
    run_.end_where_asked();
    orient();
  }

  /// How much worse an error may be and still not speak for what it is without: chance on so many
  /// held-out examples, or nothing in either case.
  double as_good_as(double error) const {
    const auto points = static_cast<double>(run_.examples().held_out_x().rows);
    const double chance = points > 0 ? 1 + 1 / std::sqrt(2 * points) : 1.0;
    return std::max(error * chance, kNothing);
  }

  /// Without the neurons that the held-out examples do not miss.
  void prune() {
    for (bool dropped = true; dropped && search_->best().network.neurons() > 1;) {
      dropped = false;
      const Hyperplanes network = search_->best().network;
      for (const Index neuron : superfluous(network)) {
        std::vector<bool> marked(static_cast<std::size_t>(network.neurons()), false);
        marked[static_cast<std::size_t>(neuron)] = true;
        run_.end_where_asked();
        const NarrowCandidate fewer =
            search_->fitted(network.without(marked), kPruneSteps, kPruneTurn, search_->most_rows());
        if (!(fewer.error <= as_good_as(search_->best().error))) continue;
        search_->set_best(fewer);
        dropped = true;
        break;
      }
    }
  }

  /// Neurons that may be: what the rms would gain without them is chance or next to nothing, or
  /// another one is close by and could do their work; the least important first.
  std::vector<Index> superfluous(const Hyperplanes& network) {
    const std::vector<double> importance = search_->importance(network);
    const auto n = static_cast<double>(search_->fit_rows(network.neurons()));
    const double chance =
        kChance * std::sqrt(static_cast<double>(width()) / n) * search_->best().error;
    std::vector<std::pair<double, Index>> order;
    for (Index i = 0; i < network.neurons(); ++i) {
      const double share = importance[static_cast<std::size_t>(i)] / search_->answers();
      bool candidate = share <= std::max(chance, kNothing);
      for (Index j = 0; j < network.neurons(); ++j) {
        const double cosine = dot(network.planes.row(i), network.planes.row(j), width());
        candidate = candidate || (i != j && std::fabs(cosine) > kClose);
      }
      if (candidate) order.emplace_back(share, i);
    }
    std::stable_sort(order.begin(), order.end());
    std::vector<Index> neurons;
    for (const auto& [share, neuron] : order) neurons.push_back(neuron);
    return neurons;
  }

  void orient() {
    final_ = skip_network(search_->best().network);
    const OrientedNeurons oriented =
        orient_neurons(without_constant(search_->best().network, inputs_));
    if (oriented.network.neurons() == 0) return;
    const double skip = relative_error(*final_);
    const auto points = static_cast<double>(run_.examples().held_out_x().rows);
    const double chance = std::max(points > 0 ? 1 + 2 / std::sqrt(points) : 1.0, kAsGood);
    const double most = std::max(chance * skip, kShare * problem_.accuracy);
    if (problem_.biases && oriented.left <= kNothing) {
      ReluNetwork exact = with_constant(oriented.network);
      if (relative_error(exact) <= most) {
        accept(std::move(exact));
        return;
      }
    }
    // The constant, where there is one, is no neuron's: without it the fit may be worse.
    ReluNetwork network = with_constant(oriented.network);
    network.linear = HostMatrix(1, width());
    fit_as_relus(network);
    if (relative_error(network) <= most) accept(std::move(network));
  }

  void accept(ReluNetwork network) {
    final_ = std::move(network);
    oriented_ = true;
    run_.report().method = "oriented";
  }

  /// Over all rows.
  void fit_as_relus(ReluNetwork& network) {
    EliminatedFitPlan plan;
    plan.gaussian = run_.gaussian() && !problem_.biases;
    plan.stop = [this] { return run_.ends(); };
    RectifiedSum start{network.weights, network.output, 1};
    for (Index i = 0; i < network.neurons(); ++i) {
      const double length = std::sqrt(dot(network.weights.row(i), network.weights.row(i), width()));
      for (Index j = 0; j < width(); ++j) start.directions(i, j) /= length;
      start.outputs(0, i) *= length;
    }
    EliminatedFit fit = fit_eliminated(device_, run_.examples(), start, plan);
    network.weights = std::move(fit.network.directions);
    network.output = std::move(fit.network.outputs);
  }

  /// Of z: with biases, they and the constant are weights of the last input, which is 1.
  ReluNetwork with_constant(const ReluNetwork& network) const {
    if (!problem_.biases) return network;
    ReluNetwork result(width(), network.neurons(), 1);
    result.output = network.output;
    for (Index i = 0; i < network.neurons(); ++i) {
      std::copy(network.weights.row(i), network.weights.row(i) + inputs_, result.weights.row(i));
      result.weights(i, inputs_) = network.bias(i, 0);
    }
    result.linear(0, inputs_) = network.constant(0, 0);
    return result;
  }

  /// Of the best network's residual, over all inputs, or, where they are many, over the directions
  /// in which the answers or the network bend.
  double surplus(const Hyperplanes& found, Index rows) {
    HostMatrix directions = identity(inputs_, width());
    if (inputs_ > kAllInputs) {
      directions = HostMatrix(0, width());
      std::vector<double> row(static_cast<std::size_t>(width()), 0.0);
      HostMatrix both(0, inputs_);
      for (Index i = 0; i < found.neurons(); ++i) both.append_row(found.planes.row(i), inputs_);
      for (Index i = 0; i < search_->span().rows(); ++i) {
        both.append_row(search_->span().row(i), inputs_);
      }
      const HostMatrix basis = svd(std::move(both)).right;
      for (Index i = 0; i < basis.rows(); ++i) {
        std::copy(basis.row(i), basis.row(i) + inputs_, row.begin());
        directions.append_row(row.data(), width());
      }
    }
    const auto predict = [&](ConstDeviceView x, DeviceView out) {
      evaluate(device_, found, x, run_.control().budget.device_bytes / 4, out);
    };
    return residual_surplus(device_, run_.examples(), directions, predict, run_.random(), rows);
  }

  /// rms over that of y, held out; of the fit where nothing was.
  double relative_error(const ReluNetwork& network) {
    const std::vector<double> errors = run_.held_out_errors(network);
    if (errors.empty()) return search_->best().error;
    return std::sqrt(dot(errors, errors) / static_cast<double>(errors.size())) / search_->answers();
  }

  /// Hyperplanes through 0 and what is left over as the linear part.
  ReluNetwork skip_network(const Hyperplanes& network) {
    run_.report().method = "with a linear part";
    return relu_network_of(network);
  }

  static Hyperplanes as_hyperplanes(const ReluNetwork& network) {
    Hyperplanes result(network.inputs(), 1);
    result.linear(0, network.inputs()) = network.constant(0, 0);
    for (Index j = 0; j < network.inputs(); ++j) result.linear(0, j) = network.linear(0, j);
    for (Index i = 0; i < network.neurons(); ++i) {
      const double* w = network.weights.row(i);
      const double half = 0.5 * network.output(0, i);
      result.add(std::vector<double>(w, w + network.inputs()), network.bias(i, 0));
      result.scales(i, 0) = half * std::sqrt(dot(w, w, network.inputs()));
      for (Index j = 0; j < network.inputs(); ++j) result.linear(0, j) += half * w[j];
      result.linear(0, network.inputs()) += half * network.bias(i, 0);
    }
    return result;
  }

  std::string what_is_left() {
    const ReluNetwork& network = *final_;
    const Hyperplanes& found = search_->best().network;
    const std::string few = run_.too_few(static_cast<double>(run_.examples().rows()),
                                         static_cast<double>((found.neurons() + 1) * width()),
                                         search_->best().fitted, relative_error(network));
    if (!few.empty()) return few;
    const double left =
        oriented_ ? surplus(as_hyperplanes(network), 0) : surplus(found, search_->most_rows());
    if (left < kErrorsAlone) {
      return kNoiseFloor;
    }
    return "not the right network: what is left still depends on the inputs (" +
           std::to_string(static_cast<long>(left)) +
           " deviations): too few neurons, two that the examples cannot tell apart, or not of "
           "this form";
  }

  Device& device_;
  const NarrowProblem& problem_;
  const NarrowPlan& plan_;
  SampleRun run_;
  Index inputs_;
  Index outputs_;
  SampleMeans means_;
  std::vector<double> linear_;
  std::optional<NarrowSearch> search_;
  std::optional<ReluNetwork> final_;  // of z
  bool oriented_ = false;
  bool done_ = false;
};

}  // namespace

Learned<ReluNetwork> learn_narrow(Device& device, SampleSource& source,
                                  const NarrowProblem& problem, const NarrowPlan& plan,
                                  const RunControl& control) {
  require_goal(problem.accuracy, problem.failure);
  require(!problem.neurons || *problem.neurons >= 1, "k must be at least 1");
  require(plan.starts >= 1 && plan.rounds >= 0 && plan.most_neurons >= 1 && plan.fit_steps >= 1,
          "the plan's counts must be at least 1");
  return NarrowLearner(device, source, problem, plan, control).learn();
}

}  // namespace crease
