// Options that take a number, or one of a few words.
#include "src/cli/number_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace crease {

const RealRange kPositive = {[](double x) { return x > 0; }, "a number greater than 0"};
const RealRange kNotNegative = {[](double x) { return x >= 0; }, "a number of at least 0"};
const RealRange kProbability = {[](double x) { return x > 0 && x < 1; },
                                "a number between 0 and 1, both excluded"};
const RealRange kAnyReal = {[](double) { return true; }, "a number"};

namespace {

CLI::Option* add(CLI::App& verb, const std::string& name, const std::string& help,
                 const std::string& type, const std::string& expected,
                 std::function<bool(const std::string&)> take) {
  const auto callback = [name, expected, take](const CLI::results_t& texts) {
    if (!take(texts.at(0))) {
      throw CLI::ValidationError(name,
                                 fmt::format("expected {}, not \"{}\"", expected, texts.at(0)));
    }
    return true;
  };
  return verb.add_option(name, callback, help)->type_name(type)->expected(1);
}

}  // namespace

CLI::Option* add_whole_option(CLI::App& verb, const std::string& name, const std::string& help,
                              Index least, std::function<void(Index)> set) {
  return add(verb, name, help, "N", fmt::format("a whole number of at least {}", least),
             [least, set](const std::string& text) {
               Index number = 0;
               if (!parse_all(text, number) || number < least) return false;
               set(number);
               return true;
             });
}

CLI::Option* add_whole_or_word_option(CLI::App& verb, const std::string& name,
                                      const std::string& help, Index least, const std::string& word,
                                      std::function<void(std::optional<Index>)> set) {
  return add(verb, name, help, "N|" + word,
             fmt::format("{} or a whole number of at least {}", word, least),
             [least, word, set](const std::string& text) {
               Index number = 0;
               if (text == word) {
                 set(std::nullopt);
                 return true;
               }
               if (!parse_all(text, number) || number < least) return false;
               set(number);
               return true;
             });
}

CLI::Option* add_real_option(CLI::App& verb, const std::string& name, const std::string& help,
                             const RealRange& range, std::function<void(double)> set) {
  return add(verb, name, help, "X", range.text, [range, set](const std::string& text) {
    double number = 0;
    if (!parse_all(text, number) || !std::isfinite(number) || !range.contains(number)) return false;
    set(number);
    return true;
  });
}

CLI::Option* add_seed_option(CLI::App& verb, Seed& seed) {
  return add(verb, "--seed", "where the randomness comes from (0)", "N",
             "a whole number from 0 to 2^64 - 1",
             [&seed](const std::string& text) { return parse_all(text, seed.value); });
}

CLI::Option* add_choice_option(CLI::App& verb, const std::string& name, const std::string& help,
                               const std::vector<std::string>& words, std::string& chosen) {
  const auto is_one = [words, &chosen](const std::string& text) {
    if (std::find(words.begin(), words.end(), text) == words.end()) return false;
    chosen = text;
    return true;
  };
  return add(verb, name, help, fmt::format("{}", fmt::join(words, "|")),
             fmt::format("{}", fmt::join(words, " or ")), is_one);
}

}  // namespace crease
