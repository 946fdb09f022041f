// The least-squares stage.
#include "src/stages/fit.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/ops.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kHeldOut = 0.25;
constexpr double kFewestTelling = 0.75;  // of the points: with fewer that say something, no fit
constexpr double kGain = 0.9;            // of the held-out mean square: less improvement is chance

/// What the oracle tells of the noise of each row, in units of a typical one: rows count by that,
/// and rows that say nothing do not count.
class RowNoise {
 public:
  /// sigmas [n, p], or empty where none was told.
  RowNoise(Device& device, const HostMatrix& sigmas) {
    if (sigmas.empty()) return;
    std::vector<double> squares;  // summed over the outputs
    std::vector<double> finite;
    for (Index i = 0; i < sigmas.rows(); ++i) {
      squares.push_back(dot(sigmas.row(i), sigmas.row(i), sigmas.cols()));
      if (std::isfinite(squares.back())) finite.push_back(squares.back());
    }
    informative_ = static_cast<Index>(finite.size());
    typical_square_ = median(std::move(finite));
    std::vector<double> factors;
    for (double& square : squares) {
      const double weight = square > 0 ? typical_square_ / square : 1.0;
      square = weight;
      factors.push_back(std::sqrt(weight));
    }
    weights_ = upload(device, column_view(squares));
    factors_ = upload(device, column_view(factors));
  }
  bool told() const { return !weights_.empty(); }
  Index informative() const { return informative_; }
  double typical_square() const { return typical_square_; }
  ConstDeviceView weights() const { return weights_; }  // [n, 1] of the squares
  ConstDeviceView factors() const { return factors_; }  // [n, 1] of the rows

 private:
  Index informative_ = 0;
  double typical_square_ = 0;
  DeviceMatrix weights_;
  DeviceMatrix factors_;
};

HostMatrix rows_of(const HostMatrix& all, Index first, Index count) {
  HostMatrix rows(0, all.cols());
  for (Index i = 0; i < count && !all.empty(); ++i) rows.append_row(all.row(first + i), all.cols());
  return rows;
}

/// Of the first rows, weighted where their noise was told.
double mean_square(Device& device, ConstDeviceView y, const RowNoise& noise) {
  DeviceMatrix norms(device, 1, y.cols);
  if (noise.told()) {
    DeviceMatrix scaled(device, y.rows, y.cols);
    copy(device, y, scaled);
    scale_rows(device, noise.factors().row_block(0, y.rows), scaled);
    column_norms(device, scaled, norms);
  } else {
    column_norms(device, y, norms);
  }
  const HostMatrix each = download(device, norms);
  return dot(each.data(), each.data(), each.size()) /
         static_cast<double>(std::max<Index>(1, y.rows));
}

/// Mean square of the noise of one answer, over the outputs, at a typical point.
double answer_noise_square(const NoiseModel& noise, Index d, Index p) {
  double sum = 0;
  for (Index o = 0; o < p; ++o) {
    const double sigma = noise.sigma(std::sqrt(static_cast<double>(d + 1)), o);
    sum += sigma * sigma;
  }
  return sum;
}

/// Whether every neuron's scale changes by no more than its measured errors explain.
bool within_known_errors(const HostMatrix& coefficients, const Hypothesis& hypothesis,
                         const QueryPlan& plan) {
  const double root = std::sqrt(static_cast<double>(hypothesis.inputs));
  for (Index j = 0; j < hypothesis.neurons(); ++j) {
    double change = 0;
    for (Index o = 0; o < hypothesis.outputs; ++o) {
      change += coefficients(j, o) * coefficients(j, o);
    }
    const double* scale = hypothesis.scales.row(j);
    const double size = std::sqrt(dot(scale, scale, hypothesis.outputs));
    const auto jj = static_cast<std::size_t>(j);
    const double error = std::max(hypothesis.offset_error[jj], root * hypothesis.normal_error[jj]);
    if (!(std::sqrt(change) <= plan.sigmas * error * size)) return false;
  }
  return true;
}

}  // namespace

void fit_least_squares(Asker& asker, Random& random, const NoiseModel& noise, const QueryPlan& plan,
                       Index most_bytes, Hypothesis& hypothesis, Look& look,
                       LeastSquaresReport& report) {
  asker.enter("least_squares");
  Device& device = asker.device();
  const Index d = asker.inputs();
  const Index p = asker.outputs();
  const Index k = hypothesis.neurons();
  const Index reused = look.answers.rows();
  const Index full = 2 * (k + d + 1);
  const bool with_inputs = full - reused <= asker.asked() / 10;
  const Index n = std::max(reused, with_inputs ? full : 2 * (k + 1) + 32);
  const Index fresh = n - reused;

  const Index fresh_row = random.take_rows(Stream::looks, fresh);
  const Index first_row = reused > 0 ? look.first_row : fresh_row;
  require(first_row + reused == fresh_row, "fit_least_squares: the last look must be the last");
  const DeviceNetwork current(device, hypothesis.network());
  DeviceMatrix answers(device, n, p);
  if (reused > 0) device.copy_in(look.answers, answers.view().row_block(0, reused));
  HostMatrix sigmas = look.sigmas;  // [n, p] as told; empty: not told
  {
    Look all;
    // The points in chunks: they are made again where they are needed.
    const Index row_bytes = (d + p) * kDoubleBytes;
    const Index chunk = std::clamp<Index>(most_bytes / row_bytes, 1, n);
    DeviceMatrix points(device, chunk, d);
    DeviceMatrix known(device, chunk, p);
    bool asked = false;
    for (Index row = 0; row < n; row += chunk) {
      const Index count = std::min(chunk, n - row);
      const DeviceView x = points.view().row_block(0, count);
      const DeviceView y = answers.view().row_block(row, count);
      fill_gaussian(device, random.seed(), static_cast<std::uint64_t>(Stream::looks),
                    first_row + row, 1.0, x);
      const Index old = std::clamp<Index>(reused - row, 0, count);
      if (old < count) {
        HostMatrix told;
        copy(device,
             asker.points(x.row_block(old, count - old), asked ? Round::same : Round::next, &told),
             y.row_block(old, count - old));
        asked = true;
        for (Index i = 0; i < told.rows(); ++i) sigmas.append_row(told.row(i), p);
      }
      append(all,
             judge(device, x, y, hypothesis, current, noise, plan, rows_of(sigmas, row, count)));
      current.evaluate(x, known.view().row_block(0, count));
      subtract(device, known.view().row_block(0, count), y);  // answers - F'
    }
    sum_up(all);
    all.first_row = first_row;
    look = std::move(all);
  }

  const DeviceMatrix weights = upload(device, {hypothesis.normals.data(), k, d, d});
  const DeviceMatrix bias = upload(device, column_view(hypothesis.bias));
  FeatureRows z(device, {random.seed(), Stream::looks, first_row, n}, weights, bias, with_inputs,
                most_bytes);
  const auto held_out = static_cast<Index>(kHeldOut * static_cast<double>(n));
  const Index used = n - held_out;
  const RowNoise row_noise(device, sigmas);
  if (row_noise.told() &&
      static_cast<double>(row_noise.informative()) < kFewestTelling * static_cast<double>(n)) {
    report.reason = "not tried: too many answers say nothing";
    asker.report();
    return;
  }
  SolveOptions options;
  if (row_noise.told()) options.weights = row_noise.weights().row_block(held_out, used);
  const LeastSquaresSolution solution =
      solve_least_squares(device, {z, held_out, answers.view().row_block(held_out, used)}, options);
  report.solver = solution.solver;
  report.reason = solution.reason;
  report.iterations = solution.iterations;
  report.rank = solution.rank;
  report.condition = solution.condition;
  report.accepted = false;

  const DeviceView held = answers.view().row_block(0, held_out);
  const double before = mean_square(device, held, row_noise);
  const DeviceMatrix coefficients = upload(device, solution.coefficients);
  for (Index row = 0; row < held_out; row += z.chunk_rows()) {
    const Index count = std::min(z.chunk_rows(), held_out - row);
    multiply(device, z.chunk(row, count), Transpose::no, coefficients, Transpose::no, -1.0, 1.0,
             held.row_block(row, count));
  }
  const bool better = mean_square(device, held, row_noise) < kGain * before;
  const double noise_square = answer_noise_square(noise, d, p) + row_noise.typical_square();
  const bool trusted =
      look.beyond > 0 ||
      (before > noise_square && within_known_errors(solution.coefficients, hypothesis, plan));
  if (better && trusted) {
    report.accepted = true;
    const HostMatrix& c = solution.coefficients;
    for (Index o = 0; o < p; ++o) {
      for (Index j = 0; j < k; ++j) hypothesis.scales(j, o) += c(j, o);
      for (Index i = 0; with_inputs && i < d; ++i) hypothesis.gradient(o, i) += c(k + i, o);
      hypothesis.constant(o, 0) += c(c.rows() - 1, o);
    }
  }
  asker.report();
}

}  // namespace crease
