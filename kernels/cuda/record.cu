// Work written down as a CUDA graph.
#include <utility>

#include "kernels/cuda/support.cuh"

namespace crease {
namespace {

struct GraphDeleter {
  void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
};
struct GraphExecDeleter {
  void operator()(cudaGraphExec_t exec) const { cudaGraphExecDestroy(exec); }
};
using Graph = std::unique_ptr<CUgraph_st, GraphDeleter>;
using GraphExec = std::unique_ptr<CUgraphExec_st, GraphExecDeleter>;

class Launched final : public Recording {
 public:
  Launched(CudaContext& context, GraphExec exec) : context_(context), exec_(std::move(exec)) {}
  ~Launched() override {
    // A graph that still runs keeps its own resources; its memory must be free again before the
    // pool goes.
    const CurrentGpu current(context_.device_id());
    static_cast<void>(cudaStreamSynchronize(context_.stream()));
    exec_.reset();
  }
  void replay() override {
    const CurrentGpu current(context_.device_id());
    check(cudaGraphLaunch(exec_.get(), context_.stream()), "graph launch");
  }

 private:
  CudaContext& context_;
  GraphExec exec_;
};

/// Where the stream cannot be captured: the work is asked for again.
class CallAgain final : public Recording {
 public:
  explicit CallAgain(std::function<void()> work) : work_(std::move(work)) {}
  void replay() override { work_(); }

 private:
  std::function<void()> work_;
};

/// The graph of `work`, or none where the stream or something in it cannot be captured.
GraphExec captured(CudaContext& context, const std::function<void()>& work) {
  // Thread-local: what other threads do with their own streams meanwhile is no concern of ours.
  if (cudaStreamBeginCapture(context.stream(), cudaStreamCaptureModeThreadLocal) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  bool complete = true;
  cudaGraph_t raw = nullptr;
  try {
    work();
  } catch (const DeviceError&) {
    complete = false;  // not allowed in a capture, or broken: a call outside of one will tell
  } catch (...) {
    static_cast<void>(cudaStreamEndCapture(context.stream(), &raw));
    const Graph dropped(raw);
    static_cast<void>(cudaGetLastError());
    throw;
  }
  const cudaError_t ended = cudaStreamEndCapture(context.stream(), &raw);
  const Graph graph(raw);
  cudaGraphExec_t exec = nullptr;
  if (!complete || ended != cudaSuccess || raw == nullptr ||
      cudaGraphInstantiate(&exec, raw, 0) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  return GraphExec(exec);
}

}  // namespace

std::unique_ptr<Recording> CudaOps::record(std::function<void()> work) {
  const CurrentGpu current(context_.device_id());
  if (GraphExec exec = captured(context_, work)) {
    return std::make_unique<Launched>(context_, std::move(exec));
  }
  return std::make_unique<CallAgain>(std::move(work));
}

}  // namespace crease
