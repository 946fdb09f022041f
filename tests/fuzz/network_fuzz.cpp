// Any bytes as a network: what loads is one, to the last number.
#include "tests/fuzz/fuzzed_file.hpp"

#include <crease/files.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const crease::fuzz::FuzzedFile file(data, size);
  try {
    crease::check(crease::load_network(file.path()));  // throws BadInput, which nobody catches
  } catch (const crease::FileError&) {
  }
  return 0;
}
