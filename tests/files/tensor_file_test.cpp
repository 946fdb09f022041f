// Formats by content and by extension, matrices by name, and what is left when writing fails.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <crease/files.hpp>

#include "tests/files/file_bytes.hpp"
#include "tests/files/numpy_archives.hpp"
#include "tests/support/full_disk.hpp"
#include "tests/support/temporary_folder.hpp"

namespace crease {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TensorFileTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  const TensorFile small_{{{"x", {{2, 2}, {1, 2, 3, 4}}}}, {}};
};

TEST_F(TensorFileTest, TheContentDecidesHowAFileIsRead) {
  write_bytes(folder_.file("a.safetensors"), archive(kSavez));
  EXPECT_EQ(read_tensors(folder_.file("a.safetensors")).tensors.size(), 2u);

  write_tensors(folder_.file("b.safetensors"), small_);
  std::filesystem::rename(folder_.file("b.safetensors"), folder_.file("b.npz"));
  EXPECT_EQ(read_tensors(folder_.file("b.npz")).tensors.size(), 1u);
}

TEST_F(TensorFileTest, WhatCannotBeReadIsNamed) {
  write_bytes(folder_.file("empty"), "");
  EXPECT_THAT(file_error([&] { read_tensors(folder_.file("empty")); }), HasSubstr("it is empty"));
  EXPECT_THAT(file_error([&] { read_tensors(folder_.file("none")); }), HasSubstr("No such file"));
  EXPECT_THAT(file_error([&] { read_tensors(folder_.file("")); }), HasSubstr("not a regular file"));
  EXPECT_THAT(file_error([&] { read_tensors("/dev/null"); }), HasSubstr("not a regular file"));
  ASSERT_EQ(mkfifo(folder_.file("pipe").c_str(), 0600), 0);
  EXPECT_THAT(file_error([&] { read_tensors(folder_.file("pipe")); }),
              HasSubstr("not a regular file"));
}

TEST_F(TensorFileTest, OnlyTheTwoExtensionsAreWritten) {
  for (const std::string name : {"x.onnx", "x", ".npz", "x.npz.gz"}) {
    EXPECT_THAT(file_error([&] { write_tensors(folder_.file(name), small_); }),
                HasSubstr("expected a name ending in"));
    EXPECT_THAT(file_error([&] { require_tensors_writable(folder_.file(name)); }),
                HasSubstr("expected a name ending in"));
  }
  EXPECT_THAT(folder_.names(), IsEmpty());
}

TEST_F(TensorFileTest, ATensorWhoseShapeIsWrongIsNotWritten) {
  for (const std::string name : {"x.npz", "x.safetensors"}) {
    EXPECT_THAT(file_error([&] {
                  write_tensors(folder_.file(name), {{{"x", {{3}, {1}}}}, {}});
                }),
                HasSubstr("does not match its numbers"));
  }
  EXPECT_THAT(folder_.names(), IsEmpty());
}

TEST_F(TensorFileTest, WritingLeavesTheFileAndNothingElse) {
  write_tensors(folder_.file("x.npz"), small_);
  EXPECT_THAT(folder_.names(), ElementsAre("x.npz"));
  write_tensors(folder_.file("x.npz"), {{{"y", {{1}, {5}}}}, {}});
  EXPECT_THAT(folder_.names(), ElementsAre("x.npz"));
  EXPECT_TRUE(read_tensors(folder_.file("x.npz")).tensors.contains("y"));
}

TEST_F(TensorFileTest, WhenWritingFailsTheOldFileStays) {
  write_bytes(folder_.file("x.safetensors"), "old");
  // A name that is not UTF-8 is refused after the temporary was opened.
  EXPECT_THAT(file_error([&] {
                write_tensors(folder_.file("x.safetensors"), {{{"\xff", {{1}, {5}}}}, {}});
              }),
              HasSubstr("UTF-8"));
  EXPECT_EQ(read_bytes(folder_.file("x.safetensors")), "old");
  EXPECT_THAT(folder_.names(), ElementsAre("x.safetensors"));
}

TEST_F(TensorFileTest, WhenTheDiskIsFullNothingIsLeft) {
  std::string text;
  {
    const FullDisk disk(100);
    for (const std::string name : {"x.npz", "x.safetensors"}) {
      text += file_error([&] {
        write_tensors(folder_.file(name), {{{"x", {{100}, std::vector<double>(100)}}}, {}});
      });
    }
  }

  EXPECT_THAT(text, HasSubstr("cannot write " + folder_.file("x.npz")));
  EXPECT_THAT(text, HasSubstr("cannot write " + folder_.file("x.safetensors")));
  EXPECT_THAT(folder_.names(), IsEmpty());
}

TEST_F(TensorFileTest, PlacesThatCannotBeWrittenAreRefusedBeforehand) {
  std::filesystem::create_directory(folder_.file("folder.npz"));
  EXPECT_THAT(file_error([&] { require_writable(folder_.file("none/x.npz")); }),
              HasSubstr("No such file"));
  EXPECT_THAT(file_error([&] { require_writable(folder_.file("folder.npz")); }),
              HasSubstr("not a regular file"));
  EXPECT_THAT(file_error([&] { require_writable(""); }), HasSubstr("empty"));
  EXPECT_THAT(file_error([&] { require_writable("/dev/null"); }), HasSubstr("not a regular file"));
  EXPECT_THAT(folder_.names(), ElementsAre("folder.npz"));
}

TEST_F(TensorFileTest, AFolderWithoutPermissionIsRefusedBeforehand) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  std::filesystem::create_directory(folder_.file("closed"));
  std::filesystem::permissions(folder_.file("closed"), std::filesystem::perms::owner_read);
  EXPECT_THAT(file_error([&] { require_writable(folder_.file("closed/x.npz")); }),
              HasSubstr("Permission denied"));
}

TEST_F(TensorFileTest, AskingWhetherAFileCouldBeWrittenLeavesNothing) {
  require_writable(folder_.file("x.json"));
  EXPECT_THAT(folder_.names(), IsEmpty());
  write_text(folder_.file("x.json"), "old");
  require_writable(folder_.file("x.json"));
  EXPECT_EQ(read_bytes(folder_.file("x.json")), "old");
}

TEST_F(TensorFileTest, ALinkStaysALink) {
  write_text(folder_.file("real"), "old");
  std::filesystem::create_symlink("real", folder_.file("link"));
  write_text(folder_.file("link"), "new");

  EXPECT_TRUE(std::filesystem::is_symlink(folder_.file("link")));
  EXPECT_EQ(read_bytes(folder_.file("real")), "new");
}

TEST_F(TensorFileTest, AMatrixIsFoundByNameAndAVectorIsOneColumn) {
  const std::string path = folder_.file("x.npz");
  write_tensors(path, {{{"x", {{3}, {1, 2, 3}}}, {"deep", {{1, 1, 1}, {1}}}}, {}});
  const HostMatrix x = load_matrix(path, "x");

  EXPECT_EQ(x.rows(), 3);
  EXPECT_EQ(x.cols(), 1);
  EXPECT_EQ(x(2, 0), 3);
  EXPECT_THAT(file_error([&] { load_matrix(path, "y"); }), HasSubstr("no array \"y\""));
  EXPECT_THAT(file_error([&] { load_matrix(path, "deep"); }), HasSubstr("3 dimensions"));
}

TEST_F(TensorFileTest, AMatrixWithNanOrInfinityIsRefused) {
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    write_tensors(folder_.file("x.npz"), {{{"x", {{2}, {1, bad}}}}, {}});
    EXPECT_THAT(file_error([&] { load_matrix(folder_.file("x.npz"), "x"); }),
                HasSubstr("\"x\" holds NaN or infinity"));
  }
}

TEST_F(TensorFileTest, AMatrixComesBackBitForBitFromAStridedView) {
  const HostMatrix wide = {{1, 2.5, 9}, {-0.0, 1e-300, 9}};
  for (const std::string name : {"x.npz", "x.safetensors"}) {
    save_matrix(folder_.file(name), "x", wide.view().col_block(0, 2));
    const HostMatrix back = load_matrix(folder_.file(name), "x");
    EXPECT_EQ(bytes_of(std::vector<double>(back.data(), back.data() + back.size())),
              bytes_of<double>({1, 2.5, -0.0, 1e-300}));
  }
}

}  // namespace
}  // namespace crease
