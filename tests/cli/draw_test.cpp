// crease draw.
#include <crease/files.hpp>

#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;

using DrawTest = ProgramTest;

TEST_F(DrawTest, TheExamplesAreTheNetworks) {
  const std::string path =
      made("net.safetensors", {"gaussian", "--inputs", "3", "--neurons", "5", "--outputs", "2"});
  for (const std::string& data : {file("d.npz"), file("d.safetensors")}) {
    const ProgramResult result =
        expect_ok({"draw", path, "--samples", "7", "--seed", "4", "--out", data});
    const HostMatrix x = load_matrix(data, "x");
    const HostMatrix y = load_matrix(data, "y");
    const auto device = make_cpu_device();
    const HostMatrix expected = evaluate(*device, load_network(path), x);

    EXPECT_THAT(result.out, HasSubstr("7 examples, 3 inputs, 2 outputs"));
    ASSERT_EQ(y.rows(), 7);
    for (Index i = 0; i < y.size(); ++i) EXPECT_EQ(y.data()[i], expected.data()[i]);
  }
}

TEST_F(DrawTest, ExamplesOfAnotherPowerAreItsOwn) {
  const std::string path =
      made("net.npz", {"gaussian", "--inputs", "3", "--neurons", "5", "--power", "2"});
  expect_ok({"draw", path, "--samples", "7", "--out", file("d.npz")});
  const HostMatrix x = load_matrix(file("d.npz"), "x");
  const HostMatrix y = load_matrix(file("d.npz"), "y");
  const auto device = make_cpu_device();
  const HostMatrix expected = evaluate(*device, load_network(path), x);
  ASSERT_EQ(y.rows(), 7);
  for (Index i = 0; i < y.size(); ++i) EXPECT_EQ(y.data()[i], expected.data()[i]);
  expect_ok({"draw", path, "--samples", "7", "--noise", "0.1", "--out", file("noisy.npz")});
}

TEST_F(DrawTest, NoiseAndGrossErrorsChangeTheAnswersAlone) {
  const std::string path = made("net.safetensors", {"gaussian", "--inputs", "2", "--neurons", "3"});
  expect_ok({"draw", path, "--samples", "50", "--out", file("clean.npz")});
  expect_ok({"draw", path, "--samples", "50", "--noise", "0.1", "--out", file("noisy.npz")});
  expect_ok({"draw", path, "--samples", "50", "--gross", "1", "--gross-size", "5", "--out",
             file("gross.npz")});
  const HostMatrix x = load_matrix(file("clean.npz"), "x");
  const HostMatrix y = load_matrix(file("clean.npz"), "y");
  for (const std::string other : {"noisy.npz", "gross.npz"}) {
    const HostMatrix other_x = load_matrix(file(other), "x");
    const HostMatrix other_y = load_matrix(file(other), "y");
    for (Index i = 0; i < x.size(); ++i) EXPECT_EQ(other_x.data()[i], x.data()[i]);
    for (Index i = 0; i < y.size(); ++i) EXPECT_NE(other_y.data()[i], y.data()[i]);
  }
}

TEST_F(DrawTest, BadInputIsOneLineAndNothingIsWritten) {
  const std::string path = made("net.safetensors", {"gaussian", "--inputs", "2", "--neurons", "3"});
  expect_refused({"draw", path, "--out", file("d.npz")}, "--samples");
  expect_refused({"draw", path, "--samples", "0", "--out", file("d.npz")}, "--samples");
  expect_refused({"draw", path, "--samples", "5", "--gross", "2", "--out", file("d.npz")},
                 "--gross");
  expect_refused({"draw", path, "--samples", "5", "--noise", "-1", "--out", file("d.npz")},
                 "--noise");
  expect_refused({"draw", path, "--samples", "5", "--out", path}, "another file than");
  expect_refused({"draw", path, "--samples", "5", "--out", file("d.txt")}, ".safetensors or .npz");
  expect_refused({"draw", file("nothing.npz"), "--samples", "5", "--out", file("d.npz")},
                 "nothing.npz");
}

}  // namespace
}  // namespace crease
