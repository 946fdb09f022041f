// Which GPUs a build has code for: no GPU is needed to know.
#include "kernels/gpu_code.hpp"

#include <gmock/gmock.h>

namespace crease {
namespace {

using ::testing::HasSubstr;

TEST(GpuCodeTest, MachineCodeRunsOnItsOwnMajorVersionFromItsMinorVersionUp) {
  EXPECT_TRUE(has_code_for("80-real", {8, 0}));
  EXPECT_TRUE(has_code_for("80-real", {8, 9}));
  EXPECT_FALSE(has_code_for("86-real", {8, 0}));
  EXPECT_FALSE(has_code_for("80-real", {9, 0}));
  EXPECT_FALSE(has_code_for("90-real", {8, 9}));
}

TEST(GpuCodeTest, PtxRunsOnEverythingFromItsVersionUp) {
  EXPECT_TRUE(has_code_for("80-virtual", {8, 0}));
  EXPECT_TRUE(has_code_for("80-virtual", {12, 0}));
  EXPECT_FALSE(has_code_for("90-virtual", {8, 9}));
}

TEST(GpuCodeTest, ANumberAloneMeansBoth) {
  EXPECT_TRUE(has_code_for("90", {9, 0}));
  EXPECT_TRUE(has_code_for("90", {10, 0}));
  EXPECT_TRUE(has_code_for("90", {12, 1}));
  EXPECT_FALSE(has_code_for("90", {8, 0}));
  EXPECT_FALSE(has_code_for("90", {7, 5}));
}

TEST(GpuCodeTest, CodeForOneArchitectureAloneRunsNowhereElse) {
  EXPECT_TRUE(has_code_for("90a", {9, 0}));
  EXPECT_TRUE(has_code_for("90a-real", {9, 0}));
  EXPECT_FALSE(has_code_for("90a", {10, 0}));
  EXPECT_FALSE(has_code_for("90a", {8, 0}));
  EXPECT_TRUE(has_code_for("100f-real", {10, 3}));
  EXPECT_FALSE(has_code_for("100f-real", {12, 0}));
}

TEST(GpuCodeTest, ListsAreReadWhateverSeparatesThem) {
  for (const char* list : {"80-real 90-real 100", "80-real;90-real;100", "80-real,90-real,100"}) {
    EXPECT_TRUE(has_code_for(list, {8, 6})) << list;
    EXPECT_TRUE(has_code_for(list, {9, 0})) << list;
    EXPECT_TRUE(has_code_for(list, {12, 0})) << list;
    EXPECT_FALSE(has_code_for(list, {7, 5})) << list;
  }
}

TEST(GpuCodeTest, WordsWithoutANumberPromiseNothing) {
  for (const char* list : {"", "native", "all", "all-major", ";", "x90"}) {
    EXPECT_FALSE(has_code_for(list, {9, 0})) << list;
  }
}

TEST(GpuCodeTest, TheRefusalNamesBothSides) {
  const std::string old = no_code_message("NVIDIA A100", {8, 0}, "90 100");
  EXPECT_THAT(old, HasSubstr("NVIDIA A100 has compute capability 8.0"));
  EXPECT_THAT(old, HasSubstr("older than this build, which begins at 9.0"));
  EXPECT_THAT(old, HasSubstr("built for 90 100"));
  EXPECT_THAT(old, HasSubstr("-DCMAKE_CUDA_ARCHITECTURES=80"));

  const std::string fresh = no_code_message("NVIDIA B200", {10, 0}, "90-real");
  EXPECT_THAT(fresh, HasSubstr("10.0, and this build has no code for it"));
  EXPECT_THAT(fresh, HasSubstr("-DCMAKE_CUDA_ARCHITECTURES=100"));
}

}  // namespace
}  // namespace crease
