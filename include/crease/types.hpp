// Sizes, seeds, error classes: the words every other header uses.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace crease {

/// Every size and position. Narrowed only at a vendor call, after a check.
using Index = std::int64_t;

/// The one number a run's randomness comes from.
struct Seed {
  std::uint64_t value = 0;
};

/// Base of everything crease throws.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The caller broke a documented condition. Thrown before anything ran.
class BadInput : public Error {
 public:
  using Error::Error;
};

/// CUDA, a vendor library or the memory of a device refused.
class DeviceError : public Error {
 public:
  using Error::Error;
};

/// The black box threw, or answered something that is no answer.
class OracleError : public Error {
 public:
  using Error::Error;
};

/// A file is not what it says it is, or cannot be read or written.
class FileError : public Error {
 public:
  using Error::Error;
};

/// Throws BadInput with `what` unless `ok`. Checks in every build type.
inline void require(bool ok, std::string_view what) {
  if (!ok) throw BadInput(std::string(what));
}

}  // namespace crease
