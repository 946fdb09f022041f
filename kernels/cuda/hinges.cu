// Absolute values, and the Jacobian of a sum of hinges, on the GPU.
#include "kernels/cuda/hinges.cuh"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/cuda/support.cuh"

namespace crease {
namespace {

constexpr Index kChunkFloats = Index{1} << 25;  // of products at a time: 128 MiB
constexpr Index kGramRows = 4096;

class CudaHingeJacobian {
 public:
  CudaHingeJacobian(CudaContext& context, ConstDeviceView x, ConstDeviceView planes,
                    ConstDeviceView directions, ConstDeviceView weights, bool hold)
      : context_(context),
        x_(x),
        rows_(x.rows),
        inputs1_(x.cols + 1),
        neurons_(planes.rows),
        outputs_(directions.cols),
        hinges_(neurons_ + outputs_),
        hold_(hold),
        weighted_(weights.rows > 0),
        chunk_(std::min(
            (rows_ + kSignWord - 1) / kSignWord * kSignWord,
            std::max(kChunkFloats / (hinges_ + inputs1_) / kSignWord, Index{1}) * kSignWord)),
        planes_(context, count(neurons_, inputs1_)),
        directions_(context, many() ? count(hinges_, outputs_) : 0),
        roots_(context, weighted_ ? count(rows_, outputs_) : 0),
        squares_(context, weighted_ ? count(rows_, outputs_) : 0),
        signs_(context, count((rows_ + kSignWord - 1) / kSignWord, hinges_)),
        x1_(context, count(hold ? rows_ : chunk_, inputs1_)),
        features_(context, many() ? count(hold ? rows_ : chunk_, neurons_) : 0),
        unknowns_(context, count(hinges_, inputs1_)),
        scales_(context, many() ? count(neurons_, outputs_) : 0),
        m_(context, count(chunk_, hinges_)),
        q_(context, count(chunk_, outputs_)),
        plane_sum_(context, count(hinges_, inputs1_)),
        scale_sum_(context, many() ? count(neurons_, outputs_) : 0) {
    cast(planes, {planes_.data(), neurons_, inputs1_});
    if (many()) set_directions(directions);
    if (weighted_) {
      const Launch launch = per_element(rows_, outputs_);
      weights_to_float_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(
          weights, 1, {roots_.data(), rows_, outputs_});
      check(cudaGetLastError(), "linearize_hinges");
      weights_to_float_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(
          weights, 2, {squares_.data(), rows_, outputs_});
      check(cudaGetLastError(), "linearize_hinges");
    }
    for (Index top = 0; top < rows_; top += chunk_) {
      const Index height = std::min(chunk_, rows_ - top);
      if (hold_) cast(x_.row_block(top, height), {kept_points(top), height, inputs1_});
      const FloatMatrix z{hold_ && many() ? features_.data() + top * neurons_ : m_.data(), height,
                          neurons_};
      make_products(points(top, height), z);
      const Launch launch = per_element((height + kSignWord - 1) / kSignWord, hinges_);
      sign_words_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(z, hinges_,
                                                                             words(top));
      check(cudaGetLastError(), "linearize_hinges");
      if (hold_ && many()) take_absolute(z);
    }
  }

  void normal_product(ConstDeviceView u, ConstDeviceView shifts, DeviceView out) {
    cast(u.col_block(0, inputs1_), {unknowns_.data(), hinges_, inputs1_});
    if (many()) {
      cast(u.row_block(0, neurons_).col_block(inputs1_, outputs_),
           {scales_.data(), neurons_, outputs_});
    }
    begin(shifts, u, out);
    for (Index top = 0; top < rows_; top += chunk_) {
      const Index height = std::min(chunk_, rows_ - top);
      const FloatMatrix m{m_.data(), height, hinges_};
      const float* x1 = points(top, height);
      product(CUBLAS_OP_N, x1, CUBLAS_OP_T, unknowns_.data(), height, hinges_, inputs1_, 0.0F,
              m.data);
      if (many()) {
        const FloatMatrix q{q_.data(), height, outputs_};
        const float* phi = features(top, height, x1);
        flip(top, m);
        product(CUBLAS_OP_N, m.data, CUBLAS_OP_N, directions_.data(), height, outputs_, hinges_,
                0.0F, q.data);
        product(CUBLAS_OP_N, phi, CUBLAS_OP_N, scales_.data(), height, outputs_, neurons_, 1.0F,
                q.data);
        if (weighted_) {
          const Launch launch = per_element(height, outputs_);
          scale_float_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(
              squares_.data() + top * outputs_, q);
          check(cudaGetLastError(), "hinge product");
        }
        product(CUBLAS_OP_N, q.data, CUBLAS_OP_T, directions_.data(), height, hinges_, outputs_,
                0.0F, m.data);
        flip(top, m);
        add_up(height, x1, phi, out);
      } else {
        turn_kernel<<<dim3(blocks_for(height, kTurnRows, 1 << 15)), dim3(32, kTurnRows), 0,
                      context_.stream()>>>(words(top), weighted_ ? squares_.data() + top : nullptr,
                                           m);
        check(cudaGetLastError(), "hinge product");
        add_up(height, x1, nullptr, out);
      }
    }
  }

  void back_product(ConstDeviceView r, double scale, DeviceView out) {
    begin({}, {}, out);
    for (Index top = 0; top < rows_; top += chunk_) {
      const Index height = std::min(chunk_, rows_ - top);
      const FloatMatrix m{m_.data(), height, hinges_};
      const FloatMatrix q{q_.data(), height, outputs_};
      const Launch launch = per_element(height, outputs_);
      residual_to_float_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(
          r.row_block(top, height), scale, weighted_ ? roots_.data() + top * outputs_ : nullptr, q);
      check(cudaGetLastError(), "hinge back product");
      const float* x1 = points(top, height);
      const float* phi = many() ? features(top, height, x1) : nullptr;
      if (many()) {
        product(CUBLAS_OP_N, q.data, CUBLAS_OP_T, directions_.data(), height, hinges_, outputs_,
                0.0F, m.data);
        flip(top, m);
      } else {
        const Launch wide = per_element(height, hinges_);
        spread_signs_kernel<<<wide.grid, wide.block, 0, context_.stream()>>>(words(top), q.data, m);
        check(cudaGetLastError(), "hinge back product");
      }
      add_up(height, x1, phi, out);
    }
  }

  void sign_gram(Index rows, DeviceView g) {
    const Index width = neurons_ + 1;  // hinge k is the first of the linear part: never negative
    const Scratch<float> signs(context_, count(kGramRows, width));
    const Scratch<float> sums(context_, count(width, width));
    check(cudaMemsetAsync(sums.data(), 0, count(width, width) * sizeof(float), context_.stream()),
          "sign_gram");
    for (Index top = 0; top < rows; top += kGramRows) {
      const FloatMatrix block{signs.data(), std::min(kGramRows, rows - top), width};
      const Launch launch = per_element(block.rows, width);
      signs_to_float_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(words(top),
                                                                                 hinges_, block);
      check(cudaGetLastError(), "sign_gram");
      product(CUBLAS_OP_T, block.data, CUBLAS_OP_N, block.data, width, width, block.rows, 1.0F,
              sums.data());
    }
    begin({}, {}, g);
    add({sums.data(), width, width}, g);
  }

 private:
  static std::size_t count(Index rows, Index cols) {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
  }
  bool many() const { return outputs_ > 1; }
  std::uint32_t* words(Index row) const { return signs_.data() + row / kSignWord * hinges_; }
  float* kept_points(Index top) const { return x1_.data() + top * inputs1_; }

  void cast(ConstDeviceView a, FloatMatrix out) const {
    if (out.rows == 0) return;
    const Launch launch = per_element(out.rows, out.cols);
    to_float_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(a, out);
    check(cudaGetLastError(), "to_float");
  }

  void set_directions(ConstDeviceView directions) const {
    cast(directions, {directions_.data(), neurons_, outputs_});
    std::vector<float> identity(count(outputs_, outputs_), 0.0F);
    for (Index o = 0; o < outputs_; ++o) identity[static_cast<std::size_t>(o * (outputs_ + 1))] = 1;
    check(
        cudaMemcpyAsync(directions_.data() + neurons_ * outputs_, identity.data(),
                        identity.size() * sizeof(float), cudaMemcpyHostToDevice, context_.stream()),
        "linearize_hinges");
    context_.synchronize();
  }

  /// [height, d + 1], kept or made.
  const float* points(Index top, Index height) const {
    if (hold_) return kept_points(top);
    cast(x_.row_block(top, height), {x1_.data(), height, inputs1_});
    return x1_.data();
  }

  const float* features(Index top, Index height, const float* x1) const {
    if (hold_) return features_.data() + top * neurons_;
    const FloatMatrix z{features_.data(), height, neurons_};
    make_products(x1, z);
    take_absolute(z);
    return z.data;
  }

  void make_products(const float* x1, FloatMatrix z) const {
    product(CUBLAS_OP_N, x1, CUBLAS_OP_T, planes_.data(), z.rows, z.cols, inputs1_, 0.0F, z.data);
  }

  void take_absolute(FloatMatrix z) const {
    if (z.cols == 0) return;
    const Launch launch = per_element(z.rows, z.cols);
    absolute_float_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(z);
    check(cudaGetLastError(), "hinge features");
  }

  void flip(Index top, FloatMatrix m) const {
    const Launch launch = per_element(m.rows, m.cols);
    flip_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(words(top), m);
    check(cudaGetLastError(), "hinge product");
  }

  void begin(ConstDeviceView shifts, ConstDeviceView u, DeviceView out) const {
    const Launch launch = per_element(out.rows, out.cols);
    begin_sum_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(shifts, u, neurons_,
                                                                          inputs1_, out);
    check(cudaGetLastError(), "hinge product");
  }

  void add(FloatMatrix a, DeviceView out) const {
    const Launch launch = per_element(a.rows, a.cols);
    add_float_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(a, out);
    check(cudaGetLastError(), "hinge product");
  }

  /// out += m^T x1 beside phi^T q.
  void add_up(Index height, const float* x1, const float* phi, DeviceView out) const {
    product(CUBLAS_OP_T, m_.data(), CUBLAS_OP_N, x1, hinges_, inputs1_, height, 0.0F,
            plane_sum_.data());
    add({plane_sum_.data(), hinges_, inputs1_}, out.col_block(0, inputs1_));
    if (!many() || neurons_ == 0) return;
    product(CUBLAS_OP_T, phi, CUBLAS_OP_N, q_.data(), neurons_, outputs_, height, 0.0F,
            scale_sum_.data());
    add({scale_sum_.data(), neurons_, outputs_},
        out.row_block(0, neurons_).col_block(inputs1_, outputs_));
  }

  /// c = op(a) op(b) + beta c, row-major without strides: cuBLAS sees the transposes.
  void product(cublasOperation_t op_a, const float* a, cublasOperation_t op_b, const float* b,
               Index rows, Index cols, Index inner, float beta, float* c) const {
    if (rows == 0 || cols == 0 || inner == 0) return;
    const float one = 1.0F;
    check(cublasSgemm_v2_64(context_.blas(), op_b, op_a, cols, rows, inner, &one, b,
                            op_b == CUBLAS_OP_N ? cols : inner, a,
                            op_a == CUBLAS_OP_N ? inner : rows, &beta, c, cols),
          "hinge product");
  }

  CudaContext& context_;
  ConstDeviceView x_;
  Index rows_, inputs1_, neurons_, outputs_, hinges_;
  bool hold_, weighted_;
  Index chunk_;                   // rows, a multiple of 32 (or all)
  Scratch<float> planes_;         // [k, d + 1]
  Scratch<float> directions_;     // [k + p, p], the identity below; for several outputs
  Scratch<float> roots_;          // [n, p]: weights
  Scratch<float> squares_;        // [n, p]: weights^2
  Scratch<std::uint32_t> signs_;  // [ceil(n / 32), k + p]
  Scratch<float> x1_;             // [n or chunk, d + 1]
  Scratch<float> features_;       // [n or chunk, k], for several outputs
  Scratch<float> unknowns_;       // [k + p, d + 1]
  Scratch<float> scales_;         // [k, p]
  Scratch<float> m_;              // [chunk, k + p]
  Scratch<float> q_;              // [chunk, p]
  Scratch<float> plane_sum_;      // [k + p, d + 1]
  Scratch<float> scale_sum_;      // [k, p]
};

/// Whatever is asked of it, its end included, happens with its GPU current.
class OnItsGpu final : public HingeJacobian {
 public:
  OnItsGpu(CudaContext& context, std::unique_ptr<CudaHingeJacobian> jacobian)
      : context_(context), jacobian_(std::move(jacobian)) {}
  ~OnItsGpu() override {
    const CurrentGpu current(context_.device_id());
    jacobian_.reset();
  }
  void normal_product(ConstDeviceView u, ConstDeviceView shifts, DeviceView out) override {
    const CurrentGpu current(context_.device_id());
    jacobian_->normal_product(u, shifts, out);
  }
  void back_product(ConstDeviceView r, double scale, DeviceView out) override {
    const CurrentGpu current(context_.device_id());
    jacobian_->back_product(r, scale, out);
  }
  void sign_gram(Index rows, DeviceView g) override {
    const CurrentGpu current(context_.device_id());
    jacobian_->sign_gram(rows, g);
  }

 private:
  CudaContext& context_;
  std::unique_ptr<CudaHingeJacobian> jacobian_;
};

}  // namespace

void CudaOps::absolute(DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  absolute_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(y);
  check(cudaGetLastError(), "absolute");
}

void CudaOps::hinge_jacobian_rows(ConstDeviceView z, ConstDeviceView x, ConstDeviceView directions,
                                  Index output, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(out.rows, out.cols);
  hinge_jacobian_rows_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(z, x, directions,
                                                                                  output, out);
  check(cudaGetLastError(), "hinge_jacobian_rows");
}

std::unique_ptr<HingeJacobian> CudaOps::linearize_hinges(ConstDeviceView x, ConstDeviceView planes,
                                                         ConstDeviceView directions,
                                                         ConstDeviceView weights, bool hold) {
  const CurrentGpu current(context_.device_id());
  return std::make_unique<OnItsGpu>(context_, std::make_unique<CudaHingeJacobian>(
                                                  context_, x, planes, directions, weights, hold));
}

}  // namespace crease
