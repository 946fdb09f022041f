// Two networks of any kinds, compared as functions.
#include "src/cli/verify_functions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "src/cli/sampled_functions.hpp"

namespace crease {
namespace {

/// "20 tanh and 5 sigmoid neurons", "4 relu^2.5 neurons"
std::string words_for(const AnyNetwork& network) {
  const std::vector<Index> neurons = neurons_of(network);
  const std::vector<std::string> activations = activations_of(network);
  const auto* relu = std::get_if<ReluNetwork>(&network);
  const std::string power =
      relu != nullptr && relu->power != 1 ? fmt::format("^{}", relu->power) : "";
  std::vector<std::string> layers;
  for (std::size_t l = 0; l < neurons.size(); ++l) {
    layers.push_back(fmt::format("{} {}{}", neurons[l], activations[l], power));
  }
  return fmt::format("{} neurons", fmt::join(layers, " and "));
}

nlohmann::ordered_json power_of(const AnyNetwork& network) {
  const auto* relu = std::get_if<ReluNetwork>(&network);
  return relu == nullptr ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(relu->power);
}

void print_json(const VerifyOptions& options, const AnyNetwork& target, const AnyNetwork& learned,
                const FunctionErrors& errors) {
  nlohmann::ordered_json json;
  json["relative_error"] = nullptr;
  json["relative_error_confidence"] = nullptr;
  json["standard_deviation"] = nullptr;
  if (const std::optional<double> scale = errors.deviation) {
    json["relative_error"] = errors.gaussian.rms / *scale;
    json["relative_error_confidence"] = {errors.gaussian.rms_low / *scale,
                                         errors.gaussian.rms_high / *scale};
    json["standard_deviation"] = *scale;
  }
  json["modulo"] = nullptr;
  if (options.softmax) json["modulo"] = "the common function of the outputs";
  json["activations"] = {{"target", activations_of(target)}, {"learned", activations_of(learned)}};
  json["hidden_neurons"] = {{"target", neurons_of(target)}, {"learned", neurons_of(learned)}};
  json["power"] = {{"target", power_of(target)}, {"learned", power_of(learned)}};
  json["rms_error"] = errors.gaussian.rms;
  json["gaussian_distance"] = nullptr;
  json["largest_error"] = errors.gaussian.largest;
  json["ball_error"] = {{"largest", errors.ball.largest}, {"rms", errors.ball.rms}};
  json["samples"] = options.samples;
  json["neurons"] = nullptr;
  json["largest_parameter_error"] = nullptr;
  fmt::print("{}\n", json.dump());
}

void print_table(const VerifyOptions& options, const AnyNetwork& target, const AnyNetwork& learned,
                 const FunctionErrors& errors, const std::string& device) {
  const SampledError& gaussian = errors.gaussian;
  if (options.softmax) fmt::print("modulo             the common function of the outputs\n");
  fmt::print("target             {}\n", words_for(target));
  fmt::print("learned            {}, compared as functions\n", words_for(learned));
  fmt::print("in the unit ball   largest error {:.3g}, rms {:.3g}, at {} uniform points\n",
             errors.ball.largest, errors.ball.rms, options.samples);
  if (errors.deviation) {
    fmt::print("relative error     {:.3g}   99 % interval {:.3g} to {:.3g} (normal theory)\n",
               gaussian.rms / *errors.deviation, gaussian.rms_low / *errors.deviation,
               gaussian.rms_high / *errors.deviation);
    fmt::print("standard deviation {:.5g} of the target, from the same points\n",
               *errors.deviation);
  } else {
    fmt::print("relative error     none: the target is constant\n");
  }
  fmt::print("rms error          {:.3g}   99 % interval {:.3g} to {:.3g}\n", gaussian.rms,
             gaussian.rms_low, gaussian.rms_high);
  fmt::print("largest error      {:.3g}\n", gaussian.largest);
  fmt::print("samples            {} from N(0, I), seed {}, on {}\n", options.samples,
             options.seed.value, device);
}

}  // namespace

void verify_functions(const VerifyOptions& options, Device& device, const AnyNetwork& target,
                      const AnyNetwork& learned) {
  const FunctionErrors errors =
      compare_functions(device, target, learned, options.samples, options.seed, options.softmax);
  if (options.json) {
    print_json(options, target, learned, errors);
  } else {
    print_table(options, target, learned, errors, device.name());
  }
}

}  // namespace crease
