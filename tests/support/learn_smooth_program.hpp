// `crease learn` of smooth targets, and the report of it.
#pragma once

#include <crease/files.hpp>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/run_program.hpp"

namespace crease {

class LearnSmoothProgramTest : public ProgramTest {
 protected:
  using Json = nlohmann::json;

  /// learn `target` into out.safetensors and out.json on the CPU, which must end with `exit_code`;
  /// its report.
  Json learned(const std::string& target, const std::vector<std::string>& more, int exit_code = 0) {
    std::vector<std::string> arguments = {"learn",     target,
                                          "--out",     file("out.safetensors"),
                                          "--report",  file("out.json"),
                                          "--device",  "cpu",
                                          "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = run_program(arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    out_ = result.out;
    return report();
  }

  /// `verify` of the network of the last learned().
  Json verified_against(const std::string& target) const {
    return verified(target, file("out.safetensors"), {"--samples", "2000"});
  }

  std::string out_;  // of the last learned()
};

}  // namespace crease
