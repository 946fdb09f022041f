// Where a verb may write.
#include "src/cli/places.hpp"

#include <crease/files.hpp>

#include <filesystem>

namespace crease {
bool same_place(const std::string& a, const std::string& b) {
  namespace fs = std::filesystem;
  if (a.empty() || b.empty()) return false;
  std::error_code ignored;
  return fs::equivalent(a, b, ignored) || fs::weakly_canonical(fs::absolute(a), ignored) ==
                                              fs::weakly_canonical(fs::absolute(b), ignored);
}

void require_places(const std::string& input, const std::string& role, const std::string& out,
                    const std::string& report) {
  require_tensors_writable(out);
  if (same_place(out, input)) {
    throw BadInput("--out: expected another file than " + role + input);
  }
  if (report.empty()) return;
  require_writable(report);
  for (const std::string& other : {out, input}) {
    if (same_place(report, other)) {
      throw BadInput("--report: expected another file than " + other);
    }
  }
}

}  // namespace crease
