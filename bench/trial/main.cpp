// crease_trial: learns targets drawn at random and holds the certificate against the truth; one
// JSON line a run.
#include <crease/crease.hpp>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/trial/drawn.hpp"
#include "bench/trial/truth.hpp"

namespace crease::trial {
namespace {

using Json = nlohmann::ordered_json;

// A promise of the accuracy is broken beyond this many times it.
constexpr double kBroken = 10;
// Answers that are not exact may take long; a run that is cut off has its certificate too.
constexpr double kMostSeconds = 20;

Json describe(std::uint64_t run, const Drawn& drawn) {
  const FamilyPlan& f = drawn.family;
  return {{"run", run},
          {"family", f.family},
          {"inputs", f.inputs},
          {"neurons", f.neurons},
          {"outputs", f.outputs},
          {"answers", drawn.answers},
          {"deviation", drawn.imperfection.deviation},
          {"accuracy", drawn.problem.accuracy},
          {"failure", drawn.problem.failure},
          {"certificate_points", drawn.plan.certificate_points},
          {"resolution", drawn.plan.resolution},
          {"spread", f.spread},
          {"width", f.width},
          {"offset", f.offset},
          {"gap", *f.gap},
          {"size", f.size},
          {"biases", f.biases},
          {"distance", f.distance}};
}

/// The three promises: (A), (B), and what `reached` says.
void judge(const Drawn& drawn, const RunReport& report, const TrueError& truth, Device& device,
           const ReluNetwork& f, const ReluNetwork& g, Seed seed, Json& line) {
  if (!report.certificate) return;
  const Certificate& c = *report.certificate;
  const Rounding rounding = rounding_of(drawn);
  const Exceeding mass = count_exceeding(device, f, g, c.largest_error, rounding, c.mass, seed);
  line["a"] = {{"largest_error", c.largest_error},
               {"mass", c.mass},
               {"points", mass.points},
               {"beyond", mass.beyond},
               {"fails", mass.more},
               {"decided", mass.decided}};
  const double hidden = rounding.absolute + rounding.relative * truth.size;
  const bool beyond_bound = truth.rms > c.rms_bound + hidden;
  // Slopes that F - F' is known to have may not exceed what (B) assumes.
  const bool assumed = truth.steepest <= c.lipschitz;
  line["b"] = {{"rms_bound", c.rms_bound},
               {"lipschitz", c.lipschitz},
               {"steepest", truth.steepest},
               {"fails", beyond_bound && assumed},
               {"assumption_fails", beyond_bound && !assumed}};
  const double error = truth.relative.value_or(truth.rms);
  const bool wrong = report.outcome == Outcome::reached && error > kBroken * drawn.problem.accuracy;
  line["wrong"] = wrong;                // `reached`, and less accurate than ten times the accuracy
  line["broken"] = wrong && mass.more;  // and not for a mass that (A) leaves open
}

Json learn_one(std::uint64_t run, bool exact) {
  const Drawn drawn = draw(run, exact);
  const Seed seed{run};
  Json line = describe(run, drawn);
  const auto start = std::chrono::steady_clock::now();
  const auto device = make_cpu_device({.threads = 1});
  const auto oracle = open_oracle(drawn, seed);
  RunControl control;
  control.seed = seed;
  control.budget.seconds = kMostSeconds;
  Learned<ReluNetwork> learned;
  try {
    learned = learn_from_queries(*device, *oracle, drawn.problem, drawn.plan, control);
  } catch (const std::exception& error) {
    line["outcome"] = "threw";
    line["message"] = error.what();
    return line;
  }
  const RunReport& report = learned.report;
  line["outcome"] = to_string(report.outcome);
  line["message"] = report.message;
  line["learning_queries"] = report.learning_queries;
  line["learn_seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  // Probabilities do not determine the function that all outputs have in common.
  const ReluNetwork f = drawn.softmax ? without_common_function(drawn.network) : drawn.network;
  const ReluNetwork g = drawn.softmax ? without_common_function(learned.network) : learned.network;
  const NetworkMatch found = match(f, g);
  line["found"] = {{"target", found.target},
                   {"matched", found.matched},
                   {"merged", found.merged},
                   {"missing", found.missing},
                   {"spurious", found.spurious}};
  const TrueError truth = measure_error(*device, f, g, seed);
  line["rms"] = truth.rms;
  line["rms_sampled"] = truth.sampled;
  line["relative_error"] = truth.relative ? Json(*truth.relative) : Json();
  judge(drawn, report, truth, *device, f, g, seed, line);
  line["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return line;
}

}  // namespace
}  // namespace crease::trial

int main(int argc, char** argv) {
  std::uint64_t first = 0;
  std::uint64_t runs = 1;
  bool only_draw = false;
  bool exact = false;
  CLI::App app("learns targets drawn at random; one JSON line a run");
  app.add_option("--first", first, "number of the first run: it is the seed too (0)");
  app.add_option("--runs", runs, "how many (1)");
  app.add_flag("--exact", exact, "exact answers only");
  app.add_flag("--draw", only_draw, "say what would be learned, and learn nothing");
  CLI11_PARSE(app, argc, argv);
  for (std::uint64_t run = first; run < first + runs; ++run) {
    const auto line = only_draw ? crease::trial::describe(run, crease::trial::draw(run, exact))
                                : crease::trial::learn_one(run, exact);
    std::cout << line.dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace) << std::endl;
  }
  return 0;
}
