// Kernels of solve.cu: what least-squares solvers do to vectors and Gram matrices.
#pragma once

#include "kernels/cuda/indexing.cuh"
#include "kernels/ops.hpp"

namespace crease {

__global__ void scale_by_rows_kernel(ConstDeviceView factors, DeviceView z) {
  for (Index i = first_row(); i < z.rows; i += row_step()) {
    for (Index j = first_col(); j < z.cols; j += col_step()) {
      z.data[i * z.ld + j] *= factors.data[i * factors.ld];
    }
  }
}

__global__ void add_scaled_kernel(double scale, ConstDeviceView factors, ConstDeviceView x,
                                  DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) {
      y.data[i * y.ld + j] += scale * factors.data[j] * x.data[i * x.ld + j];
    }
  }
}

/// norms[j] = 0 where it is below `smallest`.
__global__ void clear_small_kernel(double smallest, DeviceView norms) {
  for (Index j = first_col(); j < norms.cols; j += col_step()) {
    if (norms.data[j] < smallest) norms.data[j] = 0.0;
  }
}

__global__ void divide_columns_kernel(ConstDeviceView norms, DeviceView z) {
  for (Index i = first_row(); i < z.rows; i += row_step()) {
    for (Index j = first_col(); j < z.cols; j += col_step()) {
      double& element = z.data[i * z.ld + j];
      element = norms.data[j] == 0.0 ? 0.0 : element / norms.data[j];
    }
  }
}

constexpr int kDiagonalThreads = 256;

/// factors[j] = 1 / sqrt(g_jj), or 0 where g_jj is not above cutoff * largest; one block.
__global__ void diagonal_factors_kernel(double cutoff, ConstDeviceView g, DeviceView factors) {
  __shared__ double partial[kDiagonalThreads];
  double largest = 0.0;
  for (Index j = threadIdx.x; j < g.rows; j += kDiagonalThreads) {
    const double square = g.data[j * g.ld + j];
    largest = largest < square ? square : largest;
  }
  partial[threadIdx.x] = largest;
  __syncthreads();
  largest = 0.0;
  for (int other = 0; other < kDiagonalThreads; ++other) {
    largest = largest < partial[other] ? partial[other] : largest;
  }
  for (Index j = threadIdx.x; j < g.rows; j += kDiagonalThreads) {
    const double square = g.data[j * g.ld + j];
    factors.data[j * factors.ld] = square > cutoff * largest ? 1.0 / sqrt(square) : 0.0;
  }
}

__global__ void unit_diagonal_kernel(double shift, ConstDeviceView factors, DeviceView g) {
  for (Index i = first_row(); i < g.rows; i += row_step()) {
    for (Index j = first_col(); j <= i; j += col_step()) {
      double& element = g.data[i * g.ld + j];
      if (j < i) {
        element = factors.data[i * factors.ld] * element * factors.data[j * factors.ld];
      } else {
        element = isnan(element) ? element : 1.0 + shift;
      }
    }
  }
}

__device__ inline double& state_at(DeviceView state, LsqrRow row, Index j) {
  return state.data[static_cast<Index>(row) * state.ld + j];
}

__global__ void lsqr_begin_kernel(double tolerance, DeviceView state) {
  for (Index j = first_col(); j < state.cols; j += col_step()) {
    const double alpha = state_at(state, LsqrRow::alpha, j);
    const double beta = state_at(state, LsqrRow::beta, j);
    const double left = alpha * beta;
    state_at(state, LsqrRow::rho_bar, j) = alpha;
    state_at(state, LsqrRow::phi_bar, j) = beta;
    state_at(state, LsqrRow::minus_alpha, j) = -alpha;
    state_at(state, LsqrRow::step, j) = 0.0;
    state_at(state, LsqrRow::minus_ratio, j) = 0.0;
    state_at(state, LsqrRow::left, j) = left;
    state_at(state, LsqrRow::limit, j) = tolerance * left;
    state_at(state, LsqrRow::running, j) = left == 0.0 ? 0.0 : 1.0;
  }
}

__global__ void lsqr_rotate_kernel(DeviceView state) {
  for (Index j = first_col(); j < state.cols; j += col_step()) {
    const double alpha = state_at(state, LsqrRow::alpha, j);
    const double beta = state_at(state, LsqrRow::beta, j);
    const double rho_bar = state_at(state, LsqrRow::rho_bar, j);
    const double rho = sqrt(rho_bar * rho_bar + beta * beta);
    const bool moves = state_at(state, LsqrRow::running, j) != 0.0 && rho != 0.0;
    const double c = moves ? rho_bar / rho : 0.0;
    const double s = moves ? beta / rho : 0.0;
    const double phi = c * state_at(state, LsqrRow::phi_bar, j);
    state_at(state, LsqrRow::minus_alpha, j) = -alpha;
    state_at(state, LsqrRow::step, j) = moves ? phi / rho : 0.0;
    state_at(state, LsqrRow::minus_ratio, j) = moves ? -(s * alpha) / rho : 0.0;
    if (!moves) {
      state_at(state, LsqrRow::running, j) = 0.0;
      continue;
    }
    const double phi_bar = s * state_at(state, LsqrRow::phi_bar, j);
    const double left = fabs(phi_bar * alpha * c);
    state_at(state, LsqrRow::rho_bar, j) = -c * alpha;
    state_at(state, LsqrRow::phi_bar, j) = phi_bar;
    state_at(state, LsqrRow::left, j) = left;
    if (!(left > state_at(state, LsqrRow::limit, j))) state_at(state, LsqrRow::running, j) = 0.0;
  }
}

__device__ inline double& cg_at(DeviceView state, CgRow row, Index j) {
  return state.data[static_cast<Index>(row) * state.ld + j];
}

__global__ void cg_begin_kernel(double tolerance, DeviceView state) {
  for (Index j = first_col(); j < state.cols; j += col_step()) {
    const double product = cg_at(state, CgRow::product, j);
    cg_at(state, CgRow::limit, j) = tolerance * tolerance * product;
    cg_at(state, CgRow::running, j) = product > 0 ? 1.0 : 0.0;
    cg_at(state, CgRow::curvature, j) = 0.0;
    cg_at(state, CgRow::next, j) = 0.0;
    cg_at(state, CgRow::step, j) = 0.0;
    cg_at(state, CgRow::minus_step, j) = 0.0;
    cg_at(state, CgRow::ratio, j) = 0.0;
  }
}

__global__ void cg_step_kernel(DeviceView state) {
  for (Index j = first_col(); j < state.cols; j += col_step()) {
    const double curvature = cg_at(state, CgRow::curvature, j);
    if (!(curvature > 0)) cg_at(state, CgRow::running, j) = 0.0;
    const bool running = cg_at(state, CgRow::running, j) != 0.0;
    const double step = running ? cg_at(state, CgRow::product, j) / curvature : 0.0;
    cg_at(state, CgRow::step, j) = step;
    cg_at(state, CgRow::minus_step, j) = -step;
  }
}

__global__ void cg_turn_kernel(DeviceView state) {
  for (Index j = first_col(); j < state.cols; j += col_step()) {
    const double next = cg_at(state, CgRow::next, j);
    if (!(next > cg_at(state, CgRow::limit, j))) cg_at(state, CgRow::running, j) = 0.0;
    const bool running = cg_at(state, CgRow::running, j) != 0.0;
    cg_at(state, CgRow::ratio, j) = running ? next / cg_at(state, CgRow::product, j) : 0.0;
    if (running) cg_at(state, CgRow::product, j) = next;
  }
}

}  // namespace crease
