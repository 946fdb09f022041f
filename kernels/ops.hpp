// The instruction set: the contracts of all primitives, by subject, and the class a backend derives
// from.
//
// The free functions check their arguments once, for every backend, and call the backend's twin.
// Unless a contract says otherwise: shapes that do not fit throw BadInput before anything runs; an
// empty output does nothing; outputs overlap no input; nothing waits. "Bits": twins agree bit for
// bit. "Sum(n)": twins agree within 2 n eps * sum of |terms|.
#pragma once

#include "kernels/ops_answers.hpp"
#include "kernels/ops_dense.hpp"
#include "kernels/ops_gaussian.hpp"
#include "kernels/ops_hinges.hpp"
#include "kernels/ops_moments.hpp"
#include "kernels/ops_points.hpp"
#include "kernels/ops_smooth.hpp"
#include "kernels/ops_solve.hpp"

namespace crease {

/// One pure virtual per primitive, same contract, arguments already checked and outputs not empty.
class Ops {
 public:
  virtual ~Ops() = default;

  /// Scratch that blocks of rows work fastest with: what stays in a processor's cache, or enough to
  /// fill a GPU.
  virtual Index block_bytes() const = 0;

  virtual void fill_gaussian(Seed seed, std::uint64_t stream, Index first_row, double scale,
                             DeviceView out) = 0;
  virtual void line_points(const Line& line, ConstDeviceView t, DeviceView out) = 0;
  virtual void fan_points(const Fan& fan, DeviceView out) = 0;
  virtual void divided_differences(ConstDeviceView values, ConstDeviceView centers,
                                   ConstDeviceView steps, DeviceView out) = 0;
  virtual void safest_steps(ConstDeviceView offsets, ConstDeviceView slopes_t,
                            ConstDeviceView variance, ConstDeviceView first,
                            ConstDeviceView center_noise, DeviceView steps, DeviceView noise) = 0;
  virtual void relu_features(ConstDeviceView x, ConstDeviceView weights, ConstDeviceView bias,
                             DeviceView out) = 0;
  virtual void gaussian_features(Seed seed, std::uint64_t stream, Index first_row,
                                 ConstDeviceView weights, ConstDeviceView bias, DeviceView out) = 0;
  virtual void relu_lines_sum(ConstDeviceView offsets, ConstDeviceView slopes,
                              ConstDeviceView output, ConstDeviceView constant,
                              ConstDeviceView tilt, std::span<const Index> first, ConstDeviceView t,
                              DeviceView out) = 0;
  virtual void relu_fan_sum(ConstDeviceView offsets, ConstDeviceView slopes_t,
                            ConstDeviceView output, ConstDeviceView constant, ConstDeviceView tilt,
                            ConstDeviceView steps, DeviceView out) = 0;
  virtual void pair_distances(ConstDeviceView a, ConstDeviceView b, DeviceView out) = 0;
  virtual void multiply(ConstDeviceView a, Transpose transpose_a, ConstDeviceView b,
                        Transpose transpose_b, double alpha, double beta, DeviceView c) = 0;
  virtual void add_row(ConstDeviceView row, DeviceView y) = 0;
  virtual void subtract(ConstDeviceView a, DeviceView y) = 0;
  virtual void copy(ConstDeviceView a, DeviceView y) = 0;
  virtual void fill(double value, DeviceView y) = 0;
  virtual Index first_non_finite_row(ConstDeviceView y) = 0;
  virtual void orthonormal_rows(DeviceView a) = 0;
  virtual void column_norms(ConstDeviceView z, DeviceView out) = 0;
  virtual void scale_columns(ConstDeviceView factors, DeviceView z) = 0;
  virtual void gram(ConstDeviceView z, double beta, DeviceView g) = 0;
  virtual void weighted_gram(ConstDeviceView z, ConstDeviceView weights, double beta,
                             DeviceView g) = 0;
  virtual bool cholesky(DeviceView g) = 0;
  virtual void solve_triangular(ConstDeviceView l, Transpose transpose, DeviceView x) = 0;
  virtual void triangularize(DeviceView a) = 0;
  virtual void scale_rows(ConstDeviceView factors, DeviceView z) = 0;
  virtual void add_scaled(double scale, ConstDeviceView factors, ConstDeviceView x,
                          DeviceView y) = 0;
  virtual void normalize_columns(DeviceView z, DeviceView norms) = 0;
  virtual void divide_columns(ConstDeviceView norms, DeviceView z) = 0;
  virtual void multiply_and_back(ConstDeviceView z, ConstDeviceView x, DeviceView y, double beta,
                                 DeviceView back) = 0;
  virtual void unit_diagonal(double cutoff, double shift, DeviceView g, DeviceView factors) = 0;
  virtual void lsqr_begin(double tolerance, DeviceView state) = 0;
  virtual void lsqr_rotate(DeviceView state) = 0;
  virtual void cg_begin(double tolerance, DeviceView state) = 0;
  virtual void cg_step(DeviceView state) = 0;
  virtual void cg_turn(DeviceView state) = 0;
  virtual double svd(DeviceView a, DeviceView left_t, DeviceView values, DeviceView right) = 0;
  virtual std::unique_ptr<Recording> record(std::function<void()> work) = 0;
  virtual void absolute(DeviceView y) = 0;
  virtual void hinge_jacobian_rows(ConstDeviceView z, ConstDeviceView x, ConstDeviceView directions,
                                   Index output, DeviceView out) = 0;
  virtual std::unique_ptr<HingeJacobian> linearize_hinges(ConstDeviceView x, ConstDeviceView planes,
                                                          ConstDeviceView directions,
                                                          ConstDeviceView weights, bool hold) = 0;
  virtual void gaussian_gram(ConstDeviceView weights, ConstDeviceView bias, bool with_inputs,
                             DeviceView g) = 0;
  virtual void gaussian_coupling_sums(ConstDeviceView normals, ConstDeviceView thresholds,
                                      ConstDeviceView jumps, ConstDeviceView groups, Index first,
                                      DeviceView sums) = 0;
  virtual void row_products(ConstDeviceView a, ConstDeviceView b, DeviceView out) = 0;
  virtual void multiply_elements(ConstDeviceView a, DeviceView y) = 0;
  virtual void hermite(Index order, DeviceView y) = 0;
  virtual void rectified_power(double power, DeviceView y) = 0;
  virtual void rectified_slope(double power, double least, DeviceView y) = 0;
  virtual void clip_columns(ConstDeviceView bounds, DeviceView y) = 0;
  virtual void drop_beyond(ConstDeviceView bounds, DeviceView y) = 0;
  virtual void symmetrize(DeviceView g) = 0;
  virtual void diagonal(ConstDeviceView g, DeviceView out) = 0;
  virtual void add_to_diagonal(ConstDeviceView values, DeviceView g) = 0;
  virtual void activate(Activation activation, int derivative, DeviceView y) = 0;
  virtual void second_differences(ConstDeviceView values, double step, DeviceView out) = 0;
  virtual void round_answers(const Imperfection& format, DeviceView y) = 0;
  virtual void add_answer_noise(Seed seed, double deviation, DeviceView y) = 0;
  virtual void softmax(bool logarithms, DeviceView y) = 0;
  virtual void log_odds(const OddsFormat& format, DeviceView y) = 0;
};

}  // namespace crease
