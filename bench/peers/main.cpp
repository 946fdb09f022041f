// Our half of `./dev bench peers`: makes the data, and times our solvers, LAPACK's and cuSOLVER's
// on it, one command a line of stdin, one JSON line each on stdout. bench/peers.py asks.
#include <crease/crease.hpp>

#include <lapacke.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bench/peers/cusolver_peers.hpp"
#include "kernels/ops.hpp"
#include "src/cli/cuda_choice.hpp"
#include "src/stages/solve.hpp"

namespace crease {
namespace {

using Json = nlohmann::json;

constexpr Index kInputs = 64;
constexpr Index kWholeMatrix = Index{1} << 62;  // bytes: rows are held, as the peers hold theirs
constexpr double kNoise = 1e-3;                 // of the answers that lie beside the span

// Planes at a distance of 3.5 are crossed by no point of some thousand: their features are linear
// there, Z is singular, and dgels answers with coefficients of 1e10. Half of that is met by all.
constexpr double kBiasScale = 0.5;

/// What each number of the data is drawn from.
enum DataStream : std::uint64_t { kWeights = 101, kBias, kCoefficients, kAnswerNoise };

double seconds_of(Device& device, const std::function<void()>& work) {
  device.synchronize();
  const auto start = std::chrono::steady_clock::now();
  work();
  device.synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void write_raw(const std::string& path, const HostMatrix& matrix) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(matrix.data()),
             static_cast<std::streamsize>(matrix.size() * static_cast<Index>(sizeof(double))));
  if (!file.flush()) throw FileError("cannot write " + path);
}

DeviceMatrix gaussian(Device& device, Seed seed, DataStream stream, Index rows, Index cols,
                      double scale = 1) {
  DeviceMatrix matrix(device, rows, cols);
  fill_gaussian(device, seed, stream, 0, scale, matrix);
  return matrix;
}

/// A random network's features [relu(W x + b), x, 1] at n = 4 q Gaussian points, and two columns of
/// answers: in the span of the features, and with noise beside it.
class Data {
 public:
  Data(Device& device, Index q, Seed seed)
      : device_(device),
        n_(4 * q),
        q_(q),
        k_(q - kInputs - 1),
        weights_(gaussian(device, seed, kWeights, k_, kInputs, 1 / std::sqrt(double{kInputs}))),
        bias_(gaussian(device, seed, kBias, k_, 1, kBiasScale)),
        rows_(device, {seed, Stream::looks, 0, n_}, weights_, bias_, true, kWholeMatrix),
        z_(rows_.chunk(0, n_)),
        y_(device, n_, 2) {
    const DeviceMatrix c = gaussian(device, seed, kCoefficients, q_, 1);
    fill_gaussian(device, seed, kAnswerNoise, 0, kNoise, y_);
    for (const Index side : {0, 1}) {
      multiply(device, z_, Transpose::no, c, Transpose::no, 1.0, side == 0 ? 0.0 : 1.0,
               y_.view().col_block(side, 1));
    }
  }

  Index n() const { return n_; }
  Index q() const { return q_; }
  Index k() const { return k_; }
  ConstDeviceView z() const { return z_; }
  FeatureRows& rows() { return rows_; }
  /// 0: in the span; 1: with noise.
  DeviceMatrix answers(Index side) const {
    DeviceMatrix y(device_, n_, 1);
    copy(device_, y_.view().col_block(side, 1), y);
    return y;
  }
  HostMatrix all_answers() const { return download(device_, y_); }

 private:
  Device& device_;
  Index n_;
  Index q_;
  Index k_;
  DeviceMatrix weights_;
  DeviceMatrix bias_;
  FeatureRows rows_;
  ConstDeviceView z_;
  DeviceMatrix y_;
};

struct Solved {
  double seconds = 0;
  HostMatrix coefficients;  // [q, 1]
  Json more;                // what the solver says of itself
};

Solved solve_ourselves(Device& device, Data& data, const std::string& name, Index side) {
  const DeviceMatrix y = data.answers(side);
  SolveOptions options;
  options.method = method_named(name);
  LeastSquaresSolution solution;
  Solved solved;
  solved.seconds = seconds_of(device, [&] {
    solution = options.method == SolveMethod::analytic
                   ? solve_least_squares(device, {data.rows(), 0, y}, options)
                   : solve_least_squares(device, data.z(), y, options);
  });
  solved.coefficients = std::move(solution.coefficients);
  solved.more = {{"solver", solution.solver},
                 {"rank", solution.rank},
                 {"condition", solution.condition},
                 {"iterations", solution.iterations}};
  return solved;
}

/// Column by column, as LAPACK and cuSOLVER like it best; not timed.
HostMatrix transposed(const HostMatrix& a) {
  HostMatrix t(a.cols(), a.rows());
  constexpr Index kTile = 32;
  for (Index i0 = 0; i0 < a.rows(); i0 += kTile) {
    for (Index j = 0; j < a.cols(); ++j) {
      for (Index i = i0; i < std::min(i0 + kTile, a.rows()); ++i) t(j, i) = a(i, j);
    }
  }
  return t;
}

/// min |Z c - y| by one of LAPACK's drivers. z_t [q, n] and y [n, 1] are used up.
Solved solve_by_lapack(const std::string& name, HostMatrix z_t, HostMatrix y) {
  const auto n = static_cast<lapack_int>(z_t.cols());
  const auto q = static_cast<lapack_int>(z_t.rows());
  lapack_int rank = q;
  lapack_int info = 0;
  std::vector<lapack_int> pivots(static_cast<std::size_t>(q), 0);
  std::vector<double> singular(static_cast<std::size_t>(q));
  const double cutoff = -1;  // the driver's own
  LAPACKE_set_nancheck(0);
  const auto start = std::chrono::steady_clock::now();
  if (name == "dgels") {
    info = LAPACKE_dgels(LAPACK_COL_MAJOR, 'N', n, q, 1, z_t.data(), n, y.data(), n);
  } else if (name == "dgelsy") {
    info = LAPACKE_dgelsy(LAPACK_COL_MAJOR, n, q, 1, z_t.data(), n, y.data(), n, pivots.data(),
                          0x1p-52, &rank);
  } else {
    info = LAPACKE_dgelsd(LAPACK_COL_MAJOR, n, q, 1, z_t.data(), n, y.data(), n, singular.data(),
                          cutoff, &rank);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (info != 0) throw Error(name + " returned " + std::to_string(info));
  Solved solved{took.count(), HostMatrix(q, 1), {{"rank", rank}}};
  std::copy_n(y.data(), q, solved.coefficients.data());
  return solved;
}

class Session {
 public:
  Session(std::unique_ptr<Device> device, std::string folder)
      : device_(std::move(device)), folder_(std::move(folder)) {}

  /// The answer to one command.
  Json answer(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "data") {
      Index q = 0;
      std::uint64_t seed = 0;
      words >> q >> seed;
      require(words && q > 2 * kInputs, "data Q SEED: Q must be above 128");
      return make_data(q, Seed{seed});
    }
    if (verb == "solve") {
      std::string name;
      Index side = 0;
      words >> name >> side;
      require(words && data_ && (side == 0 || side == 1), "solve NAME 0|1, after data");
      const Solved solved = solve(name, side);
      const std::string path = folder_ + "/" + name + ".f64";
      write_raw(path, solved.coefficients);
      Json json = {{"seconds", solved.seconds}, {"coefficients", path}};
      json.update(solved.more);
      return json;
    }
    if (verb == "features" || verb == "gemm" || verb == "sample") {
      Index n = 0, k = 0, d = 0;
      words >> n >> k >> d;
      require(words && n >= 1 && k >= 1 && d >= 1, "features|gemm|sample N K D");
      return build(verb, n, k, d);
    }
    throw BadInput("no command " + verb);
  }

 private:
  Json make_data(Index q, Seed seed) {
    data_.reset();
    data_ = std::make_unique<Data>(*device_, q, seed);
    const HostMatrix z = download(*device_, data_->z());
    z_t_ = transposed(z);
    write_raw(folder_ + "/z.f64", z);
    write_raw(folder_ + "/y.f64", data_->all_answers());
    return {{"n", data_->n()}, {"q", q}, {"k", data_->k()}, {"d", kInputs}};
  }

  Solved solve(const std::string& name, Index side) {
    if (name.starts_with("dgels")) {
      return solve_by_lapack(name, z_t_, download(*device_, data_->answers(side)));
    }
    if (name.starts_with("cusolver_")) {
      Solved solved;
      solved.coefficients = HostMatrix(data_->q(), 1);
      const CusolverRun run = solve_by_cusolver(
          name, z_t_, download(*device_, data_->answers(side)), solved.coefficients);
      solved.seconds = run.seconds;
      solved.more = {{"iterations", run.iterations}};
      return solved;
    }
    return solve_ourselves(*device_, *data_, name, side);
  }

  /// "features": relu(x W^T + b); "gemm": the product alone; some calls in a row, after one that is
  /// not timed. "sample" writes what goes in and the features that come out.
  Json build(const std::string& verb, Index n, Index k, Index d) {
    constexpr int kCalls = 5;
    const Seed seed{3};
    const DeviceMatrix x = gaussian(*device_, seed, kAnswerNoise, n, d);
    const DeviceMatrix w = gaussian(*device_, seed, kWeights, k, d);
    const DeviceMatrix b = gaussian(*device_, seed, kBias, k, 1);
    DeviceMatrix out(*device_, n, k);
    const auto once = [&] {
      if (verb == "gemm") {
        multiply(*device_, x, Transpose::no, w, Transpose::yes, 1.0, 0.0, out);
      } else {
        relu_features(*device_, x, w, b, out);
      }
    };
    once();
    if (verb == "sample") {
      write_raw(folder_ + "/x.f64", download(*device_, x));
      write_raw(folder_ + "/w.f64", download(*device_, w));
      write_raw(folder_ + "/b.f64", download(*device_, b));
      write_raw(folder_ + "/features.f64", download(*device_, out));
      return Json::object();
    }
    const double seconds = seconds_of(*device_, [&] {
      for (int call = 0; call < kCalls; ++call) once();
    });
    return {{"seconds", seconds / kCalls}};
  }

  std::unique_ptr<Device> device_;
  std::string folder_;
  std::unique_ptr<Data> data_;
  HostMatrix z_t_;  // [q, n]
};

int serve(const std::string& kind, int threads, const std::string& folder) {
  std::unique_ptr<Device> device =
      kind == "cuda" ? open_gpu() : make_cpu_device({.threads = threads});
  std::cout << Json{{"device", device->name()}, {"cuda", kind == "cuda"}} << std::endl;
  Session session(std::move(device), folder);
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << session.answer(line) << std::endl;
    } catch (const std::exception& error) {
      std::cout << Json{{"error", error.what()}} << std::endl;
    }
  }
  return 0;
}

}  // namespace
}  // namespace crease

int main(int argc, char** argv) {
  try {
    if (argc != 4) {
      std::cerr << "usage: crease_peers cpu|cuda THREADS FOLDER  (commands on stdin)\n";
      return 2;
    }
    return crease::serve(argv[1], std::stoi(argv[2]), argv[3]);
  } catch (const std::exception& error) {
    std::cerr << "crease_peers: " << error.what() << "\n";
    return 2;
  }
}
