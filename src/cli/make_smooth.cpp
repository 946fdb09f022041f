// A planted smooth network as a file.
#include "src/cli/make_smooth.hpp"

#include <crease/files.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "src/cli/number_options.hpp"

namespace crease {
namespace {

constexpr const char* kSphere = "sphere";
constexpr const char* kOrthogonal = "orthogonal";
constexpr const char* kUnit = "unit";
constexpr const char* kSpread = "spread";

SmoothPlan plan_of(const SmoothOptions& options) {
  SmoothPlan plan = options.plan;
  if (options.directions == kOrthogonal) plan.directions = SmoothPlan::Directions::orthogonal;
  if (options.coefficients == kUnit) plan.coefficients = SmoothPlan::Coefficients::unit;
  if (options.coefficients == kSpread) plan.coefficients = SmoothPlan::Coefficients::spread;
  return plan;
}

}  // namespace

std::vector<std::pair<CLI::Option*, std::string>> add_smooth_options(CLI::App& verb,
                                                                     SmoothOptions& options) {
  std::vector<std::pair<CLI::Option*, std::string>> own;
  const auto add = [&own](CLI::Option* option) { own.emplace_back(option, kSmooth); };
  SmoothPlan& plan = options.plan;
  add(add_whole_option(verb, "--second-layer", "smooth: neurons of a second hidden layer (none)", 1,
                       [&plan](Index m) { plan.second_layer = m; }));
  add(verb.add_option(
              "--activation",
              [&plan](const CLI::results_t& texts) {
                try {
                  plan.activations = activations_of(texts.at(0));
                } catch (const BadInput& error) {
                  throw CLI::ValidationError("--activation", error.what());
                }
                return true;
              },
              fmt::format("smooth: {}; of all layers, or one each (tanh)",
                          fmt::join(activation_names(), ", ")))
          ->type_name("NAME[,NAME]")
          ->expected(1));
  add(add_choice_option(verb, "--directions",
                        "smooth: of the first layer's weights, independent or nearly orthogonal "
                        "(sphere)",
                        {kSphere, kOrthogonal}, options.directions));
  add(add_real_option(verb, "--shifts",
                      "smooth: standard deviation of the biases (0.3; two layers 0.05)",
                      kNotNegative, [&plan](double s) { plan.shifts = s; }));
  add(add_choice_option(verb, "--coefficients",
                        "smooth: of the outputs, 1, or +-0.5 to +-1.5 (spread; two layers and one "
                        "output: unit)",
                        {kUnit, kSpread}, options.coefficients));
  return own;
}

void make_smooth(const SmoothOptions& options, Seed seed, const std::string& out) {
  require_tensors_writable(out);
  const SmoothNetwork network = make_smooth_network(plan_of(options), seed);
  save_network(out, network);
  std::vector<std::string> layers;
  for (Index l = 0; l < network.layers(); ++l) {
    const Activation activation = network.hidden[static_cast<std::size_t>(l)].activation;
    layers.push_back(fmt::format("{} {}", network.neurons(l), to_string(activation)));
  }
  fmt::print("{}: {}, {} inputs, {} neurons, {} outputs, seed {}\n", out, kSmooth, network.inputs(),
             fmt::join(layers, " and "), network.outputs(), seed.value);
}

}  // namespace crease
