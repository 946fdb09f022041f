// What fans say about a network whose neurons are all known.
#include "src/stages/fan_rows.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kCertain = 10;  // offset errors between a centre and every hyperplane

/// Fans with the same directions, by their places in a list, and how far the hyperplanes rise along
/// these directions: one product for all.
struct SharedDirections {
  std::vector<std::size_t> fans;
  HostMatrix rise;  // [k, q] <weights_i, direction_j>
};

std::map<Index, SharedDirections> by_directions(Device& device, const UnitNetwork& network,
                                                const std::vector<const PaidFan*>& fans) {
  std::map<const HostMatrix*, Index> seen;  // in order of appearance, which is the same every run
  std::map<Index, SharedDirections> groups;
  for (std::size_t m = 0; m < fans.size(); ++m) {
    const auto [at, fresh] =
        seen.emplace(fans[m]->directions.get(), static_cast<Index>(seen.size()));
    SharedDirections& group = groups[at->second];
    group.fans.push_back(m);
    if (fresh) {
      group.rise =
          product(device, network.weights, Transpose::no, *fans[m]->directions, Transpose::yes);
    }
  }
  return groups;
}

double rho_of(const std::vector<double>& x) {
  return std::sqrt(1 + dot(x, x));
}

}  // namespace

std::vector<double> heights_at(const UnitNetwork& network, const std::vector<double>& x) {
  std::vector<double> heights;
  for (Index i = 0; i < network.neurons(); ++i) {
    heights.push_back(dot(network.weights.row(i), x.data(), network.inputs()) +
                      network.bias[static_cast<std::size_t>(i)]);
  }
  return heights;
}

std::vector<FanRows> fan_rows(Device& device, const UnitNetwork& network, const NoiseModel& noise,
                              const std::vector<const PaidFan*>& fans) {
  const Index k = network.neurons();
  const auto p = static_cast<std::size_t>(network.output_count());
  std::vector<const PaidFan*> whole;
  std::copy_if(fans.begin(), fans.end(), std::back_inserter(whole),
               [&](const PaidFan* fan) { return fan->directions->rows() == network.inputs(); });
  std::vector<FanRows> all(whole.size());
  for (const auto& [number, group] : by_directions(device, network, whole)) {
    for (const std::size_t m : group.fans) {
      const PaidFan& fan = *whole[m];
      const std::vector<double> height = heights_at(network, fan.center);
      bool certain = true;
      FanRows row{&fan, {}, std::vector<double>(p, 0.0)};
      for (Index i = 0; i < k; ++i) {
        const auto ii = static_cast<std::size_t>(i);
        row.active.push_back(height[ii] > 0);
        certain = certain && std::abs(height[ii]) > kCertain * network.offset_error[ii];
      }
      if (!certain) continue;
      const std::size_t q = fan.steps.size();
      HostMatrix crossed(static_cast<Index>(q), static_cast<Index>(p));  // squared errors
      for (Index i = 0; i < k; ++i) {
        const double here = height[static_cast<std::size_t>(i)];
        const double error = network.offset_error[static_cast<std::size_t>(i)];
        const double* rise = group.rise.row(i);
        for (std::size_t j = 0; j < q; ++j) {
          if (here * (here + fan.steps[j] * rise[j]) >= 0) continue;
          for (std::size_t o = 0; o < p; ++o) {
            const double share = error * network.outputs(i, static_cast<Index>(o));
            crossed(static_cast<Index>(j), static_cast<Index>(o)) += share * share;
          }
        }
      }
      const double rho = rho_of(fan.center);
      for (std::size_t o = 0; o < p; ++o) {
        double sum = 0;
        for (std::size_t j = 0; j < q; ++j) {
          const double step = fan.steps[j];
          const double point = noise.sigma(std::hypot(rho, step), static_cast<Index>(o));
          const double center = fan.center_noise[o];
          sum += (point * point + center * center +
                  crossed(static_cast<Index>(j), static_cast<Index>(o))) /
                 (step * step);
        }
        row.sigma[o] = std::sqrt(sum / static_cast<double>(q));
      }
      if (std::all_of(row.sigma.begin(), row.sigma.end(),
                      [](double s) { return std::isfinite(s) && s > 0; })) {
        all[m] = std::move(row);
      }
    }
  }
  std::erase_if(all, [](const FanRows& row) { return row.fan == nullptr; });
  return all;
}

HostMatrix coefficients(const UnitNetwork& network, const std::vector<FanRows>& rows) {
  const Index k = network.neurons();
  const Index p = network.output_count();
  HostMatrix out(static_cast<Index>(rows.size()) * p, k + p);
  for (std::size_t m = 0; m < rows.size(); ++m) {
    for (Index o = 0; o < p; ++o) {
      double* row = out.row(static_cast<Index>(m) * p + o);
      for (Index i = 0; i < k; ++i) {
        row[i] = rows[m].active[static_cast<std::size_t>(i)] ? network.outputs(i, o) : 0.0;
      }
      row[k + o] = 1;
    }
  }
  return out;
}

HostMatrix gradient_residuals(Device& device, const UnitNetwork& network,
                              const std::vector<FanRows>& rows) {
  const Index k = network.neurons();
  const Index p = network.output_count();
  const Index d = network.inputs();
  HostMatrix unknowns = network.weights;  // [k + p, d]
  for (Index o = 0; o < p; ++o) unknowns.append_row(network.gradient.row(o), d);
  const HostMatrix expected =
      product(device, coefficients(network, rows), Transpose::no, unknowns, Transpose::no);

  std::vector<const PaidFan*> fans;
  for (const FanRows& row : rows) fans.push_back(row.fan);
  HostMatrix out(static_cast<Index>(rows.size()) * p, d);
  for (const auto& [number, group] : by_directions(device, network, fans)) {
    const HostMatrix& directions = *fans[group.fans.front()]->directions;
    HostMatrix piece(static_cast<Index>(group.fans.size()) * p, d);
    for (std::size_t g = 0; g < group.fans.size(); ++g) {
      std::copy_n(expected.row(static_cast<Index>(group.fans[g]) * p), p * d,
                  piece.row(static_cast<Index>(g) * p));
    }
    const HostMatrix slope = product(device, piece, Transpose::no, directions, Transpose::yes);
    HostMatrix differences(piece.rows(), d);
    for (std::size_t g = 0; g < group.fans.size(); ++g) {
      const PaidFan& fan = *fans[group.fans[g]];
      const Index first = static_cast<Index>(g) * p;
      for (Index o = 0; o < p; ++o) {
        for (Index j = 0; j < d; ++j) {
          const double step = fan.steps[static_cast<std::size_t>(j)];
          differences(first + o, j) =
              (fan.answers(j, o) - fan.center_answer[static_cast<std::size_t>(o)]) -
              step * slope(first + o, j);
        }
      }
      const std::vector<double> height = heights_at(network, fan.center);
      for (Index i = 0; i < k; ++i) {
        const double here = height[static_cast<std::size_t>(i)];
        const double* rise = group.rise.row(i);
        for (Index j = 0; j < d; ++j) {
          const double there = here + fan.steps[static_cast<std::size_t>(j)] * rise[j];
          if (here * there >= 0) continue;
          // Active there only: adds what it is there. Active here only: the piece goes on with it.
          const double hinge = here > 0 ? -there : there;
          for (Index o = 0; o < p; ++o) differences(first + o, j) -= network.outputs(i, o) * hinge;
        }
      }
      for (Index o = 0; o < p; ++o) {
        for (Index j = 0; j < d; ++j) {
          differences(first + o, j) /= fan.steps[static_cast<std::size_t>(j)];
        }
      }
    }
    const HostMatrix residual =
        product(device, differences, Transpose::no, directions, Transpose::no);
    for (std::size_t g = 0; g < group.fans.size(); ++g) {
      std::copy_n(residual.row(static_cast<Index>(g) * p), p * d,
                  out.row(static_cast<Index>(group.fans[g]) * p));
    }
  }
  return out;
}

}  // namespace crease
