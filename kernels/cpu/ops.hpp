// The CPU backend: the truth every other twin is compared with.
#pragma once

#include "kernels/ops.hpp"

namespace crease {

/// Plain loops with OpenMP; OpenBLAS and LAPACKE where a library does it.
class CpuOps final : public Ops {
 public:
  explicit CpuOps(int threads) : threads_(threads) {}

  Index block_bytes() const override { return Index{1} << 22; }
  void fill_gaussian(Seed seed, std::uint64_t stream, Index first_row, double scale,
                     DeviceView out) override;
  void line_points(const Line& line, ConstDeviceView t, DeviceView out) override;
  void fan_points(const Fan& fan, DeviceView out) override;
  void divided_differences(ConstDeviceView values, ConstDeviceView centers, ConstDeviceView steps,
                           DeviceView out) override;
  void safest_steps(ConstDeviceView offsets, ConstDeviceView slopes_t, ConstDeviceView variance,
                    ConstDeviceView first, ConstDeviceView center_noise, DeviceView steps,
                    DeviceView noise) override;
  void relu_features(ConstDeviceView x, ConstDeviceView weights, ConstDeviceView bias,
                     DeviceView out) override;
  void gaussian_features(Seed seed, std::uint64_t stream, Index first_row, ConstDeviceView weights,
                         ConstDeviceView bias, DeviceView out) override;
  void relu_lines_sum(ConstDeviceView offsets, ConstDeviceView slopes, ConstDeviceView output,
                      ConstDeviceView constant, ConstDeviceView tilt, std::span<const Index> first,
                      ConstDeviceView t, DeviceView out) override;
  void relu_fan_sum(ConstDeviceView offsets, ConstDeviceView slopes_t, ConstDeviceView output,
                    ConstDeviceView constant, ConstDeviceView tilt, ConstDeviceView steps,
                    DeviceView out) override;
  void pair_distances(ConstDeviceView a, ConstDeviceView b, DeviceView out) override;
  void multiply(ConstDeviceView a, Transpose transpose_a, ConstDeviceView b, Transpose transpose_b,
                double alpha, double beta, DeviceView c) override;
  void add_row(ConstDeviceView row, DeviceView y) override;
  void subtract(ConstDeviceView a, DeviceView y) override;
  void copy(ConstDeviceView a, DeviceView y) override;
  void fill(double value, DeviceView y) override;
  Index first_non_finite_row(ConstDeviceView y) override;
  void orthonormal_rows(DeviceView a) override;
  void column_norms(ConstDeviceView z, DeviceView out) override;
  void scale_columns(ConstDeviceView factors, DeviceView z) override;
  void gram(ConstDeviceView z, double beta, DeviceView g) override;
  void weighted_gram(ConstDeviceView z, ConstDeviceView weights, double beta,
                     DeviceView g) override;
  bool cholesky(DeviceView g) override;
  void solve_triangular(ConstDeviceView l, Transpose transpose, DeviceView x) override;
  void triangularize(DeviceView a) override;
  void scale_rows(ConstDeviceView factors, DeviceView z) override;
  void add_scaled(double scale, ConstDeviceView factors, ConstDeviceView x, DeviceView y) override;
  void normalize_columns(DeviceView z, DeviceView norms) override;
  void divide_columns(ConstDeviceView norms, DeviceView z) override;
  void multiply_and_back(ConstDeviceView z, ConstDeviceView x, DeviceView y, double beta,
                         DeviceView back) override;
  void unit_diagonal(double cutoff, double shift, DeviceView g, DeviceView factors) override;
  void lsqr_begin(double tolerance, DeviceView state) override;
  void lsqr_rotate(DeviceView state) override;
  void cg_begin(double tolerance, DeviceView state) override;
  void cg_step(DeviceView state) override;
  void cg_turn(DeviceView state) override;
  double svd(DeviceView a, DeviceView left_t, DeviceView values, DeviceView right) override;
  std::unique_ptr<Recording> record(std::function<void()> work) override;
  void absolute(DeviceView y) override;
  void hinge_jacobian_rows(ConstDeviceView z, ConstDeviceView x, ConstDeviceView directions,
                           Index output, DeviceView out) override;
  std::unique_ptr<HingeJacobian> linearize_hinges(ConstDeviceView x, ConstDeviceView planes,
                                                  ConstDeviceView directions,
                                                  ConstDeviceView weights, bool hold) override;
  void gaussian_gram(ConstDeviceView weights, ConstDeviceView bias, bool with_inputs,
                     DeviceView g) override;
  void gaussian_coupling_sums(ConstDeviceView normals, ConstDeviceView thresholds,
                              ConstDeviceView jumps, ConstDeviceView groups, Index first,
                              DeviceView sums) override;
  void row_products(ConstDeviceView a, ConstDeviceView b, DeviceView out) override;
  void multiply_elements(ConstDeviceView a, DeviceView y) override;
  void hermite(Index order, DeviceView y) override;
  void rectified_power(double power, DeviceView y) override;
  void rectified_slope(double power, double least, DeviceView y) override;
  void clip_columns(ConstDeviceView bounds, DeviceView y) override;
  void drop_beyond(ConstDeviceView bounds, DeviceView y) override;
  void symmetrize(DeviceView g) override;
  void diagonal(ConstDeviceView g, DeviceView out) override;
  void add_to_diagonal(ConstDeviceView values, DeviceView g) override;
  void activate(Activation activation, int derivative, DeviceView y) override;
  void second_differences(ConstDeviceView values, double step, DeviceView out) override;
  void round_answers(const Imperfection& format, DeviceView y) override;
  void add_answer_noise(Seed seed, double deviation, DeviceView y) override;
  void softmax(bool logarithms, DeviceView y) override;
  void log_odds(const OddsFormat& format, DeviceView y) override;

 private:
  /// Threads for this many elementary operations: waking a second one costs more than a small loop
  /// does. The choice depends on sizes only, so results stay the same from run to run.
  int threads_for(Index operations) const;

  int threads_;
};

}  // namespace crease
