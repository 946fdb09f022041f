// Rows of the primitives: each against the floor that its arithmetic and its traffic set.
#include <array>
#include <cstring>

#include "bench/gpu/measure.hpp"
#include "kernels/ops.hpp"

namespace crease::bench {
namespace {

using Shape = nlohmann::ordered_json;

/// Features of n points in d inputs, k neurons: one product, one pass over the result. Of Gaussian
/// points too, which are not read.
void features(Bench& bench) {
  for (const auto& [n, k, d] : {std::tuple<Index, Index, Index>{65536, 16384, 256},
                                {65536, 4096, 256},
                                {16384, 16384, 64},
                                {4096, 1024, 784}}) {
    if (!bench.fits(1.0 * n * k + n * d + k * d)) continue;
    const DeviceMatrix x = bench.normals(n, d), w = bench.normals(k, d), b = bench.normals(k, 1);
    DeviceMatrix out(bench.device(), n, k);
    const double flops = 2.0 * n * k * d;
    bench.row("features", {{"n", n}, {"k", k}, {"d", d}},
              {flops, 0, 8.0 * (n * d + k * d + k + n * k)},
              [&] { relu_features(bench.device(), x, w, b, out); });
    bench.row("gaussian_features", {{"n", n}, {"k", k}, {"d", d}},
              {flops, 0, 8.0 * (k * d + k + n * k)},
              [&] { gaussian_features(bench.device(), Seed{1}, 0, 0, w, b, out); });
  }
}

/// A network of k neurons on m centres times q directions. For each centre, direction and neuron at
/// least two FP64 instructions: a fused multiply-add from step, slope and offset, and another into
/// the sum. Whether a number is negative can be told from its sign bit, without the FP64 units.
void fans(Bench& bench) {
  const Index q = 256;
  for (const auto& [m, k] : {std::pair<Index, Index>{4096, 4096}, {4096, 32768}, {65536, 32768}}) {
    if (!bench.fits(1.0 * m * k + k * q + 3.0 * m * q)) continue;
    const DeviceMatrix offsets = bench.normals(m, k), slopes_t = bench.normals(k, q);
    const DeviceMatrix output = bench.normals(1, k), constant = bench.normals(m, 1);
    const DeviceMatrix tilt = bench.normals(q, 1), steps = bench.normals(m, q);
    DeviceMatrix out(bench.device(), m * q, 1);
    bench.row("fan", {{"m", m}, {"q", q}, {"k", k}, {"p", 1}},
              {0, 2.0 * m * q * k, 8.0 * (m * k + k * q + 2.0 * m * q)}, [&] {
                relu_fan_sum(bench.device(), offsets, slopes_t, output, constant, tilt, steps, out);
              });
  }
}

/// A network of k neurons at n points of a line. Sorted kinks and prefix sums need next to no
/// arithmetic: the floor is to read t and write the answers once.
void lines(Bench& bench) {
  for (const auto& [n, k] :
       {std::pair<Index, Index>{1000000, 32768}, {65536, 32768}, {4096, 1024}}) {
    const DeviceMatrix offsets = bench.normals(k, 1), slopes = bench.normals(k, 1);
    const DeviceMatrix output = bench.normals(1, k), constant = bench.normals(1, 1);
    const DeviceMatrix tilt = bench.normals(1, 1), t = bench.normals(n, 1);
    const std::array<Index, 2> one_line = {0, n};
    DeviceMatrix out(bench.device(), n, 1);
    bench.row("line", {{"n", n}, {"k", k}, {"p", 1}}, {0, 0, 8.0 * (2 * n + 3 * k)}, [&] {
      relu_lines_sum(bench.device(), offsets, slopes, output, constant, tilt, one_line, t, out);
    });
  }
}

/// Distances between m and n points: a subtraction and a fused multiply-add per coordinate.
void distances(Bench& bench) {
  for (const auto& [m, n, d] :
       {std::tuple<Index, Index, Index>{16384, 16384, 256}, {2048, 2048, 784}}) {
    if (!bench.fits(1.0 * m * n + (m + n) * d)) continue;
    const DeviceMatrix a = bench.normals(m, d), b = bench.normals(n, d);
    DeviceMatrix out(bench.device(), m, n);
    bench.row("pair_distances", {{"m", m}, {"n", n}, {"d", d}},
              {0, 2.0 * m * n * d, 8.0 * (m * d + n * d + m * n)},
              [&] { pair_distances(bench.device(), a, b, out); });
  }
}

/// Standard normals: the floor is to write them.
void random_numbers(Bench& bench) {
  for (const auto& [n, d] : {std::pair<Index, Index>{262144, 256}, {4096, 784}}) {
    if (!bench.fits(1.0 * n * d)) continue;
    DeviceMatrix out(bench.device(), n, d);
    bench.row("normals", {{"n", n}, {"d", d}}, {0, 0, 8.0 * n * d},
              [&] { fill_gaussian(bench.device(), Seed{1}, 0, 0, 1.0, out); });
  }
}

/// FNV-1a, 64 bits, over the bits of the numbers in order.
std::uint64_t hash(const HostMatrix& values) {
  std::uint64_t state = 0xcbf29ce484222325;
  for (Index i = 0; i < values.size(); ++i) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, values.data() + i, sizeof bits);
    for (int byte = 0; byte < 8; ++byte) {
      state = (state ^ (bits >> (8 * byte) & 0xff)) * 0x100000001b3;
    }
  }
  return state;
}

/// 8,388,608 normals by the GPU and by the CPU: the same bits, or an error.
void random_bits(Bench& bench) {
  const Index n = 8192, d = 1024;
  const auto drawn = [&](Device& device) {
    DeviceMatrix out(device, n, d);
    fill_gaussian(device, Seed{20}, 26, 1, 1.0, out);
    return hash(download(device, out));
  };
  const auto cpu = make_cpu_device();
  const std::uint64_t on_gpu = drawn(bench.device()), on_cpu = drawn(*cpu);
  Shape row = {{"name", "random_bits"},
               {"shape", {{"numbers", n * d}}},
               {"hash_gpu", on_gpu},
               {"hash_cpu", on_cpu},
               {"equal", on_gpu == on_cpu}};
  if (on_gpu != on_cpu) row["error"] = "GPU and CPU draw different numbers";
  bench.print(row);
}

/// Gram matrix: n q^2 flops, half of a full product.
void grams(Bench& bench) {
  for (const auto& [n, q] : {std::pair<Index, Index>{65536, 16384}, {65536, 4096}, {16384, 1024}}) {
    if (!bench.fits(1.0 * n * q + 1.0 * q * q)) continue;
    const DeviceMatrix z = bench.normals(n, q);
    DeviceMatrix g(bench.device(), q, q);
    bench.row("gram", {{"n", n}, {"q", q}}, {1.0 * n * q * q, 0, 8.0 * (n * q + 0.5 * q * q)},
              [&] { gram(bench.device(), z, 0.0, g); });
    DeviceMatrix weights(bench.device(), n, 1);
    fill(bench.device(), 0.5, weights);
    bench.row("weighted_gram", {{"n", n}, {"q", q}},
              {1.0 * n * q * q, 0, 8.0 * (n * q + n + 0.5 * q * q)},
              [&] { weighted_gram(bench.device(), z, weights, 0.0, g); });
  }
}

/// Exact Gram matrix of features of Gaussian points. The floor counts the cosines between neurons,
/// half a product, and writing the lower triangle; the integral of each pair comes on top.
void exact_grams(Bench& bench) {
  for (const auto& [k, d] : {std::pair<Index, Index>{16384, 256}, {4096, 256}, {1024, 784}}) {
    const Index q = k + d + 1;
    if (!bench.fits(1.5 * q * q)) continue;
    const DeviceMatrix w = bench.normals(k, d), b = bench.normals(k, 1);
    DeviceMatrix g(bench.device(), q, q);
    bench.row("gaussian_gram", {{"k", k}, {"d", d}},
              {1.0 * k * k * d, 0, 8.0 * (k * d + k + 0.5 * q * q)},
              [&] { gaussian_gram(bench.device(), w, b, true, g); });
  }
}

/// Cholesky factor of a Gram matrix (with a copy of it before each), then solves with it.
void factors(Bench& bench) {
  Device& device = bench.device();
  for (const Index q : {16384, 4096}) {
    if (!bench.fits(4.0 * q * q)) continue;
    DeviceMatrix g(device, q, q), factor(device, q, q);
    {
      const DeviceMatrix z = bench.normals(2 * q, q);
      gram(device, z, 0.0, g);
    }
    const double cube = 1.0 * q * q * q;
    bench.row("cholesky", {{"q", q}}, {cube / 3, 0, 16.0 * q * q}, [&] {
      copy(device, g, factor);
      if (!cholesky(device, factor)) throw DeviceError("a Gram matrix was not positive definite");
    });
    for (const Index m : {Index{1}, q / 4}) {
      const DeviceMatrix y = bench.normals(q, m);
      DeviceMatrix x(device, q, m);
      bench.row("solve_triangular", {{"q", q}, {"m", m}},
                {1.0 * q * q * m, 0, 8.0 * (0.5 * q * q + 3.0 * q * m)}, [&] {
                  copy(device, y, x);
                  solve_triangular(device, factor, Transpose::no, x);
                });
    }
  }
}

/// Householder QR, R only (with a copy of the matrix before each): 2 n q^2 - 2 q^3 / 3 flops.
void triangles(Bench& bench) {
  for (const auto& [n, q] : {std::pair<Index, Index>{32768, 4096}, {8192, 1024}}) {
    if (!bench.fits(2.0 * n * q)) continue;
    const DeviceMatrix z = bench.normals(n, q);
    DeviceMatrix a(bench.device(), n, q);
    bench.row("triangularize", {{"n", n}, {"q", q}},
              {2.0 * n * q * q - 2.0 / 3.0 * q * q * q, 0, 24.0 * n * q}, [&] {
                copy(bench.device(), z, a);
                triangularize(bench.device(), a);
              });
  }
}

/// A product with J^T J of n rows, k hyperplanes and p outputs: two products in single precision,
/// each over the points, which are read in single precision, as are the signs, a bit each.
void hinge_products(Bench& bench) {
  Device& device = bench.device();
  for (const auto& [n, d, k, p] : {std::tuple<Index, Index, Index, Index>{262144, 100, 500, 1},
                                   {262144, 784, 128, 1},
                                   {65536, 64, 128, 10}}) {
    if (!bench.fits(1.0 * n * (d + p + k))) continue;
    const DeviceMatrix x = bench.normals(n, d), planes = bench.normals(k, d + 1);
    DeviceMatrix directions = bench.normals(k, p);
    if (p == 1) fill(device, 1.0, directions);
    const Index width = d + 1 + (p > 1 ? p : 0);
    const DeviceMatrix u = bench.normals(k + p, width), shifts = bench.normals(k + p, 1);
    DeviceMatrix out(device, k + p, width);
    const auto jacobian = linearize_hinges(device, x, planes, directions, {}, true);
    bench.row("hinge_product", {{"n", n}, {"d", d}, {"k", k}, {"p", p}},
              {0, 0, 4.0 * n * (d + 1) + n * (k + p) / 8.0, 4.0 * n * (d + 1) * (k + p)},
              [&] { jacobian->normal_product(u, shifts, out); });
  }
}

}  // namespace

std::vector<Part> kernel_parts() {
  return {{"random_bits", random_bits},
          {"normals", random_numbers},
          {"features", features},
          {"fans", fans},
          {"lines", lines},
          {"distances", distances},
          {"grams", grams},
          {"exact_grams", exact_grams},
          {"factors", factors},
          {"hinge_products", hinge_products},
          {"triangles", triangles}};
}

}  // namespace crease::bench
