// How exact the oracle's answers are.
#include "src/stages/noise.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "kernels/ops.hpp"
#include "src/stages/answer_formats.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kNear = 4;  // places near the origin; as many again far out
constexpr Index kPlaces = 2 * kNear;
constexpr std::array<double, 2> kStencils = {1e-6, 1e-4};  // half widths, share of the distance
constexpr Index kPerPlace = 1 + 2 * static_cast<Index>(kStencils.size());
constexpr double kContaminated = 30;  // times what the small stencil says
static_assert(kPlaces * kPerPlace == kNoiseQueries);
constexpr double kToldRounding = 0.1;            // of u rho: answers that tell their own noise
constexpr double kMedianToSigma = 1.0 / 0.6745;  // of |normal|

constexpr double kCurved = 30;      // roundings of an answer: a deviation that is no rounding
constexpr double kCurvedRatio = 2;  // of two deviations, from that of a parabola
constexpr double kExact = 1e-10;    // of the answers: less noise than this is none
constexpr double kPrior = 64;       // roundings of an answer of which nothing is known

/// Whether some answers around one place are equal and others are not, or those around every place
/// are, but not all of them: an exact function is flat somewhere, or it is not.
bool looks_coarse(const HostMatrix& answers, Index output) {
  Index flat = 0;
  std::set<double> all;
  for (Index place = 0; place < kPlaces; ++place) {
    std::set<double> distinct;
    for (Index i = 0; i < kPerPlace; ++i) distinct.insert(answers(place * kPerPlace + i, output));
    flat += distinct.size() == 1 ? 1 : 0;
    if (distinct.size() > 1 && distinct.size() < kPerPlace) return true;
    all.insert(distinct.begin(), distinct.end());
  }
  return flat == kPlaces && all.size() > 1;
}

/// What the small and the large stencil say together. The small one sees nothing where answers are
/// rounded coarsely; the large one is crossed by kinks where there are many, and then says far too
/// much.
double combined(double small, double large) {
  return small > 0 && large > kContaminated * small ? small : std::max(small, large);
}

/// Whether deviations near the origin, [scale][place], are those of a second derivative: far above
/// rounding with both stencils, and in the ratio of their squared widths.
bool looks_curved(const std::vector<std::vector<double>>& deviations, double size) {
  const double widths = kStencils[1] / kStencils[0];
  Index curved = 0;
  for (std::size_t place = 0; place < kNear; ++place) {
    const double small = deviations[0][place];
    const double ratio = deviations[1][place] / small;
    if (small > kCurved * kRounding * size && ratio > widths * widths / kCurvedRatio &&
        ratio < widths * widths * kCurvedRatio) {
      ++curved;
    }
  }
  return curved + 1 >= kNear;
}

}  // namespace

double NoiseModel::sigma(double rho, Index output) const {
  const auto o = static_cast<std::size_t>(output);
  return std::hypot(absolute[o], relative[o] * rho);
}

const std::string& NoiseModel::format_of(Index output) const {
  return formats.empty() ? format : formats[static_cast<std::size_t>(output)];
}

NoiseModel told_noise(const Asker& asker) {
  const auto p = static_cast<std::size_t>(asker.outputs());
  return {std::vector<double>(p, 0.0), std::vector<double>(p, kToldRounding * kRounding),
          asker.answer_kind().format};
}

NoiseModel probe_noise(Asker& asker, Random& random) {
  asker.enter("noise");
  const Index d = asker.inputs();
  const Index p = asker.outputs();
  const double c = std::sqrt(static_cast<double>(d));
  const std::vector<double> origin = random.normals(d);
  const std::vector<double> direction = unit_vector(random.normals(d));
  const double along = dot(origin, direction);
  const double origin_square = dot(origin, origin);

  std::vector<double> t;    // kPerPlace points a place: the centre, then both sides of each stencil
  std::vector<double> rho;  // of the places
  for (Index place = 0; place < kPlaces; ++place) {
    const double side = place % 2 == 0 ? 1.0 : -1.0;
    const double angle =
        place < kNear ? random.uniform(-1.0, 1.0) : side * random.uniform(1.52, 1.55);
    const double center = c * std::tan(angle);
    t.push_back(center);
    for (const double share : kStencils) {
      t.push_back(center - share * std::hypot(c, center));
      t.push_back(center + share * std::hypot(c, center));
    }
    rho.push_back(std::sqrt(1.0 + origin_square + center * (2.0 * along + center)));
  }

  Device& device = asker.device();
  const DeviceMatrix origin_on_device = upload(device, row_view(origin));
  const DeviceMatrix direction_on_device = upload(device, row_view(direction));
  const DeviceMatrix t_on_device = upload(device, column_view(t));
  // As points: an oracle that knows about lines rounds their answers all alike, and would hide its
  // noise.
  DeviceMatrix x(device, t_on_device.rows(), d);
  line_points(device, {origin_on_device, direction_on_device}, t_on_device, x);
  const HostMatrix y = download(device, asker.points(x));

  const std::vector<AnswerFormat> formats = find_formats(y);
  const double rho_near = median({rho.begin(), rho.begin() + kNear});
  const double rho_far = median({rho.begin() + kNear, rho.end()});
  NoiseModel noise{{}, {}, {}};
  for (Index o = 0; o < p; ++o) {
    const AnswerFormat& format = formats[static_cast<std::size_t>(o)];
    double near = 0;
    double far = 0;
    double relative = 0;
    std::vector<double> slopes;
    std::vector<double> sizes;
    std::vector<std::vector<double>> bends;
    for (std::size_t scale = 0; scale < kStencils.size(); ++scale) {
      std::vector<double> deviations;
      std::vector<double> relative_deviations;
      slopes.clear();
      for (Index place = 0; place < kPlaces; ++place) {
        const Index first = place * kPerPlace;
        const Index left = first + 1 + 2 * static_cast<Index>(scale);
        const auto at = [&](Index i) { return t[static_cast<std::size_t>(i)]; };
        const double h1 = at(first) - at(left);
        const double h2 = at(left + 1) - at(first);
        const bool equal = y(left, o) == y(first, o) && y(first, o) == y(left + 1, o);
        // Three equal answers are exactly straight; the rounding of this very sum would hide that.
        const double bend =
            equal ? 0 : y(first, o) - (h2 * y(left, o) + h1 * y(left + 1, o)) / (h1 + h2);
        deviations.push_back(std::abs(bend) / std::sqrt(1.5) * kMedianToSigma);
        relative_deviations.push_back(deviations.back() / rho[static_cast<std::size_t>(place)]);
        slopes.push_back(std::abs(y(left + 1, o) - y(left, o)) / (at(left + 1) - at(left)));
      }
      near = combined(near, median({deviations.begin(), deviations.begin() + kNear}));
      far = combined(far, median({deviations.begin() + kNear, deviations.end()}));
      relative = combined(relative, median(relative_deviations));
      bends.push_back(std::move(deviations));
    }
    for (Index i = 0; i < y.rows(); ++i) {
      sizes.push_back(std::abs(y(i, o)) / rho[static_cast<std::size_t>(i / kPerPlace)]);
    }
    const double size = median(sizes);
    if (!noise.curved && looks_curved(bends, size * rho_near)) noise.curved = o;
    double absolute = 0;
    if (format.name == "float64" && (size <= 1e-9 || (near == 0 && far == 0))) {
      // Zero up to the rounding of what cancels: the probe says nothing about the noise elsewhere.
      // Here and in the paper weights are of size 1 where nothing else is known.
      relative = kPrior * kRounding * std::max(1.0, size);
    } else {
      const bool grows = far > 0.25 * near * rho_far / rho_near;
      if (!grows || format.name == "decimal") {
        absolute = std::max({near, far, 0.5 * format.quantum});
        relative = 0;
      }
      relative = std::max(relative, format.unit * std::max(median(slopes), size));
    }
    noise.absolute.push_back(absolute);
    noise.relative.push_back(relative);
    noise.size.push_back(size);
    noise.formats.push_back(format.name);
    noise.coarse = noise.coarse || (format.name == "float64" && looks_coarse(y, o));
  }
  noise.format = coarsest(noise.formats);
  asker.report();
  return noise;
}

bool is_exact(const NoiseModel& noise, Index output) {
  const auto o = static_cast<std::size_t>(output);
  const double size = o < noise.size.size() ? noise.size[o] : 0;
  const double prior = kPrior * kRounding * std::max(1.0, size);
  return (noise.absolute[o] == 0 && noise.relative[o] <= prior) ||
         noise.sigma(1, output) <= kExact * size;
}

bool is_exact(const NoiseModel& noise) {
  for (std::size_t o = 0; o < noise.size.size(); ++o) {
    if (!is_exact(noise, static_cast<Index>(o))) return false;
  }
  return true;
}

AnswerNoise measure_noise(Asker& asker, Random& random, const NoiseModel& probed,
                          const HostMatrix& seen) {
  asker.enter("noise");
  const Index d = asker.inputs();
  const Index p = asker.outputs();
  HostMatrix x(0, d);
  for (Index i = 0; i < kRepeatedPoints; ++i) {
    const std::vector<double> point = random.normals(d);
    for (Index r = 0; r < kRepeats; ++r) x.append_row(point.data(), d);
  }
  for (Index i = 0; i < kFormatPoints; ++i) x.append_row(random.normals(d).data(), d);
  Device& device = asker.device();
  const DeviceMatrix points = upload(device, x);
  const HostMatrix y = download(device, asker.points(points));
  asker.report();

  constexpr Index kGroups = kRepeatedPoints * kRepeats;
  HostMatrix fresh(0, p);
  for (Index i = kGroups; i < y.rows(); ++i) fresh.append_row(y.row(i), p);
  const std::vector<AnswerFormat> formats = find_formats(fresh);
  const double rho = std::sqrt(1 + static_cast<double>(d));

  AnswerNoise result{probed, {}};
  NoiseModel& model = result.model;
  model.formats.clear();
  for (Index o = 0; o < p; ++o) {
    const auto oo = static_cast<std::size_t>(o);
    AnswerFormat format = formats[oo];
    const bool rare = format.name == "float64" && !seen.empty();
    if (rare) format = rare_format(seen, o);
    double within = 0;
    bool differ = false;
    for (Index i = 0; i < kGroups; i += kRepeats) {
      double mean = 0;
      for (Index r = i; r < i + kRepeats; ++r) {
        // The variance of equal numbers is rounding, not zero.
        differ = differ || y(r, o) != y(i, o);
        mean += y(r, o) / static_cast<double>(kRepeats);
      }
      for (Index r = i; r < i + kRepeats; ++r) within += (y(r, o) - mean) * (y(r, o) - mean);
    }
    within = std::sqrt(within / static_cast<double>(kRepeatedPoints * (kRepeats - 1)));
    double size_square = 0;
    std::vector<double> answers;
    for (Index i = 0; i < fresh.rows(); ++i) {
      answers.push_back(fresh(i, o));
      size_square += fresh(i, o) * fresh(i, o) / static_cast<double>(fresh.rows());
    }
    model.size[oo] = std::max(model.size[oo], std::sqrt(size_square) / rho);
    double sigma = 0;
    if (differ) {
      sigma = within;
      if (model.absolute[oo] > 0 || format.name != "float64" || probed.coarse) {
        model.absolute[oo] = within;
        model.relative[oo] = std::min(model.relative[oo], 8 * kRounding * model.size[oo]);
      } else {
        model.relative[oo] = within / rho;
      }
    } else if (format.name == "decimal") {
      sigma = kUniformDeviation * format.quantum;
      model.absolute[oo] = sigma;
      model.relative[oo] = 8 * kRounding * model.size[oo];
    } else if (format.name == "float16" || format.name == "float32") {
      sigma = rounding_rms(answers, format.name);
      // Nearly everywhere F is constant: what counts is the noise where it is not.
      for (Index i = 0; rare && i < seen.rows(); ++i) {
        sigma = std::max(sigma, rounding_rms({seen(i, o)}, format.name));
      }
      model.relative[oo] = std::max(model.relative[oo], sigma / rho);
      // Tiny stencils of a coarse format see nothing: as much again that does not grow.
      model.absolute[oo] = format.name == "float16" ? sigma : 0;
    } else {
      sigma = model.sigma(rho, o);
    }
    result.sigma.push_back(sigma);
    model.formats.push_back(differ ? "noise" : format.name);
  }
  model.format = coarsest(model.formats);
  model.coarse = false;
  return result;
}

}  // namespace crease
