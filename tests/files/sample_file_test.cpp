// Examples read from files as they are drawn, and written in chunks.
#include <gmock/gmock.h>
#include <crease/files.hpp>
#include <crease/samples.hpp>

#include <limits>

#include "tests/files/file_bytes.hpp"
#include "tests/files/handmade_zip.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/drawn_rows.hpp"
#include "tests/support/near.hpp"
#include "tests/support/temporary_folder.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class SampleFileTest : public EveryBackend {
 protected:
  DrawnRows draw(SampleSource& source, Index rows) { return drawn_rows(device(), source, rows); }
  std::string write(const std::string& name, const Tensor& x, const Tensor& y) {
    write_tensors(folder_.file(name), {{{"x", x}, {"y", y}}, {}});
    return folder_.file(name);
  }
  std::string refusal(const Tensor& x, const Tensor& y) {
    return file_error([&] { open_samples(write("refused.npz", x, y)); });
  }

  TemporaryFolder folder_;
};
CREASE_ON_EVERY_BACKEND(SampleFileTest);

Tensor counting(std::vector<Index> shape, double first) {
  Tensor tensor{std::move(shape), {}};
  Index count = 1;
  for (const Index size : tensor.shape) count *= size;
  for (Index i = 0; i < count; ++i) tensor.values.push_back(first + static_cast<double>(i));
  return tensor;
}

TEST_P(SampleFileTest, RowsComeInOrderAndOnceMoreAfterARewind) {
  for (const std::string name : {"a.safetensors", "a.npz"}) {
    const auto source = open_samples(write(name, counting({5, 2}, 0), counting({5, 1}, 100)));
    ASSERT_EQ(source->input_dim(), 2);
    ASSERT_EQ(source->output_dim(), 1);
    EXPECT_EQ(source->rows_left(), 5);
    for (int pass = 0; pass < 2; ++pass) {
      const DrawnRows first = draw(*source, 2);
      EXPECT_EQ(source->rows_left(), 3);
      const DrawnRows rest = draw(*source, 3);
      EXPECT_EQ(source->rows_left(), 0);
      EXPECT_TRUE(same_bits(first.x, {{0, 1}, {2, 3}})) << name;
      EXPECT_TRUE(same_bits(first.y, {{100}, {101}}));
      EXPECT_TRUE(same_bits(rest.x, {{4, 5}, {6, 7}, {8, 9}}));
      EXPECT_TRUE(same_bits(rest.y, {{102}, {103}, {104}}));
      EXPECT_THROW(draw(*source, 1), BadInput);
      EXPECT_TRUE(source->rewind());
    }
  }
}

TEST_P(SampleFileTest, ListsAreColumns) {
  const auto source = open_samples(write("lists.npz", counting({3}, 1), counting({3}, 4)));
  const DrawnRows all = draw(*source, 3);

  EXPECT_TRUE(same_bits(all.x, {{1}, {2}, {3}}));
  EXPECT_TRUE(same_bits(all.y, {{4}, {5}, {6}}));
}

TEST_P(SampleFileTest, ArraysInFortranOrderGiveTheSameRows) {
  const std::string header = "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }";
  const std::string column = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }";
  write_bytes(folder_.file("f.npz"),
              make_zip({{"x.npy", make_npy(header, bytes_of<double>({1, 4, 2, 5, 3, 6}))},
                        {"y.npy", make_npy(column, bytes_of<float>({7, 8}))}}));
  const auto source = open_samples(folder_.file("f.npz"));
  for (int pass = 0; pass < 2; ++pass) {
    const DrawnRows first = draw(*source, 1);
    const DrawnRows second = draw(*source, 1);
    EXPECT_TRUE(same_bits(first.x, {{1, 2, 3}}));
    EXPECT_TRUE(same_bits(second.x, {{4, 5, 6}}));
    EXPECT_TRUE(same_bits(second.y, {{8}}));
    EXPECT_TRUE(source->rewind());
  }
}

TEST_P(SampleFileTest, OtherArraysOfAFileAreNotRead) {
  // A third array that is damaged does no harm to x and y.
  const std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), }";
  ZipMember damaged{"z.npy", make_npy(header, bytes_of<double>({3}))};
  damaged.wrong_checksum = 1;
  write_bytes(folder_.file("z.npz"), make_zip({{"x.npy", make_npy(header, bytes_of<double>({1}))},
                                               {"y.npy", make_npy(header, bytes_of<double>({2}))},
                                               damaged}));
  EXPECT_NE(file_error([&] { read_tensors(folder_.file("z.npz")); }), "");
  const auto source = open_samples(folder_.file("z.npz"));

  EXPECT_TRUE(same_bits(draw(*source, 1).x, {{1}}));
}

TEST_P(SampleFileTest, AWrongChecksumIsFoundWithTheLastRow) {
  const std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }";
  ZipMember x{"x.npy", make_npy(header, bytes_of<double>({1, 2}))};
  x.wrong_checksum = 1;
  write_bytes(folder_.file("c.npz"),
              make_zip({x, {"y.npy", make_npy(header, bytes_of<double>({3, 4}))}}));
  const auto source = open_samples(folder_.file("c.npz"));
  const std::string text = file_error([&] { draw(*source, 2); });

  EXPECT_THAT(text, HasSubstr("\"x\""));
  EXPECT_THAT(text, HasSubstr("CRC"));
}

TEST_P(SampleFileTest, WhatIsNoTableOfExamplesIsRefusedByName) {
  EXPECT_THAT(refusal(counting({3, 2}, 0), counting({2, 1}, 0)),
              HasSubstr("\"x\" has 3 rows, \"y\" has 2"));
  EXPECT_THAT(refusal(counting({1, 2, 1}, 0), counting({1}, 0)),
              HasSubstr("\"x\" has 3 dimensions; expected 1 or 2"));
  EXPECT_THAT(refusal(counting({0, 2}, 0), counting({0, 1}, 0)), HasSubstr("at least one example"));
  EXPECT_THAT(refusal(counting({2, 0}, 0), counting({2, 1}, 0)), HasSubstr("\"x\" is [2, 0]"));
  write_tensors(folder_.file("one.npz"), {{{"x", counting({2, 1}, 0)}}, {}});
  EXPECT_THAT(file_error([&] { open_samples(folder_.file("one.npz")); }),
              HasSubstr("no array \"y\""));
}

TEST_P(SampleFileTest, ANumberThatIsNotFiniteIsNamedWithItsRow) {
  Tensor x = counting({4, 2}, 0);
  x.values[5] = kNan;
  const auto source = open_samples(write("nan.safetensors", x, counting({4, 1}, 0)));
  draw(*source, 1);

  EXPECT_THAT(file_error([&] { draw(*source, 3); }), HasSubstr("row 2 of \"x\""));
}

TEST_P(SampleFileTest, WhatIsWrittenIsReadBackBitForBit) {
  const DrawnRows all = {{{1, 2}, {3, 4}, {0.1, -5}}, {{1e-300}, {7}, {8}}};
  for (const std::string name : {"w.safetensors", "w.npz"}) {
    const auto source = make_matrix_samples(all.x, all.y);
    write_samples(folder_.file(name), device(), *source, 2);
    EXPECT_EQ(source->rows_left(), 1);
    const auto written = open_samples(folder_.file(name));
    ASSERT_EQ(written->rows_left(), 2);
    const DrawnRows back = draw(*written, 2);
    EXPECT_TRUE(same_bits(back.x, {{1, 2}, {3, 4}}));
    EXPECT_TRUE(same_bits(back.y, {{1e-300}, {7}}));
  }
}

/// Answers of which one is NaN.
class Broken final : public SampleSource {
 public:
  Index input_dim() const override { return 1; }
  Index output_dim() const override { return 1; }
  std::optional<Index> rows_left() const override { return std::nullopt; }
  void draw(Device& device, DeviceView x, DeviceView y) override {
    device.copy_in(HostMatrix(x.rows, 1, 1.0), x);
    HostMatrix answers(y.rows, 1, 2.0);
    answers(1, 0) = kNan;
    device.copy_in(answers, y);
  }
};

TEST_P(SampleFileTest, NothingIsWrittenOfASourceThatGivesTooLittleOrNan) {
  const auto source = make_matrix_samples({{1}, {2}}, {{3}, {4}});
  Broken broken;
  for (const std::string name : {"n.safetensors", "n.npz"}) {
    EXPECT_THROW(write_samples(folder_.file(name), device(), *source, 3), BadInput);
    EXPECT_THROW(write_samples(folder_.file(name), device(), *source, 0), BadInput);
    EXPECT_THROW(write_samples(folder_.file(name), device(), broken, 2), BadInput);
  }
  EXPECT_THROW(write_samples(folder_.file("n.txt"), device(), *source, 1), FileError);
  EXPECT_TRUE(folder_.names().empty());
}

}  // namespace
}  // namespace crease
