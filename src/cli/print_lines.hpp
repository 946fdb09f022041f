// The lines of `crease show`: a name, and what is to be said of it.
#pragma once

#include <crease/matrix.hpp>

#include <string>
#include <vector>

namespace crease {

void print_line(const std::string& name, const std::string& value);

/// The head of what print_spread() prints.
void print_spread_head();
/// Least, median and largest; nothing where there are no values.
void print_spread(const std::string& name, std::vector<double> values);

double norm(const std::vector<double>& values);
std::vector<double> norms_of_rows(const HostMatrix& matrix);
std::vector<double> norms_of_columns(const HostMatrix& matrix);
std::vector<double> numbers_of(const HostMatrix& matrix);

}  // namespace crease
