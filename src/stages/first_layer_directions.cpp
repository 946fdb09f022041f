// Weights of the first layer, one neuron at a time, to the accuracy of the answers.
#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/activations.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/corner_points.hpp"
#include "src/stages/corners.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kRowsOfUnknown = 1.5;
constexpr Index kMoreRows = 8;
constexpr double kWidest = 1;  // arguments, where g bends; sigmoid: twice of it
constexpr int kSteps = 4;
constexpr Index kFewSigns = 16;      // have few short corners: theirs stay random, ...
constexpr Index kRandomCorners = 4;  // ... and every fourth one of more signs
constexpr int kPasses = 3;           // over the signs of the others

/// With the orthogonal complement of the directions among them, which is its own dual: as many as
/// inputs.
SaturatedLayer completed(SaturatedLayer first) {
  const Index m = first.directions.rows(), d = first.directions.cols();
  if (m == d) return first;
  HostMatrix squares(d, d);
  for (Index i = 0; i < m; ++i) {
    for (Index a = 0; a < d; ++a) {
      for (Index b = 0; b <= a; ++b) {
        squares(a, b) += first.directions(i, a) * first.directions(i, b);
      }
    }
  }
  const HostMatrix vectors = symmetric_eigen(std::move(squares)).vectors;
  for (Index i = 0; i < d - m; ++i) {
    first.directions.append_row(vectors.row(i), d);
    first.dual.append_row(vectors.row(i), d);
  }
  return first;
}

/// Signs turned, one by one, where that makes |sum_j s_j dual_j| smaller: arguments <a_i, x> are
/// rounded to the size of x, which directions close to dependent make large at random corners.
void turn_to_shorter(const HostMatrix& dual, HostMatrix& signs) {
  const Index d = dual.rows();
  if (d < kFewSigns) return;
  HostMatrix products(d, d);
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < d; ++j) products(i, j) = dot(dual.row(i), dual.row(j), dual.cols());
  }
  for (Index row = 0; row < signs.rows(); ++row) {
    if (row % kRandomCorners == 0) continue;
    double* s = signs.row(row);
    for (int pass = 0; pass < kPasses; ++pass) {
      for (Index j = 0; j < d; ++j) {
        if (s[j] * dot(products.row(j), s, d) > products(j, j)) s[j] = -s[j];
      }
    }
  }
}

/// One neuron's argument <p, y> + shift at coordinates y of points x, the others being saturated.
/// Rows count 1 / |x|, which is what their answers' errors are like.
class NeuronFit {
 public:
  NeuronFit(const SmoothNetwork& second, Activation activation, Index neuron,
            ConstHostView coordinates, ConstHostView points, const double* values)
      : second_(second),
        activation_(activation),
        neuron_(neuron),
        y_(coordinates),
        values_(values),
        others_(coordinates.rows, second.neurons(0)) {
    const SmoothNetwork::Layer& layer = second.hidden[0];
    const Index m = layer.weights.cols();
    std::vector<double> signs(static_cast<std::size_t>(m));
    for (Index k = 0; k < y_.rows; ++k) {
      const double* x = points.data + k * points.ld;
      counts_.push_back(1 / std::max(1.0, std::sqrt(dot(x, x, points.cols))));
      for (Index j = 0; j < m; ++j) {
        signs[static_cast<std::size_t>(j)] = j == neuron ? 0 : std::copysign(1, y_(k, j));
      }
      for (Index l = 0; l < others_.cols(); ++l) {
        others_(k, l) = layer.bias(l, 0) + dot(signs.data(), layer.weights.row(l), m);
      }
    }
  }

  /// Gauss-Newton from p = scale e_neuron; [1, d + 1], the shift last.
  HostMatrix fit(double scale, double shift) const {
    HostMatrix at(1, y_.cols + 1);
    at(0, neuron_) = scale;
    at(0, y_.cols) = shift;
    double square = look(at, nullptr, nullptr);
    for (int step = 0; step < kSteps; ++step) {
      HostMatrix normal(at.cols(), at.cols());
      std::vector<double> gradient(static_cast<std::size_t>(at.cols()));
      look(at, &normal, &gradient);
      if (!solve_scaled(std::move(normal), gradient)) break;
      HostMatrix next = at;
      for (Index j = 0; j < at.cols(); ++j) next(0, j) -= gradient[static_cast<std::size_t>(j)];
      const double now = look(next, nullptr, nullptr);
      if (!(now < square)) break;
      square = now;
      at = std::move(next);
    }
    return at;
  }

 private:
  /// Sum of squares of the residuals; J^T J and J^T r where wanted.
  double look(const HostMatrix& at, HostMatrix* normal, std::vector<double>* gradient) const {
    const SmoothNetwork::Layer& layer = second_.hidden[0];
    const Index d = y_.cols;
    double square = 0;
    std::vector<double> row(static_cast<std::size_t>(d + 1));
    for (Index k = 0; k < y_.rows; ++k) {
      const double* y = y_.data + k * y_.ld;
      const double argument = dot(at.row(0), y, d) + at(0, d);
      const double z = value_in_signs(activation_, argument);
      double residual = second_.constant(0, 0) - values_[k];
      double slope = 0;
      for (Index l = 0; l < others_.cols(); ++l) {
        const double weight = layer.weights(l, neuron_);
        const double inner = others_(k, l) + z * weight;
        residual += second_.output(0, l) * activation_at(layer.activation, 0, inner);
        if (normal != nullptr) {
          slope += second_.output(0, l) * activation_at(layer.activation, 1, inner) * weight;
        }
      }
      const double count = counts_[static_cast<std::size_t>(k)];
      residual *= count;
      square += residual * residual;
      if (normal == nullptr) continue;
      slope *= count * value_in_signs(activation_, argument, 1);
      for (Index j = 0; j < d; ++j) row[static_cast<std::size_t>(j)] = slope * y[j];
      row.back() = slope;
      for (Index i = 0; i <= d; ++i) {
        const double left = row[static_cast<std::size_t>(i)];
        double* to = normal->row(i);
        for (Index j = 0; j <= i; ++j) to[j] += left * row[static_cast<std::size_t>(j)];
        (*gradient)[static_cast<std::size_t>(i)] += left * residual;
      }
    }
    return square;
  }

  /// x <- a^-1 x with a's diagonal scaled to ones: saturated coordinates are large.
  static bool solve_scaled(HostMatrix a, std::vector<double>& x) {
    const Index n = a.rows();
    std::vector<double> scales;
    for (Index i = 0; i < n; ++i) {
      if (!(a(i, i) > 0)) return false;
      scales.push_back(1 / std::sqrt(a(i, i)));
    }
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j <= i; ++j) {
        a(i, j) *= scales[static_cast<std::size_t>(i)] * scales[static_cast<std::size_t>(j)];
        a(j, i) = a(i, j);
      }
      x[static_cast<std::size_t>(i)] *= scales[static_cast<std::size_t>(i)];
    }
    if (!solve_positive(std::move(a), x)) return false;
    for (Index i = 0; i < n; ++i) {
      x[static_cast<std::size_t>(i)] *= scales[static_cast<std::size_t>(i)];
    }
    return true;
  }

  const SmoothNetwork& second_;
  Activation activation_;
  Index neuron_;
  ConstHostView y_;
  const double* values_;
  std::vector<double> counts_;
  HostMatrix others_;  // [n, k]: bias and the other signs' part
};

}  // namespace

SmoothNetwork with_exact_directions(Asker& asker, Random& random, const SaturatedLayer& first,
                                    const SmoothNetwork& second, SmoothNetwork network,
                                    const std::function<bool()>& stop) {
  Device& device = asker.device();
  const Index m = first.directions.rows();
  const Index d = first.directions.cols();
  const SaturatedLayer all = completed(first);
  SaturatedLayer as_it_is;
  as_it_is.dual = identity(d);
  const double widest = first.activation == Activation::sigmoid ? 2 * kWidest : kWidest;
  const auto rows = static_cast<Index>(kRowsOfUnknown * static_cast<double>(d + 1)) + kMoreRows;
  const Index most = std::clamp<Index>(kChunkBytes / (rows * d * kDoubleBytes), 1, m);
  SmoothNetwork::Layer& layer = network.hidden[0];
  const SmoothNetwork as_it_was = network;
  HostMatrix numbers(m, d);
  for (Index top = 0; top < m; top += most) {
    const Index count = std::min(most, m - top);
    HostMatrix coordinates = random_signs(random, count * rows, d);
    turn_to_shorter(all.dual, coordinates);
    for (Index i = 0; i < coordinates.size(); ++i) coordinates.data()[i] *= first.reach;
    std::vector<double> scales;
    for (Index i = 0; i < count; ++i) {
      scales.push_back(dot(layer.weights.row(top + i), first.dual.row(top + i), d));
      for (Index k = 0; k < rows; ++k) {
        coordinates(i * rows + k, top + i) =
            (random.uniform(-widest, widest) - layer.bias(top + i, 0)) / scales.back();
      }
    }
    // Duals are dual to a rounding that their size multiplies: what a point's coordinates are is
    // asked of the point.
    const HostMatrix x = product(device, coordinates, Transpose::no, all.dual, Transpose::no);
    coordinates = product(device, x, Transpose::no, all.directions, Transpose::yes);
    const HostMatrix values = values_at(asker, as_it_is, x, 1);
    for (Index i = 0; i < count; ++i) {
      if (stop && stop()) return as_it_was;
      const NeuronFit neuron(second, first.activation, top + i,
                             coordinates.view().row_block(i * rows, rows),
                             x.view().row_block(i * rows, rows), values.row(i * rows));
      const HostMatrix at = neuron.fit(scales[static_cast<std::size_t>(i)], layer.bias(top + i, 0));
      std::copy(at.row(0), at.row(0) + d, numbers.row(top + i));
      layer.bias(top + i, 0) = at(0, d);
    }
  }
  layer.weights = product(device, numbers, Transpose::no, all.directions, Transpose::no);
  return network;
}

}  // namespace crease
