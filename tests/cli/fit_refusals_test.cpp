// crease fit: options, places and examples that are refused.
#include <cmath>

#include "tests/support/fit_program.hpp"
#include "tests/support/full_disk.hpp"

namespace crease {
namespace {

using ::testing::StartsWith;

using FitRefusalsTest = FitProgramTest;

TEST_F(FitRefusalsTest, BadOptionsAreRefusedBeforeAnythingIsOpened) {
  data_ = file("not-there.npz");
  const std::vector<std::vector<std::string>> bad = {
      {"--learner", "deep"},  {"--neurons", "0"},      {"--neurons", "-1"},
      {"--neurons", "many"},  {"--neurons", "4.5"},    {"--rows", "0"},
      {"--held-out", "-1"},   {"--accuracy", "0"},     {"--accuracy", "nan"},
      {"--accuracy", "inf"},  {"--failure", "0"},      {"--failure", "1"},
      {"--power", "0"},       {"--power", "-1"},       {"--power", "inf"},
      {"--seed", "-1"},       {"--seconds", "0"},      {"--threads", "0"},
      {"--device", "abacus"}, {"--device-bytes", "1"}, {"--device-bytes", "1e9"}};
  for (std::vector<std::string> arguments : bad) {
    std::vector<std::string> whole = {"fit", data_, "--out", file("out.npz")};
    if (arguments[0] != "--learner") whole.insert(whole.end(), {"--learner", "two-layer"});
    whole.insert(whole.end(), arguments.begin(), arguments.end());
    expect_refused(whole, arguments[0] + ": expected");
  }
  expect_refused(fit({"--rows", "10", "--held-out", "10"}), "--held-out: expected fewer than");
  learner_ = "narrow";
  expect_refused(fit({"--power", "1"}), "--power: belongs to two-layer, not to narrow");
  expect_refused(fit({"--robust"}), "--robust: belongs to two-layer, not to narrow");
  learner_ = "two-layer";
  expect_refused(fit({"--biases", "--power", "2"}), "--biases: expected with --power 1 alone");
  expect_refused({"fit", data_, "--out", file("out.npz")}, "--learner");
  expect_refused({"fit", data_, "--learner", "two-layer"}, "--out");
  expect_refused({"fit", "--learner", "two-layer", "--out", file("out.npz")}, "DATA");
}

TEST_F(FitRefusalsTest, PlacesThatCannotBeWrittenAreRefused) {
  const auto to = [&](const std::string& out, const std::string& report) {
    return std::vector<std::string>{"fit",   data_, "--learner", "two-layer",
                                    "--out", out,   "--report",  report};
  };
  expect_refused(to(file("none/x.npz"), file("r.json")), "No such file");
  expect_refused(to(file("x.npz"), file("none/r.json")), "No such file");
  expect_refused(to(file("x.onnx"), file("r.json")), "expected a name ending in");
  expect_refused(to(data_, file("r.json")), "--out: expected another file than the examples");
  expect_refused(to(file("x.npz"), data_), "--report: expected another file");
}

TEST_F(FitRefusalsTest, FilesWithoutExamplesAreRefused) {
  const Tensor x{{2, 2}, {1, 2, 3, 4}};
  const auto with = [&](const TensorFile& tensors) {
    write_tensors(file("bad.npz"), tensors);
    return fit_of(file("bad.npz"), {});
  };
  expect_refused(fit_of(file("not-there.npz"), {}), "not-there.npz");
  expect_refused(with({{{"x", x}}, {}}), "has no array \"y\"");
  expect_refused(with({{{"y", x}}, {}}), "has no array \"x\"");
  expect_refused(with({{{"x", x}, {"y", {{3}, {1, 2, 3}}}}, {}}), "\"x\" has 2 rows, \"y\" has 3");
  expect_refused(with({{{"x", {{1, 2, 2}, {1, 2, 3, 4}}}, {"y", x}}, {}}), "dimensions");
  expect_refused(with({{{"x", {{0, 2}, {}}}, {"y", {{0, 1}, {}}}}, {}}),
                 "expected at least one example");
  const std::string whole = read_bytes(data_);
  write_bytes(file("cut.safetensors"), whole.substr(0, whole.size() - 8));
  expect_refused(fit_of(file("cut.safetensors"), {}), "cut.safetensors is not a good");
}

TEST_F(FitRefusalsTest, ExamplesThatCannotBeFittedAreRefused) {
  learner_ = "narrow";
  expect_refused(fit({"--neurons", "2"}), "output");
  learner_ = "two-layer";
  expect_refused(fit({"--neurons", "9"}), "k must be between 1 and the number of inputs");
  expect_refused(fit({"--rows", "2001"}), "--rows: expected at most 2000, the examples in ");
  expect_refused(fit({"--held-out", "2000"}), "--held-out: expected fewer than 2000, the examples");
  // 2 (d + p) = 26 are needed to fit.
  expect_refused(fit({"--rows", "35", "--held-out", "10"}), "too few examples: 25 to fit");
  HostMatrix collinear = x_;
  for (Index i = 0; i < kRows; ++i) collinear(i, 3) = collinear(i, 0) + collinear(i, 1);
  expect_refused(fit_of(written("collinear.npz", collinear, y_), {}),
                 "a linear combination of columns 0, 1, 3 of x (counted from 0) vanishes");
}

TEST_F(FitRefusalsTest, ARowThatIsNoNumberIsRefusedByItsNumber) {
  for (const double value : {std::nan(""), HUGE_VAL}) {
    HostMatrix x = x_;
    HostMatrix y = y_;
    x(5, 2) = value;     // held out
    y(1234, 1) = value;  // fitted
    const std::string bad_x = written("bad-x.safetensors", x, y_);
    const std::string bad_y = written("bad-y.npz", x_, y);
    expect_refused(fit_of(bad_x, {}), "row 5 of \"x\" holds NaN or infinity");
    expect_refused(fit_of(bad_y, {}), "row 1234 of \"y\" holds NaN or infinity");
  }
  // Where examples are not kept, but read in every pass: 1.3 MB of them.
  HostMatrix x = normals(12'000, kInputs, 5);
  const HostMatrix y = values_of(truth_, x);
  x(11'999, 0) = std::nan("");
  expect_refused(fit_of(written("last.safetensors", x, y), {"--device-bytes", "1048576"}),
                 "row 11999 of \"x\" holds NaN or infinity");
}

TEST_F(FitRefusalsTest, AFullDiskLeavesNothingHalfWritten) {
  // Room for what is said, and not for the network: 4 (8 + 5) numbers.
  const std::vector<std::string> before = folder_.names();
  ProgramResult result;
  {
    const FullDisk disk(300);
    result = run_program(fit({"--quiet"}));
  }

  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, StartsWith("crease: cannot write " + file("out.safetensors")));
  EXPECT_EQ(folder_.names(), before);
}

}  // namespace
}  // namespace crease
