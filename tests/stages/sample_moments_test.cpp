// Moments of examples, against plain loops and against their expectations.
#include "src/stages/sample_moments.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/random.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr Index kInputs = 4;
constexpr Index kOutputs = 2;
constexpr Index kRows = 50;
constexpr Index kRowBytes = (kInputs + kOutputs) * static_cast<Index>(sizeof(double));

const HostMatrix kX = normals(kRows, kInputs, 1);
const HostMatrix kY = normals(kRows, kOutputs, 2);

/// A sum, and what it may be off by: 2 n eps times the sum of |terms|.
struct Sum {
  double value = 0;
  double size = 0;
  void add(double term) {
    value += term;
    size += std::abs(term);
  }
};

void expect_mean(double got, const Sum& sum, Index n) {
  const auto count = static_cast<double>(n);
  EXPECT_NEAR(got, sum.value / count, 2 * (count + 20) * 0x1p-52 * sum.size / count);
}

/// z_j of row n.
double seen(const SampleView& view, Index n, Index j) {
  return view.turn.empty() ? kX(n, j) : dot(view.turn.row(j), kX.row(n), kInputs);
}

class SampleMomentsTest : public EveryBackend {
 protected:
  /// visit(examples) with everything in memory, and in chunks of 7 rows.
  template <class Visit>
  void however_kept(Visit visit) {
    for (const Index rows : {Index{1000}, Index{7}}) {
      const auto source = make_matrix_samples(kX, kY);
      Examples::Plan plan;
      plan.rows = kRows;
      plan.most_bytes = rows * kRowBytes;
      Examples examples(device(), *source, plan);
      visit(examples);
    }
  }

  /// Two labels, the answers as they are.
  SampleView of_both_answers() {
    SampleView view;
    view.labels = 2;
    view.label = [this](ConstDeviceView, ConstDeviceView y, DeviceView out) {
      copy(device(), y, out);
    };
    return view;
  }
};
CREASE_ON_EVERY_BACKEND(SampleMomentsTest);

TEST_P(SampleMomentsTest, MeansAreThoseOfPlainLoops) {
  however_kept([&](Examples& examples) {
    const SampleMeans means = sample_means(device(), examples);
    for (Index j = 0; j < kInputs; ++j) {
      Sum mean;
      for (Index n = 0; n < kRows; ++n) mean.add(kX(n, j));
      expect_mean(means.inputs[static_cast<std::size_t>(j)], mean, kRows);
      for (Index i = 0; i < kInputs; ++i) {
        Sum square;
        for (Index n = 0; n < kRows; ++n) square.add(kX(n, i) * kX(n, j));
        expect_mean(means.input_squares(i, j), square, kRows);
      }
      for (Index o = 0; o < kOutputs; ++o) {
        Sum cross;
        for (Index n = 0; n < kRows; ++n) cross.add(kY(n, o) * kX(n, j));
        expect_mean(means.cross(o, j), cross, kRows);
      }
    }
    for (Index o = 0; o < kOutputs; ++o) {
      Sum mean;
      for (Index n = 0; n < kRows; ++n) mean.add(kY(n, o));
      expect_mean(means.answers[static_cast<std::size_t>(o)], mean, kRows);
      for (Index i = 0; i < kOutputs; ++i) {
        Sum square;
        for (Index n = 0; n < kRows; ++n) square.add(kY(n, o) * kY(n, i));
        expect_mean(means.answer_squares(o, i), square, kRows);
      }
    }
  });
}

TEST_P(SampleMomentsTest, ClippedAnswersCountAsTheirBounds) {
  const HostMatrix bounds = {{-0.5, -0.2}, {0.4, 0.3}};
  const DeviceMatrix there = upload(device(), bounds);
  however_kept([&](Examples& examples) {
    const SampleMeans means = sample_means(device(), examples, there);
    for (Index o = 0; o < kOutputs; ++o) {
      Sum mean;
      for (Index n = 0; n < kRows; ++n) {
        mean.add(std::clamp(kY(n, o), bounds(0, o), bounds(1, o)));
      }
      expect_mean(means.answers[static_cast<std::size_t>(o)], mean, kRows);
    }
  });
}

TEST_P(SampleMomentsTest, LabelMomentsAreThoseOfPlainLoopsTurnedOrNot) {
  for (const bool turned : {false, true}) {
    SampleView view = of_both_answers();
    if (turned) view.turn = normals(3, kInputs, 5);
    view.rows = 40;
    const Index d = turned ? 3 : kInputs;
    const auto z = [&](Index n, Index j) { return seen(view, n, j); };
    however_kept([&](Examples& examples) {
      const LabelMoments moments = label_moments(device(), examples, view);
      for (Index s = 0; s < 2; ++s) {
        Sum zeroth;
        for (Index n = 0; n < 40; ++n) zeroth.add(kY(n, s));
        expect_mean(moments.zeroth[static_cast<std::size_t>(s)], zeroth, 40);
        const HostMatrix hermite = moments.hermite(s);
        for (Index i = 0; i < d; ++i) {
          Sum first;
          for (Index n = 0; n < 40; ++n) first.add(kY(n, s) * z(n, i));
          expect_mean(moments.first(s, i), first, 40);
          for (Index j = 0; j < d; ++j) {
            Sum second;
            for (Index n = 0; n < 40; ++n) {
              second.add(kY(n, s) * z(n, i) * z(n, j));
              if (i == j) second.add(-kY(n, s));
            }
            expect_mean(hermite(i, j), second, 40);
            EXPECT_EQ(hermite(i, j), hermite(j, i));
          }
        }
      }
    });
  }
}

TEST_P(SampleMomentsTest, FourthProductsAreThoseOfPlainLoopsTurnedOrNot) {
  for (const bool turned : {false, true}) {
    SampleView view = of_both_answers();
    if (turned) view.turn = normals(3, kInputs, 5);
    view.rows = 40;
    const Index q = turned ? 3 : kInputs;
    const auto z = [&](Index n, Index j) { return seen(view, n, j); };
    however_kept([&](Examples& examples) {
      const HostMatrix products = fourth_products(device(), examples, view);
      ASSERT_EQ(products.rows(), 2 * q * q);
      ASSERT_EQ(products.cols(), q * q);
      for (Index row = 0; row < products.rows(); ++row) {
        for (Index col = 0; col < products.cols(); ++col) {
          Sum sum;
          for (Index n = 0; n < 40; ++n) {
            sum.add(kY(n, row / (q * q)) * z(n, row / q % q) * z(n, row % q) * z(n, col / q) *
                    z(n, col % q));
          }
          expect_mean(products(row, col), sum, 40);
        }
      }
    });
  }
}

TEST_P(SampleMomentsTest, ShiftedRowsComeLaterAndTheLastOnesFirst) {
  const HostMatrix rows = {{1, 10}, {2, 20}, {3, 30}};
  const auto shifted = [&](Index by) {
    DeviceMatrix there = upload(device(), rows);
    shift_rows(device(), by, there);
    return download(device(), there);
  };
  EXPECT_TRUE(same_bits(shifted(1), {{3, 30}, {1, 10}, {2, 20}}));
  EXPECT_TRUE(same_bits(shifted(2), {{2, 20}, {3, 30}, {1, 10}}));
  EXPECT_TRUE(same_bits(shifted(3), shifted(1)));  // by none would leave every label at its input
  EXPECT_TRUE(same_bits(shifted(5), shifted(2)));
}

/// F = sum_i lambda_i relu(<u_i, x>), unit u_i.
ReluNetwork without_biases() {
  ReluNetwork network = planted_network(kInputs, 3, 1, 8);
  for (Index i = 0; i < 3; ++i) {
    const double length = std::sqrt(dot(network.weights.row(i), network.weights.row(i), kInputs));
    for (Index j = 0; j < kInputs; ++j) network.weights(i, j) /= length;
    network.bias(i, 0) = 0;
  }
  network.linear = HostMatrix(1, kInputs);
  network.constant = HostMatrix(1, 1);
  return network;
}

/// E relu(z) He_l(z): 1 / sqrt(2 pi) (-1)^((l - 2) / 2) (l - 3)!! for even l >= 2.
double relu_coefficient(Index order) {
  double value = 1 / std::sqrt(2 * std::numbers::pi);
  for (Index q = 3; q < order - 2; q += 2) value *= static_cast<double>(q);
  return order % 4 == 2 ? value : -value;
}

// 12 independent estimates: their mean is within 7 of its standard errors of the expectation in
// every entry (seeds are fixed; a t variable of 11 degrees is beyond that once in 40,000 times).
TEST_P(SampleMomentsTest, ContractionsEstimateTheHermiteMomentsOfReluNetworks) {
  constexpr int kBatches = 12;
  const ReluNetwork network = without_biases();
  const HostMatrix directions = {{1, 0, 0, 0}, {0.5, -0.5, 0.5, 0.5}};
  for (const Index order : {2, 3, 4, 6}) {
    HostMatrix sum(2 * kInputs, kInputs), square(2 * kInputs, kInputs);
    for (int batch = 0; batch < kBatches; ++batch) {
      const auto source =
          make_planted_samples(network, Seed{static_cast<std::uint64_t>(batch)}, std::nullopt);
      Examples::Plan plan;
      plan.rows = 20000;
      Examples examples(device(), *source, plan);
      SampleView view;
      view.label = [&](ConstDeviceView, ConstDeviceView y, DeviceView out) {
        copy(device(), y, out);
      };
      const HostMatrix found = hermite_contractions(device(), examples, view, order, directions);
      for (Index i = 0; i < found.size(); ++i) {
        sum.data()[i] += found.data()[i] / kBatches;
        square.data()[i] += found.data()[i] * found.data()[i] / kBatches;
      }
    }
    for (Index r = 0; r < 2; ++r) {
      for (Index i = 0; i < kInputs; ++i) {
        for (Index j = 0; j < kInputs; ++j) {
          double expected = 0;
          for (Index k = 0; order % 2 == 0 && k < 3; ++k) {
            const double* u = network.weights.row(k);
            expected +=
                relu_coefficient(order) * network.output(0, k) *
                std::pow(dot(u, directions.row(r), kInputs), static_cast<double>(order - 2)) *
                u[i] * u[j];
          }
          const double mean = sum(r * kInputs + i, j);
          const double variance = square(r * kInputs + i, j) - mean * mean;
          EXPECT_NEAR(mean, expected, 7 * std::sqrt(variance / (kBatches - 1))) << "l=" << order;
        }
      }
    }
  }
}

TEST_P(SampleMomentsTest, ContractionsOfSeveralLabelsAreThoseOfEach) {
  const HostMatrix directions = {{1, 0, 0, 0}, {0.5, -0.5, 0.5, 0.5}, {0, 0, 0, 1}};
  const Index block = directions.rows() * kInputs;
  SampleView view;
  view.labels = 2;
  view.label = [&](ConstDeviceView, ConstDeviceView y, DeviceView out) { copy(device(), y, out); };
  however_kept([&](Examples& examples) {
    for (const Index order : {2, 3, 4, 5}) {
      const HostMatrix both = hermite_contractions(device(), examples, view, order, directions);
      ASSERT_EQ(both.rows(), 2 * block);
      for (Index l = 0; l < 2; ++l) {
        SampleView one = view;
        one.labels = 1;
        one.label = [&](ConstDeviceView, ConstDeviceView y, DeviceView out) {
          copy(device(), y.col_block(l, 1), out);
        };
        const HostMatrix alone = hermite_contractions(device(), examples, one, order, directions);
        const HostMatrix of_both(both.view().row_block(l * block, block));
        // Sums of 50 terms of size about |z|^order, in another order.
        EXPECT_LT(distance(of_both, alone), 1e-13 * (1 + norm(alone)));
      }
    }
  });
}

TEST_P(SampleMomentsTest, WhatDoesNotFitIsRefused) {
  however_kept([&](Examples& examples) {
    SampleView view;
    EXPECT_THROW(label_moments(device(), examples, view), BadInput);
    view.label = [](ConstDeviceView, ConstDeviceView, DeviceView) {};
    EXPECT_THROW(hermite_contractions(device(), examples, view, 1, {{1, 0, 0, 0}}), BadInput);
    EXPECT_THROW(hermite_contractions(device(), examples, view, 4, {{1, 1, 0, 0}}), BadInput);
    EXPECT_THROW(hermite_contractions(device(), examples, view, 4, {{1, 0, 0}}), BadInput);
    view.turn = HostMatrix(2, 3);
    EXPECT_THROW(label_moments(device(), examples, view), BadInput);
  });
}

}  // namespace
}  // namespace crease
