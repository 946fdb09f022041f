// cuSOLVER's gels and IRSXgels.
#include "bench/peers/cusolver_peers.hpp"

#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <algorithm>
#include <chrono>

namespace crease {
namespace {

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) {
    throw DeviceError(std::string(what) + ": " + cudaGetErrorString(status));
  }
}

void check(cusolverStatus_t status, const char* what) {
  if (status != CUSOLVER_STATUS_SUCCESS) {
    throw DeviceError(std::string(what) + ": cuSOLVER status " +
                      std::to_string(static_cast<int>(status)));
  }
}

/// Memory on the GPU.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::size_t count) {
    check(cudaMalloc(reinterpret_cast<void**>(&data_), std::max<std::size_t>(1, count) * sizeof(T)),
          "cudaMalloc");
  }
  ~Buffer() { cudaFree(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
};

struct Handles {
  cusolverDnHandle_t solver = nullptr;
  cusolverDnIRSParams_t parameters = nullptr;
  cusolverDnIRSInfos_t infos = nullptr;

  Handles() {
    check(cusolverDnCreate(&solver), "cusolverDnCreate");
    check(cusolverDnIRSParamsCreate(&parameters), "IRSParamsCreate");
    check(cusolverDnIRSInfosCreate(&infos), "IRSInfosCreate");
    check(cusolverDnIRSParamsSetSolverPrecisions(parameters, CUSOLVER_R_64F, CUSOLVER_R_32F),
          "IRSParamsSetSolverPrecisions");
    check(cusolverDnIRSParamsSetRefinementSolver(parameters, CUSOLVER_IRS_REFINE_GMRES),
          "IRSParamsSetRefinementSolver");
  }
  ~Handles() {
    cusolverDnIRSInfosDestroy(infos);
    cusolverDnIRSParamsDestroy(parameters);
    cusolverDnDestroy(solver);
  }
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
};

}  // namespace

CusolverRun solve_by_cusolver(const std::string& name, const HostMatrix& z_t, const HostMatrix& y,
                              HostMatrix& c) {
  require(name == "cusolver_gels" || name == "cusolver_irsxgels",
          "solve_by_cusolver: cusolver_gels or cusolver_irsxgels");
  const bool single = name == "cusolver_irsxgels";
  const Handles handles;
  const auto n = static_cast<cusolver_int_t>(z_t.cols());
  const auto q = static_cast<cusolver_int_t>(z_t.rows());
  const Buffer<double> a(static_cast<std::size_t>(z_t.size()));
  const Buffer<double> b(static_cast<std::size_t>(y.size()));
  const Buffer<double> x(static_cast<std::size_t>(c.size()));
  const Buffer<cusolver_int_t> info(1);
  std::size_t bytes = 0;
  if (single) {
    check(cusolverDnIRSXgels_bufferSize(handles.solver, handles.parameters, n, q, 1, &bytes),
          "IRSXgels_bufferSize");
  } else {
    check(cusolverDnDDgels_bufferSize(handles.solver, n, q, 1, a.data(), n, b.data(), n, x.data(),
                                      q, nullptr, &bytes),
          "DDgels_bufferSize");
  }
  const Buffer<char> work(bytes);
  cusolver_int_t iterations = 0;
  double seconds = 0;
  for (const bool timed : {false, true}) {
    check(cudaMemcpy(a.data(), z_t.data(), static_cast<std::size_t>(z_t.size()) * sizeof(double),
                     cudaMemcpyHostToDevice),
          "copy");
    check(cudaMemcpy(b.data(), y.data(), static_cast<std::size_t>(y.size()) * sizeof(double),
                     cudaMemcpyHostToDevice),
          "copy");
    check(cudaDeviceSynchronize(), "synchronize");
    const auto start = std::chrono::steady_clock::now();
    check(single ? cusolverDnIRSXgels(handles.solver, handles.parameters, handles.infos, n, q, 1,
                                      a.data(), n, b.data(), n, x.data(), q, work.data(), bytes,
                                      &iterations, info.data())
                 : cusolverDnDDgels(handles.solver, n, q, 1, a.data(), n, b.data(), n, x.data(), q,
                                    work.data(), bytes, &iterations, info.data()),
          name.c_str());
    check(cudaDeviceSynchronize(), "synchronize");
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (timed) seconds = took.count();
  }
  cusolver_int_t status = 0;
  check(cudaMemcpy(&status, info.data(), sizeof status, cudaMemcpyDeviceToHost), "copy");
  if (status != 0) throw DeviceError(name + " returned " + std::to_string(status));
  check(cudaMemcpy(c.data(), x.data(), static_cast<std::size_t>(c.size()) * sizeof(double),
                   cudaMemcpyDeviceToHost),
        "copy");
  return {seconds, static_cast<int>(iterations)};
}

}  // namespace crease
