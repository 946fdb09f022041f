// The state of one polish, shared by its rounds (polish.cpp), its questions (polish_questions.cpp)
// and its end (polish_check.cpp).
#pragma once

#include <deque>
#include <optional>

#include "src/stages/fan_design.hpp"
#include "src/stages/gradient_fit.hpp"
#include "src/stages/level_fit.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/polish.hpp"

namespace crease {

/// One call of polish().
class Polisher {
 public:
  Polisher(Asker& asker, Random& random, const NoiseModel& noise, const Paid& paid,
           double tolerance, const Hypothesis& hypothesis)
      : asker_(asker),
        device_(asker.device()),
        random_(random),
        noise_(noise),
        start_(hypothesis),
        network_(hypothesis),
        k_(hypothesis.neurons()),
        p_(hypothesis.outputs),
        d_(hypothesis.inputs),
        beside_((d_ + kBesideShare - 1) / kBesideShare),
        x_(0, d_),
        y_(0, p_) {
    result_.report.asked = true;
    result_.report.tolerance = tolerance;
    for (const PaidFan& fan : paid.fans()) fans_.push_back(&fan);
    take_points(paid);
    set_targets(tolerance * kTighter);
    level_pairs_.x = HostMatrix(0, d_);
    level_pairs_.y = HostMatrix(0, p_);
    leans_.assign(static_cast<std::size_t>(k_), false);
  }

  Polished run();

 private:
  static constexpr Index kCheckPoints = 64;
  // The error of a centre is common to d directions whose signs lean away from the tightest
  // hyperplane: along its normal it counts sqrt(2 d / pi) times.
  static constexpr Index kBesideShare = 24;  // inputs for each pair of points beside a centre ...
  static constexpr double kFloor = 0x1p-50;  // |u| |w| times the error of a hyperplane
  static constexpr double kTighter = 0.5;    // the noise is seen about one bit too small

  void take_points(const Paid& paid);
  void ask_fitted_centers();
  void set_targets(double tolerance);
  void ask_fans(std::vector<WantedFan> wanted);
  void ask_part(std::vector<WantedFan>& wanted, std::size_t first, std::size_t end, Round round);
  void ask_points(const HostMatrix& x);
  void solve(FanDesign& design);
  void ask_levels();
  void check();
  void estimate(double factor);
  Index affordable() const {
    return (asker_.left() - std::min(asker_.left(), kCheckPoints)) / (d_ + 2 * beside_);
  }

  Asker& asker_;
  Device& device_;
  Random& random_;
  NoiseModel noise_;
  const Hypothesis& start_;
  UnitNetwork network_;
  Index k_;
  Index p_;
  Index d_;
  Index beside_;                  // pairs of points that say what a new fan's centre answers
  std::deque<PaidFan> own_fans_;  // addresses stay
  std::vector<const PaidFan*> fans_;
  HostMatrix x_;  // points and answers for levels
  HostMatrix y_;
  LevelPairs level_pairs_;
  std::vector<double> wanted_;
  std::vector<double> weight_prior_;
  std::vector<double> level_prior_;
  std::shared_ptr<const HostMatrix> directions_;
  HostMatrix gradient_covariance_;
  double doubted_ = 0;              // share of the rows
  std::vector<bool> leans_;         // [k] measured by fans that lean away from its hyperplane
  std::vector<double> turn_error_;  // [k] of the outputs' directions
  bool turns_outputs_ = true;       // wherever there is something to turn
  std::optional<LevelFit> levels_;
  bool short_of_queries_ = false;
  Polished result_{false, {}, Hypothesis(0, 0), {}, {}, 0};
};

}  // namespace crease
