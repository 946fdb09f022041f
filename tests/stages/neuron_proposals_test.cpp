// Guessed directions: a pursuit against plain least squares, eigenvectors and halves against what
// was planted.
#include "src/stages/neuron_proposals.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_sum.hpp"

namespace crease {
namespace {

class NeuronProposalsTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(NeuronProposalsTest);

/// |r - best combination of the columns|^2.
double left_by(const HostMatrix& columns, const HostMatrix& r) {
  const HostMatrix inverse = pseudo_inverse(columns, 1e-12);
  double square = 0;
  std::vector<double> coefficients;
  for (Index j = 0; j < columns.cols(); ++j) {
    coefficients.push_back(0);
    for (Index i = 0; i < r.rows(); ++i) coefficients.back() += inverse(j, i) * r(i, 0);
  }
  for (Index i = 0; i < r.rows(); ++i) {
    square += std::pow(r(i, 0) - dot(columns.row(i), coefficients.data(), columns.cols()), 2);
  }
  return square;
}

TEST_P(NeuronProposalsTest, ThePursuitTakesTheBestOfTheNetOneAfterTheOther) {
  constexpr Index kRows = 200, kInputs = 3, kNet = 12;
  const HostMatrix z = normals(kRows, kInputs, 1);
  const RectifiedSum truth = planted_sum(1, 3, kInputs, 4);
  const HostMatrix r = values_of(truth, z);
  HostMatrix kept(0, kInputs);
  kept.append_row(truth.directions.row(0), kInputs);
  Random random(Seed{3});
  const HostMatrix found =
      matched_neurons(device(), upload(device(), z), upload(device(), r), kept, 2, random, kNet);
  ASSERT_EQ(found.rows(), 3);

  Random again(Seed{3});
  std::vector<std::vector<double>> net;
  for (Index i = 0; i < kNet; ++i) net.push_back(unit_vector(again.normals(kInputs)));
  const auto with = [&](const HostMatrix& columns, const double* direction) {
    HostMatrix more(kRows, columns.cols() + 1);
    for (Index i = 0; i < kRows; ++i) {
      std::copy(columns.row(i), columns.row(i) + columns.cols(), more.row(i));
      more(i, columns.cols()) = std::fabs(dot(z.row(i), direction, kInputs));
    }
    return more;
  };
  HostMatrix columns = with(z, truth.directions.row(0));
  for (Index c = 0; c < 2; ++c) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < net.size(); ++i) {
      if (left_by(with(columns, net[i].data()), r) < left_by(with(columns, net[best].data()), r)) {
        best = i;
      }
    }
    for (Index j = 0; j < kInputs; ++j) {
      EXPECT_EQ(found(1 + c, j), net[best][static_cast<std::size_t>(j)]);
    }
    columns = with(columns, net[best].data());
  }
  for (Index j = 0; j < kInputs; ++j) EXPECT_EQ(found(0, j), truth.directions(0, j));
}

// Moments of order 4 vary a lot: with 100,000 rows in three dimensions they tell directions to a
// few degrees.
TEST_P(NeuronProposalsTest, JointEigenvectorsAreTheNeurons) {
  const RectifiedSum truth = planted_sum(1, 2, 2, 6);
  const HostMatrix z = normals(100000, 2, 1);
  Random random(Seed{1});
  const auto found = joint_eigenvectors(device(), upload(device(), z),
                                        upload(device(), values_of(truth, z)), random);
  ASSERT_TRUE(found);
  for (Index i = 0; i < 2; ++i) {
    double nearest = 0;
    for (Index j = 0; j < 2; ++j) {
      nearest = std::max(nearest, std::fabs(dot(truth.directions.row(i), found->row(j), 2)));
    }
    EXPECT_GT(nearest, 0.97);
  }
}

TEST_P(NeuronProposalsTest, ANeuronThatStandsForTwoIsSplitAlongThem) {
  constexpr Index kInputs = 4;
  const double width = 0.25;
  const std::vector<double> v{1, 0, 0, 0};
  const std::vector<double> t{0, 0.6, 0, 0.8};
  const HostMatrix z = normals(20000, kInputs, 1);
  HostMatrix r(z.rows(), 1);
  for (Index i = 0; i < z.rows(); ++i) {
    const double along = z(i, 0);
    const double aside = width * dot(z.row(i), t.data(), kInputs);
    r(i, 0) = std::fabs(along + aside) + std::fabs(along - aside) - 2 * std::fabs(along);
  }
  const HostMatrix halves =
      split_neuron(device(), upload(device(), z), upload(device(), r), v.data(), width);
  ASSERT_EQ(halves.rows(), 2);
  std::vector<double> apart;
  for (Index j = 0; j < kInputs; ++j) apart.push_back(halves(0, j) - halves(1, j));
  // unit(v + width t) - unit(v - width t) = 2 width t / sqrt(1 + width^2)
  EXPECT_NEAR(std::sqrt(dot(apart, apart)), 2 * width / std::sqrt(1 + width * width), 1e-12);
  EXPECT_GT(std::fabs(dot(unit_vector(apart), t)), 0.98);
}

}  // namespace
}  // namespace crease
