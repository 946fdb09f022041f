// The __shared__ variables of the program that runs, found in its own symbol table.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace simt {

struct StaticVariable {
  unsigned char* begin;
  std::size_t bytes;
  std::string symbol;
};

struct StaticShared {
  std::vector<StaticVariable> arrays;  // __shared__ variables, of all kernels
  std::vector<StaticVariable> guards;  // the zones beside them
};

/// Read once. Fault where the program was stripped of its symbol table.
const StaticShared& static_shared();

/// Sets every bit: NaN for a double. Also where AddressSanitizer forbids access.
void fill_with_nan(unsigned char* begin, std::size_t bytes);
bool is_still_nan(const unsigned char* begin, std::size_t bytes);

}  // namespace simt
