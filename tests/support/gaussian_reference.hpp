// Gaussian integrals of hinges by quadrature in extended precision: the reference of the tests.
#pragma once

#include <crease/matrix.hpp>

#include <vector>

namespace crease {

/// relu(<w, x> + bias), from doubles without rounding; a row without weights is a constant.
struct ReferenceHinge {
  std::vector<long double> weights;
  long double length = 0;     // |w|
  long double threshold = 0;  // -bias / |w|
  long double mean = 0;       // E relu
  long double active = 0;     // P(relu > 0); 0 without weights
};

ReferenceHinge reference_hinge(const HostMatrix& weights, const HostMatrix& bias, Index row);

/// E relu relu' under N(0, I): the conditional mean of the one given the other, integrated by
/// composite Gauss-Legendre that resolves the layer where the second one turns on. Error below
/// 1e-17 times the product of the roots of E relu^2.
long double reference_product(const ReferenceHinge& a, const ReferenceHinge& b);

}  // namespace crease
