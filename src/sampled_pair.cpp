// Two networks at the same Gaussian points.
#include "src/sampled_pair.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"

namespace crease {
namespace {

constexpr Index kNumbersAtOnce = Index{1} << 22;

Index rows_at_once(const ReluNetwork& network, Index rows) {
  const Index width = std::max<Index>(1, std::max(network.inputs(), network.outputs()));
  return std::clamp<Index>(kNumbersAtOnce / width, 1, std::max<Index>(1, rows));
}

}  // namespace

SampledPair::SampledPair(Device& device, const ReluNetwork& f, const ReluNetwork& g, Seed seed,
                         std::uint64_t stream, Index rows)
    : device_(device),
      f_(device, f),
      g_(device, g),
      seed_(seed),
      stream_(stream),
      most_rows_(rows_at_once(f, rows)),
      x_(device, most_rows_, f.inputs()),
      y_(device, most_rows_, f.outputs()),
      z_(device, most_rows_, f.outputs()) {
  require(f.inputs() == g.inputs() && f.outputs() == g.outputs(),
          "two networks at the same points must have the same inputs and outputs");
}

DeviceView SampledPair::points(Index first, Index rows) {
  const DeviceView x = x_.view().row_block(0, rows);
  fill_gaussian(device_, seed_, stream_, first, 1.0, x);
  return x;
}

void SampledPair::errors(Index first, Index count, std::vector<double>& errors,
                         std::vector<double>* sizes) {
  for (Index from = first; from < first + count; from += most_rows_) {
    const Index rows = std::min(most_rows_, first + count - from);
    const DeviceView x = points(from, rows);
    f_.evaluate(x, y_.view().row_block(0, rows));
    g_.evaluate(x, z_.view().row_block(0, rows));
    const HostMatrix y = download(device_, y_.view().row_block(0, rows));
    const HostMatrix z = download(device_, z_.view().row_block(0, rows));
    for (Index i = 0; i < rows; ++i) {
      double error = 0;
      double size = 0;
      for (Index o = 0; o < y.cols(); ++o) {
        error = std::hypot(error, y(i, o) - z(i, o));
        size = std::hypot(size, y(i, o));
      }
      errors.push_back(error);
      if (sizes != nullptr) sizes->push_back(size);
    }
  }
}

HostMatrix SampledPair::point(Index row) {
  return download(device_, points(row, 1));
}

}  // namespace crease
