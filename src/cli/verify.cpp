// crease verify: how far a learned network is from its target.
#include <crease/gaussian.hpp>

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "src/cli/number_options.hpp"
#include "src/cli/sampled_error.hpp"
#include "src/cli/verbs.hpp"
#include "src/cli/verify_functions.hpp"
#include "src/gaussian_covariance.hpp"

namespace crease {
namespace {

/// sd(F) under N(0, I); none where F is constant as far as its rounding shows.
std::optional<double> scale_of(Device& device, const ReluNetwork& target) {
  if (target.power != 1) {
    const GaussianVariance variance = *variance_of(device, target);
    if (variance.value <= variance.error) return std::nullopt;
    return std::sqrt(variance.value);
  }
  // Neurons that cancel to a constant leave this much of sum |u| |w| as rounding.
  constexpr double kRounding = 64 * std::numeric_limits<double>::epsilon();
  double size = 0;
  for (Index i = 0; i < target.neurons(); ++i) {
    double weight = 0;
    for (Index j = 0; j < target.inputs(); ++j) weight = std::hypot(weight, target.weights(i, j));
    double output = 0;
    for (Index o = 0; o < target.outputs(); ++o) output = std::hypot(output, target.output(o, i));
    size += output * weight;
  }
  const double sd = gaussian_standard_deviation(target);
  if (sd <= kRounding * size) return std::nullopt;
  return sd;
}

/// The exact distance of networks small enough for it to take no time.
std::optional<GaussianDistance> distance_of(Device& device, const ReluNetwork& target,
                                            const ReluNetwork& learned) {
  // Of both together: seconds. A pair of powers takes microseconds.
  const Index most = target.power == 1 && learned.power == 1 ? 4096 : 1024;
  if (target.neurons() + learned.neurons() > most) return std::nullopt;
  return gaussian_distance(device, target, learned);
}

void print_json(const VerifyOptions& options, const ReluNetwork& target, const ReluNetwork& learned,
                const SampledError& error, const std::optional<GaussianDistance>& distance,
                std::optional<double> scale, const NetworkMatch& found) {
  nlohmann::ordered_json json;
  json["relative_error"] = nullptr;
  json["relative_error_confidence"] = nullptr;
  json["standard_deviation"] = nullptr;
  if (scale) {
    json["relative_error"] = error.rms / *scale;
    json["relative_error_confidence"] = {error.rms_low / *scale, error.rms_high / *scale};
    json["standard_deviation"] = *scale;
  }
  json["modulo"] = nullptr;
  if (options.softmax) json["modulo"] = "the common function of the outputs";
  const std::vector<std::string> relu = {"relu"};
  json["activations"] = {{"target", relu}, {"learned", relu}};
  json["hidden_neurons"] = {{"target", std::vector<Index>{target.neurons()}},
                            {"learned", std::vector<Index>{learned.neurons()}}};
  json["power"] = {{"target", target.power}, {"learned", learned.power}};
  json["rms_error"] = error.rms;
  json["gaussian_distance"] = nullptr;
  if (distance) {
    json["gaussian_distance"] = {
        {"value", distance->value}, {"floor", distance->floor}, {"sampled", distance->sampled}};
  }
  json["largest_error"] = error.largest;
  json["ball_error"] = nullptr;
  json["samples"] = options.samples;
  json["neurons"] = {{"target", found.target},
                     {"matched", found.matched},
                     {"merged", found.merged},
                     {"missing", found.missing},
                     {"spurious", found.spurious}};
  json["largest_parameter_error"] = {{"weights", found.weights},
                                     {"biases", found.biases},
                                     {"hyperplanes", found.hyperplanes},
                                     {"scales", found.scales}};
  fmt::print("{}\n", json.dump());
}

void print_table(const VerifyOptions& options, const ReluNetwork& target,
                 const ReluNetwork& learned, const SampledError& error,
                 const std::optional<GaussianDistance>& distance, std::optional<double> scale,
                 const NetworkMatch& found, const std::string& device) {
  if (options.softmax) fmt::print("modulo             the common function of the outputs\n");
  if (target.power != 1 || learned.power != 1) {
    fmt::print("power              {} of the target, {} of the learned network{}\n", target.power,
               learned.power,
               target.power == learned.power ? "" : ": they have no neuron in common");
  }
  if (scale) {
    fmt::print("relative error     {:.3g}   99 % interval {:.3g} to {:.3g} (normal theory)\n",
               error.rms / *scale, error.rms_low / *scale, error.rms_high / *scale);
  } else {
    fmt::print("relative error     none: the target is constant\n");
  }
  fmt::print("rms error          {:.3g}   99 % interval {:.3g} to {:.3g}\n", error.rms,
             error.rms_low, error.rms_high);
  if (distance && !distance->sampled) {
    fmt::print("the same, exact    {:.3g}   from the two networks; floor {:.1g}\n", distance->value,
               distance->floor);
  }
  fmt::print("largest error      {:.3g}\n", error.largest);
  fmt::print("samples            {} from N(0, I), seed {}, on {}\n", options.samples,
             options.seed.value, device);
  fmt::print(
      "neurons            {} live in the target: {} matched, {} merged, {} missing; {} "
      "spurious\n",
      found.target, found.matched, found.merged, found.missing, found.spurious);
  fmt::print(
      "largest error of matched neurons: weights {:.3g}, biases {:.3g}, hyperplanes {:.3g}, "
      "scales {:.3g}\n",
      found.weights, found.biases, found.hyperplanes, found.scales);
}

void verify_neurons(const VerifyOptions& options, Device& device, ReluNetwork target,
                    ReluNetwork learned) {
  if (options.softmax) {
    target = without_common_function(target);
    learned = without_common_function(learned);
  }
  const SampledError error = sample_error(device, target, learned, options.samples, options.seed);
  const NetworkMatch found = match(target, learned);
  const std::optional<double> scale = scale_of(device, target);
  const std::optional<GaussianDistance> distance = distance_of(device, target, learned);
  if (options.json) {
    print_json(options, target, learned, error, distance, scale, found);
  } else {
    print_table(options, target, learned, error, distance, scale, found, device.name());
  }
}

int verify(const VerifyOptions& options) {
  AnyNetwork target = load_any_network(options.target);
  AnyNetwork learned = load_any_network(options.learned);
  const Index d = inputs_of(target);
  const Index p = outputs_of(target);
  if (inputs_of(learned) != d || outputs_of(learned) != p) {
    throw BadInput(fmt::format("{} has {} inputs and {} outputs; expected {} and {} as in {}",
                               options.learned, inputs_of(learned), outputs_of(learned), d, p,
                               options.target));
  }
  require(!options.softmax || p >= 2, "--softmax needs two outputs or more");
  const auto device = open_device(options.device);
  auto* relu_target = std::get_if<ReluNetwork>(&target);
  auto* relu_learned = std::get_if<ReluNetwork>(&learned);
  if (relu_target != nullptr && relu_learned != nullptr) {
    verify_neurons(options, *device, std::move(*relu_target), std::move(*relu_learned));
  } else {
    verify_functions(options, *device, target, learned);
  }
  return kExitOk;
}

}  // namespace

void add_verify(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App& verb = *app.add_subcommand("verify", "compare a learned network with its target");
  verb.add_option("TARGET", options->target, "the target's file")->required();
  verb.add_option("LEARNED", options->learned, "the learned network's file")->required();
  add_whole_option(verb, "--samples", "fresh Gaussian points (100000)", 2,
                   [o = options.get()](Index n) { o->samples = n; });
  add_seed_option(verb, options->seed);
  add_device_options(verb, options->device);
  verb.add_flag("--softmax", options->softmax,
                "modulo the common function of the outputs, which probabilities do not determine");
  verb.add_flag("--json", options->json, "print JSON");
  verb.callback([options, &exit_code] { exit_code = verify(*options); });
}

}  // namespace crease
