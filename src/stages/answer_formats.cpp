// What numbers all answers are: decimals, halves, singles, or any.
#include "src/stages/answer_formats.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace crease {
namespace {

constexpr std::size_t kDistinct = 12;  // answers that must differ before their format is believed
// A number drawn at random has a chance of 2e-6 to look like one of 10 decimals, the most common of
// these formats: so few say enough, if they are not what F is where it is constant.
constexpr std::size_t kFewDistinct = 2;
constexpr int kHalfDigits = 11;  // of the significand of IEEE 754 binary16 ...
constexpr int kHalfLeast = -13;  // ... and the exponent, as of frexp, of its least normal number
constexpr int kSingleDigits = 24;
constexpr int kSingleLeast = -125;

/// Distance of the numbers of a binary format near y.
double spacing(double y, int digits, int least) {
  int exponent = 0;
  std::frexp(y, &exponent);
  return std::ldexp(1.0, std::max(exponent, least) - digits);
}

/// Zero queries: what all answers are multiples of. Few distinct values look like anything, so they
/// say nothing.
AnswerFormat find_format(const HostMatrix& answers, std::size_t least = kDistinct) {
  std::set<double> distinct;
  for (Index i = 0; i < answers.size(); ++i) {
    if (answers.data()[i] != 0.0) distinct.insert(answers.data()[i]);
  }
  if (distinct.size() < least) return {"float64"};
  const auto all_multiples = [&](int digits, int lowest) {
    return std::all_of(distinct.begin(), distinct.end(), [&](double y) {
      const double multiple = y / spacing(y, digits, lowest);
      return multiple == std::round(multiple);
    });
  };
  const bool half = all_multiples(kHalfDigits, kHalfLeast);
  double largest = 0;
  for (const double y : distinct) largest = std::max(largest, std::abs(y));
  // Powers of two are decimals as well: of the two the coarser.
  const double half_step = half ? spacing(largest, kHalfDigits, kHalfLeast) : 0;
  double unit = 1.0;
  for (int digits = 0; digits <= 10; ++digits, unit *= 10.0) {
    std::set<double> integers;  // answers far below the unit are all 0: they say nothing either
    const bool integral = std::all_of(distinct.begin(), distinct.end(), [&](double y) {
      const double scaled = y * unit;
      integers.insert(std::round(scaled));
      return std::abs(scaled) < 0x1p40 &&
             std::abs(scaled - std::round(scaled)) <= 1e-5 + 4 * kRounding * std::abs(scaled);
    });
    if (integral && integers.size() >= least && !(half_step > 1.0 / unit))
      return {"decimal", 1.0 / unit};
  }
  if (half) return {"float16", 0, 0x1p-11};
  const bool single = std::all_of(distinct.begin(), distinct.end(), [](double y) {
    return static_cast<double>(static_cast<float>(y)) == y;
  });
  if (single) return {"float32", 0, 0x1p-24};
  return {"float64"};
}

/// The answers that are not the most frequent one of their output: [n, 1].
HostMatrix rare_answers(const HostMatrix& answers) {
  HostMatrix rare(0, 1);
  for (Index o = 0; o < answers.cols(); ++o) {
    std::map<double, Index> counts;
    for (Index i = 0; i < answers.rows(); ++i) ++counts[answers(i, o)];
    const auto usual = std::max_element(counts.begin(), counts.end(),
                                        [](auto& a, auto& b) { return a.second < b.second; });
    for (const auto& each : counts) {
      if (&each != &*usual) rare.append_row(&each.first, 1);
    }
  }
  return rare;
}

HostMatrix column_of(const HostMatrix& answers, Index output) {
  HostMatrix column(answers.rows(), 1);
  for (Index i = 0; i < answers.rows(); ++i) column(i, 0) = answers(i, output);
  return column;
}

std::size_t distinct_answers(const HostMatrix& answers) {
  const std::set<double> distinct(answers.data(), answers.data() + answers.size());
  return distinct.size() - distinct.count(0.0);
}

}  // namespace

std::vector<AnswerFormat> find_formats(const HostMatrix& answers) {
  const AnswerFormat together = find_format(answers);
  std::vector<AnswerFormat> formats;
  for (Index o = 0; o < answers.cols(); ++o) {
    const HostMatrix column = column_of(answers, o);
    formats.push_back(distinct_answers(column) < kDistinct ? together : find_format(column));
  }
  return formats;
}

std::string coarsest(const std::vector<std::string>& names) {
  for (const char* name : {"noise", "float16", "decimal", "float32"}) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return name;
  }
  return "float64";
}

AnswerFormat rare_format(const HostMatrix& answers, Index output) {
  return find_format(rare_answers(column_of(answers, output)), kFewDistinct);
}

double rounding_rms(const std::vector<double>& answers, const std::string& format) {
  double square = 0;
  for (const double value : answers) {
    const double step = format == "float16" ? spacing(value, kHalfDigits, kHalfLeast)
                                            : spacing(value, kSingleDigits, kSingleLeast);
    square += step * step / static_cast<double>(answers.size());
  }
  return kUniformDeviation * std::sqrt(square);
}

bool are_rounded(const HostMatrix& answers) {
  return find_format(rare_answers(answers), kFewDistinct).name != "float64";
}

}  // namespace crease
