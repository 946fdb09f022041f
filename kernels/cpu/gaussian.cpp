// Exact Gaussian integrals on the CPU.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/ops.hpp"
#include "kernels/gaussian_integral.hpp"

namespace crease {
namespace {

constexpr Index kColumns = 32;  // of a strip; its Hermite coefficients stay in the L1 cache

// A row's length, however large or small its elements are.
double length_of(const double* row, Index count) {
  double largest = 0.0;
  for (Index c = 0; c < count; ++c) largest = std::max(largest, std::abs(row[c]));
  const double scale = largest > 0.0 && std::isfinite(largest) ? largest : 1.0;
  double sum = 0.0;
  for (Index c = 0; c < count; ++c) sum += (row[c] / scale) * (row[c] / scale);
  return scale * std::sqrt(sum);
}

}  // namespace

void CpuOps::gaussian_gram(ConstDeviceView weights, ConstDeviceView bias, bool with_inputs,
                           DeviceView g) {
  const Index k = weights.rows;
  const Index d = weights.cols;
  if (std::max(k, d) > std::numeric_limits<int>::max()) {
    throw DeviceError("cpu: a matrix with a side of " + std::to_string(std::max(k, d)) +
                      " is too large for this BLAS");
  }
  std::vector<GaussianNeuron> neurons(static_cast<std::size_t>(k));
  std::vector<double> normals(static_cast<std::size_t>(k * d));
  std::vector<double> series(static_cast<std::size_t>(k * kHermiteTerms));  // neuron by neuron
#pragma omp parallel for num_threads(threads_for(k*(d + 10 * kHermiteTerms))) schedule(static)
  for (Index i = 0; i < k; ++i) {
    const double* row = weights.data + i * weights.ld;
    const double length = length_of(row, d);
    GaussianNeuron& neuron = neurons[static_cast<std::size_t>(i)];
    neuron = gaussian_neuron(length, bias.data[i * bias.ld]);
    for (Index c = 0; c < d; ++c) normals[i * d + c] = length == 0.0 ? 0.0 : row[c] / length;
    hermite_coefficients(neuron, &series[i * kHermiteTerms], 1);
  }

  // Correlations, in place.
  for (Index i = 0; i < k; ++i) std::fill_n(g.data + i * g.ld, i + 1, 0.0);
  if (k > 0 && d > 0) {
    openblas_set_num_threads(threads_for(k * k * d));
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, static_cast<int>(k), static_cast<int>(d),
                1.0, normals.data(), static_cast<int>(d), 0.0, g.data, static_cast<int>(g.ld));
  }
#pragma omp parallel for num_threads(threads_for(k* k * 10)) schedule(dynamic)
  for (Index left = 0; left < k; left += kColumns) {
    const Index width = std::min(kColumns, k - left);
    double strip[kHermiteTerms][kColumns];
    for (Index j = 0; j < kColumns; ++j) {  // a strip that is too narrow repeats its last column
      const double* from = &series[(left + std::min(j, width - 1)) * kHermiteTerms];
      for (int m = 0; m < kHermiteTerms; ++m) strip[m][j] = from[m];
    }
    for (Index i = left; i < k; ++i) {
      double* row = g.data + i * g.ld + left;
      const Index count = std::min(width, i - left);  // below the diagonal
      double rho[kColumns] = {};
      double sum[kColumns] = {};
      double largest = 0.0;
      for (Index j = 0; j < count; ++j) {
        rho[j] = row[j];
        const double size = std::abs(rho[j]);
        if (size <= kSeriesReach) largest = std::max(largest, size);
      }
      const double* own = &series[i * kHermiteTerms];
      for (int m = hermite_terms(largest) - 1; m >= 0; --m) {
        for (Index j = 0; j < kColumns; ++j) sum[j] = sum[j] * rho[j] + own[m] * strip[m][j];
      }
      for (Index j = 0; j < count; ++j) {
        row[j] = std::abs(rho[j]) > kSeriesReach
                     ? nearly_parallel_moment(neurons[static_cast<std::size_t>(i)],
                                              neurons[static_cast<std::size_t>(left + j)], rho[j])
                     : sum[j];
      }
      if (count < width) row[count] = neurons[static_cast<std::size_t>(i)].square;
    }
  }

  Index next = k;
  if (with_inputs) {
    for (Index c = 0; c < d; ++c, ++next) {
      double* row = g.data + next * g.ld;
      for (Index i = 0; i < k; ++i) {
        row[i] = neurons[static_cast<std::size_t>(i)].active * normals[i * d + c];
      }
      std::fill_n(row + k, c, 0.0);
      row[next] = 1.0;
    }
  }
  double* row = g.data + next * g.ld;
  for (Index i = 0; i < k; ++i) row[i] = neurons[static_cast<std::size_t>(i)].mean;
  std::fill_n(row + k, next - k, 0.0);
  row[next] = 1.0;
}

void CpuOps::gaussian_coupling_sums(ConstDeviceView normals, ConstDeviceView thresholds,
                                    ConstDeviceView jumps, ConstDeviceView groups, Index first,
                                    DeviceView sums) {
  const Index k = normals.rows;
  const Index strips = (k + kColumns - 1) / kColumns;
  // series[strip, m, column]; what is beyond the last neuron is zero.
  std::vector<double> series(static_cast<std::size_t>(strips * kHermiteTerms * kColumns), 0.0);
#pragma omp parallel for num_threads(threads_for(k * 10 * kHermiteTerms)) schedule(static)
  for (Index i = 0; i < k; ++i) {
    const GaussianNeuron neuron = gaussian_neuron(1.0, -thresholds.data[i * thresholds.ld]);
    hermite_coefficients(neuron, &series[i / kColumns * kHermiteTerms * kColumns + i % kColumns],
                         kColumns);
  }
  for (Index i = 0; i < first; ++i) sums.data[i * sums.ld] = 0.0;
  const Index rows_at_once = std::min(k, std::max<Index>((Index{1} << 21) / k, 2));
  std::vector<double> rho_rows(static_cast<std::size_t>(rows_at_once * k));
  std::vector<double> jump_rows(static_cast<std::size_t>(rows_at_once * k));
  for (Index top = first; top < k; top += rows_at_once) {
    const Index rows = std::min(rows_at_once, k - top);
    const Index cols = top + rows;
    const auto block = [&](ConstDeviceView all, std::vector<double>& out) {
      multiply({all.data + top * all.ld, rows, all.cols, all.ld}, Transpose::no,
               {all.data, cols, all.cols, all.ld}, Transpose::yes, 1.0, 0.0,
               {out.data(), rows, cols, cols});
    };
    block(normals, rho_rows);
    block(jumps, jump_rows);
#pragma omp parallel for num_threads(threads_for(rows* cols * 10)) schedule(dynamic)
    for (Index i = top; i < top + rows; ++i) {
      const double* rho_row = &rho_rows[(i - top) * cols];
      const double* jump_row = &jump_rows[(i - top) * cols];
      const double* own = &series[i / kColumns * kHermiteTerms * kColumns + i % kColumns];
      double total = 0.0;
      for (Index left = 0; left < i; left += kColumns) {
        const Index count = std::min(kColumns, i - left);
        const double* strip = &series[left * kHermiteTerms];
        double rho[kColumns] = {};
        double sum[kColumns] = {};
        double largest = 0.0;
        for (Index j = 0; j < count; ++j) {
          rho[j] = rho_row[left + j];
          const double size = std::abs(rho[j]);
          if (size <= kSeriesReach) largest = std::max(largest, size);
        }
        for (int m = hermite_terms(largest) - 1; m >= 2; --m) {
          const double factor = own[m * kColumns];
          for (Index j = 0; j < kColumns; ++j) {
            sum[j] = sum[j] * rho[j] + factor * strip[m * kColumns + j];
          }
        }
        for (Index j = 0; j < count; ++j) {
          if (groups.data[(left + j) * groups.ld] == groups.data[i * groups.ld]) continue;
          const double value = std::abs(rho[j]) > kSeriesReach
                                   ? coupling_at(rho[j], thresholds.data[i * thresholds.ld],
                                                 thresholds.data[(left + j) * thresholds.ld])
                                   : sum[j] * (rho[j] * rho[j]);
          total += jump_row[left + j] * value;
        }
      }
      sums.data[i * sums.ld] = total;
    }
  }
}

}  // namespace crease
