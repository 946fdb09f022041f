// The network found so far, with the error of every part.
#pragma once

#include <crease/network.hpp>

#include <vector>

namespace crease {

/// F'(x) = sum_j scale_j relu(<normal_j, x> + bias_j) + gradient x + constant, |normal_j| = 1,
/// every neuron inactive at the base point: so (gradient, constant) is exactly the affine piece of
/// F there, and no orientation is in doubt. A copy is a snapshot.
struct Hypothesis {
  Index inputs = 0;
  Index outputs = 0;
  std::vector<double> base;            // [d]; empty until the first piece is measured
  HostMatrix gradient;                 // [p, d]
  HostMatrix constant;                 // [p, 1]
  std::vector<double> gradient_noise;  // [p] one standard deviation of a component of `gradient`
  HostMatrix normals;                  // [k, d]
  std::vector<double> bias;            // [k]
  HostMatrix scales;                   // [k, p]
  // One standard deviation of <normal, x> + bias where the neuron was measured, and of a component
  // of the normal.
  std::vector<double> offset_error;  // [k]
  std::vector<double> normal_error;  // [k]

  Hypothesis(Index d, Index p);

  Index neurons() const { return normals.rows(); }
  bool has_base() const { return !base.empty(); }

  /// Adds scale * relu(<normal, x> + bias), whatever the length of the normal, turned inactive at
  /// the base. The errors are those of the given (not yet unit) normal.
  void add(std::vector<double> normal, double bias, std::vector<double> scale, double offset_error,
           double normal_error);

  /// Without these neurons; returns them, with the base of this one and no linear part.
  Hypothesis remove(const std::vector<Index>& neurons);

  /// Puts neurons back that were removed to be measured again: those that are not among the ones
  /// from `first` on, to within `sigmas` times the errors of both, and those whose error is
  /// smaller, in place of the new one.
  void keep_better(const Hypothesis& removed, Index first, double sigmas);

  /// Neurons from `first` on that only correct an earlier one: on its hyperplane, to within
  /// `sigmas` times both errors, they take it away again (it stood for two neurons whose kinks were
  /// too close on the line it came from), and both go; or they change its scale by a hundredth at
  /// most, and are added to it. Returns how many of the new ones were.
  Index absorb(Index first, double sigmas);

  /// All errors times a factor: what looks say of them counts for more than what was propagated.
  void scale_errors(double factor);

  ReluNetwork network() const;

  /// Root of the summed squares of normal_error * scale, per output: error of a gradient of F'. [p]
  std::vector<double> gradient_error() const;

  /// Root of the summed squares of offset_error * scale over sqrt(d + 1), per output: error of
  /// F'(x) / rho. [p]
  std::vector<double> value_error() const;

  /// Rounding of evaluating F'(x) in float64 over rho, per output: every inner product of d terms
  /// is off by about u |x|. What F is evaluated with cannot be less. [p]
  std::vector<double> rounding_error() const;

 private:
  bool same_plane(Index j, const Hypothesis& other, Index r, double sigmas) const;
  void append(const Hypothesis& other, Index r);
  Hypothesis only(const std::vector<Index>& rows) const;
};

}  // namespace crease
