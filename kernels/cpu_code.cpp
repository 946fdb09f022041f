// OpenBLAS, the processor and the C library, asked for their names.
#include "kernels/cpu_code.hpp"

#include <gnu/libc-version.h>

extern "C" char* openblas_get_config();
extern "C" char* openblas_get_corename();

namespace crease {
namespace {

/// The first two words of OpenBLAS's configuration: its name and version. The others name the
/// number of threads it was built for.
std::string first_words(const std::string& text, int words) {
  std::size_t end = 0;
  for (int word = 0; word < words && end != std::string::npos; ++word) {
    end = text.find(' ', end + (word > 0 ? 1 : 0));
  }
  return text.substr(0, end);
}

}  // namespace

std::string cpu_code() {
  std::string text = first_words(openblas_get_config(), 2) + " " + openblas_get_corename();
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx")) text += " avx";
  if (__builtin_cpu_supports("avx2")) text += " avx2";
  if (__builtin_cpu_supports("fma")) text += " fma";
  if (__builtin_cpu_supports("avx512f")) text += " avx512f";
#endif
  return text + ", glibc " + gnu_get_libc_version();
}

}  // namespace crease
