// Examples held out, kept, and drawn again.
#include "src/stages/examples.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"

namespace crease {
namespace {

constexpr Index kInputs = 3;
constexpr Index kOutputs = 2;
constexpr Index kRowBytes = (kInputs + kOutputs) * static_cast<Index>(sizeof(double));

HostMatrix counting(Index rows, Index cols, double first) {
  HostMatrix matrix(rows, cols);
  for (Index i = 0; i < matrix.size(); ++i) matrix.data()[i] = first + static_cast<double>(i);
  return matrix;
}

/// Rows of two matrices that may not rewind, and how often it was drawn from.
class Counted final : public SampleSource {
 public:
  Counted(HostMatrix x, HostMatrix y, bool rewinds)
      : source_(make_matrix_samples(std::move(x), std::move(y))), rewinds_(rewinds) {}
  Index input_dim() const override { return source_->input_dim(); }
  Index output_dim() const override { return source_->output_dim(); }
  std::optional<Index> rows_left() const override { return source_->rows_left(); }
  void draw(Device& device, DeviceView x, DeviceView y) override {
    drawn += x.rows;
    source_->draw(device, x, y);
  }
  bool rewind() override { return rewinds_ && source_->rewind(); }

  Index drawn = 0;

 private:
  std::unique_ptr<SampleSource> source_;
  bool rewinds_;
};

class ExamplesTest : public EveryBackend {
 protected:
  /// Every training row of one pass, and the chunks they came in.
  struct Pass {
    HostMatrix x;
    HostMatrix y;
    std::vector<Index> chunks;
  };
  Pass pass(Examples& examples, Index count) {
    Pass all;
    examples.pass_over(count, [&](Index first, ConstDeviceView x, ConstDeviceView y) {
      EXPECT_EQ(first, all.x.rows());
      const HostMatrix chunk_x = download(device(), x);
      const HostMatrix chunk_y = download(device(), y);
      for (Index i = 0; i < x.rows; ++i) {
        all.x.append_row(chunk_x.row(i), kInputs);
        all.y.append_row(chunk_y.row(i), kOutputs);
      }
      all.chunks.push_back(x.rows);
    });
    return all;
  }
};
CREASE_ON_EVERY_BACKEND(ExamplesTest);

const HostMatrix kX = counting(11, kInputs, 0);
const HostMatrix kY = counting(11, kOutputs, 1000);

TEST_P(ExamplesTest, EveryWayOfKeepingThemGivesTheSameRowsInEveryPass) {
  struct Case {
    Index most_bytes;
    bool rewinds;
    Index drawn;  // after two passes over 8 rows behind 3 that are held out
  };
  for (const Case& c : {Case{100 * kRowBytes, true, 11}, Case{3 * kRowBytes, true, 3 + 2 * 11},
                        Case{3 * kRowBytes, false, 11}, Case{1, true, 3 + 2 * 11}}) {
    Counted source(kX, kY, c.rewinds);
    Examples::Plan plan;
    plan.rows = 8;
    plan.held_out = 3;
    plan.most_bytes = c.most_bytes;
    Examples examples(device(), source, plan);
    EXPECT_TRUE(same_bits(download(device(), examples.held_out_x()), counting(3, kInputs, 0)));
    EXPECT_TRUE(same_bits(download(device(), examples.held_out_y()), counting(3, kOutputs, 1000)));
    for (int again = 0; again < 2; ++again) {
      const Pass all = pass(examples, 8);
      EXPECT_TRUE(same_bits(all.x, counting(8, kInputs, 3 * kInputs)));
      EXPECT_TRUE(same_bits(all.y, counting(8, kOutputs, 1000 + 3 * kOutputs)));
      for (const Index rows : all.chunks)
        EXPECT_LE(rows, std::max<Index>(1, c.most_bytes / kRowBytes));
    }
    EXPECT_EQ(source.drawn, c.drawn);
  }
}

TEST_P(ExamplesTest, BlocksAreTheSameRowsAndAsLongAsTheirScratchAllows) {
  Counted source(kX, kY, true);
  Examples::Plan plan;
  plan.rows = 8;
  plan.held_out = 3;
  Examples examples(device(), source, plan);
  Index next = 3;
  const Index numbers = device().ops().block_bytes() / 2 / 8;  // two rows at a time
  examples.pass_in_blocks(7, numbers, [&](ConstDeviceView x, ConstDeviceView y) {
    EXPECT_EQ(x.rows, next < 9 ? 2 : 1);
    EXPECT_EQ(y.rows, x.rows);
    EXPECT_EQ(download(device(), x)(0, 0), kX(next, 0));
    EXPECT_EQ(download(device(), y)(0, 0), kY(next, 0));
    next += x.rows;
  });
  EXPECT_EQ(next, 10);
}

TEST_P(ExamplesTest, AConstantIsTheLastInputHoweverTheyAreKept) {
  for (const Index most_bytes : {100 * kRowBytes, 2 * kRowBytes}) {
    for (const bool rewinds : {true, false}) {
      Counted source(kX, kY, rewinds);
      Examples::Plan plan;
      plan.rows = 5;
      plan.held_out = 2;
      plan.constant = true;
      plan.most_bytes = most_bytes;
      Examples examples(device(), source, plan);
      EXPECT_EQ(examples.inputs(), kX.cols() + 1);
      EXPECT_EQ(download(device(), examples.held_out_x())(1, kX.cols()), 1);
      for (int pass = 0; pass < 2; ++pass) {
        examples.pass([&](Index first, ConstDeviceView x, ConstDeviceView) {
          const HostMatrix rows = download(device(), x);
          for (Index i = 0; i < rows.rows(); ++i) {
            EXPECT_EQ(rows(i, 0), kX(2 + first + i, 0));
            EXPECT_EQ(rows(i, kX.cols()), 1);
          }
        });
      }
    }
  }
}

TEST_P(ExamplesTest, TheFirstRowsAreOneMatrixHoweverTheyAreKept) {
  for (const Index most_bytes : {100 * kRowBytes, 2 * kRowBytes}) {
    Counted source(kX, kY, true);
    Examples::Plan plan;
    plan.rows = 9;
    plan.held_out = 2;
    plan.most_bytes = most_bytes;
    Examples examples(device(), source, plan);
    const Examples::Rows rows = examples.first(5);

    EXPECT_TRUE(same_bits(download(device(), rows.x), counting(5, kInputs, 2 * kInputs)));
    EXPECT_TRUE(same_bits(download(device(), rows.y), counting(5, kOutputs, 1000 + 2 * kOutputs)));
    EXPECT_TRUE(same_bits(pass(examples, 9).x, counting(9, kInputs, 2 * kInputs)));
  }
}

TEST_P(ExamplesTest, TurnedInputsAreTurnedOnceInEveryPassHoweverTheyAreKept) {
  const HostMatrix turn = {{0, 1, 0}, {2, 0, 0}, {0, 0, -1}};
  for (const bool rewinds : {true, false}) {
    for (const Index most_bytes : {100 * kRowBytes, 3 * kRowBytes}) {
      Counted source(kX, kY, rewinds);
      Examples::Plan plan;
      plan.rows = 8;
      plan.held_out = 3;
      plan.most_bytes = most_bytes;
      Examples examples(device(), source, plan);
      examples.turn_inputs(turn);
      const auto turned = [](Index first, Index count) {
        HostMatrix rows(count, kInputs);
        for (Index i = 0; i < count; ++i) {
          rows(i, 0) = kX(first + i, 1);
          rows(i, 1) = 2 * kX(first + i, 0);
          rows(i, 2) = -kX(first + i, 2);
        }
        return rows;
      };
      EXPECT_TRUE(same_bits(download(device(), examples.held_out_x()), turned(0, 3)));
      for (int again = 0; again < 2; ++again) {
        EXPECT_TRUE(same_bits(pass(examples, 8).x, turned(3, 8)));
      }
      EXPECT_TRUE(same_bits(download(device(), examples.first(4).x), turned(3, 4)));
      EXPECT_THROW(examples.turn_inputs(turn), BadInput);
    }
  }
}

TEST_P(ExamplesTest, MemoryStaysWithinTheBoundAndTheHeldOutRows) {
  Counted source(counting(500, kInputs, 0), counting(500, kOutputs, 0), true);
  Examples::Plan plan;
  plan.rows = 490;
  plan.held_out = 10;
  plan.most_bytes = 20 * kRowBytes;
  const Index before = device().stats().bytes_in_use;
  Examples examples(device(), source, plan);
  pass(examples, 490);

  EXPECT_LE(device().stats().bytes_in_use - before, (20 + 10) * kRowBytes);
}

TEST_P(ExamplesTest, TooFewRowsAndNumbersThatAreNotFiniteAreRefused) {
  Counted source(kX, kY, true);
  Examples::Plan plan;
  plan.rows = 9;
  plan.held_out = 3;
  EXPECT_THROW(Examples(device(), source, plan), BadInput);
  plan.rows = 0;
  EXPECT_THROW(Examples(device(), source, plan), BadInput);

  class Nan final : public SampleSource {
   public:
    Index input_dim() const override { return 1; }
    Index output_dim() const override { return 1; }
    std::optional<Index> rows_left() const override { return std::nullopt; }
    void draw(Device& device, DeviceView x, DeviceView y) override {
      device.copy_in(HostMatrix(x.rows, 1, 1.0), x);
      HostMatrix answers(y.rows, 1, 1.0);
      if (drawn_ > 0) answers(1, 0) = std::numeric_limits<double>::quiet_NaN();
      drawn_ += x.rows;
      device.copy_in(answers, y);
    }

   private:
    Index drawn_ = 0;
  } bad;
  plan.rows = 5;
  plan.held_out = 4;
  try {
    Examples(device(), bad, plan);
    FAIL();
  } catch (const OracleError& error) {
    EXPECT_STREQ(error.what(), "row 5 of y holds NaN or infinity");
  }
}

TEST_P(ExamplesTest, WhatIsThrownBeforeAChunkEndsThePass) {
  Counted source(kX, kY, true);
  Examples::Plan plan;
  plan.rows = 11;
  plan.most_bytes = 4 * kRowBytes;
  int chunks = 0;
  plan.before_chunk = [&] {
    if (++chunks == 2) throw BadInput("enough");
  };
  Examples examples(device(), source, plan);

  EXPECT_THROW(pass(examples, 11), BadInput);
  EXPECT_EQ(chunks, 2);
}

}  // namespace
}  // namespace crease
