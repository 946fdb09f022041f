// How near is near: bits, sum(n), and bounds on residuals. No other tolerance exists. A NaN is near
// nothing but a NaN.
#pragma once

#include <crease/matrix.hpp>

#include <gtest/gtest.h>

#include "src/small_dense.hpp"

namespace crease {

/// Same shape and the same bits everywhere; any NaN equals any other, and 0 differs from -0.
testing::AssertionResult same_bits(const HostMatrix& got, const HostMatrix& expected);

/// |got - expected| <= 2 n eps * terms, element by element, where terms holds the sum of the
/// magnitudes of what was added up (for a sum of squares under a root: the root).
testing::AssertionResult near_sum(const HostMatrix& got, const HostMatrix& expected,
                                  const HostMatrix& terms, Index n);

/// value <= bound, false for NaN; says both otherwise.
testing::AssertionResult at_most(double value, double bound);

/// Sums in extended precision, rounded once: the reference of the sum(n) and residual contracts.
struct Sums {
  HostMatrix value;  // sum of terms
  HostMatrix terms;  // sum of |terms|
};

/// a * b.
Sums product(const HostMatrix& a, const HostMatrix& b);

/// The lower triangle and the diagonal; zero above.
HostMatrix lower_triangle(const HostMatrix& a);

/// Frobenius norms of a, and of a - b; NaN where an element is.
double norm(const HostMatrix& a);
double distance(const HostMatrix& a, const HostMatrix& b);

}  // namespace crease
