// A file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace crease {

/// Written under a temporary name in the directory of `path`; commit() flushes it and renames it to
/// `path`. Without commit() the temporary is removed and `path` stays as it was. A symbolic link at
/// `path` stays a link: the file it leads to is replaced. Everything throws FileError.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// After all that was written so far.
  void write(const void* data, std::size_t bytes);
  /// From byte `offset` on; where write() goes on does not change. A file of which a byte was never
  /// written holds 0 there.
  void write_at(std::uint64_t offset, const void* data, std::size_t bytes);
  std::uint64_t written() const { return written_; }  // by write()
  void commit();

 private:
  [[noreturn]] void fail(const std::string& what) const;

  std::string path_;       // as the caller wrote it, for messages
  std::string target_;     // links followed
  std::string temporary_;  // empty once it is gone
  int descriptor_ = -1;
  std::uint64_t written_ = 0;
};

}  // namespace crease
