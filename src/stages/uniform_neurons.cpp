// The second half of Algorithm 3: from pairs of pieces to the list of candidate neurons.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/uniform.hpp"

namespace crease {
namespace {

constexpr double kRankOne = 1e-2;  // second singular value of a cluster's jump, share of the first
constexpr Index kMostBatch = 256;  // candidates compared at a time

double norm(const std::vector<double>& v) {
  return std::sqrt(dot(v, v));
}

/// One standard deviation of where a candidate's hyperplane lies at a typical point.
double error_of(const CandidateNeuron& neuron) {
  return std::hypot(neuron.normal_error * std::sqrt(static_cast<double>(neuron.normal.size())),
                    neuron.offset_error);
}

class PairFinder {
 public:
  PairFinder(Device& device, const NoiseModel& noise, const QueryPlan& plan, Index most,
             Index most_bytes)
      : device_(device), noise_(noise), plan_(plan), most_(most), most_bytes_(most_bytes) {}

  /// The candidate of pieces a < b of a line; false where it is none.
  bool form(const ScannedLine& line, std::size_t a, std::size_t b, CandidateNeuron& neuron) const;

  /// Adds these to the list, or to candidates that they are close to. The best measured come first:
  /// a poor one is close to anything, and would swallow neighbours that are apart.
  void add(std::vector<CandidateNeuron> fresh) {
    std::stable_sort(fresh.begin(), fresh.end(),
                     [](const CandidateNeuron& a, const CandidateNeuron& b) {
                       return error_of(a) < error_of(b);
                     });
    for (CandidateNeuron& neuron : fresh) {
      batch_.push_back(std::move(neuron));
      if (static_cast<Index>(batch_.size()) >= batch_size()) flush();
    }
    flush();
  }
  bool full() const { return static_cast<Index>(list_.size()) >= most_; }
  Index left_out() const { return left_out_; }
  std::vector<CandidateNeuron> take() { return std::move(list_); }

 private:
  void flush();
  Index batch_size() const;

  Device& device_;
  const NoiseModel& noise_;
  const QueryPlan& plan_;
  Index most_;
  Index most_bytes_;
  std::vector<CandidateNeuron> list_;
  std::vector<CandidateNeuron> batch_;
  Index left_out_ = 0;
};

bool PairFinder::form(const ScannedLine& line, std::size_t a, std::size_t b,
                      CandidateNeuron& neuron) const {
  const UniformPiece& first = line.pieces[a];
  const UniformPiece& second = line.pieces[b];
  const Index p = first.gradient.rows();
  const Index d = first.gradient.cols();
  HostMatrix difference(p, d);
  double noise_square = 0;
  std::vector<double> intercept;
  std::vector<double> intercept_noise;
  for (Index o = 0; o < p; ++o) {
    const auto oo = static_cast<std::size_t>(o);
    for (Index i = 0; i < d; ++i) {
      difference(o, i) = first.gradient(o, i) - second.gradient(o, i);
    }
    const double noise = std::hypot(first.gradient_noise[oo], second.gradient_noise[oo]);
    noise_square += noise * noise;
    intercept.push_back(first.bias[oo] - second.bias[oo]);
  }
  const double component = std::sqrt(noise_square);  // of a component, over the outputs
  const double noise = component * std::sqrt(static_cast<double>(d));

  // difference = u normal^T
  std::vector<double> u(static_cast<std::size_t>(p));
  if (p == 1) {
    neuron.normal.assign(difference.row(0), difference.row(0) + d);
    u[0] = norm(neuron.normal);
    if (!(u[0] > plan_.sigmas * noise)) return false;
    for (double& value : neuron.normal) value /= u[0];
  } else {
    const Svd parts = svd(difference);
    if (!(parts.values[0] > plan_.sigmas * noise)) return false;
    if (parts.values.size() > 1 &&
        parts.values[1] > plan_.sigmas * noise + kRankOne * parts.values[0]) {
      return false;
    }
    neuron.normal.assign(parts.right.row(0), parts.right.row(0) + d);
    for (Index o = 0; o < p; ++o) {
      u[static_cast<std::size_t>(o)] = parts.left(o, 0) * parts.values[0];
    }
  }
  neuron.size = norm(u);
  neuron.separation = static_cast<Index>(b - a);
  // <normal, x - x0> + <u, intercept> / |u|^2 = 0
  const double at_origin = dot(u, intercept) / dot(u, u);
  neuron.bias = at_origin - dot(neuron.normal, line.origin);
  const auto kinks = static_cast<double>(line.pieces.size() - 1);
  if (plan_.uniform_weight_bound && neuron.size > kinks * *plan_.uniform_weight_bound) return false;
  if (plan_.uniform_bias_bound &&
      neuron.size * std::abs(neuron.bias) > kinks * *plan_.uniform_bias_bound) {
    return false;
  }

  // The affine pieces are known best where they were measured: near the crossing.
  const double along = dot(neuron.normal, line.direction);
  const double crossing = along != 0 ? -at_origin / along : first.first;
  const double t =
      std::clamp(crossing, std::min(first.first, second.first), std::max(first.last, second.last));
  double far = 0;
  double near = 0;
  for (std::size_t i = 0; i < line.origin.size(); ++i) {
    const double x = line.origin[i] + t * line.direction[i];
    far += x * x;
  }
  const double rho = std::sqrt(1 + far);
  for (Index o = 0; o < p; ++o) near = std::hypot(near, noise_.sigma(rho, o));
  neuron.normal_error = component / neuron.size;
  neuron.offset_error =
      std::hypot(neuron.normal_error * std::sqrt(static_cast<double>(d) + far), near / neuron.size);
  if (neuron.bias > 0) {
    neuron.bias = -neuron.bias;
    for (double& value : neuron.normal) value = -value;
  }
  return error_of(neuron) <= plan_.neuron_accuracy;
}

Index PairFinder::batch_size() const {
  const auto listed = static_cast<Index>(list_.size());
  const Index d = batch_.empty() ? 1 : static_cast<Index>(batch_[0].normal.size());
  const Index budget = most_bytes_ / kDoubleBytes - listed * (d + 1);
  return std::clamp<Index>(budget / (2 * (listed + kMostBatch) + 3 * (d + 1)), 1, kMostBatch);
}

/// Makes one of two; the better measured stays.
void join(const CandidateNeuron& neuron, CandidateNeuron& other) {
  std::vector<Index> lines;
  std::set_union(neuron.lines.begin(), neuron.lines.end(), other.lines.begin(), other.lines.end(),
                 std::back_inserter(lines));
  const Index separation = std::min(neuron.separation, other.separation);
  if (error_of(neuron) < error_of(other)) other = neuron;
  other.separation = separation;
  other.lines = std::move(lines);
}

void PairFinder::flush() {
  if (batch_.empty()) return;
  const auto d = static_cast<Index>(batch_[0].normal.size());
  const auto listed = static_cast<Index>(list_.size());
  const auto fresh = static_cast<Index>(batch_.size());
  HostMatrix known(listed + fresh, d + 1);
  HostMatrix turned(fresh, d + 1);
  for (Index j = 0; j < listed + fresh; ++j) {
    const CandidateNeuron& neuron = j < listed ? list_[static_cast<std::size_t>(j)]
                                               : batch_[static_cast<std::size_t>(j - listed)];
    std::copy_n(neuron.normal.data(), d, known.row(j));
    known(j, d) = neuron.bias;
    if (j < listed) continue;
    for (Index i = 0; i <= d; ++i) turned(j - listed, i) = -known(j, i);
  }
  const DeviceMatrix a = upload(device_, known);
  DeviceMatrix distances(device_, fresh, listed + fresh);
  pair_distances(device_, a.view().row_block(listed, fresh), a, distances);
  const HostMatrix same = download(device_, distances);
  pair_distances(device_, upload(device_, turned), a, distances);
  const HostMatrix opposite = download(device_, distances);

  std::vector<double> error(static_cast<std::size_t>(listed + fresh));
  std::vector<std::ptrdiff_t> place(static_cast<std::size_t>(listed + fresh), -1);
  for (Index j = 0; j < listed + fresh; ++j) {
    const auto jj = static_cast<std::size_t>(j);
    error[jj] = error_of(j < listed ? list_[jj] : batch_[static_cast<std::size_t>(j - listed)]);
    if (j < listed) place[jj] = j;
  }
  for (Index i = 0; i < fresh; ++i) {
    CandidateNeuron& neuron = batch_[static_cast<std::size_t>(i)];
    const auto self = static_cast<std::size_t>(listed + i);
    for (std::size_t j = 0; j < self && place[self] < 0; ++j) {
      if (place[j] < 0) continue;
      const auto column = static_cast<Index>(j);
      const double distance = std::min(same(i, column), opposite(i, column));
      const double explained = plan_.sigmas * std::hypot(error[self], error[j]);
      if (!(distance <= std::max(explained, plan_.uniform_closeness))) continue;
      place[self] = place[j];
      CandidateNeuron& other = list_[static_cast<std::size_t>(place[j])];
      join(neuron, other);
      if (distance > explained) other.offset_error = std::max(other.offset_error, distance);
    }
    if (place[self] >= 0) continue;
    if (full()) {
      ++left_out_;
      continue;
    }
    place[self] = static_cast<std::ptrdiff_t>(list_.size());
    list_.push_back(std::move(neuron));
  }
  batch_.clear();
}

}  // namespace

NeuronList get_neurons(Device& device, const std::vector<ScannedLine>& lines,
                       const NoiseModel& noise, const QueryPlan& plan, Index most,
                       Index most_bytes) {
  PairFinder finder(device, noise, plan, most, most_bytes);
  NeuronList result;
  std::size_t longest = 0;
  Index all = 0;
  for (const ScannedLine& line : lines) {
    const auto pieces = static_cast<Index>(line.pieces.size());
    longest = std::max(longest, line.pieces.size());
    all += pieces * (pieces - 1) / 2;
  }
  for (std::size_t apart = 1; apart < longest && !finder.full(); ++apart) {
    std::vector<CandidateNeuron> fresh;
    for (std::size_t at = 0; at < lines.size(); ++at) {
      const ScannedLine& line = lines[at];
      for (std::size_t a = 0; a + apart < line.pieces.size(); ++a) {
        ++result.pairs;
        CandidateNeuron neuron;
        neuron.lines = {static_cast<Index>(at)};
        if (finder.form(line, a, a + apart, neuron)) fresh.push_back(std::move(neuron));
      }
    }
    finder.add(std::move(fresh));
  }
  result.left_out = all - result.pairs + finder.left_out();
  result.neurons = finder.take();
  return result;
}

}  // namespace crease
