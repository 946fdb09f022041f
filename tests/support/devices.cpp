// Opens the backends for the tests.
#include "tests/support/devices.hpp"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <ostream>
#include <string_view>

#include "src/cli/cuda_choice.hpp"

namespace crease {
namespace {

constexpr Index kMargin = 3;  // foreign columns on either side, and foreign rows above and below

bool gpu_is_required() {
  const char* wanted = std::getenv("CREASE_REQUIRE_GPU");
  return wanted != nullptr && std::string_view(wanted) == "1";
}

}  // namespace

std::vector<Backend> backends() {
  if (built_with_cuda()) return {Backend::cpu, Backend::cuda};
  return {Backend::cpu};
}

void PrintTo(Backend backend, std::ostream* out) {
  *out << (backend == Backend::cpu ? "cpu" : "cuda");
}

std::string backend_name(const testing::TestParamInfo<Backend>& info) {
  return info.param == Backend::cpu ? "cpu" : "cuda";
}

void EveryBackend::SetUp() {
  if (GetParam() == Backend::cpu) {
    device_ = make_cpu_device({.threads = 2, .poison = true});
  } else if (gpus_at_hand() > 0) {
    device_ = open_gpu(true);
  } else if (gpu_is_required()) {
    FAIL() << "no GPU, and CREASE_REQUIRE_GPU=1 wants one";
  } else {
    GTEST_SKIP() << "no GPU";
  }
}

Padded::Padded(Device& device, Index rows, Index cols)
    : device_(device), all_(device, rows + 2 * kMargin, cols + 2 * kMargin) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  device_.copy_in(HostMatrix(all_.rows(), all_.cols(), nan), all_);
  inside_ = all_.view().row_block(kMargin, rows).col_block(kMargin, cols);
}

Padded::Padded(Device& device, ConstHostView values) : Padded(device, values.rows, values.cols) {
  device_.copy_in(values, inside_);
}

HostMatrix Padded::read() {
  const HostMatrix all = download(device_, all_);
  HostMatrix elements(inside_.rows, inside_.cols);
  Index written = 0;
  for (Index i = 0; i < all.rows(); ++i) {
    for (Index j = 0; j < all.cols(); ++j) {
      const Index row = i - kMargin;
      const Index col = j - kMargin;
      if (row >= 0 && row < elements.rows() && col >= 0 && col < elements.cols()) {
        elements(row, col) = all(i, j);
      } else if (!std::isnan(all(i, j))) {
        ++written;
      }
    }
  }
  EXPECT_EQ(written, 0) << "elements outside the view were written";
  return elements;
}

}  // namespace crease
