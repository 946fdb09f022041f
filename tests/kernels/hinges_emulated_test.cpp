// The CUDA kernels of hinges, emulated, against their CPU twins and against plain loops.
#include "tests/support/emulated.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/cuda/hinges.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();
const float kMargin = std::numeric_limits<float>::quiet_NaN();

/// Numbers in single precision between NaN that must stay NaN.
class Floats {
 public:
  Floats(Index rows, Index cols)
      : rows_(rows), cols_(cols), all_(static_cast<std::size_t>(rows * cols + 64), kMargin) {}
  Floats(const HostMatrix& values) : Floats(values.rows(), values.cols()) {
    for (Index i = 0; i < values.size(); ++i) data()[i] = static_cast<float>(values.data()[i]);
  }
  float* data() { return all_.data() + 32; }
  FloatMatrix view() { return {data(), rows_, cols_}; }
  float operator()(Index i, Index j) { return data()[i * cols_ + j]; }
  HostMatrix read() {
    for (std::size_t i = 0; i < 32; ++i) {
      EXPECT_TRUE(std::isnan(all_[i]) && std::isnan(all_[all_.size() - 1 - i]));
    }
    HostMatrix values(rows_, cols_);
    for (Index i = 0; i < values.size(); ++i) values.data()[i] = data()[i];
    return values;
  }

 private:
  Index rows_, cols_;
  std::vector<float> all_;
};

class HingesEmulatedTest : public testing::Test {
 protected:
  Device& cpu() { return *cpu_; }

  /// The words of z, by sign_words_kernel itself; the last columns of `hinges` are positive.
  std::vector<std::uint32_t> words(Floats& z, Index hinges) {
    std::vector<std::uint32_t> all(static_cast<std::size_t>((z.view().rows + 31) / 32 * hinges),
                                   0xffffffffU);
    simt::launch(1, dim3_of(32, 8), 0, simt::kEveryOrder[0],
                 [&] { sign_words_kernel(z.view(), hinges, all.data()); });
    return all;
  }
  static simt::dim3 dim3_of(unsigned x, unsigned y) { return {x, y}; }

 private:
  std::unique_ptr<Device> cpu_ = make_cpu_device({.threads = 1, .poison = true});
};

TEST_F(HingesEmulatedTest, DoublesHaveTheBitsOfTheCpuTwins) {
  for (const auto& [n, d, k, p] :
       {std::array<Index, 4>{1, 1, 1, 1}, {31, 3, 5, 1}, {33, 2, 4, 3}, {3, 40, 7, 2}}) {
    HostMatrix z = with_zeros_and_ties(distinct(n, k));
    if (z.size() > 10) z.data()[9] = kNan;
    Padded z_there(cpu(), z), x(cpu(), distinct(n, d)), directions(cpu(), distinct(k, p, 0.5));
    Padded magnitude(cpu(), z);
    absolute(cpu(), magnitude);
    for (const simt::Way& way : simt::ways_per_element()) {
      SCOPED_TRACE(way.name());
      Padded got(cpu(), z);
      simt::launch(way, [&] { absolute_kernel(got.view()); });
      EXPECT_TRUE(same_bits(got.read(), magnitude.read()));
      for (Index o = 0; o < p; ++o) {
        const Index cols = (k + p) * (d + 1 + (p > 1 ? p : 0));
        Padded expected(cpu(), n, cols), rows(cpu(), n, cols);
        hinge_jacobian_rows(cpu(), z_there, x, directions, o, expected);
        simt::launch(way,
                     [&] { hinge_jacobian_rows_kernel(z_there, x, directions, o, rows.view()); });
        EXPECT_TRUE(same_bits(rows.read(), expected.read()));
      }
    }
  }
}

TEST_F(HingesEmulatedTest, CastsAndSumsAreThoseOfPlainLoops) {
  for (const auto& [n, q] : {std::pair<Index, Index>{1, 1}, {33, 31}, {257, 2}, {2, 70}}) {
    const HostMatrix a = distinct(n, q);
    Padded there(cpu(), a);
    Padded narrow(cpu(), distinct(n, 1, 0.5));
    for (const simt::Way& way : simt::ways_per_element()) {
      SCOPED_TRACE(way.name());
      Floats cast(n, q + 1), product(n, q), residual(n, q), plain(n, q), squares(n, q);
      simt::launch(way, [&] { to_float_kernel(there, cast.view()); });
      simt::launch(way, [&] { weights_to_float_kernel(narrow, 2, squares.view()); });
      simt::launch(way, [&] { weights_to_float_kernel(there, 1, product.view()); });
      simt::launch(way, [&] { scale_float_kernel(squares.data(), product.view()); });
      simt::launch(way,
                   [&] { residual_to_float_kernel(there, 0.3, squares.data(), residual.view()); });
      simt::launch(way, [&] { residual_to_float_kernel(there, 0.3, nullptr, plain.view()); });
      Padded sum(cpu(), n, q), cut(cpu(), n, q);
      const Index neurons = n / 2;
      const Index inputs1 = (q + 1) / 2;
      simt::launch(way, [&] { begin_sum_kernel(narrow, there, neurons, inputs1, sum.view()); });
      simt::launch(way, [&] { begin_sum_kernel({}, {}, neurons, inputs1, cut.view()); });
      EXPECT_TRUE(same_bits(cut.read(), HostMatrix(n, q)));
      simt::launch(way, [&] { add_float_kernel(product.view(), sum.view()); });
      Floats magnitude(a);
      simt::launch(way, [&] { absolute_float_kernel(magnitude.view()); });
      const HostMatrix factor = narrow.read();
      const HostMatrix casts = cast.read(), products = product.read(), residuals = residual.read(),
                       plains = plain.read(), sums = sum.read(), sizes = magnitude.read();
      for (Index i = 0; i < n; ++i) {
        EXPECT_EQ(casts(i, q), 1);
        for (Index j = 0; j < q; ++j) {
          const auto single = static_cast<float>(a(i, j));
          const auto square = static_cast<float>(factor(i, 0) * factor(i, 0));
          EXPECT_EQ(casts(i, j), single);
          EXPECT_EQ(products(i, j), single * square);
          EXPECT_EQ(plains(i, j), static_cast<float>(0.3 * a(i, j)));
          EXPECT_EQ(residuals(i, j), static_cast<float>(0.3 * a(i, j)) * square);
          EXPECT_EQ(sizes(i, j), std::fabs(single));
          const double begun = i < neurons || j < inputs1 ? factor(i, 0) * a(i, j) : 0.0;
          EXPECT_EQ(sums(i, j), begun + products(i, j));
        }
      }
    }
  }
}

TEST_F(HingesEmulatedTest, SignsAreKeptAsBitsOf32Rows) {
  for (const auto& [n, k] : {std::pair<Index, Index>{1, 1}, {31, 3}, {33, 40}, {70, 2}}) {
    Floats z(with_zeros_and_ties(distinct(n, k)));
    const Index hinges = k + 2;
    for (const simt::Way& way : simt::ways_per_element()) {
      SCOPED_TRACE(way.name());
      std::vector<std::uint32_t> all(static_cast<std::size_t>((n + 31) / 32 * hinges), 0xffffffffU);
      simt::launch(way, [&] { sign_words_kernel(z.view(), hinges, all.data()); });
      Floats signs(n, hinges), flipped(distinct(n, hinges)), spread(n, hinges);
      const HostMatrix before = flipped.read();
      const Floats column_of(distinct(n, 1, 0.25));
      Floats column = column_of;
      simt::launch(way, [&] { signs_to_float_kernel(all.data(), hinges, signs.view()); });
      simt::launch(way, [&] { flip_kernel(all.data(), flipped.view()); });
      simt::launch(way, [&] { spread_signs_kernel(all.data(), column.data(), spread.view()); });
      const HostMatrix got = signs.read(), turned = flipped.read(), spreads = spread.read();
      for (Index i = 0; i < n; ++i) {
        for (Index j = 0; j < hinges; ++j) {
          const double sign = j < k && z(i, j) < 0 ? -1 : 1;
          EXPECT_EQ(got(i, j), sign);
          EXPECT_EQ(turned(i, j), sign * before(i, j));
          EXPECT_EQ(spreads(i, j), sign * column(i, 0));
        }
      }
    }
  }
}

TEST_F(HingesEmulatedTest, TurningSumsEveryRowAndSpreadsTheSumAgain) {
  for (const auto& [n, k] : {std::pair<Index, Index>{1, 1}, {9, 31}, {33, 65}, {20, 3}}) {
    Floats z(distinct(n, k));
    const Index hinges = k + 1;
    const std::vector<std::uint32_t> all = words(z, hinges);
    Floats squares(distinct(n, 1, 1.5));
    for (const simt::Way& way : simt::ways({32, kTurnRows}, {1, 3})) {
      for (const bool weighted : {false, true}) {
        SCOPED_TRACE(way.name());
        Floats m(distinct(n, hinges, 0.125));
        const HostMatrix before = m.read();
        simt::launch(
            way, [&] { turn_kernel(all.data(), weighted ? squares.data() : nullptr, m.view()); });
        const HostMatrix after = m.read();
        for (Index i = 0; i < n; ++i) {
          double sum = 0, terms = 0;
          for (Index j = 0; j < hinges; ++j) {
            sum += j < k && z(i, j) < 0 ? -before(i, j) : before(i, j);
            terms += std::fabs(before(i, j));
          }
          const double square = weighted ? squares(i, 0) : 1.0;
          for (Index j = 0; j < hinges; ++j) {
            const double sign = j < k && z(i, j) < 0 ? -1 : 1;
            EXPECT_TRUE(at_most(std::fabs(after(i, j) - sign * sum * square),
                                0x1p-23 * static_cast<double>(hinges) * terms * square));
            EXPECT_EQ(after(i, j), sign * after(i, k)) << "the same bits along a row";
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace crease
