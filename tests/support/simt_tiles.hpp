// Dynamic shared memory, asynchronous copies and tensor core products for emulated kernels: the
// functions of kernels/cuda/dynamic_shared.cuh and kernels/cuda/mma.cuh. A part of
// simt_emulator.hpp: include that one.
#pragma once

#include <cmath>

// The guards of the two files whose place this one takes.
#define CREASE_DYNAMIC_SHARED_CUH
#define CREASE_MMA_CUH

namespace simt {

/// The block's dynamic shared memory: NaN at first, between two zones that nobody may touch.
void* dynamic_shared_bytes();

/// Reads the source now and writes it at the wait; until then the target is NaN, so that reading it
/// early shows, and so does a copy over what others still read. Fault unless both are aligned.
void copy_async(void* shared, const void* global, int bytes, Site where);
void copy_async_commit();

/// Finishes all but the newest `pending` committed groups of this thread.
void copy_async_wait(int pending);

}  // namespace simt

namespace crease {

/// As in kernels/cuda/dynamic_shared.cuh.
template <class T>
T* dynamic_shared() {
  return static_cast<T*>(simt::dynamic_shared_bytes());
}

// As in kernels/cuda/mma.cuh; PTX ISA, "cp.async", "cp.async.commit_group", "cp.async.wait_group".
// A thread sees its own copies after its wait; the others see them after a barrier more.
inline void copy_async_16(void* shared, const void* global, simt::Site where = simt::Site::here()) {
  simt::copy_async(shared, global, 16, where);
}
inline void copy_async_8(void* shared, const void* global, simt::Site where = simt::Site::here()) {
  simt::copy_async(shared, global, 8, where);
}
inline void copy_async_commit() {
  simt::copy_async_commit();
}
template <int kPending>
void copy_async_wait() {
  simt::copy_async_wait(kPending);
}

/// c += a b by one warp: a [16, 8], b [8, 8], c [16, 8]; every lane must come. With group = lane /
/// 4 and place = lane % 4 a lane holds
///   a[i] = A(group + 8 (i % 2), place + 4 (i / 2))
///   b[i] = B(place + 4 i, group)
///   c[i] = C(group + 8 (i / 2), 2 place + i % 2)
/// Source: PTX ISA, "Matrix Fragments for mma.m16n8k8", type .f64; in which order the hardware adds
/// the eight products is not said there (here: fused, in order).
inline void mma_f64_16x8x8(double (&c)[4], const double (&a)[4], const double (&b)[2],
                           simt::Site where = simt::Site::here()) {
  struct Fragments {
    double a[4];
    double b[2];
  };
  const Fragments mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const auto all = simt::warp_exchange("mma_f64_16x8x8", simt::kFullMask, mine, where);
  const int group = simt::lane_id() / 4;
  const int place = simt::lane_id() % 4;
  for (int k = 0; k < 8; ++k) {
    const Fragments left = all[4 * group + k % 4];
    for (int column = 0; column < 2; ++column) {
      const double right = all[4 * (2 * place + column) + k % 4].b[k / 4];
      c[column] = std::fma(left.a[2 * (k / 4)], right, c[column]);
      c[2 + column] = std::fma(left.a[2 * (k / 4) + 1], right, c[2 + column]);
    }
  }
}

}  // namespace crease
