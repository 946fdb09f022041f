// The logits behind a softmax: formats found or told, and answers that are no probabilities.
#include <crease/oracle.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

using Kind = Imperfection::Kind;
constexpr double kEps = std::numeric_limits<double>::epsilon();
const double kInfinity = std::numeric_limits<double>::infinity();

Imperfection format_of(Kind kind, int decimals = 0) {
  Imperfection format;
  format.kind = kind;
  format.decimals = decimals;
  return format;
}

/// A planted network of logits behind a softmax, whose numbers are brought into a format.
std::unique_ptr<Oracle> box(const ReluNetwork& logits, bool logarithms, const Imperfection& format,
                            const LogOddsOptions& told = {}) {
  std::unique_ptr<Oracle> oracle = make_softmax_oracle(make_network_oracle(logits), logarithms);
  return make_log_odds_oracle(make_imperfect_oracle(std::move(oracle), format), told);
}

class LogOddsTest : public EveryBackend {
 protected:
  HostMatrix answers(Oracle& oracle, const HostMatrix& x) {
    DeviceMatrix y(device(), x.rows(), 2 * oracle.output_dim());
    oracle.answer(device(), upload(device(), x), y);
    return download(device(), y);
  }
  /// Answers the same rows, whatever was asked.
  std::unique_ptr<Oracle> saying(const HostMatrix& rows, const LogOddsOptions& told = {}) {
    return make_log_odds_oracle(make_host_oracle(2, rows.cols(),
                                                 [rows](ConstHostView x, HostView y) {
                                                   for (Index i = 0; i < x.rows; ++i) {
                                                     for (Index o = 0; o < y.cols; ++o)
                                                       y(i, o) = rows(i, o);
                                                   }
                                                 }),
                                told);
  }
  std::string message_of(const HostMatrix& rows, const LogOddsOptions& told = {}) {
    const auto oracle = saying(rows, told);
    try {
      answers(*oracle, HostMatrix(rows.rows(), 2));
    } catch (const OracleError& error) {
      return error.what();
    }
    return "accepted";
  }
};
CREASE_ON_EVERY_BACKEND(LogOddsTest);

TEST_P(LogOddsTest, TheAnswersAreTheCentredLogitsToWithinTheirStandardDeviations) {
  for (const Index p : {2, 3, 10}) {
    const ReluNetwork network = planted_network(4, 6, p, 9);
    const ReluNetwork centred = without_common_function(network);
    const HostMatrix x = normals(200, 4, 3);
    const HostMatrix expected = exact_values(centred, x);
    for (const bool logarithms : {false, true}) {
      for (const Imperfection& format :
           {format_of(Kind::float64), format_of(Kind::float32), format_of(Kind::decimals, 6)}) {
        const auto oracle = box(network, logarithms, format);
        const HostMatrix got = answers(*oracle, x);
        const bool coarse = format.kind != Kind::float64;
        for (Index i = 0; i < x.rows(); ++i) {
          double size = 0;
          for (Index o = 0; o < p; ++o) size = std::max(size, std::abs(expected(i, o)));
          for (Index o = 0; o < p; ++o) {
            const double sigma = got(i, p + o);
            if (std::isinf(sigma)) continue;
            // The logits themselves are sums of 6 + 4 terms, of a size below 60 beside them; what
            // rounding to a format does is at most the half unit that sigma stands for, which a
            // sum over the outputs enlarges to no more than sqrt(p) of it.
            const double own = 64 * kEps * (60 + size);
            EXPECT_TRUE(at_most(std::abs(got(i, o) - expected(i, o)),
                                own + (coarse ? 1.5 * std::sqrt(1.0 * p) * sigma : 4 * sigma)))
                << "p=" << p << " logs=" << logarithms << " " << oracle->answer_kind().format;
          }
        }
      }
    }
  }
}

TEST_P(LogOddsTest, TheFormatIsFoundFromTheAnswers) {
  const ReluNetwork network = planted_network(4, 6, 3, 9);
  const HostMatrix x = normals(100, 4, 3);
  const auto found = [&](bool logarithms, const Imperfection& format) {
    const auto oracle = box(network, logarithms, format);
    EXPECT_EQ(oracle->answer_kind().format, "");
    answers(*oracle, x);
    EXPECT_TRUE(oracle->answer_kind().sigmas);
    EXPECT_EQ(oracle->answer_kind().modulo, "the common function of the outputs");
    return oracle->answer_kind().format;
  };
  EXPECT_EQ(found(false, format_of(Kind::float64)), "probabilities float64");
  EXPECT_EQ(found(false, format_of(Kind::float32)), "probabilities float32");
  EXPECT_EQ(found(false, format_of(Kind::float16)), "probabilities float16");
  EXPECT_EQ(found(false, format_of(Kind::decimals, 6)), "probabilities decimal 6");
  EXPECT_EQ(found(false, format_of(Kind::decimals, 10)), "probabilities decimal 10");
  EXPECT_EQ(found(false, format_of(Kind::decimals, 12)), "probabilities float64");
  EXPECT_EQ(found(true, format_of(Kind::float64)), "log-probabilities float64");
  EXPECT_EQ(found(true, format_of(Kind::float32)), "log-probabilities float32");
  EXPECT_EQ(found(true, format_of(Kind::decimals, 4)), "log-probabilities decimal 4");
}

TEST_P(LogOddsTest, AFormatOnceExcludedStaysSoAndUntilThenTheCoarsestCounts) {
  std::vector<HostMatrix> batches = {{{1, 0}, {0, 1}},
                                     {{0.25, 0.75}, {0.5, 0.5}},
                                     {{0.1, 0.9}, {1.0 / 3, 2.0 / 3}},
                                     {{0.25, 0.75}, {1, 0}}};
  std::size_t next = 0;
  const auto oracle = make_log_odds_oracle(make_host_oracle(2, 2, [&](ConstHostView x, HostView y) {
    for (Index i = 0; i < x.rows; ++i) {
      for (Index o = 0; o < 2; ++o) y(i, o) = batches[next](i, o);
    }
    ++next;
  }));
  const HostMatrix x(2, 2);
  const HostMatrix saturated = answers(*oracle, x);  // says nothing of the format, and nothing else
  EXPECT_EQ(saturated(0, 2), kInfinity);
  EXPECT_EQ(saturated(1, 3), kInfinity);
  EXPECT_EQ(oracle->answer_kind().format, "probabilities decimal 0");
  EXPECT_TRUE(std::isfinite(answers(*oracle, x)(0, 2)));  // q = .005, and .25 > 20 q
  EXPECT_EQ(oracle->answer_kind().format, "probabilities decimal 2");
  answers(*oracle, x);
  EXPECT_EQ(oracle->answer_kind().format, "probabilities float64");
  const HostMatrix last = answers(*oracle, x);
  EXPECT_TRUE(at_most(last(0, 2), 8 * kEps));
  EXPECT_EQ(last(1, 2), kInfinity);
}

TEST_P(LogOddsTest, WhatIsToldIsNotFoundOut) {
  LogOddsOptions told;
  told.logarithms = false;
  told.format = format_of(Kind::float32);
  const auto oracle = saying({{0.25, 0.75}, {0.5, 0.5}}, told);
  EXPECT_EQ(oracle->answer_kind().format, "probabilities float32");
  const HostMatrix got = answers(*oracle, HostMatrix(2, 2));
  // e = 2^-23 and 2^-53 log 2; sigma = e sqrt(3 / 2)
  EXPECT_TRUE(at_most(std::abs(got(1, 2) - 0x1p-23 * std::sqrt(1.5)), kEps));
  told.logarithms = true;
  EXPECT_NE(message_of({{0.25, 0.75}}, told).find("log-probabilities"), std::string::npos);
}

TEST_P(LogOddsTest, LinesAndFansStayLinesAndFans) {
  const ReluNetwork network = planted_network(3, 5, 3, 2);
  const auto oracle = box(network, false, format_of(Kind::float64));
  const DeviceMatrix origin = upload(device(), normals(1, 3, 1));
  const DeviceMatrix direction = upload(device(), normals(1, 3, 2));
  const DeviceMatrix t = upload(device(), normals(9, 1, 3));
  DeviceMatrix along(device(), 9, 6);
  ASSERT_TRUE(oracle->answer_line(device(), {origin, direction}, t, along));
  DeviceMatrix x(device(), 9, 3);
  line_points(device(), {origin, direction}, t, x);
  const HostMatrix line = download(device(), along);
  const HostMatrix points = answers(*oracle, download(device(), x));
  const HostMatrix expected = exact_values(without_common_function(network), download(device(), x));
  for (Index i = 0; i < 9; ++i) {
    for (Index o = 0; o < 3; ++o) {
      // Logits of a size below 60, whichever way they are added up; and sigma's logarithms.
      const double bound = 64 * kEps * 60 + 4 * points(i, 3 + o);
      EXPECT_TRUE(at_most(std::abs(line(i, o) - expected(i, o)), bound));
      EXPECT_TRUE(at_most(std::abs(points(i, o) - expected(i, o)), bound));
    }
  }
  const DeviceMatrix steps = upload(device(), normals(1, 1, 4));
  DeviceMatrix fan(device(), 1, 6);
  EXPECT_TRUE(oracle->answer_fan(device(), {origin, direction, steps}, fan));
  const auto opaque = make_log_odds_oracle(make_softmax_oracle(
      std::make_unique<RecordingOracle>(network, RecordingOracle::Manner::opaque)));
  EXPECT_FALSE(opaque->answer_line(device(), {origin, direction}, t, along));
  EXPECT_FALSE(opaque->answer_fan(device(), {origin, direction, steps}, fan));
}

TEST_P(LogOddsTest, AnswersThatAreNoProbabilitiesAreNamed) {
  const auto expect_words = [&](const HostMatrix& rows, const std::vector<const char*>& words) {
    const std::string message = message_of(rows);
    for (const char* word : words) {
      EXPECT_NE(message.find(word), std::string::npos) << word << ": " << message;
    }
  };
  expect_words({{0.5, 0.5}, {1.3, -0.3}}, {"probabilities", "row 1 of a batch of 2", "1.3"});
  expect_words({{0.5, 0.5}, {0.5, std::nan("")}}, {"row 1", "nan"});
  expect_words({{2.5, 0.7}}, {"row 0", "2.5"});
  expect_words({{0.2, 0.3}}, {"add up to 0.5"});
  expect_words({{-3, 4}}, {"log-probabilities", "4"});  // logits, perhaps
  // exp of both; not whole numbers, which would be taken for logarithms without decimals.
  expect_words({{-3.1234567890123, -4.1}}, {"log-probabilities", "add up to 0.06057"});
}

TEST_P(LogOddsTest, WhatHasNoOddsIsRefused) {
  const auto network = [](Index p) { return make_network_oracle(planted_network(2, 3, p, 1)); };
  EXPECT_THROW(make_log_odds_oracle(nullptr), BadInput);
  EXPECT_THROW(make_log_odds_oracle(network(1)), BadInput);
  EXPECT_THROW(make_softmax_oracle(nullptr), BadInput);
  EXPECT_THROW(make_softmax_oracle(network(1)), BadInput);
  EXPECT_THROW(make_log_odds_oracle(make_log_odds_oracle(network(2))), BadInput);
  EXPECT_THROW(make_softmax_oracle(make_log_odds_oracle(network(2))), BadInput);
  LogOddsOptions told;
  told.format = format_of(Kind::noise);
  EXPECT_THROW(make_log_odds_oracle(network(2), told), BadInput);
  told.format = format_of(Kind::decimals, 23);
  EXPECT_THROW(make_log_odds_oracle(network(2), told), BadInput);
}

}  // namespace
}  // namespace crease
