// The state of measuring one line's gradients, shared by asking (gradients.cpp) and repairing
// (repair.cpp).
#pragma once

#include "src/stages/gradients.hpp"
#include "src/stages/paid.hpp"

namespace crease {

/// Answers of one fan, a centre per piece in `todo`.
struct FanAnswers {
  std::vector<std::size_t> todo;  // pieces
  HostMatrix values;              // [todo * d, p] of F or of the residual
  HostMatrix steps;               // [todo, d]
  HostMatrix noise;  // [todo, d] one standard deviation of a divided difference, in units of scale
  std::vector<std::size_t> silent = {};  // pieces of which an answer said nothing
};

/// One run of measure_gradients.
class Measurement {
 public:
  Measurement(Asker& asker, const SearchedLine& line, const NoiseModel& noise,
              const Hypothesis& hypothesis, const DeviceNetwork* current, const GapPolicy& policy,
              const QueryPlan& plan, Random& random, MeasuredPieces& pieces);

  void run();

 private:
  void draw_basis(Random& random);
  void exclude_poor_pieces();
  void take_base_piece();
  std::vector<std::size_t> missing(const std::vector<std::size_t>& chain) const;
  void take_slopes(const std::vector<std::size_t>& todo);
  void ask_centers(const std::vector<std::size_t>& todo);
  /// Takes told sigmas [todo * d, p] into the noise of the i-th centre's steps, which were chosen
  /// for answers with the noise `expected`. False where one is infinite.
  bool take_noise(const HostMatrix& sigmas, Index i, double expected, FanAnswers& fan) const;
  /// Asks and takes what passes; returns the answers of the pieces that failed.
  FanAnswers ask(const std::vector<std::size_t>& todo, double shrink);
  FanAnswers ask_chunk(const std::vector<std::size_t>& todo, double shrink, Round round);
  /// Keeps what was answered on a fan, before anything is subtracted from it.
  void keep_paid(const FanAnswers& fan, const HostMatrix& centers, ConstDeviceView answers);
  void choose_steps(FanAnswers& fan, ConstDeviceView centers, double shrink);

  /// True, and the gradient is stored, if its slope along the line is the slope of the line.
  /// gradient [p, d]; noise [d] of the divided differences; steps [d].
  bool accept(std::size_t m, HostMatrix gradient, const double* noise, const double* steps);

  /// Explains failures by the hinges of neurons that other pieces already give; returns the pieces
  /// it cannot.
  std::vector<std::size_t> repair(const FanAnswers& failed);
  /// Divided differences times basis; [p, d].
  HostMatrix gradient_from(const HostMatrix& differences) const;

  Asker& asker_;
  Device& device_;
  const SearchedLine& line_;
  const NoiseModel& noise_;
  const Hypothesis& hypothesis_;
  const DeviceNetwork* current_;
  const GapPolicy& policy_;
  const QueryPlan& plan_;
  MeasuredPieces& pieces_;
  Index d_;
  Index p_;
  std::vector<double> known_gradient_error_;
  std::vector<double> known_step_;  // [p] largest step a known hyperplane leaves
  std::vector<bool> excluded_;
  std::vector<bool> center_asked_;
  HostMatrix center_answers_;  // [n, p] of F, on a line of the residual, once they were asked
  std::vector<bool> center_silent_;
  DeviceMatrix basis_;  // [d, d] orthonormal rows, one basis for all pieces of the line
  HostMatrix basis_on_host_;
  std::shared_ptr<const HostMatrix> paid_basis_;  // the same, where answers are kept
  std::vector<double> basis_along_;               // [d] <basis row, direction of the line>
};

}  // namespace crease
