// Whitening: points of mean 0 and covariance I, and networks that stay the same function.
#include "src/stages/whitening.hpp"

#include <cmath>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

class WhiteningTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(WhiteningTest);

HostMatrix mixed(Index n) {
  const HostMatrix z = normals(n, 3, 1);
  HostMatrix x(n, 3);
  for (Index i = 0; i < n; ++i) {
    x(i, 0) = 5 + 2 * z(i, 0);
    x(i, 1) = -1 + z(i, 0) + 0.5 * z(i, 1);
    x(i, 2) = 0.1 * z(i, 2) - z(i, 1);
  }
  return x;
}

TEST_P(WhiteningTest, PointsHaveMeanZeroAndCovarianceOne) {
  const Index n = 500;
  const DeviceMatrix x = upload(device(), mixed(n));
  const Whitening whitening(device(), x);
  const HostMatrix z = download(device(), whitening.points(device(), x));
  const HostMatrix ones(n, 1, 1.0);
  const HostMatrix mean = product(transposed(z), ones).value;
  const HostMatrix second = product(transposed(z), z).value;
  // Off by |L^-1|^2 times the ridge, 1e-12 of the largest variance, which is 4; undoing mixed() by
  // hand, z = (x0 / 2, 2 x1 - x0, 10 x2 + 20 x1 - 10 x0), has |L^-1|^2 <= 1 + 5 + 600. The sample's
  // own covariance is within a half of that. Rounding is far below.
  for (Index i = 0; i < 3; ++i) {
    EXPECT_TRUE(at_most(std::abs(mean(i, 0)), 4e-9 * n));
    for (Index j = 0; j < 3; ++j) {
      EXPECT_TRUE(at_most(std::abs(second(i, j) - (i == j ? n : 0)), 4e-9 * n));
    }
  }
}

TEST_P(WhiteningTest, NetworksStayTheSameFunction) {
  const HostMatrix host_x = mixed(200);
  const DeviceMatrix x = upload(device(), host_x);
  const Whitening whitening(device(), x);
  const ReluNetwork network = planted_network(3, 4, 2, 5);
  const Hyperplanes of_x = hyperplanes_of(network);
  const Hyperplanes of_z = whitening.into(of_x);
  const Hyperplanes again = whitening.back(of_z);
  const DeviceMatrix z = whitening.points(device(), x);
  DeviceMatrix y_z(device(), 200, 2), y_x(device(), 200, 2);
  evaluate(device(), of_z, z, Index{1} << 20, y_z);
  evaluate(device(), again, x, Index{1} << 20, y_x);
  const HostMatrix expected = exact_values(network, host_x);
  const HostMatrix got_z = download(device(), y_z), got_x = download(device(), y_x);
  // Condition of the factor below 100, numbers below 100: some 100 roundings of 1e4 at most.
  for (Index i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(at_most(std::abs(got_z.data()[i] - expected.data()[i]), 1e6 * 0x1p-53));
    EXPECT_TRUE(at_most(std::abs(got_x.data()[i] - expected.data()[i]), 1e6 * 0x1p-53));
  }
}

TEST_P(WhiteningTest, PointsThatDoNotVaryAreNoError) {
  const DeviceMatrix same = upload(device(), HostMatrix(8, 2, 3.0));
  const Whitening whitening(device(), same);
  EXPECT_TRUE(same_bits(download(device(), whitening.points(device(), same)), HostMatrix(8, 2)))
      << "all at the mean";
  HostMatrix bad(3, 2, 1.0);
  bad(1, 1) = std::nan("");
  const DeviceMatrix bad_there = upload(device(), bad);
  EXPECT_THROW(Whitening(device(), bad_there), BadInput);
  EXPECT_THROW(Whitening(device(), DeviceMatrix(device(), 0, 2)), BadInput);
}

}  // namespace
}  // namespace crease
