// RunReport, key by key.
#include "src/cli/report.hpp"

#include <nlohmann/json.hpp>

#include "src/cli/verbs.hpp"

namespace crease {
namespace {

using Json = nlohmann::ordered_json;

// Always there, also where a stage asked nothing.
constexpr const char* kStages[] = {"noise", "lines",         "gradients", "hunt",
                                   "looks", "least_squares", "lift",      "polish"};

Json or_null(const std::optional<double>& number) {
  return number ? Json(*number) : Json();
}

Json queries(const RunReport& report) {
  Json json = {{"total", report.learning_queries + report.certificate_queries},
               {"learning", report.learning_queries},
               {"certificate", report.certificate_queries},
               {"unanswered", report.unanswered_queries},
               {"reused", report.reused_queries}};
  for (const char* stage : kStages) json[stage] = 0;
  for (const auto& [stage, count] : report.queries) {
    if (stage != "certificate" && stage != kTraining && stage != kHeldOut) json[stage] = count;
  }
  return json;
}

Json examples(const RunReport& report) {
  if (!is_from_examples(report)) return nullptr;
  return {{kTraining, report.queries.at(kTraining)}, {kHeldOut, report.queries.at(kHeldOut)}};
}

Json certificate(const RunReport& report) {
  if (!report.certificate) return nullptr;
  const Certificate& c = *report.certificate;
  return {{"points", c.points}, {"confidence", c.confidence}, {"largest_error", c.largest_error},
          {"mass", c.mass},     {"lipschitz", c.lipschitz},   {"rms_bound", c.rms_bound},
          {"silent", c.silent}};
}

Json polish(const RunReport& report) {
  const PolishReport& p = report.polish;
  if (!p.asked) return nullptr;
  return {{"accepted", p.accepted},    {"tolerance", p.tolerance}, {"fans", p.fans},
          {"pairs", p.pairs},          {"levels", p.levels},       {"rounds", p.rounds},
          {"unfinished", p.unfinished}};
}

/// One list a kind, a number a neuron; null without a polish.
Json neuron_errors(const RunReport& report) {
  if (!report.polish.accepted) return nullptr;
  Json json = {{"weights", Json::array()},
               {"biases", Json::array()},
               {"hyperplanes", Json::array()},
               {"scales", Json::array()},
               {"floors", Json::array()}};
  for (const NeuronError& error : report.neuron_errors) {
    json["weights"].push_back(error.weights);
    json["biases"].push_back(error.bias);
    json["hyperplanes"].push_back(error.hyperplane);
    json["scales"].push_back(error.scale);
    json["floors"].push_back(error.floor);
  }
  return json;
}

}  // namespace

std::string report_as_json(const RunReport& report) {
  Json json;
  json["version"] = kVersion;
  json["outcome"] = to_string(report.outcome);
  json["message"] = report.message;
  json["device"] = report.device;
  json["seed"] = report.seed.value;
  json["mode"] = report.mode;
  json["method"] = report.method;
  json["inputs"] = report.inputs;
  json["outputs"] = report.outputs;
  json["neurons"] = report.neurons;
  json["answers"] = {{"format", report.answer_format}, {"noise", report.answer_noise}};
  json["modulo"] = report.modulo.empty() ? Json() : Json(report.modulo);
  json["queries"] = queries(report);
  json["examples"] = examples(report);
  json["rounds"] = report.rounds;
  json["learning_rounds"] = report.learning_rounds;
  json["seconds"] = {{"total", report.total_seconds}};
  for (const auto& [stage, seconds] : report.seconds) json["seconds"][stage] = seconds;
  json["rms_error"] = or_null(report.rms_error);
  json["relative_error"] = or_null(report.relative_error);
  json["ball_error"] = or_null(report.ball_error);
  json["certificate"] = certificate(report);
  json["hunt_mass"] = report.hunt_mass;
  json["least_squares"] = {{"solver", report.least_squares.solver},
                           {"reason", report.least_squares.reason},
                           {"rank", report.least_squares.rank},
                           {"condition", report.least_squares.condition},
                           {"iterations", report.least_squares.iterations},
                           {"accepted", report.least_squares.accepted}};
  json["polish"] = polish(report);
  json["neuron_errors"] = neuron_errors(report);
  json["peak_device_bytes"] = report.peak_device_bytes;
  json["warnings"] = report.warnings;

  std::string text = "{";
  for (const auto& [key, value] : json.items()) {
    text += text.size() == 1 ? "\n " : ",\n ";
    // An oracle's message need not be UTF-8.
    text += Json(key).dump() + ": " +
            value.dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace);
  }
  return text + "\n}\n";
}

bool is_from_examples(const RunReport& report) {
  return report.queries.contains(kTraining) && report.queries.contains(kHeldOut);
}

int exit_code_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::reached:
      return kExitOk;
    case Outcome::not_reached:
      return 3;
    case Outcome::out_of_budget:
      return 4;
    case Outcome::oracle_failed:
      return 5;
    case Outcome::device_lost:
      return 6;
    case Outcome::stopped:
      return 130;
  }
  throw BadInput("exit_code_of: no such outcome");
}

}  // namespace crease
