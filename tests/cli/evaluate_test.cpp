// crease evaluate.
#include <crease/files.hpp>

#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;

using EvaluateTest = ProgramTest;

TEST_F(EvaluateTest, TheOutputsAreThoseOfTheLibrary) {
  const std::string path =
      made("net.safetensors", {"gaussian", "--inputs", "3", "--neurons", "5", "--outputs", "2"});
  const HostMatrix x = {{1, 2, 3}, {-1, 0.5, 0}, {0, 0, 0}};
  const auto device = make_cpu_device();
  const HostMatrix expected = evaluate(*device, load_network(path), x);
  for (const std::string extension : {".npz", ".safetensors"}) {
    save_matrix(file("x" + extension), "x", x.view());
    const ProgramResult result = expect_ok({"evaluate", path, "--points", file("x" + extension),
                                            "--out", file("y" + extension), "--device", "cpu"});
    const HostMatrix y = load_matrix(file("y" + extension), "y");

    EXPECT_THAT(result.out, HasSubstr("y [3, 2], on cpu"));
    ASSERT_EQ(y.rows(), 3);
    ASSERT_EQ(y.cols(), 2);
    for (Index i = 0; i < 3; ++i) {
      for (Index o = 0; o < 2; ++o) EXPECT_EQ(y(i, o), expected(i, o));
    }
  }
}

}  // namespace
}  // namespace crease
