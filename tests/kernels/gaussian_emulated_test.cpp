// The kernels of gaussian.cuh, emulated, against the CPU twin.
#include "tests/support/simt_emulator.hpp"
// the emulator first
#include "kernels/cuda/gaussian.cuh"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace crease
