// crease draw: Gaussian examples of a network, as a file for `fit`.
#include <crease/samples.hpp>

#include <fmt/format.h>

#include <memory>

#include "src/cli/any_network.hpp"
#include "src/cli/device_options.hpp"
#include "src/cli/number_options.hpp"
#include "src/cli/places.hpp"
#include "src/cli/verbs.hpp"

namespace crease {
namespace {

const RealRange kShare = {[](double x) { return x >= 0 && x <= 1; }, "a number from 0 to 1"};

struct DrawOptions {
  std::string target;
  Index samples = 0;
  PlantedErrors errors;
  Seed seed;
  std::string out;
  DeviceOptions device;
};

int run(const DrawOptions& options) {
  const AnyNetwork any = load_any_network(options.target);
  if (std::holds_alternative<SmoothNetwork>(any)) {
    throw BadInput(options.target +
                   ": a smooth network; examples are for `crease fit`, which knows relu and its "
                   "powers alone");
  }
  const auto& network = std::get<ReluNetwork>(any);
  require_places(options.target, "the target ", options.out, "");
  const auto device = open_device(options.device);
  const auto source = make_planted_samples(network, options.seed, options.samples, options.errors);
  write_samples(options.out, *device, *source, options.samples);
  fmt::print("{}: {} examples, {} inputs, {} outputs, on {}\n", options.out, options.samples,
             network.inputs(), network.outputs(), device->name());
  return kExitOk;
}

}  // namespace

void add_draw(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<DrawOptions>();
  DrawOptions* o = options.get();
  CLI::App& verb = *app.add_subcommand("draw", "write Gaussian examples of a network");
  verb.add_option("TARGET", o->target, "the network's file")->required();
  add_whole_option(verb, "--samples", "examples n", 1, [o](Index n) {
    o->samples = n;
  })->required();
  add_real_option(verb, "--noise",
                  "standard deviation of the errors, over the rms of the outputs (0)", kNotNegative,
                  [o](double s) { o->errors.noise = s; });
  add_real_option(verb, "--gross", "share of the numbers of y with a gross error besides (0)",
                  kShare, [o](double f) { o->errors.gross = f; });
  add_real_option(verb, "--gross-size",
                  "standard deviation of those, over the rms of the outputs (10)", kNotNegative,
                  [o](double s) { o->errors.gross_size = s; });
  add_seed_option(verb, o->seed);
  verb.add_option("--out", o->out, "file to write x [n, d] and y [n, p] to, .safetensors or .npz")
      ->required();
  add_device_options(verb, o->device);
  verb.callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace crease
