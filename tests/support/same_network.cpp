// Two networks, part by part.
#include "tests/support/same_network.hpp"

namespace crease {
namespace {

struct Part {
  const char* name;
  const HostMatrix& got;
  const HostMatrix& expected;
};

testing::AssertionResult same_parts(const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    testing::AssertionResult same = same_bits(part.got, part.expected);
    if (!same) return same << " (" << part.name << ")";
  }
  return testing::AssertionSuccess();
}

}  // namespace

testing::AssertionResult same_bits(const ReluNetwork& got, const ReluNetwork& expected) {
  if (got.power != expected.power) {
    return testing::AssertionFailure() << "powers " << got.power << " and " << expected.power;
  }
  return same_parts({{"weights", got.weights, expected.weights},
                     {"bias", got.bias, expected.bias},
                     {"output", got.output, expected.output},
                     {"linear", got.linear, expected.linear},
                     {"constant", got.constant, expected.constant}});
}

testing::AssertionResult same_bits(const SmoothNetwork& got, const SmoothNetwork& expected) {
  if (got.layers() != expected.layers()) {
    return testing::AssertionFailure() << got.layers() << " and " << expected.layers() << " layers";
  }
  for (std::size_t l = 0; l < got.hidden.size(); ++l) {
    const SmoothNetwork::Layer &a = got.hidden[l], &b = expected.hidden[l];
    if (a.activation != b.activation) {
      return testing::AssertionFailure()
             << to_string(a.activation) << " and " << to_string(b.activation);
    }
    const testing::AssertionResult same =
        same_parts({{"weights", a.weights, b.weights}, {"bias", a.bias, b.bias}});
    if (!same) return same;
  }
  return same_parts({{"output", got.output, expected.output},
                     {"linear", got.linear, expected.linear},
                     {"constant", got.constant, expected.constant}});
}

}  // namespace crease
