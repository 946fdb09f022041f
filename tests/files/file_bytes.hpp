// Files put together by hand, and the text of the error a call throws.
#pragma once

#include <crease/types.hpp>

#include <cstring>
#include <string>
#include <vector>

namespace crease {

/// The memory of some numbers.
template <class Number>
std::string bytes_of(const std::vector<Number>& numbers) {
  std::string bytes(numbers.size() * sizeof(Number), '\0');
  if (!numbers.empty()) std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

/// Length, header, data.
inline std::string safetensors(const std::string& header, const std::string& data) {
  return bytes_of<std::uint64_t>({header.size()}) + header + data;
}

/// The text of the FileError that `call` throws; "" if it throws none.
template <class Call>
std::string file_error(Call call) {
  try {
    call();
  } catch (const FileError& error) {
    return error.what();
  }
  return "";
}

}  // namespace crease
