// One target after the other, and the wrappers around it.
#include "src/cli/targets.hpp"

#include <crease/files.hpp>

#include <charconv>
#include <cmath>
#include <utility>

namespace crease {
namespace {

constexpr const char* kAnswers = "float64, float32, float16, round:N (decimals) or noise:S";

template <class Number>
bool parse_all(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

/// False where the text is none of kAnswers.
bool parse_answers(std::string_view text, Imperfection& answers) {
  using Kind = Imperfection::Kind;
  for (const auto& [word, kind] :
       {std::pair{"float64", Kind::float64}, std::pair{"float32", Kind::float32},
        std::pair{"float16", Kind::float16}}) {
    if (text != word) continue;
    answers.kind = kind;
    return true;
  }
  if (text.starts_with("round:")) {
    answers.kind = Kind::decimals;
    return parse_all(text.substr(6), answers.decimals) && answers.decimals >= 0 &&
           answers.decimals <= Imperfection::kMostDecimals;
  }
  if (text.starts_with("noise:")) {
    answers.kind = Kind::noise;
    return parse_all(text.substr(6), answers.deviation) && std::isfinite(answers.deviation) &&
           answers.deviation >= 0;
  }
  return false;
}

}  // namespace

void add_target_options(CLI::App& verb, TargetOptions& options) {
  verb.add_option("TARGET", options.name, "file of the network that answers")->required();
  verb.add_option(
          "--answers",
          [&options](const CLI::results_t& texts) {
            if (parse_answers(texts.at(0), options.answers)) return true;
            throw CLI::ValidationError(
                "--answers", std::string("expected ") + kAnswers + ", not \"" + texts.at(0) + "\"");
          },
          "how exactly a file's network answers (float64)")
      ->type_name("float64|float32|float16|round:N|noise:S")
      ->expected(1);
}

OpenTarget open_target(const TargetOptions& options, Seed seed) {
  OpenTarget target;
  target.file = options.name;
  target.oracle = make_network_oracle(load_network(options.name));
  if (options.answers.kind != Imperfection::Kind::float64) {
    Imperfection answers = options.answers;
    answers.seed = seed;
    target.oracle = make_imperfect_oracle(std::move(target.oracle), answers);
  }
  return target;
}

}  // namespace crease
