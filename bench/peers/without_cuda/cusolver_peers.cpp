// A build without CUDA has no cuSOLVER.
#include "bench/peers/cusolver_peers.hpp"

namespace crease {

CusolverRun solve_by_cusolver(const std::string&, const HostMatrix&, const HostMatrix&,
                              HostMatrix&) {
  throw BadInput("this build has no CUDA backend");
}

}  // namespace crease
