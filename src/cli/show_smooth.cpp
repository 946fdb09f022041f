// A smooth network, layer by layer.
#include "src/cli/show_smooth.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "src/cli/print_lines.hpp"

namespace crease {

void print_smooth_network(const SmoothNetwork& network) {
  const std::vector<double> slopes = norms_of_rows(network.linear);
  const bool affine = std::any_of(slopes.begin(), slopes.end(), [](double s) { return s != 0; });
  const bool two = network.layers() == 2;

  print_line("inputs", fmt::format("{}", network.inputs()));
  print_line("outputs", fmt::format("{}", network.outputs()));
  for (Index l = 0; l < network.layers(); ++l) {
    const Activation activation = network.hidden[static_cast<std::size_t>(l)].activation;
    print_line(two ? fmt::format("hidden layer {}", l + 1) : "hidden layer",
               fmt::format("{} neurons, {}", network.neurons(l), to_string(activation)));
  }
  print_line("linear part", affine ? "yes" : "no");
  print_spread_head();
  for (Index l = 0; l < network.layers(); ++l) {
    const SmoothNetwork::Layer& layer = network.hidden[static_cast<std::size_t>(l)];
    const std::string name = two ? fmt::format(" {}", l + 1) : "";
    print_spread("|w|" + name, norms_of_rows(layer.weights));
    print_spread("bias" + name, numbers_of(layer.bias));
  }
  print_spread("|u|", norms_of_columns(network.output));
  if (affine) print_spread("linear part, rows", slopes);
  print_spread("constant", numbers_of(network.constant));
}

}  // namespace crease
