// Comparisons that say where and by how much.
#include "tests/support/near.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>

namespace crease {
namespace {

bool same_shape(const HostMatrix& a, const HostMatrix& b) {
  return a.rows() == b.rows() && a.cols() == b.cols();
}

testing::AssertionResult different_shapes(const HostMatrix& got, const HostMatrix& expected) {
  return testing::AssertionFailure()
         << "got [" << got.rows() << ", " << got.cols() << "], expected [" << expected.rows()
         << ", " << expected.cols() << "]";
}

bool same_number(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

}  // namespace

testing::AssertionResult same_bits(const HostMatrix& got, const HostMatrix& expected) {
  if (!same_shape(got, expected)) return different_shapes(got, expected);
  for (Index i = 0; i < got.rows(); ++i) {
    for (Index j = 0; j < got.cols(); ++j) {
      if (same_number(got(i, j), expected(i, j))) continue;
      std::ostringstream text;
      text << std::hexfloat << "(" << i << ", " << j << "): got " << got(i, j) << ", expected "
           << expected(i, j);
      return testing::AssertionFailure() << text.str();
    }
  }
  return testing::AssertionSuccess();
}

testing::AssertionResult near_sum(const HostMatrix& got, const HostMatrix& expected,
                                  const HostMatrix& terms, Index n) {
  if (!same_shape(got, expected)) return different_shapes(got, expected);
  if (!same_shape(terms, expected)) return different_shapes(terms, expected);
  constexpr double kEps = std::numeric_limits<double>::epsilon();
  for (Index i = 0; i < got.rows(); ++i) {
    for (Index j = 0; j < got.cols(); ++j) {
      const double bound = 2.0 * static_cast<double>(n) * kEps * terms(i, j);
      if (std::abs(got(i, j) - expected(i, j)) <= bound) continue;  // false for NaN
      return testing::AssertionFailure()
             << "(" << i << ", " << j << "): got " << got(i, j) << ", expected " << expected(i, j)
             << ", off by " << std::abs(got(i, j) - expected(i, j)) << ", bound " << bound;
    }
  }
  return testing::AssertionSuccess();
}

testing::AssertionResult at_most(double value, double bound) {
  if (value <= bound) return testing::AssertionSuccess();
  return testing::AssertionFailure() << value << " exceeds " << bound;
}

Sums product(const HostMatrix& a, const HostMatrix& b) {
  Sums sums{HostMatrix(a.rows(), b.cols()), HostMatrix(a.rows(), b.cols())};
  for (Index i = 0; i < a.rows(); ++i) {
    for (Index j = 0; j < b.cols(); ++j) {
      long double value = 0;
      long double terms = 0;
      for (Index r = 0; r < a.cols(); ++r) {
        const long double term = static_cast<long double>(a(i, r)) * b(r, j);
        value += term;
        terms += std::abs(term);
      }
      sums.value(i, j) = static_cast<double>(value);
      sums.terms(i, j) = static_cast<double>(terms);
    }
  }
  return sums;
}

HostMatrix lower_triangle(const HostMatrix& a) {
  HostMatrix lower(a.rows(), a.cols());
  for (Index i = 0; i < a.rows(); ++i) {
    for (Index j = 0; j < a.cols() && j <= i; ++j) lower(i, j) = a(i, j);
  }
  return lower;
}

double norm(const HostMatrix& a) {
  return distance(a, HostMatrix(a.rows(), a.cols()));
}

double distance(const HostMatrix& a, const HostMatrix& b) {
  require(same_shape(a, b), "distance: shapes must agree");
  long double sum = 0;
  for (Index i = 0; i < a.rows(); ++i) {
    for (Index j = 0; j < a.cols(); ++j) {
      const long double difference = static_cast<long double>(a(i, j)) - b(i, j);
      sum += difference * difference;
    }
  }
  return static_cast<double>(std::sqrt(sum));
}

}  // namespace crease
