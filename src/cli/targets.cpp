// One target after the other, and the wrappers around it.
#include "src/cli/targets.hpp"

#include <crease/files.hpp>

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <utility>

ReluNetwork network = load_network(options.name);
target.identity = "network " + to_string(digest_of(network));
target.oracle = make_network_oracle(std::move(network));
if (!options.softmax.empty()) {
  require(options.answers.kind != Imperfection::Kind::noise,
          "--softmax: probabilities may be rounded, but not noisy");
  require(target.oracle->output_dim() >= 2,
          "--softmax needs two outputs or more; " + options.name + " has one");
  target.identity += ", " + options.softmax;
  target.oracle =
      make_softmax_oracle(std::move(target.oracle), options.softmax == kLogProbabilities);
}

namespace crease {
namespace {

constexpr const char* kProbabilities = "probabilities";
constexpr const char* kLogProbabilities = "log-probabilities";
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

std::string to_string(const Imperfection& answers) {
  switch (answers.kind) {
    case Imperfection::Kind::float64:
      return "float64";
    case Imperfection::Kind::float32:
      return "float32";
    case Imperfection::Kind::float16:
      return "float16";
    case Imperfection::Kind::decimals:
      return "round:" + std::to_string(answers.decimals);
    case Imperfection::Kind::noise:
      return fmt::format("noise:{} of seed {}", answers.deviation, answers.seed.value);
  }
  return "";
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
  add_choice_option(verb, "--softmax", "the answers are those of a softmax: learn its logits",
                    {kProbabilities, kLogProbabilities}, options.softmax);
}

OpenTarget open_target(const TargetOptions& options, Seed seed) {
  OpenTarget target;
  target.file = options.name;
<<<<<<< HEAD
  ReluNetwork network = load_network(options.name);
  target.identity = "network " + to_string(digest_of(network));
  target.oracle = make_network_oracle(std::move(network));
=======
  target.oracle = make_network_oracle(load_network(options.name));
  if (!options.softmax.empty()) {
    require(options.answers.kind != Imperfection::Kind::noise,
            "--softmax: probabilities may be rounded, but not noisy");
    require(target.oracle->output_dim() >= 2,
            "--softmax needs two outputs or more; " + options.name + " has one");
    target.oracle =
        make_softmax_oracle(std::move(target.oracle), options.softmax == kLogProbabilities);
  }
>>>>>>> main
  if (options.answers.kind != Imperfection::Kind::float64) {
    Imperfection answers = options.answers;
    answers.seed = seed;
    target.identity += ", " + to_string(answers);
    target.oracle = make_imperfect_oracle(std::move(target.oracle), answers);
  }
  return target;
}

std::unique_ptr<Oracle> log_odds_if_asked(const TargetOptions& options,
                                          std::unique_ptr<Oracle> oracle) {
  if (options.softmax.empty()) return oracle;
  require(oracle->output_dim() >= 2,
          "--softmax needs two outputs or more: one probability alone has no odds");
  LogOddsOptions told;
  told.logarithms = options.softmax == kLogProbabilities;
  return make_log_odds_oracle(std::move(oracle), told);
}

}  // namespace crease
