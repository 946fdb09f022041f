// One text for host and device code.
#pragma once

#if defined(__CUDACC__)
#define CREASE_HOST_DEVICE __host__ __device__
#else
#define CREASE_HOST_DEVICE
#endif
