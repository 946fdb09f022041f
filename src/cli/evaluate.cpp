// crease evaluate: a network's outputs at given points.
#include <crease/files.hpp>

#include <fmt/format.h>

#include <memory>

#include "src/cli/any_network.hpp"
#include "src/cli/device_options.hpp"
#include "src/cli/verbs.hpp"

namespace crease {
namespace {

struct EvaluateOptions {
  std::string network;
  std::string points;
  std::string out;
  DeviceOptions device;
};

int run(const EvaluateOptions& options) {
  const AnyNetwork network = load_any_network(options.network);
  const HostMatrix x = load_matrix(options.points, "x");
  if (x.rows() == 0 || x.cols() != inputs_of(network)) {
    throw BadInput(fmt::format("{}: x is [{}, {}]; expected at least one row of {} inputs",
                               options.points, x.rows(), x.cols(), inputs_of(network)));
  }
  require_tensors_writable(options.out);
  const auto device = open_device(options.device);
  save_matrix(options.out, "y", evaluate(*device, network, x).view());
  fmt::print("{}: y [{}, {}], on {}\n", options.out, x.rows(), outputs_of(network), device->name());
  return kExitOk;
}

}  // namespace

void add_evaluate(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App& verb = *app.add_subcommand("evaluate", "write a network's outputs at given points");
  verb.add_option("NETWORK", options->network, "the network's file")->required();
  verb.add_option("--points", options->points, "file with x [n, d]")->required();
  verb.add_option("--out", options->out, "file to write y [n, p] to, .safetensors or .npz")
      ->required();
  add_device_options(verb, options->device);
  verb.callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace crease
