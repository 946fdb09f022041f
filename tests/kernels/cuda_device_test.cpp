// What only the CUDA backend has: borrowed streams, device numbers, errors of a GPU.
#include <crease/cuda.hpp>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

/// Its parameter is CUDA alone: skipped, or failed, where there is no GPU.
class CudaDeviceTest : public EveryBackend {};
INSTANTIATE_TEST_SUITE_P(Backends, CudaDeviceTest, testing::Values(Backend::cuda), backend_name);

TEST_P(CudaDeviceTest, ABorrowedStreamIsUsedAndNotDestroyed) {
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  const HostMatrix values = distinct(33, 5);
  {
    const auto borrower = make_cuda_device({.stream = stream});
    EXPECT_TRUE(same_bits(download(*borrower, upload(*borrower, values)), values));
  }
  EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

TEST_P(CudaDeviceTest, TwoDevicesOnOneGpuDoNotDisturbEachOther) {
  const auto other = make_cuda_device({.poison = true});
  const HostMatrix values = distinct(64, 64);
  const DeviceMatrix here = upload(device(), values);
  const DeviceMatrix there = upload(*other, values);
  DeviceMatrix twice(*other, 64, 64);
  multiply(*other, there, Transpose::no, upload(*other, identity(64)), Transpose::no, 2.0, 0.0,
           twice);
  EXPECT_TRUE(same_bits(download(device(), here), values));
  HostMatrix expected = values;
  for (Index i = 0; i < expected.size(); ++i) expected.data()[i] *= 2.0;
  EXPECT_TRUE(same_bits(download(*other, twice), expected));
}

TEST_P(CudaDeviceTest, AnErrorIsClearedOnceItIsThrown) {
  // Far more than any GPU has, but few enough for the driver to be asked.
  EXPECT_THROW(DeviceMatrix(device(), Index{1} << 30, Index{1} << 16), DeviceError);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_P(CudaDeviceTest, TheCurrentGpuOfTheCallerStaysTheSame) {
  int before = -1;
  int after = -2;
  ASSERT_EQ(cudaGetDevice(&before), cudaSuccess);
  fill(device(), 1.0, DeviceMatrix(device(), 2, 2));
  device().synchronize();
  ASSERT_EQ(cudaGetDevice(&after), cudaSuccess);
  EXPECT_EQ(before, after);
}

TEST(CudaDeviceCountTest, AGpuThatIsNotThereIsADeviceError) {
  EXPECT_THROW(make_cuda_device({.device_id = cuda_device_count()}), DeviceError);
  EXPECT_THROW(make_cuda_device({.device_id = -1}), DeviceError);
}

}  // namespace
}  // namespace crease
