// The programs of tests/children.
#include "tests/support/children.hpp"

namespace crease {
namespace {

std::string quoted(const std::string& word) {
  return "'" + word + "'";
}

}  // namespace

std::string python_child() {
  return quoted(CREASE_PYTHON) + " " + quoted(CREASE_SOURCE_DIR "/tests/children/answer.py");
}

std::string boxed_child(const std::string& limit) {
  return quoted(CREASE_PYTHON) + " " + quoted(CREASE_SOURCE_DIR "/tests/children/boxed.py") + " " +
         limit;
}

std::string cpp_child() {
  return quoted(CREASE_CHILD_ANSWER);
}

ReluNetwork answered_network() {
  ReluNetwork network;
  network.weights = HostMatrix{{1, -0.5, 0.25}, {-0.75, 1, 0.5}, {0.5, 0.5, -1}};
  network.bias = HostMatrix{{0.5}, {-0.25}, {0.125}};
  network.output = HostMatrix{{1, 0.5, -1}, {-0.5, 1, 0.75}};
  network.linear = HostMatrix(2, 3, 0.0);
  network.constant = HostMatrix(2, 1, 0.0);
  return network;
}

std::string misbehaving_child(const std::string& mode, Index after, Index outputs,
                              const std::string& folder) {
  // No shell stays between: what a test sees is the program's own end.
  std::string command = "exec " + quoted(CREASE_CHILD_MISBEHAVE) + " " + mode + " " +
                        std::to_string(after) + " " + std::to_string(outputs);
  return folder.empty() ? command : command + " " + quoted(folder);
}

ReluNetwork misbehaving_network(Index inputs, Index outputs) {
  ReluNetwork network;
  network.weights = HostMatrix(inputs, inputs, 0.0);
  network.bias = HostMatrix(inputs, 1);
  network.output = HostMatrix(outputs, inputs);
  network.linear = HostMatrix(outputs, inputs, 0.0);
  network.constant = HostMatrix(outputs, 1, 0.0);
  for (Index j = 0; j < inputs; ++j) {
    network.weights(j, j) = 1;
    network.bias(j, 0) = -static_cast<double>(j + 1) / 4;
    for (Index o = 0; o < outputs; ++o) network.output(o, j) = static_cast<double>(1 + o + j);
  }
  return network;
}

}  // namespace crease
