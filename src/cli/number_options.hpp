// Options that take a number, with their range said in words.
#pragma once

#include <crease/types.hpp>

#include <CLI/CLI.hpp>
#include <charconv>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace crease {

/// Whether the whole text is a number, one that does not overflow; then `number` is that.
template <class Number>
bool parse_all(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

/// A set of real numbers and its description after "expected".
struct RealRange {
  bool (*contains)(double);
  const char* text;
};

extern const RealRange kPositive;
extern const RealRange kNotNegative;
extern const RealRange kProbability;  // 0 and 1 excluded
extern const RealRange kAnyReal;

/// `set` gets the number; anything else than a whole number >= least is refused with
/// CLI::ValidationError.
CLI::Option* add_whole_option(CLI::App& verb, const std::string& name, const std::string& help,
                              Index least, std::function<void(Index)> set);

/// The same, or `word`, for which `set` gets no number.
CLI::Option* add_whole_or_word_option(CLI::App& verb, const std::string& name,
                                      const std::string& help, Index least, const std::string& word,
                                      std::function<void(std::optional<Index>)> set);

/// The same for a finite number of a range.
CLI::Option* add_real_option(CLI::App& verb, const std::string& name, const std::string& help,
                             const RealRange& range, std::function<void(double)> set);

/// --seed S, 0 to 2^64 - 1.
CLI::Option* add_seed_option(CLI::App& verb, Seed& seed);

/// One of a few words.
CLI::Option* add_choice_option(CLI::App& verb, const std::string& name, const std::string& help,
                               const std::vector<std::string>& words, std::string& chosen);

}  // namespace crease
