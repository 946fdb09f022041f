// A full disk, to whoever writes.
#pragma once

#include <sys/resource.h>

#include <csignal>

namespace crease {

/// No file grows beyond so many bytes, neither here nor in programs started meanwhile: to a program
/// the same as a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : before_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &limit_);
    const rlimit smaller{bytes, limit_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &smaller);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &limit_);
    std::signal(SIGXFSZ, before_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  void (*before_)(int);
  rlimit limit_{};
};

}  // namespace crease
