// SampleSource: examples that a learner cannot choose; and the ready-made ones.
#pragma once

#include <crease/device.hpp>
#include <crease/network.hpp>

#include <memory>
#include <optional>
#include <string>

namespace crease {

/// Examples (x, y), y = F(x) + errors, that a learner gets as they come.
/// What a source throws, a learner passes on.
class SampleSource {
 public:
  virtual ~SampleSource() = default;

  virtual Index input_dim() const = 0;   // d
  virtual Index output_dim() const = 0;  // p

  /// Examples that were not drawn yet; no value where they never end.
  virtual std::optional<Index> rows_left() const = 0;

  /// The next x.rows examples: x [n, d], y [n, p], n <= rows_left(), rows x.ld and y.ld apart;
  /// ordered after and before other work of `device`.
  virtual void draw(Device& device, DeviceView x, DeviceView y) = 0;

  /// The first example is the next one again, and all come as before. False, and nothing happens,
  /// where that cannot be: then a learner keeps in memory what it draws.
  virtual bool rewind() { return false; }
};

/// Rows of two matrices, x [n, d] and y [n, p]; d, p >= 1. Throws BadInput where their rows differ
/// or a number is not finite.
std::unique_ptr<SampleSource> make_matrix_samples(HostMatrix x, HostMatrix y);

/// How the answers of make_planted_samples() are spoilt. Sizes are relative to s, the root of the
/// mean of F_o^2 over N(0, I) and over the outputs, which is computed exactly.
struct PlantedErrors {
  double noise = 0;        // standard deviation of a Gaussian error on every number, over s; >= 0
  double gross = 0;        // share of the numbers of y that get a gross error besides; 0 to 1
  double gross_size = 10;  // standard deviation of those, Gaussian too, over s; >= 0
};

/// x ~ N(0, I), y = F(x) + errors. Row i is a pure function of the network, the errors, the seed
/// and i: any device makes the same one but for the rounding of F. `rows`: none for a source that
/// never ends. Throws BadInput as check() does, on negative rows, and on errors out of their range.
std::unique_ptr<SampleSource> make_planted_samples(ReluNetwork network, Seed seed,
                                                   std::optional<Index> rows,
                                                   const PlantedErrors& errors = {});

/// x [n, d] (or [n]: d = 1) and y [n, p] (or [n]: p = 1) of a .safetensors or .npz file, in any of
/// the types that read_tensors() knows, read as they are drawn, never as a whole (but for arrays in
/// Fortran order, which are). Throws FileError as read_tensors() does, on a name that is not there,
/// another rank, rows that differ, no rows; and from draw(), on NaN or infinity, naming the row.
std::unique_ptr<SampleSource> open_samples(const std::string& path);

/// Writes the next `rows` examples as x and y, as float64: into .safetensors in chunks, into .npz
/// from memory. The file appears whole or not at all. Throws FileError as
/// write_tensors() does, and BadInput where fewer rows are left or one of them is not finite.
void write_samples(const std::string& path, Device& device, SampleSource& source, Index rows);

}  // namespace crease
