// Which GPUs a build has code for: the decision, and the words of its refusal. Needs no GPU.
#pragma once

#include <string>
#include <string_view>

namespace crease {

/// A GPU's compute capability: 9.0 is an H200's.
struct Capability {
  int major = 0;
  int minor = 0;
};

/// Whether code built for these architectures runs on a GPU: machine code runs on its own major
/// version from its minor version up, PTX on everything from its version up.
///
/// architectures  as CMAKE_CUDA_ARCHITECTURES names them, separated by spaces or semicolons:
/// 80-real
///                (machine code), 80-virtual (PTX), 80 (both); 90a only on 9.0 itself; 100f as
///                machine code. Words without a number (native, all) promise nothing.
bool has_code_for(std::string_view architectures, Capability gpu);

/// Why a GPU is refused: its name and capability, what the build has code for, and what to do.
std::string no_code_message(std::string_view gpu_name, Capability gpu,
                            std::string_view architectures);

}  // namespace crease
