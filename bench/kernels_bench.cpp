// Times the primitives that carry a run, at the shapes that learning 784-128 and 100-500 networks
// gives them.
#include <benchmark/benchmark.h>
#include <cblas.h>
#include <crease/crease.hpp>

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "kernels/ops.hpp"

extern "C" void openblas_set_num_threads(int threads);

namespace crease {
namespace {

Device& cpu() {
  static const std::unique_ptr<Device> device = make_cpu_device();
  return *device;
}

DeviceMatrix gaussian(Device& device, std::uint64_t stream, Index rows, Index cols) {
  DeviceMatrix matrix(device, rows, cols);
  fill_gaussian(device, Seed{1}, stream, 0, 1.0, matrix);
  return matrix;
}

// Runs `work` until the timer is content, each time to its end; `items` is what one run counts.
template <class Work>
void measure(benchmark::State& state, Device& device, Index items, const Work& work) {
  device.synchronize();
  for ([[maybe_unused]] auto step : state) {
    work();
    device.synchronize();
  }
  state.SetItemsProcessed(state.iterations() * items);
}

// Items: numbers.
void gaussian_numbers(benchmark::State& state) {
  const Index n = state.range(0), d = state.range(1);
  DeviceMatrix out(cpu(), n, d);
  measure(state, cpu(), n * d, [&] { fill_gaussian(cpu(), Seed{1}, 0, 0, 1.0, out); });
}
BENCHMARK(gaussian_numbers)->Args({2048, 784})->UseRealTime();

// Items: products of the inner product.
void features(benchmark::State& state) {
  const Index n = state.range(0), d = state.range(1), k = state.range(2);
  const DeviceMatrix x = gaussian(cpu(), 0, n, d), w = gaussian(cpu(), 1, k, d);
  const DeviceMatrix bias = gaussian(cpu(), 2, k, 1);
  DeviceMatrix out(cpu(), n, k);
  measure(state, cpu(), n * d * k, [&] { relu_features(cpu(), x, w, bias, out); });
}
BENCHMARK(features)->Args({2048, 784, 128})->Args({2048, 100, 500})->UseRealTime();

double seconds_of(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Features and the bare product they contain (OpenBLAS, no bias, no ReLU), by turns in one run.
// Time: features. ratio: features / product, sums; ratio_of_least: the fastest of each.
void features_and_product(benchmark::State& state) {
  const Index n = state.range(0), d = state.range(1), k = state.range(2);
  const DeviceMatrix x = gaussian(cpu(), 0, n, d), w = gaussian(cpu(), 1, k, d);
  const DeviceMatrix bias = gaussian(cpu(), 2, k, 1);
  DeviceMatrix out(cpu(), n, k);
  DeviceMatrix bare(cpu(), n, k);
  const int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const auto size = [](Index side) { return static_cast<int>(side); };
  const auto product = [&] {
    openblas_set_num_threads(threads);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, size(n), size(k), size(d), 1.0,
                x.view().data, size(d), w.view().data, size(d), 0.0, bare.view().data, size(k));
  };
  const auto features = [&] { relu_features(cpu(), x, w, bias, out); };
  product();
  features();
  double sum[2] = {};
  double least[2] = {std::numeric_limits<double>::infinity(),
                     std::numeric_limits<double>::infinity()};
  for ([[maybe_unused]] auto step : state) {
    const double time[2] = {seconds_of(features), seconds_of(product)};
    for (int i = 0; i < 2; ++i) {
      sum[i] += time[i];
      least[i] = std::min(least[i], time[i]);
    }
    state.SetIterationTime(time[0]);
  }
  state.counters["ratio"] = sum[0] / sum[1];
  state.counters["ratio_of_least"] = least[0] / least[1];
}
BENCHMARK(features_and_product)
    ->ArgsProduct({{4096}, {64, 256, 784}, {512, 1024, 2048, 4096}})
    ->UseManualTime()
    ->MinTime(0.2);

// One product with the normal matrix of all hyperplanes (n points, d inputs, k neurons, p outputs)
// and the two bare products in single precision that it contains (n (d + 1) (k + p) each), by turns
// in one run, both on one thread.
void hinge_product(benchmark::State& state) {
  const Index n = state.range(0), d = state.range(1), k = state.range(2), p = state.range(3);
  static const std::unique_ptr<Device> one = make_cpu_device({.threads = 1});
  Device& device = *one;
  const DeviceMatrix x = gaussian(device, 0, n, d), planes = gaussian(device, 1, k, d + 1);
  DeviceMatrix directions = gaussian(device, 2, k, p);
  if (p == 1) fill(device, 1.0, directions);
  const Index width = d + 1 + (p > 1 ? p : 0);
  const DeviceMatrix u = gaussian(device, 3, k + p, width), shifts = gaussian(device, 4, k + p, 1);
  DeviceMatrix out(device, k + p, width);
  const auto jacobian = linearize_hinges(device, x, planes, directions, {}, true);
  const auto size = [](Index side) { return static_cast<int>(side); };
  std::vector<float> points(static_cast<std::size_t>(n * (d + 1)), 0.5F);
  std::vector<float> unknowns(static_cast<std::size_t>((k + p) * (d + 1)), 0.5F);
  std::vector<float> middle(static_cast<std::size_t>(n * (k + p)));
  const auto bare = [&] {
    openblas_set_num_threads(1);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, size(n), size(k + p), size(d + 1), 1.0F,
                points.data(), size(d + 1), unknowns.data(), size(d + 1), 0.0F, middle.data(),
                size(k + p));
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, size(k + p), size(d + 1), size(n), 1.0F,
                middle.data(), size(k + p), points.data(), size(d + 1), 0.0F, unknowns.data(),
                size(d + 1));
    std::fill(unknowns.begin(), unknowns.end(), 0.5F);
  };
  const auto whole = [&] { jacobian->normal_product(u, shifts, out); };
  bare();
  whole();
  double sum[2] = {};
  for ([[maybe_unused]] auto step : state) {
    const double time[2] = {seconds_of(whole), seconds_of(bare)};
    for (int i = 0; i < 2; ++i) sum[i] += time[i];
    state.SetIterationTime(time[0]);
  }
  state.counters["ratio"] = sum[0] / sum[1];
}
BENCHMARK(hinge_product)
    ->Args({10500, 20, 200, 1})
    ->Args({8192, 784, 32, 1})
    ->Args({16384, 100, 500, 1})
    ->Args({8192, 64, 40, 10})
    ->UseManualTime()
    ->MinTime(0.2);

// A network on lines with n points in all.
struct OnLines {
  OnLines(Index n, Index k, Index m)
      : offsets(gaussian(cpu(), 0, k, m)),
        slopes(gaussian(cpu(), 1, k, m)),
        output(gaussian(cpu(), 2, 1, k)),
        t(gaussian(cpu(), 3, n, 1)),
        constant(gaussian(cpu(), 4, m, 1)),
        tilt(gaussian(cpu(), 5, m, 1)),
        out(cpu(), n, 1) {
    for (Index l = 0; l <= m; ++l) first.push_back(l * n / m);
  }
  void sum() { relu_lines_sum(cpu(), offsets, slopes, output, constant, tilt, first, t, out); }

  DeviceMatrix offsets, slopes, output, t, constant, tilt, out;
  std::vector<Index> first;
};

// Items: neurons times points of the line. Enough points to sort the kinks.
void line_sum(benchmark::State& state) {
  OnLines line(state.range(0), state.range(1), 1);
  measure(state, cpu(), state.range(0) * state.range(1), [&] { line.sum(); });
}
BENCHMARK(line_sum)->Args({4096, 128})->Args({4096, 500})->Args({4096, 2048})->UseRealTime();

// The same number of points on lines of 32: too few to sort, rank 1.
void lines_sum_directly(benchmark::State& state) {
  OnLines lines(state.range(0), state.range(1), state.range(0) / 32);
  measure(state, cpu(), state.range(0) * state.range(1), [&] { lines.sum(); });
}
BENCHMARK(lines_sum_directly)
    ->Args({4096, 128})
    ->Args({4096, 500})
    ->Args({4096, 2048})
    ->UseRealTime();

// Items: neurons times points of the fan.
void fan_sum(benchmark::State& state) {
  const Index m = state.range(0), q = state.range(1), k = state.range(2);
  const DeviceMatrix offsets = gaussian(cpu(), 0, m, k), slopes_t = gaussian(cpu(), 1, k, q);
  const DeviceMatrix output = gaussian(cpu(), 2, 1, k), steps = gaussian(cpu(), 3, m, q);
  const DeviceMatrix constant = gaussian(cpu(), 4, m, 1), tilt = gaussian(cpu(), 5, q, 1);
  DeviceMatrix out(cpu(), m * q, 1);
  measure(state, cpu(), m * q * k,
          [&] { relu_fan_sum(cpu(), offsets, slopes_t, output, constant, tilt, steps, out); });
}
BENCHMARK(fan_sum)->Args({129, 784, 128})->Args({501, 100, 500})->UseRealTime();

// Items: multiply-adds of the lower triangle.
void gram_matrix(benchmark::State& state) {
  const Index n = state.range(0), q = state.range(1);
  const DeviceMatrix z = gaussian(cpu(), 0, n, q);
  DeviceMatrix g(cpu(), q, q);
  measure(state, cpu(), n * q * (q + 1) / 2, [&] { gram(cpu(), z, 0.0, g); });
}
BENCHMARK(gram_matrix)->Args({4096, 500})->UseRealTime();

// Items: multiply-adds of a Householder QR, n q^2 - q^3 / 3.
void upper_triangle(benchmark::State& state) {
  const Index n = state.range(0), q = state.range(1);
  const DeviceMatrix z = gaussian(cpu(), 0, n, q);
  DeviceMatrix a(cpu(), n, q);
  measure(state, cpu(), n * q * q - q * q * q / 3, [&] {
    copy(cpu(), z, a);
    triangularize(cpu(), a);
  });
}
BENCHMARK(upper_triangle)->Args({2048, 500})->UseRealTime();

// Items: multiply-adds of a Householder QR and of forming Q, 4 d^3 / 3.
void orthonormal_basis(benchmark::State& state) {
  const Index d = state.range(0);
  const DeviceMatrix z = gaussian(cpu(), 0, d, d);
  DeviceMatrix a(cpu(), d, d);
  measure(state, cpu(), 4 * d * d * d / 3, [&] {
    copy(cpu(), z, a);
    orthonormal_rows(cpu(), a);
  });
}
BENCHMARK(orthonormal_basis)->Arg(784)->UseRealTime();

}  // namespace
}  // namespace crease
