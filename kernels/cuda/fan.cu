// Networks on fans, on the GPU.
#include "kernels/cuda/fan.cuh"

#include <algorithm>
#include <iterator>

#include "kernels/cuda/support.cuh"

namespace crease {
namespace {

struct FanArguments {
  ConstDeviceView offsets;
  ConstDeviceView slopes_t;
  ConstDeviceView output;
  ConstDeviceView constant;
  ConstDeviceView tilt;
  ConstDeviceView steps;
  DeviceView out;
};

template <class Shape>
Index tiles_of(const FanArguments& fan) {
  const auto parts = [](Index whole, Index part) { return (whole + part - 1) / part; };
  return parts(fan.steps.rows, Shape::kRows) * parts(fan.steps.cols, Shape::kCols) *
         parts(fan.out.cols, Shape::kOutputs);
}

template <class Shape>
void launch_fan_sum(const FanArguments& fan, cudaStream_t stream) {
  const bool wide = starts_at_16_bytes(fan.offsets) && starts_at_16_bytes(fan.slopes_t) &&
                    starts_at_16_bytes(fan.output);
  relu_fan_sum_kernel<Shape>
      <<<blocks_for(tiles_of<Shape>(fan), 1, 1 << 20), kFanThreads, 0, stream>>>(
          fan.offsets, fan.slopes_t, fan.output, fan.constant, fan.tilt, fan.steps, fan.out, wide);
}

/// Time of a launch in units of one direction of a lane: every tile also reads its centres, and a
/// GPU that is not full waits as long as a full one.
template <class Shape>
double time_of(const FanArguments& fan, Index processors) {
  const Index rounds = (tiles_of<Shape>(fan) + processors - 1) / processors;
  return static_cast<double>(rounds) * (Shape::kDirections + 0.5);
}

template <class... Shapes>
void launch_best(const FanArguments& fan, Index processors, cudaStream_t stream) {
  struct Choice {
    double time;
    void (*launch)(const FanArguments&, cudaStream_t);
  };
  const Choice choices[] = {{time_of<Shapes>(fan, processors), launch_fan_sum<Shapes>}...};
  const auto faster = [](const Choice& a, const Choice& b) { return a.time < b.time; };
  std::min_element(std::begin(choices), std::end(choices), faster)->launch(fan, stream);
}

}  // namespace

void CudaOps::relu_fan_sum(ConstDeviceView offsets, ConstDeviceView slopes_t,
                           ConstDeviceView output, ConstDeviceView constant, ConstDeviceView tilt,
                           ConstDeviceView steps, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const FanArguments fan{offsets, slopes_t, output, constant, tilt, steps, out};
  const Index processors = attribute(context_, cudaDevAttrMultiProcessorCount);
  const auto launch =
      out.cols == 1   ? launch_best<FanShape<8, 4, 1>, FanShape<8, 2, 1>, FanShape<8, 1, 1>>
      : out.cols == 2 ? launch_best<FanShape<4, 4, 2>, FanShape<4, 2, 2>, FanShape<4, 1, 2>>
                      : launch_best<FanShape<4, 2, 4>, FanShape<4, 1, 4>>;
  launch(fan, processors, context_.stream());
  check(cudaGetLastError(), "relu_fan_sum");
}

}  // namespace crease
