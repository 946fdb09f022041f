// Looks at fresh points, and the hunt.
#include "src/stages/look.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

class LookTest : public EveryBackend {
 protected:
  /// Of F' = 0 in R^d, whose errors are all zero.
  Look judge_zero(const HostMatrix& x, const HostMatrix& answers, const NoiseModel& noise) {
    const Hypothesis hypothesis(x.cols(), answers.cols());
    const DeviceNetwork current(device(), hypothesis.network());
    return judge(device(), upload(device(), x), upload(device(), answers), hypothesis, current,
                 noise, {});
  }
};
CREASE_ON_EVERY_BACKEND(LookTest);

TEST_P(LookTest, ErrorsAreNormsOverTheOutputs) {
  const NoiseModel noise{{1, 1}, {0, 0}, "float64"};
  const Look look = judge_zero({{0}, {0}, {0}}, {{3, 4}, {0, 0}, {-5, 12}}, noise);
  EXPECT_EQ(look.errors, (std::vector<double>{5, 0, 13}));
  EXPECT_NEAR(look.rms, std::sqrt((25.0 + 169) / 3), 16 * kRounding);
  // means -2/3 and 16/3; variances (9 + 25)/3 - 4/9, (16 + 144)/3 - 256/9
  EXPECT_NEAR(look.spread, std::sqrt(34.0 / 3 - 4.0 / 9 + 160.0 / 3 - 256.0 / 9), 64 * kRounding);
  EXPECT_TRUE(same_bits(look.answers, {{3, 4}, {0, 0}, {-5, 12}}));
}

TEST_P(LookTest, APointIsBeyondItsLimitIfOneOutputIs) {
  // limit = 10 sigma: 10 hypot(absolute, relative rho), rho = sqrt(1 + |x|^2) = 5 at (sqrt 24, 0).
  const NoiseModel noise{{3, 0.1}, {0.8, 0}, "float64"};
  const HostMatrix x = {{std::sqrt(24.0), 0}, {std::sqrt(24.0), 0}, {0, std::sqrt(24.0)}, {0, 0}};
  const Look look = judge_zero(x, {{49.9, 0.99}, {50.1, 0}, {0, -1.02}, {-50.1, 0}}, noise);
  EXPECT_EQ(look.beyond, 3);
  // (0, 0): limit of output 0 is 10 hypot(3, .8) = 31.05
  EXPECT_NEAR(look.worst_ratio, 50.1 / (10 * std::hypot(3, 0.8)), 16 * kRounding);
  EXPECT_EQ(look.worst, (std::vector<double>{0, 0}));
}

TEST_P(LookTest, KnownErrorsOfTheHypothesisWidenTheLimit) {
  Hypothesis hypothesis(3, 1);
  hypothesis.base = {0, 0, 0};
  hypothesis.add({1, 0, 0}, -100, {1}, 0.2, 0);  // never active here; error .2 / sqrt(4)
  const DeviceNetwork current(device(), hypothesis.network());
  const NoiseModel noise{{0}, {0}, "float64"};
  const auto beyond = [&](double answer) {
    return judge(device(), upload(device(), HostMatrix(1, 3)),
                 upload(device(), HostMatrix(1, 1, answer)), hypothesis, current, noise, {})
        .beyond;
  };
  EXPECT_EQ(beyond(0.999), 0);
  EXPECT_EQ(beyond(1.001), 1);  // 10 * .1 * rho, rho = 1
}

TEST_P(LookTest, ExactlyNothingIsNotBeyondNothing) {
  const NoiseModel silent{{0}, {0}, "float64"};
  EXPECT_EQ(judge_zero({{1}, {2}}, {{0}, {0}}, silent).beyond, 0);
  EXPECT_EQ(judge_zero({{1}, {2}}, {{0}, {1e-290}}, silent).beyond, 1);
  const Look none = judge_zero(HostMatrix(0, 1), HostMatrix(0, 1), silent);
  EXPECT_EQ(none.beyond, 0);
  EXPECT_EQ(none.rms, 0);
  EXPECT_TRUE(none.errors.empty());
  EXPECT_TRUE(none.worst.empty());
}

TEST_P(LookTest, AHypothesisThatIsNoNumberIsBeyondEveryLimit) {
  Hypothesis hypothesis(1, 1);
  hypothesis.constant(0, 0) = std::numeric_limits<double>::quiet_NaN();
  const DeviceNetwork current(device(), hypothesis.network());
  const Look look =
      judge(device(), upload(device(), HostMatrix(2, 1)), upload(device(), HostMatrix(2, 1)),
            hypothesis, current, NoiseModel{{1}, {1}, "float64"}, {});
  EXPECT_EQ(look.beyond, 2);
}

TEST_P(LookTest, ALookAsksTheNextRowsOfItsStream) {
  const ReluNetwork network = planted_network(3, 5, 2, 1);
  RecordingOracle oracle(network, RecordingOracle::Manner::structured);
  const RunControl run;
  Asker asker(device(), oracle, run);
  Random random(Seed{4});
  const Hypothesis hypothesis(3, 2);
  const DeviceNetwork current(device(), hypothesis.network());
  const NoiseModel noise = relative_noise(1e-15, 2);
  const auto once = [&](Index points) {
    return look_around(asker, random, Stream::looks, points, hypothesis, current, noise, {});
  };
  const Look first = once(20);
  const Look second = once(30);
  EXPECT_EQ(first.first_row, 0);
  EXPECT_EQ(second.first_row, 20);
  EXPECT_EQ(random.take_rows(Stream::looks, 0), 50);
  EXPECT_EQ(asker.asked(), 50);
  EXPECT_EQ(asker.rounds(), 2);
  DeviceMatrix x(device(), 30, 3);
  fill_gaussian(device(), Seed{4}, static_cast<std::uint64_t>(Stream::looks), 20, 1.0, x);
  const HostMatrix expected = exact_values(network, download(device(), x));
  EXPECT_TRUE(near_sum(second.answers, expected, HostMatrix(30, 2, 100), 3 + 5 + 2));
  EXPECT_EQ(second.beyond, 30) << "a network that is not there is wrong everywhere";
}

TEST_P(LookTest, MemoryChangesNothingThatALookSees) {
  // 2 (d + 1) (k + 1) eps |terms| for an answer of F; F' = 0 here, and |error| moves no further.
  const ReluNetwork network = planted_network(3, 5, 2, 1);
  const auto with = [&](Index bytes) {
    RecordingOracle oracle(network, RecordingOracle::Manner::opaque);
    RunControl run;
    run.budget.device_bytes = bytes;
    Asker asker(device(), oracle, run);
    Random random(Seed{4});
    const Hypothesis hypothesis(3, 2);
    const DeviceNetwork current(device(), hypothesis.network());
    const Look look = look_around(asker, random, Stream::looks, 100, hypothesis, current,
                                  relative_noise(1e-15, 2), {});
    EXPECT_EQ(asker.asked(), 100);
    EXPECT_EQ(asker.rounds(), 1);
    for (const Index points : oracle.batches) {
      EXPECT_LE(points * 5 * static_cast<Index>(sizeof(double)), bytes);
    }
    return look;
  };
  const Look whole = with(Index{1} << 20);
  const Look parts = with(7 * 7 * sizeof(double));  // seven points of d + 2 p numbers
  EXPECT_TRUE(near_sum(parts.answers, whole.answers, HostMatrix(100, 2, 100), 3 + 5 + 2));
  ASSERT_EQ(parts.errors.size(), 100u);
  EXPECT_EQ(parts.beyond, whole.beyond);
  EXPECT_EQ(parts.worst, whole.worst);
  const double moved = 2 * (3 + 5 + 2) * 2 * kRounding * 100 * std::sqrt(2.0);
  EXPECT_NEAR(parts.rms, whole.rms, moved);
  EXPECT_NEAR(parts.spread, whole.spread, 2 * moved);
}

// ---------------------------------------------------------------------------------------------

/// F = a slab {.7 < x0 < .7 + w} of height w / 2, or nothing for w = 0, in R^4.
ReluNetwork slab(double width) {
  ReluNetwork network(4, 3, 1);
  for (Index j = 0; j < 3; ++j) {
    network.weights(j, 0) = 1;
    network.bias(j, 0) = -0.7 - 0.5 * width * static_cast<double>(j);
    network.output(0, j) = width == 0 ? 0 : (j == 1 ? -2 : 1);
  }
  return network;
}

struct Hunting {
  Hunting(Device& device, const ReluNetwork& network, std::uint64_t seed = 1)
      : oracle(network, RecordingOracle::Manner::opaque),
        asker(device, oracle, run),
        random(Seed{seed}),
        hypothesis(4, 1),
        current(device, hypothesis.network()) {}

  bool find(Hunt& hunt, const QueryPlan& plan) {
    return hunt.find(asker, random, hypothesis, current, relative_noise(64 * kRounding, 1), plan,
                     worst);
  }

  RunControl run;
  RecordingOracle oracle;
  Asker asker;
  Random random;
  Hypothesis hypothesis;
  DeviceNetwork current;
  std::vector<double> worst;
};

TEST_P(LookTest, ACleanHuntDrawsExactlyItsPointsInDoublingBatches) {
  QueryPlan plan;
  plan.resolution = 0.02;
  Hunting clean(device(), slab(0));
  Hunt hunt(plan);
  EXPECT_FALSE(clean.find(hunt, plan));
  EXPECT_EQ(clean.asker.asked(), 1570);  // 31.4 / .02
  EXPECT_EQ(clean.oracle.batches, (std::vector<Index>{256, 512, 1570 - 768}));
  EXPECT_FALSE(clean.find(hunt, plan)) << "and what was hunted once is not hunted again";
  EXPECT_EQ(clean.asker.asked(), 1570);

  plan.resolution = 0;
  Hunt none(plan);
  EXPECT_FALSE(clean.find(none, plan));
  EXPECT_EQ(clean.asker.asked(), 1570);
}

TEST_P(LookTest, AHitStopsTheHuntAndSaysWhere) {
  // Mass .34 w phi-like: phi(.7) w / 2 + phi(.35) w / 4 = .25 w a point; w = .02: .005. No hit in
  // 1570 points with probability e^-7.9; ten seeds miss none.
  QueryPlan plan;
  plan.resolution = 0.02;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Hunting hunting(device(), slab(0.02), seed);
    Hunt hunt(plan);
    ASSERT_TRUE(hunting.find(hunt, plan)) << seed;
    EXPECT_GT(hunting.worst[0], 0.7);
    EXPECT_LT(hunting.worst[0], 0.72);
    const Index asked = hunting.asker.asked();
    EXPECT_TRUE(asked == 256 || asked == 768 || asked == 1570) << asked;
    // It goes on where it stopped: in all it draws what was promised, and no more.
    while (hunting.find(hunt, plan)) {
    }
    EXPECT_EQ(hunting.asker.asked(), 1570);
  }
}

TEST_P(LookTest, HalfOfTheHuntIsDrawnTwiceAsWide) {
  // What it asks: the points of one batch of 2000 in R^4, all at once.
  QueryPlan plan;
  plan.resolution = 1;
  plan.hunt_density = 256;
  std::vector<double> squares;
  const std::unique_ptr<Oracle> oracle = make_host_oracle(4, 1, [&](ConstHostView x, HostView y) {
    for (Index i = 0; i < x.rows; ++i) {
      squares.push_back(dot(&x(i, 0), &x(i, 0), 4));
      y(i, 0) = 0;
    }
  });
  const RunControl run;
  Asker asker(device(), *oracle, run);
  Random random(Seed{3});
  const Hypothesis hypothesis(4, 1);
  const DeviceNetwork current(device(), hypothesis.network());
  std::vector<double> worst;
  Hunt hunt(plan);
  EXPECT_FALSE(
      hunt.find(asker, random, hypothesis, current, relative_noise(1e-15, 1), plan, worst));
  ASSERT_EQ(squares.size(), 256u);
  const auto mean = [&](std::size_t first) {
    double sum = 0;
    for (std::size_t i = first; i < first + 128; ++i) sum += squares[i] / 128;
    return sum;
  };
  // |x|^2 has mean 4 and variance 8: a mean over 128 is within 5 * sqrt(8 / 128) = 1.25, 5 sigma.
  EXPECT_NEAR(mean(0), 4, 1.25);
  EXPECT_NEAR(mean(128), 16, 4 * 1.25);
}

TEST_P(LookTest, MemoryChangesNothingThatAHuntFinds) {
  QueryPlan plan;
  plan.resolution = 0.02;
  std::vector<std::vector<double>> found;
  std::vector<Index> asked;
  for (const Index bytes : {Index{1} << 20, Index{11 * 6 * sizeof(double)}}) {
    Hunting hunting(device(), slab(0.02));
    hunting.run.budget.device_bytes = bytes;
    Hunt hunt(plan);
    ASSERT_TRUE(hunting.find(hunt, plan));
    found.push_back(hunting.worst);
    asked.push_back(hunting.asker.asked());
  }
  EXPECT_EQ(found[0], found[1]);
  EXPECT_EQ(asked[0], asked[1]);
}

TEST_P(LookTest, PointsThatSayNothingGiveNoVerdict) {
  const double infinity = std::numeric_limits<double>::infinity();
  const HostMatrix x = {{1}, {2}, {3}, {4}};
  const Hypothesis hypothesis(1, 2);
  const DeviceNetwork current(device(), hypothesis.network());
  const NoiseModel noise{{0, 0}, {0, 0}, "told"};
  const auto judged = [&](const HostMatrix& answers, const HostMatrix& sigmas) {
    return judge(device(), upload(device(), x), upload(device(), answers), hypothesis, current,
                 noise, {}, sigmas);
  };
  // limit = 10 sigma of the point itself; the second point has one answer that says nothing.
  const HostMatrix answers = {{3, 4}, {100, 100}, {0, 0}, {-0.9, 0}};
  const Look look = judged(answers, {{0.31, 0.41}, {1, infinity}, {1, 1}, {0.1, 0.1}});
  EXPECT_EQ(look.errors, (std::vector<double>{5, infinity, 0, 0.9}));
  EXPECT_EQ(look.silent, 1);
  EXPECT_EQ(look.beyond, 0);
  EXPECT_TRUE(look.clean());
  EXPECT_NEAR(look.rms, std::sqrt((25 + 0.81) / 3), 16 * kRounding);
  // Of (3, 0, -.9) and (4, 0, 0): means .7 and 4 / 3.
  EXPECT_NEAR(look.spread, std::sqrt((2.3 * 2.3 + 0.7 * 0.7 + 1.6 * 1.6) / 3 + 16.0 / 3 - 16.0 / 9),
              64 * kRounding);
  EXPECT_EQ(look.worst, (std::vector<double>{1}));  // 4 / .41 sigma
  EXPECT_EQ(judged(answers, {{0.29, 1}, {1, infinity}, {1, 1}, {1, 1}}).beyond, 1);
}

TEST_P(LookTest, ALookOfWhichMostPointsSayNothingIsNotClean) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Hypothesis hypothesis(1, 1);
  const DeviceNetwork current(device(), hypothesis.network());
  const NoiseModel noise{{0}, {0}, "told"};
  const auto clean = [&](const HostMatrix& sigmas) {
    return judge(device(), upload(device(), HostMatrix(3, 1)), upload(device(), HostMatrix(3, 1)),
                 hypothesis, current, noise, {}, sigmas)
        .clean();
  };
  EXPECT_TRUE(clean({{1}, {1}, {1}}));
  EXPECT_TRUE(clean({{1}, {infinity}, {1}}));
  EXPECT_FALSE(clean({{infinity}, {infinity}, {1}}));
  const Look none =
      judge(device(), upload(device(), HostMatrix(2, 1)), upload(device(), HostMatrix(2, 1)),
            hypothesis, current, noise, {}, {{infinity}, {infinity}});
  EXPECT_EQ(none.rms, infinity);
  EXPECT_TRUE(none.worst.empty());
}

}  // namespace
}  // namespace crease
