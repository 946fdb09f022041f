// Block by block is as good as a whole.
#include "src/stages/triangle.hpp"

#include <limits>

#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

class TriangleTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(TriangleTest);

TEST_P(TriangleTest, SolvesHaveASmallBackwardErrorWhateverTheBlocks) {
  for (const Index q : {1, 31, 33, 64, 257}) {
    HostMatrix l = distinct(q, q);
    for (Index i = 0; i < q; ++i) {
      for (Index j = i + 1; j < q; ++j) l(i, j) = std::numeric_limits<double>::quiet_NaN();
      l(i, i) += l(i, i) < 0 ? -static_cast<double>(q) : static_cast<double>(q);
    }
    const HostMatrix lower = lower_triangle(l);
    const DeviceMatrix on_device = upload(device(), l);
    for (const Index block : {1, 7, 16, 512}) {
      for (const Index m : {1, 3}) {
        Triangle triangle(device(), on_device, 3, block);
        const HostMatrix right = distinct(q, m, 0.25);
        for (const Transpose transpose : {Transpose::no, Transpose::yes}) {
          Padded x(device(), right);
          triangle.solve(transpose, x);
          const HostMatrix op = transpose == Transpose::no ? lower : transposed(lower);
          const HostMatrix got = x.read();
          // As solve_triangular: 10 q eps; the blocks, dominated by their diagonals, have a
          // condition below 3.
          EXPECT_TRUE(at_most(distance(product(op, got).value, right),
                              3 * 10 * static_cast<double>(q) * kEps * norm(lower) * norm(got)))
              << q << " " << block << " " << m;
        }
      }
    }
  }
}

TEST_P(TriangleTest, BlocksOfNoRowsAndMatricesThatAreNotSquareAreRefused) {
  const DeviceMatrix wide(device(), 2, 3);
  const DeviceMatrix square(device(), 2, 2);
  EXPECT_THROW(Triangle(device(), wide, 1), BadInput);
  EXPECT_THROW(Triangle(device(), square, 1, 0), BadInput);
}

}  // namespace
}  // namespace crease
