// Planted values from the multiples of an irrational number.
#include "tests/support/planted.hpp"

#include <cmath>

namespace crease {

HostMatrix distinct(Index rows, Index cols, double offset) {
  // Fractional parts of the multiples of the golden ratio: evenly spread, and no two alike as long
  // as the matrix is not astronomically large.
  constexpr double kGolden = 0.61803398874989484820;
  HostMatrix values(rows, cols);
  for (Index i = 0; i < values.size(); ++i) {
    const double turn = static_cast<double>(i + 1) * kGolden;
    values.data()[i] = offset + (2.0 * (turn - std::floor(turn)) - 1.0);
  }
  return values;
}

HostMatrix with_zeros_and_ties(HostMatrix values) {
  for (Index i = 0; i < values.size(); ++i) {
    if (i % 7 == 4) values.data()[i] = values.data()[i - 1];
    if (i % 5 == 0) values.data()[i] = 0.0;
  }
  return values;
}

}  // namespace crease
