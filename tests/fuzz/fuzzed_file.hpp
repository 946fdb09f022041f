// The bytes of a fuzzer as a file.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace crease::fuzz {

/// In memory, under a path that opens as a regular file; gone when this object is.
class FuzzedFile {
 public:
  FuzzedFile(const void* data, std::size_t size) : descriptor_(memfd_create("fuzzed", 0)) {
    const char* next = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t written = write(descriptor_, next, size);
      if (written <= 0) std::abort();  // no memory for a file of a few kilobytes
      next += written;
      size -= static_cast<std::size_t>(written);
    }
  }
  explicit FuzzedFile(const std::string& bytes) : FuzzedFile(bytes.data(), bytes.size()) {}
  ~FuzzedFile() { close(descriptor_); }
  FuzzedFile(const FuzzedFile&) = delete;
  FuzzedFile& operator=(const FuzzedFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// What a reader promises of what it returns; a fuzzer stops where it is not so.
inline void promise(bool kept, const char* what) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

}  // namespace crease::fuzz
