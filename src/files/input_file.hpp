// A file that is read by position.
#pragma once

#include <cstdint>
#include <string>

namespace crease {

/// Opens a regular file. Everything throws FileError that names the file.
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }

  /// Bytes offset .. offset + bytes - 1, all of them.
  void read(std::uint64_t offset, void* data, std::size_t bytes) const;

 private:
  std::string path_;
  std::uint64_t size_ = 0;
  int descriptor_ = -1;
};

}  // namespace crease
