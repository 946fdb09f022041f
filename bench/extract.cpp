// crease_extract: plants a Gaussian network, learns it with its width unknown, prints one JSON
// line.
#include <sys/resource.h>
#include <crease/crease.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/cpu_seconds.hpp"
#include "kernels/ops.hpp"
#include "src/cli/cuda_choice.hpp"
#include "src/families.hpp"

namespace crease {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct Options {
  FamilyPlan plan;
  std::uint64_t seed = 0;
  std::string device = "cpu";
  int threads = 0;
  double accuracy = 1e-8;
  Index device_bytes = Budget{}.device_bytes;
  std::optional<double> seconds;
  bool progress = false;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// "cpu", "cuda" or "cuda:N".
std::unique_ptr<Device> open(const Options& options) {
  if (options.device == "cpu") return make_cpu_device({.threads = options.threads});
  if (!built_with_cuda()) throw DeviceError("--device cuda: this build has no CUDA backend");
  const int id = options.device == "cuda" ? 0 : std::stoi(options.device.substr(5));
  if (id >= gpus_at_hand()) {
    throw DeviceError("--device " + options.device + ": expected a GPU of that number, found " +
                      std::to_string(gpus_at_hand()));
  }
  return open_gpu(false, id);
}

/// Products and sums a second of this device in a square GEMM: what every floor is measured in.
double gemm_rate(Device& device, Index n) {
  DeviceMatrix a(device, n, n), b(device, n, n), c(device, n, n);
  fill_gaussian(device, Seed{1}, 0, 0, 1.0, a);
  fill_gaussian(device, Seed{1}, 1, 0, 1.0, b);
  double best = std::numeric_limits<double>::infinity();
  for (int repeat = 0; repeat < 6; ++repeat) {  // the first one warms up
    device.synchronize();
    const auto start = Clock::now();
    multiply(device, a, Transpose::no, b, Transpose::no, 1.0, 0.0, c);
    device.synchronize();
    if (repeat > 0) best = std::min(best, seconds_since(start));
  }
  return 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) / best;
}

/// Megahertz right now: of the first core, or of the GPU and its memory as its driver's own tool
/// says; null where nobody says.
Json clocks(const Options& options) {
  if (options.device == "cpu") {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
      if (line.rfind("cpu MHz", 0) == 0) {
        return {{"core", std::stod(line.substr(line.find(':') + 1))}};
      }
    }
    return nullptr;
  }
  const std::string id = options.device == "cuda" ? "0" : options.device.substr(5);
  const std::string command = "nvidia-smi -i " + id +
                              " --query-gpu=clocks.sm,clocks.mem --format=csv,noheader,nounits "
                              "2>/dev/null";
  double sm = 0, memory = 0;
  std::FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return nullptr;
  const int read = std::fscanf(pipe, "%lf, %lf", &sm, &memory);
  pclose(pipe);
  if (read != 2) return nullptr;
  return {{"sm", sm}, {"memory", memory}};
}

/// The least work that the questions of each stage are, F and F' both counted where both are
/// evaluated, for a network that is a black box on this device:
///   a point   2 k (d + p), and as much again for F'; on a line 2 k (1 + p), on a fan 2 k (1 + p)
///             besides the products of centres and directions with the weights
///   lines     the first line asks F alone; counted as if all did: F' costs no more
/// and of the regression over q = k + 1 features and n rows: n q^2 + q^3 / 3 (Gram matrix and its
/// factor). Work on the host, kernels that only move numbers and exact integrals count as nothing.
Json floors(const RunReport& report, Index target_neurons, double rate) {
  const auto k = static_cast<double>(target_neurons);
  const auto d = static_cast<double>(report.inputs);
  const auto p = static_cast<double>(report.outputs);
  const auto asked = [&](const char* stage) {
    const auto found = report.queries.find(stage);
    return found == report.queries.end() ? 0.0 : static_cast<double>(found->second);
  };
  const double point = 2 * k * (d + p);
  const double along = 2 * k * (1 + p);
  const double q = k + 1;
  const double rows = report.least_squares.solver.empty() ? 0 : 2 * q + 32;
  Json seconds;
  seconds["noise"] = asked("noise") * point / rate;
  seconds["lines"] = asked("lines") * along / rate;
  seconds["gradients"] = asked("gradients") * (along + point / d) / rate;
  seconds["hunt"] = 2 * asked("hunt") * point / rate;
  seconds["looks"] = 2 * asked("looks") * point / rate;
  seconds["least_squares"] =
      (2 * asked("least_squares") * point + rows * q * q + (rows > 0 ? q * q * q / 3 : 0)) / rate;
  seconds["certificate"] = 2 * asked("certificate") * point / rate;
  return seconds;
}

/// What peak_device_bytes consists of: F and F' (weights, bias, output), the feature chunk, the
/// regression's Gram matrix.
Json memory(const RunReport& report, Index target_neurons, Index device_bytes) {
  constexpr Index kElement = sizeof(double);
  const Index row = report.inputs + report.outputs + 1;
  const Index q = report.neurons + 1;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {{"peak_device_bytes", report.peak_device_bytes},
          {"networks_bytes", kElement * row * (target_neurons + report.neurons)},
          {"gram_bytes", report.least_squares.solver.empty() ? 0 : kElement * q * q},
          {"budget_device_bytes", device_bytes},
          {"peak_host_bytes", static_cast<Index>(usage.ru_maxrss) * 1024}};
}

Json exact_check(const ReluNetwork& target, const ReluNetwork& learned) {
  const NetworkMatch found = match(target, learned);
  return {{"neurons", found.target},
          {"matched", found.matched},
          {"merged", found.merged},
          {"missing", found.missing},
          {"spurious", found.spurious},
          {"hyperplanes", found.hyperplanes},
          {"scales", found.scales},
          {"weights", found.weights},
          {"biases", found.biases},
          {"worst", std::max({found.hyperplanes, found.scales, found.weights, found.biases})}};
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

Json extract(const Options& options) {
  Json line;
  line["inputs"] = options.plan.inputs;
  line["neurons"] = options.plan.neurons;
  line["outputs"] = options.plan.outputs;
  line["seed"] = options.seed;
  line["accuracy"] = options.accuracy;
  line["started"] = utc_now();
  const auto device = open(options);
  line["device"] = device->name();
  const bool on_cpu = options.device == "cpu";
  const double rate = gemm_rate(*device, on_cpu ? 1024 : 8192);

  auto start = Clock::now();
  const ReluNetwork target = make_family(options.plan, Seed{options.seed});
  const auto oracle = make_network_oracle(target);
  const double plant_seconds = seconds_since(start);

  QueryProblem problem;
  problem.accuracy = options.accuracy;
  RunControl run;
  run.seed = Seed{options.seed};
  run.budget.device_bytes = options.device_bytes;
  run.budget.seconds = options.seconds;
  std::vector<Index> found;  // neurons at every look: one after each line
  run.log = [&](const Event& event) {
    if (event.stage == "looks") found.push_back(event.neurons);
    if (!options.progress) return;
    std::fprintf(stderr, "%s %s: %lld queries, %lld kinks, %lld neurons, error %.2g, %.1f s\n",
                 event.stage.c_str(), event.message.c_str(), static_cast<long long>(event.queries),
                 static_cast<long long>(event.kinks), static_cast<long long>(event.neurons),
                 event.relative_error.value_or(0), event.seconds);
  };
  const Learned<ReluNetwork> learned = learn_from_queries(*device, *oracle, problem, {}, run);
  const RunReport& report = learned.report;
  line["clocks_mhz"] = clocks(options);

  line["outcome"] = to_string(report.outcome);
  line["message"] = report.message;
  line["found"] = report.neurons;
  line["found_by_line"] = found;
  line["queries"] = {{"total", report.learning_queries + report.certificate_queries},
                     {"learning", report.learning_queries},
                     {"certificate", report.certificate_queries}};
  for (const auto& [stage, count] : report.queries) {
    if (stage != "certificate") line["queries"][stage] = count;
  }
  line["per_parameter"] =
      static_cast<double>(report.learning_queries) /
      (static_cast<double>(options.plan.neurons) * static_cast<double>(options.plan.inputs + 1));
  line["rounds"] = report.rounds;
  line["seconds"] = {{"total", report.total_seconds}};
  for (const auto& [stage, seconds] : report.seconds) line["seconds"][stage] = seconds;
  line["seconds"]["plant"] = plant_seconds;
  line["gemm_gflops"] = rate * 1e-9;
  line["floors"] = floors(report, options.plan.neurons, rate);
  line["memory"] = memory(report, options.plan.neurons, options.device_bytes);
  line["relative_error"] = report.relative_error ? Json(*report.relative_error) : Json();
  start = Clock::now();
  line["exact"] = exact_check(target, learned.network);
  line["seconds"]["exact"] = seconds_since(start);
  line["cpu_seconds"] = cpu_seconds();
  line["least_squares"] = {{"solver", report.least_squares.solver},
                           {"condition", report.least_squares.condition},
                           {"accepted", report.least_squares.accepted}};
  line["warnings"] = report.warnings;
  return line;
}

}  // namespace
}  // namespace crease

int main(int argc, char** argv) {
  using namespace crease;
  Options o;
  CLI::App app("Plants a Gaussian network, learns it from its answers, prints one JSON line.",
               "crease_extract");
  const auto positive = CLI::Range(Index{1}, std::numeric_limits<Index>::max());
  app.add_option("--inputs", o.plan.inputs, "d")->required()->check(positive);
  app.add_option("--neurons", o.plan.neurons, "k: planted, not told")->required()->check(positive);
  app.add_option("--outputs", o.plan.outputs, "p (1)")->check(positive);
  app.add_option("--seed", o.seed, "of the planted network and of the run (0)");
  app.add_option("--device", o.device, "cpu, cuda or cuda:N (cpu)")
      ->check([](const std::string& name) -> std::string {
        const bool numbered =
            name.rfind("cuda:", 0) == 0 && name.size() > 5 && name.size() < 9 &&
            std::all_of(name.begin() + 5, name.end(), [](char c) { return c >= '0' && c <= '9'; });
        return name == "cpu" || name == "cuda" || numbered ? "" : "expected cpu, cuda or cuda:N";
      });
  app.add_option("--threads", o.threads, "of the CPU (all cores)")->check(CLI::Range(1, 4096));
  app.add_option("--accuracy", o.accuracy, "wanted relative error (1e-8)")
      ->check(CLI::PositiveNumber);
  app.add_option("--device-bytes", o.device_bytes, "scratch of one chunk (2^30)")->check(positive);
  app.add_option("--seconds", o.seconds, "most seconds of the run (no limit)")
      ->check(CLI::PositiveNumber);
  app.add_flag("--progress", o.progress, "say on stderr what is going on");
  CLI11_PARSE(app, argc, argv);
  try {
    const Json line = extract(o);
    std::cout << line.dump() << std::endl;
    return line["outcome"] == "reached" ? 0 : 3;
  } catch (const std::exception& error) {
    std::cerr << "crease_extract: " << error.what() << '\n';
    return 2;
  }
}
