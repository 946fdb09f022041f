// Which GPUs a build has code for.
#include "kernels/gpu_code.hpp"

#include <charconv>
#include <vector>

namespace crease {
namespace {

struct Architecture {
  int number = 0;  // 10 * major + minor
  bool machine_code = false;
  bool ptx = false;
  bool exact = false;  // of this capability alone
};

constexpr std::string_view kSeparators = " ;,";

std::vector<Architecture> parse(std::string_view list) {
  std::vector<Architecture> found;
  for (std::size_t at = list.find_first_not_of(kSeparators); at != list.npos;
       at = list.find_first_not_of(kSeparators, at)) {
    const std::string_view word = list.substr(at, list.find_first_of(kSeparators, at) - at);
    at += word.size();
    Architecture one;
    const char* const end = word.data() + word.size();
    const auto [rest, error] = std::from_chars(word.data(), end, one.number);
    if (error != std::errc() || one.number < 10) continue;
    std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
    if (suffix.starts_with('a')) one.exact = true;
    if (suffix.starts_with('a') || suffix.starts_with('f')) suffix.remove_prefix(1);
    one.machine_code = suffix != "-virtual";
    one.ptx = suffix != "-real";
    found.push_back(one);
  }
  return found;
}

int number_of(Capability gpu) {
  return 10 * gpu.major + gpu.minor;
}

std::string version(int number) {
  return std::to_string(number / 10) + "." + std::to_string(number % 10);
}

}  // namespace

bool has_code_for(std::string_view architectures, Capability gpu) {
  for (const Architecture& one : parse(architectures)) {
    if (one.exact) {
      if (one.number == number_of(gpu)) return true;
      continue;
    }
    if (one.number > number_of(gpu)) continue;
    if (one.ptx || (one.machine_code && one.number / 10 == gpu.major)) return true;
  }
  return false;
}

std::string no_code_message(std::string_view gpu_name, Capability gpu,
                            std::string_view architectures) {
  int least = 0;
  for (const Architecture& one : parse(architectures)) {
    if (least == 0 || one.number < least) least = one.number;
  }
  const int own = number_of(gpu);
  std::string text(gpu_name);
  text += " has compute capability " + version(own);
  if (least > own) {
    text += " and is older than this build, which begins at " + version(least);
  } else {
    text += ", and this build has no code for it";
  }
  text += " (built for " + std::string(architectures) +
          "; configure with -DCMAKE_CUDA_ARCHITECTURES=" + std::to_string(own) + ")";
  return text;
}

}  // namespace crease
