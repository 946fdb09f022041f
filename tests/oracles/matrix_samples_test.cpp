// Examples that stand in two matrices.
#include <crease/samples.hpp>

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"

namespace crease {
namespace {

class MatrixSamplesTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(MatrixSamplesTest);

TEST_P(MatrixSamplesTest, RowsComeInOrderUntilNoneIsLeft) {
  const auto source = make_matrix_samples({{1, 2}, {3, 4}, {5, 6}}, {{7}, {8}, {9}});
  EXPECT_EQ(source->input_dim(), 2);
  EXPECT_EQ(source->output_dim(), 1);
  for (int pass = 0; pass < 2; ++pass) {
    EXPECT_EQ(source->rows_left(), 3);
    DeviceMatrix x(device(), 2, 2);
    DeviceMatrix y(device(), 2, 1);
    source->draw(device(), x, y);
    EXPECT_TRUE(same_bits(download(device(), x), {{1, 2}, {3, 4}}));
    EXPECT_TRUE(same_bits(download(device(), y), {{7}, {8}}));
    EXPECT_EQ(source->rows_left(), 1);
    EXPECT_THROW(source->draw(device(), x, y), BadInput);
    source->draw(device(), x.view().row_block(0, 1), y.view().row_block(0, 1));
    EXPECT_TRUE(same_bits(download(device(), x.view().row_block(0, 1)), {{5, 6}}));
    EXPECT_EQ(source->rows_left(), 0);
    EXPECT_TRUE(source->rewind());
  }
}

TEST_P(MatrixSamplesTest, OtherShapesAreRefused) {
  const auto source = make_matrix_samples({{1, 2}}, {{7}});
  DeviceMatrix x(device(), 1, 1);
  DeviceMatrix y(device(), 1, 1);

  EXPECT_THROW(source->draw(device(), x, y), BadInput);
  EXPECT_THROW(make_matrix_samples({{1}, {2}}, {{1}}), BadInput);
  EXPECT_THROW(make_matrix_samples(HostMatrix(1, 0), {{1}}), BadInput);
  EXPECT_THROW(make_matrix_samples({{1}}, {{std::numeric_limits<double>::infinity()}}), BadInput);
}

}  // namespace
}  // namespace crease
