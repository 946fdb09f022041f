// Products of matrices on the host, made by the device.
#include "src/stages/product.hpp"

namespace crease {

HostMatrix product(Device& device, const HostMatrix& a, Transpose transpose_a, const HostMatrix& b,
                   Transpose transpose_b) {
  return product(device, a, transpose_a, upload(device, b).view(), transpose_b);
}

HostMatrix product(Device& device, const HostMatrix& a, Transpose transpose_a, ConstDeviceView b,
                   Transpose transpose_b) {
  const Index rows = transpose_a == Transpose::yes ? a.cols() : a.rows();
  const Index cols = transpose_b == Transpose::yes ? b.rows : b.cols;
  if (rows == 0 || cols == 0) return HostMatrix(rows, cols);
  DeviceMatrix out(device, rows, cols);
  multiply(device, upload(device, a), transpose_a, b, transpose_b, 1.0, 0.0, out);
  return download(device, out);
}

}  // namespace crease
