// The directions in which a function of Gaussian inputs bends, from Hermite moments.
#pragma once

#include "src/stages/random.hpp"
#include "src/stages/sample_moments.hpp"

namespace crease {

struct HermiteSpanPlan {
  Index contractions = 4;      // random directions that fourth moments are contracted along ...
  int updates = 2;             // ... then turned to their largest eigenvector, so often
  Index fourth_rows = 200000;  // at most that fourth moments are taken from
};

/// An orthonormal basis whose leading rows hold, as well as the examples tell, every u_i of a label
/// l(x) = sum_i lambda_i relu(<u_i, x>) + an affine function, x ~ N(0, I).
struct HermiteSpan {
  HostMatrix basis;       // [m, d], the clearest first
  Index significant = 0;  // rows that stand out of chance
};

/// Each of these matrices has its range in the span of the u_i, but for chance; r is the label less
/// its best affine function, and, for the fourth moments and from 4 d^2 rows on, less a quadratic:
///   E r (x x^T - I);  E |r| (x x^T - I), which is seldom 0 where the others are;  and M_4(g) of r
///   along `contractions` random directions and the rows of `guides` (hermite_contractions).
/// An eigenvalue counts as its square over that of the largest one that chance made (the same with
/// labels shifted against x), those of the last two only from 1.25 times that on; the basis are the
/// m leading eigenvectors of the sum.
///
/// label   one number an example; z as its turn says, d = its dimensions
/// guides  [any, d] unit rows
/// m >= d gives the identity. About 8 passes. Waits. Source: moments and iteration Chen, Dou, Goel,
/// Klivans, Meka 2023; |r|, chance by shifted labels and control variates are ours.
HermiteSpan hermite_span(Device& device, Examples& examples, const SampleView& label, Index d,
                         Index m, const HostMatrix& guides, Random& random,
                         const HermiteSpanPlan& plan = {});

}  // namespace crease
