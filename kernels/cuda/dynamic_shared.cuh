// Dynamic shared memory, as a function: templates of different types cannot share one `extern`
// array. The guard has a name, because the tests' emulator stands in for this file.
#ifndef CREASE_DYNAMIC_SHARED_CUH
#define CREASE_DYNAMIC_SHARED_CUH

namespace crease {

/// The block's dynamic shared memory, aligned to 16 bytes; as large as the launch asked for.
template <class T>
__device__ __forceinline__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char bytes[];
  return reinterpret_cast<T*>(bytes);
}

}  // namespace crease

#endif  // CREASE_DYNAMIC_SHARED_CUH
