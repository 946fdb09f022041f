// The scalars of conjugate gradients: a system by hand, columns that stop, refused.
#include <array>
#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"

namespace crease {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class CgTest : public EveryBackend {
 protected:
  /// Rows in the order of CgRow.
  HostMatrix state(Index cols) { return HostMatrix(kCgRows, cols, kNan); }
  static double& at(HostMatrix& state, CgRow row, Index col) {
    return state(static_cast<Index>(row), col);
  }
};
CREASE_ON_EVERY_BACKEND(CgTest);

TEST_P(CgTest, ScalarsFollowTheRecurrenceUntilTheLimit) {
  HostMatrix first = state(1);
  at(first, CgRow::product, 0) = 8;
  Padded there(device(), first);
  cg_begin(device(), 0.5, there);
  HostMatrix now = there.read();
  EXPECT_EQ(at(now, CgRow::limit, 0), 2);
  EXPECT_EQ(at(now, CgRow::running, 0), 1);
  for (const auto& [curvature, next, step, ratio, running] :
       {std::array{4., 4., 2., .5, 1.}, std::array{16., 3., .25, .75, 1.},
        std::array{6., 2., .5, 0., 0.}, std::array{1., 100., 0., 0., 0.}}) {
    at(now, CgRow::curvature, 0) = curvature;
    Padded before(device(), now);
    cg_step(device(), before);
    now = before.read();
    EXPECT_EQ(at(now, CgRow::step, 0), step);
    EXPECT_EQ(at(now, CgRow::minus_step, 0), -step);
    at(now, CgRow::next, 0) = next;
    Padded after(device(), now);
    cg_turn(device(), after);
    now = after.read();
    EXPECT_EQ(at(now, CgRow::ratio, 0), ratio);
    EXPECT_EQ(at(now, CgRow::running, 0), running);
  }
}

TEST_P(CgTest, ColumnsThatCannotGoOnStopWithoutAStep) {
  HostMatrix first = state(4);
  const double products[] = {0, kNan, 3, 3};
  for (Index j = 0; j < 4; ++j) at(first, CgRow::product, j) = products[j];
  Padded there(device(), first);
  cg_begin(device(), 0, there);
  HostMatrix now = there.read();
  for (Index j = 0; j < 4; ++j) EXPECT_EQ(at(now, CgRow::running, j), j < 2 ? 0 : 1) << j;
  const double curvatures[] = {1, 1, 0, kNan};
  for (Index j = 0; j < 4; ++j) at(now, CgRow::curvature, j) = curvatures[j];
  Padded before(device(), now);
  cg_step(device(), before);
  now = before.read();
  for (Index j = 0; j < 4; ++j) {
    EXPECT_EQ(at(now, CgRow::running, j), 0) << j;
    EXPECT_EQ(at(now, CgRow::step, j), 0) << j;
  }
}

TEST_P(CgTest, StatesOfAnotherHeightAreRefused) {
  DeviceMatrix none(device(), kCgRows, 0);
  cg_begin(device(), 0, none);
  cg_step(device(), none);
  cg_turn(device(), none);
  DeviceMatrix wrong(device(), kCgRows - 1, 1);
  DeviceMatrix right(device(), kCgRows, 1);
  EXPECT_THROW(cg_begin(device(), 0, wrong), BadInput);
  EXPECT_THROW(cg_begin(device(), -1, right), BadInput);
  EXPECT_THROW(cg_begin(device(), kNan, right), BadInput);
  EXPECT_THROW(cg_step(device(), wrong), BadInput);
  EXPECT_THROW(cg_turn(device(), wrong), BadInput);
}

}  // namespace
}  // namespace crease
