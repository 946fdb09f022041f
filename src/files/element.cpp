// Half, single, brain and double floats and integers, as float64.
#include "src/files/element.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace crease {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read in their byte order");

/// IEEE binary16: sign, 5 bits of exponent, 10 of fraction.
double from_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f;
  const int fraction = bits & 0x3ff;
  double size;
  if (exponent == 0x1f) {
    size = fraction == 0 ? HUGE_VAL : std::nan("");
  } else if (exponent == 0) {
    size = std::ldexp(fraction, -24);
  } else {
    size = std::ldexp(fraction + 0x400, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -size : size;
}

/// The upper half of an IEEE binary32.
double from_brain(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

template <class Integer>
double from_integer(Integer value) {
  const double number = static_cast<double>(value);
  // Beyond 2^53 neighbours share a double; 2^53 itself may be its rounded neighbour.
  if (std::abs(number) >= 0x1p53) {
    throw FileError("the integer " + std::to_string(value) + " is too large for float64");
  }
  return number;
}

template <class Stored, class Convert>
void append(const unsigned char* bytes, std::size_t count, bool swapped,
            std::vector<double>& values, Convert convert) {
  for (std::size_t i = 0; i < count; ++i) {
    unsigned char raw[sizeof(Stored)];
    for (std::size_t b = 0; b < sizeof(Stored); ++b) {
      raw[b] = bytes[i * sizeof(Stored) + (swapped ? sizeof(Stored) - 1 - b : b)];
    }
    Stored stored;
    std::memcpy(&stored, raw, sizeof(Stored));
    values.push_back(convert(stored));
  }
}

}  // namespace

std::size_t size_of(Element element) {
  switch (element) {
    case Element::f64:
    case Element::i64:
    case Element::u64:
      return 8;
    case Element::f32:
    case Element::i32:
    case Element::u32:
      return 4;
    case Element::f16:
    case Element::bf16:
    case Element::i16:
    case Element::u16:
      return 2;
    case Element::i8:
    case Element::u8:
    case Element::boolean:
      return 1;
  }
  throw BadInput("size_of: no such element");
}

std::string_view name_of(Element element) {
  switch (element) {
    case Element::f64:
      return "float64";
    case Element::f32:
      return "float32";
    case Element::f16:
      return "float16";
    case Element::bf16:
      return "bfloat16";
    case Element::i64:
      return "int64";
    case Element::i32:
      return "int32";
    case Element::i16:
      return "int16";
    case Element::i8:
      return "int8";
    case Element::u64:
      return "uint64";
    case Element::u32:
      return "uint32";
    case Element::u16:
      return "uint16";
    case Element::u8:
      return "uint8";
    case Element::boolean:
      return "bool";
  }
  throw BadInput("name_of: no such element");
}

void append_numbers(Element element, bool swapped, const unsigned char* bytes, std::size_t count,
                    std::vector<double>& values) {
  const auto as_it_is = [](auto value) { return static_cast<double>(value); };
  const auto exactly = [](auto value) { return from_integer(value); };
  switch (element) {
    case Element::f64:
      return append<double>(bytes, count, swapped, values, as_it_is);
    case Element::f32:
      return append<float>(bytes, count, swapped, values, as_it_is);
    case Element::f16:
      return append<std::uint16_t>(bytes, count, swapped, values, from_half);
    case Element::bf16:
      return append<std::uint16_t>(bytes, count, swapped, values, from_brain);
    case Element::i64:
      return append<std::int64_t>(bytes, count, swapped, values, exactly);
    case Element::u64:
      return append<std::uint64_t>(bytes, count, swapped, values, exactly);
    case Element::i32:
      return append<std::int32_t>(bytes, count, swapped, values, as_it_is);
    case Element::u32:
      return append<std::uint32_t>(bytes, count, swapped, values, as_it_is);
    case Element::i16:
      return append<std::int16_t>(bytes, count, swapped, values, as_it_is);
    case Element::u16:
      return append<std::uint16_t>(bytes, count, swapped, values, as_it_is);
    case Element::i8:
      return append<std::int8_t>(bytes, count, swapped, values, as_it_is);
    case Element::u8:
      return append<std::uint8_t>(bytes, count, swapped, values, as_it_is);
    case Element::boolean:
      return append<std::uint8_t>(bytes, count, swapped, values,
                                  [](std::uint8_t value) { return value == 0 ? 0.0 : 1.0; });
  }
}

Index count_of(const std::vector<Index>& shape, std::size_t bytes_each) {
  Index count = 1;
  for (const Index size : shape) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) return -1;
  }
  Index bytes = 0;
  if (__builtin_mul_overflow(count, static_cast<Index>(bytes_each), &bytes)) return -1;
  return count;
}

}  // namespace crease
