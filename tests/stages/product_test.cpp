// Products of matrices on the host.
#include "src/stages/product.hpp"

#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"

namespace crease {
namespace {

class ProductTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(ProductTest);

HostMatrix of(Index rows, Index cols, const std::vector<double>& values) {
  HostMatrix out(rows, cols);
  std::copy(values.begin(), values.end(), out.data());
  return out;
}

TEST_P(ProductTest, ValuesWorkedByHand) {
  const HostMatrix a = of(2, 3, {1, 2, 3, 4, 5, 6});
  const HostMatrix b = of(3, 1, {1, 0, -1});
  const HostMatrix c = of(2, 1, {1, -1});

  EXPECT_TRUE(same_bits(product(device(), a, Transpose::no, b, Transpose::no), of(2, 1, {-2, -2})));
  EXPECT_TRUE(
      same_bits(product(device(), a, Transpose::yes, c, Transpose::no), of(3, 1, {-3, -3, -3})));
  EXPECT_TRUE(same_bits(product(device(), c, Transpose::no, b, Transpose::yes),
                        of(2, 3, {1, 0, -1, -1, 0, 1})));
  EXPECT_TRUE(same_bits(product(device(), a, Transpose::no, upload(device(), b), Transpose::no),
                        of(2, 1, {-2, -2})));
}

TEST_P(ProductTest, NoRowsAreNoWork) {
  const HostMatrix out =
      product(device(), HostMatrix(0, 3), Transpose::no, HostMatrix(3, 2), Transpose::no);

  EXPECT_EQ(out.rows(), 0);
  EXPECT_EQ(out.cols(), 2);
}

}  // namespace
}  // namespace crease
