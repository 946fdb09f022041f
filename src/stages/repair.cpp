// Gradients that failed their check, explained by hinges that are already known.
#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/measurement.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr int kSweeps = 4;

/// What the hinges of `known` add, between a centre and a step along a direction, to a function
/// that is affine at the centre; and the variance of that. offsets [k] and slopes [k] are those of
/// the hyperplanes along the direction.
void add_crossed_hinges(const Hypothesis& known, const std::vector<double>& offsets,
                        const double* slopes, Index stride, double step, double* hinge,
                        double* variance) {
  for (Index r = 0; r < known.neurons(); ++r) {
    const double here = offsets[static_cast<std::size_t>(r)];
    const double there = here + step * slopes[r * stride];
    if (here * there >= 0) continue;
    // Active there only: adds what it is there. Active here only: its affine piece goes on without
    // it.
    const double height = here > 0 ? -there : there;
    const double error = known.offset_error[static_cast<std::size_t>(r)];
    for (Index o = 0; o < known.outputs; ++o) {
      hinge[o] += known.scales(r, o) * height;
      variance[o] += error * error * known.scales(r, o) * known.scales(r, o);
    }
  }
}

}  // namespace

HostMatrix Measurement::gradient_from(const HostMatrix& differences) const {
  HostMatrix gradient(p_, d_);
  for (Index o = 0; o < p_; ++o) {
    for (Index j = 0; j < d_; ++j) {
      const double difference = differences(o, j);
      const double* direction = basis_on_host_.row(j);
      for (Index i = 0; i < d_; ++i) gradient(o, i) += difference * direction[i];
    }
  }
  return gradient;
}

std::vector<std::size_t> Measurement::repair(const FanAnswers& failed) {
  std::vector<std::size_t> open(failed.todo.size());
  for (std::size_t i = 0; i < open.size(); ++i) open[i] = i;
  HostMatrix values = failed.values;
  HostMatrix steps = failed.steps;
  HostMatrix noises = failed.noise;
  std::vector<std::size_t> unexplained;  // pieces
  std::vector<bool> turned(failed.todo.size(), false);

  for (int sweep = 0; sweep < kSweeps && !open.empty(); ++sweep) {
    // Neurons that the pieces measured so far already give, beside those of the network so far.
    Hypothesis known(d_, p_);
    known.base = hypothesis_.base;
    if (!known.has_base()) {
      std::size_t best = pieces_.size();
      for (std::size_t m = 0; m < pieces_.size(); ++m) {
        if (pieces_.measured[m] &&
            (best == pieces_.size() || pieces_.quality[m] < pieces_.quality[best])) {
          best = m;
        }
      }
      if (best == pieces_.size()) break;
      known.base = line_.point(pieces_.t[best]);
    }
    const GapPolicy strict{std::min(policy_.tolerance, 0.25)};
    add_neurons(pieces_, line_, noise_, strict, plan_,
                std::vector<double>(static_cast<std::size_t>(p_), 0.0), known);

    DeviceMatrix slopes_on_device(device_, known.neurons(), d_);
    multiply(device_, upload(device_, {known.normals.data(), known.neurons(), d_, d_}),
             Transpose::no, basis_, Transpose::yes, 1.0, 0.0, slopes_on_device);
    const HostMatrix slopes = download(device_, slopes_on_device);

    const std::size_t before = open.size();
    std::vector<std::pair<std::size_t, Index>>
        landed;  // (failed, direction) on a neighbour's plane
    std::erase_if(open, [&](std::size_t i) {
      const std::size_t m = failed.todo[i];
      const std::vector<double> x = line_.point(pieces_.t[m]);
      std::vector<double> offsets;
      for (Index r = 0; r < known.neurons(); ++r) {
        offsets.push_back(dot(known.normals.row(r), x.data(), d_) +
                          known.bias[static_cast<std::size_t>(r)]);
      }
      HostMatrix differences(p_, d_);
      std::vector<double> noise(noises.row(static_cast<Index>(i)),
                                noises.row(static_cast<Index>(i)) + d_);
      std::vector<Index> on_neighbour;
      for (Index j = 0; j < d_; ++j) {
        const double step = steps(static_cast<Index>(i), j);
        std::vector<double> hinge(static_cast<std::size_t>(p_), 0.0);
        std::vector<double> variance(static_cast<std::size_t>(p_), 0.0);
        add_crossed_hinges(known, offsets, slopes.data() + j, d_, step, hinge.data(),
                           variance.data());
        double worst = 0;
        const Index row = static_cast<Index>(i) * d_ + j;
        std::vector<double> explained(static_cast<std::size_t>(p_));
        for (Index o = 0; o < p_; ++o) {
          const auto oo = static_cast<std::size_t>(o);
          explained[oo] = values(row, o) - hinge[oo];
          differences(o, j) = (explained[oo] - pieces_.values(static_cast<Index>(m), o)) / step;
          worst = std::max(worst, variance[oo] / (pieces_.scale[oo] * pieces_.scale[oo]));
        }
        auto& own = noise[static_cast<std::size_t>(j)];
        own = std::sqrt(own * own + worst / (step * step));
        if (turned[i]) continue;
        // A point whose answer lies on the plane of a measured neighbour has left its own piece.
        for (const std::size_t q : {m - 1, m + 1}) {
          if (q >= pieces_.size() || !pieces_.measured[q]) continue;
          if (pieces_.is_seam(std::min(q, m))) continue;
          bool on_plane = true;
          const std::vector<double> from = line_.point(pieces_.t[q]);
          for (std::size_t o = 0; o < static_cast<std::size_t>(p_) && on_plane; ++o) {
            double predicted = pieces_.values(static_cast<Index>(q), static_cast<Index>(o));
            const double* slope = pieces_.gradient(q, o);
            for (Index c = 0; c < d_; ++c) {
              predicted +=
                  slope[c] * (x[static_cast<std::size_t>(c)] + step * basis_on_host_(j, c) -
                              from[static_cast<std::size_t>(c)]);
            }
            const double sigma =
                pieces_.scale[o] * (pieces_.noise[m] + pieces_.noise[q]) +
                pieces_.gradient_noise(static_cast<Index>(q), static_cast<Index>(o)) *
                    std::abs(step) * std::sqrt(static_cast<double>(d_));
            on_plane = std::abs(explained[o] - predicted) <= plan_.sigmas * sigma;
          }
          if (on_plane) {
            on_neighbour.push_back(j);
            break;
          }
        }
      }
      if (accept(m, gradient_from(differences), noise.data(), steps.row(static_cast<Index>(i)))) {
        return true;
      }
      if (!on_neighbour.empty() && static_cast<Index>(on_neighbour.size()) < d_) {
        turned[i] = true;
        for (const Index j : on_neighbour) landed.emplace_back(i, j);
      }
      return false;
    });

    if (!landed.empty()) {
      // The opposite directions, in one batch.
      HostMatrix points(0, d_);
      for (const auto& [i, j] : landed) {
        std::vector<double> x = line_.point(pieces_.t[failed.todo[i]]);
        double& step = steps(static_cast<Index>(i), j);
        step = -step;
        for (Index c = 0; c < d_; ++c)
          x[static_cast<std::size_t>(c)] += step * basis_on_host_(j, c);
        points.append_row(x.data(), d_);
      }
      const DeviceMatrix x = upload(device_, points);
      HostMatrix sigmas;
      DeviceMatrix answers = asker_.points(x, Round::next, &sigmas);
      if (line_.of_residual) {
        DeviceMatrix expected(device_, x.rows(), p_);
        current_->evaluate(x, expected);
        subtract(device_, expected, answers);
      }
      const HostMatrix fresh = download(device_, answers);
      for (std::size_t r = 0; r < landed.size(); ++r) {
        const auto& [i, j] = landed[r];
        for (Index o = 0; o < p_; ++o) {
          values(static_cast<Index>(i) * d_ + j, o) = fresh(static_cast<Index>(r), o);
        }
        for (Index o = 0; o < sigmas.cols(); ++o) {
          const double sigma =
              sigmas(static_cast<Index>(r), o) / pieces_.scale[static_cast<std::size_t>(o)];
          const auto row = static_cast<Index>(i);
          noises(row, j) = std::max(noises(row, j), sigma / std::abs(steps(row, j)));
        }
        if (!std::isinf(noises(static_cast<Index>(i), j))) continue;
        if (std::erase(open, i) > 0) unexplained.push_back(failed.todo[i]);  // it said nothing
      }
    } else if (open.size() == before) {
      break;
    }
  }
  for (const std::size_t i : open) unexplained.push_back(failed.todo[i]);
  return unexplained;
}

}  // namespace crease
