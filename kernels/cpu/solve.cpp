// What least-squares solvers do to vectors and Gram matrices, on the CPU.
#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/ops.hpp"

namespace crease {
namespace {

/// The CPU has nothing to write down: the work is asked for again.
class CallAgain final : public Recording {
 public:
  explicit CallAgain(std::function<void()> work) : work_(std::move(work)) {}
  void replay() override { work_(); }

 private:
  std::function<void()> work_;
};

/// y += op(z) x, with a BLAS of one thread.
void multiply_by_one_thread(ConstDeviceView z, CBLAS_TRANSPOSE transpose, ConstDeviceView x,
                            DeviceView y) {
  const int rows = blas_size(z.rows);
  const int cols = blas_size(z.cols);
  const int ld = blas_size(z.ld);
  const int x_ld = blas_size(x.ld);
  const int y_ld = blas_size(y.ld);
  if (y.cols == 1) {
    cblas_dgemv(CblasRowMajor, transpose, rows, cols, 1.0, z.data, ld, x.data, x_ld, 1.0, y.data,
                y_ld);
    return;
  }
  cblas_dgemm(CblasRowMajor, transpose, CblasNoTrans, blas_size(y.rows), blas_size(y.cols),
              blas_size(x.rows), 1.0, z.data, ld, x.data, x_ld, 1.0, y.data, y_ld);
}

}  // namespace

void CpuOps::scale_rows(ConstDeviceView factors, DeviceView z) {
#pragma omp parallel for num_threads(threads_for(z.rows* z.cols)) schedule(static)
  for (Index i = 0; i < z.rows; ++i) {
    const double factor = factors.data[i * factors.ld];
    for (Index j = 0; j < z.cols; ++j) z.data[i * z.ld + j] *= factor;
  }
}

void CpuOps::add_scaled(double scale, ConstDeviceView factors, ConstDeviceView x, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      y.data[i * y.ld + j] += scale * factors.data[j] * x.data[i * x.ld + j];
    }
  }
}

void CpuOps::normalize_columns(DeviceView z, DeviceView norms) {
  column_norms(z, norms);
  for (Index j = 0; j < norms.cols; ++j) {
    if (norms.data[j] < std::numeric_limits<double>::min()) norms.data[j] = 0.0;
  }
  divide_columns(norms, z);
}

void CpuOps::divide_columns(ConstDeviceView norms, DeviceView z) {
#pragma omp parallel for num_threads(threads_for(z.rows* z.cols)) schedule(static)
  for (Index i = 0; i < z.rows; ++i) {
    for (Index j = 0; j < z.cols; ++j) {
      double& element = z.data[i * z.ld + j];
      element = norms.data[j] == 0.0 ? 0.0 : element / norms.data[j];
    }
  }
}

void CpuOps::multiply_and_back(ConstDeviceView z, ConstDeviceView x, DeviceView y, double beta,
                               DeviceView back) {
  // Every thread goes through rows of its own, in blocks that the way back finds in the cache, and
  // sums up what comes back by itself; the sums are added in order.
  constexpr Index kBlockNumbers = Index{1} << 15;
  const Index p = y.cols;
  const int threads = threads_for(2 * z.rows * z.cols * p);
  const Index share = (z.rows + threads - 1) / threads;
  const Index block = std::clamp<Index>(kBlockNumbers / z.cols, 1, 64);
  const Index size = z.cols * p;
  std::vector<double> sums(static_cast<std::size_t>(threads * size), 0.0);
  openblas_set_num_threads(1);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; ++thread) {
    const DeviceView sum{sums.data() + thread * size, z.cols, p, p};
    const Index end = std::min(z.rows, (thread + 1) * share);
    for (Index row = thread * share; row < end; row += block) {
      const Index count = std::min(block, end - row);
      const ConstDeviceView rows = z.row_block(row, count);
      const DeviceView there = y.row_block(row, count);
      multiply_by_one_thread(rows, CblasNoTrans, x, there);
      multiply_by_one_thread(rows, CblasTrans, there, sum);
    }
  }
#pragma omp parallel for num_threads(threads_for(size* threads)) schedule(static)
  for (Index i = 0; i < z.cols; ++i) {
    for (Index j = 0; j < p; ++j) {
      double& element = back.data[i * back.ld + j];
      double total = beta == 0.0 ? 0.0 : beta * element;
      for (int thread = 0; thread < threads; ++thread) {
        total += sums[static_cast<std::size_t>(thread * size + i * p + j)];
      }
      element = total;
    }
  }
}

void CpuOps::unit_diagonal(double cutoff, double shift, DeviceView g, DeviceView factors) {
  double largest = 0.0;
  for (Index j = 0; j < g.rows; ++j) largest = std::max(largest, g.data[j * g.ld + j]);
  for (Index j = 0; j < g.rows; ++j) {
    const double square = g.data[j * g.ld + j];
    factors.data[j * factors.ld] = square > cutoff * largest ? 1.0 / std::sqrt(square) : 0.0;
  }
#pragma omp parallel for num_threads(threads_for(g.rows* g.rows)) schedule(static)
  for (Index i = 0; i < g.rows; ++i) {
    double* row = g.data + i * g.ld;
    const double factor = factors.data[i * factors.ld];
    for (Index j = 0; j < i; ++j) row[j] = factor * row[j] * factors.data[j * factors.ld];
    row[i] = std::isnan(row[i]) ? row[i] : 1.0 + shift;
  }
}

void CpuOps::lsqr_begin(double tolerance, DeviceView state) {
  for (Index j = 0; j < state.cols; ++j) {
    const auto at = [&](LsqrRow row) -> double& {
      return state.data[static_cast<Index>(row) * state.ld + j];
    };
    const double left = at(LsqrRow::alpha) * at(LsqrRow::beta);
    at(LsqrRow::rho_bar) = at(LsqrRow::alpha);
    at(LsqrRow::phi_bar) = at(LsqrRow::beta);
    at(LsqrRow::minus_alpha) = -at(LsqrRow::alpha);
    at(LsqrRow::step) = 0.0;
    at(LsqrRow::minus_ratio) = 0.0;
    at(LsqrRow::left) = left;
    at(LsqrRow::limit) = tolerance * left;
    at(LsqrRow::running) = left == 0.0 ? 0.0 : 1.0;
  }
}

void CpuOps::lsqr_rotate(DeviceView state) {
  for (Index j = 0; j < state.cols; ++j) {
    const auto at = [&](LsqrRow row) -> double& {
      return state.data[static_cast<Index>(row) * state.ld + j];
    };
    const double alpha = at(LsqrRow::alpha);
    const double beta = at(LsqrRow::beta);
    const double rho_bar = at(LsqrRow::rho_bar);
    const double rho = std::sqrt(rho_bar * rho_bar + beta * beta);
    const bool moves = at(LsqrRow::running) != 0.0 && rho != 0.0;
    const double c = moves ? rho_bar / rho : 0.0;
    const double s = moves ? beta / rho : 0.0;
    const double phi = c * at(LsqrRow::phi_bar);
    at(LsqrRow::minus_alpha) = -alpha;
    at(LsqrRow::step) = moves ? phi / rho : 0.0;
    at(LsqrRow::minus_ratio) = moves ? -(s * alpha) / rho : 0.0;
    if (!moves) {
      at(LsqrRow::running) = 0.0;
      continue;
    }
    at(LsqrRow::rho_bar) = -c * alpha;
    at(LsqrRow::phi_bar) = s * at(LsqrRow::phi_bar);
    at(LsqrRow::left) = std::abs(at(LsqrRow::phi_bar) * alpha * c);
    if (!(at(LsqrRow::left) > at(LsqrRow::limit))) at(LsqrRow::running) = 0.0;
  }
}

void CpuOps::cg_begin(double tolerance, DeviceView state) {
  for (Index j = 0; j < state.cols; ++j) {
    const auto at = [&](CgRow row) -> double& {
      return state.data[static_cast<Index>(row) * state.ld + j];
    };
    at(CgRow::limit) = tolerance * tolerance * at(CgRow::product);
    at(CgRow::running) = at(CgRow::product) > 0 ? 1.0 : 0.0;
    at(CgRow::curvature) = 0;
    at(CgRow::next) = 0;
    at(CgRow::step) = 0;
    at(CgRow::minus_step) = 0;
    at(CgRow::ratio) = 0;
  }
}

void CpuOps::cg_step(DeviceView state) {
  for (Index j = 0; j < state.cols; ++j) {
    const auto at = [&](CgRow row) -> double& {
      return state.data[static_cast<Index>(row) * state.ld + j];
    };
    if (!(at(CgRow::curvature) > 0)) at(CgRow::running) = 0;
    const bool running = at(CgRow::running) != 0;
    at(CgRow::step) = running ? at(CgRow::product) / at(CgRow::curvature) : 0.0;
    at(CgRow::minus_step) = -at(CgRow::step);
  }
}

void CpuOps::cg_turn(DeviceView state) {
  for (Index j = 0; j < state.cols; ++j) {
    const auto at = [&](CgRow row) -> double& {
      return state.data[static_cast<Index>(row) * state.ld + j];
    };
    if (!(at(CgRow::next) > at(CgRow::limit))) at(CgRow::running) = 0;
    const bool running = at(CgRow::running) != 0;
    at(CgRow::ratio) = running ? at(CgRow::next) / at(CgRow::product) : 0.0;
    if (running) at(CgRow::product) = at(CgRow::next);
  }
}

double CpuOps::svd(DeviceView a, DeviceView left_t, DeviceView values, DeviceView right) {
  const auto q = static_cast<lapack_int>(a.rows);
  openblas_set_num_threads(threads_for(a.rows * a.rows * a.rows));
  // Row-major a is column-major a^T = right^T diag left^T; the last factor, row-major, is `left`.
  const lapack_int info = LAPACKE_dgesdd(
      LAPACK_COL_MAJOR, 'A', q, q, a.data, static_cast<lapack_int>(a.ld), values.data, right.data,
      static_cast<lapack_int>(right.ld), left_t.data, static_cast<lapack_int>(left_t.ld));
  if (info != 0) throw DeviceError("cpu: dgesdd failed with " + std::to_string(info));
  for (Index i = 0; i < left_t.rows; ++i) {
    for (Index j = 0; j < i; ++j) {
      std::swap(left_t.data[i * left_t.ld + j], left_t.data[j * left_t.ld + i]);
    }
  }
  return 0;
}

std::unique_ptr<Recording> CpuOps::record(std::function<void()> work) {
  return std::make_unique<CallAgain>(std::move(work));
}

}  // namespace crease
