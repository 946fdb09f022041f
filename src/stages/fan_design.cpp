// Variances of what is wanted, and the greedy choice of what lowers them.
#include "src/stages/fan_design.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/stages/numbers.hpp"

namespace crease {

FanDesign::FanDesign(std::vector<double> prior, std::vector<double> wanted)
    : covariance_(static_cast<Index>(prior.size()), static_cast<Index>(prior.size())),
      wanted_(std::move(wanted)) {
  for (std::size_t i = 0; i < prior.size(); ++i) {
    covariance_(static_cast<Index>(i), static_cast<Index>(i)) = prior[i] * prior[i];
  }
}

void FanDesign::add(const double* row, double sigma) {
  const Index q = size();
  std::vector<double> through(static_cast<std::size_t>(q));
  for (Index i = 0; i < q; ++i) {
    through[static_cast<std::size_t>(i)] = dot(covariance_.row(i), row, q);
  }
  const double variance = sigma * sigma + dot(through.data(), row, q);
  if (!(variance > 0) || !std::isfinite(variance)) return;
  for (Index i = 0; i < q; ++i) {
    const double share = through[static_cast<std::size_t>(i)] / variance;
    if (share == 0) continue;
    double* to = covariance_.row(i);
    for (Index j = 0; j < q; ++j) to[j] -= share * through[static_cast<std::size_t>(j)];
  }
}

void FanDesign::add(const HostMatrix& rows, const std::vector<double>& sigma) {
  for (Index i = 0; i < rows.rows(); ++i) add(rows.row(i), sigma[static_cast<std::size_t>(i)]);
}

bool FanDesign::all_good() const {
  for (Index i = 0; i < size(); ++i) {
    if (!good(i)) return false;
  }
  return true;
}

std::vector<double> FanDesign::weights() const {
  std::vector<double> out(wanted_.size(), 0.0);
  for (Index i = 0; i < size(); ++i) {
    const auto ii = static_cast<std::size_t>(i);
    if (!good(i)) out[ii] = 1 / (wanted_[ii] * wanted_[ii]);
  }
  return out;
}

std::vector<Index> FanDesign::bad_neurons(Index k) const {
  std::vector<Index> bad;
  for (Index i = 0; i < k; ++i) {
    if (!good(i)) bad.push_back(i);
  }
  const std::vector<double> weight = weights();
  const auto excess = [&](Index i) {
    return covariance_(i, i) * weight[static_cast<std::size_t>(i)];
  };
  std::stable_sort(bad.begin(), bad.end(), [&](Index a, Index b) { return excess(a) > excess(b); });
  return bad;
}

Greedy::Greedy(FanDesign& design, HostMatrix rows, std::vector<double> sigma, Index group)
    : design_(design),
      rows_(std::move(rows)),
      sigma_(std::move(sigma)),
      group_(group),
      through_(rows_.rows(), rows_.cols()),
      used_(sigma_.size() / static_cast<std::size_t>(group), false) {
  const Index q = rows_.cols();
  const HostMatrix& covariance = design_.covariance();
  for (Index i = 0; i < rows_.rows(); ++i) {
    const double* row = rows_.row(i);
    double* to = through_.row(i);
    for (Index j = 0; j < q; ++j) {
      if (row[j] == 0) continue;
      const double* from = covariance.row(j);
      for (Index c = 0; c < q; ++c) to[c] += row[j] * from[c];
    }
    variance_.push_back(dot(to, row, q));
    if (!std::isfinite(sigma_[static_cast<std::size_t>(i)])) {
      used_[static_cast<std::size_t>(i / group_)] = true;
    }
  }
}

Index Greedy::next(double least) {
  const Index q = rows_.cols();
  const std::vector<double> weight = design_.weights();
  double left = 0;
  for (Index i = 0; i < q; ++i) {
    left += design_.covariance()(i, i) * weight[static_cast<std::size_t>(i)];
  }
  Index best = -1;
  double best_score = 0;
  for (std::size_t m = 0; m < used_.size(); ++m) {
    if (used_[m]) continue;
    double score = 0;
    for (Index g = 0; g < group_; ++g) {
      const Index row = static_cast<Index>(m) * group_ + g;
      const double* through = through_.row(row);
      double gain = 0;
      for (Index c = 0; c < q; ++c) {
        gain += through[c] * through[c] * weight[static_cast<std::size_t>(c)];
      }
      const auto r = static_cast<std::size_t>(row);
      score += gain / (sigma_[r] * sigma_[r] + std::max(variance_[r], 0.0));
    }
    if (score > best_score) {
      best_score = score;
      best = static_cast<Index>(m);
    }
  }
  if (best < 0 || best_score <= least * left) return -1;
  used_[static_cast<std::size_t>(best)] = true;
  for (Index g = 0; g < group_; ++g) {
    const Index chosen = best * group_ + g;
    const auto c = static_cast<std::size_t>(chosen);
    const std::vector<double> through(through_.row(chosen), through_.row(chosen) + q);
    const double variance = sigma_[c] * sigma_[c] + std::max(variance_[c], 0.0);
    design_.add(rows_.row(chosen), sigma_[c]);
    for (Index i = 0; i < rows_.rows(); ++i) {
      const double shared = dot(rows_.row(i), through.data(), q);
      if (shared == 0) continue;
      double* to = through_.row(i);
      for (Index j = 0; j < q; ++j) {
        to[j] -= shared / variance * through[static_cast<std::size_t>(j)];
      }
      variance_[static_cast<std::size_t>(i)] -= shared * shared / variance;
    }
  }
  return best;
}

}  // namespace crease
