// Which code a CPU runs: what the bits of a run depend on besides its input.
#pragma once

#include <string>

namespace crease {

/// The kernels OpenBLAS chose for this processor and its version, the vector instructions that
/// libraries choose their code by, and the C library. Two machines of which it says the same do
/// the same arithmetic.
std::string cpu_code();

}  // namespace crease
