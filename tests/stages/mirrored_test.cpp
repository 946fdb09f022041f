// The noise of answers from mirrored points.
#include "src/stages/mirrored.hpp"

#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/hypothesis_of.hpp"
#include "tests/support/near.hpp"
#include "tests/support/noisy_oracle.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

class MirroredTest : public EveryBackend {
 protected:
  /// A fan of axes around a point, asked from the oracle.
  PaidFan fan(Oracle& oracle, const std::vector<double>& center, double step) {
    const Index d = oracle.input_dim();
    PaidFan out;
    out.center = center;
    out.directions = std::make_shared<const HostMatrix>(identity(d));
    out.steps.assign(static_cast<std::size_t>(d), step);
    HostMatrix x(0, d);
    x.append_row(center.data(), d);
    for (Index j = 0; j < d; ++j) {
      x.append_row(center.data(), d);
      x(j + 1, j) += step;
    }
    DeviceMatrix y(device(), d + 1, oracle.output_dim());
    oracle.answer(device(), upload(device(), x), y);
    const HostMatrix all = download(device(), y);
    out.center_answer.assign(all.row(0), all.row(0) + all.cols());
    out.answers = HostMatrix(d, all.cols());
    std::copy_n(all.row(1), out.answers.size(), out.answers.data());
    out.center_noise.assign(static_cast<std::size_t>(all.cols()), 1e-9);
    return out;
  }
};
CREASE_ON_EVERY_BACKEND(MirroredTest);

/// 16 squares of a normal: their mean is between 0.25 and 2.9 times its expectation but with
/// probability 2e-4 either way (chi-squared); shared centres only correlate some of them.
TEST_P(MirroredTest, SeesTheNoiseThatThereIs) {
  const Index d = 20;
  const ReluNetwork truth = planted_network(d, 4, 1, 71);
  const double sigma = 1e-9;
  const auto oracle = noisy_oracle(truth, sigma);
  const RunControl control;
  Asker asker(device(), *oracle, control);
  asker.enter("polish");
  Random random{Seed{3}};
  std::vector<PaidFan> fans;
  std::vector<const PaidFan*> addresses;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    fans.push_back(fan(*oracle, row_of(normals(1, d, 80 + seed), 0), 1e-3));
  }
  for (const PaidFan& one : fans) addresses.push_back(&one);
  const UnitNetwork network(hypothesis_of(truth, row_of(normals(1, d, 90), 0), 1e-12, 1e-12));
  for (const double believed : {1e-10, 1e-8}) {
    NoiseModel noise = relative_noise(0, 1);
    noise.absolute = {believed};
    const Index before = asker.asked();

    const NoiseModel seen = mirrored_noise(asker, random, network, noise,
                                           fan_rows(device(), network, noise, addresses));

    EXPECT_EQ(asker.asked() - before, kMirroredPoints);
    EXPECT_GE(seen.absolute[0], 1.2 * 0.5 * sigma);
    EXPECT_LE(seen.absolute[0], 1.2 * 1.71 * sigma);
  }
}

TEST_P(MirroredTest, AsksNothingWhereNoFanHasRoom) {
  const ReluNetwork truth = planted_network(6, 4, 1, 72);
  const auto oracle = noisy_oracle(truth, 0);
  const RunControl control;
  Asker asker(device(), *oracle, control);
  asker.enter("polish");
  Random random{Seed{3}};
  const PaidFan wide = fan(*oracle, row_of(normals(1, 6, 73), 0), 1e6);
  const UnitNetwork network(hypothesis_of(truth, std::vector<double>(6, 0.0), 1e-12, 1e-12));
  const NoiseModel noise = relative_noise(kRounding, 1);

  const NoiseModel seen =
      mirrored_noise(asker, random, network, noise, fan_rows(device(), network, noise, {&wide}));

  EXPECT_EQ(asker.asked(), 0);
  EXPECT_EQ(seen.relative, noise.relative);
}

}  // namespace
}  // namespace crease
