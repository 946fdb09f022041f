// Two networks at the same Gaussian points.
#pragma once

#include <vector>

#include "src/device_network.hpp"

namespace crease {

/// F and F' at the rows of one stream of N(0, I), as many rows at a time as take 2^22 numbers.
class SampledPair {
 public:
  /// rows  that will be asked for at a time, at most. Throws BadInput on networks of different
  ///       inputs or outputs.
  SampledPair(Device& device, const ReluNetwork& f, const ReluNetwork& g, Seed seed,
              std::uint64_t stream, Index rows);

  /// Appends |F - F'| (Euclidean norm over the outputs) at rows first .. first + count - 1; and
  /// |F|, where that is wanted. Waits.
  void errors(Index first, Index count, std::vector<double>& errors,
              std::vector<double>* sizes = nullptr);

  /// The point of a row, [1, d]. Waits.
  HostMatrix point(Index row);

 private:
  DeviceView points(Index first, Index rows);

  Device& device_;
  DeviceNetwork f_, g_;
  Seed seed_;
  std::uint64_t stream_;
  Index most_rows_;
  DeviceMatrix x_, y_, z_;
};

}  // namespace crease
