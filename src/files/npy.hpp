// The header of an .npy array.
#pragma once

#include <crease/types.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "src/files/element.hpp"

namespace crease {

struct NpyHeader {
  Element element = Element::f64;
  bool swapped = false;  // most significant byte first
  bool fortran_order = false;
  std::vector<Index> shape;
};

/// Bytes before the header's text: magic, version, length; from the first 12 bytes of the array
/// (shorter input is refused where it matters). `length` becomes the length of the text. Throws
/// FileError.
std::size_t parse_npy_start(std::string_view first_bytes, std::size_t& length);

/// The text: a Python dictionary with descr, fortran_order and shape. Throws FileError.
NpyHeader parse_npy_header(std::string_view text);

/// Everything before the numbers of a little-endian float64 array in C order.
std::string make_npy_header(const std::vector<Index>& shape);

}  // namespace crease
