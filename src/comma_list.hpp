// Lists of words in arguments and files.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace crease {

/// The words between the commas, empty ones too.
inline std::vector<std::string> words_of(const std::string& list) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    words.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

}  // namespace crease
