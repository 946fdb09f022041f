// What planted networks are drawn with: the counter generator, one stream a part.
#pragma once

#include <crease/matrix.hpp>

#include <cstdint>

#include <Random123/philox.h>

#include "kernels/gaussian_sample.hpp"

namespace crease {

/// Random matrices of one planted network, each a pure function of the seed, its stream and its
/// shape, bit for bit on every machine.
///
/// Part  an enumeration of what is drawn, from 0; the streams follow one another from first_stream,
///       which lies far from the learners', so that a target and its queries are independent even
///       under one seed.
template <class Part>
class PlantedDraw {
 public:
  PlantedDraw(Seed seed, std::uint64_t first_stream) : seed_(seed), first_stream_(first_stream) {}

  /// Standard normals times `scale`.
  HostMatrix operator()(Part part, Index rows, Index cols, double scale) const {
    HostMatrix normals(rows, cols);
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) {
        const NormalPair pair =
            normal_pair(seed_.value, stream(part), static_cast<std::uint64_t>(i),
                        static_cast<std::uint64_t>(j / 2));
        normals(i, j) = scale * (j % 2 == 0 ? pair.first : pair.second);
      }
    }
    return normals;
  }

  /// Uniform numbers of [low, high); 53 random bits each.
  HostMatrix uniform(Part part, Index rows, Index cols, double low, double high) const {
    HostMatrix numbers(rows, cols);
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) {
        numbers(i, j) = low + (high - low) * (static_cast<double>(bits(part, i, j)) * 0x1p-53);
      }
    }
    return numbers;
  }

 private:
  std::uint64_t stream(Part part) const { return first_stream_ + static_cast<std::uint64_t>(part); }

  std::uint64_t bits(Part part, Index i, Index j) const {
    const auto low = [](std::uint64_t word) { return static_cast<std::uint32_t>(word); };
    const auto high = [](std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32); };
    const auto row = static_cast<std::uint64_t>(i);
    const r123::Philox4x32::ctr_type words = r123::Philox4x32()(
        {{low(row), high(row), low(static_cast<std::uint64_t>(j)), low(stream(part))}},
        {{low(seed_.value), high(seed_.value)}});
    return (static_cast<std::uint64_t>(words[0]) << 21) | (words[1] >> 11);
  }

  Seed seed_;
  std::uint64_t first_stream_;
};

}  // namespace crease
