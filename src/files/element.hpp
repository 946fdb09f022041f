// Number types of array files, and their conversion to float64.
#pragma once

#include <crease/types.hpp>

#include <cstddef>
#include <string_view>
#include <vector>

namespace crease {

enum class Element { f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean };

/// Bytes of one number.
std::size_t size_of(Element element);

/// "float64", "bfloat16", "int8", ...
std::string_view name_of(Element element);

/// Appends `count` numbers that begin at `bytes`, least significant byte first (`swapped`: most
/// significant first). Throws FileError on an integer that float64 cannot hold exactly.
void append_numbers(Element element, bool swapped, const unsigned char* bytes, std::size_t count,
                    std::vector<double>& values);

/// Product of `shape` where it and its bytes fit an Index; -1 where they do not, or where a size is
/// negative.
Index count_of(const std::vector<Index>& shape, std::size_t bytes_each);

}  // namespace crease
