// The time that processors have spent on this process.
#pragma once

#include <sys/resource.h>

namespace crease {

/// Seconds of all its threads, in user and in system mode.
inline double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

}  // namespace crease
