// What crease_samples learns from.
#include "bench/samples/planted.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>
#include <tuple>

#include "kernels/gaussian_sample.hpp"
#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"

namespace crease::samples {
namespace {

// Keys of the generators: never those of a learner, which is given the plain seed.
constexpr std::uint64_t kKey = std::uint64_t{1} << 40;

enum class What : std::uint64_t {
  directions,
  outputs,
  more_outputs,
  inputs,
  fresh_inputs,
  noise,
  gross,
  gross_place,
  signs,
};

HostMatrix normals(const Row& row, What what, Index rows, Index cols) {
  HostMatrix out(rows, cols);
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; j += 2) {
      const NormalPair pair = normal_pair(row.seed + kKey, static_cast<std::uint64_t>(what),
                                          static_cast<std::uint64_t>(i), j / 2);
      out(i, j) = pair.first;
      if (j + 1 < cols) out(i, j + 1) = pair.second;
    }
  }
  return out;
}

/// Uniform on (0, 1].
class Uniform {
 public:
  Uniform(const Row& row, What what)
      : engine_((row.seed + kKey) * 64 + static_cast<std::uint64_t>(what)) {}
  double operator()() { return (static_cast<double>(engine_() >> 11) + 1) * 0x1p-53; }
  double sign() { return (*this)() <= 0.5 ? 1 : -1; }

 private:
  std::mt19937_64 engine_;
};

void to_unit_rows(HostMatrix& rows) {
  for (Index i = 0; i < rows.rows(); ++i) {
    const double length = std::sqrt(dot(rows.row(i), rows.row(i), rows.cols()));
    for (Index j = 0; j < rows.cols(); ++j) rows(i, j) /= length;
  }
}

HostMatrix product(const HostMatrix& a, const HostMatrix& b) {
  HostMatrix out(a.rows(), b.cols());
  for (Index i = 0; i < a.rows(); ++i) {
    for (Index c = 0; c < a.cols(); ++c) {
      for (Index j = 0; j < b.cols(); ++j) out(i, j) += a(i, c) * b(c, j);
    }
  }
  return out;
}

/// Singular values in even ratios from 1 to 1 / condition.
HostMatrix conditioned(const Row& row) {
  const Index r = std::min(row.outputs, row.neurons);
  HostMatrix left = svd(normals(row, What::outputs, row.outputs, r)).left;
  const HostMatrix right = svd(normals(row, What::more_outputs, r, row.neurons)).right;
  for (Index i = 0; i < left.rows(); ++i) {
    for (Index j = 0; j < r; ++j) {
      left(i, j) *= std::pow(
          row.condition, -static_cast<double>(j) / static_cast<double>(std::max<Index>(1, r - 1)));
    }
  }
  return product(left, right);
}

RectifiedSum plant_two_layer(const Row& row) {
  RectifiedSum sum{normals(row, What::directions, row.neurons, row.inputs),
                   normals(row, What::outputs, row.outputs, row.neurons), row.power};
  to_unit_rows(sum.directions);
  if (row.condition > 0) sum.outputs = conditioned(row);
  if (row.rank > 0) {
    sum.outputs = product(normals(row, What::outputs, row.outputs, row.rank),
                          normals(row, What::more_outputs, row.rank, row.neurons));
  }
  return sum;
}

RectifiedSum plant_blind(const Row& row) {
  const Index k = row.family == "blind2" ? 4 : 6;
  require(row.neurons == k && row.inputs >= 2, "blind2 has 4 neurons, blind4 has 6; d >= 2");
  const HostMatrix plane = svd(normals(row, What::directions, 2, row.inputs)).right;
  Uniform uniform(row, What::signs);
  RectifiedSum sum{HostMatrix(k, row.inputs), HostMatrix(1, k), 1};
  for (Index i = 0; i < k; ++i) {
    const double turn = std::numbers::pi * static_cast<double>(i) / static_cast<double>(k);
    const double side = uniform.sign();
    for (Index j = 0; j < row.inputs; ++j) {
      sum.directions(i, j) = side * (std::cos(turn) * plane(0, j) + std::sin(turn) * plane(1, j));
    }
    sum.outputs(0, i) = i % 2 == 0 ? 1 : -1;
  }
  return sum;
}

RectifiedSum plant_narrow(const Row& row) {
  const Index k = row.neurons;
  const bool pair = row.family == "same" || row.family == "cancel";
  require(pair || row.family == "mixed", "no such family");
  require(!pair || (k >= 2 && row.inputs >= 2), "a pair needs two neurons and two inputs");
  RectifiedSum sum{normals(row, What::directions, k, row.inputs), HostMatrix(1, k), 1};
  to_unit_rows(sum.directions);
  Uniform uniform(row, What::signs);
  double signs = 0;
  for (Index i = 0; i < k; ++i) {
    const double sign = uniform.sign();
    signs += sign;
    sum.outputs(0, i) = sign * (0.5 + uniform());
  }
  if (!pair) {
    if (k > 1 && std::fabs(signs) == static_cast<double>(k)) sum.outputs(0, 0) *= -1;
    return sum;
  }
  HostMatrix across = normals(row, What::more_outputs, 1, row.inputs);
  double* first = sum.directions.row(0);
  const double along = dot(across.row(0), first, row.inputs);
  for (Index j = 0; j < row.inputs; ++j) across(0, j) -= along * first[j];
  to_unit_rows(across);
  for (Index j = 0; j < row.inputs; ++j) {
    sum.directions(1, j) = std::cos(row.angle) * first[j] + std::sin(row.angle) * across(0, j);
  }
  sum.outputs(0, 1) = row.family == "same" ? sum.outputs(0, 0) : -sum.outputs(0, 0);
  return sum;
}

}  // namespace

bool is_narrow(const Row& row) {
  return row.family != "two-layer";
}

RectifiedSum plant(const Row& row) {
  require(row.neurons >= 1 && row.inputs >= 1 && row.outputs >= 1, "sizes must be at least 1");
  if (!is_narrow(row)) return plant_two_layer(row);
  require(row.outputs == 1 && row.power == 1, "a narrow network has one output and power 1");
  if (row.family == "blind2" || row.family == "blind4") return plant_blind(row);
  return plant_narrow(row);
}

HostMatrix draw_inputs(const Row& row, Index rows, bool fresh) {
  const What what = fresh ? What::fresh_inputs : What::inputs;
  const Index d = row.inputs;
  HostMatrix x = normals(row, what, rows, d);
  Uniform uniform(row, what);
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < d; ++j) {
      double& z = x(i, j);
      if (row.input == "covariance") {  // condition 100
        z *= std::pow(10, -static_cast<double>(j) / static_cast<double>(std::max<Index>(1, d - 1)));
      } else if (row.input == "shifted") {
        z += 0.5;
      } else if (row.input == "uniform") {
        z = 1.7 * (2 * uniform() - 1);
      } else if (row.input == "signs") {
        z = uniform.sign();
      } else if (row.input == "laplace") {
        const double sign = uniform.sign();
        z = -sign * std::log(uniform());
      } else if (row.input == "t5") {
        // Five degrees of freedom: -2 ln u has two, a squared cosine of a third makes the fifth.
        const double four = -2 * std::log(uniform() * uniform());
        const double radius = -2 * std::log(uniform());
        const double one = radius * std::pow(std::cos(2 * std::numbers::pi * uniform()), 2);
        z /= std::sqrt((four + one) / 5);
      } else {
        require(row.input == "gaussian", "no such kind of inputs");
      }
    }
  }
  return x;
}

HostMatrix values(Device& device, const RectifiedSum& sum, const HostMatrix& x) {
  const DeviceMatrix points = upload(device, x);
  DeviceMatrix f(device, x.rows(), sum.neurons()), y(device, x.rows(), sum.outputs.rows());
  rectified_features(device, points, upload(device, sum.directions), sum.power, f);
  multiply(device, f, Transpose::no, upload(device, sum.outputs), Transpose::yes, 1.0, 0.0, y);
  return download(device, y);
}

Planted draw_examples(Device& device, const Row& row, const RectifiedSum& truth) {
  Planted planted;
  planted.x = draw_inputs(row, row.rows, false);
  planted.y = values(device, truth, planted.x);
  HostMatrix& y = planted.y;
  double squares = 0;
  for (Index i = 0; i < y.size(); ++i) squares += y.data()[i] * y.data()[i];
  planted.size = std::sqrt(squares / static_cast<double>(y.size()));
  const HostMatrix noise = normals(row, What::noise, row.noise > 0 ? y.rows() : 0, y.cols());
  const HostMatrix gross = normals(row, What::gross, row.gross > 0 ? y.rows() : 0, y.cols());
  Uniform place(row, What::gross_place);
  for (Index i = 0; i < y.size(); ++i) {
    if (row.noise > 0) y.data()[i] += row.noise * planted.size * noise.data()[i];
    if (row.gross > 0 && place() <= row.gross) {
      y.data()[i] += row.gross_size * planted.size * gross.data()[i];
    }
  }
  return planted;
}

double parameter_error(const RectifiedSum& truth, RectifiedSum found) {
  const Index k = truth.neurons();
  if (found.neurons() != k) return std::numeric_limits<double>::infinity();
  for (Index i = 0; i < k; ++i) {  // f(a z) = a^power f(z)
    double* v = found.directions.row(i);
    const double length = std::sqrt(dot(v, v, found.directions.cols()));
    for (Index j = 0; j < found.directions.cols(); ++j) v[j] /= length;
    for (Index o = 0; o < found.outputs.rows(); ++o) {
      found.outputs(o, i) *= std::pow(length, found.power);
    }
  }
  std::vector<std::tuple<double, Index, Index>> pairs;
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j < k; ++j) {
      pairs.emplace_back(
          -dot(truth.directions.row(i), found.directions.row(j), truth.directions.cols()), i, j);
    }
  }
  std::sort(pairs.begin(), pairs.end());
  double largest_output = 0;
  for (Index i = 0; i < truth.outputs.size(); ++i) {
    largest_output = std::max(largest_output, std::fabs(truth.outputs.data()[i]));
  }
  std::vector<bool> of_truth(static_cast<std::size_t>(k)), of_found(static_cast<std::size_t>(k));
  double worst = 0;
  for (const auto& [cosine, i, j] : pairs) {
    if (of_truth[static_cast<std::size_t>(i)] || of_found[static_cast<std::size_t>(j)]) continue;
    of_truth[static_cast<std::size_t>(i)] = of_found[static_cast<std::size_t>(j)] = true;
    for (Index c = 0; c < truth.directions.cols(); ++c) {
      worst = std::max(worst, std::fabs(truth.directions(i, c) - found.directions(j, c)));
    }
    for (Index o = 0; o < truth.outputs.rows(); ++o) {
      worst =
          std::max(worst, std::fabs(truth.outputs(o, i) - found.outputs(o, j)) / largest_output);
    }
  }
  return worst;
}

}  // namespace crease::samples
