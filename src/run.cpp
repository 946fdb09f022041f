// The names of outcomes.
#include <crease/run.hpp>

namespace crease {

std::string to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::reached:
      return "reached";
    case Outcome::not_reached:
      return "not_reached";
    case Outcome::out_of_budget:
      return "out_of_budget";
    case Outcome::oracle_failed:
      return "oracle_failed";
    case Outcome::device_lost:
      return "device_lost";
    case Outcome::stopped:
      return "stopped";
  }
  throw BadInput("to_string: no such outcome");
}

}  // namespace crease
