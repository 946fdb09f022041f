// One step of all hyperplanes, held against a dense Jacobian: normal equations and what they
// promise.
#include "src/stages/hyperplane_step.hpp"

#include <algorithm>
#include <cmath>

#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

HostMatrix magnitudes(HostMatrix a) {
  for (Index i = 0; i < a.size(); ++i) a.data()[i] = std::abs(a.data()[i]);
  return a;
}

class HyperplaneStepTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(HyperplaneStepTest);

TEST_P(HyperplaneStepTest, StepsSolveTheDampedNormalEquationsAndKnowTheirGain) {
  constexpr Index kPoints = 150, kInputs = 4, kNeurons = 5;
  for (const Index p : {1, 3}) {
    for (const bool weighted : {false, true}) {
      const ReluNetwork truth = planted_network(kInputs, kNeurons, p, 12);
      const HostMatrix host_x = normals(kPoints, kInputs, 1);
      const HostMatrix host_w = weighted ? magnitudes(normals(kPoints, p, 2)) : HostMatrix();
      const DeviceMatrix x = upload(device(), host_x);
      const DeviceMatrix y = upload(device(), exact_values(truth, host_x));
      const DeviceMatrix weights = upload(device(), host_w);
      ScaleSolver solver(device(), {x, y, weights}, Index{1} << 26);
      Hyperplanes away = hyperplanes_of(truth);
      const HostMatrix noise = normals(kNeurons, kInputs + 1, 3);
      for (Index i = 0; i < noise.size(); ++i) away.planes.data()[i] += 0.1 * noise.data()[i];
      const auto at = solver.solve(away.planes);
      ASSERT_TRUE(at.has_value());

      const Index hinges = kNeurons + p;
      const Index width = kInputs + 1 + (p > 1 ? p : 0);
      HostMatrix x1(kPoints, kInputs + 1, 1.0);
      for (Index i = 0; i < kPoints; ++i) std::copy_n(host_x.row(i), kInputs, x1.row(i));
      const HostMatrix z = product(x1, transposed(away.planes)).value;
      HostMatrix directions(kNeurons, p, 1.0);
      for (Index i = 0; i < kNeurons && p > 1; ++i) {
        double square = 0;
        for (Index o = 0; o < p; ++o) square += std::pow(at->network.scales(i, o), 2);
        for (Index o = 0; o < p; ++o) {
          directions(i, o) = at->network.scales(i, o) / std::sqrt(square);
        }
      }
      const HostMatrix residual = download(device(), at->residual);
      const DeviceMatrix z_there = upload(device(), z);
      const DeviceMatrix directions_there = upload(device(), directions);
      HostMatrix j(kPoints * p, hinges * width);
      HostMatrix r(kPoints * p, 1);
      for (Index o = 0; o < p; ++o) {
        DeviceMatrix rows(device(), kPoints, hinges * width);
        hinge_jacobian_rows(device(), z_there, x, directions_there, o, rows);
        const HostMatrix part = download(device(), rows);
        for (Index i = 0; i < kPoints; ++i) {
          for (Index u = 0; u < part.cols(); ++u) {
            j(i * p + o, u) = (weighted ? host_w(i, o) : 1.0) * part(i, u);
          }
          r(i * p + o, 0) = residual(i, o);
        }
      }
      const Sums gradient = product(transposed(j), r);
      std::vector<double> damping;
      for (Index i = 0; i < hinges; ++i) damping.push_back(1e-3 * static_cast<double>(1 + i));
      const double mass = kPoints * solver.mean_weight();
      for (const Index dense : {Index{0}, Index{1000}}) {
        SCOPED_TRACE(std::to_string(p) + (weighted ? " weighted" : "") +
                     (dense > 0 ? " dense" : ""));
        HyperplaneFitPlan plan;
        plan.dense_unknowns = dense;
        HyperplaneStep step(device(), solver, *at, plan);
        EXPECT_EQ(step.dense(), dense > 0);
        constexpr double kTolerance = 1e-3;
        const auto found = step.solve(damping, kTolerance, 500);
        ASSERT_TRUE(found.has_value());
        EXPECT_EQ(found->cg_iterations == 0, dense > 0);
        HostMatrix u(hinges * width, 1);
        std::copy_n(found->change.data(), u.size(), u.data());
        const HostMatrix image = product(j, u).value;
        HostMatrix left(u.size(), 1);
        const HostMatrix back = product(transposed(j), image).value;
        const HostMatrix terms =
            product(magnitudes(transposed(j)), product(magnitudes(j), magnitudes(u)).value).value;
        double rounding = 0;
        for (Index i = 0; i < u.size(); ++i) {
          const double shift = damping[static_cast<std::size_t>(i / width)] * mass;
          left(i, 0) = gradient.value(i, 0) - back(i, 0) - shift * u(i, 0);
          rounding += std::pow(terms(i, 0) + gradient.terms(i, 0) + shift * std::abs(u(i, 0)), 2);
        }
        // Dense: a ridge of 1e-9 and rounding. Iterations stop where <left, M left> has fallen by
        // the square of the tolerance; the eigenvalues of 1 / M lie between a floor of 1e-3 and the
        // traces of its blocks, which are E S_i^2 = 1 and E z^2. Products round in single
        // precision, in every iteration.
        double trace = 1 + static_cast<double>(hinges);
        for (Index i = 0; i < z.size(); ++i) trace += z.data()[i] * z.data()[i] / kPoints;
        for (const double value : damping) trace += value;
        const double single = 0x1p-23 * (kPoints + hinges + kInputs + p + 16);
        const double bound =
            dense > 0
                ? 1e-9 * mass * norm(u) +
                      0x1p-50 * static_cast<double>(u.size() * kPoints) * std::sqrt(rounding)
                : kTolerance * std::sqrt(trace / 1e-3) * norm(gradient.value) +
                      single * static_cast<double>(1 + found->cg_iterations) * std::sqrt(rounding);
        EXPECT_TRUE(at_most(norm(left), bound));
        // |r - J u|^2 = |r|^2 - <J^T r, u> - sum of damping |u|^2 + <left, u>, and J^T r is
        // rounded.
        double promised = 0;
        for (Index i = 0; i < r.size(); ++i) promised += std::pow(r(i, 0) - image(i, 0), 2);
        EXPECT_TRUE(
            at_most(std::abs(found->predicted * static_cast<double>(kPoints * p) - promised),
                    norm(u) * (bound + single * std::sqrt(rounding)) + 1e-12 * norm(r) * norm(r)));
        EXPECT_LT(found->predicted, at->mean_square);
      }
    }
  }
}

TEST_P(HyperplaneStepTest, PlanesMoveByTheirChangeAndKeepTheirSide) {
  Hyperplanes at(2, 1);
  at.add({3, 4}, 5);  // (.6, .8), 1
  at.add({0, 1}, -2);
  at.scales(0, 0) = -2;
  at.scales(1, 0) = 1;
  // theta = -2 (.6, .8, 1) + (-.6, -.8, -2) = -(1.8, 2.4, 4); the second vanishes and stays.
  const HostMatrix moved = moved_planes(at, {{-.6, -.8, -2}, {0, -1, 7}, {9, 9, 9}});
  const HostMatrix expected = {{.6, .8, 4 / 3.0}, {0, 1, -2}};
  EXPECT_TRUE(near_sum(moved, expected, {{1, 1, 4}, {1, 1, 2}}, 4));
}

}  // namespace
}  // namespace crease
