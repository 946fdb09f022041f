// Matrices that share their factors give them back.
#include "src/stages/joint_diagonal.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

class JointDiagonalTest : public EveryBackend {
 protected:
  std::vector<JointDiagonal> found(const HostMatrix& slices) {
    Random random(Seed{1});
    return jointly_diagonalize(device(), slices, random, 4, 50);
  }
};
CREASE_ON_EVERY_BACKEND(JointDiagonalTest);

HostMatrix unit_rows(Index k, std::uint64_t seed) {
  Random random(Seed{seed});
  HostMatrix rows(0, k);
  for (Index i = 0; i < k; ++i) rows.append_row(unit_vector(random.normals(k)).data(), k);
  return rows;
}

/// [S k, k]: sum_i scales(s, i) a_i a_i^T.
HostMatrix slices_of(const HostMatrix& factors, const HostMatrix& scales) {
  const Index k = factors.cols();
  HostMatrix slices(scales.rows() * k, k);
  for (Index s = 0; s < scales.rows(); ++s) {
    for (Index i = 0; i < k; ++i) {
      for (Index p = 0; p < k; ++p) {
        for (Index q = 0; q < k; ++q) {
          slices(s * k + p, q) += scales(s, i) * factors(i, p) * factors(i, q);
        }
      }
    }
  }
  return slices;
}

/// Largest distance of a true factor from the nearest found one, up to sign.
double worst(const HostMatrix& truth, const HostMatrix& found) {
  double largest = 0;
  for (Index i = 0; i < truth.rows(); ++i) {
    double nearest = std::numeric_limits<double>::infinity();
    for (Index j = 0; j < found.rows(); ++j) {
      for (const double sign : {1.0, -1.0}) {
        double square = 0;
        for (Index q = 0; q < truth.cols(); ++q) {
          square += std::pow(truth(i, q) - sign * found(j, q), 2);
        }
        nearest = std::min(nearest, std::sqrt(square));
      }
    }
    largest = std::max(largest, nearest);
  }
  return largest;
}

// Jennrich's eigenvectors are off by about eps times condition numbers of the factors, squared, and
// of the pencil; alternating least squares, with its ridge of 1e-12, leaves at most 1e-8 of it.
TEST_P(JointDiagonalTest, ExactSlicesGiveTheFactorsThemselves) {
  for (const auto& [k, count] : {std::pair<Index, Index>{1, 1}, {2, 2}, {5, 3}, {8, 8}}) {
    const HostMatrix factors = unit_rows(k, 3);
    const std::vector<JointDiagonal> candidates = found(slices_of(factors, normals(count, k, 7)));
    ASSERT_FALSE(candidates.empty());

    EXPECT_LT(worst(factors, candidates[0].factors), 1e-8) << k;
    EXPECT_LT(candidates[0].residual, 1e-7);  // the root of eps, as squares cancel
  }
}

TEST_P(JointDiagonalTest, AnErrorOfTheSlicesIsAnErrorOfTheFactors) {
  constexpr Index k = 5;
  const HostMatrix factors = unit_rows(k, 3);
  HostMatrix slices = slices_of(factors, normals(6, k, 7));
  const HostMatrix error = normals(6 * k, k, 9);
  for (Index s = 0; s < 6; ++s) {
    for (Index i = 0; i < k; ++i) {
      for (Index j = 0; j < k; ++j) {
        slices(s * k + i, j) += 5e-4 * (error(s * k + i, j) + error(s * k + j, i));
      }
    }
  }
  const std::vector<JointDiagonal> candidates = found(slices);
  ASSERT_FALSE(candidates.empty());

  EXPECT_LT(worst(factors, candidates[0].factors), 0.02);  // 20 times the errors
  EXPECT_GT(worst(factors, candidates[0].factors), 1e-5);
  EXPECT_LT(candidates[0].residual, 0.01);
  for (std::size_t i = 1; i < candidates.size(); ++i) {
    EXPECT_GE(candidates[i].residual, candidates[i - 1].residual);
  }
}

TEST_P(JointDiagonalTest, SlicesThatShareNothingShowItInTheResidual) {
  constexpr Index k = 4;
  HostMatrix slices = normals(8 * k, k, 5);
  for (Index s = 0; s < 8; ++s) {
    for (Index i = 0; i < k; ++i) {
      for (Index j = 0; j < i; ++j) slices(s * k + i, j) = slices(s * k + j, i);
    }
  }
  for (const JointDiagonal& candidate : found(slices)) EXPECT_GT(candidate.residual, 0.3);
}

TEST_P(JointDiagonalTest, NothingButZerosGivesNoCandidate) {
  EXPECT_TRUE(found(HostMatrix(6, 3)).empty());
}

TEST_P(JointDiagonalTest, OtherShapesAreRefused) {
  EXPECT_THROW(found(HostMatrix(5, 3)), BadInput);
  EXPECT_THROW(found(HostMatrix(0, 3)), BadInput);
}

}  // namespace
}  // namespace crease
