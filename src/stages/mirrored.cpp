// The noise of answers, from points opposite to those of fans that are paid for.
#include "src/stages/mirrored.hpp"

#include <algorithm>
#include <cmath>

#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kCertain = 10;  // offset errors that both points must be away from hyperplanes
constexpr Index kTries = 32;     // for each point
constexpr Index kFewest = 4;
constexpr double kMargin = 1.2;  // on a root mean square of so few
constexpr double kLeast = 0.1;   // of the noise that was measured before

struct Mirror {
  const PaidFan* fan;
  Index direction;
};

bool has_room(const UnitNetwork& network, const PaidFan& fan, const std::vector<double>& height,
              Index direction) {
  const double step = std::abs(fan.steps[static_cast<std::size_t>(direction)]);
  for (Index i = 0; i < network.neurons(); ++i) {
    const auto ii = static_cast<std::size_t>(i);
    const double rise =
        dot(network.weights.row(i), fan.directions->row(direction), network.inputs());
    if (!(std::abs(height[ii]) - step * std::abs(rise) > kCertain * network.offset_error[ii])) {
      return false;
    }
  }
  return true;
}

}  // namespace

NoiseModel mirrored_noise(Asker& asker, Random& random, const UnitNetwork& network,
                          const NoiseModel& noise, const std::vector<FanRows>& rows) {
  NoiseModel out = noise;
  if (rows.empty() || asker.left() < kMirroredPoints) return out;
  std::vector<Mirror> mirrors;
  HostMatrix x(0, network.inputs());
  for (Index n = 0; n < kTries * kMirroredPoints; ++n) {
    if (static_cast<Index>(mirrors.size()) == kMirroredPoints) break;
    const auto m = static_cast<std::size_t>(random.uniform(0, static_cast<double>(rows.size())));
    const PaidFan& fan = *rows[std::min(m, rows.size() - 1)].fan;
    const Index count = fan.directions->rows();
    const Index j =
        std::min(static_cast<Index>(random.uniform(0, static_cast<double>(count))), count - 1);
    if (!has_room(network, fan, heights_at(network, fan.center), j)) continue;
    mirrors.push_back({&fan, j});
    std::vector<double> point = fan.center;
    for (Index c = 0; c < network.inputs(); ++c) {
      point[static_cast<std::size_t>(c)] -=
          fan.steps[static_cast<std::size_t>(j)] * (*fan.directions)(j, c);
    }
    x.append_row(point.data(), network.inputs());
  }
  if (static_cast<Index>(mirrors.size()) < kFewest) return out;
  const HostMatrix y = download(asker.device(), asker.points(upload(asker.device(), x)));
  for (Index o = 0; o < network.output_count(); ++o) {
    const auto oo = static_cast<std::size_t>(o);
    double squares = 0;
    for (std::size_t n = 0; n < mirrors.size(); ++n) {
      const PaidFan& fan = *mirrors[n].fan;
      const double bend = fan.answers(mirrors[n].direction, o) + y(static_cast<Index>(n), o) -
                          2 * fan.center_answer[oo];
      const double expected =
          std::sqrt(6.0) * noise.sigma(std::sqrt(1 + dot(fan.center, fan.center)), o);
      squares += (bend / expected) * (bend / expected);
    }
    const double ratio =
        std::max(kMargin * std::sqrt(squares / static_cast<double>(mirrors.size())), kLeast);
    if (!std::isfinite(ratio)) continue;
    out.absolute[oo] *= ratio;
    out.relative[oo] *= ratio;
  }
  return out;
}

}  // namespace crease
