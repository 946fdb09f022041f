// A small SIMT emulator: includes and runs the genuine kernels (.cuh) under a C++ compiler.
//
//   #include "tests/support/simt_emulator.hpp"  // first: it says what __global__ and the rest mean
//   #include "kernels/cuda/pairs.cuh"
//   for (const simt::LaneOrder order : simt::kEveryOrder) {
//     simt::launch({2, 3}, {16, 16}, 0, order, [&] { pair_distances_kernel(a, b, out); });
//   }
//
// One block after another, one fiber per CUDA thread. A thread runs until it waits (barrier, warp
// operation) or returns; LaneOrder says which thread goes next, so that work between two barriers
// is done in very different orders. Shared memory is NaN (all bits set) when a block begins.
//
// launch() throws simt::Fault, naming kernel, thread and line, where
//   a barrier is not met by every thread of the block at the same line (one returned, or waits
//     elsewhere): stricter than the hardware, as the programming guide asks;
//   a warp operation is not met at the same line by every lane of its mask with the same mask, is
//     called by a lane outside its mask, or reads a lane outside of it;
//   the zone beside a __shared__ array or around dynamic shared memory was written to;
//   a launch is one that no GPU would take.
// Reading out of bounds: an error of AddressSanitizer where the build has it; elsewhere the zones
// beside shared arrays are NaN (256 bytes behind each; before the first array of a source file
// there is none), and so should be whatever surrounds a test's global memory
// (tests/support/devices.hpp: Padded). A missing barrier shows as NaN or as a result that depends
// on the order. What it cannot show: races that no order of whole stretches between two barriers
// reveals, memory consistency between blocks, speed. A thread that spins until another one writes
// spins for ever.
//
// What kernels must do for it:
//   include no CUDA header (the layer law sees to it); kernels are plain `__global__ void`;
//   declare one `__shared__` variable per line, without initialiser, any __align__(16) after it;
//   take dynamic shared memory by dynamic_shared<T>() of kernels/cuda/dynamic_shared.cuh, and
//     tensor core products and asynchronous copies by the functions of kernels/cuda/mma.cuh. The
//     two files are guarded by CREASE_DYNAMIC_SHARED_CUH and CREASE_MMA_CUH instead of #pragma
//     once, because simt_tiles.hpp defines both guards and stands in for them;
//   keep `__device__` functions `inline` or templates.
#pragma once

#include <math.h>  // CUDA has these names without std::

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace simt {

struct uint3 {
  unsigned x = 0;
  unsigned y = 0;
  unsigned z = 0;
};

struct dim3 {
  constexpr dim3(unsigned across = 1, unsigned down = 1, unsigned deep = 1)
      : x(across), y(down), z(deep) {}

  unsigned x;
  unsigned y;
  unsigned z;
};

/// Which of the threads that can go on goes next: the first, the last, or a random one; blocks too.
/// The random order also changes threads before atomic operations.
struct LaneOrder {
  enum Kind { forward, reverse, random } kind = forward;
  std::uint64_t seed = 0;

  std::string name() const;
};

/// Every emulated test runs all of them.
inline constexpr std::array kEveryOrder{
    LaneOrder{LaneOrder::forward}, LaneOrder{LaneOrder::reverse}, LaneOrder{LaneOrder::random, 1}};

/// A kernel did what is undefined on a GPU.
class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Runs `kernel` once per thread, like kernel<<<grid, block, dynamic_bytes>>>(...). An exception of
/// the kernel leaves launch() as it is. Not from inside a kernel, and one at a time.
void launch(dim3 grid, dim3 block, std::size_t dynamic_bytes, LaneOrder order,
            const std::function<void()>& kernel);

/// A place in a kernel's source. Defaulted arguments give the caller's.
struct Site {
  const char* file;
  int line;
  const char* function;

  static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE(),
                             const char* function = __builtin_FUNCTION()) {
    return {file, line, function};
  }
};

// The coordinates of the thread that runs, as in CUDA.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;

/// Waits for the whole block; the number of threads whose predicate holds.
int block_barrier(const char* what, bool predicate, Site where);

/// Filled with NaN beside each __shared__ variable, and looked at after each block.
struct GuardZone {
  alignas(16) unsigned char bytes[256];
};

}  // namespace simt

using simt::blockDim;
using simt::blockIdx;
using simt::dim3;
using simt::gridDim;
using simt::threadIdx;
using simt::uint3;

inline constexpr int warpSize = 32;

// Internal linkage: the library holds host stubs of the same names. `__noinline__` is left alone,
// libstdc++ uses it.
#define __global__ __attribute__((unused)) static
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))

// A static variable whose tag in the symbol table tells the emulator where it is; before it, such a
// zone.
#define CREASE_SIMT_JOIN(a, b) a##b
#define CREASE_SIMT_SHARED(line)                                                          \
  static __attribute__((used, abi_tag("simt_guard"))) ::simt::GuardZone CREASE_SIMT_JOIN( \
      simt_guard_, line); /* NOLINT */                                                    \
  static __attribute__((used, abi_tag("simt_shared")))
#define __shared__ CREASE_SIMT_SHARED(__LINE__)

inline void __syncthreads(simt::Site where = simt::Site::here()) {
  simt::block_barrier("__syncthreads", false, where);
}
inline int __syncthreads_count(int predicate, simt::Site where = simt::Site::here()) {
  return simt::block_barrier("__syncthreads_count", predicate != 0, where);
}
inline int __syncthreads_or(int predicate, simt::Site where = simt::Site::here()) {
  return simt::block_barrier("__syncthreads_or", predicate != 0, where) > 0 ? 1 : 0;
}
inline int __syncthreads_and(int predicate, simt::Site where = simt::Site::here()) {
  return simt::block_barrier("__syncthreads_and", predicate == 0, where) == 0 ? 1 : 0;
}

#include "tests/support/simt_warp.hpp"

// After the warp operations, on which it builds.
#include "tests/support/simt_tiles.hpp"
