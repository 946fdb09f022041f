// The words of the process protocol: a request's head, and a reply that comes in pieces.
#pragma once

#include <crease/matrix.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <string>

namespace crease {

/// int64 rows, int64 columns, little-endian.
std::array<char, 16> frame_head(Index rows, Index cols);

/// A reply on its way into the rows of y. It must be exactly y's shape.
class Reply {
 public:
  /// y without gaps between its rows.
  explicit Reply(HostView y);

  /// Takes the next bytes as they come. Throws OracleError at the first that cannot belong to the
  /// reply: a head with other numbers, or a byte after the end.
  void take(std::span<const char> bytes);

  bool whole() const { return got_ == expected_; }
  Index bytes() const { return got_; }  // so far
  Index expected_bytes() const { return expected_; }

 private:
  void check_head() const;

  HostView y_;
  Index expected_;
  Index got_ = 0;
  std::array<char, 16> head_{};
};

/// Text from a program, for a message: one line, at most `most` bytes, what cannot be printed as
/// dots.
std::string printable(std::string_view text, std::size_t most);

}  // namespace crease
