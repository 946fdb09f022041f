// The CUDA kernels of networks along lines, emulated, against their CPU twin.
#include "tests/support/simt_emulator.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/cuda/lines.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// A network on m lines, and what the sum(k + 2) of its points is measured by.
struct Planted {
  Planted(Index k, Index p, std::vector<Index> first_points)
      : m(static_cast<Index>(first_points.size()) - 1),
        n(first_points.back()),
        offsets(with_zeros_and_ties(distinct(k, m))),
        slopes(with_zeros_and_ties(distinct(k, m, 0.125))),
        output(with_zeros_and_ties(distinct(p, k))),
        constant(distinct(m, p, 0.5)),
        tilt(with_zeros_and_ties(distinct(m, p, -0.5))),
        t(distinct(n, 1, 0.25)),
        first(std::move(first_points)) {
    for (Index i = 0; i < n; ++i) t(i, 0) *= std::pow(10.0, static_cast<double>(i % 5) - 1);
  }

  HostMatrix terms() const {
    HostMatrix sums(n, output.rows());
    for (Index l = 0; l < m; ++l) {
      for (Index i = first[static_cast<std::size_t>(l)]; i < first[static_cast<std::size_t>(l) + 1];
           ++i) {
        for (Index o = 0; o < output.rows(); ++o) {
          const double at = std::abs(t(i, 0));
          double sum = std::abs(constant(l, o)) + at * std::abs(tilt(l, o));
          for (Index r = 0; r < offsets.rows(); ++r) {
            sum += std::abs(output(o, r)) * (std::abs(offsets(r, l)) + at * std::abs(slopes(r, l)));
          }
          sums(i, o) = sum;
        }
      }
    }
    return sums;
  }

  Index m;
  Index n;
  HostMatrix offsets, slopes, output, constant, tilt, t;
  std::vector<Index> first;
};

class LinesEmulatedTest : public testing::Test {
 protected:
  /// The network inside foreign NaN.
  struct Placed {
    Placed(Device& device, const Planted& from)
        : offsets(device, from.offsets),
          slopes(device, from.slopes),
          output(device, from.output),
          constant(device, from.constant),
          tilt(device, from.tilt),
          t(device, from.t),
          out(device, from.n, from.output.rows()) {}

    OnLines lines(const Index* first) {
      return {offsets.view(), slopes.view(), output.view(), constant.view(),
              tilt.view(),    first,         t.view()};
    }

    Padded offsets, slopes, output, constant, tilt, t, out;
  };

  HostMatrix on_cpu(const Planted& from) {
    Placed at(*cpu_, from);
    relu_lines_sum(*cpu_, at.offsets, at.slopes, at.output, at.constant, at.tilt, from.first, at.t,
                   at.out);
    return at.out.read();
  }

  template <int kOutputs>
  HostMatrix directly(simt::LaneOrder order, simt::dim3 grid, const Planted& from) {
    Placed at(*cpu_, from);
    const OnLines lines = at.lines(from.first.data());
    simt::launch(grid, kLinePoints, 0, order,
                 [&] { relu_lines_sum_kernel<kOutputs>(lines, at.out.view()); });
    return at.out.read();
  }

  /// The launches of lines.cu, with the library's stable sort in the place of CUB's.
  HostMatrix between_kinks(simt::LaneOrder order, simt::dim3 grid, const Planted& from,
                           Index outputs) {
    Placed at(*cpu_, from);
    const Index k = from.offsets.rows();
    const Index count = from.m * k;
    const auto size = static_cast<std::size_t>(count);
    std::vector<Index> first(from.first.size(), -1);
    for (std::size_t part = 0; part < first.size(); part += 2) {
      FirstPart values{};
      const std::size_t some = std::min<std::size_t>(2, first.size() - part);
      std::copy_n(from.first.begin() + static_cast<std::ptrdiff_t>(part), some, values.values);
      simt::launch(1, 32, 0, order, [&] {
        set_first_kernel(values, static_cast<Index>(some), first.data() + part);
      });
    }
    const OnLines lines = at.lines(first.data());
    std::vector<double> kinks(size, kNan);
    std::vector<double> sorted(size, kNan);
    std::vector<Index> elements(size, -1);
    std::vector<unsigned> line(size, ~0U);
    simt::launch(grid, {32, 8}, 0, order,
                 [&] { line_kinks_kernel(lines, kinks.data(), elements.data()); });
    const auto kink_of_element = [&](Index e) { return kinks[static_cast<std::size_t>(e)]; };
    std::stable_sort(elements.begin(), elements.end(),
                     [&](Index a, Index b) { return kink_of_element(a) < kink_of_element(b); });
    const simt::dim3 column(1, grid.y);
    simt::launch(column, 64, 0, order,
                 [&] { lines_of_kernel(elements.data(), k, count, line.data()); });
    std::vector<Index> places(size);
    for (std::size_t e = 0; e < size; ++e) places[e] = static_cast<Index>(e);
    std::stable_sort(places.begin(), places.end(), [&](Index a, Index b) {
      return line[static_cast<std::size_t>(a)] < line[static_cast<std::size_t>(b)];
    });
    std::vector<Index> by_line;
    for (const Index place : places) by_line.push_back(elements[static_cast<std::size_t>(place)]);
    simt::launch(column, 64, 0, order,
                 [&] { gather_kinks_kernel(kinks.data(), by_line.data(), count, sorted.data()); });

    const Index tiles = (k + kScanTile - 1) / kScanTile;
    const LinePiece nothing{{kNan, kNan}, {kNan, kNan}};
    const auto pieces_of = [&](Index each) {
      return std::vector<LinePiece>(static_cast<std::size_t>(from.m * outputs * each), nothing);
    };
    for (Index from_output = 0; from_output < at.out.view().cols; from_output += outputs) {
      std::vector<LinePiece> across = pieces_of(tiles);
      std::vector<LinePiece> before = pieces_of(tiles);
      std::vector<LinePiece> pieces = pieces_of(k + 1);
      const Index now = std::min(outputs, at.out.view().cols - from_output);
      const LineScan scan{by_line.data(), from_output,   now,          tiles,
                          across.data(),  before.data(), pieces.data()};
      simt::launch(grid, kScanThreads, 0, order, [&] { line_totals_kernel(lines, scan); });
      simt::launch(column, 32, 0, order, [&] { line_starts_kernel(from.m * now, scan); });
      simt::launch(grid, kScanThreads, 0, order, [&] { line_pieces_kernel(lines, scan); });
      simt::launch(grid, kEvaluateThreads, 0, order,
                   [&] { line_values_kernel(lines, scan, sorted.data(), at.out.view()); });
    }
    return at.out.read();
  }

 private:
  std::unique_ptr<Device> cpu_ = make_cpu_device({.threads = 1, .poison = true});
};

/// One block that does everything, and a grid that leaves blocks over.
const std::array<simt::dim3, 2> kGrids = {simt::dim3(1, 1, 1), simt::dim3(3, 2, 2)};

TEST_F(LinesEmulatedTest, DirectSumsAgreeWithTheCpuTwin) {
  for (const Planted& from :
       {Planted(1, 1, {0, 1}), Planted(65, 3, {0, 129, 129, 162}), Planted(257, 9, {0, 31, 33}),
        Planted(64, 4, {0, 0, 257}), Planted(0, 2, {0, 3})}) {
    const HostMatrix expected = on_cpu(from);
    const Index k = from.offsets.rows();
    for (const simt::LaneOrder order : simt::kEveryOrder) {
      for (const simt::dim3 grid : kGrids) {
        const auto near = [&](const HostMatrix& got) {
          return near_sum(got, expected, from.terms(), k + 2);
        };
        EXPECT_TRUE(near(directly<1>(order, grid, from))) << order.name() << " k=" << k;
        EXPECT_TRUE(near(directly<4>(order, grid, from))) << order.name() << " k=" << k;
        EXPECT_TRUE(near(directly<8>(order, grid, from))) << order.name() << " k=" << k;
      }
    }
  }
}

TEST_F(LinesEmulatedTest, SumsBetweenKinksAgreeWithTheCpuTwin) {
  // Up to three tiles of the scan, and three kinks between two landmarks.
  for (const Planted& from :
       {Planted(1, 1, {0, 1}), Planted(33, 2, {0, 31, 31, 64}), Planted(1025, 1, {0, 257}),
        Planted(257, 5, {0, 300, 301}), Planted(2100, 2, {0, 70, 140})}) {
    const HostMatrix expected = on_cpu(from);
    const Index k = from.offsets.rows();
    for (const simt::LaneOrder order : simt::kEveryOrder) {
      for (const simt::dim3 grid : kGrids) {
        for (const Index outputs : {Index{1}, Index{2}, from.output.rows()}) {
          EXPECT_TRUE(
              near_sum(between_kinks(order, grid, from, outputs), expected, from.terms(), k + 2))
              << order.name() << " k=" << k << " outputs at a time: " << outputs;
        }
      }
    }
  }
}

TEST_F(LinesEmulatedTest, SumsBetweenKinksAreRoundedOnce) {
  // Sizes that the CPU sorts as well: both are within one rounding and (6 k + 20) u^2 |terms| of
  // the exact sum, as no point is at a kink.
  const Planted from(2100, 2, {0, 70, 140});
  const HostMatrix expected = on_cpu(from);
  const HostMatrix terms = from.terms();
  constexpr double kUnit = 0x1p-53;
  for (const simt::LaneOrder order : simt::kEveryOrder) {
    const HostMatrix got = between_kinks(order, kGrids[1], from, 2);
    for (Index i = 0; i < from.n; ++i) {
      for (Index o = 0; o < 2; ++o) {
        const double bound = 2 * kUnit * std::abs(expected(i, o)) * (1 + 4 * kUnit) +
                             2 * (6 * 2100 + 20) * kUnit * kUnit * terms(i, o);
        EXPECT_TRUE(at_most(std::abs(got(i, o) - expected(i, o)), bound)) << i << ", " << o;
      }
    }
  }
}

TEST_F(LinesEmulatedTest, TheOrderOfThreadsChangesNoBit) {
  const Planted from(1300, 3, {0, 100, 150});
  const HostMatrix expected = between_kinks(simt::kEveryOrder[0], kGrids[0], from, 3);
  for (const simt::LaneOrder order : simt::kEveryOrder) {
    EXPECT_TRUE(same_bits(between_kinks(order, kGrids[1], from, 2), expected)) << order.name();
  }
}

TEST_F(LinesEmulatedTest, WhatIsNotFiniteComesOutAsTheDirectSumMakesIt) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double lie : {kNan, infinity, -infinity}) {
    for (int what = 0; what < 6; ++what) {
      Planted from(130, 2, {0, 60, 120});
      HostMatrix* const where[] = {&from.offsets,  &from.slopes, &from.output,
                                   &from.constant, &from.tilt,   &from.t};
      (*where[what])(where[what]->rows() - 1, where[what]->cols() - 1) = lie;
      const HostMatrix direct = directly<1>(simt::kEveryOrder[0], kGrids[0], from);
      const HostMatrix got = between_kinks(simt::kEveryOrder[2], kGrids[1], from, 2);
      const HostMatrix on_host = on_cpu(from);
      for (Index i = 0; i < from.n; ++i) {
        for (Index o = 0; o < 2; ++o) {
          if (std::isfinite(direct(i, o))) {
            EXPECT_TRUE(std::isfinite(got(i, o)) && std::isfinite(on_host(i, o)));
          } else {
            EXPECT_TRUE(same_bits({{got(i, o), on_host(i, o)}}, {{direct(i, o), direct(i, o)}}))
                << "what=" << what << " point " << i << " output " << o;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace crease
