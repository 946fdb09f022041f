// A black box that is a function on the GPU.
#include <algorithm>
#include <utility>

#include "kernels/cuda/context.hpp"
#include "kernels/ops.hpp"

namespace crease {
namespace {

constexpr Index kChunkBytes = Index{1} << 28;  // bounds what the function itself needs per call

/// The view itself where its rows follow each other without a gap, else as much room of its own.
template <class View>
View without_gaps(Device& device, View view, DeviceMatrix& room) {
  if (view.ld == view.cols) return view;
  room = DeviceMatrix(device, view.rows, view.cols);
  return room.view();
}

void throw_if_failed(const char* when) {
  const cudaError_t status = cudaGetLastError();  // clears it, unless the GPU is lost
  if (status == cudaSuccess) return;
  throw OracleError(std::string("cuda oracle: ") + when + ": " + cudaGetErrorString(status));
}

class CudaOracle final : public Oracle {
 public:
  CudaOracle(Index inputs, Index outputs, CudaFunction function)
      : inputs_(inputs), outputs_(outputs), function_(std::move(function)) {}

  Index input_dim() const override { return inputs_; }
  Index output_dim() const override { return outputs_; }

  void answer(Device& device, ConstDeviceView x, DeviceView y) override {
    const cudaStream_t stream = cuda_stream(device);
    int device_id = 0;
    check(cudaStreamGetDevice(stream, &device_id), "the GPU of a stream");
    const CurrentGpu current(device_id);
    const Index row_bytes = (inputs_ + outputs_) * static_cast<Index>(sizeof(double));
    const Index chunk = std::max<Index>(1, kChunkBytes / row_bytes);
    for (Index first = 0; first < x.rows; first += chunk) {
      const Index count = std::min(chunk, x.rows - first);
      const ConstDeviceView points = x.row_block(first, count);
      const DeviceView answers = y.row_block(first, count);
      DeviceMatrix points_room, answers_room;
      const ConstDeviceView dense_points = without_gaps(device, points, points_room);
      if (!points_room.empty()) copy(device, points, points_room);
      const DeviceView dense_answers = without_gaps(device, answers, answers_room);
      throw_if_failed("an error was pending before the function was called");
      function_(stream, dense_points, dense_answers);
      throw_if_failed("the function left an error");
      if (!answers_room.empty()) copy(device, answers_room, answers);
    }
  }

 private:
  Index inputs_;
  Index outputs_;
  CudaFunction function_;
};

}  // namespace

std::unique_ptr<Oracle> make_cuda_oracle(Index inputs, Index outputs, CudaFunction function) {
  require(inputs >= 1 && outputs >= 1, "make_cuda_oracle: inputs and outputs must be at least 1");
  require(static_cast<bool>(function), "make_cuda_oracle: the function must not be empty");
  return std::make_unique<CudaOracle>(inputs, outputs, std::move(function));
}

}  // namespace crease
