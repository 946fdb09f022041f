// Questions about a slice become questions about the whole.
#include "src/stages/slice_asker.hpp"

#include <utility>

#include "kernels/ops.hpp"
#include "src/device_network.hpp"

namespace crease {

SliceAsker::SliceAsker(Asker& whole, DeviceMatrix frame)
    : Asker(whole, frame.rows()), whole_(whole), frame_(std::move(frame)) {
  require(frame_.cols() == whole.inputs() && frame_.rows() >= 1,
          "SliceAsker: the frame needs a row per coordinate, as wide as the inputs");
}

DeviceMatrix SliceAsker::embed(ConstDeviceView t) {
  DeviceMatrix x(device(), t.rows, frame_.cols());
  multiply(device(), t, Transpose::no, frame_, Transpose::no, 1.0, 0.0, x);
  return x;
}

DeviceMatrix SliceAsker::points(ConstDeviceView t, Round round, HostMatrix* sigmas) {
  const Index chunk = rows_at_once(frame_.cols() + outputs());
  if (t.rows <= chunk) return whole_.points(embed(t), round, sigmas);
  DeviceMatrix y(device(), t.rows, outputs());
  if (sigmas != nullptr) *sigmas = HostMatrix();
  for (Index first = 0; first < t.rows; first += chunk) {
    const Index count = std::min(chunk, t.rows - first);
    HostMatrix part;
    copy(device(),
         whole_.points(embed(t.row_block(first, count)), first == 0 ? round : Round::same,
                       sigmas == nullptr ? nullptr : &part),
         y.view().row_block(first, count));
    for (Index i = 0; i < part.rows(); ++i) sigmas->append_row(part.row(i), part.cols());
  }
  return y;
}

DeviceMatrix SliceAsker::fan(const Fan& fan, Round round, HostMatrix* sigmas) {
  const DeviceMatrix centers = embed(fan.centers);
  const DeviceMatrix directions = embed(fan.directions);
  return whole_.fan({centers, directions, fan.steps}, round, sigmas);
}

HostMatrix SliceAsker::residuals(const Lines& lines, const std::vector<double>& t,
                                 const DeviceNetwork* known, Round round, HostMatrix* sigmas) {
  const DeviceMatrix origins = embed(lines.origins);
  const DeviceMatrix directions = embed(lines.directions);
  HostMatrix values =
      whole_.residuals({origins, directions, lines.first}, t, nullptr, round, sigmas);
  if (known == nullptr || values.rows() == 0) return values;
  const DeviceMatrix where = upload(device(), {t.data(), values.rows(), 1, 1});
  DeviceMatrix expected(device(), values.rows(), outputs());
  known->evaluate_lines(lines, where, expected);
  const HostMatrix less = download(device(), expected);
  for (Index i = 0; i < values.size(); ++i) values.data()[i] -= less.data()[i];
  return values;
}

}  // namespace crease
