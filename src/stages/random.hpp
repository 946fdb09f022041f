// The learner's own random decisions: a stream of normals and uniforms, the same on every backend.
#pragma once

#include <crease/matrix.hpp>

#include <map>
#include <random>
#include <vector>

#include "kernels/gaussian_sample.hpp"

namespace crease {

/// What a stream of the counter generator is used for: streams never overlap.
enum class Stream : std::uint64_t {
  lines,
  directions,
  looks,
  hunt,
  certificate,
  uniform_mode,
  rows,      // of the fit of noisy answers
  held_out,  // from it
  cells,
  planted_inputs,  // of examples made from a known network
  planted_noise,
  planted_gross,
  planted_gross_place,
};

/// The first d columns of x [n, d + 2] <- rows first_row ... of a stream, uniform in the unit ball
/// of R^d: so are the first d coordinates of a uniform point of the unit sphere of R^(d + 2).
/// Waits.
void fill_ball(Device& device, Seed seed, std::uint64_t stream, Index first_row, DeviceView x);

class Random {
 public:
  explicit Random(Seed seed) : seed_(seed), engine_(seed.value) {}

  Seed seed() const { return seed_; }

  /// The first of `count` rows of a stream that nobody else will get.
  Index take_rows(Stream stream, Index count) {
    Index& next = next_row_[stream];
    next += count;
    return next - count;
  }

  /// n fresh points of N(0, scale^2 I) in R^d.
  DeviceMatrix gaussian_points(Device& device, Stream stream, Index n, Index d, double scale = 1);

  /// n fresh points, uniform in the unit ball of R^d.
  DeviceMatrix ball_points(Device& device, Stream stream, Index n, Index d);

  /// d standard normals, independent of all before.
  std::vector<double> normals(Index d) {
    const Index row = take_rows(Stream::lines, 1);
    std::vector<double> out(static_cast<std::size_t>(d));
    for (std::size_t pair = 0; 2 * pair < out.size(); ++pair) {
      const NormalPair normal = normal_pair(seed_.value, static_cast<std::uint64_t>(Stream::lines),
                                            static_cast<std::uint64_t>(row), pair);
      out[2 * pair] = normal.first;
      if (2 * pair + 1 < out.size()) out[2 * pair + 1] = normal.second;
    }
    return out;
  }

  /// Uniform on [low, high).
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
  }

 private:
  Seed seed_;
  std::map<Stream, Index> next_row_;
  std::mt19937_64 engine_;  // its output is fixed by the standard
};

}  // namespace crease
