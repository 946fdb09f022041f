// Examples of a source, on the host.
#pragma once

#include <crease/samples.hpp>

namespace crease {

struct DrawnRows {
  HostMatrix x;
  HostMatrix y;
};

inline DrawnRows drawn_rows(Device& device, SampleSource& source, Index rows) {
  DeviceMatrix x(device, rows, source.input_dim());
  DeviceMatrix y(device, rows, source.output_dim());
  source.draw(device, x, y);
  return {download(device, x), download(device, y)};
}

}  // namespace crease
