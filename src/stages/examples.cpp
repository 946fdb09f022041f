// Examples, held out, kept or drawn again.
#include "src/stages/examples.hpp"

#include <algorithm>
#include <utility>

#include "kernels/ops.hpp"
#include "src/stages/chunks.hpp"

namespace crease {
namespace {}  // namespace

Examples::Examples(Device& device, SampleSource& source, Plan plan)
    : device_(device),
      source_(source),
      plan_(std::move(plan)),
      inputs_(source.input_dim() + (plan_.constant ? 1 : 0)) {
  const Index d = inputs_;
  const Index p = source.output_dim();
  require(source.input_dim() >= 1 && p >= 1, "examples: a source must have inputs and outputs");
  require(plan_.rows >= 1 && plan_.held_out >= 0 && plan_.most_bytes >= 1,
          "examples: there must be at least one training row");
  const std::optional<Index> left = source.rows_left();
  require(!left || *left - plan_.held_out >= plan_.rows,
          "examples: the source has " + std::to_string(left.value_or(0)) + " rows, " +
              std::to_string(plan_.rows) + " and " + std::to_string(plan_.held_out) +
              " to hold out were wanted");
  const Index row_bytes = (d + p) * kDoubleBytes;
  const Index at_once = std::min(plan_.most_bytes, kChunkBytes);
  chunk_rows_ = std::clamp<Index>(at_once / row_bytes, 1, plan_.rows);

  held_out_x_ = DeviceMatrix(device, plan_.held_out, d);
  held_out_y_ = DeviceMatrix(device, plan_.held_out, p);
  draw(held_out_x_, held_out_y_);
  if (plan_.rows <= plan_.most_bytes / row_bytes) {
    x_ = DeviceMatrix(device, plan_.rows, d);
    y_ = DeviceMatrix(device, plan_.rows, p);
    for (Index top = 0; top < plan_.rows; top += chunk_rows_) {
      const Index count = std::min(chunk_rows_, plan_.rows - top);
      draw(x_.view().row_block(top, count), y_.view().row_block(top, count));
    }
    return;
  }
  x_ = DeviceMatrix(device, chunk_rows_, d);
  y_ = DeviceMatrix(device, chunk_rows_, p);
  kept_ = source.rewind() ? Kept::nowhere : Kept::on_host;
  if (kept_ == Kept::nowhere) {
    next_ = 0;
    return;
  }
  host_x_ = HostMatrix(plan_.rows, d);
  host_y_ = HostMatrix(plan_.rows, p);
  for (Index top = 0; top < plan_.rows; top += chunk_rows_) {
    const Index count = std::min(chunk_rows_, plan_.rows - top);
    draw(x_.view().row_block(0, count), y_.view().row_block(0, count));
    device.copy_out(x_.view().row_block(0, count), host_x_.view().row_block(top, count));
    device.copy_out(y_.view().row_block(0, count), host_y_.view().row_block(top, count));
  }
}

void Examples::draw(DeviceView x, DeviceView y) {
  if (x.rows == 0) return;
  if (plan_.before_chunk) plan_.before_chunk();
  const Index drawn = source_.input_dim();
  source_.draw(device_, x.col_block(0, drawn), y);
  if (plan_.constant) fill(device_, 1.0, x.col_block(drawn, 1));
  for (const auto& [values, name] : {std::pair(x, "x"), std::pair(y, "y")}) {
    const Index bad = first_non_finite_row(device_, values);
    if (bad < 0) continue;
    throw OracleError("row " + std::to_string(next_ + bad) + " of " + name +
                      " holds NaN or infinity");
  }
  next_ += x.rows;
}

void Examples::turn_chunk(DeviceView x) {
  const DeviceView turned = turned_.view().row_block(0, x.rows);
  multiply(device_, x, Transpose::no, turn_, Transpose::yes, 1.0, 0.0, turned);
  copy(device_, turned, x);
}

void Examples::turn_inputs(const HostMatrix& turn) {
  require(turn.rows() == inputs() && turn.cols() == inputs() && turn_.empty(),
          "examples: inputs are turned once, by a [d, d] matrix");
  turn_ = upload(device_, turn);
  turned_ = DeviceMatrix(device_, chunk_rows_, inputs());
  const auto in_place = [this](DeviceView x) {
    for (Index top = 0; top < x.rows; top += chunk_rows_) {
      turn_chunk(x.row_block(top, std::min(chunk_rows_, x.rows - top)));
    }
  };
  in_place(held_out_x_);
  if (kept_ == Kept::on_device) in_place(x_);
}

/// To the first training row of a source that is drawn from in every pass.
void Examples::begin_pass() {
  if (next_ != 0) {
    if (!source_.rewind()) throw OracleError("the source of examples would not rewind again");
    next_ = 0;
  }
  for (Index skipped = 0; skipped < plan_.held_out;) {
    const Index count = std::min(chunk_rows_, plan_.held_out - skipped);
    draw(x_.view().row_block(0, count), y_.view().row_block(0, count));
    skipped += count;
  }
}

void Examples::pass_over(Index count, const Visit& visit) {
  require(count >= 0 && count <= plan_.rows, "examples: so many training rows are not there");
  if (count > 0 && kept_ == Kept::nowhere) begin_pass();
  for (Index top = 0; top < count; top += chunk_rows_) {
    const Index rows = std::min(chunk_rows_, count - top);
    if (kept_ == Kept::on_device) {
      if (plan_.before_chunk) plan_.before_chunk();
      visit(top, x_.view().row_block(top, rows), y_.view().row_block(top, rows));
      continue;
    }
    const DeviceView x = x_.view().row_block(0, rows);
    const DeviceView y = y_.view().row_block(0, rows);
    if (kept_ == Kept::nowhere) {
      draw(x, y);
    } else {
      if (plan_.before_chunk) plan_.before_chunk();
      device_.copy_in(host_x_.view().row_block(top, rows), x);
      device_.copy_in(host_y_.view().row_block(top, rows), y);
    }
    if (!turn_.empty()) turn_chunk(x);
    visit(top, x, y);
  }
}

Index Examples::block_rows(Index numbers, Index bytes) const {
  if (bytes == 0) bytes = device_.ops().block_bytes();
  return std::clamp<Index>(bytes / (numbers * kDoubleBytes), 1, chunk_rows_);
}

void Examples::pass_in_blocks(Index count, Index numbers, const VisitBlock& visit, Index bytes) {
  const Index most = block_rows(numbers, bytes);
  pass_over(count, [&](Index, ConstDeviceView x, ConstDeviceView y) {
    for (Index top = 0; top < x.rows; top += most) {
      const Index rows = std::min(most, x.rows - top);
      visit(x.row_block(top, rows), y.row_block(top, rows));
    }
  });
}

Examples::Rows Examples::first(Index count) {
  Rows rows;
  if (kept_ == Kept::on_device) {
    rows.x = x_.view().row_block(0, count);
    rows.y = y_.view().row_block(0, count);
    return rows;
  }
  rows.own_x = DeviceMatrix(device_, count, inputs());
  rows.own_y = DeviceMatrix(device_, count, outputs());
  pass_over(count, [&](Index top, ConstDeviceView x, ConstDeviceView y) {
    copy(device_, x, rows.own_x.view().row_block(top, x.rows));
    copy(device_, y, rows.own_y.view().row_block(top, y.rows));
  });
  rows.x = rows.own_x;
  rows.y = rows.own_y;
  return rows;
}

}  // namespace crease
