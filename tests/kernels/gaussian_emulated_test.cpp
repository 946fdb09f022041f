// The kernels of gaussian.cuh, emulated, against the CPU twin.
#include "tests/support/simt_emulator.hpp"
// the emulator first
#include "kernels/cuda/gaussian.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

/// What CudaOps::gaussian_gram launches, with the product that cuBLAS does there done by the CPU.
void gram_emulated(simt::LaneOrder order, Device& cpu, DeviceView weights, DeviceView bias,
                   DeviceView g) {
  const Index k = weights.rows;
  const Index d = weights.cols;
  std::vector<GaussianNeuron> neurons(static_cast<std::size_t>(k));
  DeviceMatrix normals(cpu, k, d);
  DeviceMatrix series(cpu, kHermiteTerms, k);
  const double* normal = normals.view().data;
  simt::launch({2}, {32, 8}, 0, order, [&] {
    gaussian_neurons_kernel(weights, bias, normals.view().data, neurons.data());
  });
  simt::launch({2}, {16}, 0, order, [&] { hermite_kernel(neurons.data(), k, series.view().data); });
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j <= i; ++j) {
      double rho = 0.0;
      for (Index c = 0; c < d; ++c) rho += normal[i * d + c] * normal[j * d + c];
      g.data[i * g.ld + j] = rho;
    }
  }
  simt::launch({2, 2}, {kMomentTile, kMomentTile}, 0, order,
               [&] { gaussian_moments_kernel(neurons.data(), series.view().data, k, d > 0, g); });
  simt::launch({2, 3}, {8, 4}, 0, order,
               [&] { gaussian_borders_kernel(neurons.data(), normal, k, d, g); });
}

TEST(GaussianEmulatedTest, TheGramMatrixIsThatOfTheCpuTwin) {
  const auto cpu = make_cpu_device({.threads = 1, .poison = true});
  for (const auto [k, d] : {std::array<Index, 2>{1, 1}, {5, 33}, {17, 3}, {49, 2}}) {
    for (const bool with_inputs : {true, false}) {
      const Index q = k + (with_inputs ? d : 0) + 1;
      Padded weights(*cpu, with_zeros_and_ties(distinct(k, d)));
      Padded bias(*cpu, with_zeros_and_ties(distinct(k, 1)));
      Padded expected(*cpu, q, q);
      gaussian_gram(*cpu, weights, bias, with_inputs, expected);
      const HostMatrix twin = expected.read();
      for (const simt::LaneOrder order : simt::kEveryOrder) {
        Padded g(*cpu, q, q);
        gram_emulated(order, *cpu, weights, bias, g);
        const HostMatrix got = g.read();
        for (Index i = 0; i < q; ++i) {
          for (Index j = 0; j < q; ++j) {
            if (j > i) {
              EXPECT_TRUE(std::isnan(got(i, j)));
              continue;
            }
            // Twice the contract, one for each twin; P <= 1 and |bias|, |w| at most 1 and sqrt(d).
            const double scale = 2.0 * (1.0 + static_cast<double>(d));
            ASSERT_LE(std::abs(got(i, j) - twin(i, j)),
                      2 * (2 * static_cast<double>(d) + 200) * kEps * scale)
                << order.name() << " k=" << k << " d=" << d << " at " << i << ", " << j;
          }
        }
      }
    }
  }
}

TEST(GaussianEmulatedTest, CouplingSumsAreThoseOfTheCpuTwin) {
  const auto cpu = make_cpu_device({.threads = 1, .poison = true});
  const Index k = 37;
  HostMatrix unit = distinct(k, 2);
  for (Index i = 0; i < k; ++i) {
    const double length = std::hypot(unit(i, 0), unit(i, 1));
    for (Index c = 0; c < 2; ++c) unit(i, c) /= length;
  }
  HostMatrix in_threes(k, 1);
  for (Index i = 0; i < k; ++i) in_threes(i, 0) = static_cast<double>(i / 3);
  const HostMatrix jump_values = distinct(k, 1);
  Padded normals(*cpu, unit);
  Padded thresholds(*cpu, with_zeros_and_ties(distinct(k, 1)));
  Padded jumps(*cpu, jump_values);
  Padded groups(*cpu, in_threes);
  for (const Index first : {Index{0}, Index{9}}) {
    Padded expected(*cpu, k, 1);
    gaussian_coupling_sums(*cpu, normals, thresholds, jumps, groups, first, expected);
    const HostMatrix twin = expected.read();
    for (const simt::LaneOrder order : simt::kEveryOrder) {
      std::vector<GaussianNeuron> neurons(static_cast<std::size_t>(k));
      DeviceMatrix series(*cpu, kHermiteTerms, k);
      Padded sums(*cpu, k, 1);
      fill(*cpu, 0.0, sums);
      simt::launch({2}, {16}, 0, order,
                   [&] { gaussian_hinges_kernel(thresholds, neurons.data()); });
      simt::launch({2}, {16}, 0, order,
                   [&] { hermite_kernel(neurons.data(), k, series.view().data); });
      const Index at_once = 20;
      for (Index top = first; top < k; top += at_once) {
        const Index rows = std::min(at_once, k - top);
        const Index cols = top + rows;
        DeviceMatrix rho(*cpu, rows, cols);
        DeviceMatrix products(*cpu, rows, cols);
        for (Index i = 0; i < rows; ++i) {
          for (Index j = 0; j < cols; ++j) {
            rho.view().data[i * cols + j] =
                unit(top + i, 0) * unit(j, 0) + unit(top + i, 1) * unit(j, 1);
            products.view().data[i * cols + j] = jump_values(top + i, 0) * jump_values(j, 0);
          }
        }
        simt::launch({1}, {kMomentTile, kMomentTile}, 0, order, [&] {
          coupling_sums_kernel(neurons.data(), series.view().data, k, top, rows, rho.view().data,
                               products.view().data, cols, groups, sums);
        });
      }
      const HostMatrix got = sums.read();
      for (Index i = 0; i < k; ++i) {
        // Twice the contract, one for each twin; |J| < 1.
        EXPECT_LE(std::abs(got(i, 0) - twin(i, 0)),
                  2 * (6.0 + k + 200) * kEps * static_cast<double>(k))
            << order.name() << " first=" << first << " row " << i;
      }
    }
  }
}

}  // namespace
}  // namespace crease
