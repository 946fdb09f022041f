// What the GPU does against what it could do: one JSON line per row. bench/README.md says more.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "bench/gpu/measure.hpp"

namespace {

constexpr const char* kUsage =
    "usage: crease_gpu_bench [--seconds S] [--only PART] [--list]\n"
    "  Prints one JSON line per row. After S seconds (default 600) no further part is started.\n";

int run(double seconds, const std::string& only, bool list) {
  using crease::bench::Part;
  std::vector<Part> parts = crease::bench::kernel_parts();
  for (Part& part : crease::bench::solver_parts()) parts.push_back(std::move(part));
  if (list) {
    for (const Part& part : parts) std::printf("%s\n", part.name.c_str());
    return 0;
  }
  crease::bench::Bench bench(seconds);
  crease::bench::measure_ceilings(bench);
  int status = only.empty() ? 0 : 2;
  for (const Part& part : parts) {
    if (!only.empty() && part.name != only) continue;
    if (!only.empty()) status = 0;
    if (bench.out_of_time()) {
      bench.print({{"name", part.name}, {"error", "not started: out of time"}});
      status = 1;
      continue;
    }
    try {
      part.run(bench);
    } catch (const std::exception& error) {
      bench.print({{"name", part.name}, {"error", error.what()}});
      status = 1;
    }
  }
  if (status == 2) std::fprintf(stderr, "crease_gpu_bench: no part is called %s\n", only.c_str());
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 600;
  std::string only;
  bool list = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    char* end = nullptr;
    if (argument == "--list") {
      list = true;
    } else if (argument == "--only" && i + 1 < argc) {
      only = argv[++i];
    } else if (argument == "--seconds" && i + 1 < argc) {
      seconds = std::strtod(argv[++i], &end);
      if (end == argv[i] || *end != '\0' || !(seconds > 0)) {
        std::fputs(kUsage, stderr);
        return 2;
      }
    } else {
      std::fputs(kUsage, stderr);
      return 2;
    }
  }
  try {
    return run(seconds, only, list);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "crease_gpu_bench: %s\n", error.what());
    return 1;
  }
}
