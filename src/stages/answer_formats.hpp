// What numbers all answers are: decimals, halves, singles, or any; and how far rounding moves them.
#pragma once

#include <crease/matrix.hpp>

#include <string>
#include <vector>

#include "src/stages/numbers.hpp"

namespace crease {

/// Standard deviation of a number uniform on [0, 1]: 1 / sqrt(12).
inline constexpr double kUniformDeviation = 0.288675134594812882;

struct AnswerFormat {
  std::string name;         // float64, float32, float16 or decimal
  double quantum = 0;       // of decimals
  double unit = kRounding;  // relative rounding of one answer
};

/// Of each output of answers [n, p], from its own answers; where too few of them differ, from all.
std::vector<AnswerFormat> find_formats(const HostMatrix& answers);

/// Of the answers of an output that are not its most frequent one; float64 where fewer than two
/// are.
AnswerFormat rare_format(const HostMatrix& answers, Index output);

/// The coarsest of several names.
std::string coarsest(const std::vector<std::string>& names);

/// rms error of answers [n] rounded to float16 or float32: their spacing over sqrt(12).
double rounding_rms(const std::vector<double>& answers, const std::string& format);

/// Whether answers [n, p] are all decimals, float32 or float16, as far as they differ from the most
/// frequent one of their output; false where fewer than two do.
bool are_rounded(const HostMatrix& answers);

}  // namespace crease
