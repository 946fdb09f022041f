// Softmax, and log-odds of probabilities.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/odds.hpp"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kU = 0x1p-53;
const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();
const OddsFormat kFloat64{false, 0, kU, 2.3e-308};
const OddsFormat kLogs{true, 0, kU, 2.3e-308};

class OddsTest : public EveryBackend {
 protected:
  HostMatrix softmax_of(const HostMatrix& logits, bool logarithms) {
    Padded y(device(), logits);
    softmax(device(), logarithms, y);
    return y.read();
  }

  /// [n, 2 p] from the numbers [n, p]; what stands in the second half is not read.
  HostMatrix odds_of(const HostMatrix& numbers, const OddsFormat& format) {
    const Index p = numbers.cols();
    HostMatrix both(numbers.rows(), 2 * p, kNan);
    for (Index i = 0; i < numbers.rows(); ++i) {
      for (Index o = 0; o < p; ++o) both(i, o) = numbers(i, o);
    }
    Padded y(device(), both);
    log_odds(device(), format, y);
    return y.read();
  }
};
CREASE_ON_EVERY_BACKEND(OddsTest);

/// The formulas of the contract in extended precision.
HostMatrix softmax_in_words(const HostMatrix& logits, bool logarithms) {
  HostMatrix y = logits;
  for (Index i = 0; i < y.rows(); ++i) {
    long double largest = logits(i, 0);
    for (Index o = 0; o < y.cols(); ++o) {
      largest = std::max(largest, static_cast<long double>(logits(i, o)));
    }
    long double sum = 0;
    for (Index o = 0; o < y.cols(); ++o) sum += std::exp(logits(i, o) - largest);
    for (Index o = 0; o < y.cols(); ++o) {
      const long double below = logits(i, o) - largest;
      y(i, o) = static_cast<double>(logarithms ? below - std::log(sum) : std::exp(below) / sum);
    }
  }
  return y;
}

HostMatrix odds_in_words(const HostMatrix& numbers, const OddsFormat& f) {
  const Index p = numbers.cols();
  HostMatrix y(numbers.rows(), 2 * p);
  for (Index i = 0; i < numbers.rows(); ++i) {
    std::vector<long double> logs, errors;
    long double mean = 0;
    long double square = 0;
    for (Index o = 0; o < p; ++o) {
      const long double v = numbers(i, o);
      const long double log = f.logarithms ? v : std::log(v);
      const long double relative = f.logarithms ? f.half_unit : f.half_unit / v;
      const long double u = f.rounding;
      errors.push_back(f.logarithms
                           ? std::sqrt(relative * relative + u * u) + u * std::abs(log)
                           : std::sqrt(relative * relative + 4 * u * u) + kU * std::abs(log));
      logs.push_back(log);
      mean += log / p;
      square += errors.back() * errors.back() / p;
    }
    for (Index o = 0; o < p; ++o) {
      const auto oo = static_cast<std::size_t>(o);
      y(i, o) = static_cast<double>(logs[oo] - mean);
      y(i, p + o) = static_cast<double>(std::sqrt(errors[oo] * errors[oo] + square / p));
    }
  }
  return y;
}

/// By the last word of the contract; `largest` is max |log p_o| of each row.
void expect_near_odds(const HostMatrix& got, const HostMatrix& expected, double largest) {
  ASSERT_EQ(got.rows(), expected.rows());
  const Index p = got.cols() / 2;
  const double roundings = static_cast<double>(p + 2) * kEps;
  for (Index i = 0; i < got.rows(); ++i) {
    for (Index o = 0; o < p; ++o) {
      EXPECT_TRUE(at_most(std::abs(got(i, o) - expected(i, o)), 8 * roundings * largest)) << i;
      EXPECT_TRUE(at_most(std::abs(got(i, p + o) - expected(i, p + o)),
                          16 * roundings * expected(i, p + o)))
          << i;
    }
  }
}

TEST_P(OddsTest, SoftmaxOfValuesWorkedByHand) {
  // exp(0), exp(log 3) over 4.
  const HostMatrix logits = {{0, std::log(3.0)}, {-800, 0}, {1000, 1000}};
  const HostMatrix got = softmax_of(logits, false);
  EXPECT_TRUE(at_most(std::abs(got(0, 0) - 0.25), 32 * kEps));
  EXPECT_TRUE(at_most(std::abs(got(0, 1) - 0.75), 32 * kEps));
  EXPECT_EQ(got(1, 0), 0);
  EXPECT_EQ(got(1, 1), 1);
  EXPECT_EQ(got(2, 0), 0.5);
  const HostMatrix logs = softmax_of(logits, true);
  EXPECT_EQ(logs(1, 0), -800);
  EXPECT_EQ(logs(1, 1), 0);
  EXPECT_TRUE(at_most(std::abs(logs(2, 0) + std::log(2.0)), 32 * kEps));
}

TEST_P(OddsTest, LogOddsOfValuesWorkedByHand) {
  // log p = -log 2 twice: z = 0, e = 2 u + u log 2, sigma = e sqrt(3 / 2).
  const HostMatrix even = odds_of({{0.5, 0.5}}, kFloat64);
  EXPECT_EQ(even(0, 0), 0);
  EXPECT_EQ(even(0, 1), 0);
  const double e = kU * (2 + std::log(2.0));
  EXPECT_TRUE(at_most(std::abs(even(0, 2) - e * std::sqrt(1.5)), 64 * kEps * e));
  EXPECT_EQ(even(0, 2), even(0, 3));
  // Three decimals: q = 5e-4, e = (q / .2, q / .8) up to u; the mean carries
  // (e_0^2 + e_1^2) / 2 / 2.
  const OddsFormat decimals{false, 5e-4, kU, 1e-2};
  const HostMatrix coarse = odds_of({{0.2, 0.8}}, decimals);
  const double mean_square = (25e-4 * 25e-4 + 6.25e-4 * 6.25e-4) / 4;
  // u log 5 beside 2.5e-3
  EXPECT_TRUE(at_most(std::abs(coarse(0, 2) - std::sqrt(25e-4 * 25e-4 + mean_square)), 4 * kEps));
  EXPECT_TRUE(
      at_most(std::abs(coarse(0, 3) - std::sqrt(6.25e-4 * 6.25e-4 + mean_square)), 4 * kEps));
  EXPECT_TRUE(at_most(std::abs(coarse(0, 1) - std::log(4.0) / 2), 64 * kEps));
  // Of logarithms: e = u (1 + |log p|), here 2 u and u (1 - log(1 - 1/e)).
  const double log_rest = std::log1p(-std::exp(-1.0));
  const HostMatrix logs = odds_of({{-1, log_rest}}, kLogs);
  const double e1 = kU * (1 - log_rest);
  const double shared = (4 * kU * kU + e1 * e1) / 4;
  EXPECT_TRUE(at_most(std::abs(logs(0, 2) - std::sqrt(4 * kU * kU + shared)), 64 * kEps * kU));
  EXPECT_TRUE(at_most(std::abs(logs(0, 3) - std::sqrt(e1 * e1 + shared)), 64 * kEps * kU));
}

TEST_P(OddsTest, BothFollowTheirFormulasAtEverySize) {
  for (const Index p : {2, 3, 10, 33, 257}) {
    for (const Index n : {1, 31, 64}) {
      HostMatrix logits = with_zeros_and_ties(distinct(n, p));
      for (Index i = 0; i < logits.size(); ++i) logits.data()[i] *= 40;
      const double bound = 8 * static_cast<double>(p + 2) * kEps;
      for (const bool logarithms : {false, true}) {
        const HostMatrix expected = softmax_in_words(logits, logarithms);
        const HostMatrix got = softmax_of(logits, logarithms);
        double largest = 0;
        for (Index i = 0; i < got.size(); ++i) {
          largest = std::max(largest, std::abs(expected.data()[i]));
        }
        for (Index i = 0; i < got.size(); ++i) {
          EXPECT_TRUE(at_most(std::abs(got.data()[i] - expected.data()[i]), bound * largest));
        }
        const OddsFormat format = logarithms ? kLogs : kFloat64;
        // log p is at least -80 - log(257).
        expect_near_odds(odds_of(expected, format), odds_in_words(expected, format), 86);
      }
    }
  }
}

TEST_P(OddsTest, ARowWithAProbabilityThatIsTooSmallSaysNothing) {
  const OddsFormat decimals{false, 5e-4, kU, 1e-2};
  const HostMatrix got =
      odds_of({{0, 1, 0}, {0.01, 0.5, 0.49}, {0.011, 0.5, 0.489}, {1, 0, 0}}, decimals);
  for (Index j = 0; j < 3; ++j) {
    for (const Index silent : {0, 1, 3}) {
      EXPECT_EQ(got(silent, j), 0);
      EXPECT_EQ(got(silent, 3 + j), kInfinity);
    }
    EXPECT_TRUE(std::isfinite(got(2, 3 + j)));
  }
  const HostMatrix tiny = odds_of({{2.3e-308, 1}, {2.4e-308, 1}}, kFloat64);
  EXPECT_EQ(tiny(0, 2), kInfinity);
  EXPECT_TRUE(std::isfinite(tiny(1, 2)));
  const HostMatrix logs = odds_of({{-kInfinity, 0}, {-1e5, 0}}, kLogs);
  EXPECT_EQ(logs(0, 0), 0);
  EXPECT_EQ(logs(0, 3), kInfinity);
  EXPECT_EQ(logs(1, 0), -5e4);
  EXPECT_TRUE(std::isfinite(logs(1, 3)));
}

TEST_P(OddsTest, WhatIsNoRowOfProbabilitiesIsNamed) {
  const auto expect_wrong = [&](const HostMatrix& row, const OddsFormat& format, double code,
                                double value) {
    const HostMatrix got = odds_of(row, format);
    EXPECT_TRUE(std::isnan(got(0, 0)) && std::isnan(got(0, 1)));
    EXPECT_EQ(got(0, 2), code);
    EXPECT_TRUE(std::isnan(value)   ? std::isnan(got(0, 3))
                : std::isinf(value) ? got(0, 3) == value
                                    : at_most(std::abs(got(0, 3) - value), 8 * kEps));
  };
  expect_wrong({{-0.3, 1.3}}, kFloat64, kNumberIsWrong, -0.3);
  expect_wrong({{0.5, kNan}}, kFloat64, kNumberIsWrong, kNan);
  expect_wrong({{kInfinity, 0}}, kFloat64, kNumberIsWrong, kInfinity);
  expect_wrong({{0.5, 0.502}}, kFloat64, kSumIsWrong, 1.002);
  expect_wrong({{0, 0}}, kFloat64, kSumIsWrong, 0);
  expect_wrong({{-1, 0.7}}, kLogs, kNumberIsWrong, 0.7);
  expect_wrong({{kNan, 0}}, kLogs, kNumberIsWrong, kNan);
  expect_wrong({{0, 0}}, kLogs, kSumIsWrong, 2);
  // Off by no more than the slack: 1e-3, and q for every number.
  EXPECT_FALSE(std::isnan(odds_of({{0.5, 0.5009}}, kFloat64)(0, 0)));
  EXPECT_FALSE(std::isnan(odds_of({{0.33, 0.33}}, {false, 0.5, kU, 1e-3})(0, 0)));
}

TEST_P(OddsTest, LogitsThatAreNoNumbersAreNoProbabilities) {
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    const HostMatrix got = softmax_of({{1, bad, 2}, {0, 0, 0}}, false);
    for (Index o = 0; o < 3; ++o) EXPECT_TRUE(std::isnan(got(0, o)));
    EXPECT_TRUE(at_most(std::abs(got(1, 0) - 1.0 / 3), 4 * kEps));
  }
}

TEST_P(OddsTest, NothingIsFineAndWrongShapesAreRefused) {
  DeviceMatrix none(device(), 0, 4);
  softmax(device(), false, none);
  log_odds(device(), kFloat64, none);
  DeviceMatrix odd(device(), 2, 5);
  EXPECT_THROW(log_odds(device(), kFloat64, odd), BadInput);
  DeviceMatrix alone(device(), 2, 2);
  EXPECT_THROW(log_odds(device(), kFloat64, alone), BadInput);
  DeviceMatrix good(device(), 2, 4);
  EXPECT_THROW(log_odds(device(), {false, -1, kU, 0}, good), BadInput);
  EXPECT_THROW(log_odds(device(), {false, 0, kNan, 0}, good), BadInput);
  EXPECT_THROW(log_odds(device(), {false, 0, kU, kInfinity}, good), BadInput);
}

}  // namespace
}  // namespace crease
