// crease compress: the same function with fewer neurons, as nearly as its own neurons can.
#include <crease/files.hpp>
#include <crease/gaussian.hpp>

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "src/cli/device_options.hpp"
#include "src/cli/number_options.hpp"
#include "src/cli/places.hpp"
#include "src/cli/verbs.hpp"
#include "src/stages/finish.hpp"

namespace crease {
namespace {

struct CompressOptions {
  std::string network;
  Index neurons = 0;
  std::string out;
  std::string report;
  bool json = false;
  DeviceOptions device;
};

int compress(const CompressOptions& options) {
  const ReluNetwork network = load_network(options.network);
  require_relu(network, options.network);
  if (options.neurons > network.neurons()) {
    throw BadInput(fmt::format("--neurons: expected at most the {} of {}", network.neurons(),
                               options.network));
  }
  require_places(options.network, "", options.out, options.report);
  const auto device = open_device(options.device);
  const ReluNetwork less = reduce_neurons(*device, network, options.neurons);
  const GaussianDistance error = gaussian_distance(*device, network, less);
  const double sd = deviation_or_zero(*device, network);

  nlohmann::ordered_json json;
  json["neurons_before"] = network.neurons();
  json["neurons_after"] = less.neurons();
  json["rms_error"] = error.value;
  json["relative_error"] = nullptr;
  if (sd > 0) json["relative_error"] = error.value / sd;
  json["rms_error_floor"] = error.floor;
  json["sampled"] = error.sampled;
  json["standard_deviation"] = sd;
  json["device"] = device->name();

  save_network(options.out, less);
  if (!options.report.empty()) write_text(options.report, json.dump(2) + "\n");
  if (options.json) {
    fmt::print("{}\n", json.dump());
    return kExitOk;
  }
  fmt::print("neurons            {} before, {} after\n", network.neurons(), less.neurons());
  fmt::print("rms error          {:.3g} under N(0, I), {}; floor {:.1g}\n", error.value,
             error.sampled ? "from samples: below the floor of the exact integral" : "exact",
             error.floor);
  if (sd > 0) {
    fmt::print("relative error     {:.3g} of the standard deviation {:.5g}\n", error.value / sd,
               sd);
  } else {
    fmt::print("relative error     none: the network is constant\n");
  }
  fmt::print("written            {}\n", options.out);
  return kExitOk;
}

}  // namespace

void add_compress(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<CompressOptions>();
  CLI::App& verb = *app.add_subcommand("compress", "drop neurons, and say exactly what that costs");
  verb.add_option("FILE", options->network, "the network's file")->required();
  add_whole_option(verb, "--neurons", "most neurons to keep; 0: the best affine approximation", 0,
                   [o = options.get()](Index k) { o->neurons = k; })
      ->required();
  verb.add_option("--out", options->out, "file to write, .safetensors or .npz")->required();
  verb.add_option("--report", options->report, "file for a report, JSON");
  add_device_options(verb, options->device);
  verb.add_flag("--json", options->json, "print JSON");
  verb.callback([options, &exit_code] { exit_code = compress(*options); });
}

}  // namespace crease
