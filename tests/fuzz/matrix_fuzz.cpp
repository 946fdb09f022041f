// Any bytes as a file with points x.
#include <cmath>

#include "tests/fuzz/fuzzed_file.hpp"

#include <crease/files.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const crease::fuzz::FuzzedFile file(data, size);
  try {
    const crease::HostMatrix x = crease::load_matrix(file.path(), "x");
    for (crease::Index i = 0; i < x.size(); ++i) {
      crease::fuzz::promise(std::isfinite(x.data()[i]), "every number is finite");
    }
  } catch (const crease::FileError&) {
  }
  return 0;
}
