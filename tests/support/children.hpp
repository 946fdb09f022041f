// Commands of the programs in tests/children, and what they answer.
#pragma once

#include <crease/network.hpp>

#include <string>

namespace crease {

/// answer.py and answer.cpp, 3 inputs and 2 outputs.
std::string python_child();
std::string cpp_child();

/// The function of both.
ReluNetwork answered_network();

/// boxed.py: a smooth function of 3 inputs, NaN where one of them is larger than `limit`.
std::string boxed_child(const std::string& limit);

/// misbehave.cpp: as `mode` says, after so many answered requests; in a folder it counts.
std::string misbehaving_child(const std::string& mode, Index after, Index outputs,
                              const std::string& folder = "");

/// The function of misbehave.cpp.
ReluNetwork misbehaving_network(Index inputs, Index outputs);

}  // namespace crease
