// XXH3, as its own header has it.
#include "src/digest.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <bit>
#include <cstdio>
#include <stdexcept>

namespace crease {

struct Digester::State {
  XXH3_state_t xxh;
};

Digester::Digester() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->xxh);
}

Digester::~Digester() = default;

Digester& Digester::add(std::string_view bytes) {
  XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size());
  return *this;
}

Digester& Digester::add(Index number) {
  XXH3_128bits_update(&state_->xxh, &number, sizeof number);
  return *this;
}

Digester& Digester::add(ConstHostView matrix) {
  add(matrix.rows).add(matrix.cols);
  const auto row = static_cast<std::size_t>(matrix.cols) * sizeof(double);
  for (Index i = 0; i < matrix.rows; ++i) {
    XXH3_128bits_update(&state_->xxh, matrix.data + i * matrix.ld, row);
  }
  return *this;
}

Digest Digester::digest() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->xxh);
  return {hash.low64, hash.high64};
}

Digest digest_of_point(const double* x, Index d) {
  const XXH128_hash_t hash = XXH3_128bits(x, static_cast<std::size_t>(d) * sizeof(double));
  return {hash.low64, hash.high64};
}

Digest digest_of(const ReluNetwork& network) {
  Digester digester;
  for (const HostMatrix* matrix :
       {&network.weights, &network.bias, &network.output, &network.linear, &network.constant}) {
    digester.add(*matrix);
  }
  if (network.power != 1) digester.add(std::bit_cast<Index>(network.power));
  return digester.digest();
}

std::string to_string(const Digest& digest) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(digest.high),
                static_cast<unsigned long long>(digest.low));
  return text;
}

}  // namespace crease
