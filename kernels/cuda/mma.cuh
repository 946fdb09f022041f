// FP64 tensor core products and asynchronous copies into shared memory. The guard has a name,
// because the tests' emulator stands in for this file.
#ifndef CREASE_MMA_CUH
#define CREASE_MMA_CUH

namespace crease {

/// c += a b by one warp: a [16, 8], b [8, 8], c [16, 8]; every lane must come. With group = lane /
/// 4 and place = lane % 4 a lane holds
///   a[i] = A(group + 8 (i % 2), place + 4 (i / 2))
///   b[i] = B(place + 4 i, group)
///   c[i] = C(group + 8 (i / 2), 2 place + i % 2)
/// Source: PTX ISA, "Matrix Fragments for mma.m16n8k8" and "for mma.m8n8k4", type .f64. The large
/// shape is Hopper's full rate; Ampere has only the small one.
__device__ __forceinline__ void mma_f64_16x8x8(double (&c)[4], const double (&a)[4],
                                               const double (&b)[2]) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  const auto small = [](double& c0, double& c1, double left, double right) {
    asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
                 : "+d"(c0), "+d"(c1)
                 : "d"(left), "d"(right));
  };
  small(c[0], c[1], a[0], b[0]);
  small(c[2], c[3], a[1], b[0]);
  small(c[0], c[1], a[2], b[1]);
  small(c[2], c[3], a[3], b[1]);
#else
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
      : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(b[0]), "d"(b[1]));
#endif
}

// Copies from global to shared memory that do not wait; source and target aligned to their size.
// PTX ISA, "cp.async". A thread sees its own copies after its wait, the others see them after a
// barrier more.

__device__ __forceinline__ void copy_async_16(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                   static_cast<unsigned>(__cvta_generic_to_shared(shared))),
               "l"(global)
               : "memory");
}

__device__ __forceinline__ void copy_async_8(void* shared, const void* global) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(
                   static_cast<unsigned>(__cvta_generic_to_shared(shared))),
               "l"(global)
               : "memory");
}

/// Ends a group of copies; it may be empty.
__device__ __forceinline__ void copy_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits until all but the newest kPending groups of this thread have landed.
template <int kPending>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace crease

#endif  // CREASE_MMA_CUH
