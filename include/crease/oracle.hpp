// Oracle: the black box a learner may ask, with structured batches; and the ready-made ones.
#pragma once

#include <crease/device.hpp>
#include <crease/network.hpp>

#include <functional>
#include <memory>
#include <span>

namespace crease {

/// Points origin + t * direction.
struct Line {
  ConstDeviceView origin;     // [1, d]
  ConstDeviceView direction;  // [1, d]
};

/// Points origins[l] + t[i] * directions[l] for first[l] <= i < first[l + 1].
struct Lines {
  ConstDeviceView origins;       // [m, d]
  ConstDeviceView directions;    // [m, d]
  std::span<const Index> first;  // [m + 1] on the host, ascending from 0 to the number of points

  Line line(Index l) const { return {origins.row_block(l, 1), directions.row_block(l, 1)}; }
};

/// Points centers[i] + steps(i, j) * directions[j], in the order i * q + j.
struct Fan {
  ConstDeviceView centers;     // [m, d]
  ConstDeviceView directions;  // [q, d]
  ConstDeviceView steps;       // [m, q]
};

/// A function F: R^d -> R^p that a learner may evaluate where it likes.
/// An oracle may throw; what it throws becomes Outcome::oracle_failed with its text.
class Oracle {
 public:
  virtual ~Oracle() = default;

  virtual Index input_dim() const = 0;   // d
  virtual Index output_dim() const = 0;  // p

  /// y [n, p] <- F(x), x [n, d] row by row, ordered after and before other work of `device`.
  virtual void answer(Device& device, ConstDeviceView x, DeviceView y) = 0;

  /// Structured batches. An oracle that can use the structure fills y and returns true; one that
  /// returns false (and leaves y alone) gets the same points through answer(). Every point is one
  /// query either way. Several lines of one round come together; unless answer_lines() is
  /// overridden, answer_line() gets them one after the other.
  virtual bool answer_line(Device& device, const Line& line, ConstDeviceView t, DeviceView y);
  virtual bool answer_lines(Device& device, const Lines& lines, ConstDeviceView t, DeviceView y);
  virtual bool answer_fan(Device& device, const Fan& fan, DeviceView y);

  /// Rows answered so far that were taken from another run's log (<crease/answer_log.hpp>): they
  /// are no queries and cost no budget. An oracle that wraps another passes its number on.
  virtual Index reused() const { return 0; }
};

/// A known network as a black box; lines and fans are answered without building their points.
/// It is uploaded to the device that asks first and must be destroyed before that device.
/// Throws BadInput as check() does.
std::unique_ptr<Oracle> make_network_oracle(ReluNetwork network);

/// y [n, p] <- F(x [n, d]) by a function on the host.
using HostFunction = std::function<void(ConstHostView x, HostView y)>;
std::unique_ptr<Oracle> make_host_oracle(Index inputs, Index outputs, HostFunction function);

}  // namespace crease
