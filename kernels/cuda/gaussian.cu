// Exact Gaussian integrals on the GPU.
#include "kernels/cuda/gaussian.cuh"

#include "kernels/cuda/support.cuh"

namespace crease {

void CudaOps::gaussian_gram(ConstDeviceView weights, ConstDeviceView bias, bool, DeviceView g) {
  const CurrentGpu current(context_.device_id());
  const cudaStream_t stream = context_.stream();
  const Index k = weights.rows;
  const Index d = weights.cols;
  const Scratch<GaussianNeuron> neurons(context_, static_cast<std::size_t>(k));
  const Scratch<double> normals(context_, static_cast<std::size_t>(k * d));
  if (k > 0) {
    const Scratch<double> series(context_, static_cast<std::size_t>(k * kHermiteTerms));
    gaussian_neurons_kernel<<<blocks_for(k, 8, 1 << 15), dim3(32, 8), 0, stream>>>(
        weights, bias, normals.data(), neurons.data());
    hermite_kernel<<<blocks_for(k, 128, 1 << 15), 128, 0, stream>>>(neurons.data(), k,
                                                                    series.data());
    check(cudaGetLastError(), "gaussian_gram");
    if (d > 0) {
      // Correlations, in place: the lower triangle, row-major, is the upper one, column-major.
      const double one = 1.0;
      const double zero = 0.0;
      check(cublasDsyrk_v2_64(context_.blas(), CUBLAS_FILL_MODE_UPPER, CUBLAS_OP_T, k, d, &one,
                              normals.data(), d, &zero, g.data, g.ld),
            "gaussian_gram");
    }
    const dim3 grid(blocks_for(k, kMomentTile, 1 << 15), blocks_for(k, kMomentTile, 1 << 15));
    gaussian_moments_kernel<<<grid, dim3(kMomentTile, kMomentTile), 0, stream>>>(
        neurons.data(), series.data(), k, d > 0, g);
    check(cudaGetLastError(), "gaussian_gram");
  }
  const Launch borders = per_element(g.rows - k, g.cols);
  gaussian_borders_kernel<<<borders.grid, borders.block, 0, stream>>>(neurons.data(),
                                                                      normals.data(), k, d, g);
  check(cudaGetLastError(), "gaussian_gram");
}

void CudaOps::gaussian_coupling_sums(ConstDeviceView normals, ConstDeviceView thresholds,
                                     ConstDeviceView jumps, ConstDeviceView groups, Index first,
                                     DeviceView sums) {
  const CurrentGpu current(context_.device_id());
  const cudaStream_t stream = context_.stream();
  const Index k = normals.rows;
  const Scratch<GaussianNeuron> neurons(context_, static_cast<std::size_t>(k));
  const Scratch<double> series(context_, static_cast<std::size_t>(k * kHermiteTerms));
  gaussian_hinges_kernel<<<blocks_for(k, 128, 1 << 15), 128, 0, stream>>>(thresholds,
                                                                          neurons.data());
  hermite_kernel<<<blocks_for(k, 128, 1 << 15), 128, 0, stream>>>(neurons.data(), k, series.data());
  check(cudaGetLastError(), "gaussian_coupling_sums");
  fill(0.0, sums);
  const Index rows_at_once = std::min(k, std::max<Index>((Index{1} << 24) / k, 2));
  const Scratch<double> rho_rows(context_, static_cast<std::size_t>(rows_at_once * k));
  const Scratch<double> jump_rows(context_, static_cast<std::size_t>(rows_at_once * k));
  for (Index top = first; top < k; top += rows_at_once) {
    const Index rows = std::min(rows_at_once, k - top);
    const Index cols = top + rows;
    const auto block = [&](ConstDeviceView all, double* out) {
      multiply({all.data + top * all.ld, rows, all.cols, all.ld}, Transpose::no,
               {all.data, cols, all.cols, all.ld}, Transpose::yes, 1.0, 0.0,
               {out, rows, cols, cols});
    };
    block(normals, rho_rows.data());
    block(jumps, jump_rows.data());
    coupling_sums_kernel<<<blocks_for(rows, kMomentTile, 1 << 15), dim3(kMomentTile, kMomentTile),
                           0, stream>>>(neurons.data(), series.data(), k, top, rows,
                                        rho_rows.data(), jump_rows.data(), cols, groups, sums);
    check(cudaGetLastError(), "gaussian_coupling_sums");
  }
}

}  // namespace crease
