// A network as hyperplanes without orientation: sums of absolute values and an affine part.
#pragma once

#include <crease/network.hpp>

#include <vector>

namespace crease {

/// F'(x) = sum_i scales_i |<v_i, x> + e_i| + linear (x, 1),   |v_i| = 1.
///
/// relu(z) = z / 2 + |z| / 2: orientation disappears, (v, e) and (-v, -e) are the same neuron.
struct Hyperplanes {
  HostMatrix planes;  // [k, d + 1], rows (v_i, e_i)
  HostMatrix scales;  // [k, p]
  HostMatrix linear;  // [p, d + 1], the constant last

  Hyperplanes() = default;
  /// No neurons, zero everywhere.
  Hyperplanes(Index inputs, Index outputs)
      : planes(0, inputs + 1), scales(0, outputs), linear(outputs, inputs + 1) {}

  Index inputs() const { return linear.cols() - 1; }
  Index outputs() const { return linear.rows(); }
  Index neurons() const { return planes.rows(); }

  /// A neuron more, of scale 0: <normal, x> + offset is divided by |normal|. BadInput where the
  /// normal is 0 or a number is not finite.
  void add(const std::vector<double>& normal, double offset);

  /// Without the neurons that are marked.
  Hyperplanes without(const std::vector<bool>& marked) const;
};

/// The same function, each neuron as w = 2 |c| v, bias = 2 |c| e, output c / |c|, and what is left
/// over in the linear part. Neurons of scale 0 are left out.
ReluNetwork relu_network_of(const Hyperplanes& network);

/// y [n, p] <- F'(x) for x [n, d], in chunks of at most most_bytes. Waits for nothing.
void evaluate(Device& device, const Hyperplanes& network, ConstDeviceView x, Index most_bytes,
              DeviceView y);

/// [|<v_i, x> + e_i|, x, constant] at points: the features that scales and linear part are linear
/// in; constant 1, or 0 where F has none.
class HyperplaneFeatures {
 public:
  HyperplaneFeatures(Device& device, const HostMatrix& planes, double constant = 1);

  Index cols() const { return neurons_ + inputs_ + 1; }
  /// x [m, d], out [m, k + d + 1]. Waits for nothing.
  void rows(ConstDeviceView x, DeviceView out) const;
  /// How many rows take at most most_bytes, at least 1.
  Index chunk_rows(Index most_bytes) const;

 private:
  Device& device_;
  Index neurons_;
  Index inputs_;
  double constant_;
  DeviceMatrix normals_;  // [k, d]
  DeviceMatrix offsets_;  // [1, k]
};

/// Scales above the transposed linear part, [k + d + 1, p]: the coefficients of these features.
HostMatrix coefficients_of(const Hyperplanes& network);
void set_coefficients(const HostMatrix& coefficients, Hyperplanes& network);

}  // namespace crease
