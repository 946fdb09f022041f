// Steps along lines from far out, where a function of saturated neurons is constant but for them.
#pragma once

#include <vector>

#include "src/stages/ask.hpp"

namespace crease {

/// Points origin + t direction.
struct FarLine {
  std::vector<double> origin;     // [d]
  std::vector<double> direction;  // [d], of unit length
};

/// F may change where <normal, x> is in [low, high] for a reason that is known already.
struct KnownStep {
  std::vector<double> normal;
  double low = 0;
  double high = 0;
};

struct StepScan {
  double radius = 1;     // length of the lines' origins
  double reach = 10;     // lines are scanned for |t| <= reach * radius
  Index cells = 1;       // of a line at first, of equal angles seen from the origin
  double finest = 1;     // cells are not halved below this length in t
  double longest = 1;    // steps of a greater length in t are left out
  Index most_cells = 1;  // a line that has more cells with a change than this is left out
  Index most_steps = 0;  // where a line has more none is bisected; 0: any number
  double sigma = 0;      // deviation of an answer
};

/// Where F goes from one constant to another.
struct FarStep {
  std::vector<double> at;         // [d], F is half way; empty where a line has too many steps
  std::vector<double> direction;  // [d], of its line
  double before = 0;              // the two constants
  double after = 0;
  double length = 0;  // in t, of the piece of the line that it was bisected from
};

/// Steps of F on the lines, those inside a KnownStep left out. Cells whose ends differ by more than
/// max(8 sigma, 1e-11 |F|) are halved down to `finest`, neighbouring ones taken together, and the
/// half way sought by bisection. Steps of less than max(24 sigma, 1e-8 |F|) are left out. All lines
/// in one batch a level, some 40 batches in all. `size` is the largest |F| seen so far, and is kept
/// up to date. One output. Waits.
std::vector<FarStep> far_steps(Asker& asker, const std::vector<FarLine>& lines,
                               const std::vector<KnownStep>& known, const StepScan& scan,
                               double& size);

}  // namespace crease
