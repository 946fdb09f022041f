// Networks along lines, on the CPU.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/ops.hpp"
#include "kernels/line_sum.hpp"

namespace crease {
namespace {

/// max(z, 0) that lets NaN through: an overflow inside a network must show in its answer.
double relu(double z) {
  return z < 0.0 ? 0.0 : z;
}

/// A network on one line, its neurons side by side in memory.
struct OnLine {
  std::vector<double> offsets;  // [k]
  std::vector<double> slopes;   // [k]
  ConstDeviceView output;       // [p, k]
  const double* constant;       // [p]
  const double* tilt;           // [p]
};

/// Sorting costs some 48 points' worth of every neuron, and a point between sorted kinks some 48
/// neurons' worth (measured, for 1 to 16 outputs).
bool pays_to_sort(Index points, Index neurons) {
  constexpr Index kWorth = 48;
  return points * neurons >= kWorth * (points + neurons);
}

double sum_directly(const OnLine& line, double t, Index o) {
  const double* u = line.output.data + o * line.output.ld;
  double sum = line.constant[o] + t * line.tilt[o];
  for (std::size_t r = 0; r < line.offsets.size(); ++r) {
    sum += u[r] * relu(line.offsets[r] + t * line.slopes[r]);
  }
  return sum;
}

void sum_points_directly(const OnLine& line, ConstDeviceView t, DeviceView out, int threads) {
  const std::size_t k = line.offsets.size();
#pragma omp parallel num_threads(threads)
  {
    std::vector<double> active(k);
#pragma omp for schedule(static)
    for (Index i = 0; i < out.rows; ++i) {
      const double step = t.data[i * t.ld];
      for (std::size_t r = 0; r < k; ++r) {
        active[r] = relu(line.offsets[r] + step * line.slopes[r]);
      }
      for (Index o = 0; o < out.cols; ++o) {
        const double* u = line.output.data + o * line.output.ld;
        double sum = line.constant[o] + step * line.tilt[o];
        for (std::size_t r = 0; r < k; ++r) sum += u[r] * active[r];
        out.data[i * out.ld + o] = sum;
      }
    }
  }
}

struct Kink {
  double t;
  std::size_t neuron;
};

/// The kinks in order, ties in the order of the neurons.
std::vector<Kink> sorted_kinks(const OnLine& line) {
  std::vector<Kink> kinks;
  kinks.reserve(line.offsets.size());
  for (std::size_t r = 0; r < line.offsets.size(); ++r) {
    kinks.push_back({kink_of(line.offsets[r], line.slopes[r]), r});
  }
  std::sort(kinks.begin(), kinks.end(), [](const Kink& a, const Kink& b) {
    return a.t != b.t ? a.t < b.t : a.neuron < b.neuron;
  });
  return kinks;
}

/// What output o sums up to before the first kink, after it, and so on.
void sum_pieces(const OnLine& line, const std::vector<Kink>& kinks, Index o,
                std::vector<LinePiece>& pieces) {
  const double* u = line.output.data + o * line.output.ld;
  LinePiece piece{};
  for (std::size_t r = 0; r < line.offsets.size(); ++r) {
    piece = piece + before_kink(u[r], line.offsets[r], line.slopes[r]);
  }
  pieces[0] = piece;
  for (std::size_t j = 0; j < kinks.size(); ++j) {
    const std::size_t r = kinks[j].neuron;
    piece = piece + across_kink(u[r], line.offsets[r], line.slopes[r]);
    pieces[j + 1] = piece;
  }
}

void sum_points_sorted(const OnLine& line, ConstDeviceView t, DeviceView out, int threads) {
  const std::vector<Kink> kinks = sorted_kinks(line);
  std::vector<std::size_t> passed(static_cast<std::size_t>(out.rows));
#pragma omp parallel for num_threads(threads) schedule(static)
  for (Index i = 0; i < out.rows; ++i) {
    const auto after = std::upper_bound(kinks.begin(), kinks.end(), t.data[i * t.ld],
                                        [](double at, const Kink& kink) { return at < kink.t; });
    passed[static_cast<std::size_t>(i)] = static_cast<std::size_t>(after - kinks.begin());
  }
#pragma omp parallel num_threads(threads)
  {
    std::vector<LinePiece> pieces(kinks.size() + 1);
#pragma omp for schedule(static)
    for (Index o = 0; o < out.cols; ++o) {
      sum_pieces(line, kinks, o, pieces);
      for (Index i = 0; i < out.rows; ++i) {
        const double at = t.data[i * t.ld];
        const double sum = value_at(pieces[passed[static_cast<std::size_t>(i)]], line.constant[o],
                                    line.tilt[o], at);
        out.data[i * out.ld + o] = std::isfinite(sum) ? sum : sum_directly(line, at, o);
      }
    }
  }
}

}  // namespace

void CpuOps::relu_lines_sum(ConstDeviceView offsets, ConstDeviceView slopes, ConstDeviceView output,
                            ConstDeviceView constant, ConstDeviceView tilt,
                            std::span<const Index> first, ConstDeviceView t, DeviceView out) {
  const Index k = offsets.rows;
  const auto size = static_cast<std::size_t>(k);
  for (Index l = 0; l < offsets.cols; ++l) {
    const Index begin = first[static_cast<std::size_t>(l)];
    const Index count = first[static_cast<std::size_t>(l) + 1] - begin;
    if (count == 0) continue;
    OnLine line{std::vector<double>(size), std::vector<double>(size), output,
                constant.data + l * constant.ld, tilt.data + l * tilt.ld};
    for (Index r = 0; r < k; ++r) {
      line.offsets[static_cast<std::size_t>(r)] = offsets.data[r * offsets.ld + l];
      line.slopes[static_cast<std::size_t>(r)] = slopes.data[r * slopes.ld + l];
    }
    const ConstDeviceView where = t.row_block(begin, count);
    const DeviceView sums = out.row_block(begin, count);
    if (pays_to_sort(count, k)) {
      sum_points_sorted(line, where, sums, threads_for((count + k) * out.cols));
    } else {
      sum_points_directly(line, where, sums, threads_for(count * k * (out.cols + 1)));
    }
  }
}

}  // namespace crease
