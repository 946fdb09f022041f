// The normal of a hyperplane on which a function is constant, by secants in it.
#pragma once

#include <crease/matrix.hpp>

#include <vector>

#include "src/stages/ask.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// A point near which F(x) = phi(<a, x>), phi monotone, and what is known of a.
struct LevelPoint {
  std::vector<double> at;      // [d]
  std::vector<double> normal;  // [d] of unit length, about a
  double slope = 0;            // dF / dnormal; only differences use it
  double before = 0;           // phi far on either side, along the line that led here; only ...
  double after = 0;            // ... bisection uses them
  double reach = 0;            // ... and how far is far, along the normal
  bool holds = true;           // nothing contradicted F = phi(<a, x>) so far
};

/// sum_k coordinates_k basis_k.
std::vector<double> in_span(const HostMatrix& basis, const std::vector<double>& coordinates);

/// Uniform on the unit sphere of the span of an orthonormal basis; and `count` such rows.
std::vector<double> random_unit(Random& random, const HostMatrix& basis);
HostMatrix random_units(Random& random, const HostMatrix& basis, Index count);

/// D - 1 orthonormal rows that together with `normal` span the rows of the orthonormal basis [D,
/// d]; `normal` of unit length in that span.
HostMatrix tangents(const HostMatrix& basis, const std::vector<double>& normal);

/// normal <- unit(normal + sum_k s_k e_k), s_k = [F(x + length e_k) - F(x)] / (length slope), e_k
/// its tangents: exact but for the curvature of phi, an error of the order of length |s|^2, and
/// rounding over length: the longer, the more exact. A point with a |s_k| above `most` holds no
/// longer. D queries a point that holds, all in one batch.
void tilt_by_differences(Asker& asker, const HostMatrix& basis, double length, double most,
                         std::vector<LevelPoint>& points);

/// Whether F stays the same within the hyperplane: along every row of `along` [n, d], made tangent
/// and of length `length`, within `most` length slope + `rounding`, and the rounding
/// of x itself. n + 1 queries a point that
/// holds, in one batch; numbers by point, true for those that do not hold.
std::vector<bool> are_flat(Asker& asker, const HostMatrix& along, double length, double most,
                           double rounding, const std::vector<LevelPoint>& points);

struct Bisection {
  double length = 1;     // of the secants
  double window = 1;     // crossings are sought so far from where the normal puts them
  double precision = 1;  // and to this
  double sigma = 0;      // deviation of an answer
};

/// The same tilt where only comparisons can be trusted: along the normal from x and every x +
/// length e_k the crossing of the value half way between before and after is sought by bisection,
/// s_k = -(t_k - t_0) / length; the point moves to its own crossing. A point holds no longer where
/// the values `reach` beyond the window are not those of x, as another hyperplane then is in the
/// way, or a crossing is outside the window. D (2 + log2(2 window / precision)) queries a point
/// that holds, one batch a level.
void tilt_by_bisection(Asker& asker, const HostMatrix& basis, const Bisection& plan,
                       std::vector<LevelPoint>& points);

}  // namespace crease
