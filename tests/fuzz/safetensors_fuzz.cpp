// A safetensors file whose first eight bytes are right: what is fuzzed is its header and its data.
#include <algorithm>
#include <string>

#include "tests/files/file_bytes.hpp"
#include "tests/fuzz/tensor_promises.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The header ends with the first line; the data follow.
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(bytes.find('\n'), bytes.size());
  const crease::fuzz::FuzzedFile file(
      crease::safetensors(bytes.substr(0, end), bytes.substr(std::min(end + 1, bytes.size()))));
  try {
    crease::fuzz::check_tensors(crease::read_tensors(file.path()));
  } catch (const crease::FileError&) {
  }
  return 0;
}
