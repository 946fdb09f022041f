// The CUDA kernels of lines and fans, emulated, against their CPU twins.
#include "tests/support/emulated.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <memory>

#include "kernels/cuda/points.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

HostMatrix magnitudes(HostMatrix values) {
  for (Index i = 0; i < values.size(); ++i) values.data()[i] = std::abs(values.data()[i]);
  return values;
}

/// Each function runs the CPU twin and the emulated kernel, every way, on the same values: with a
/// stride between elements that are NaN, and without one before memory that may not be touched.
class PointsEmulatedTest : public testing::Test {
 protected:
  template <class... Matrices>
  void compare_line(const Matrices&... matrices) {
    try_line<Padded>(matrices...);
    try_line<Fenced>(matrices...);
  }

  template <class... Matrices>
  void compare_fan(const Matrices&... matrices) {
    try_fan<Padded>(matrices...);
    try_fan<Fenced>(matrices...);
  }

  template <class... Matrices>
  void compare_differences(const Matrices&... matrices) {
    try_differences<Padded>(matrices...);
    try_differences<Fenced>(matrices...);
  }

  template <class... Matrices>
  void compare_steps(const Matrices&... matrices) {
    try_steps<Padded>(matrices...);
    try_steps<Fenced>(matrices...);
  }

 private:
  template <class Matrix>
  void try_line(const HostMatrix& origin, const HostMatrix& direction, const HostMatrix& t) {
    Matrix o(cpu(), origin);
    Matrix d(cpu(), direction);
    Matrix s(cpu(), t);
    Matrix expected(cpu(), t.rows(), origin.cols());
    line_points(cpu(), {o, d}, s, expected);
    for (const simt::Way& way : simt::ways_per_element()) {
      Matrix out(cpu(), t.rows(), origin.cols());
      simt::launch(way, [&] { line_points_kernel({o, d}, s, out); });
      EXPECT_TRUE(same_bits(out.read(), expected.read()))
          << t.rows() << " x " << origin.cols() << ", " << way.name();
    }
  }

  template <class Matrix>
  void try_fan(const HostMatrix& centers, const HostMatrix& directions, const HostMatrix& steps) {
    Matrix c(cpu(), centers);
    Matrix d(cpu(), directions);
    Matrix s(cpu(), steps);
    Matrix expected(cpu(), steps.size(), centers.cols());
    fan_points(cpu(), {c, d, s}, expected);
    for (const simt::Way& way : simt::ways_per_element()) {
      Matrix out(cpu(), steps.size(), centers.cols());
      simt::launch(way, [&] { fan_points_kernel({c, d, s}, out); });
      EXPECT_TRUE(same_bits(out.read(), expected.read()))
          << steps.rows() << " x " << steps.cols() << " x " << centers.cols() << ", " << way.name();
    }
  }

  template <class Matrix>
  void try_differences(const HostMatrix& values, const HostMatrix& centers,
                       const HostMatrix& steps) {
    Matrix v(cpu(), values);
    Matrix c(cpu(), centers);
    Matrix s(cpu(), steps);
    Matrix expected(cpu(), centers.size(), steps.cols());
    divided_differences(cpu(), v, c, s, expected);
    for (const simt::Way& way : simt::ways_per_element()) {
      Matrix out(cpu(), centers.size(), steps.cols());
      simt::launch(way, [&] { divided_differences_kernel(v, c, s, out); });
      EXPECT_TRUE(same_bits(out.read(), expected.read()))
          << steps.rows() << " x " << steps.cols() << " x " << centers.cols() << ", " << way.name();
    }
  }

  template <class Matrix>
  void try_steps(const HostMatrix& offsets, const HostMatrix& slopes_t, const HostMatrix& variance,
                 const HostMatrix& first, const HostMatrix& center_noise) {
    const Index m = offsets.rows();
    const Index q = slopes_t.cols();
    Matrix o(cpu(), offsets);
    Matrix s(cpu(), slopes_t);
    Matrix v(cpu(), variance);
    Matrix f(cpu(), first);
    Matrix c(cpu(), center_noise);
    Matrix expected_steps(cpu(), m, q);
    Matrix expected_noise(cpu(), m, q);
    safest_steps(cpu(), o, s, v, f, c, expected_steps, expected_noise);
    for (const simt::Way& way : simt::ways_per_element()) {
      Matrix steps(cpu(), m, q);
      Matrix noise(cpu(), m, q);
      simt::launch(way, [&] { safest_steps_kernel(o, s, v, f, c, steps, noise); });
      EXPECT_TRUE(same_bits(steps.read(), expected_steps.read()))
          << m << " x " << q << " with " << offsets.cols() << ", " << way.name();
      EXPECT_TRUE(same_bits(noise.read(), expected_noise.read()))
          << m << " x " << q << " with " << offsets.cols() << ", " << way.name();
    }
  }

  Device& cpu() { return *cpu_; }

  std::unique_ptr<Device> cpu_ = make_cpu_device({.threads = 1, .poison = true});
};

TEST_F(PointsEmulatedTest, LinePointsHaveTheBitsOfTheCpuTwin) {
  for (const auto [n, d] :
       {std::array<Index, 2>{1, 1}, {31, 33}, {257, 1}, {64, 32}, {3, 257}, {0, 5}, {5, 0}}) {
    compare_line(with_zeros_and_ties(distinct(1, d)), distinct(1, d, 0.5),
                 with_zeros_and_ties(distinct(n, 1, -3.0)));
  }
}

TEST_F(PointsEmulatedTest, FanPointsHaveTheBitsOfTheCpuTwin) {
  for (const auto [m, q, d] : {std::array<Index, 3>{1, 1, 1},
                               {7, 33, 31},
                               {5, 2, 257},
                               {33, 2, 1},
                               {2, 64, 32},
                               {0, 3, 2},
                               {3, 0, 2}}) {
    compare_fan(with_zeros_and_ties(distinct(m, d)), distinct(q, d, -0.5),
                with_zeros_and_ties(distinct(m, q, 1e-3)));
  }
}

TEST_F(PointsEmulatedTest, DividedDifferencesHaveTheBitsOfTheCpuTwin) {
  for (const auto [m, q, p] : {std::array<Index, 3>{1, 1, 1},
                               {7, 33, 3},
                               {2, 257, 1},
                               {31, 5, 64},
                               {3, 32, 10},
                               {0, 3, 2},
                               {2, 3, 0}}) {
    compare_differences(with_zeros_and_ties(distinct(m * q, p, 0.25)), distinct(m, p),
                        distinct(m, q, 1.5));
  }
}

TEST_F(PointsEmulatedTest, SafestStepsHaveTheBitsOfTheCpuTwin) {
  for (const auto [m, k, q] : {std::array<Index, 3>{1, 1, 1},
                               {7, 33, 31},
                               {3, 257, 64},
                               {33, 5, 2},
                               {2, 0, 32},
                               {5, 64, 257},
                               {0, 2, 3}}) {
    compare_steps(with_zeros_and_ties(distinct(m, k)), with_zeros_and_ties(distinct(k, q, 0.25)),
                  with_zeros_and_ties(magnitudes(distinct(k, 1))), distinct(m, 1, 4.0),
                  with_zeros_and_ties(magnitudes(distinct(m, 1))));
  }
}

TEST_F(PointsEmulatedTest, NanComesOutWhereItComesOutOfTheCpuTwin) {
  HostMatrix t = distinct(33, 1);
  t(7, 0) = kNan;
  compare_line(distinct(1, 31), distinct(1, 31, 0.5), t);

  HostMatrix centers = distinct(5, 31);
  HostMatrix steps = distinct(5, 7, 1.5);
  centers(4, 30) = kNan;
  steps(2, 0) = kNan;
  compare_fan(centers, distinct(7, 31), steps);
  compare_differences(distinct(35, 31), centers, steps);

  HostMatrix noise = magnitudes(distinct(5, 1));
  HostMatrix slopes_t = distinct(33, 7);
  noise(3, 0) = kNan;
  slopes_t(32, 6) = kNan;
  compare_steps(distinct(5, 33), slopes_t, magnitudes(distinct(33, 1)), distinct(5, 1, 4.0), noise);
}

}  // namespace
}  // namespace crease
