// Joint diagonalisation by congruence: Jennrich starts, alternating least squares.
#include "src/stages/joint_diagonal.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr int kBetweenResiduals = 10;
constexpr double kSettled = 1e-7;        // relative change of the residual that ends a try
constexpr double kLeastResidual = 1e-3;  // below it a change counts relative to this
constexpr double kRidge = 1e-12;         // of the c, whose columns have unit length
constexpr double kFactorRidge = 1e-10;   // of the mean diagonal

/// What alternating least squares works on: factors are rows here, so A^T = a.
class Alternating {
 public:
  Alternating(Device& device, ConstHostView slices)
      : device_(device),
        slices_(upload(device, slices)),
        size_(slices.cols),
        count_(slices.rows / slices.cols) {
    for (Index i = 0; i < slices.rows; ++i) {
      for (Index j = 0; j < slices.cols; ++j) square_ += slices(i, j) * slices(i, j);
    }
  }

  /// Moves a on until it settles; its relative residual, or nothing where a system is singular.
  std::optional<double> run(HostMatrix& a, int iterations) {
    double last = std::numeric_limits<double>::infinity();
    for (int i = 0; i < iterations; ++i) {
      if (!solve_scales(a) || !turn(a)) return std::nullopt;
      if (i % kBetweenResiduals != kBetweenResiduals - 1 && i + 1 < iterations) continue;
      if (!solve_scales(a)) return std::nullopt;
      const double now = residual();
      const bool settled = std::abs(last - now) < kSettled * std::max(now, kLeastResidual);
      last = now;
      if (settled) break;
    }
    return last;
  }

 private:
  /// c_s = (A^T A o A^T A)^-1 (a_i^T T_s a_i)_i.
  bool solve_scales(const HostMatrix& a) {
    const DeviceMatrix there = upload(device_, a);
    DeviceMatrix images(device_, slices_.rows(), size_);
    multiply(device_, slices_, Transpose::no, there, Transpose::yes, 1.0, 0.0, images);
    images_ = download(device_, images);
    gram_ = HostMatrix(size_, size_);
    squared_ = HostMatrix(size_, size_);
    for (Index i = 0; i < size_; ++i) {
      for (Index j = 0; j < size_; ++j) {
        gram_(i, j) = dot(a.row(i), a.row(j), size_);
        squared_(i, j) = gram_(i, j) * gram_(i, j);
      }
    }
    right_ = HostMatrix(size_, count_);
    for (Index s = 0; s < count_; ++s) {
      for (Index q = 0; q < size_; ++q) {
        for (Index i = 0; i < size_; ++i) right_(i, s) += a(i, q) * images_(s * size_ + q, i);
      }
    }
    scales_ = right_;
    HostMatrix system = squared_;
    for (Index i = 0; i < size_; ++i) system(i, i) += kRidge;
    return solve_positive(system, scales_);
  }

  /// A <- (sum_s T_s A diag(c_s)) ((sum_s c_s c_s^T) o A^T A)^-1, of unit columns.
  bool turn(HostMatrix& a) {
    HostMatrix system(size_, size_);
    double trace = 0;
    for (Index i = 0; i < size_; ++i) {
      for (Index j = 0; j < size_; ++j) {
        system(i, j) = dot(scales_.row(i), scales_.row(j), count_) * gram_(i, j);
      }
      trace += system(i, i);
    }
    HostMatrix next(size_, size_);
    for (Index i = 0; i < size_; ++i)
      system(i, i) += kFactorRidge * trace / static_cast<double>(size_);
    for (Index s = 0; s < count_; ++s) {
      for (Index q = 0; q < size_; ++q) {
        for (Index i = 0; i < size_; ++i) next(i, q) += images_(s * size_ + q, i) * scales_(i, s);
      }
    }
    if (!solve_positive(system, next)) return false;
    for (Index i = 0; i < size_; ++i) {
      const double length = std::sqrt(dot(next.row(i), next.row(i), size_));
      if (!(length > 1e-300) || !std::isfinite(length)) return false;
      for (Index q = 0; q < size_; ++q) a(i, q) = next(i, q) / length;
    }
    return true;
  }

  double residual() const {
    double left = square_;
    for (Index i = 0; i < size_; ++i) {
      left -= 2 * dot(scales_.row(i), right_.row(i), count_);
      for (Index j = 0; j < size_; ++j) {
        left += squared_(i, j) * dot(scales_.row(i), scales_.row(j), count_);
      }
    }
    return std::sqrt(std::max(left, 0.0) / square_);
  }

  Device& device_;
  DeviceMatrix slices_;  // [S k, k]
  Index size_;
  Index count_;
  double square_ = 0;
  HostMatrix images_;  // [S k, k]: T_s A
  HostMatrix gram_, squared_;
  HostMatrix right_, scales_;  // [k, S]
};

/// Eigenvectors of T(z1) T(z2)^-1, or nothing where T(z2) is singular.
std::optional<HostMatrix> start(ConstHostView slices, Random& random) {
  const Index k = slices.cols;
  const Index count = slices.rows / k;
  const std::vector<double> first = random.normals(count);
  const std::vector<double> second = random.normals(count);
  HostMatrix one(k, k), other(k, k);
  for (Index s = 0; s < count; ++s) {
    for (Index i = 0; i < k; ++i) {
      for (Index j = 0; j < k; ++j) {
        const double value = slices(s * k + i, j);
        one(i, j) += first[static_cast<std::size_t>(s)] * value;
        other(i, j) += second[static_cast<std::size_t>(s)] * value;
      }
    }
  }
  return pencil_eigenvectors(one, other, 1e-14);
}

constexpr double kSame = 1.0001;  // of the least residual

}  // namespace

std::optional<HostMatrix> pencil_eigenvectors(const HostMatrix& one, const HostMatrix& other,
                                              double cutoff) {
  const Index k = one.rows();
  const HostMatrix inverse = pseudo_inverse(other, cutoff);
  HostMatrix pencil(k, k);
  for (Index i = 0; i < k; ++i) {
    for (Index q = 0; q < k; ++q) {
      for (Index j = 0; j < k; ++j) pencil(i, j) += one(i, q) * inverse(q, j);
    }
  }
  HostMatrix vectors;
  if (!real_eigenvectors(std::move(pencil), vectors)) return std::nullopt;
  return vectors;
}

std::vector<JointDiagonal> jointly_diagonalize(Device& device, ConstHostView slices, Random& random,
                                               int tries, int iterations, bool agree) {
  require(slices.cols >= 1 && slices.rows >= slices.cols && slices.rows % slices.cols == 0,
          "jointly_diagonalize: slices must be [S k, k]");
  require(tries >= 1 && iterations >= 1,
          "jointly_diagonalize: there must be a try and an iteration");
  Alternating alternating(device, slices);
  std::vector<JointDiagonal> found;
  const auto agreed = [&] {
    double least = std::numeric_limits<double>::infinity(), second = least;
    for (const JointDiagonal& one : found) {
      second = std::min(second, std::max(least, one.residual));
      least = std::min(least, one.residual);
    }
    return found.size() > 1 && second <= kSame * least;
  };
  for (int t = 0; t < tries && !(agree && agreed()); ++t) {
    std::optional<HostMatrix> factors = start(slices, random);
    if (!factors) continue;
    const std::optional<double> residual = alternating.run(*factors, iterations);
    if (residual && std::isfinite(*residual)) found.push_back({std::move(*factors), *residual});
  }
  std::stable_sort(found.begin(), found.end(), [](const JointDiagonal& a, const JointDiagonal& b) {
    return a.residual < b.residual;
  });
  return found;
}

}  // namespace crease
