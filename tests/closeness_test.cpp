// Closeness of neurons: the paper's lemmas on random neurons, and what merging keeps.
#include <gtest/gtest.h>

#include <crease/closeness.hpp>
#include <crease/gaussian.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

using Engine = std::mt19937_64;

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

double norm(const std::vector<double>& a) {
  return std::sqrt(dot(a, a));
}

Neuron scaled(Neuron neuron, double factor) {
  for (double& w : neuron.weights) w *= factor;
  neuron.threshold *= factor;
  return neuron;
}

Neuron random_neuron(Engine& engine, std::size_t d) {
  std::normal_distribution<double> normal;
  Neuron neuron{std::vector<double>(d), normal(engine)};
  for (double& w : neuron.weights) w = normal(engine);
  return neuron;
}

// A neuron near another, in any orientation and scale.
Neuron neighbour(Engine& engine, const Neuron& neuron, double distance) {
  const double length = norm(neuron.weights);
  Neuron other = random_neuron(engine, neuron.weights.size());
  other.threshold = neuron.threshold + distance * length * other.threshold;
  for (std::size_t i = 0; i < neuron.weights.size(); ++i) {
    other.weights[i] = neuron.weights[i] + distance * length * other.weights[i];
  }
  const double factor = std::uniform_real_distribution<double>(0.2, 3.0)(engine);
  return scaled(other, engine() % 2 == 0 ? factor : -factor);
}

// The two sides of Definition 3.1 as it is written.
struct Closeness {
  double sine = 0, alpha = 0;
};

Closeness closeness(const Neuron& a, const Neuron& b) {
  const double lengths = norm(a.weights) * norm(b.weights);
  const double cosine = dot(a.weights, b.weights) / lengths;
  std::vector<double> difference(a.weights.size());
  for (std::size_t i = 0; i < difference.size(); ++i) {
    difference[i] = a.threshold * b.weights[i] - b.threshold * a.weights[i];
  }
  return {std::sqrt(std::max(0.0, 1.0 - cosine * cosine)), norm(difference) / lengths};
}

// 1 - cos^2 is right to a few eps, so its root to this: the tests' own rounding.
constexpr double kRounding = 1e-7;

TEST(ClosenessTest, AreCloseIsDefinitionThreeOne) {
  Engine engine(1);
  for (int trial = 0; trial < 500; ++trial) {
    const Neuron a = random_neuron(engine, 4);
    const Neuron b = neighbour(engine, a, std::pow(10.0, -1.0 - trial % 4));
    const auto [sine, alpha] = closeness(a, b);

    EXPECT_TRUE(are_close(a, b, sine + kRounding, alpha + kRounding));
    EXPECT_FALSE(are_close(a, b, 0.9 * sine, alpha + 1.0));
    EXPECT_FALSE(are_close(a, b, sine + kRounding, 0.9 * alpha));
  }
}

TEST(ClosenessTest, ItIsSymmetricAndFreeOfScaleAndOrientation) {
  Engine engine(2);
  int close = 0;
  for (int trial = 0; trial < 500; ++trial) {
    const Neuron a = random_neuron(engine, 3);
    const Neuron b = neighbour(engine, a, 0.1);
    const bool answer = are_close(a, b, 0.1, 0.2);
    close += answer;

    EXPECT_EQ(are_close(b, a, 0.1, 0.2), answer);
    for (const double factor : {-1.0, 0x1p-400, -0x1p400}) {
      EXPECT_EQ(are_close(scaled(a, factor), b, 0.1, 0.2), answer);
      EXPECT_EQ(are_close(a, scaled(b, factor), 0.1, 0.2), answer);
    }
  }
  EXPECT_GT(close, 50);  // both answers occur
  EXPECT_LT(close, 450);
}

TEST(ClosenessTest, MultiplesOfOneNeuronAreCloseAtZero) {
  Engine engine(3);
  for (const std::size_t d : {1, 2, 100, 784}) {
    const Neuron a = random_neuron(engine, d);
    for (const double factor : {1.0, 3.0, -0.7, 1e-9, -1e9}) {
      EXPECT_TRUE(are_close(a, scaled(a, factor), 0.0, 0.0)) << d << " " << factor;
    }
    Neuron shifted = a;
    shifted.threshold += 1e-6 * norm(a.weights);
    EXPECT_FALSE(are_close(a, shifted, 0.0, 0.0));
    EXPECT_TRUE(are_close(a, shifted, 0.0, 1.01e-6));
  }
}

TEST(ClosenessTest, LemmaThreeTwoBoundsTheDifferenceOfScaledThresholds) {
  // v = gamma v' + a part orthogonal to v': then |gamma b' - b| <= alpha |v|.
  Engine engine(4);
  for (int trial = 0; trial < 2000; ++trial) {
    const Neuron a = random_neuron(engine, 3);
    const Neuron b = neighbour(engine, a, std::pow(10.0, -(trial % 5)));
    const double gamma = dot(a.weights, b.weights) / dot(b.weights, b.weights);

    EXPECT_LE(std::abs(gamma * b.threshold - a.threshold),
              closeness(a, b).alpha * norm(a.weights) +
                  16 * kEps * (std::abs(a.threshold) + std::abs(gamma * b.threshold)));
  }
}

TEST(ClosenessTest, LemmaThreeThreeSplitsPairwiseCloseNeuronsIntoTwoOrientations) {
  // Below Delta = sqrt(1/2) "same side" is transitive.
  Engine engine(5);
  int clusters = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    const Neuron center = random_neuron(engine, 3);
    std::vector<Neuron> cluster = {center};
    for (int i = 0; i < 4; ++i) cluster.push_back(neighbour(engine, center, 0.3));
    bool pairwise = true;
    for (const Neuron& a : cluster) {
      for (const Neuron& b : cluster) pairwise = pairwise && are_close(a, b, 0.707, 1e3);
    }
    if (!pairwise) continue;
    ++clusters;
    const auto same_side = [&](std::size_t i, std::size_t j) {
      return dot(cluster[i].weights, cluster[j].weights) >= 0;
    };
    for (std::size_t i = 0; i < 5; ++i) {
      for (std::size_t j = 0; j < 5; ++j) {
        EXPECT_EQ(same_side(i, j), same_side(0, i) == same_side(0, j));
      }
    }
  }
  EXPECT_GT(clusters, 100);
}

TEST(ClosenessTest, LemmaThreeFiveIsATriangleInequality) {
  Engine engine(6);
  for (int trial = 0; trial < 2000; ++trial) {
    const Neuron a = random_neuron(engine, 3);
    const Neuron b = neighbour(engine, a, std::pow(10.0, -(trial % 5)));
    const Neuron c = neighbour(engine, b, std::pow(10.0, -(trial / 5 % 5)));
    const auto [first_sine, first_alpha] = closeness(a, b);
    const auto [second_sine, second_alpha] = closeness(b, c);

    EXPECT_TRUE(are_close(a, c, first_sine + second_sine + kRounding,
                          2 * first_alpha + 2 * second_alpha + 16 * kEps));
  }
}

TEST(ClosenessTest, BadArgumentsAreRefused) {
  const Neuron a = {{1, 0}, 0};
  const Neuron nothing = {{0, 0}, 1};
  const Neuron wider = {{1, 0, 0}, 0};

  EXPECT_THROW(are_close(a, wider, 0.1, 0.1), BadInput);
  EXPECT_THROW(are_close(a, nothing, 0.1, 0.1), BadInput);
  EXPECT_THROW(are_close(a, a, -0.1, 0.1), BadInput);
  EXPECT_THROW(are_close(a, a, 0.1, std::nan("")), BadInput);
  EXPECT_THROW(are_close(a, {{1, std::nan("")}, 0}, 0.1, 0.1), BadInput);
  const ReluNetwork network(2, 1, 1);
  EXPECT_THROW(merge_close(network, 0.71, 0.1), BadInput);
  EXPECT_THROW(merge_close(network, -0.1, 0.1), BadInput);
  EXPECT_THROW(merge_close(network, 0.1, -0.1), BadInput);
}

// ------------------------------------------------------------------------------------------------
// merging

// Rows (w, bias), columns u.
ReluNetwork network_of(const std::vector<std::vector<double>>& rows,
                       const std::vector<std::vector<double>>& outputs) {
  ReluNetwork network(static_cast<Index>(rows[0].size()) - 1, static_cast<Index>(rows.size()),
                      static_cast<Index>(outputs[0].size()));
  for (Index j = 0; j < network.neurons(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    for (Index i = 0; i < network.inputs(); ++i) {
      network.weights(j, i) = rows[at][static_cast<std::size_t>(i)];
    }
    network.bias(j, 0) = rows[at].back();
    for (Index o = 0; o < network.outputs(); ++o) {
      network.output(o, j) = outputs[at][static_cast<std::size_t>(o)];
    }
  }
  return network;
}

// sqrt E |F - G|^2 under N(0, I), and the sum of |u| |w| (1 + |threshold|) it is rounded against.
double rms_distance(const ReluNetwork& f, const ReluNetwork& g) {
  ReluNetwork difference(f.inputs(), f.neurons() + g.neurons(), f.outputs());
  for (const auto& [from, first, sign] :
       {std::tuple(&f, Index{0}, 1.0), std::tuple(&g, f.neurons(), -1.0)}) {
    for (Index j = 0; j < from->neurons(); ++j) {
      for (Index i = 0; i < f.inputs(); ++i) {
        difference.weights(first + j, i) = from->weights(j, i);
      }
      difference.bias(first + j, 0) = from->bias(j, 0);
      for (Index o = 0; o < f.outputs(); ++o) {
        difference.output(o, first + j) = sign * from->output(o, j);
      }
    }
    for (Index o = 0; o < f.outputs(); ++o) {
      difference.constant(o, 0) += sign * from->constant(o, 0);
      for (Index i = 0; i < f.inputs(); ++i) {
        difference.linear(o, i) += sign * from->linear(o, i);
      }
    }
  }
  double distance = gaussian_standard_deviation(difference);
  const HostMatrix mean = gaussian_mean(difference);
  for (Index o = 0; o < mean.rows(); ++o) distance = std::hypot(distance, mean(o, 0));
  return distance;
}

bool has_linear_part(const ReluNetwork& network) {
  const double* values = network.linear.data();
  return std::any_of(values, values + network.linear.size(), [](double v) { return v != 0.0; });
}

TEST(MergeCloseTest, ExactDuplicatesMergeWithoutErrorAndWithoutALinearPart) {
  for (const double bias : {0.5, -4.0, 30.0, -30.0}) {  // the last two Gaussian points never see
    const ReluNetwork network =
        network_of({{3, 4, 5 * bias}, {6, 8, 10 * bias}, {0.6, 0.8, bias}, {0, 1, 0}},
                   {{1}, {-0.5}, {7}, {1}});

    const ReluNetwork merged = merge_close(network, 0.0, 0.0);

    ASSERT_EQ(merged.neurons(), 2);
    EXPECT_FALSE(has_linear_part(merged));
    EXPECT_LE(rms_distance(network, merged), 64 * kEps * 17 * (1 + std::abs(bias)));
    // 5 - 5 + 7 = 7 on that hyperplane, wherever it lies.
    EXPECT_NEAR(merged.output(0, 0) * std::hypot(merged.weights(0, 0), merged.weights(0, 1)), 7.0,
                64 * kEps * 17);
    EXPECT_NEAR(merged.bias(0, 0) / merged.weights(0, 0), bias / 0.6,
                64 * kEps * 17 * std::abs(bias));
  }
}

TEST(MergeCloseTest, BothOrientationsBecomeTwoNeuronsOnOneHyperplane) {
  const ReluNetwork network =
      network_of({{1, 0, 0.5}, {-2, 0, -1}, {3, 0, 1.5}, {-1, 0, -0.5}}, {{1}, {1}, {2}, {5}});

  const ReluNetwork merged = merge_close(network, 0.0, 0.0);

  ASSERT_EQ(merged.neurons(), 2);  // 1 + 2 * 3 ahead, 2 + 5 behind
  EXPECT_FALSE(has_linear_part(merged));
  EXPECT_LE(rms_distance(network, merged), 64 * kEps * 14 * 1.5);
  for (Index j = 0; j < 2; ++j) {
    EXPECT_NEAR(merged.output(0, j) * std::abs(merged.weights(j, 0)), 7.0, 64 * kEps * 7);
    EXPECT_NEAR(merged.bias(j, 0) / merged.weights(j, 0), 0.5, 8 * kEps);
  }
  EXPECT_LT(merged.weights(0, 0) * merged.weights(1, 0), 0.0);
}

TEST(MergeCloseTest, RoundingDoesNotLeaveALinearPartBehind) {
  Engine engine(10);
  for (int trial = 0; trial < 50; ++trial) {
    const Neuron neuron = random_neuron(engine, 6);
    std::vector<std::vector<double>> rows;
    for (const double factor : {1.0, -0.7, 0.3, -1.1}) {
      rows.push_back(scaled(neuron, factor).weights);
      rows.back().push_back(-factor * neuron.threshold);
    }
    const ReluNetwork network = network_of(rows, {{1}, {0.9}, {1.3}, {0.1}});

    const ReluNetwork merged = merge_close(network, 0.0, 0.0);

    ASSERT_EQ(merged.neurons(), 2);
    EXPECT_FALSE(has_linear_part(merged)) << trial;
    EXPECT_EQ(merged.constant(0, 0), 0.0) << trial;
    EXPECT_LE(rms_distance(network, merged),
              64 * kEps * 2.13 * (norm(neuron.weights) + std::abs(neuron.threshold)));
  }
}

TEST(MergeCloseTest, WhatCancelsBecomesAnAffineFunction) {
  // 3 relu(z) - relu(-3 z) = 3 z.
  const ReluNetwork network = network_of({{1, 2, 0.5}, {-3, -6, -1.5}}, {{3}, {-1}});

  const ReluNetwork merged = merge_close(network, 0.0, 0.0);

  ASSERT_EQ(merged.neurons(), 0);
  EXPECT_NEAR(merged.linear(0, 0), 3.0, 64 * kEps);
  EXPECT_NEAR(merged.linear(0, 1), 6.0, 64 * kEps);
  EXPECT_NEAR(merged.constant(0, 0), 1.5, 64 * kEps);
}

TEST(MergeCloseTest, ABumpBecomesTheBestAffineFunctionOrStays) {
  const double width = 1e-3;
  const ReluNetwork bump =
      network_of({{1, 0, -0.7}, {2, 0, -1.4 - width}, {1, 0, -0.7 - width}}, {{1}, {-1}, {1}});

  const ReluNetwork merged = merge_close(bump, 1e-6, 2 * width);

  EXPECT_EQ(merged.neurons(), 0);
  // The best affine function leaves no more than the constant does.
  EXPECT_LE(rms_distance(bump, merged), gaussian_standard_deviation(bump) * (1 + 1e-9));
  EXPECT_EQ(merge_close(bump, 1e-6, width / 4).neurons(), 3);
}

TEST(MergeCloseTest, NeuronsCloseToNobodyAndDeadOnesStayBitForBit) {
  const ReluNetwork network = network_of({{1, 0, 0}, {0, 0, 1}, {0, 1, 0}, {1, 1, 1}, {1, 0, 0.5}},
                                         {{1, 2}, {1, 1}, {0, 0}, {3, 4}, {1, 2}});

  const ReluNetwork merged = merge_close(network, 0.01, 0.01);

  ASSERT_EQ(merged.neurons(), 5);
  for (Index j = 0; j < 5; ++j) {
    for (Index i = 0; i < 2; ++i) {
      EXPECT_EQ(merged.weights(j, i), network.weights(j, i));
      EXPECT_EQ(merged.output(i, j), network.output(i, j));
    }
    EXPECT_EQ(merged.bias(j, 0), network.bias(j, 0));
  }
}

TEST(MergeCloseTest, NeuronsThatFeedDifferentOutputsAreNotMerged) {
  EXPECT_EQ(merge_close(network_of({{1, 0, 0}, {2, 0, 0}}, {{1, 0}, {0, 1}}), 0.1, 0.1).neurons(),
            2);
  EXPECT_EQ(merge_close(network_of({{1, 0, 0}, {2, 0, 0}}, {{1, 2}, {-4, -8}}), 0.1, 0.1).neurons(),
            1);
}

TEST(MergeCloseTest, TheErrorOfAMergeStaysWithinWhatItsSpreadAllows) {
  // The merged cluster differs from the cluster only where a member and the merged hyperplane
  // disagree about the side, by at most their distance there:
  //   rms <= sum |v_i| hypot(|n_i - n*|, |c_i - c*|).
  // Lemma 3.6 promises O(k^2 (Delta^(2/5) + alpha^2)) for the square, with |v_i| = 1.
  Engine engine(8);
  for (const double spread : {1e-1, 1e-2, 1e-4, 1e-6}) {
    for (int trial = 0; trial < 20; ++trial) {
      const Neuron center = scaled(random_neuron(engine, 4), 0.5);
      const double center_length = norm(center.weights);
      std::vector<std::vector<double>> rows;
      std::vector<std::vector<double>> outputs;
      std::vector<double> mean(5, 0.0);  // normal and threshold
      std::vector<std::vector<double>> oriented;
      double jumps = 0.0;
      for (int i = 0; i < 5; ++i) {
        Neuron member = neighbour(engine, center, spread / 10);
        const double length = norm(member.weights);
        const double side = dot(member.weights, center.weights) < 0 ? -1.0 : 1.0;
        // All outputs of one sign, or one of the five against the others.
        const double sign = trial % 2 == 1 && i == 4 ? -1.0 : 1.0;
        std::vector<double> row = member.weights;
        row.push_back(-member.threshold);
        rows.push_back(row);
        outputs.push_back({sign / length});  // |v_i| = 1
        std::vector<double> plane = scaled(member, side / length).weights;
        plane.push_back(side * member.threshold / length);
        for (std::size_t c = 0; c < 5; ++c) mean[c] += sign * plane[c];
        oriented.push_back(plane);
        jumps += sign;
      }
      double bound = 0.0;
      for (const std::vector<double>& plane : oriented) {
        double squares = 0.0;
        for (std::size_t c = 0; c < 5; ++c) {
          squares += std::pow(plane[c] - mean[c] / jumps, 2);
        }
        bound += std::sqrt(squares);
      }
      const ReluNetwork network = network_of(rows, outputs);
      const double threshold = std::abs(center.threshold) / center_length;
      const double delta = std::min(spread, 0.7);
      const double alpha = spread * (1 + threshold);

      const ReluNetwork merged = merge_close(network, delta, alpha);

      ASSERT_LE(merged.neurons(), 2) << spread;
      const double error = rms_distance(network, merged);
      // Rounding: the distance of networks that nearly cancel is right to 1e-8 of their sizes.
      EXPECT_LE(error, bound + 1e-8 * 10 * (1 + threshold)) << spread;
      EXPECT_LE(error * error, 25 * (std::pow(delta, 0.4) + alpha * alpha)) << spread;
      EXPECT_EQ(merged.outputs(), 1);
    }
  }
}

TEST(MergeCloseTest, SeveralOutputsMergeOutputByOutput) {
  Engine engine(9);
  const Neuron center = random_neuron(engine, 5);
  std::vector<std::vector<double>> rows;
  std::vector<std::vector<double>> outputs;
  double sizes = 0.0;
  for (int i = 0; i < 6; ++i) {
    const Neuron member = neighbour(engine, center, 1e-5);
    rows.push_back(member.weights);
    rows.back().push_back(-member.threshold);
    const double u = i % 3 == 2 ? -0.5 : 1.0;
    outputs.push_back({2 * u, -u, 3 * u});
    sizes += std::sqrt(14.0) * norm(member.weights) *
             (1 + std::abs(member.threshold) / norm(member.weights));
  }
  ReluNetwork network = network_of(rows, outputs);
  network.linear(1, 2) = 3.0;
  network.constant(2, 0) = -1.0;

  const ReluNetwork merged = merge_close(network, 1e-3, 1e-2);

  ASSERT_LE(merged.neurons(), 2);
  // Each normal and threshold is off by at most 1e-5 of five-dimensional normals, < 10 in length.
  EXPECT_LE(rms_distance(network, merged), 2 * 10 * 1e-5 * sizes);
}

TEST(MergeCloseTest, EmptyNetworksStayAsTheyAre) {
  ReluNetwork network(2, 0, 1);
  network.linear(0, 1) = 2.0;

  const ReluNetwork merged = merge_close(network, 0.1, 0.1);

  EXPECT_EQ(merged.neurons(), 0);
  EXPECT_EQ(merged.linear(0, 1), 2.0);
}

TEST(MergeCloseTest, OtherPowersAreRefused) {
  ReluNetwork network(2, 1, 1);
  network.power = 2;
  EXPECT_THROW(merge_close(network, 0.1, 0.1), BadInput);
}

}  // namespace
}  // namespace crease
