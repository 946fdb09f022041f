// The least-squares stage.
#include "src/stages/fit.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kHeldOut = 0.25;
constexpr double kGain = 0.9;  // of the held-out mean square: less improvement is chance

double mean_square(Device& device, ConstDeviceView y) {
  const HostMatrix values = download(device, y);
  double sum = 0;
  for (Index i = 0; i < values.size(); ++i) sum += values.data()[i] * values.data()[i];
  return sum / static_cast<double>(std::max<Index>(1, values.rows()));
}

}  // namespace

FeatureRows::FeatureRows(Device& device, Points points, ConstDeviceView weights,
                         ConstDeviceView bias, bool with_inputs, Index most_bytes)
    : device_(device), points_(points), weights_(weights), bias_(bias), with_inputs_(with_inputs) {
  const Index row_bytes = (cols() + weights.cols) * static_cast<Index>(sizeof(double));
  chunk_rows_ = std::clamp<Index>(most_bytes / row_bytes, 1, std::max<Index>(1, points.count));
  inputs_ = DeviceMatrix(device, chunk_rows_, weights.cols);
  features_ = DeviceMatrix(device, chunk_rows_, cols());
}

Index FeatureRows::cols() const {
  return weights_.rows + (with_inputs_ ? weights_.cols : 0) + 1;
}

void FeatureRows::build(Index first, Index count, DeviceView out) {
  const DeviceView x = inputs_.view().row_block(0, count);
  fill_gaussian(device_, points_.seed, static_cast<std::uint64_t>(points_.stream),
                points_.first_row + first, 1.0, x);
  const Index k = weights_.rows;
  relu_features(device_, x, weights_, bias_, out.col_block(0, k));
  if (with_inputs_) copy(device_, x, out.col_block(k, weights_.cols));
  fill(device_, 1.0, out.col_block(cols() - 1, 1));
}

ConstDeviceView FeatureRows::chunk(Index first, Index count) {
  require(count <= chunk_rows_, "FeatureRows: a chunk is at most chunk_rows() rows");
  if (chunk_rows_ == rows()) {
    if (!held_) build(0, rows(), features_);
    held_ = true;
    return features_.view().row_block(first, count);
  }
  const DeviceView out = features_.view().row_block(0, count);
  build(first, count, out);
  return out;
}

LeastSquaresSolution solve_least_squares(Device& device, FeatureRows& z, Index first, Index count,
                                         ConstDeviceView y) {
  if (auto solution = solve_by_stream(device, z, first, count, y)) return *solution;
  return solve_by_qr(device, z, first, count, y);
}

Look fit_least_squares(Asker& asker, Random& random, const NoiseModel& noise, const QueryPlan& plan,
                       Index most_bytes, Hypothesis& hypothesis, LeastSquaresReport& report) {
  asker.enter("least_squares");
  Device& device = asker.device();
  const Index d = asker.inputs();
  const Index p = asker.outputs();
  const Index k = hypothesis.neurons();
  const bool with_inputs = 2 * (k + d + 1) <= asker.asked() / 10;
  const Index n = with_inputs ? 2 * (k + d + 1) : 2 * (k + 1) + 32;

  const Index first_row = random.take_rows(Stream::least_squares, n);
  DeviceMatrix x(device, n, d);
  fill_gaussian(device, random.seed(), static_cast<std::uint64_t>(Stream::least_squares), first_row,
                1.0, x);
  DeviceMatrix answers = asker.points(x);
  const DeviceNetwork current(device, hypothesis.network());
  Look look = judge(device, x, answers, hypothesis, current, noise, plan);
  DeviceMatrix residual(device, n, p);
  current.evaluate(x, residual);
  subtract(device, residual, answers);  // answers - F'
  x = DeviceMatrix();

  const DeviceMatrix weights = upload(device, {hypothesis.normals.data(), k, d, d});
  const DeviceMatrix bias = upload(device, column_view(hypothesis.bias));
  FeatureRows z(device, {random.seed(), Stream::least_squares, first_row, n}, weights, bias,
                with_inputs, most_bytes);
  const auto held_out = static_cast<Index>(kHeldOut * static_cast<double>(n));
  const Index used = n - held_out;
  const LeastSquaresSolution solution =
      solve_least_squares(device, z, held_out, used, answers.view().row_block(held_out, used));
  report.solver = solution.solver;
  report.rank = solution.rank;
  report.condition = solution.condition;

  const DeviceView held = answers.view().row_block(0, held_out);
  const double before = mean_square(device, held);
  const DeviceMatrix coefficients = upload(device, solution.coefficients);
  for (Index row = 0; row < held_out; row += z.chunk_rows()) {
    const Index count = std::min(z.chunk_rows(), held_out - row);
    multiply(device, z.chunk(row, count), Transpose::no, coefficients, Transpose::no, -1.0, 1.0,
             held.row_block(row, count));
  }
  report.accepted = mean_square(device, held) < kGain * before;
  if (report.accepted) {
    const HostMatrix& c = solution.coefficients;
    for (Index o = 0; o < p; ++o) {
      for (Index j = 0; j < k; ++j) hypothesis.scales(j, o) += c(j, o);
      for (Index i = 0; with_inputs && i < d; ++i) hypothesis.gradient(o, i) += c(k + i, o);
      hypothesis.constant(o, 0) += c(c.rows() - 1, o);
    }
  }
  asker.report();
  return look;
}

}  // namespace crease
