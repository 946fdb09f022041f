// What a run says while it runs.
#pragma once

#include <crease/run.hpp>

#include <cstdio>
#include <string>

namespace crease {

/// What a run learns from: with examples there are no queries to count, and no kinks.
enum class Learning { from_queries, from_examples };

/// Prints events: on a terminal one live line per stage, elsewhere one plain line when a stage ends
/// and every few seconds within it. Warnings always get a line of their own. Nothing at all where
/// quiet.
class Progress {
 public:
  /// `device` is named before the first event.
  Progress(std::FILE* out, bool quiet, std::string device, Learning from);
  /// Ends the line in hand.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void operator()(const Event& event);

 private:
  void show(const Event& event);
  void end_stage();

  std::FILE* out_;
  bool quiet_;
  bool live_;
  bool begun_ = false;
  std::string device_;
  Learning from_;
  Event last_;             // of the stage in hand
  bool pending_ = false;   // last_ has not been printed in full
  double printed_at_ = 0;  // seconds, plain lines only
};

/// "lines: 752 of 5000 queries, 12 kinks, 32 neurons, error 3e-09, 0.4 s"; from examples
/// "least_squares: 32 neurons, error 3e-09, 0.4 s".
std::string line_of(const Event& event, Learning from);

}  // namespace crease
