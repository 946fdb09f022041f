// crease show: what is in a file.
#include <crease/answer_log.hpp>
#include <crease/files.hpp>
#include <crease/gaussian.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "src/cli/print_lines.hpp"
#include "src/cli/show_smooth.hpp"
#include "src/cli/verbs.hpp"
#include "src/files/network_parts.hpp"

namespace crease {
namespace {

void print_metadata(const TensorFile& file) {
  std::set<std::string> types;
  for (const auto& [name, tensor] : file.tensors) types.insert(tensor.type);
  print_line("numbers", fmt::format("{}", fmt::join(types, ", ")));
  std::vector<std::string> words;
  for (const auto& [name, value] : file.metadata) words.push_back(name + "=" + value);
  if (!words.empty()) print_line("metadata", fmt::format("{}", fmt::join(words, ", ")));
}

void print_network(const ReluNetwork& network) {
  std::vector<double> weights, outputs, products, distances;
  Index dead = 0;
  for (Index i = 0; i < network.neurons(); ++i) {
    if (is_dead(network, i)) {
      ++dead;
      continue;
    }
    const double* row = network.weights.row(i);
    const double weight = norm({row, row + network.inputs()});
    std::vector<double> column;
    for (Index o = 0; o < network.outputs(); ++o) column.push_back(network.output(o, i));
    weights.push_back(weight);
    outputs.push_back(norm(column));
    products.push_back(std::pow(weight, network.power) * norm(column));
    distances.push_back(-network.bias(i, 0) / weight);
  }
  const std::vector<double> slopes = norms_of_rows(network.linear);
  const bool affine = std::any_of(slopes.begin(), slopes.end(), [](double s) { return s != 0; });

  print_line("inputs", fmt::format("{}", network.inputs()));
  print_line("outputs", fmt::format("{}", network.outputs()));
  print_line("neurons", fmt::format("{} ({} live, {} dead)", network.neurons(),
                                    network.neurons() - dead, dead));
  const bool relu = network.power == 1;
  if (!relu) print_line("power", fmt::format("{}, no biases", network.power));
  print_line("linear part", affine ? "yes" : "no");
  print_line("standard deviation",
             fmt::format("{:.5g} under N(0, I)", gaussian_standard_deviation(network)));
  print_spread_head();
  print_spread("|w|", weights);
  print_spread("|u|", outputs);
  print_spread(relu ? "|u| |w|" : "|u| |w|^power", products);
  if (relu) print_spread("-bias / |w|", distances);
  if (affine) print_spread("linear part, rows", slopes);
  if (relu) print_spread("constant", numbers_of(network.constant));
}

void print_log(const std::string& path) {
  const LogSummary log = summarize_log(path);
  print_line(path, "a log of answers");
  for (const auto& [name, value] : log.facts) print_line(name, value);
  print_line("answers", fmt::format("{} in {} batches, {} of them reused from other logs",
                                    log.answers, log.batches, log.reused));
  for (std::size_t run = 0; run < log.runs.size(); ++run) {
    const auto& [control, ended] = log.runs[run];
    print_line(fmt::format("run {}", run + 1),
               fmt::format("{} ({})", ended.empty() ? "killed" : ended, control));
  }
}

int show(const std::string& path) {
  if (is_answer_log(path)) {
    print_log(path);
    return kExitOk;
  }
  const TensorFile file = read_tensors(path);
  if (holds_smooth_network(file)) {
    const SmoothNetwork network = smooth_network_in(path, file);
    print_line(path, network.layers() == 1 ? "a network with one hidden layer of smooth neurons"
                                           : "a network with two hidden layers of smooth neurons");
    print_metadata(file);
    print_smooth_network(network);
    return kExitOk;
  }
  const bool is_network = file.tensors.contains("0.weight") && file.tensors.contains("2.weight");
  if (is_network) {
    const ReluNetwork network = relu_network_in(path, file);
    print_line(path, network.power == 1 ? "a network with one hidden ReLU layer"
                                        : "a network with one hidden layer of rectified powers");
    print_metadata(file);
    print_network(network);
    return kExitOk;
  }
  print_line(path, "arrays");
  print_metadata(file);
  for (const auto& [name, tensor] : file.tensors) {
    print_line(name, fmt::format("[{}] {}", fmt::join(tensor.shape, ", "), tensor.type));
  }
  return kExitOk;
}

}  // namespace

void add_show(CLI::App& app, int& exit_code) {
  auto path = std::make_shared<std::string>();
  CLI::App& verb = *app.add_subcommand("show", "print what is in a file");
  verb.add_option("FILE", *path, "a network, any .safetensors or .npz, or the log of a learn")
      ->required();
  verb.callback([path, &exit_code] { exit_code = show(*path); });
}

}  // namespace crease
