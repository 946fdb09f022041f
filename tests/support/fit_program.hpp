// Examples of a planted network in a file, and `crease fit` on them.
#pragma once

#include <crease/files.hpp>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/planted_sum.hpp"
#include "tests/support/run_program.hpp"

namespace crease {

inline constexpr Index kInputs = 8;
inline constexpr Index kNeurons = 4;
inline constexpr Index kOutputs = 5;
inline constexpr Index kRows = 2000;

// Largest parameter error of exact examples: that of the specification's tables.
inline constexpr double kExact = 1e-11;

class FitProgramTest : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (IsSkipped()) return;
    truth_ = planted_sum(kOutputs, kNeurons, kInputs, 1);
    x_ = normals(kRows, kInputs, 5);
    y_ = values_of(truth_, x_);
    data_ = written("data.safetensors", x_, y_);
  }

  /// A file of examples; its path.
  std::string written(const std::string& name, const HostMatrix& x, const HostMatrix& y) const {
    const auto tensor = [](const HostMatrix& m) {
      return Tensor{{m.rows(), m.cols()}, {m.data(), m.data() + m.size()}};
    };
    write_tensors(file(name), {{{"x", tensor(x)}, {"y", tensor(y)}}, {}});
    return file(name);
  }

  /// fit `data` by learner_ into out.safetensors and out.json on the CPU.
  std::vector<std::string> fit_of(const std::string& data,
                                  const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"fit",       data,
                                          "--learner", learner_,
                                          "--out",     file("out.safetensors"),
                                          "--report",  file("out.json"),
                                          "--device",  "cpu"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::vector<std::string> fit(const std::vector<std::string>& more) const {
    return fit_of(data_, more);
  }
  RectifiedSum learned() const {
    const ReluNetwork network = load_network(file("out.safetensors"));
    return {network.weights, network.output, network.power};
  }

  RectifiedSum truth_;
  HostMatrix x_, y_;
  std::string data_;
  std::string learner_ = "two-layer";
};

}  // namespace crease
