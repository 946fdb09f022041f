// crease_smooth: one row of the tables of `./dev bench smooth`: plants a smooth network, learns it
// on one thread, prints one JSON line.
#include <crease/crease.hpp>

#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "bench/cpu_seconds.hpp"
#include "src/smooth_families.hpp"
#include "src/stages/random.hpp"

namespace crease::smooth {
namespace {

using Json = nlohmann::ordered_json;

constexpr Index kFresh = 20000;
constexpr Seed kFreshSeed{99};

struct Options {
  SmoothPlan plan;
  std::string first = "tanh", second = "tanh";
  std::string directions = "sphere";
  std::optional<Index> layers;  // told to the learner
  bool entangled = false;       // the paper's own path, the second layer's number told
  double noise = 0;
  std::string format = "float64";
  std::uint64_t seed = 0;
  std::string write;
};

double largest_error(Device& device, const SmoothNetwork& truth, const SmoothNetwork& learned,
                     bool in_ball) {
  Random random(kFreshSeed);
  const Index d = truth.inputs();
  const HostMatrix x =
      download(device, in_ball ? random.ball_points(device, Stream::looks, kFresh, d)
                               : random.gaussian_points(device, Stream::looks, kFresh, d));
  const HostMatrix y = evaluate(device, truth, x), z = evaluate(device, learned, x);
  double largest = 0;
  for (Index i = 0; i < y.size(); ++i) {
    largest = std::max(largest, std::fabs(y.data()[i] - z.data()[i]));
  }
  return largest;
}

std::unique_ptr<Oracle> oracle_of(const Options& options, const SmoothNetwork& truth) {
  auto oracle = make_network_oracle(truth);
  Imperfection imperfection;
  imperfection.seed = Seed{options.seed};
  if (options.noise > 0) {
    imperfection.kind = Imperfection::Kind::noise;
    imperfection.deviation = options.noise;
  } else if (options.format == "float32") {
    imperfection.kind = Imperfection::Kind::float32;
  } else {
    return oracle;
  }
  return make_imperfect_oracle(std::move(oracle), imperfection);
}

Json run(const Options& options) {
  const auto device = make_cpu_device({.threads = 1});
  const SmoothNetwork truth = make_smooth_network(options.plan, Seed{options.seed});
  if (!options.write.empty()) save_network(options.write, truth);
  const Index second = options.plan.second_layer.value_or(0);
  Json line = {{"inputs", options.plan.inputs},
               {"neurons", options.plan.neurons},
               {"second_layer", second},
               {"first", options.first},
               {"second", options.second},
               {"directions", options.directions},
               {"shifts", options.plan.shifts.value_or(second > 0 ? 0.05 : 0.3)},
               {"layers_told", options.layers ? Json(*options.layers) : Json()},
               {"entangled", options.entangled},
               {"noise", options.noise},
               {"format", options.format},
               {"seed", options.seed}};
  SmoothProblem problem;
  problem.first = activation_of(options.first);
  problem.second = activation_of(options.second);
  problem.layers = options.layers;
  HessianPlan plan;
  plan.entangled = options.entangled;
  if (options.entangled) problem.second_neurons = options.plan.second_layer;
  RunControl control;
  control.seed = Seed{options.seed};
  const auto oracle = oracle_of(options, truth);
  const double start = cpu_seconds();
  const Learned<SmoothNetwork> learned =
      learn_from_hessians(*device, *oracle, problem, plan, control);
  line["seconds"] = cpu_seconds() - start;
  const RunReport& report = learned.report;
  line["outcome"] = to_string(report.outcome);
  line["message"] = report.message;
  line["method"] = report.method;
  line["found"] = learned.network.neurons(0);
  line["found_second"] = learned.network.layers() == 2 ? learned.network.neurons(1) : 0;
  line["queries"] = report.learning_queries;
  line["ball_error"] = largest_error(*device, truth, learned.network, true);
  line["gaussian_error"] = largest_error(*device, truth, learned.network, false);
  line["warnings"] = report.warnings;
  return line;
}

}  // namespace
}  // namespace crease::smooth

int main(int argc, char** argv) {
  using namespace crease;
  smooth::Options o;
  CLI::App app("Plants a smooth network, learns it on one thread, prints one JSON line.",
               "crease_smooth");
  const auto size = CLI::Range(Index{1}, std::numeric_limits<Index>::max());
  app.add_option("--inputs", o.plan.inputs, "d")->required()->check(size);
  app.add_option("--neurons", o.plan.neurons, "of the first hidden layer")->required()->check(size);
  app.add_option("--second-layer", o.plan.second_layer, "neurons of a second one (none)")
      ->check(size);
  const auto names = CLI::IsMember(activation_names());
  app.add_option("--first", o.first, "activation (tanh)")->check(names);
  app.add_option("--second", o.second, "of the second layer (tanh)")->check(names);
  app.add_option("--directions", o.directions, "sphere, orthogonal")
      ->check(CLI::IsMember({"sphere", "orthogonal"}));
  app.add_option("--shifts", o.plan.shifts, "deviation of the biases")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--layers", o.layers, "told to the learner (nothing)")->check(CLI::Range(1, 2));
  app.add_flag("--entangled", o.entangled, "learn by the paper's own path of two layers");
  app.add_option("--noise", o.noise, "deviation of an answer")->check(CLI::NonNegativeNumber);
  app.add_option("--format", o.format, "of the answers")
      ->check(CLI::IsMember({"float64", "float32"}));
  app.add_option("--seed", o.seed, "of the network and the learner (0)");
  app.add_option("--write", o.write, "file for the planted network");
  CLI11_PARSE(app, argc, argv);
  o.plan.activations = {activation_of(o.first)};
  if (o.plan.second_layer) o.plan.activations.push_back(activation_of(o.second));
  if (o.directions == "orthogonal") o.plan.directions = SmoothPlan::Directions::orthogonal;
  try {
    std::cout << smooth::run(o).dump() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "crease_smooth: " << error.what() << "\n";
    return 2;
  }
  return 0;
}
