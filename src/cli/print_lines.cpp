// Names to the left, numbers in columns.
#include "src/cli/print_lines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace crease {

void print_line(const std::string& name, const std::string& value) {
  fmt::print("{:<21} {}\n", name, value);
}

void print_spread_head() {
  fmt::print("{:<22}{:>12}{:>12}{:>12}\n", "", "least", "median", "largest");
}

void print_spread(const std::string& name, std::vector<double> values) {
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  fmt::print("{:<22}{:>12.5g}{:>12.5g}{:>12.5g}\n", name, values.front(), values[values.size() / 2],
             values.back());
}

double norm(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

std::vector<double> norms_of_rows(const HostMatrix& matrix) {
  std::vector<double> norms;
  for (Index i = 0; i < matrix.rows(); ++i) {
    norms.push_back(norm({matrix.row(i), matrix.row(i) + matrix.cols()}));
  }
  return norms;
}

std::vector<double> norms_of_columns(const HostMatrix& matrix) {
  std::vector<double> norms;
  for (Index j = 0; j < matrix.cols(); ++j) {
    std::vector<double> column;
    for (Index i = 0; i < matrix.rows(); ++i) column.push_back(matrix(i, j));
    norms.push_back(norm(column));
  }
  return norms;
}

std::vector<double> numbers_of(const HostMatrix& matrix) {
  return {matrix.data(), matrix.data() + matrix.size()};
}

}  // namespace crease
