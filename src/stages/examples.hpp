// The examples of a source: some held out, the others read as often as a learner likes.
#pragma once

#include <crease/samples.hpp>

#include <functional>

namespace crease {

/// The first `held_out` examples are for nobody's fit; those after them are the training rows. What
/// fits into `most_bytes` of device memory stays there; else the source is drawn from again in
/// every pass, in chunks, or, where it cannot rewind, what it gave is kept in host memory.
class Examples {
 public:
  struct Plan {
    Index rows = 0;  // training rows
    Index held_out = 0;
    bool constant = false;               // x ends in a 1 that the source does not have: biases
    Index most_bytes = Index{1} << 30;   // of x and y on the device
    std::function<void()> before_chunk;  // may be empty; may throw to end a pass
  };

  /// Draws the held-out rows, and the training rows where they are kept. Throws BadInput where the
  /// source has fewer, OracleError where a number is not finite, naming the row, and what the
  /// source throws. Waits.
  Examples(Device& device, SampleSource& source, Plan plan);

  Index rows() const { return plan_.rows; }
  Index inputs() const { return inputs_; }  // d; with the constant, one more
  Index outputs() const { return source_.output_dim(); }
  Index chunk_rows() const { return chunk_rows_; }

  ConstDeviceView held_out_x() const { return held_out_x_; }  // [held_out, d]
  ConstDeviceView held_out_y() const { return held_out_y_; }  // [held_out, p]

  /// From now on every x, held out or not, is seen as turn x; turn [inputs, inputs], finite. Once
  /// only. Waits.
  void turn_inputs(const HostMatrix& turn);

  /// visit(first, x, y) for training rows first .. first + x.rows - 1: the same chunks in the same
  /// order in every pass. The views end with the visit.
  using Visit = std::function<void(Index first, ConstDeviceView x, ConstDeviceView y)>;
  void pass(const Visit& visit) { pass_over(plan_.rows, visit); }

  /// The same over the first `count` training rows only; count <= rows().
  void pass_over(Index count, const Visit& visit);

  /// The same in blocks of at most block_rows(numbers, bytes) rows: visit(x, y).
  using VisitBlock = std::function<void(ConstDeviceView x, ConstDeviceView y)>;
  void pass_in_blocks(Index count, Index numbers, const VisitBlock& visit, Index bytes = 0);

  /// Rows of a block for work that needs `numbers` numbers of scratch a row: what fits into
  /// `bytes`, which is Ops::block_bytes() where it is 0, and no more than a chunk. A Gram matrix as
  /// wide as the scratch wants kChunkBytes.
  Index block_rows(Index numbers, Index bytes = 0) const;

  /// The first `count` training rows, as one matrix each.
  struct Rows {
    ConstDeviceView x;
    ConstDeviceView y;
    DeviceMatrix own_x;  // behind the views where the rows are not kept anyway
    DeviceMatrix own_y;
  };
  Rows first(Index count);

 private:
  enum class Kept { on_device, on_host, nowhere };

  void draw(DeviceView x, DeviceView y);
  void turn_chunk(DeviceView x);
  void begin_pass();

  Device& device_;
  SampleSource& source_;
  Plan plan_;
  Index inputs_;
  Index chunk_rows_ = 1;
  Index next_ = 0;  // row of the source that comes next
  Kept kept_ = Kept::on_device;
  DeviceMatrix held_out_x_, held_out_y_;
  DeviceMatrix x_, y_;  // all training rows, or one chunk
  HostMatrix host_x_, host_y_;
  DeviceMatrix turn_;    // [d, d], or empty
  DeviceMatrix turned_;  // one chunk
};

}  // namespace crease
