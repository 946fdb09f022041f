// Broken lines for tests of the line search.
#include "tests/support/answering_line.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <utility>

#include "tests/support/near.hpp"

namespace crease {
namespace {

// What a fitted line may be off by, in its standard deviations: its two end points may lie across a
// kink by up to 10 of theirs (a run is extended so far), which moves any value of the fit by at
// most 10 sqrt(2) of its own; the rounding of all points is less than one.
constexpr double kOff = 15;

}  // namespace

LineResult search(AnsweringLine& answering, const LineSearchInput& input, const QueryPlan& plan,
                  std::uint64_t seed) {
  Random random(Seed{seed});
  return search_line(answering.ask(), static_cast<Index>(answering.f.outputs()), input, plan,
                     random);
}

LineResult search(AnsweringLine& answering, Index cells, std::uint64_t seed) {
  LineSearchInput input;
  input.scale = answering.c;
  input.cells = cells;
  return search(answering, input, {}, seed);
}

BrokenLine crowd(std::size_t kinks, std::size_t p, double c, std::uint64_t seed, double apart) {
  std::mt19937_64 engine(seed);
  const auto uniform = [&] { return static_cast<double>(engine() >> 11) * 0x1p-53; };
  std::set<double> angles;
  while (angles.size() < kinks) {
    const double angle = 1.5 * (2 * uniform() - 1);
    const auto after = angles.lower_bound(angle);
    if (after != angles.end() && *after - angle < apart) continue;
    if (after != angles.begin() && angle - *std::prev(after) < apart) continue;
    angles.insert(angle);
  }
  BrokenLine f;
  for (std::size_t o = 0; o < p; ++o) {
    f.slope.push_back(2 * uniform() - 1);
    f.value.push_back(2 * uniform() - 1);
  }
  for (const double angle : angles) {
    f.t.push_back(c * std::tan(angle));
    f.jump.emplace_back();
    for (std::size_t o = 0; o < p; ++o) {
      f.jump.back().push_back((0.5 + uniform()) * (engine() % 2 == 0 ? 1 : -1));
    }
  }
  return f;
}

BrokenLine kinks_at(std::vector<double> t, const std::vector<double>& jumps) {
  BrokenLine f{std::move(t), {}, {0.3}, {-0.2}};
  for (const double jump : jumps) f.jump.push_back({jump});
  return f;
}

void expect_found(const LineResult& got, const BrokenLine& f, bool exact) {
  ASSERT_EQ(got.kinks.size(), f.t.size());
  ASSERT_EQ(got.pieces.size(), f.t.size() + 1);
  for (std::size_t j = 0; j < f.t.size(); ++j) {
    const Kink& kink = got.kinks[j];
    const LineFit& a = got.pieces[j].fit;
    const LineFit& b = got.pieces[j + 1].fit;
    EXPECT_TRUE(kink.exact || !exact) << "kink " << j << " at " << f.t[j];
    double error = 0;
    double curvature = 0;
    for (std::size_t o = 0; o < f.outputs(); ++o) {
      const double weight = kink.jump[o] / (got.scale[o] * got.scale[o]);
      error += std::abs(weight) * kOff * std::hypot(a.sd_at(kink.t, o), b.sd_at(kink.t, o));
      curvature += weight * f.jump[j][o];
      EXPECT_TRUE(at_most(std::abs(kink.jump[o] - f.jump[j][o]),
                          kOff * std::hypot(a.slope_sd[o], b.slope_sd[o])));
    }
    EXPECT_TRUE(at_most(std::abs(kink.t - f.t[j]), error / std::abs(curvature))) << "kink " << j;
  }
  for (std::size_t m = 0; m < got.pieces.size(); ++m) {
    for (std::size_t o = 0; o < f.outputs(); ++o) {
      EXPECT_TRUE(at_most(std::abs(got.pieces[m].fit.slope[o] - f.slope_of(m, o)),
                          kOff * got.pieces[m].fit.slope_sd[o]));
    }
  }
}

}  // namespace crease
