// Answers with an error of a known size.
#include "tests/support/noisy_oracle.hpp"

#include <algorithm>
#include <cstring>

#include "tests/support/planted_network.hpp"

namespace crease {

std::unique_ptr<Oracle> noisy_oracle(const ReluNetwork& truth, double sigma) {
  return make_host_oracle(truth.inputs(), truth.outputs(),
                          [truth, sigma](ConstHostView x, HostView y) {
                            HostMatrix points(x.rows, x.cols);
                            for (Index i = 0; i < x.rows; ++i)
                              std::copy_n(x.data + i * x.ld, x.cols, points.row(i));
                            const HostMatrix values = exact_values(truth, points);
                            for (Index i = 0; i < x.rows; ++i) {
                              std::uint64_t hash = 1;
                              for (Index j = 0; j < x.cols; ++j) {
                                std::uint64_t bits = 0;
                                std::memcpy(&bits, points.row(i) + j, sizeof bits);
                                hash = (hash ^ bits) * 0x9E3779B97F4A7C15U;
                                hash ^= hash >> 29;
                              }
                              const HostMatrix noise = normals(1, y.cols, hash);
                              for (Index o = 0; o < y.cols; ++o)
                                y(i, o) = values(i, o) + sigma * noise(0, o);
                            }
                          });
}

}  // namespace crease
