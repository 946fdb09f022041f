// crease_samples: one row of the tables of `./dev bench samples`: plants a network, draws examples,
// learns it on one thread, prints one JSON line.
#include <crease/crease.hpp>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "bench/cpu_seconds.hpp"
#include "bench/samples/narrow_row.hpp"
#include "bench/samples/planted.hpp"
#include "src/stages/eliminated_fit.hpp"

namespace crease::samples {
namespace {

using Json = nlohmann::ordered_json;

constexpr Index kFresh = 50000;

struct Options {
  Row row;
  bool robust = false;
  bool from_truth = false;
  std::optional<Index> held_out;
  int tries = TwoLayerPlan{}.tries;
  double seconds = 120;
  std::string write;
};

/// null in JSON where there is none.
Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

/// |F'(x) - y| / |y|.
double relative_l2(Device& device, const Row& row, const ReluNetwork& learned, const HostMatrix& x,
                   const HostMatrix& y) {
  const HostMatrix z = row.power == 1
                           ? evaluate(device, learned, x)
                           : values(device, {learned.weights, learned.output, row.power}, x);
  double errors = 0, squares = 0;
  for (Index i = 0; i < y.size(); ++i) {
    errors += std::pow(z.data()[i] - y.data()[i], 2);
    squares += std::pow(y.data()[i], 2);
  }
  return std::sqrt(errors / squares);
}

ReluNetwork network_of(const RectifiedSum& sum) {
  ReluNetwork network(sum.directions.cols(), sum.neurons(), sum.outputs.rows());
  network.weights = sum.directions;
  network.output = sum.outputs;
  return network;
}

Learned<ReluNetwork> learn(Device& device, SampleSource& source, const Options& options) {
  RunControl control;
  control.seed = Seed{options.row.seed};
  control.budget.seconds = options.seconds;
  if (is_narrow(options.row)) return learn_narrow_row(device, source, options.row, control);
  TwoLayerProblem problem;
  problem.neurons = options.row.neurons;
  problem.power = options.row.power;
  problem.robust = options.robust;
  TwoLayerPlan plan;
  plan.held_out = options.held_out;
  plan.tries = options.tries;
  return learn_two_layer(device, source, problem, plan, control);
}

/// What a network is off by: its parameters, its values at fresh inputs of the same kind, and the
/// examples themselves, errors and all (where that is more than from the truth, a fit is not the
/// best one).
Json measured(Device& device, const Row& row, const RectifiedSum& truth, const Planted& planted,
              const ReluNetwork& network) {
  const double error = parameter_error(truth, {network.weights, network.output, row.power});
  const HostMatrix x = draw_inputs(row, kFresh, true);
  const double fresh = relative_l2(device, row, network, x, values(device, truth, x));
  const double residual = relative_l2(device, row, network, planted.x, planted.y);
  Json json = {{"parameter_error", finite(error)},
               {"relative_l2", finite(fresh)},
               {"residual", finite(residual)}};
  if (row.noise > 0) {
    json["scaled_error"] = finite(error * std::sqrt(static_cast<double>(row.rows)) / row.noise);
  }
  return json;
}

/// Gauss-Newton from the planted network, on the same examples, all of them.
Json from_truth(Device& device, const Options& options, const RectifiedSum& truth,
                const Planted& planted) {
  const auto source = make_matrix_samples(planted.x, planted.y);
  Examples::Plan all;
  all.rows = options.row.rows;
  Examples examples(device, *source, all);
  EliminatedFitPlan plan;
  plan.little = 1e-8;  // to the very minimum: stopped early, it would be nearer to where it began
  plan.robust = options.robust;
  const double start = cpu_seconds();
  const EliminatedFit fit = fit_eliminated(device, examples, truth, plan);
  const double seconds = cpu_seconds() - start;
  Json json = measured(device, options.row, truth, planted, network_of(fit.network));
  json["seconds"] = seconds;
  return json;
}

void write(const std::string& path, const Planted& planted, const RectifiedSum& truth) {
  TensorFile file;
  const auto add = [&](const std::string& name, const HostMatrix& m) {
    file.tensors[name] = {{m.rows(), m.cols()}, {m.data(), m.data() + m.size()}};
  };
  add("x", planted.x);
  add("y", planted.y);
  add("v", truth.directions);
  add("u", truth.outputs);
  write_tensors(path, file);
}

Json run(const Options& options) {
  const Row& row = options.row;
  const auto device = make_cpu_device({.threads = 1});
  Json line = {{"family", row.family},         {"outputs", row.outputs},   {"neurons", row.neurons},
               {"inputs", row.inputs},         {"rows", row.rows},         {"input", row.input},
               {"power", row.power},           {"noise", row.noise},       {"gross", row.gross},
               {"gross_size", row.gross_size}, {"robust", options.robust}, {"angle", row.angle},
               {"condition", row.condition},   {"rank", row.rank},         {"seed", row.seed}};
  const RectifiedSum truth = plant(row);
  const Planted planted = draw_examples(*device, row, truth);
  if (!options.write.empty()) write(options.write, planted, truth);
  const auto source = make_matrix_samples(planted.x, planted.y);
  const double start = cpu_seconds();
  const auto clock = std::chrono::steady_clock::now();
  const auto spent = [&] {
    line["seconds"] = cpu_seconds() - start;
    line["wall_seconds"] =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - clock).count();
  };
  try {
    const Learned<ReluNetwork> learned = learn(*device, *source, options);
    spent();
    const RunReport& report = learned.report;
    line["outcome"] = to_string(report.outcome);
    line["message"] = report.message;
    line["method"] = report.method;
    line["found"] = report.neurons;
    for (const auto& [name, count] : report.queries) line["examples"][name] = count;
    line["certificate_error"] = report.relative_error ? Json(*report.relative_error) : Json();
    line["warnings"] = report.warnings;
    line.update(measured(*device, row, truth, planted, learned.network));
  } catch (const BadInput& error) {
    spent();
    line["outcome"] = "refused";
    line["message"] = error.what();
  }
  if (options.from_truth) line["from_truth"] = from_truth(*device, options, truth, planted);
  return line;
}

}  // namespace
}  // namespace crease::samples

int main(int argc, char** argv) {
  using namespace crease;
  samples::Options o;
  CLI::App app("Plants a network, learns it from examples on one thread, prints one JSON line.",
               "crease_samples");
  const auto size = CLI::Range(Index{1}, std::numeric_limits<Index>::max());
  app.add_option("--family", o.row.family, "two-layer, mixed, same, cancel, blind2, blind4")
      ->check(CLI::IsMember({"two-layer", "mixed", "same", "cancel", "blind2", "blind4"}));
  app.add_option("--outputs", o.row.outputs, "p (1)")->check(size);
  app.add_option("--neurons", o.row.neurons, "k: planted and told")->required()->check(size);
  app.add_option("--inputs", o.row.inputs, "d")->required()->check(size);
  app.add_option("--rows", o.row.rows, "n")->required()->check(size);
  app.add_option("--input", o.row.input, "what the inputs are drawn from (gaussian)")
      ->check(CLI::IsMember(
          {"gaussian", "covariance", "uniform", "laplace", "t5", "signs", "shifted"}));
  app.add_option("--power", o.row.power, "of the rectified sum (1)")->check(CLI::PositiveNumber);
  app.add_option("--angle", o.row.angle, "of the pair in same and cancel, radians");
  app.add_option("--condition", o.row.condition, "of U")->check(CLI::PositiveNumber);
  app.add_option("--rank", o.row.rank, "of U")->check(size);
  app.add_option("--noise", o.row.noise, "relative to the answers")->check(CLI::NonNegativeNumber);
  app.add_option("--gross", o.row.gross, "share of gross errors")->check(CLI::Range(0.0, 1.0));
  app.add_option("--gross-size", o.row.gross_size, "of those, relative to the answers (10)");
  app.add_option("--seed", o.row.seed, "of the network, the examples and the learner (0)");
  app.add_option("--held-out", o.held_out, "two-layer: examples held out (the learner's default)");
  app.add_option("--tries", o.tries, "two-layer: joint diagonalisations (the learner's default)")
      ->check(CLI::Range(1, 1000));
  app.add_option("--seconds", o.seconds, "most seconds of the learner (120)")
      ->check(CLI::PositiveNumber);
  app.add_option("--write", o.write, "file for x, y and the truth v, u: .npz or .safetensors");
  app.add_flag("--robust", o.robust, "two-layer: tell the learner of gross errors");
  app.add_flag("--from-truth", o.from_truth, "fit from the planted network as well");
  CLI11_PARSE(app, argc, argv);
  try {
    std::cout << samples::run(o).dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace)
              << std::endl;
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "crease_samples: " << error.what() << '\n';
    return 2;
  }
}
