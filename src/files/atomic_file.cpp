// Writing aside, flushing, renaming.
#include "src/files/atomic_file.hpp"

#include <crease/files.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace crease {

AtomicFile::AtomicFile(const std::string& path) : path_(path), target_(path) {
  if (path.empty()) throw FileError("cannot write: the name of the file is empty");
  std::error_code error;
  if (std::filesystem::is_symlink(path, error)) {
    target_ = std::filesystem::weakly_canonical(path, error).string();
    if (error) throw FileError("cannot write " + path + ": " + error.message());
  }
  mode_t mode = 0666;
  struct stat there {};
  if (stat(target_.c_str(), &there) == 0) {
    // Renaming over a device or a directory would replace it or fail late.
    if (!S_ISREG(there.st_mode)) {
      throw FileError("cannot write " + path + ": it is there and is not a regular file");
    }
    if (access(target_.c_str(), W_OK) != 0) fail("cannot write");
    mode = there.st_mode & 07777;
  } else if (errno != ENOENT) {
    fail("cannot write");
  } else if (target_.back() == '/') {
    throw FileError("cannot write " + path + ": expected the name of a file, not of a directory");
  }

  const std::filesystem::path directory = std::filesystem::path(target_).parent_path();
  for (int attempt = 0; descriptor_ < 0; ++attempt) {
    const std::string name =
        ".crease-" + std::to_string(getpid()) + "-" + std::to_string(attempt) + ".tmp";
    temporary_ = (directory / name).string();
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (descriptor_ < 0 && (errno != EEXIST || attempt == 1000)) {
      temporary_.clear();
      fail("cannot write");
    }
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::fail(const std::string& what) const {
  throw FileError(what + " " + path_ + ": " + std::strerror(errno));
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  write_at(written_, data, bytes);
  written_ += bytes;
}

void AtomicFile::write_at(std::uint64_t offset, const void* data, std::size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = pwrite(descriptor_, next, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot write");
    next += written;
    offset += static_cast<std::uint64_t>(written);
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  if (fsync(descriptor_) != 0) fail("cannot flush");
  const int descriptor = descriptor_;
  descriptor_ = -1;
  if (close(descriptor) != 0) fail("cannot close");
  if (rename(temporary_.c_str(), target_.c_str()) != 0) fail("cannot put in place");
  temporary_.clear();
}

void write_text(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

void require_writable(const std::string& path) {
  AtomicFile{path};
}

}  // namespace crease
