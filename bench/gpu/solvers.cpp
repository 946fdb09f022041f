// Rows of the least-squares solvers on features of Gaussian points whose coefficients are known.
#include <algorithm>
#include <cmath>

#include "bench/gpu/measure.hpp"
#include "kernels/ops.hpp"
#include "src/stages/random.hpp"
#include "src/stages/solve.hpp"

namespace crease::bench {
namespace {

constexpr double kTolerance = 1e-10;  // of the normal equations

double wall_seconds(Device& device, const std::function<void()>& run) {
  device.synchronize();
  const auto begin = std::chrono::steady_clock::now();
  run();
  device.synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// A matrix of features [relu(weights x + bias), x, 1] and the answers of known coefficients.
struct Planted {
  Device& device;
  DeviceMatrix weights, bias;
  std::unique_ptr<FeatureRows> rows;
  HostMatrix coefficients;  // [q, 1]
  DeviceMatrix answers;     // [n, 1]

  Planted(Bench& bench, Index n, Index q, Index d) : device(bench.device()) {
    const Index k = q - d - 1;
    weights = DeviceMatrix(device, k, d);
    fill_gaussian(device, Seed{3}, 0, 0, 1 / std::sqrt(static_cast<double>(d)), weights);
    bias = DeviceMatrix(device, k, 1);
    fill_gaussian(device, Seed{3}, 1, 0, 0.5, bias);
    make_rows(n, bench.fits(1.3 * n * q + 2.5 * q * q));
    DeviceMatrix planted(device, q, 1);
    fill_gaussian(device, Seed{3}, 2, 0, 1.0, planted);
    coefficients = download(device, planted);
    answers = DeviceMatrix(device, n, 1);
    fill(device, 0.0, answers);
    add_product(planted, 1.0, answers);
  }

  /// Rows that are not built yet; `held`: once built they stay in memory.
  void make_rows(Index n, bool held) {
    rows.reset();
    const Index q = weights.rows() + weights.cols() + 1;
    const Index chunk = Index{1} << 30;
    const Index most_bytes = held ? static_cast<Index>(sizeof(double)) * n * q + chunk : chunk;
    rows = std::make_unique<FeatureRows>(device, FeatureRows::Points{Seed{4}, Stream::looks, 0, n},
                                         weights, bias, true, most_bytes);
  }

  /// y += factor * Z c.
  void add_product(ConstDeviceView c, double factor, DeviceView y) {
    for (Index first = 0; first < y.rows; first += rows->chunk_rows()) {
      const Index count = std::min(rows->chunk_rows(), y.rows - first);
      multiply(device, rows->chunk(first, count), Transpose::no, c, Transpose::no, factor, 1.0,
               y.row_block(first, count));
    }
  }

  /// |Z c - y| / |y|.
  double relative_residual(const HostMatrix& c) {
    DeviceMatrix residual(device, answers.rows(), 1), norm(device, 1, 1);
    copy(device, answers, residual);
    add_product(upload(device, c), -1.0, residual);
    column_norms(device, residual, norm);
    const double left = download(device, norm)(0, 0);
    column_norms(device, answers, norm);
    return left / download(device, norm)(0, 0);
  }
};

double relative_error(const HostMatrix& got, const HostMatrix& expected) {
  double error = 0, size = 0;
  for (Index i = 0; i < expected.size(); ++i) {
    error += std::pow(got.data()[i] - expected.data()[i], 2);
    size += std::pow(expected.data()[i], 2);
  }
  return std::sqrt(error / size);
}

/// Times one solver. Its phases follow each other, so that the floor is their sum: arithmetic at
/// the rate of the GEMM, and traffic at the rate of the copy.
void solve(Bench& bench, Planted& planted, SolveMethod method, double flops, double bytes) {
  SolveOptions options;
  options.method = method;
  options.tolerance = kTolerance;
  const Index n = planted.answers.rows(), q = planted.rows->cols();
  LeastSquaresSolution solution;
  std::vector<double> seconds;
  // The first run is the warm-up, unless it takes so long that starting up does not matter.
  do {
    seconds.push_back(wall_seconds(bench.device(), [&] {
      planted.make_rows(n, bench.fits(1.3 * n * q + 2.5 * q * q));
      solution = solve_least_squares(bench.device(), {*planted.rows, 0, planted.answers}, options);
    }));
  } while (seconds.size() < 4 && seconds.front() < 2.0 && !bench.out_of_time());
  if (seconds.size() > 1) seconds.erase(seconds.begin());
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const double floor = flops / bench.ceilings().gemm + bytes / bench.ceilings().copy;
  bench.print({{"name", "least_squares_" + name_of(method)},
               {"shape", {{"n", n}, {"q", q}, {"d", planted.weights.cols()}}},
               {"seconds", median},
               {"least", seconds.front()},
               {"most", seconds.back()},
               {"repeats", seconds.size()},
               {"floor_seconds", floor},
               {"floor_by", "sum of arithmetic and traffic"},
               {"fraction", floor / median},
               {"gemm_flops", flops},
               {"bytes", bytes},
               {"solver", solution.solver},
               {"reason", solution.reason},
               {"iterations", solution.iterations},
               {"rank", solution.rank},
               {"condition", solution.condition},
               {"relative_residual", planted.relative_residual(solution.coefficients)},
               {"coefficient_error", relative_error(solution.coefficients, planted.coefficients)}});
}

/// The floors count as few iterations of LSQR as there can be, each reading Z twice and a triangle
/// twice. With the exact Gram matrix of the population as preconditioner the singular values lie
/// within 1 -+ sqrt(q / n), and the error falls by the factor sqrt(q / n) per iteration; with that
/// of the rows themselves one iteration does.
void least_squares(Bench& bench, Index n, Index q, Index d, const std::vector<SolveMethod>& all) {
  if (!bench.fits(1.2 * n * q + 3.5 * q * q)) return;
  Planted planted(bench, n, q, d);
  const double build = 2.0 * n * (q - d - 1) * d, square = 1.0 * n * q * q;
  const double factor = 1.0 * q * q * q / 3;
  const double iteration = 16.0 * n * q + 8.0 * q * q;
  const double iterations = std::ceil(2 * std::log(kTolerance) / std::log(1.0 * q / n));
  for (const SolveMethod method : all) {
    if (bench.out_of_time()) throw Error("out of time before " + name_of(method));
    if (method == SolveMethod::stream) {
      solve(bench, planted, method, build + square + factor, iteration);
    } else if (method == SolveMethod::analytic) {
      solve(bench, planted, method, build + factor, iterations * iteration);
    } else {
      solve(bench, planted, method, build + 2 * square, 0);
    }
  }
}

}  // namespace

std::vector<Part> solver_parts() {
  const auto stream = SolveMethod::stream, analytic = SolveMethod::analytic, qr = SolveMethod::qr;
  return {{"least_squares_16384x2048",
           [=](Bench& b) {
             least_squares(b, 16384, 2048, 64, {stream, analytic, qr});
           }},
          {"least_squares_65536x16384",
           [=](Bench& b) {
             least_squares(b, 65536, 16384, 256, {stream, analytic, qr});
           }},
          {"least_squares_131072x32768", [=](Bench& b) {
             least_squares(b, 131072, 32768, 256, {stream, analytic});
           }}};
}

}  // namespace crease::bench
