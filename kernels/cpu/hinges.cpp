// Absolute values, and the Jacobian of a sum of hinges, on the CPU.
#include <omp.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/ops.hpp"

namespace crease {
namespace {

constexpr Index kWord = 32;                     // rows whose signs share a word
constexpr Index kBlockFloats = Index{1} << 19;  // of a block's points and products: 2 MiB
constexpr Index kLeastBlock = 256;              // rows: fewer make the products slow
constexpr Index kMostBlock = 2048;

float flip(float value, std::uint32_t word, int left) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) ^ (word << left & 0x80000000U));
}

/// m[i, j] changes its sign where bit i of words[j] is set; at most 32 rows.
void flip_rows(const std::uint32_t* words, Index rows, Index hinges, float* m) {
  for (Index i = 0; i < rows; ++i) {
    const int left = static_cast<int>(kWord - 1 - i);
    float* row = m + i * hinges;
    for (Index j = 0; j < hinges; ++j) row[j] = flip(row[j], words[j], left);
  }
}

/// For one output: m[i, :] <- (sum of m[i, j] S_ij) squares[i] S_i.; at most 32 rows.
void turn_rows(const std::uint32_t* words, const float* squares, Index rows, Index hinges,
               float* m) {
  for (Index i = 0; i < rows; ++i) {
    const int left = static_cast<int>(kWord - 1 - i);
    float* row = m + i * hinges;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index j = 0; j < hinges; ++j) sum += flip(row[j], words[j], left);
    if (squares != nullptr) sum *= squares[i];
    for (Index j = 0; j < hinges; ++j) row[j] = flip(sum, words[j], left);
  }
}

/// c = a b or a b^T (or a^T b), row-major without strides, plus c where `add`.
void product(CBLAS_TRANSPOSE transpose_a, const float* a, CBLAS_TRANSPOSE transpose_b,
             const float* b, Index rows, Index cols, Index inner, bool add, float* c) {
  if (rows == 0 || cols == 0) return;
  if (inner == 0) {
    if (!add) std::fill_n(c, rows * cols, 0.0F);
    return;
  }
  const Index lda = transpose_a == CblasNoTrans ? inner : rows;
  const Index ldb = transpose_b == CblasNoTrans ? cols : inner;
  cblas_sgemm(CblasRowMajor, transpose_a, transpose_b, static_cast<int>(rows),
              static_cast<int>(cols), static_cast<int>(inner), 1.0F, a, static_cast<int>(lda), b,
              static_cast<int>(ldb), add ? 1.0F : 0.0F, c, static_cast<int>(cols));
}

class CpuHingeJacobian final : public HingeJacobian {
 public:
  CpuHingeJacobian(int threads, ConstDeviceView x, ConstDeviceView planes,
                   ConstDeviceView directions, ConstDeviceView weights, bool hold);

  void normal_product(ConstDeviceView u, ConstDeviceView shifts, DeviceView out) override;
  void back_product(ConstDeviceView r, double scale, DeviceView out) override;
  void sign_gram(Index rows, DeviceView g) override;

 private:
  /// Rows top .. top + count - 1, by one thread.
  struct Block {
    Index top;
    Index count;
    const float* x1;        // [count, d + 1]
    const float* features;  // [count, k]; not for one output
  };
  /// What one thread needs for a block, and what it adds up.
  struct Work {
    std::vector<float> x1, features, m, q, planes, scales;
    std::vector<double> total;  // [k + p, w]
  };

  bool many() const { return outputs_ > 1; }
  Index width() const { return inputs1_ + (many() ? outputs_ : 0); }
  Index blocks() const { return (rows_ + block_ - 1) / block_; }
  const std::uint32_t* words(Index row) const { return signs_.data() + row / kWord * hinges_; }
  void cast_points(Index top, Index count, float* x1) const;
  void make_features(Index count, const float* x1, float* features) const;
  void flip_block(const Block& block, float* m) const;
  void add_up(const Block& block, Work& work) const;
  template <class Use>
  void for_blocks(const Use& use);
  void finish(ConstDeviceView shifts, ConstDeviceView u, DeviceView out) const;

  int threads_;
  ConstDeviceView x_;
  Index rows_, inputs1_, neurons_, outputs_, hinges_, block_;
  std::vector<float> planes_;         // [k, d + 1]
  std::vector<float> directions_;     // [k + p, p], the identity below; empty for one output
  std::vector<float> squares_;        // [n, p] or empty: weights^2
  std::vector<float> roots_;          // [n, p] or empty: weights
  std::vector<std::uint32_t> signs_;  // [ceil(n / 32), k + p], bit n % 32: negative
  std::vector<float> x1_;             // [n, d + 1] or empty
  std::vector<float> features_;       // [n, k] or empty
  std::vector<float> unknowns_;       // [k + p, d + 1]
  std::vector<float> scales_;         // [k, p] or empty
  std::vector<Work> work_;
};

CpuHingeJacobian::CpuHingeJacobian(int threads, ConstDeviceView x, ConstDeviceView planes,
                                   ConstDeviceView directions, ConstDeviceView weights, bool hold)
    : threads_(threads),
      x_(x),
      rows_(x.rows),
      inputs1_(x.cols + 1),
      neurons_(planes.rows),
      outputs_(directions.cols),
      hinges_(neurons_ + outputs_),
      block_(std::clamp(kBlockFloats / (inputs1_ + hinges_) / kWord * kWord, kLeastBlock,
                        kMostBlock)) {
  for (const Index side : {inputs1_, hinges_, width(), block_}) blas_size(side);
  const auto size = [](Index a, Index b) { return static_cast<std::size_t>(a * b); };
  planes_.resize(size(neurons_, inputs1_));
  for (Index i = 0; i < neurons_; ++i) {
    for (Index j = 0; j < inputs1_; ++j) {
      planes_[static_cast<std::size_t>(i * inputs1_ + j)] =
          static_cast<float>(planes.data[i * planes.ld + j]);
    }
  }
  if (many()) {
    directions_.assign(size(hinges_, outputs_), 0.0F);
    for (Index i = 0; i < neurons_; ++i) {
      for (Index o = 0; o < outputs_; ++o) {
        directions_[static_cast<std::size_t>(i * outputs_ + o)] =
            static_cast<float>(directions.data[i * directions.ld + o]);
      }
    }
    for (Index o = 0; o < outputs_; ++o) {
      directions_[static_cast<std::size_t>((neurons_ + o) * outputs_ + o)] = 1.0F;
    }
  }
  if (weights.rows > 0) {
    roots_.resize(size(rows_, outputs_));
    squares_.resize(size(rows_, outputs_));
    for (Index i = 0; i < rows_; ++i) {
      for (Index o = 0; o < outputs_; ++o) {
        const double weight = weights.data[i * weights.ld + (weights.cols > 1 ? o : 0)];
        roots_[static_cast<std::size_t>(i * outputs_ + o)] = static_cast<float>(weight);
        squares_[static_cast<std::size_t>(i * outputs_ + o)] = static_cast<float>(weight * weight);
      }
    }
  }
  signs_.assign(size((rows_ + kWord - 1) / kWord, hinges_), 0);
  unknowns_.resize(size(hinges_, inputs1_));
  scales_.resize(many() ? size(neurons_, outputs_) : 0);
  x1_.resize(hold ? size(rows_, inputs1_) : 0);
  features_.resize(hold && many() ? size(rows_, neurons_) : 0);
  work_.resize(static_cast<std::size_t>(threads_));
  for (Work& work : work_) {
    work.x1.resize(hold ? 0 : size(block_, inputs1_));
    work.features.resize(many() && !hold ? size(block_, neurons_) : 0);
    work.m.resize(size(block_, hinges_));
    work.q.resize(size(block_, outputs_));
    work.planes.resize(size(hinges_, inputs1_));
    work.scales.resize(scales_.size());
    work.total.resize(size(hinges_, width()));
  }
  openblas_set_num_threads(1);
#pragma omp parallel for num_threads(threads_) schedule(static)
  for (Index b = 0; b < blocks(); ++b) {
    Work& work = work_[static_cast<std::size_t>(omp_get_thread_num())];
    const Index top = b * block_;
    const Index count = std::min(block_, rows_ - top);
    float* x1 = hold ? x1_.data() + top * inputs1_ : work.x1.data();
    cast_points(top, count, x1);
    float* z = work.m.data();
    product(CblasNoTrans, x1, CblasTrans, planes_.data(), count, neurons_, inputs1_, false, z);
    for (Index i = 0; i < count; ++i) {
      std::uint32_t* row = signs_.data() + (top + i) / kWord * hinges_;
      const std::uint32_t bit = std::uint32_t{1} << ((top + i) % kWord);
      for (Index j = 0; j < neurons_; ++j) row[j] |= z[i * neurons_ + j] < 0 ? bit : 0;
    }
    if (features_.empty()) continue;
    for (Index e = 0; e < count * neurons_; ++e) {
      features_[static_cast<std::size_t>(top * neurons_ + e)] = std::fabs(z[e]);
    }
  }
}

void CpuHingeJacobian::cast_points(Index top, Index count, float* x1) const {
  for (Index i = 0; i < count; ++i) {
    const double* from = x_.data + (top + i) * x_.ld;
    float* row = x1 + i * inputs1_;
    for (Index j = 0; j + 1 < inputs1_; ++j) row[j] = static_cast<float>(from[j]);
    row[inputs1_ - 1] = 1.0F;
  }
}

void CpuHingeJacobian::make_features(Index count, const float* x1, float* features) const {
  product(CblasNoTrans, x1, CblasTrans, planes_.data(), count, neurons_, inputs1_, false, features);
  for (Index e = 0; e < count * neurons_; ++e) features[e] = std::fabs(features[e]);
}

void CpuHingeJacobian::flip_block(const Block& block, float* m) const {
  for (Index i = 0; i < block.count; i += kWord) {
    flip_rows(words(block.top + i), std::min(kWord, block.count - i), hinges_, m + i * hinges_);
  }
}

/// work.m, the rows of J^T that go with x1, and work.q, those that go with |z|, into the total.
void CpuHingeJacobian::add_up(const Block& block, Work& work) const {
  product(CblasTrans, work.m.data(), CblasNoTrans, block.x1, hinges_, inputs1_, block.count, false,
          work.planes.data());
  for (Index i = 0; i < hinges_; ++i) {
    double* row = work.total.data() + i * width();
    for (Index j = 0; j < inputs1_; ++j) {
      row[j] += work.planes[static_cast<std::size_t>(i * inputs1_ + j)];
    }
  }
  if (!many()) return;
  product(CblasTrans, block.features, CblasNoTrans, work.q.data(), neurons_, outputs_, block.count,
          false, work.scales.data());
  for (Index i = 0; i < neurons_; ++i) {
    double* row = work.total.data() + i * width() + inputs1_;
    for (Index o = 0; o < outputs_; ++o) {
      row[o] += work.scales[static_cast<std::size_t>(i * outputs_ + o)];
    }
  }
}

/// use(block, work) for all blocks, each by one thread: which one depends on sizes alone.
template <class Use>
void CpuHingeJacobian::for_blocks(const Use& use) {
  for (Work& work : work_) std::fill(work.total.begin(), work.total.end(), 0.0);
  openblas_set_num_threads(1);
#pragma omp parallel for num_threads(threads_) schedule(static)
  for (Index b = 0; b < blocks(); ++b) {
    Work& work = work_[static_cast<std::size_t>(omp_get_thread_num())];
    Block block{b * block_, std::min(block_, rows_ - b * block_), nullptr, nullptr};
    if (x1_.empty()) cast_points(block.top, block.count, work.x1.data());
    block.x1 = x1_.empty() ? work.x1.data() : x1_.data() + block.top * inputs1_;
    if (many() && features_.empty()) {
      make_features(block.count, block.x1, work.features.data());
    }
    block.features =
        features_.empty() ? work.features.data() : features_.data() + block.top * neurons_;
    use(block, work);
  }
}

/// out = the totals of all threads + shifts u, where there are any.
void CpuHingeJacobian::finish(ConstDeviceView shifts, ConstDeviceView u, DeviceView out) const {
  for (Index i = 0; i < out.rows; ++i) {
    for (Index j = 0; j < out.cols; ++j) {
      double sum = 0;
      const bool used = i < neurons_ || j < inputs1_;
      for (const Work& work : work_) sum += work.total[static_cast<std::size_t>(i * out.cols + j)];
      if (shifts.rows > 0) sum += shifts.data[i * shifts.ld] * u.data[i * u.ld + j];
      out.data[i * out.ld + j] = used ? sum : 0.0;
    }
  }
}

void CpuHingeJacobian::normal_product(ConstDeviceView u, ConstDeviceView shifts, DeviceView out) {
  for (Index i = 0; i < hinges_; ++i) {
    for (Index j = 0; j < inputs1_; ++j) {
      unknowns_[static_cast<std::size_t>(i * inputs1_ + j)] =
          static_cast<float>(u.data[i * u.ld + j]);
    }
    if (!many() || i >= neurons_) continue;
    for (Index o = 0; o < outputs_; ++o) {
      scales_[static_cast<std::size_t>(i * outputs_ + o)] =
          static_cast<float>(u.data[i * u.ld + inputs1_ + o]);
    }
  }
  for_blocks([&](const Block& block, Work& work) {
    float* m = work.m.data();
    const float* squares = squares_.empty() ? nullptr : squares_.data() + block.top * outputs_;
    product(CblasNoTrans, block.x1, CblasTrans, unknowns_.data(), block.count, hinges_, inputs1_,
            false, m);
    if (!many()) {
      for (Index i = 0; i < block.count; i += kWord) {
        turn_rows(words(block.top + i), squares == nullptr ? nullptr : squares + i,
                  std::min(kWord, block.count - i), hinges_, m + i * hinges_);
      }
    } else {
      float* q = work.q.data();
      flip_block(block, m);
      product(CblasNoTrans, m, CblasNoTrans, directions_.data(), block.count, outputs_, hinges_,
              false, q);
      product(CblasNoTrans, block.features, CblasNoTrans, scales_.data(), block.count, outputs_,
              neurons_, true, q);
      if (squares != nullptr) {
        for (Index e = 0; e < block.count * outputs_; ++e) q[e] *= squares[e];
      }
      product(CblasNoTrans, q, CblasTrans, directions_.data(), block.count, hinges_, outputs_,
              false, m);
      flip_block(block, m);
    }
    add_up(block, work);
  });
  finish(shifts, u, out);
}

void CpuHingeJacobian::back_product(ConstDeviceView r, double scale, DeviceView out) {
  for_blocks([&](const Block& block, Work& work) {
    float* m = work.m.data();
    float* q = work.q.data();
    for (Index i = 0; i < block.count; ++i) {
      for (Index o = 0; o < outputs_; ++o) {
        const auto e = static_cast<std::size_t>((block.top + i) * outputs_ + o);
        q[i * outputs_ + o] = static_cast<float>(scale * r.data[(block.top + i) * r.ld + o]) *
                              (roots_.empty() ? 1.0F : roots_[e]);
      }
    }
    if (many()) {
      product(CblasNoTrans, q, CblasTrans, directions_.data(), block.count, hinges_, outputs_,
              false, m);
    } else {
      for (Index i = 0; i < block.count; ++i) std::fill_n(m + i * hinges_, hinges_, q[i]);
    }
    flip_block(block, m);
    add_up(block, work);
  });
  finish({}, {}, out);
}

void CpuHingeJacobian::sign_gram(Index rows, DeviceView g) {
  const Index q = neurons_ + 1;
  std::vector<float> signs(static_cast<std::size_t>(kLeastBlock * q));
  std::vector<float> sums(static_cast<std::size_t>(q * q), 0.0F);
  openblas_set_num_threads(threads_);
  for (Index top = 0; top < rows; top += kLeastBlock) {
    const Index count = std::min(kLeastBlock, rows - top);
    for (Index i = 0; i < count; ++i) {
      const std::uint32_t* row = words(top + i);
      for (Index j = 0; j < q; ++j) {  // hinge k is the first of the linear part: never negative
        signs[static_cast<std::size_t>(i * q + j)] =
            (row[j] >> ((top + i) % kWord) & 1U) != 0 ? -1.0F : 1.0F;
      }
    }
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, static_cast<int>(q), static_cast<int>(count),
                1.0F, signs.data(), static_cast<int>(q), 1.0F, sums.data(), static_cast<int>(q));
  }
  for (Index i = 0; i < q; ++i) {
    for (Index j = 0; j < q; ++j) {
      g.data[i * g.ld + j] = sums[static_cast<std::size_t>(std::max(i, j) * q + std::min(i, j))];
    }
  }
}

}  // namespace

void CpuOps::absolute(DeviceView y) {
#pragma omp parallel for num_threads(threads_for(y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) y.data[i * y.ld + j] = std::fabs(y.data[i * y.ld + j]);
  }
}

void CpuOps::hinge_jacobian_rows(ConstDeviceView z, ConstDeviceView x, ConstDeviceView directions,
                                 Index output, DeviceView out) {
  const Index d = x.cols;
  const Index p = directions.cols;
  const Index width = d + 1 + (p > 1 ? p : 0);
#pragma omp parallel for num_threads(threads_for(out.rows* out.cols)) schedule(static)
  for (Index n = 0; n < out.rows; ++n) {
    const double* point = x.data + n * x.ld;
    double* row = out.data + n * out.ld;
    for (Index i = 0; i < z.cols + p; ++i, row += width) {
      const bool neuron = i < z.cols;
      const double value = neuron ? z.data[n * z.ld + i] : 0.0;
      double factor =
          neuron ? directions.data[i * directions.ld + output] : (i - z.cols == output ? 1.0 : 0.0);
      if (value < 0) factor = -factor;
      for (Index j = 0; j < d; ++j) row[j] = factor * point[j];
      row[d] = factor;
      for (Index j = d + 1; j < width; ++j) {
        row[j] = neuron && j - d - 1 == output ? std::fabs(value) : 0.0;
      }
    }
  }
}

std::unique_ptr<HingeJacobian> CpuOps::linearize_hinges(ConstDeviceView x, ConstDeviceView planes,
                                                        ConstDeviceView directions,
                                                        ConstDeviceView weights, bool hold) {
  const int threads = threads_for(x.rows * (x.cols + 1) * (planes.rows + 1));
  return std::make_unique<CpuHingeJacobian>(threads, x, planes, directions, weights, hold);
}

}  // namespace crease
