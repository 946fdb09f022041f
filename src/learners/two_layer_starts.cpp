// Labels, moments, slices, candidates.
#include "src/learners/two_layer_starts.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"
#include "src/stages/quadratic_variates.hpp"

namespace crease {
namespace {

constexpr double kVisible = 1.1;  // over the largest eigenvalue that chance made
constexpr Index kSurrogates = 3;
constexpr double kParallel = 0.9999;  // cosine of two rows of a candidate
constexpr double kDouble = 1e-3;      // of a cosine: the same candidate once more
constexpr int kVariateSteps = 2;

/// 1/2 sum of M M over symmetric blocks M [d, d], one above the other.
HostMatrix square_sum(Device& device, const HostMatrix& moments) {
  HostMatrix sum = product(device, moments, Transpose::yes, moments, Transpose::no);
  for (Index i = 0; i < sum.size(); ++i) sum.data()[i] *= 0.5;
  return sum;
}

void append_rows(const HostMatrix& more, HostMatrix& rows) {
  for (Index i = 0; i < more.rows(); ++i) rows.append_row(more.row(i), more.cols());
}

/// Slices sum_ab P_ab H_ab.. of the fourth Hermite moment H of one label, P an orthonormal basis of
/// the symmetric matrices: [k (k + 1) / 2 k, k], one above the other.
HostMatrix fourth_slices(const HostMatrix& raw, const HostMatrix& second, double zeroth) {
  const Index k = second.rows();
  const auto w = [&](Index i, Index j) { return second(i, j); };
  const auto same = [](Index i, Index j) { return i == j ? 1.0 : 0.0; };
  const auto hermite = [&](Index a, Index b, Index c, Index e) {
    return raw(a * k + b, c * k + e) -
           (same(a, b) * w(c, e) + same(a, c) * w(b, e) + same(a, e) * w(b, c) +
            same(b, c) * w(a, e) + same(b, e) * w(a, c) + same(c, e) * w(a, b)) +
           zeroth * (same(a, b) * same(c, e) + same(a, c) * same(b, e) + same(a, e) * same(b, c));
  };
  HostMatrix slices(0, k);
  for (Index a = 0; a < k; ++a) {
    for (Index b = a; b < k; ++b) {
      const double scale = a == b ? 1 : std::sqrt(2.0);  // 1 / sqrt(2), twice
      for (Index c = 0; c < k; ++c) {
        std::vector<double> row;
        for (Index e = 0; e < k; ++e) {
          row.push_back(0.5 * scale * (hermite(a, b, c, e) + hermite(a, b, e, c)));
        }
        slices.append_row(row.data(), k);
      }
    }
  }
  return slices;
}

/// Slices of the fourth Hermite moment of every label, one above the other.
HostMatrix fourth_slices_of(Device& device, Examples& examples, const SampleView& view, Index k) {
  QuadraticVariates variates(device, view, k);
  for (int step = 0; step < kVariateSteps; ++step) variates.improve(examples);
  const SampleView less = variates.view();
  const LabelMoments lower = label_moments(device, examples, less);
  const HostMatrix raw = fourth_products(device, examples, less);
  HostMatrix slices(0, k);
  for (Index l = 0; l < view.labels; ++l) {
    const HostMatrix block(raw.view().row_block(l * k * k, k * k));
    const HostMatrix second(lower.second.view().row_block(l * k, k));
    append_rows(fourth_slices(block, second, lower.zeroth[static_cast<std::size_t>(l)]), slices);
  }
  return slices;
}

/// The same of the third ones, which are 0 for the power 1 and for no other: c_3 = E f He_3 =
/// (power - 1) E max(g, 0)^(power + 1); c_4 is 0 for the power 2.
HostMatrix third_slices_of(Device& device, Examples& examples, const SampleView& view, Index k) {
  QuadraticVariates variates(device, view, k);
  for (int step = 0; step < kVariateSteps; ++step) variates.improve(examples);
  return hermite_contractions(device, examples, variates.view(), 3, identity(k));
}

}  // namespace

LinearLabels even_labels(const SampleMeans& means, Index most) {
  const auto d = static_cast<Index>(means.inputs.size());
  const auto p = static_cast<Index>(means.answers.size());
  const auto mean = [&](Index o) { return means.answers[static_cast<std::size_t>(o)]; };
  LinearLabels all{HostMatrix(p, p), HostMatrix(p, d),
                   std::vector<double>(static_cast<std::size_t>(p), 0.0)};
  HostMatrix slope(p, d);  // of every answer, of unit variance, in x
  HostMatrix covariance(p, p);
  std::vector<double> scale;
  for (Index o = 0; o < p; ++o) {
    const double variance = means.answer_squares(o, o) - mean(o) * mean(o);
    scale.push_back(variance > 0 ? 1 / std::sqrt(variance) : 0);
    for (Index j = 0; j < d; ++j) {
      slope(o, j) =
          scale.back() * (means.cross(o, j) - mean(o) * means.inputs[static_cast<std::size_t>(j)]);
      all.from_x(o, j) = -slope(o, j);
    }
    all.from_y(o, o) = scale.back();
    all.constant[static_cast<std::size_t>(o)] = -scale.back() * mean(o);
  }
  if (p <= most) return all;
  for (Index a = 0; a < p; ++a) {
    for (Index b = 0; b < p; ++b) {
      covariance(a, b) = scale[static_cast<std::size_t>(a)] * scale[static_cast<std::size_t>(b)] *
                             (means.answer_squares(a, b) - mean(a) * mean(b)) -
                         dot(slope.row(a), slope.row(b), d);
    }
  }
  const HostMatrix components = leading(symmetric_eigen(covariance), most);
  LinearLabels few{HostMatrix(most, p), HostMatrix(most, d), {}};
  for (Index l = 0; l < most; ++l) {
    double constant = 0;
    for (Index o = 0; o < p; ++o) {
      const double weight = components(l, o);
      few.from_y(l, o) = weight * all.from_y(o, o);
      constant += weight * all.constant[static_cast<std::size_t>(o)];
      for (Index j = 0; j < d; ++j) few.from_x(l, j) += weight * all.from_x(o, j);
    }
    few.constant.push_back(constant);
  }
  return few;
}

SampleView view_of(Device& device, const LinearLabels& labels, ConstDeviceView bounds,
                   Index shift) {
  // Shared: the view may be copied and outlive this call.
  const auto from_y = std::make_shared<DeviceMatrix>(upload(device, labels.from_y));
  const auto from_x = std::make_shared<DeviceMatrix>(upload(device, labels.from_x));
  const auto constant = std::make_shared<DeviceMatrix>(upload(device, row_view(labels.constant)));
  SampleView view;
  view.labels = labels.count();
  view.label = [&device, from_y, from_x, constant, bounds, shift](
                   ConstDeviceView x, ConstDeviceView y, DeviceView out) {
    DeviceMatrix clipped;
    if (bounds.rows > 0) {
      clipped = DeviceMatrix(device, y.rows, y.cols);
      copy(device, y, clipped);
      clip_columns(device, bounds, clipped);
      y = clipped;
    }
    multiply(device, y, Transpose::no, *from_y, Transpose::yes, 1.0, 0.0, out);
    multiply(device, x, Transpose::no, *from_x, Transpose::yes, 1.0, 1.0, out);
    add_row(device, *constant, out);
    if (shift > 0) shift_rows(device, shift, out);
  };
  return view;
}

SpanMoments span_moments(Device& device, Examples& examples, const SampleMeans& means,
                         const LinearLabels& labels, ConstDeviceView bounds, Index rows) {
  const Index d = examples.inputs();
  SampleView view = view_of(device, labels, bounds, 0);
  view.rows = rows;
  const LabelMoments moments = label_moments(device, examples, view);
  SpanMoments result;
  result.second = HostMatrix(0, d);
  for (Index l = 0; l < labels.count(); ++l) append_rows(moments.hermite(l), result.second);
  result.span = square_sum(device, result.second);
  const auto p = static_cast<Index>(means.answers.size());
  for (Index o = 0; o < p; ++o) {
    const double mean = means.answers[static_cast<std::size_t>(o)];
    const double variance = means.answer_squares(o, o) - mean * mean;
    if (!(variance > 0)) continue;
    for (Index i = 0; i < d; ++i) {
      for (Index j = 0; j < d; ++j) {
        const auto slope = [&](Index c) {
          return means.cross(o, c) - mean * means.inputs[static_cast<std::size_t>(c)];
        };
        result.span(i, j) += slope(i) * slope(j) / variance;
      }
    }
  }
  return result;
}

Index visible_dimensions(Device& device, Examples& examples, const SampleMeans& means,
                         const SpanMoments& moments, ConstDeviceView bounds) {
  const Index d = examples.inputs();
  const auto p = static_cast<Index>(means.answers.size());
  // Shifted answers keep no slope in x: they are not taken less one.
  LinearLabels answers = even_labels(means, p);
  answers.from_x = HostMatrix(p, d);
  double floor = 0;
  for (Index s = 1; s <= kSurrogates; ++s) {
    const LabelMoments chance =
        label_moments(device, examples, view_of(device, answers, bounds, s));
    HostMatrix second(0, d);
    for (Index l = 0; l < p; ++l) append_rows(chance.hermite(l), second);
    HostMatrix span = square_sum(device, second);
    for (Index l = 0; l < p; ++l) {
      for (Index i = 0; i < d; ++i) {
        for (Index j = 0; j < d; ++j) span(i, j) += chance.first(l, i) * chance.first(l, j);
      }
    }
    floor = std::max(floor, symmetric_eigen(std::move(span)).values.back());
  }
  const std::vector<double> values = symmetric_eigen(moments.span).values;
  return std::count_if(values.begin(), values.end(),
                       [&](double value) { return value > kVisible * floor; });
}

std::vector<HostMatrix> two_layer_starts(Device& device, Examples& examples,
                                         const LinearLabels& labels, const SpanMoments& moments,
                                         ConstDeviceView bounds, Index neurons, double power,
                                         Random& random, const StartPlan& plan) {
  const Index d = examples.inputs();
  const Index k = neurons;
  const HostMatrix p = leading(symmetric_eigen(moments.span), k);
  HostMatrix slices(0, k);
  const HostMatrix seen = product(device, moments.second, Transpose::no, p, Transpose::yes);
  for (Index l = 0; l < labels.count(); ++l) {
    const HostMatrix block(seen.view().row_block(l * d, d));
    append_rows(product(device, p, Transpose::no, block, Transpose::no), slices);
  }
  if (plan.fourth) {
    // Labels as functions of z = P x: what is not in the span is not in the label's mean.
    LinearLabels in_span = labels;
    in_span.from_x = HostMatrix(labels.count(), k);
    for (Index l = 0; l < labels.count(); ++l) {
      for (Index a = 0; a < k; ++a) in_span.from_x(l, a) = dot(labels.from_x.row(l), p.row(a), d);
    }
    SampleView view = view_of(device, in_span, bounds, 0);
    view.turn = p;
    append_rows(power == 1 ? fourth_slices_of(device, examples, view, k)
                           : third_slices_of(device, examples, view, k),
                slices);
  }
  std::vector<HostMatrix> starts;
  for (const JointDiagonal& candidate :
       jointly_diagonalize(device, slices, random, plan.tries, plan.iterations, plan.agree)) {
    HostMatrix v(0, d);
    for (Index i = 0; i < k; ++i) {
      std::vector<double> row(static_cast<std::size_t>(d), 0.0);
      for (Index a = 0; a < k; ++a) {
        for (Index j = 0; j < d; ++j) {
          row[static_cast<std::size_t>(j)] += candidate.factors(i, a) * p(a, j);
        }
      }
      v.append_row(unit_vector(row).data(), d);
    }
    const auto cosine = [d](const HostMatrix& a, Index i, const HostMatrix& b, Index j) {
      return std::fabs(dot(a.row(i), b.row(j), d));
    };
    bool collapsed = false;
    for (Index i = 0; i < k; ++i) {
      for (Index j = 0; j < i; ++j) collapsed |= std::fabs(dot(v.row(i), v.row(j), d)) > kParallel;
    }
    const auto is_double = [&](const HostMatrix& other) {
      for (Index i = 0; i < k; ++i) {
        double nearest = 0;
        for (Index j = 0; j < k; ++j) nearest = std::max(nearest, cosine(v, i, other, j));
        if (nearest < 1 - kDouble) return false;
      }
      return true;
    };
    if (collapsed || std::any_of(starts.begin(), starts.end(), is_double)) continue;
    starts.push_back(std::move(v));
    if (static_cast<int>(starts.size()) == plan.most) break;
  }
  return starts;
}

}  // namespace crease
