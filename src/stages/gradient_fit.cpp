// What fans say is wrong with the weights of a network.
#include "src/stages/gradient_fit.hpp"

#include <algorithm>
#include <cmath>

#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kDoubt = 12;  // standard deviations, root mean square over a row: a wrong pattern
constexpr int kSettledSweep = 2;      // with several outputs the first leaves what is not linear
constexpr double kLeastTurn = 1e-14;  // prior of a direction: nothing is known better

double rms(const double* values, Index n) {
  return std::sqrt(dot(values, values, n) / static_cast<double>(n));
}

/// x - 2 v <v, x>: takes a unit vector to plus or minus an axis.
struct Reflection {
  std::vector<double> v;
  Index axis = 0;
};

std::vector<Reflection> reflections_of(const UnitNetwork& network) {
  const Index p = network.output_count();
  std::vector<Reflection> all;
  for (Index i = 0; i < network.neurons(); ++i) {
    Reflection one;
    one.v.assign(network.outputs.row(i), network.outputs.row(i) + p);
    for (Index o = 1; o < p; ++o) {
      if (std::abs(network.outputs(i, o)) > std::abs(network.outputs(i, one.axis))) one.axis = o;
    }
    double& largest = one.v[static_cast<std::size_t>(one.axis)];
    largest += largest < 0 ? -1.0 : 1.0;
    one.v = unit_vector(std::move(one.v));
    all.push_back(std::move(one));
  }
  return all;
}

/// Rows and columns of every neuron's block reflected.   matrix [k p, k p], symmetric.
void reflect_both(const std::vector<Reflection>& reflections, Index p, HostMatrix& matrix) {
  const Index n = matrix.rows();
  for (std::size_t i = 0; i < reflections.size(); ++i) {
    const std::vector<double>& v = reflections[i].v;
    const Index first = static_cast<Index>(i) * p;
    std::vector<double> along(static_cast<std::size_t>(n), 0.0);
    for (Index o = 0; o < p; ++o) {
      for (Index c = 0; c < n; ++c) {
        along[static_cast<std::size_t>(c)] += v[static_cast<std::size_t>(o)] * matrix(first + o, c);
      }
    }
    for (Index o = 0; o < p; ++o) {
      for (Index c = 0; c < n; ++c) {
        matrix(first + o, c) -=
            2 * v[static_cast<std::size_t>(o)] * along[static_cast<std::size_t>(c)];
      }
    }
    for (Index r = 0; r < n; ++r) {
      const double share = dot(matrix.row(r) + first, v.data(), p);
      for (Index o = 0; o < p; ++o) {
        matrix(r, first + o) -= 2 * share * v[static_cast<std::size_t>(o)];
      }
    }
  }
}

}  // namespace

GradientFit::GradientFit(Device& device, const UnitNetwork& network, std::vector<FanRows> rows,
                         std::vector<double> prior)
    : device_(device),
      rows_(std::move(rows)),
      prior_(std::move(prior)),
      coefficients_(coefficients(network, rows_)) {
  const auto unknowns = static_cast<Index>(prior_.size());
  data_ = static_cast<Index>(rows_.size()) * network.output_count();
  for (Index i = 0; i < network.neurons(); ++i) {
    const double turn = std::max(prior_[static_cast<std::size_t>(i)] / network.size(i), kLeastTurn);
    turn_prior_.push_back(network.output_count() > 1 ? turn : 0.0);
  }
  for (const FanRows& row : rows_) sigma_.insert(sigma_.end(), row.sigma.begin(), row.sigma.end());
  std::vector<double> unit(prior_.size(), 0.0);
  for (Index i = 0; i < unknowns; ++i) {
    unit[static_cast<std::size_t>(i)] = 1;
    coefficients_.append_row(unit.data(), unknowns);
    unit[static_cast<std::size_t>(i)] = 0;
    sigma_.push_back(prior_[static_cast<std::size_t>(i)]);
  }
  factor(network);
}

void GradientFit::factor(const UnitNetwork& network) {
  fit_.emplace(device_, coefficients_, sigma_, prior_);
  covariance_ = fit_->covariance();
  if (network.output_count() > 1 && network.neurons() > 0) factor_directions(network);
}

HostMatrix GradientFit::with_prior(const HostMatrix& residual) const {
  HostMatrix out(coefficients_.rows(), residual.cols());
  std::copy_n(residual.data(), residual.size(), out.data());
  return out;
}

/// With D[(m, o), (i, o)] = 1 where fan m is in the half space of neuron i, and (I - P) the
/// projection away from what weights can explain, both by the rows' weights: turning outputs_i by
/// t_i changes input c of row (m, o) by weights_i[c] t_i[o], so that the normal equations are
///   sum over (i', o') of (D^T (I - P) D) <weights_i, weights_i'> t = weights_i (D^T (I - P) R)^T.
void GradientFit::factor_directions(const UnitNetwork& network) {
  const Index k = network.neurons();
  const Index p = network.output_count();
  HostMatrix d(coefficients_.rows(), k * p);
  for (Index r = 0; r < data_; ++r) {
    const FanRows& row = rows_[static_cast<std::size_t>(r / p)];
    for (Index i = 0; i < k; ++i) {
      if (row.active[static_cast<std::size_t>(i)]) d(r, i * p + r % p) = 1;
    }
  }
  const HostMatrix explained_by = fit_->solve(d);  // [k + p, k p]
  HostMatrix left = product(device_, coefficients_, Transpose::no, explained_by, Transpose::no);
  for (Index r = 0; r < left.rows(); ++r) {
    const double sigma = sigma_[static_cast<std::size_t>(r)];
    for (Index c = 0; c < left.cols(); ++c) left(r, c) = (d(r, c) - left(r, c)) / sigma;
  }
  HostMatrix information = product(device_, left, Transpose::yes, left, Transpose::no);
  const HostMatrix gram =
      product(device_, network.weights, Transpose::no, network.weights, Transpose::yes);
  for (Index a = 0; a < k * p; ++a) {
    for (Index b = 0; b < k * p; ++b) information(a, b) *= gram(a / p, b / p);
  }
  // In coordinates across each direction: its length is no unknown.
  const std::vector<Reflection> reflections = reflections_of(network);
  reflect_both(reflections, p, information);
  std::vector<double> size;
  for (Index a = 0; a < k * p; ++a) {
    const Index i = a / p;
    if (a % p == reflections[static_cast<std::size_t>(i)].axis) {
      for (Index b = 0; b < k * p; ++b) information(a, b) = information(b, a) = 0;
      information(a, a) = 1;
    } else {
      const double turn = turn_prior_[static_cast<std::size_t>(i)];
      information(a, a) += 1 / (turn * turn);
    }
    size.push_back(std::sqrt(information(a, a)));
  }
  HostMatrix unit(k * p, k * p);
  for (Index a = 0; a < k * p; ++a) {
    for (Index b = 0; b < k * p; ++b) {
      information(a, b) /= size[static_cast<std::size_t>(a)] * size[static_cast<std::size_t>(b)];
    }
    unit(a, a) = 1;
  }
  DeviceMatrix lower = upload(device_, information);
  if (!cholesky(device_, lower)) {
    direction_covariance_ = HostMatrix();  // the directions stay as they are
    return;
  }
  DeviceMatrix inverse = upload(device_, unit);
  solve_triangular(device_, lower, Transpose::no, inverse);
  DeviceMatrix square(device_, k * p, k * p);
  multiply(device_, inverse, Transpose::yes, inverse, Transpose::no, 1.0, 0.0, square);
  direction_covariance_ = download(device_, square);
  for (Index a = 0; a < k * p; ++a) {
    const bool along = a % p == reflections[static_cast<std::size_t>(a / p)].axis;
    for (Index b = 0; b < k * p; ++b) {
      direction_covariance_(a, b) /=
          size[static_cast<std::size_t>(a)] * size[static_cast<std::size_t>(b)];
    }
    if (along) direction_covariance_(a, a) = 0;
  }
  reflect_both(reflections, p, direction_covariance_);
  HostMatrix spread(k * p, k * p);  // what one input sees of it, on average
  for (Index a = 0; a < k * p; ++a) {
    for (Index b = 0; b < k * p; ++b) {
      spread(a, b) =
          direction_covariance_(a, b) * gram(a / p, b / p) / static_cast<double>(network.inputs());
    }
  }
  const HostMatrix added =
      product(device_, product(device_, explained_by, Transpose::no, spread, Transpose::no),
              Transpose::no, explained_by, Transpose::yes);
  for (Index i = 0; i < covariance_.size(); ++i) covariance_.data()[i] += added.data()[i];
}

double GradientFit::turn_error(Index neuron) const {
  if (direction_covariance_.empty()) return turn_prior_[static_cast<std::size_t>(neuron)];
  const Index p = direction_covariance_.rows() / static_cast<Index>(turn_prior_.size());
  double sum = 0;
  for (Index a = neuron * p; a < (neuron + 1) * p; ++a) sum += direction_covariance_(a, a);
  return std::sqrt(std::max(sum, 0.0));
}

HostMatrix GradientFit::turn_outputs(const UnitNetwork& network, HostMatrix& residual) const {
  const Index k = network.neurons();
  const Index p = network.output_count();
  HostMatrix turns(k, p);
  if (direction_covariance_.empty()) return turns;
  const HostMatrix right = with_prior(residual);
  HostMatrix left =
      product(device_, coefficients_, Transpose::no, fit_->solve(right), Transpose::no);
  HostMatrix moment(k * p, network.inputs());
  for (Index r = 0; r < data_; ++r) {
    const double sigma = sigma_[static_cast<std::size_t>(r)];
    const FanRows& row = rows_[static_cast<std::size_t>(r / p)];
    for (Index c = 0; c < left.cols(); ++c) left(r, c) = (right(r, c) - left(r, c)) / sigma / sigma;
    for (Index i = 0; i < k; ++i) {
      if (!row.active[static_cast<std::size_t>(i)]) continue;
      double* to = moment.row(i * p + r % p);
      for (Index c = 0; c < left.cols(); ++c) to[c] += left(r, c);
    }
  }
  std::vector<double> force;
  for (Index a = 0; a < k * p; ++a) {
    force.push_back(dot(moment.row(a), network.weights.row(a / p), network.inputs()));
  }
  for (Index i = 0; i < k; ++i) {
    double along = 0;
    for (Index o = 0; o < p; ++o) {
      turns(i, o) = dot(direction_covariance_.row(i * p + o), force.data(), k * p);
      along += turns(i, o) * network.outputs(i, o);
    }
    for (Index o = 0; o < p; ++o) turns(i, o) -= along * network.outputs(i, o);
  }
  HostMatrix turned(data_, k);
  for (Index r = 0; r < data_; ++r) {
    const FanRows& row = rows_[static_cast<std::size_t>(r / p)];
    for (Index i = 0; i < k; ++i) {
      if (row.active[static_cast<std::size_t>(i)]) turned(r, i) = turns(i, r % p);
    }
  }
  const HostMatrix explained =
      product(device_, turned, Transpose::no, network.weights, Transpose::no);
  for (Index i = 0; i < residual.size(); ++i) residual.data()[i] -= explained.data()[i];
  return turns;
}

double GradientFit::sweep(UnitNetwork& network) {
  const Index k = network.neurons();
  const Index p = network.output_count();
  const Index d = network.inputs();
  const HostMatrix measured = gradient_residuals(device_, network, rows_);
  HostMatrix residual = measured;
  HostMatrix turns = turn_outputs(network, residual);
  HostMatrix correction = fit_->solve(with_prior(residual));
  if (++sweeps_ == kSettledSweep) {
    HostMatrix left = product(device_, coefficients_, Transpose::no, correction, Transpose::no);
    for (Index r = 0; r < data_; ++r) {
      for (Index c = 0; c < d; ++c) left(r, c) = residual(r, c) - left(r, c);
      double& sigma = sigma_[static_cast<std::size_t>(r)];
      const double chi = rms(left.row(r), d) / sigma;
      if (!(chi > kDoubt)) continue;
      sigma *= chi;
      ++doubted_;
    }
    if (doubted_ > 0) {
      factor(network);
      residual = measured;
      turns = turn_outputs(network, residual);
      correction = fit_->solve(with_prior(residual));
    }
  }
  double largest = 0;
  for (Index i = 0; i < k; ++i) {
    double square = 0;
    for (Index o = 0; o < p; ++o) {
      network.outputs(i, o) += turns(i, o);
      square += network.outputs(i, o) * network.outputs(i, o);
    }
    for (Index o = 0; p > 1 && o < p; ++o) network.outputs(i, o) /= std::sqrt(square);
    for (Index c = 0; c < d; ++c) {
      network.weights(i, c) += correction(i, c);
      largest = std::max(largest, std::abs(correction(i, c)));
    }
  }
  for (Index o = 0; o < p; ++o) {
    for (Index c = 0; c < d; ++c) network.gradient(o, c) += correction(k + o, c);
  }
  return largest;
}

}  // namespace crease
