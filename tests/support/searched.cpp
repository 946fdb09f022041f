// Lines as a perfect search would leave them.
#include "tests/support/searched.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/stages/numbers.hpp"

namespace crease {

NoiseModel relative_noise(double unit, Index p) {
  const auto outputs = static_cast<std::size_t>(p);
  return {std::vector<double>(outputs, 0.0), std::vector<double>(outputs, unit), "float64"};
}

SearchedLine perfect_line(const BrokenLine& f, std::vector<double> origin,
                          std::vector<double> direction, double unit) {
  SearchedLine line;
  line.origin = std::move(origin);
  line.direction = std::move(direction);
  const double c = std::sqrt(static_cast<double>(line.origin.size()));
  const double end = 1000 * c;
  line.result.low = -end;
  line.result.high = end;
  for (std::size_t j = 0; j < f.t.size(); ++j) {
    line.result.kinks.push_back({f.t[j], f.jump[j], true, f.t[j], f.t[j]});
  }
  for (std::size_t m = 0; m <= f.t.size(); ++m) {
    Piece piece;
    piece.low = m == 0 ? -end : f.t[m - 1];
    piece.high = m == f.t.size() ? end : f.t[m];
    // Points far out weigh little: an outer piece is known best near its kink.
    const bool first = m == 0;
    const bool last = m == f.t.size();
    piece.fit.center = first && last ? 0
                       : first       ? piece.high - std::max(std::abs(piece.high), c)
                       : last        ? piece.low + std::max(std::abs(piece.low), c)
                                     : 0.5 * (piece.low + piece.high);
    for (std::size_t o = 0; o < f.outputs(); ++o) {
      piece.fit.value.push_back(f.at(piece.fit.center, o));
      piece.fit.slope.push_back(f.slope_of(m, o));
      const double sigma = unit * std::max(line.rho(piece.low), line.rho(piece.high));
      piece.fit.value_sd.push_back(sigma / std::sqrt(2.0));
      piece.fit.slope_sd.push_back(std::sqrt(2.0) * sigma / (piece.high - piece.low));
    }
    line.result.pieces.push_back(std::move(piece));
  }
  for (std::size_t o = 0; o < f.outputs(); ++o) {
    line.result.scale.push_back(unit * c);
    double low = f.slope[o];
    double high = f.slope[o];
    for (std::size_t m = 1; m <= f.t.size(); ++m) {
      low = std::min(low, f.slope_of(m, o));
      high = std::max(high, f.slope_of(m, o));
    }
    line.result.slope_range.push_back(high - low);
  }
  return line;
}

SearchedLine perfect_line(const ReluNetwork& network, std::vector<double> origin,
                          std::vector<double> direction, double unit, std::vector<Index>* order) {
  const BrokenLine f = along(network, origin, direction, order);
  return perfect_line(f, std::move(origin), std::move(direction), unit);
}

std::vector<double> row_of(const HostMatrix& matrix, Index row) {
  return {matrix.row(row), matrix.row(row) + matrix.cols()};
}

}  // namespace crease
