// A function on the GPU as a black box.
#include <crease/crease.hpp>
#include <crease/cuda.hpp>

#include <stdexcept>
#include <vector>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

/// Its parameter is CUDA alone: skipped, or failed, where there is no GPU.
class CudaOracleTest : public EveryBackend {};
INSTANTIATE_TEST_SUITE_P(Backends, CudaOracleTest, testing::Values(Backend::cuda), backend_name);

/// The last column of x, by one copy on the stream.
void last_column(cudaStream_t stream, ConstDeviceView x, DeviceView y) {
  const std::size_t number = sizeof(double);
  const auto pitch = static_cast<std::size_t>(x.cols) * number;
  cudaMemcpy2DAsync(y.data, number, x.data + x.cols - 1, pitch, number,
                    static_cast<std::size_t>(x.rows), cudaMemcpyDeviceToDevice, stream);
}

TEST_P(CudaOracleTest, ItIsGivenTheDevicesStreamAndRowsWithoutGaps) {
  const HostMatrix points = distinct(33, 5);
  HostMatrix expected(33, 1);
  for (Index i = 0; i < 33; ++i) expected(i, 0) = points(i, 4);
  Index calls = 0;
  const auto oracle = make_cuda_oracle(5, 1, [&](cudaStream_t stream, auto x, auto y) {
    EXPECT_EQ(stream, cuda_stream(device()));
    EXPECT_EQ(x.ld, 5);
    EXPECT_EQ(y.ld, 1);
    ++calls;
    last_column(stream, x, y);
  });
  EXPECT_EQ(oracle->input_dim(), 5);
  EXPECT_EQ(oracle->output_dim(), 1);

  Padded x(device(), points);
  Padded y(device(), 33, 1);
  oracle->answer(device(), x, y);

  EXPECT_TRUE(same_bits(y.read(), expected));
  EXPECT_EQ(calls, 1);
}

TEST_P(CudaOracleTest, ABatchBeyondAChunkIsAnsweredInParts) {
  const Index most = (Index{1} << 28) / (2 * sizeof(double));
  std::vector<Index> counts;
  const auto oracle = make_cuda_oracle(1, 1, [&](cudaStream_t stream, auto x, auto y) {
    counts.push_back(x.rows);
    last_column(stream, x, y);
  });
  DeviceMatrix x(device(), most + 5, 1);
  fill(device(), 1.0, x);
  fill(device(), 2.0, x.view().row_block(most - 1, 3));
  DeviceMatrix y(device(), most + 5, 1);
  oracle->answer(device(), x, y);

  EXPECT_EQ(counts, (std::vector<Index>{most, 5}));
  EXPECT_TRUE(
      same_bits(download(device(), y.view().row_block(most - 2, 5)), {{1}, {2}, {2}, {2}, {1}}));
}

TEST_P(CudaOracleTest, AnErrorThatTheFunctionLeavesIsThrownAndCleared) {
  const auto oracle = make_cuda_oracle(1, 1, [](cudaStream_t stream, auto, auto) {
    cudaMemcpyAsync(nullptr, nullptr, 8, static_cast<cudaMemcpyKind>(77), stream);
  });
  const DeviceMatrix x = upload(device(), HostMatrix{{1}});
  DeviceMatrix y(device(), 1, 1);
  EXPECT_THROW(oracle->answer(device(), x, y), OracleError);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_P(CudaOracleTest, WhatTheFunctionThrowsPassesThrough) {
  const auto oracle = make_cuda_oracle(
      1, 1, [](cudaStream_t, auto, auto) { throw std::runtime_error("out of order"); });
  const DeviceMatrix x = upload(device(), HostMatrix{{1}});
  DeviceMatrix y(device(), 1, 1);
  EXPECT_THROW(oracle->answer(device(), x, y), std::runtime_error);
}

TEST(CudaOracleDataTest, AFunctionThatIsNoneIsRefused) {
  EXPECT_THROW(make_cuda_oracle(0, 1, last_column), BadInput);
  EXPECT_THROW(make_cuda_oracle(1, 0, last_column), BadInput);
  EXPECT_THROW(make_cuda_oracle(1, 1, CudaFunction()), BadInput);
}

TEST(CudaOracleDataTest, ADeviceThatIsNotCudaIsRefused) {
  const auto device = make_cpu_device({.threads = 1});
  const auto oracle = make_cuda_oracle(1, 1, last_column);
  const DeviceMatrix x = upload(*device, HostMatrix{{1}});
  DeviceMatrix y(*device, 1, 1);
  EXPECT_THROW(cuda_stream(*device), BadInput);
  EXPECT_THROW(oracle->answer(*device, x, y), BadInput);
}

}  // namespace
}  // namespace crease
