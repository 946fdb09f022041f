// Every verb, every kind of damaged file: refused in one line, nothing written.
#include <crease/files.hpp>

#include <cmath>
#include <random>

#include "tests/files/file_bytes.hpp"
#include "tests/support/run_program.hpp"

namespace crease {
namespace {

class BadFilesTest : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (IsSkipped()) return;
    good_ = made("good.safetensors", {"gaussian", "--inputs", "3", "--neurons", "4"});
    points_ = file("points.npz");
    save_matrix(points_, "x", HostMatrix{{1, 2, 3}}.view());
  }

  std::string with_bytes(const std::string& name, const std::string& bytes) {
    write_bytes(file(name), bytes);
    return file(name);
  }
  std::string with_tensors(const std::string& name, const TensorFile& tensors) {
    write_tensors(file(name), tensors);
    return file(name);
  }

  /// Files that are no files of arrays at all.
  std::vector<std::string> damaged() {
    std::mt19937 random(1);
    std::string noise(300, '\0');
    for (char& byte : noise) byte = static_cast<char>(random());
    const std::string bytes = read_bytes(good_);
    return {file("missing.npz"),
            folder_.file(""),
            with_bytes("empty.safetensors", ""),
            with_bytes("truncated.safetensors", bytes.substr(0, bytes.size() - 1)),
            with_bytes("header.safetensors", bytes.substr(0, 30)),
            with_bytes("random.npz", noise),
            with_bytes("random_zip.npz", "PK\x03\x04" + noise),
            with_bytes("absurd.safetensors", bytes_of<std::uint64_t>({1ULL << 63}) + bytes)};
  }

  /// Good files of arrays that are no networks.
  std::vector<std::string> no_networks() {
    const Tensor weight{{2, 3}, {1, 2, 3, 4, 5, 6}};
    const Tensor output{{1, 2}, {1, 2}};
    return {
        with_tensors("nan.npz",
                     {{{"0.weight", {{1, 1}, {std::nan("")}}}, {"2.weight", {{1, 1}, {1}}}}, {}}),
        with_tensors("inf.npz",
                     {{{"0.weight", {{1, 1}, {1}}}, {"2.weight", {{1, 1}, {HUGE_VAL}}}}, {}}),
        with_tensors("shapes.npz", {{{"0.weight", weight}, {"2.weight", {{1, 3}, {1, 2, 3}}}}, {}}),
        with_tensors(
            "bias.npz",
            {{{"0.weight", weight}, {"0.bias", {{3}, {1, 2, 3}}}, {"2.weight", output}}, {}}),
        with_tensors("no_inputs.npz", {{{"0.weight", {{2, 0}, {}}}, {"2.weight", output}}, {}}),
        with_tensors("no_outputs.npz", {{{"0.weight", weight}, {"2.weight", {{0, 2}, {}}}}, {}}),
        with_tensors("relu6.safetensors",
                     {{{"0.weight", weight}, {"2.weight", output}}, {{"activation", "relu6"}}}),
        with_tensors("two_of_one.safetensors",
                     {{{"0.weight", weight}, {"2.weight", output}}, {{"activation", "tanh,tanh"}}}),
        with_tensors("one_of_two.safetensors",
                     {{{"0.weight", weight}, {"2.weight", output}, {"4.weight", {{1, 1}, {1}}}},
                      {{"activation", "tanh"}}}),
        with_tensors("smooth_nan.safetensors",
                     {{{"0.weight", weight}, {"2.weight", {{1, 2}, {std::nan(""), 1}}}},
                      {{"activation", "tanh"}}}),
        with_tensors("deeper.npz",
                     {{{"0.weight", weight}, {"2.weight", output}, {"4.weight", output}}, {}})};
  }

  std::string good_;
  std::string points_;
};

TEST_F(BadFilesTest, NoVerbTakesADamagedNetwork) {
  std::vector<std::string> bad = damaged();
  for (const std::string& path : no_networks()) bad.push_back(path);
  for (const std::string& path : bad) {
    expect_refused({"learn", path, "--out", file("out.npz"), "--report", file("out.json")}, path);
    expect_refused({"verify", path, good_}, path);
    expect_refused({"verify", good_, path}, path);
    expect_refused({"evaluate", path, "--points", points_, "--out", file("y.npz")}, path);
    expect_refused({"show", path}, path);
    expect_refused({"draw", path, "--samples", "9", "--out", file("y.npz")}, path);
  }
}

TEST_F(BadFilesTest, FitTakesNoDamagedExamples) {
  for (const std::string& path : damaged()) {
    for (const char* learner : {"two-layer", "narrow"}) {
      expect_refused({"fit", path, "--learner", learner, "--out", file("out.npz")}, path);
    }
  }
}

TEST_F(BadFilesTest, EvaluateTakesNoDamagedPoints) {
  std::vector<std::string> bad = damaged();
  bad.push_back(with_tensors("other.npz", {{{"z", {{1, 3}, {1, 2, 3}}}}, {}}));
  bad.push_back(with_tensors("nan.npz", {{{"x", {{1, 3}, {1, 2, std::nan("")}}}}, {}}));
  bad.push_back(with_tensors("narrow.npz", {{{"x", {{1, 2}, {1, 2}}}}, {}}));
  bad.push_back(with_tensors("none.npz", {{{"x", {{0, 3}, {}}}}, {}}));
  bad.push_back(with_tensors("deep.npz", {{{"x", {{1, 1, 3}, {1, 2, 3}}}}, {}}));
  for (const std::string& path : bad) {
    expect_refused({"evaluate", good_, "--points", path, "--out", file("y.npz")}, path);
  }
}

TEST_F(BadFilesTest, VerifyTakesNoNetworksOfDifferentShapes) {
  const std::string wider = made("wider.npz", {"gaussian", "--inputs", "4", "--neurons", "4"});
  const std::string more =
      made("more.npz", {"gaussian", "--inputs", "3", "--neurons", "4", "--outputs", "2"});
  expect_refused({"verify", good_, wider}, "4 inputs and 1 outputs; expected 3 and 1");
  expect_refused({"verify", good_, more}, "3 inputs and 2 outputs; expected 3 and 1");
}

TEST_F(BadFilesTest, EvaluateRefusesPlacesThatCannotBeWritten) {
  expect_refused({"evaluate", good_, "--points", points_, "--out", file("none/y.npz")},
                 "No such file");
  expect_refused({"evaluate", good_, "--points", points_, "--out", file("y.csv")},
                 "expected a name ending in");
}

}  // namespace
}  // namespace crease
