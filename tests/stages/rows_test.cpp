// Rows of features: the same whatever the chunks, and scaled ones.
#include "src/stages/rows.hpp"

#include <algorithm>

#include "kernels/ops.hpp"
#include "tests/support/planted_features.hpp"

namespace crease {
namespace {

class RowsTest : public PlantedFeatures {};
CREASE_ON_EVERY_BACKEND(RowsTest);

TEST_P(RowsTest, FeatureRowsAreThePointsOfTheirStreamWhateverTheChunks) {
  plant(0.5);
  DeviceMatrix x(device(), kPoints, kInputs);
  fill_gaussian(device(), Seed{9}, static_cast<std::uint64_t>(Stream::looks), 4, 1.0, x);
  const HostMatrix points = download(device(), x);
  HostMatrix input(kPoints, kInputs + 1, 1.0);
  HostMatrix weights(kInputs + 1, kNeurons);
  const HostMatrix w = download(device(), weights_);
  const HostMatrix b = download(device(), bias_);
  for (Index j = 0; j < kNeurons; ++j) {
    for (Index i = 0; i < kInputs; ++i) weights(i, j) = w(j, i);
    weights(kInputs, j) = b(j, 0);
  }
  for (Index i = 0; i < kPoints; ++i) std::copy_n(points.row(i), kInputs, input.row(i));
  const Sums exact = product(input, weights);
  for (const Index bytes : {kWhole, kOneRow, Index{9 * kFeatures * 8}}) {
    for (const bool with_inputs : {true, false}) {
      FeatureRows z = rows(bytes, with_inputs);
      EXPECT_EQ(z.rows(), kPoints);
      EXPECT_EQ(z.cols(), kNeurons + (with_inputs ? kInputs : 0) + 1);
      EXPECT_EQ(z.chunk_rows(),
                bytes == kWhole ? kPoints : std::max<Index>(1, bytes / (8 * z.cols())));
      for (const Index first : {Index{0}, Index{13}, kPoints - 1}) {
        const Index count = std::min(z.chunk_rows(), kPoints - first);
        const HostMatrix got = download(device(), z.chunk(first, count));
        HostMatrix active(count, kNeurons), expected(count, kNeurons), terms(count, kNeurons);
        for (Index i = 0; i < count; ++i) {
          for (Index j = 0; j < kNeurons; ++j) {
            active(i, j) = got(i, j);
            expected(i, j) = std::max(exact.value(first + i, j), 0.0);
            terms(i, j) = exact.terms(first + i, j);
          }
          for (Index j = kNeurons; j + 1 < z.cols(); ++j) {
            ASSERT_EQ(got(i, j), points(first + i, j - kNeurons)) << bytes;
          }
          ASSERT_EQ(got(i, z.cols() - 1), 1.0) << bytes;
        }
        EXPECT_TRUE(near_sum(active, expected, terms, kInputs + 1)) << bytes;
      }
      EXPECT_THROW(z.chunk(0, z.chunk_rows() + 1), BadInput);
    }
  }
}

TEST_P(RowsTest, FeaturesThatDoNotFitNeverStandBesideTheirPoints) {
  plant(0.5);
  const Index before = device().stats().bytes_in_use;
  FeatureRows z = rows(kSevenRows);
  EXPECT_LE(device().stats().bytes_in_use - before, kSevenRows);
}

TEST_P(RowsTest, ScaledRowsAreTheRowsTimesTheirFactors) {
  plant(0.5);
  const Index first = 30;
  HostMatrix factors(100, 1);
  for (Index i = 0; i < factors.rows(); ++i) factors(i, 0) = 0.5 * static_cast<double>(i % 4);
  const DeviceMatrix on_device = upload(device(), factors);
  for (const Index bytes : {kWhole, kOneRow, kSevenRows}) {
    FeatureRows z = rows(kWhole);
    ScaledRows scaled(device(), z, first, on_device, bytes);
    EXPECT_EQ(scaled.rows(), 100);
    EXPECT_EQ(scaled.cols(), z.cols());
    EXPECT_FALSE(scaled.gaussian().has_value()) << "weights have changed the measure";
    const Index count = std::min<Index>(scaled.chunk_rows(), 3);
    const HostMatrix got = download(device(), scaled.chunk(50, count));
    for (Index i = 0; i < count; ++i) {
      for (Index j = 0; j < z.cols(); ++j) {
        EXPECT_EQ(got(i, j), z_(first + 50 + i, j) * factors(50 + i, 0));
      }
    }
    EXPECT_THROW(scaled.chunk(0, scaled.chunk_rows() + 1), BadInput);
  }
  FeatureRows z = rows(kWhole);
  EXPECT_THROW(ScaledRows(device(), z, kPoints - 99, on_device, kWhole), BadInput);
}

}  // namespace
}  // namespace crease
