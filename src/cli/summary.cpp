// A table one can read.
#include "src/cli/summary.hpp"

#include <fmt/format.h>

#include <cmath>

#include "src/cli/report.hpp"

namespace crease {
namespace {

const char* in_words(Outcome outcome, bool from_examples) {
  switch (outcome) {
    case Outcome::reached:
      return from_examples ? "reached: the held-out examples lie within the accuracy asked"
                           : "reached: fresh points show no error beyond their noise";
    case Outcome::not_reached:
      return "not reached: the network is the best found, and not vouched for to the accuracy "
             "asked";
    case Outcome::out_of_budget:
      return "out of budget: the network is the best found";
    case Outcome::oracle_failed:
      return from_examples ? "the examples failed: the network is the best found until then"
                           : "the black box failed: the network is the best found until then";
    case Outcome::device_lost:
      return "the device failed: the network is the best found until then";
    case Outcome::stopped:
      return "stopped: the network is the best found until then";
  }
  return "";
}

std::string queries(const RunReport& report) {
  std::string text = fmt::format("{} = {} to learn + {} for the certificate",
                                 report.learning_queries + report.certificate_queries,
                                 report.learning_queries, report.certificate_queries);
  const Index parameters = report.neurons * (report.inputs + 1);
  if (parameters > 0 && report.mode != "hessian") {
    text +=
        fmt::format("; {:.2f} to learn per k (d + 1)",
                    static_cast<double>(report.learning_queries) / static_cast<double>(parameters));
  }
  std::string stages;
  for (const auto& [stage, count] : report.queries) {
    if (stage == "certificate" || count == 0) continue;
    stages += fmt::format("{}{} {}", stages.empty() ? "" : ", ", stage, count);
  }
  if (report.unanswered_queries > 0) {
    stages +=
        fmt::format("{}{} asked in vain", stages.empty() ? "" : ", ", report.unanswered_queries);
  }
  return stages.empty() ? text : text + "\n                 " + stages;
}

std::string examples(const RunReport& report) {
  const Index training = report.queries.at(kTraining);
  const Index held_out = report.queries.at(kHeldOut);
  std::string text =
      fmt::format("{} = {} to fit + {} held out", training + held_out, training, held_out);
  const Index parameters = report.neurons * report.inputs;
  if (parameters > 0) {
    text += fmt::format("; {:.1f} to fit per k d",
                        static_cast<double>(training) / static_cast<double>(parameters));
  }
  return text;
}

/// What examples that no fit has seen say of all others like them.
/// Null where (B) says something.
const char* why_b_says_nothing(const RunReport& report) {
  const double lipschitz = report.certificate->lipschitz;
  if (lipschitz == 0) {
    return "  (B) says nothing: F' has no neuron whose steepness could bound what is missing\n";
  }
  if (!std::isinf(lipschitz)) return nullptr;
  return is_from_examples(report)
             ? "  (B) says nothing: inputs are not from N(0, I), or powers other than 1 have "
               "slopes "
               "without bound\n"
             : "  (B) says nothing: slopes of powers other than 1 have no bound\n";
}

std::string held_out_certificate(const RunReport& report) {
  if (!report.certificate) return "not vouched for: no held-out examples were looked at\n";
  const Certificate& c = *report.certificate;
  std::string text =
      fmt::format("vouched for with confidence {:.6g} % each:\n", 100 * c.confidence);
  text += fmt::format(
      "  (A) |y - F'(x)| <= {:.3g} except for a fraction <= {:.2g} of examples like these ({} held "
      "out, if they came in random order)\n",
      c.largest_error, c.mass, c.points);
  if (c.silent > 0) {
    text += fmt::format("      {} of them have gross errors: they count among the exceptions\n",
                        c.silent);
  }
  if (const char* nothing = why_b_says_nothing(report)) return text + nothing;
  text += fmt::format(
      "  (B) rms error <= {:.3g} over N(0, I) if the inputs came from there and F - F' is "
      "{:.3g}-Lipschitz\n",
      c.rms_bound, c.lipschitz);
  return text;
}

std::string certificate(const RunReport& report) {
  if (is_from_examples(report)) return held_out_certificate(report);
  if (!report.certificate) return "not vouched for: no certificate was drawn\n";
  const Certificate& c = *report.certificate;
  std::string text =
      fmt::format("vouched for with confidence {:.6g} % each:\n", 100 * c.confidence);
  text += fmt::format(
      "  (A) |F - F'| <= {:.3g} except on a fraction <= {:.2g} of Gaussian inputs ({} fresh "
      "points, "
      "no assumption)\n",
      c.largest_error, c.mass, c.points);
  if (c.silent > 0) {
    text += fmt::format("      {} of the points said nothing: they count among the exceptions\n",
                        c.silent);
  }
  if (const char* nothing = why_b_says_nothing(report)) return text + nothing;
  text += fmt::format(
      "  (B) rms error <= {:.3g} if F - F' is {:.3g}-Lipschitz: nothing that is missing is "
      "steeper\n",
      c.rms_bound, c.lipschitz);
  return text;
}

/// What only a run that asks has to say; row(name, value).
template <class Row>
void asked_rows(const RunReport& report, const Row& row) {
  row("answers", report.answer_format.empty()
                     ? "not measured"
                     : fmt::format("{}, noise {:.2g}", report.answer_format, report.answer_noise));
  if (!report.modulo.empty()) {
    row("modulo", report.modulo + ": the answers do not determine it, and errors leave it out");
  }
  row("queries", queries(report));
  row("rounds", fmt::format("{}, {} of them to learn", report.rounds, report.learning_rounds));
  if (report.hunt_mass < 1) {
    row("slabs",
        fmt::format("of Gaussian mass above {:.2g}: none went unseen, at the failure asked",
                    report.hunt_mass));
  }
}

}  // namespace

std::string summary_of(const RunReport& report, const std::string& file) {
  const bool from_examples = is_from_examples(report);
  std::string text;
  const auto row = [&text](const char* name, const std::string& value) {
    text += fmt::format("{:<17}{}\n", name, value);
  };
  row("outcome", in_words(report.outcome, from_examples));
  if (!report.message.empty()) row("", report.message);
  row("network", fmt::format("{} inputs, {} neurons, {} outputs, in {}", report.inputs,
                             report.neurons, report.outputs, file));
  row("error", report.relative_error
                   ? fmt::format("relative {:.3g}, rms {:.3g} on the {}", *report.relative_error,
                                 report.rms_error.value_or(NAN),
                                 from_examples ? "held-out examples" : "certificate's points")
               : report.rms_error
                   ? fmt::format("rms {:.3g}; no relative error of a constant", *report.rms_error)
                   : "not measured");
  if (report.ball_error) {
    row("", fmt::format("largest {:.3g} on the certificate's points of the unit ball",
                        *report.ball_error));
  }
  if (from_examples) {
    row("examples", examples(report));
  } else {
    asked_rows(report, row);
  }
  row("device", fmt::format("{}, seed {}, mode {}", report.device, report.seed.value, report.mode));
  row("time", fmt::format("{:.2f} s, {:.1f} MB on the device", report.total_seconds,
                          static_cast<double>(report.peak_device_bytes) / 1e6));
  for (const std::string& warning : report.warnings) row("warning", warning);
  return text + certificate(report);
}

}  // namespace crease
