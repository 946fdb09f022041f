// Any bytes as an .npy array, stored in an archive whose checksums are right; and its header alone.
#include <string>

#include "src/files/npy.hpp"
#include "tests/files/handmade_zip.hpp"
#include "tests/fuzz/tensor_promises.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  try {
    const crease::NpyHeader header = crease::parse_npy_header(bytes);
    for (const crease::Index each : header.shape) {
      crease::fuzz::promise(each >= 0, "a size is not negative");
    }
  } catch (const crease::FileError&) {
  }
  const crease::fuzz::FuzzedFile file(crease::make_zip({{"x.npy", bytes}}));
  try {
    crease::fuzz::check_tensors(crease::read_tensors(file.path()));
  } catch (const crease::FileError&) {
  }
  return 0;
}
