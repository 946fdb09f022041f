// Broken lines for tests of the line search: planted, answered, and found again.
#pragma once

#include <random>
#include <utility>

#include "src/stages/line_search.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {

/// Answers of size up to a few rho are rounded once, and the sums of a fit round a few times more.
inline constexpr double kRounded = 16 * kRounding;

/// Answers a planted line with noise that is known, and writes down what was asked.
struct AnsweringLine {
  explicit AnsweringLine(BrokenLine planted = {}, double noise_unit = kRounded, double scale = 1)
      : f(std::move(planted)), unit(noise_unit), c(scale) {}

  BrokenLine f;
  double unit;  // sigma = unit * hypot(c, t) * unit of the output
  double c;
  std::vector<double> output_unit;  // [p]; empty: 1
  double blur = 0;                  // noise that is really there, in units of sigma

  std::vector<std::vector<double>> rounds;
  Index points = 0;
  std::mt19937_64 engine{5};

  AskLine ask() {
    return [this](const std::vector<double>& t) {
      rounds.push_back(t);
      points += static_cast<Index>(t.size());
      LineAnswers answers;
      for (const double where : t) {
        for (std::size_t o = 0; o < f.outputs(); ++o) {
          const double sigma =
              unit * std::hypot(c, where) * (output_unit.empty() ? 1 : output_unit[o]);
          const double draw = static_cast<double>(engine() >> 11) * 0x1p-52 - 1;  // [-1, 1)
          answers.values.push_back(f.at(where, o) + blur * sigma * draw);
          answers.sigmas.push_back(sigma);
        }
      }
      return answers;
    };
  }
};

LineResult search(AnsweringLine& answering, const LineSearchInput& input,
                  const QueryPlan& plan = {}, std::uint64_t seed = 1);
LineResult search(AnsweringLine& answering, Index cells = 64, std::uint64_t seed = 1);

/// Kinks drawn from a Cauchy distribution of scale c, no two of them closer than `apart` in angle,
/// jumps of random sign (or all on the same side) in every output.
BrokenLine crowd(std::size_t kinks, std::size_t p, double c, std::uint64_t seed,
                 double apart = 1e-6);

/// One output with these jumps, slope .3 before them.
BrokenLine kinks_at(std::vector<double> t, const std::vector<double>& jumps);

/// Every planted kink was found, and nothing else. Where it is found: the fitted lines â and b̂
/// cross at x with sum_o s_o (â - b̂)_o(x) / scale_o^2 = 0, s the found jump; the true lines differ
/// by J (x - t). So |x - t| = |sum s_o delta_o / scale_o^2| / |sum s_o J_o / scale_o^2| with
/// |delta_o| at most kOff standard deviations of the two lines at x.
void expect_found(const LineResult& got, const BrokenLine& f, bool exact = true);

}  // namespace crease
