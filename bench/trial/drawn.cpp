// Families, shapes, promises and kinds of answers, drawn at random.
#include "bench/trial/drawn.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

namespace crease::trial {
namespace {

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers everywhere, unlike the distributions of
/// the standard library.
class Chance {
 public:
  explicit Chance(std::uint64_t run) : state_(run * 0xd1342543de82ef95u + 0x2545f4914f6cdd1du) {}

  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(next() >> 11) * 0x1p-53;
  }
  double log_uniform(double low, double high) {
    return std::exp(uniform(std::log(low), std::log(high)));
  }
  Index whole(Index low, Index high) {
    return std::min(high,
                    low + static_cast<Index>(uniform(0, static_cast<double>(high - low + 1))));
  }
  /// Small numbers as often as large ones.
  Index log_whole(Index low, Index high) {
    return std::min(high, static_cast<Index>(log_uniform(static_cast<double>(low),
                                                         static_cast<double>(high) + 1)));
  }
  bool with(double probability) { return uniform(0, 1) < probability; }

 private:
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
};

struct Share {
  const char* name;
  double share;
};

template <std::size_t n>
const char* choose(Chance& chance, const Share (&among)[n]) {
  double left = chance.uniform(0, 1);
  for (const Share& each : among) {
    left -= each.share;
    if (left < 0) return each.name;
  }
  return among[n - 1].name;
}

constexpr Share kFamilies[] = {
    {"gaussian", 0.24}, {"bump", 0.12}, {"clusters", 0.1}, {"cancelling", 0.1}, {"parallel", 0.1},
    {"rare", 0.1},      {"dead", 0.06}, {"affine", 0.03},  {"constant", 0.03},  {"mix", 0.12}};

constexpr Share kAnswers[] = {
    {"float64", 0.5}, {"float32", 0.13},       {"float16", 0.05},          {"round", 0.12},
    {"noise", 0.12},  {"probabilities", 0.04}, {"log-probabilities", 0.04}};

/// The fewest neurons that a family can be made of.
Index least_neurons(const FamilyPlan& plan) {
  const auto is = [&](const char* name) { return plan.family == name; };
  if (is("bump")) return 3;
  if (is("clusters")) return plan.size;
  if (is("parallel")) return plan.biases;
  if (is("rare")) return 1;
  if (is("cancelling") || is("dead")) return 2;
  if (is("mix")) return 3 + 6 * std::max({Index{2}, plan.size, plan.biases});
  return 0;
}

FamilyPlan draw_family(Chance& chance) {
  FamilyPlan plan;
  plan.family = choose(chance, kFamilies);
  plan.inputs = chance.with(0.04) ? chance.whole(41, 120) : chance.log_whole(1, 40);
  plan.outputs = chance.with(0.55) ? 1 : chance.whole(2, 10);
  plan.spread = chance.with(0.7) ? 0.5 : chance.log_uniform(0.05, 3);
  plan.width = chance.log_uniform(1e-3, 0.3);
  plan.offset = chance.uniform(-1.2, 1.2);
  plan.gap = chance.log_uniform(1e-6, 0.1);
  plan.size = chance.whole(2, 4);
  plan.biases = chance.whole(2, 6);
  plan.distance = chance.uniform(2, 6);
  const Index least = least_neurons(plan);
  const bool alone = plan.family == "bump" && chance.with(0.4);
  const Index more = chance.with(0.05) ? 0 : chance.log_whole(1, 64);
  plan.neurons = alone ? least : std::max(least, plan.family == "bump" ? least + more : more);
  return plan;
}

/// An accuracy that such answers can be asked for, half of the time; and sizes for which a run
/// takes seconds.
void make_imperfect(Chance& chance, Seed seed, Drawn& drawn) {
  constexpr Index kInputs = 16;
  constexpr Index kNeurons = 24;
  FamilyPlan& family = drawn.family;
  family.inputs = std::min(family.inputs, kInputs);
  family.neurons = std::min(family.neurons, std::max(kNeurons, least_neurons(family)));
  drawn.softmax = drawn.answers.ends_with("probabilities");
  if (drawn.softmax) family.outputs = std::max(family.outputs, Index{2});
  drawn.network = make_family(family, seed);
  Imperfection& answers = drawn.imperfection;
  const auto is = [&](const char* kind) { return drawn.answers == kind; };
  if (is("float32")) answers.kind = Imperfection::Kind::float32;
  if (is("float16")) answers.kind = Imperfection::Kind::float16;
  if (is("round")) {
    answers.kind = Imperfection::Kind::decimals;
    answers.decimals = static_cast<int>(chance.whole(3, 9));
    drawn.answers += ":" + std::to_string(answers.decimals);
  }
  if (is("noise")) {
    answers.kind = Imperfection::Kind::noise;
    answers.deviation = chance.log_uniform(1e-8, 1e-2);
  }
  if (chance.with(0.5)) drawn.problem.accuracy = chance.log_uniform(1e-7, 0.1);
}

double one_of(Chance& chance, double usual, double share, const double (&others)[2]) {
  const double other = others[chance.with(0.5) ? 0 : 1];
  return chance.with(share) ? usual : other;
}

}  // namespace

Drawn draw(std::uint64_t run, bool exact) {
  Chance chance(run);
  Drawn drawn;
  drawn.family = draw_family(chance);
  drawn.network = make_family(drawn.family, Seed{run});
  drawn.problem.accuracy = one_of(chance, 1e-8, 0.7, {1e-6, 1e-10});
  // Large failure probabilities too: only there is a broken promise soon seen.
  drawn.problem.failure = one_of(chance, 0.01, 0.8, {0.05, 0.2});
  drawn.plan.certificate_points = static_cast<Index>(one_of(chance, 2048, 0.8, {512, 8192}));
  const bool promised = chance.with(0.7);
  if (drawn.family.family == "bump" && promised) drawn.plan.resolution = drawn.family.width;
  const std::string answers = choose(chance, kAnswers);
  drawn.answers = exact ? "float64" : answers;
  if (drawn.answers != "float64") make_imperfect(chance, Seed{run}, drawn);
  return drawn;
}

Rounding rounding_of(const Drawn& drawn) {
  using Kind = Imperfection::Kind;
  const double outputs = std::sqrt(static_cast<double>(drawn.network.outputs()));
  switch (drawn.imperfection.kind) {
    case Kind::float64:
      return {0, 0x1p-53};
    case Kind::float32:
      return {0, 0x1p-24};
    case Kind::float16:
      return {outputs * 0x1p-25, 0x1p-11};  // subnormal below 2^-14
    case Kind::decimals:
      return {outputs * 0.5 * std::pow(10.0, -drawn.imperfection.decimals), 0x1p-53};
    case Kind::noise:
      return {0, 0x1p-53};
  }
  throw BadInput("rounding_of: no such kind");
}

std::unique_ptr<Oracle> open_oracle(const Drawn& drawn, Seed seed) {
  auto oracle = make_network_oracle(drawn.network);
  if (drawn.softmax) {
    LogOddsOptions told;
    told.logarithms = drawn.answers == "log-probabilities";
    return make_log_odds_oracle(make_softmax_oracle(std::move(oracle), *told.logarithms), told);
  }
  if (drawn.imperfection.kind == Imperfection::Kind::float64) return oracle;
  Imperfection imperfection = drawn.imperfection;
  imperfection.seed = seed;
  return make_imperfect_oracle(std::move(oracle), imperfection);
}

}  // namespace crease::trial
