// Absolute values and the Jacobian of a sum of hinges: values by hand, a dense Jacobian, refused.
#include <array>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

HostMatrix magnitudes(HostMatrix a) {
  for (Index i = 0; i < a.size(); ++i) a.data()[i] = std::abs(a.data()[i]);
  return a;
}

class HingesTest : public EveryBackend {
 protected:
  HostMatrix jacobian_rows(const HostMatrix& z, const HostMatrix& x, const HostMatrix& directions,
                           Index output) {
    const Index p = directions.cols();
    const Index width = x.cols() + 1 + (p > 1 ? p : 0);
    Padded z_there(device(), z), x_there(device(), x), directions_there(device(), directions);
    Padded out(device(), x.rows(), (z.cols() + p) * width);
    hinge_jacobian_rows(device(), z_there, x_there, directions_there, output, out);
    return out.read();
  }
};
CREASE_ON_EVERY_BACKEND(HingesTest);

TEST_P(HingesTest, AbsoluteValuesKeepNanAndClearSigns) {
  Padded y(device(), HostMatrix({{-1.5, 0.0, -0.0}, {kNan, -kInfinity, 2}}));
  absolute(device(), y);
  EXPECT_TRUE(same_bits(y.read(), {{1.5, 0.0, 0.0}, {kNan, kInfinity, 2}}));
}

TEST_P(HingesTest, JacobianRowsOfOneOutputAreSignedPoints) {
  // Two neurons, two inputs; a zero counts as positive.
  EXPECT_TRUE(same_bits(jacobian_rows({{-3, 0}, {4, -1}}, {{5, 6}, {7, -8}}, {{1}, {1}}, 0),
                        {{-5, -6, -1, 5, 6, 1, 5, 6, 1}, {7, -8, 1, -7, 8, -1, 7, -8, 1}}));
}

TEST_P(HingesTest, JacobianRowsOfSeveralOutputsHaveDirectionsAndFeatures) {
  // One neuron, one input, two outputs: [delta | eta], then one row of the linear part an output.
  const HostMatrix directions = {{0.5, -0.25}};
  EXPECT_TRUE(same_bits(jacobian_rows({{-3}}, {{5}}, directions, 0),
                        {{-2.5, -0.5, 3, 0, 5, 1, 0, 0, 0, 0, 0, 0}}));
  EXPECT_TRUE(same_bits(jacobian_rows({{-3}}, {{5}}, directions, 1),
                        {{1.25, 0.25, 0, 3, 0, 0, 0, 0, 5, 1, 0, 0}}));
}

TEST_P(HingesTest, ProductsWithTheJacobianAgreeWithItsRows) {
  struct Case {
    Index n, d, k, p, weight_columns;
  };
  for (const Case& c :
       {Case{1, 1, 1, 1, 0}, Case{33, 5, 7, 1, 0}, Case{300, 31, 33, 1, 1}, Case{64, 3, 5, 2, 0},
        Case{257, 9, 31, 3, 3}, Case{65, 4, 6, 3, 1}, Case{2100, 2, 3, 1, 0},
        Case{2100, 2, 3, 2, 2}, Case{40, 3, 0, 1, 0}, Case{40, 3, 0, 2, 0}}) {
    const HostMatrix x = normals(c.n, c.d, 1);
    const HostMatrix planes = normals(c.k, c.d + 1, 2);
    HostMatrix directions = normals(c.k, c.p, 3);
    for (Index i = 0; c.p == 1 && i < c.k; ++i) directions(i, 0) = 1;
    const HostMatrix weights =
        c.weight_columns == 0 ? HostMatrix() : magnitudes(normals(c.n, c.weight_columns, 4));
    const HostMatrix residual = normals(c.n, c.p, 5);
    HostMatrix x1(c.n, c.d + 1, 1.0);
    for (Index i = 0; i < c.n; ++i) {
      for (Index j = 0; j < c.d; ++j) x1(i, j) = x(i, j);
    }
    const HostMatrix z = product(x1, transposed(planes)).value;
    const Index width = c.d + 1 + (c.p > 1 ? c.p : 0);
    HostMatrix j_all(c.n * c.p, (c.k + c.p) * width);
    HostMatrix r_all(c.n * c.p, 1);
    for (Index o = 0; o < c.p; ++o) {
      const HostMatrix part = jacobian_rows(z, x, directions, o);
      for (Index i = 0; i < c.n; ++i) {
        const double weight = weights.empty() ? 1.0 : weights(i, weights.cols() > 1 ? o : 0);
        for (Index u = 0; u < part.cols(); ++u) j_all(i * c.p + o, u) = weight * part(i, u);
        r_all(i * c.p + o, 0) = residual(i, o);
      }
    }
    const HostMatrix u = normals(c.k + c.p, width, 6);
    HostMatrix u_column(u.size(), 1);
    for (Index i = 0; i < u.size(); ++i) {
      const bool used = i / width < c.k || i % width <= c.d;
      u_column(i, 0) = used ? u.data()[i] : 0.0;
    }
    const HostMatrix shifts = magnitudes(normals(c.k + c.p, 1, 7));
    const DeviceMatrix shifts_there = upload(device(), shifts);
    const HostMatrix there = product(transposed(j_all), product(j_all, u_column).value).value;
    const HostMatrix terms = product(magnitudes(transposed(j_all)),
                                     product(magnitudes(j_all), magnitudes(u_column)).value)
                                 .value;
    const Sums back = product(transposed(j_all), r_all);

    const DeviceMatrix x_there = upload(device(), x);
    const DeviceMatrix planes_there = upload(device(), planes);
    const DeviceMatrix directions_there = upload(device(), directions);
    const DeviceMatrix weights_there = upload(device(), weights);
    const DeviceMatrix u_there = upload(device(), u);
    Padded residual_there(device(), residual);
    const double unit = 0x1p-23 * static_cast<double>(c.n + c.k + c.d + c.p + 16);
    for (const bool hold : {true, false}) {
      SCOPED_TRACE(std::to_string(c.n) + " " + std::to_string(c.k) + " " + std::to_string(c.p) +
                   (hold ? " held" : ""));
      const auto jacobian =
          linearize_hinges(device(), x_there, planes_there, directions_there, weights_there, hold);
      DeviceMatrix out(device(), c.k + c.p, width);
      jacobian->normal_product(u_there, shifts_there, out);
      const HostMatrix got = download(device(), out);
      jacobian->back_product(residual_there, 0.5, out);
      const HostMatrix got_back = download(device(), out);
      for (Index i = 0; i < u.size(); ++i) {
        const double shift = shifts(i / width, 0);
        const double expected = there.data()[i] + shift * u_column(i, 0);
        EXPECT_TRUE(at_most(std::abs(got.data()[i] - expected),
                            unit * (terms.data()[i] + shift * std::abs(u_column(i, 0)))))
            << i;
        EXPECT_TRUE(at_most(std::abs(got_back.data()[i] - 0.5 * back.value.data()[i]),
                            unit * 0.5 * back.terms.data()[i]))
            << i;
      }
      const Index rows = c.n - c.n / 3;
      DeviceMatrix g(device(), c.k + 1, c.k + 1);
      jacobian->sign_gram(rows, g);
      HostMatrix signs(rows, c.k + 1, 1.0);
      for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < c.k; ++j) signs(i, j) = z(i, j) < 0 ? -1 : 1;
      }
      EXPECT_TRUE(same_bits(download(device(), g), product(transposed(signs), signs).value));
    }
  }
}

TEST_P(HingesTest, EmptyMatricesAreLeftAloneAndShapesThatDoNotFitRefused) {
  DeviceMatrix none(device(), 0, 0);
  absolute(device(), none);
  const DeviceMatrix x = upload(device(), normals(4, 2, 1));
  const DeviceMatrix z = upload(device(), normals(4, 3, 1));
  const DeviceMatrix planes = upload(device(), normals(3, 3, 1));
  const DeviceMatrix one = upload(device(), normals(3, 1, 1));
  const DeviceMatrix two = upload(device(), normals(3, 2, 1));
  DeviceMatrix rows(device(), 4, 12);
  hinge_jacobian_rows(device(), z, x, one, 0, rows);
  EXPECT_THROW(hinge_jacobian_rows(device(), z, x, one, 1, rows), BadInput);
  EXPECT_THROW(hinge_jacobian_rows(device(), z, x, one, -1, rows), BadInput);
  EXPECT_THROW(hinge_jacobian_rows(device(), z, x, two, 0, rows), BadInput);
  EXPECT_THROW(hinge_jacobian_rows(device(), x, x, one, 0, rows), BadInput);
  EXPECT_THROW(hinge_jacobian_rows(device(), planes, x, one, 0, rows), BadInput);
  EXPECT_NO_THROW(linearize_hinges(device(), x, planes, two, {}, true));
  EXPECT_THROW(linearize_hinges(device(), x, z, one, {}, true), BadInput);
  EXPECT_THROW(linearize_hinges(device(), x, planes, x, {}, true), BadInput);
  EXPECT_THROW(linearize_hinges(device(), x, planes, two, z, true), BadInput);
  EXPECT_THROW(linearize_hinges(device(), DeviceMatrix(device(), 0, 2), planes, two, {}, true),
               BadInput);
}

}  // namespace
}  // namespace crease
