// Rows of the least-squares solvers on features of Gaussian points whose coefficients are known.
#include <algorithm>
#include <cmath>

#include "bench/gpu/measure.hpp"
#include "kernels/ops.hpp"
#include "src/stages/random.hpp"
#include "src/stages/solve.hpp"

namespace crease::bench {
namespace {

constexpr int kIterations = 10;  // of LSQR, in the floor of `stream`

double wall_seconds(Device& device, const std::function<void()>& run) {
  device.synchronize();
  const auto begin = std::chrono::steady_clock::now();
  run();
  device.synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// A matrix of features [relu(weights x + bias), x, 1] and the answers of known coefficients.
struct Planted {
  DeviceMatrix weights, bias;
  std::unique_ptr<FeatureRows> rows;
  HostMatrix coefficients;  // [q, 1]
  DeviceMatrix answers;     // [n, 1]

  Planted(Bench& bench, Index n, Index q, Index d) {
    Device& device = bench.device();
    const Index k = q - d - 1;
    weights = DeviceMatrix(device, k, d);
    fill_gaussian(device, Seed{3}, 0, 0, 1 / std::sqrt(static_cast<double>(d)), weights);
    bias = DeviceMatrix(device, k, 1);
    fill_gaussian(device, Seed{3}, 1, 0, 0.5, bias);
    const Index most_bytes = bench.fits(1.3 * n * q + 2.0 * q * q) ? 9 * n * q : Index{1} << 30;
    rows = std::make_unique<FeatureRows>(device, FeatureRows::Points{Seed{4}, Stream::looks, 0, n},
                                         weights, bias, true, most_bytes);
    DeviceMatrix planted(device, q, 1);
    fill_gaussian(device, Seed{3}, 2, 0, 1.0, planted);
    coefficients = download(device, planted);
    answers = DeviceMatrix(device, n, 1);
    for (Index first = 0; first < n; first += rows->chunk_rows()) {
      const Index count = std::min(rows->chunk_rows(), n - first);
      multiply(device, rows->chunk(first, count), Transpose::no, planted, Transpose::no, 1.0, 0.0,
               answers.view().row_block(first, count));
    }
    device.synchronize();
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
void solve(Bench& bench, const std::string& name, Index n, Index q, Index d, double flops,
           double bytes,
           const std::function<std::optional<LeastSquaresSolution>(Planted&, Device&)>& solver) {
  Planted planted(bench, n, q, d);
  std::optional<LeastSquaresSolution> solution;
  std::vector<double> seconds;
  // The first run is the warm-up, unless it takes so long that starting up does not matter.
  do {
    seconds.push_back(
        wall_seconds(bench.device(), [&] { solution = solver(planted, bench.device()); }));
  } while (seconds.size() < 4 && seconds.front() < 2.0 && !bench.out_of_time());
  if (seconds.size() > 1) seconds.erase(seconds.begin());
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const double floor = flops / bench.ceilings().gemm + bytes / bench.ceilings().copy;
  nlohmann::ordered_json row = {{"name", name},           {"shape", {{"n", n}, {"q", q}, {"d", d}}},
                                {"seconds", median},      {"least", seconds.front()},
                                {"most", seconds.back()}, {"repeats", seconds.size()},
                                {"floor_seconds", floor}, {"fraction", floor / median},
                                {"gemm_flops", flops},    {"bytes", bytes}};
  if (solution) {
    row["rank"] = solution->rank;
    row["condition"] = solution->condition;
    row["coefficient_error"] = relative_error(solution->coefficients, planted.coefficients);
  } else {
    row["error"] = "the solver gave nothing";
  }
  bench.print(row);
}

LeastSquaresSolution solved(Device& device, const Planted& planted, SolveMethod method) {
  SolveOptions options;
  options.method = method;
  return solve_least_squares(device, {*planted.rows, 0, planted.answers}, options);
}

void least_squares(Bench& bench, Index n, Index q, Index d, bool with_qr) {
  const double build = 2.0 * n * (q - d - 1) * d, square = 1.0 * n * q * q;
  if (!bench.fits(1.2 * n * q + 2.5 * q * q)) return;
  solve(bench, "least_squares_stream", n, q, d, build + square + 1.0 * q * q * q / 3,
        kIterations * (16.0 * n * q + 8.0 * q * q), [&](Planted& planted, Device& device) {
          return solved(device, planted, SolveMethod::stream);
        });
  if (!with_qr || bench.out_of_time()) return;
  solve(bench, "least_squares_qr", n, q, d, build + 2 * square, 0,
        [&](Planted& planted, Device& device) { return solved(device, planted, SolveMethod::qr); });
}

}  // namespace

std::vector<Part> solver_parts() {
  return {
      {"least_squares_16384x2048", [](Bench& b) { least_squares(b, 16384, 2048, 64, true); }},
      {"least_squares_65536x16384", [](Bench& b) { least_squares(b, 65536, 16384, 256, true); }},
      {"least_squares_131072x32768",
       [](Bench& b) { least_squares(b, 131072, 32768, 256, false); }}};
}

}  // namespace crease::bench
