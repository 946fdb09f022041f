// Digests of questions, points and networks: XXH3 with 128 bits.
#pragma once

#include <crease/answer_log.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace crease {

/// One digest of everything that is added, in order.
class Digester {
 public:
  Digester();
  ~Digester();
  Digester(const Digester&) = delete;
  Digester& operator=(const Digester&) = delete;

  Digester& add(std::string_view bytes);
  Digester& add(Index number);
  /// Shape and elements.
  Digester& add(ConstHostView matrix);
  Digest digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Of d numbers that follow one another.
Digest digest_of_point(const double* x, Index d);

/// Of all weights of a network, and of its power where that is not 1; names it where a log says
/// whose answers it holds.
Digest digest_of(const ReluNetwork& network);

/// 32 hexadecimal digits.
std::string to_string(const Digest& digest);

}  // namespace crease
