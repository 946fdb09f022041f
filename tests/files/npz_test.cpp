// Reading npz files that numpy wrote, writing our own, refusing damaged ones.
#include <gmock/gmock.h>
#include <crease/files.hpp>

#include "tests/files/file_bytes.hpp"
#include "tests/files/handmade_zip.hpp"
#include "tests/files/numpy_archives.hpp"
#include "tests/support/temporary_folder.hpp"

namespace crease {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class NpzTest : public ::testing::Test {
 protected:
  TensorFile read(const std::string& bytes) {
    write_bytes(path_, bytes);
    return read_tensors(path_);
  }
  std::string refusal(const std::string& bytes) {
    const std::string text = file_error([&] { read(bytes); });
    EXPECT_THAT(text, HasSubstr(path_));
    return text;
  }
  /// An archive of one array "x" with this header and 8 bytes of data.
  static std::string with_header(const std::string& header) {
    return make_zip({{"x.npy", make_npy(header, bytes_of<double>({1.5}))}});
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.file("x.npz");
};

constexpr const char* kGoodHeader = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n";

TEST_F(NpzTest, StoredAndDeflatedArchivesOfNumpyAreReadExactly) {
  for (const std::string& bytes : {archive(kSavez), archive(kSavezCompressed)}) {
    const TensorFile file = read(bytes);
    ASSERT_EQ(file.tensors.size(), 2u);
    EXPECT_THAT(file.tensors.at("x").shape, ElementsAre(2, 3));
    EXPECT_THAT(file.tensors.at("x").values, ElementsAre(1.5, -2, 0.1, 4, 5, 6));
    EXPECT_EQ(file.tensors.at("x").type, "float64");
    EXPECT_THAT(file.tensors.at("y").shape, ElementsAre(2));
    EXPECT_THAT(file.tensors.at("y").values, ElementsAre(7, 8));
    EXPECT_EQ(file.tensors.at("y").type, "float32");
  }
}

// Found by a fuzzer: the strides of such a shape cannot be computed.
TEST_F(NpzTest, EmptyArraysOfAnyOtherSizesAreReadInEitherOrder) {
  const std::string size = "1152921504606846976";  // 2^60
  for (const char* fortran : {"True", "False"}) {
    const std::string header = std::string("{'descr': '<f8', 'fortran_order': ") + fortran +
                               ", 'shape': (0, " + size + ", " + size + ")}";
    const TensorFile file = read(make_zip({{"x.npy", make_npy(header, "")}}));

    EXPECT_THAT(file.tensors.at("x").shape, ElementsAre(0, Index{1} << 60, Index{1} << 60));
    EXPECT_THAT(file.tensors.at("x").values, IsEmpty());
  }
}

TEST_F(NpzTest, OtherTypesAndOrdersOfNumpyAreReadExactly) {
  const TensorFile file = read(archive(kManyTypes));

  EXPECT_THAT(file.tensors.at("fortran").shape, ElementsAre(2, 3, 2));
  EXPECT_THAT(file.tensors.at("fortran").values, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  EXPECT_THAT(file.tensors.at("big").values, ElementsAre(0.1, -3));
  EXPECT_THAT(file.tensors.at("half").values, ElementsAre(1, 65504));
  EXPECT_THAT(file.tensors.at("whole").shape, ElementsAre(2, 1));
  EXPECT_THAT(file.tensors.at("whole").values, ElementsAre(-4, 5));
  EXPECT_THAT(file.tensors.at("truth").values, ElementsAre(1, 0));
  EXPECT_THAT(file.tensors.at("scalar").shape, IsEmpty());
  EXPECT_THAT(file.tensors.at("scalar").values, ElementsAre(2.5));
  EXPECT_THAT(file.tensors.at("none").shape, ElementsAre(0, 3));
}

TEST_F(NpzTest, HeadersOfVersionTwoAreRead) {
  EXPECT_THAT(read(archive(kVersionTwo)).tensors.at("x").values,
              ElementsAre(1.5, -2, 0.1, 4, 5, 6));
}

TEST_F(NpzTest, EveryTruncationIsRefused) {
  for (const std::string& bytes : {archive(kSavez), archive(kSavezCompressed)}) {
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_NE(refusal(bytes.substr(0, length)), "") << length;
    }
  }
}

TEST_F(NpzTest, AFileWithOneBrokenByteIsReadOrRefusedButNeverCrashes) {
  const std::string whole = archive(kSavezCompressed);
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string broken = whole;
    broken[at] = static_cast<char>(broken[at] ^ 0xff);
    write_bytes(path_, broken);
    refused += file_error([&] { read_tensors(path_); }) != "";
  }
  EXPECT_GT(refused, 200);  // every byte of the packed numbers and of their checksums at least
}

TEST_F(NpzTest, AHandmadeArchiveIsRead) {
  EXPECT_THAT(read(with_header(kGoodHeader)).tensors.at("x").values, ElementsAre(1.5));
  EXPECT_THAT(read(with_header("{\"shape\":(1,),\"descr\":\"<f8\",\"fortran_order\":True}"))
                  .tensors.at("x")
                  .values,
              ElementsAre(1.5));
}

TEST_F(NpzTest, HeadersThatAreNoGoodDictionaryAreRefused) {
  for (const std::string header :
       {"{}", "{ ", "{'descr': '<f8', 'fortran_order': False}",
        "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}"}) {
    EXPECT_THAT(refusal(with_header(header)), HasSubstr("bad .npy header")) << header;
  }
}

TEST_F(NpzTest, HeadersTooShortForADictionaryAreRefused) {
  EXPECT_THAT(refusal(with_header("")), HasSubstr("header is too short"));
  EXPECT_THAT(refusal(with_header("{")), HasSubstr("header is too short"));
}

TEST_F(NpzTest, TypesThatAreNoRealNumbersAreRefused) {
  for (const std::string type : {"<c8", "|O", "<U2", "<f16", "|f8", "f8", "", "<M8[ns]"}) {
    EXPECT_THAT(
        refusal(with_header("{'descr': '" + type + "', 'fortran_order': False, 'shape': (1,)}")),
        HasSubstr("\"" + type + "\" is not read"));
  }
}

TEST_F(NpzTest, ShapesThatDoNotMatchTheBytesAreRefused) {
  for (const std::string shape : {"(2,)", "(0,)", "(4294967296, 4294967296)",
                                  "(1152921504606846977,)", "(2305843009213693952, 4)"}) {
    EXPECT_THAT(
        refusal(with_header("{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + "}")),
        HasSubstr("does not match its 8 bytes"))
        << shape;
  }
}

TEST_F(NpzTest, LengthsThatCannotBeTrueAreRefusedBeforeAllocating) {
  const std::string array = make_npy(kGoodHeader, bytes_of<double>({1.5}));
  EXPECT_THAT(refusal(make_zip({{"x.npy", array, 0xfffffffe}})), HasSubstr("claims 4294967294"));
  EXPECT_THAT(refusal(make_zip({{"x.npy", array, 0xfffffffe, 8}})), HasSubstr("claims 4294967294"));
  std::string longer = array;
  longer[8] = longer[9] = '\xff';
  EXPECT_THAT(refusal(make_zip({{"x.npy", longer}})), HasSubstr("longer than the array"));
}

TEST_F(NpzTest, MembersThatAreNoArraysAreRefused) {
  const std::string array = make_npy(kGoodHeader, bytes_of<double>({1.5}));
  EXPECT_THAT(refusal(make_zip({{"x.txt", "hello"}})), HasSubstr("not an .npy array"));
  EXPECT_THAT(refusal(make_zip({{"x.npy", "hello"}})), HasSubstr("not an .npy array"));
  EXPECT_THAT(refusal(make_zip({{"x.npy", ""}})), HasSubstr("not an .npy array"));
  EXPECT_THAT(refusal(make_zip({{"x.npy", array}, {"x.npy", array}})), HasSubstr("comes twice"));
  EXPECT_THAT(refusal(make_zip({{"x.npy", array, 0xffffffff, 12}})), HasSubstr("method 12"));
  EXPECT_THAT(refusal(make_zip({{"x.npy", array, 0xffffffff, 0, 1}})), HasSubstr("CRC"));
  std::string version_nine = array;
  version_nine[6] = 9;
  EXPECT_THAT(refusal(make_zip({{"x.npy", version_nine}})), HasSubstr("version is 9"));
}

TEST_F(NpzTest, WhatIsWrittenIsReadBackBitForBit) {
  TensorFile file;
  file.tensors["a.weight"] = {{2, 3}, {0.1, -0.0, 1e-308, 5e-324, 1e308, -7}};
  file.tensors["scalar"] = {{}, {3}};
  file.tensors["none"] = {{0, 7}, {}};
  file.tensors["row"] = {{3}, {1, 2, 3}};
  write_tensors(path_, file);
  const TensorFile back = read_tensors(path_);

  ASSERT_EQ(back.tensors.size(), file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    EXPECT_EQ(back.tensors.at(name).shape, tensor.shape);
    EXPECT_EQ(bytes_of(back.tensors.at(name).values), bytes_of(tensor.values));
  }
}

TEST_F(NpzTest, TheSameNumbersMakeTheSameFile) {
  const TensorFile file{{{"x", {{1}, {1.5}}}}, {}};
  write_tensors(path_, file);
  const std::string first = read_bytes(path_);
  write_tensors(path_, file);

  EXPECT_EQ(read_bytes(path_), first);
  EXPECT_THAT(first, HasSubstr("\x93NUMPY"));  // stored, as numpy.savez does
}

TEST_F(NpzTest, AnArchiveWithoutArraysIsNotWritten) {
  EXPECT_THAT(file_error([&] { write_tensors(path_, {}); }), HasSubstr("without arrays"));
  EXPECT_THAT(folder_.names(), IsEmpty());
}

}  // namespace
}  // namespace crease
