// Any bytes as a file of arrays: safetensors, or npz where they begin like a zip archive.
#include "tests/fuzz/tensor_promises.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const crease::fuzz::FuzzedFile file(data, size);
  try {
    crease::fuzz::check_tensors(crease::read_tensors(file.path()));
  } catch (const crease::FileError&) {
  }
  return 0;
}
