// Ways to launch a kernel in the emulator, and matrices that end where memory ends. Include it
// first, before the kernels.
#pragma once

#include "tests/support/simt_emulator.hpp"

#include <crease/matrix.hpp>

#include <string>
#include <vector>

namespace simt {

/// An order and a shape.
struct Way {
  LaneOrder order;
  dim3 grid;
  dim3 block;

  std::string name() const {
    const auto text = [](dim3 size) {
      return std::to_string(size.x) + " x " + std::to_string(size.y) + " x " +
             std::to_string(size.z);
    };
    return order.name() + ", grid " + text(grid) + ", block " + text(block);
  }
};

/// Every order with every grid, blocks alike.
inline std::vector<Way> ways(dim3 block, std::initializer_list<dim3> grids) {
  std::vector<Way> all;
  for (const LaneOrder order : kEveryOrder) {
    for (const dim3 grid : grids) all.push_back({order, grid, block});
  }
  return all;
}

/// For kernels with the loops of kernels/cuda/indexing.cuh, which cover any size from any shape: a
/// single narrow block, whose threads go round many times, and blocks that leave threads over.
inline std::vector<Way> ways_per_element() {
  std::vector<Way> all = ways({4, 16}, {1});
  for (const Way& way : ways({32, 8}, {dim3(5, 2)})) all.push_back(way);
  return all;
}

template <class Kernel>
void launch(const Way& way, const Kernel& kernel) {
  launch(way.grid, way.block, 0, way.order, kernel);
}

}  // namespace simt

namespace crease {

/// A matrix of the CPU without a stride, in place of a Padded one (tests/support/devices.hpp). The
/// page behind its last element may not be touched: who reads or writes there ends the program, in
/// every build.
class Fenced {
 public:
  /// Elements are NaN where there is no `values`.
  Fenced(Device& cpu, Index rows, Index cols);
  Fenced(Device& cpu, ConstHostView values);
  ~Fenced();
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;

  DeviceView view() { return inside_; }
  operator DeviceView() { return inside_; }
  operator ConstDeviceView() const { return inside_; }

  HostMatrix read() const;

 private:
  void* pages_;
  std::size_t bytes_;
  DeviceView inside_;
};

}  // namespace crease
