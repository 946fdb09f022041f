// crease make: a planted network of a family, as a file.
#include <crease/files.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "src/cli/make_smooth.hpp"
#include "src/cli/number_options.hpp"
#include "src/cli/verbs.hpp"
#include "src/comma_list.hpp"
#include "src/families.hpp"
#include "src/gaussian_powers.hpp"

namespace crease {
namespace {

struct MakeOptions {
  FamilyPlan plan;
  SmoothOptions smooth;
  std::optional<Index> neurons;
  std::optional<Index> on;
  CLI::Option* spread = nullptr;
  Seed seed;
  std::string out;
  std::vector<std::pair<CLI::Option*, std::string>> owned;  // option, its families
};

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// Whether `family` (one name, or a comma list) has a member of `owners`.
bool has_member(const std::string& family, const std::string& owners) {
  if (family == "mix") return owners != kSmooth;
  const std::vector<std::string> members = words_of(family);
  const std::vector<std::string> wanted = words_of(owners);
  return std::any_of(wanted.begin(), wanted.end(),
                     [&](const std::string& name) { return contains(members, name); });
}

void settle_neurons(MakeOptions& options) {
  const std::string& family = options.plan.family;
  constexpr Index kBump = 3;
  if (options.on && family != "bump") {
    throw CLI::ValidationError("--on", "expected only with the family bump alone");
  }
  if (family == "bump") {
    const Index wanted = options.on ? *options.on + kBump : options.neurons.value_or(kBump);
    if (options.neurons && *options.neurons != wanted) {
      throw CLI::ValidationError(
          "--neurons", fmt::format("expected {}, three more than --on; or leave it out", wanted));
    }
    options.plan.neurons = wanted;
  } else if (family == "affine" || family == "constant") {
    options.plan.neurons = options.neurons.value_or(0);
  } else if (options.neurons) {
    options.plan.neurons = *options.neurons;
  } else {
    throw CLI::ValidationError("--neurons", fmt::format("expected with the family {}", family));
  }
}

void require_own_options(const MakeOptions& options) {
  for (const auto& [option, owners] : options.owned) {
    if (option->count() > 0 && !has_member(options.plan.family, owners)) {
      throw CLI::ValidationError(
          option->get_name(), fmt::format("belongs to {}, not to {}", owners, options.plan.family));
    }
  }
  if (options.plan.power) {
    if (*options.plan.power > kMostPower) {
      throw CLI::ValidationError("--power", fmt::format("expected at most {}", kMostPower));
    }
    if (options.plan.family != "gaussian") {
      throw CLI::ValidationError("--power", "expected with the family gaussian alone");
    }
    if (options.spread->count() > 0) {
      throw CLI::ValidationError("--spread", "expected without --power, which means no biases");
    }
  }
}

int make(MakeOptions& options) {
  const std::string& family = options.plan.family;
  if (family != kSmooth && contains(words_of(family), kSmooth)) {
    throw CLI::ValidationError("FAMILY", "expected smooth alone: it is no part of a mix");
  }
  require_own_options(options);
  settle_neurons(options);
  if (family == kSmooth) {
    SmoothPlan& plan = options.smooth.plan;
    plan.inputs = options.plan.inputs;
    plan.neurons = options.plan.neurons;
    plan.outputs = options.plan.outputs;
    make_smooth(options.smooth, options.seed, options.out);
    return kExitOk;
  }
  require_tensors_writable(options.out);
  const ReluNetwork network = make_family(options.plan, options.seed);
  save_network(options.out, network);
  const std::string power = options.plan.power ? fmt::format(" power {}", network.power) : "";
  fmt::print("{}: {}{}, {} inputs, {} neurons, {} outputs, seed {}\n", options.out,
             options.plan.family, power, network.inputs(), network.neurons(), network.outputs(),
             options.seed.value);
  return kExitOk;
}

}  // namespace

void add_make(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<MakeOptions>();
  FamilyPlan& plan = options->plan;
  CLI::App& verb = *app.add_subcommand("make", "make a planted network");
  verb.add_option("FAMILY", plan.family,
                  fmt::format("{}; or several, separated by commas: a mix of these; or {}",
                              fmt::join(family_names(), ", "), kSmooth))
      ->required();
  add_whole_option(verb, "--inputs", "inputs d", 1, [&plan](Index d) {
    plan.inputs = d;
  })->required();
  add_whole_option(
      verb, "--neurons",
      "neurons k of the network (smooth: of its first layer); bump, affine, constant: optional", 0,
      [o = options.get()](Index k) { o->neurons = k; });
  add_whole_option(verb, "--outputs", "outputs p (1)", 1, [&plan](Index p) { plan.outputs = p; });
  add_seed_option(verb, options->seed);
  verb.add_option("--out", options->out, "file to write, .safetensors or .npz")->required();

  const auto own = [o = options.get()](CLI::Option* option, const std::string& owners) {
    o->owned.emplace_back(option, owners);
  };
  options->spread = add_real_option(verb, "--spread", "standard deviation of the biases (0.5)",
                                    kNotNegative, [&plan](double s) { plan.spread = s; });
  own(options->spread, "gaussian");
  add_real_option(verb, "--power",
                  "gaussian: U max(V x, 0)^P without biases and constant, also for P = 1",
                  kPositive, [&plan](double p) { plan.power = p; });
  own(add_real_option(verb, "--width", "bump: its width (0.1)", kPositive,
                      [&plan](double w) { plan.width = w; }),
      "bump");
  own(add_real_option(verb, "--offset", "bump: its distance from the origin (0.7)", kAnyReal,
                      [&plan](double a) { plan.offset = a; }),
      "bump");
  own(add_whole_option(verb, "--on", "bump: gaussian neurons beside it (0)", 0,
                       [o = options.get()](Index k) { o->on = k; }),
      "bump");
  own(add_real_option(verb, "--gap", "relative distance of close neurons (1e-4; cancelling 1e-3)",
                      kPositive, [&plan](double g) { plan.gap = g; }),
      "clusters,cancelling");
  own(add_whole_option(verb, "--size", "clusters: neurons close together (2)", 2,
                       [&plan](Index n) { plan.size = n; }),
      "clusters");
  own(add_whole_option(verb, "--biases", "parallel: neurons with the same weights (4)", 2,
                       [&plan](Index n) { plan.biases = n; }),
      "parallel");
  own(add_real_option(verb, "--distance", "rare: distance of a hyperplane (4)", kNotNegative,
                      [&plan](double t) { plan.distance = t; }),
      "rare");
  for (const auto& [option, owner] : add_smooth_options(verb, options->smooth)) own(option, owner);
  verb.callback([options, &exit_code] { exit_code = make(*options); });
}

}  // namespace crease
