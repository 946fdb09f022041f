// Examples taken, whitened and watched; networks of z and of x.
#include "src/learners/sample_run.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/whitening.hpp"

namespace crease {
namespace {

constexpr double kCollinear = 10;    // times d eps: smallest over largest eigenvalue of E x x^T
constexpr double kTakesPart = 1e-6;  // in a combination that vanishes, of its largest coefficient
constexpr Index kMostNamed = 8;
constexpr double kOffCentre = 6;    // sqrt(n / d) |mean| of whitened inputs
constexpr double kNotGaussian = 6;  // deviations of a fourth moment
constexpr double kNoWeight = 1e-8;  // of the bias: a neuron that is on for all inputs, or off
constexpr double kNotStandard = 6;  // deviations of a first or second moment
constexpr double kLeastSquare = 1e-280;
constexpr double kMostSquare = 1e280;
constexpr Index kSomeRows = 65536;

/// Deviations by which fourth moments of n whitened inputs differ from those of N(0, I), the
/// largest: E |z|^4 = d (d + 2), of variance 8 d (d + 2) / n where they are whitened by their own
/// covariance (Mardia 1970), (d + 3) times that by a known one, and in between where it is that of
/// `all` inputs; E z_j^4 = 3 +- sqrt(96 / n).
double shape_score(Device& device, ConstDeviceView z, Index all_rows) {
  const Index d = z.cols;
  const auto n = static_cast<double>(z.rows);
  DeviceMatrix squares(device, z.rows, d), lengths(device, z.rows, 1), one(device, d, 1);
  copy(device, z, squares);
  multiply_elements(device, z, squares);
  fill(device, 1.0, one);
  multiply(device, squares, Transpose::no, one, Transpose::no, 1.0, 0.0, lengths);
  DeviceMatrix each(device, 1, d), all(device, 1, 1);
  column_norms(device, squares, each);
  column_norms(device, lengths, all);
  const HostMatrix each_root = download(device, each);
  const double all_root = download(device, all)(0, 0);
  const auto inputs = static_cast<double>(d);
  const double expected = inputs * (inputs + 2);
  const double foreign = 1 - n / static_cast<double>(all_rows);
  const double variance = 8 * expected * (1 + (inputs + 2) * foreign) / n;
  double score = std::fabs(all_root * all_root / n - expected) / std::sqrt(variance);
  for (Index j = 0; j < d; ++j) {
    const double fourth = each_root(0, j) * each_root(0, j) / n;
    score = std::max(score, std::fabs(fourth - 3) / std::sqrt(96 / n));
  }
  return score;
}

/// Squares that neither overflow nor vanish.
void require_range(const SampleMeans& raw) {
  double largest = 0;
  for (Index j = 0; j < raw.input_squares.rows(); ++j) {
    largest = std::max(largest, raw.input_squares(j, j));
    require(std::isfinite(raw.input_squares(j, j)),
            "the inputs are out of range: their squares overflow");
  }
  require(largest > kLeastSquare,
          "the inputs are out of range: their squares vanish, or all are 0");
  for (Index o = 0; o < raw.answer_squares.rows(); ++o) {
    require(raw.answer_squares(o, o) < kMostSquare,
            "the answers are out of range: their squares overflow");
  }
}

/// E x x^T, or the covariance of all but the last, which is 1, over the roots of its diagonal.
HostMatrix correlations(const SampleMeans& raw, bool affine) {
  const Index d = raw.input_squares.rows() - (affine ? 1 : 0);
  HostMatrix result(d, d);
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < d; ++j) {
      result(i, j) = raw.input_squares(i, j);
      if (affine) {
        result(i, j) -=
            raw.inputs[static_cast<std::size_t>(i)] * raw.inputs[static_cast<std::size_t>(j)];
      }
    }
  }
  std::vector<double> roots;
  for (Index i = 0; i < d; ++i) roots.push_back(std::sqrt(std::max(result(i, i), 0.0)));
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < d; ++j) {
      const double both = roots[static_cast<std::size_t>(i)] * roots[static_cast<std::size_t>(j)];
      result(i, j) = both > 0 ? result(i, j) / both : 0;
    }
  }
  return result;
}

/// Throws BadInput that names the columns of a combination that vanishes.
void require_independent(const SymmetricEigen& correlations, bool affine) {
  const std::vector<double>& values = correlations.values;
  const auto d = static_cast<Index>(values.size());
  if (values.front() > kCollinear * static_cast<double>(d) * 2 * kRounding * values.back()) return;
  const double* combination = correlations.vectors.row(0);
  double largest = 0;
  for (Index j = 0; j < d; ++j) largest = std::max(largest, std::fabs(combination[j]));
  std::string columns;
  Index named = 0, taking_part = 0;
  for (Index j = 0; j < d; ++j) {
    if (std::fabs(combination[j]) < kTakesPart * largest) continue;
    if (++taking_part > kMostNamed) continue;
    columns += (named++ > 0 ? ", " : "") + std::to_string(j);
  }
  if (taking_part > named) columns += " and " + std::to_string(taking_part - named) + " more";
  throw BadInput(std::string("the inputs are collinear: ") + (affine ? "an affine" : "a linear") +
                 " combination of columns " + columns + " of x (counted from 0) vanishes");
}

/// Whether x may be from N(0, I): means and second moments within chance of 0 and I.
bool are_standard(const SampleMeans& raw, Index inputs, Index rows) {
  const double root = std::sqrt(static_cast<double>(rows));
  for (Index i = 0; i < inputs; ++i) {
    if (std::fabs(raw.inputs[static_cast<std::size_t>(i)]) * root > kNotStandard) return false;
    for (Index j = 0; j <= i; ++j) {
      const double off = std::fabs(raw.input_squares(i, j) - (i == j ? 1 : 0));
      if (off * root > kNotStandard * (i == j ? std::numbers::sqrt2 : 1)) return false;
    }
  }
  return true;
}

/// Means of z = W x from those of x; the squares are I.
SampleMeans turned_means(const SampleMeans& raw, const HostMatrix& whitening) {
  const Index width = whitening.rows();
  SampleMeans means = raw;
  means.input_squares = identity(width);
  for (Index i = 0; i < width; ++i) {
    means.inputs[static_cast<std::size_t>(i)] = dot(whitening.row(i), raw.inputs.data(), width);
    for (Index o = 0; o < raw.cross.rows(); ++o) {
      means.cross(o, i) = dot(whitening.row(i), raw.cross.row(o), width);
    }
  }
  return means;
}

/// F(z), z = turn (x, 1) or, without `affine`, turn x, as a network of x in R^d.
ReluNetwork turned_network(const ReluNetwork& of_z, const HostMatrix& turn, Index d, bool affine) {
  const Index width = turn.cols();
  ReluNetwork network(d, of_z.neurons(), of_z.outputs());
  network.output = of_z.output;
  network.constant = of_z.constant;
  network.power = of_z.power;
  const auto turned = [&](const double* row) {
    std::vector<double> out(static_cast<std::size_t>(width), 0.0);
    for (Index i = 0; i < width; ++i) {
      for (Index j = 0; j < width; ++j) {
        out[static_cast<std::size_t>(j)] += row[i] * turn(i, j);
      }
    }
    return out;
  };
  std::vector<Index> live;
  for (Index i = 0; i < of_z.neurons(); ++i) {
    const std::vector<double> row = turned(of_z.weights.row(i));
    const double length = std::sqrt(dot(row.data(), row.data(), d));
    if (affine && length <= kNoWeight * std::fabs(row.back())) {  // it is a constant
      const double value = std::max(of_z.bias(i, 0) + row.back(), 0.0);
      for (Index o = 0; o < of_z.outputs(); ++o) {
        network.constant(o, 0) += of_z.output(o, i) * value;
      }
      continue;
    }
    live.push_back(i);
    const double unit = length > 0 ? length : 1;
    for (Index j = 0; j < d; ++j) network.weights(i, j) = row[static_cast<std::size_t>(j)] / unit;
    network.bias(i, 0) = (of_z.bias(i, 0) + (affine ? row.back() : 0.0)) / unit;
    const double factor = std::pow(unit, of_z.power);
    for (Index o = 0; o < of_z.outputs(); ++o) network.output(o, i) *= factor;
  }
  for (Index o = 0; o < of_z.outputs(); ++o) {
    const std::vector<double> row = turned(of_z.linear.row(o));
    for (Index j = 0; j < d; ++j) network.linear(o, j) = row[static_cast<std::size_t>(j)];
    if (affine) network.constant(o, 0) += row.back();
  }
  if (static_cast<Index>(live.size()) == of_z.neurons()) return network;
  ReluNetwork fewer(d, static_cast<Index>(live.size()), of_z.outputs());
  fewer.linear = network.linear;
  fewer.constant = network.constant;
  fewer.power = network.power;
  for (Index i = 0; i < fewer.neurons(); ++i) {
    const Index from = live[static_cast<std::size_t>(i)];
    std::copy(network.weights.row(from), network.weights.row(from) + d, fewer.weights.row(i));
    fewer.bias(i, 0) = network.bias(from, 0);
    for (Index o = 0; o < of_z.outputs(); ++o) fewer.output(o, i) = network.output(o, from);
  }
  return fewer;
}

}  // namespace

SampleRun::SampleRun(Device& device, SampleSource& source, const RunControl& control,
                     std::string mode)
    : device_(device),
      source_(source),
      control_(control),
      random_(control.seed),
      begun_(std::chrono::steady_clock::now()) {
  report_.device = device_.name();
  report_.seed = control_.seed;
  report_.mode = std::move(mode);
  report_.inputs = source_.input_dim();
  report_.outputs = source_.output_dim();
}

double SampleRun::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
}

bool SampleRun::ends() const {
  return (control_.stop && control_.stop()) ||
         (control_.budget.seconds && seconds() > *control_.budget.seconds);
}

void SampleRun::end_where_asked() const {
  if (control_.stop && control_.stop()) throw EndOfRun(Outcome::stopped, "stopped");
  if (control_.budget.seconds && seconds() > *control_.budget.seconds) {
    throw EndOfRun(Outcome::out_of_budget, "the time is spent");
  }
}

void SampleRun::warn(const std::string& message) {
  report_.warnings.push_back(message);
  if (!control_.log) return;
  Event event;
  event.kind = Event::Kind::warning;
  event.message = message;
  event.seconds = seconds();
  control_.log(event);
}

void SampleRun::progress(const char* stage, Index neurons, double relative_error) {
  if (!control_.log) return;
  Event event;
  event.stage = stage;
  event.neurons = neurons;
  event.relative_error = relative_error;
  event.seconds = seconds();
  control_.log(event);
}

void SampleRun::take(const Plan& plan) {
  const std::optional<Index> left = source_.rows_left();
  require(plan.rows || left, "examples without end: say how many to take");
  const Index rows = plan.rows.value_or(left.value_or(0));
  const Index row_bytes =
      kDoubleBytes * (source_.input_dim() + source_.output_dim() + (plan.biases ? 1 : 0));
  const Index memory = std::max<Index>(1, control_.budget.device_bytes / 4 / row_bytes);
  const Index held_out =
      plan.held_out.value_or(std::min({rows / plan.held_out_share, plan.most_held_out, memory}));
  require(held_out >= 0, "held-out examples: at least 0");
  require(held_out <= 2 * memory, "so many held-out examples do not fit into half of the memory: " +
                                      std::to_string(held_out) + ", at most " +
                                      std::to_string(2 * memory));
  require(rows - held_out >= plan.least_rows,
          "too few examples: " + std::to_string(rows - held_out) + " to fit and " +
              std::to_string(held_out) + " held out; " + std::to_string(plan.least_rows) +
              " to fit, " + plan.least_says + ", are the least that can be tried");
  biases_ = plan.biases;
  Examples::Plan examples;
  examples.rows = rows - held_out;
  examples.held_out = held_out;
  examples.constant = biases_;
  examples.most_bytes = std::max<Index>(1, control_.budget.device_bytes / 2);
  examples.before_chunk = [this] {
    if (!certifying_) end_where_asked();
  };
  // Said also where reading them is as far as the run gets.
  report_.queries["training"] = rows - held_out;
  report_.queries["held_out"] = held_out;
  examples_.emplace(device_, source_, std::move(examples));
}

/// E z z^T = I; the mean is left where it is, a network without biases has no use for another.
void SampleRun::whiten_linear(const SampleMeans& raw) {
  const auto both = triangular_whitening(device_, raw.input_squares);
  require(both.has_value(), "the inputs are collinear");
  whitening_ = both->inverse;
}

/// The same for inputs that end in 1, which stays 1: z = (L^-1 (x - mean), 1).
void SampleRun::whiten_affine(const SampleMeans& raw) {
  const Index d = report_.inputs;
  HostMatrix covariance(d, d);
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < d; ++j) {
      covariance(i, j) = raw.input_squares(i, j) - raw.inputs[static_cast<std::size_t>(i)] *
                                                       raw.inputs[static_cast<std::size_t>(j)];
    }
  }
  const auto both = triangular_whitening(device_, covariance);
  require(both.has_value(), "the inputs are collinear");
  whitening_ = HostMatrix(d + 1, d + 1);
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j <= i; ++j) whitening_(i, j) = both->inverse(i, j);
    whitening_(i, d) = -dot(both->inverse.row(i), raw.inputs.data(), d);
  }
  whitening_(d, d) = 1;
}

SampleMeans SampleRun::whiten() {
  const SampleMeans raw = sample_means(device_, *examples_);
  require_range(raw);
  require_independent(symmetric_eigen(correlations(raw, biases_)), biases_);
  if (biases_) {
    whiten_affine(raw);
  } else {
    whiten_linear(raw);
  }
  examples_->turn_inputs(whitening_);
  standard_ = are_standard(raw, report_.inputs, examples_->rows());
  if (!standard_) {
    warn(
        "the inputs are not from N(0, I): they were whitened, and statement (B) is not about them");
  }
  say_what_is_odd();
  return turned_means(raw, whitening_);
}

Index SampleRun::some_rows() const {
  const Index row_bytes = kDoubleBytes * (2 * examples_->inputs() + examples_->outputs());
  const Index fit = std::max<Index>(1, control_.budget.device_bytes / 4 / row_bytes);
  return std::min({kSomeRows, fit, examples_->rows()});
}

void SampleRun::say_what_is_odd() {
  const Index d = report_.inputs;
  const Index rows = some_rows();
  const Examples::Rows some = examples_->first(rows);
  const ConstDeviceView z = some.x.col_block(0, d);
  if (!biases_) {
    DeviceMatrix sums(device_, d, 1), one(device_, rows, 1);
    fill(device_, 1.0 / static_cast<double>(rows), one);
    multiply(device_, z, Transpose::yes, one, Transpose::no, 1.0, 0.0, sums);
    const HostMatrix mean = download(device_, sums);
    const double off = std::sqrt(static_cast<double>(rows) / static_cast<double>(d) *
                                 dot(mean.data(), mean.data(), d));
    if (off > kOffCentre) {
      warn(
          "the inputs are not centred: the start from moments is biased; biases would take the "
          "mean away");
      gaussian_ = false;
    }
  }
  const double score = shape_score(device_, z, examples_->rows());
  if (score > kNotGaussian) {
    gaussian_ = false;
    warn(
        "the inputs are not Gaussian: moments are a poor start, and more starts may be needed; the "
        "fit itself is good for any inputs");
  }
}

void SampleRun::run(const std::function<void()>& learn, const std::function<bool()>& has_network) {
  try {
    learn();
  } catch (const EndOfRun& end) {
    report_.outcome = end.outcome();
    report_.message = end.what();
  } catch (const DeviceError& error) {
    if (!has_network()) throw;
    report_.outcome = Outcome::device_lost;
    report_.message = error.what();
    device_lost_ = true;
  } catch (const BadInput& error) {  // numbers that no one foresaw
    if (!has_network()) throw;
    report_.outcome = Outcome::not_reached;
    report_.message = error.what();
  } catch (const Error& error) {
    if (!has_network()) throw;
    report_.outcome = Outcome::oracle_failed;
    report_.message = error.what();
  }
}

ReluNetwork SampleRun::in_inputs(const ReluNetwork& of_z) const {
  return turned_network(of_z, whitening_, report_.inputs, biases_);
}

/// Of z without its constant, where it has one: ~ N(0, I_d).
ReluNetwork SampleRun::in_white_inputs(const ReluNetwork& of_z) const {
  return turned_network(of_z, identity(inputs()), report_.inputs, biases_);
}

}  // namespace crease
