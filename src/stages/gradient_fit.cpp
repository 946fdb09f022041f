// What fans say is wrong with the weights of a network.
#include "src/stages/gradient_fit.hpp"

#include <algorithm>
#include <cmath>

#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
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

/// Heights that say no more than the side: [n, k], 1 or -1.
HostMatrix sides_of(const std::vector<FanRows>& rows, Index k) {
  HostMatrix sides(static_cast<Index>(rows.size()), k, -1.0);
  for (std::size_t m = 0; m < rows.size(); ++m) {
    for (Index i = 0; i < k; ++i) {
      if (rows[m].active[static_cast<std::size_t>(i)]) sides(static_cast<Index>(m), i) = 1;
    }
  }
  return sides;
}

}  // namespace

GradientFit::GradientFit(Device& device, const UnitNetwork& network, std::vector<FanRows> rows,
                         std::vector<double> prior, Index most_bytes)
    : device_(device),
      most_bytes_(most_bytes),
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
  turning_.reset();
  fit_.emplace(device_, coefficients_, sigma_, prior_);
  covariance_ = fit_->covariance();
  if (network.output_count() > 1 && network.neurons() > 0) factor_directions(network);
}

HostMatrix GradientFit::with_prior(const HostMatrix& residual) const {
  HostMatrix out(coefficients_.rows(), residual.cols());
  std::copy_n(residual.data(), residual.size(), out.data());
  return out;
}

/// Turns t_i of outputs_i across itself, with a prior of their own: the inverse of what fans know
/// of them beside all weights. What they are uncertain by is, through the fit, on the weights as
/// well.
void GradientFit::factor_directions(const UnitNetwork& network) {
  direction_covariance_ = HostMatrix();
  const Index unknowns = network.neurons() * (network.output_count() - 1);
  const Index numbers = most_bytes_ / kDoubleBytes;
  // The system, its factor and its inverse; where they do not fit the directions stay as they are.
  if (unknowns > numbers / (3 * unknowns)) return;
  turning_.emplace(device_, *fit_, network.outputs, sides_of(rows_, network.neurons()),
                   network.weights, most_bytes_);
  HostMatrix information = turning_->information();
  std::vector<double> size;
  for (Index a = 0; a < unknowns; ++a) {
    const double turn = turn_prior_[static_cast<std::size_t>(a / (network.output_count() - 1))];
    information(a, a) += 1 / (turn * turn);
    size.push_back(std::sqrt(information(a, a)));
  }
  HostMatrix unit = identity(unknowns);
  for (Index a = 0; a < unknowns; ++a) {
    for (Index b = 0; b < unknowns; ++b) {
      information(a, b) /= size[static_cast<std::size_t>(a)] * size[static_cast<std::size_t>(b)];
    }
  }
  DeviceMatrix lower = upload(device_, information);
  if (!cholesky(device_, lower)) return;
  DeviceMatrix inverse = upload(device_, unit);
  solve_triangular(device_, lower, Transpose::no, inverse);
  multiply(device_, inverse, Transpose::yes, inverse, Transpose::no, 1.0, 0.0, lower);
  direction_covariance_ = download(device_, lower);
  HostMatrix spread(unknowns, unknowns);  // what one input sees of it, on average
  for (Index a = 0; a < unknowns; ++a) {
    for (Index b = 0; b < unknowns; ++b) {
      double& covariance = direction_covariance_(a, b);
      covariance /= size[static_cast<std::size_t>(a)] * size[static_cast<std::size_t>(b)];
      spread(a, b) = covariance * turning_->alike(a, b) / static_cast<double>(network.inputs());
    }
  }
  const HostMatrix explained = turning_->explained();
  const HostMatrix added =
      product(device_, product(device_, explained, Transpose::no, spread, Transpose::no),
              Transpose::no, explained, Transpose::yes);
  for (Index i = 0; i < covariance_.size(); ++i) covariance_.data()[i] += added.data()[i];
}

double GradientFit::turn_error(Index neuron) const {
  const auto neurons = static_cast<Index>(turn_prior_.size());
  if (direction_covariance_.empty()) return turn_prior_[static_cast<std::size_t>(neuron)];
  const Index each = direction_covariance_.rows() / neurons;
  double sum = 0;
  for (Index a = neuron * each; a < (neuron + 1) * each; ++a) sum += direction_covariance_(a, a);
  return std::sqrt(std::max(sum, 0.0));
}

HostMatrix GradientFit::turn_outputs(const UnitNetwork& network, HostMatrix& residual) const {
  const Index k = network.neurons();
  const Index p = network.output_count();
  if (direction_covariance_.empty()) return HostMatrix(k, p);
  const std::vector<double> force = turning_->toward(fit_->unexplained(with_prior(residual)));
  std::vector<double> step;
  for (Index a = 0; a < turning_->unknowns(); ++a) {
    step.push_back(dot(direction_covariance_.row(a), force.data(), turning_->unknowns()));
  }
  HostMatrix turns = turning_->turns(step);
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
