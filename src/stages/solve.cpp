// Which least-squares solver, and why.
#include "src/stages/solve.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/preconditioner.hpp"
#include "src/stages/qr_solver.hpp"
#include "src/stages/trust_region.hpp"

namespace crease {
namespace {

constexpr Index kHeldOutShare = 4;  // every fourth row
constexpr double kGain = 0.9;       // of the held-out square: less improvement is chance

/// What came of one solver: a solution, or why there is none.
struct Attempt {
  std::optional<LeastSquaresSolution> solution;
  std::string refused;
};

double frobenius(const HostMatrix& a) {
  return std::sqrt(dot(a.data(), a.data(), a.size()));
}

/// |Z z - y|^2 of several solutions side by side; z [q, m p].
std::vector<double> squares_left(Device& device, const LeastSquaresProblem& problem,
                                 ConstDeviceView z) {
  const Index p = problem.y.cols;
  std::vector<double> sums(static_cast<std::size_t>(z.cols / p), 0.0);
  const Index chunk = std::min(problem.z.chunk_rows(), problem.y.rows);
  DeviceMatrix image(device, chunk, z.cols);
  DeviceMatrix norms(device, 1, z.cols);
  for (Index row = 0; row < problem.y.rows; row += chunk) {
    const Index rows = std::min(chunk, problem.y.rows - row);
    const DeviceView part = image.view().row_block(0, rows);
    multiply(device, problem.z.chunk(problem.first + row, rows), Transpose::no, z, Transpose::no,
             1.0, 0.0, part);
    for (Index first = 0; first < z.cols; first += p) {
      subtract(device, problem.y.row_block(row, rows), part.col_block(first, p));
    }
    column_norms(device, part, norms);
    const HostMatrix each = download(device, norms);
    for (Index j = 0; j < z.cols; ++j) {
      sums[static_cast<std::size_t>(j / p)] += each(0, j) * each(0, j);
    }
  }
  return sums;
}

/// The ridge with the largest norm whose held-out error is within 10 % of the least; 0 where that
/// is the plain solution `free`.
double chosen_ridge(Device& device, const LeastSquaresProblem& held_out, RidgePath& path,
                    ConstDeviceView free) {
  const Index p = held_out.y.cols;
  std::vector<double> ridges = {0};
  for (const double ridge : ridges_along(path)) {
    if (path.at(ridge)) ridges.push_back(ridge);
  }
  DeviceMatrix candidates(device, free.rows, p * static_cast<Index>(ridges.size()));
  for (std::size_t i = 0; i < ridges.size(); ++i) {
    const DeviceView place = candidates.view().col_block(p * static_cast<Index>(i), p);
    if (i == 0) {
      copy(device, free, place);
    } else {
      copy(device, *path.solution(ridges[i]), place);
    }
  }
  const std::vector<double> left = squares_left(device, held_out, candidates);
  const double best = *std::min_element(left.begin(), left.end());
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (kGain * left[i] <= best) return ridges[i];
  }
  return 0;
}

/// The norm bound on top of a plain solution `free`: exact(ridge) solves with that ridge.
void bound_norm(Device& device, const LeastSquaresProblem& held_out, const SolveOptions& options,
                RidgePath& path, DeviceMatrix free,
                const std::function<DeviceMatrix(double ridge)>& exact,
                LeastSquaresSolution& solution) {
  solution.coefficients = download(device, free);
  if (options.radius) {
    solution.radius = *options.radius;
    if (frobenius(solution.coefficients) <= solution.radius) return;
    solution.ridge = ridge_of(path, solution.radius);
  } else {
    solution.ridge = chosen_ridge(device, held_out, path, free);
  }
  if (solution.ridge > 0) solution.coefficients = download(device, exact(solution.ridge));
  const double norm = frobenius(solution.coefficients);
  if (!options.radius) solution.radius = norm;
  if (norm > solution.radius) {  // by rounding: the bound holds exactly
    for (Index i = 0; i < solution.coefficients.size(); ++i) {
      solution.coefficients.data()[i] *= solution.radius / norm;
    }
  }
}

/// The rows that are fitted, and those that choose the norm bound.
struct Split {
  LeastSquaresProblem fitted;
  LeastSquaresProblem held_out;
};

Split split(const LeastSquaresProblem& problem, const SolveOptions& options) {
  const Index held = options.choose_radius ? problem.y.rows / kHeldOutShare : 0;
  return {{problem.z, problem.first + held, problem.y.row_block(held, problem.y.rows - held)},
          {problem.z, problem.first, problem.y.row_block(0, held)}};
}

double tolerance(const SolveOptions& options) {
  return options.tolerance > 0 ? options.tolerance : 4 * kRounding;
}

std::string not_converged(Index iterations) {
  return "LSQR did not converge in " + std::to_string(iterations) + " iterations";
}

/// LSQR with a factor; refuses what an automatic choice would not take.
Attempt iterate(Device& device, const LeastSquaresProblem& problem, const SolveOptions& options,
                const GramFactor& factor, std::string solver) {
  if (options.method == SolveMethod::automatic && !(factor.condition <= kStreamCondition)) {
    return {std::nullopt, "the condition of the Gram matrix's factor is beyond 1e6"};
  }
  const LsqrResult result = lsqr(device, problem, factor.preconditioner(), 0.0, tolerance(options),
                                 options.most_iterations);
  if (options.method == SolveMethod::automatic && !result.converged) {
    return {std::nullopt, not_converged(result.iterations)};
  }
  LeastSquaresSolution solution;
  solution.coefficients = download(device, result.coefficients);
  solution.solver = std::move(solver);
  solution.rank = factor.rank;
  solution.condition = factor.condition;
  solution.iterations = result.iterations;
  if (!result.converged) solution.reason = "; " + not_converged(result.iterations);
  return {std::move(solution), {}};
}

Attempt by_stream(Device& device, const LeastSquaresProblem& problem, const SolveOptions& options) {
  const Split rows = split(problem, options);
  const bool bounded = options.radius.has_value() || options.choose_radius;
  DeviceMatrix g = gram_of(device, rows.fitted);
  DeviceMatrix kept;
  if (bounded) {
    kept = DeviceMatrix(device, g.rows(), g.cols());
    copy(device, g, kept);
  }
  const std::optional<GramFactor> factor = factor_gram(device, std::move(g));
  if (!factor) return {std::nullopt, "the Gram matrix has no Cholesky factor"};
  Attempt attempt = iterate(device, rows.fitted, options, *factor, "stream");
  if (!bounded || !attempt.solution) return attempt;

  const Index q = kept.rows();
  const Index p = problem.y.cols;
  DeviceMatrix right(device, q, p);
  fill(device, 0.0, right);
  const Index count = rows.fitted.y.rows;
  const Index chunk = std::max<Index>(1, problem.z.chunk_rows());
  for (Index row = 0; row < count; row += chunk) {
    const Index some = std::min(chunk, count - row);
    multiply(device, problem.z.chunk(rows.fitted.first + row, some), Transpose::yes,
             rows.fitted.y.row_block(row, some), Transpose::no, 1.0, 1.0, right);
  }
  CholeskyRidge path(device, kept, right);
  DeviceMatrix ones(device, q, 1);
  fill(device, 1.0, ones);
  LeastSquaresSolution& solution = *attempt.solution;
  const auto exact = [&](double ridge) {
    require(path.solution(ridge).has_value(), "solve_least_squares: a ridge that was found");
    LsqrResult result = lsqr(device, rows.fitted, {ones, path.factor()}, ridge, tolerance(options),
                             options.most_iterations);
    solution.iterations += result.iterations;
    return std::move(result.coefficients);
  };
  DeviceMatrix free = upload(device, solution.coefficients);
  bound_norm(device, rows.held_out, options, path, std::move(free), exact, solution);
  return attempt;
}

Attempt by_analytic(Device& device, const LeastSquaresProblem& problem,
                    const SolveOptions& options) {
  const std::optional<GramFactor> factor =
      factor_gram(device, population_gram(device, *problem.z.gaussian()));
  if (!factor) return {std::nullopt, "the exact Gram matrix has no Cholesky factor"};
  return iterate(device, problem, options, *factor, "analytic");
}

LeastSquaresSolution by_qr(Device& device, const LeastSquaresProblem& problem,
                           const SolveOptions& options) {
  LeastSquaresSolution solution;
  solution.solver = "qr";
  if (!options.radius && !options.choose_radius) {
    QrResult result = solve_by_qr(device, problem, options.most_host_columns);
    solution.coefficients = std::move(result.coefficients);
    solution.rank = result.rank;
    solution.condition = result.condition;
    return solution;
  }
  const Split rows = split(problem, options);
  const Index q = problem.z.cols();
  DeviceMatrix factor = triangular_factor(device, rows.fitted);
  const DeviceView top = factor.view().row_block(0, q);
  SvdRidge path(device, top.col_block(0, q), top.col_block(q, problem.y.cols));
  solution.rank = path.rank();
  solution.condition = path.condition();
  const auto exact = [&](double ridge) { return *path.solution(ridge); };
  bound_norm(device, rows.held_out, options, path, exact(0), exact, solution);
  return solution;
}

/// The solver and its reason, for a problem without weights. gaussian: the rows are features of
/// Gaussian points.
LeastSquaresSolution solve(Device& device, const LeastSquaresProblem& problem,
                           const SolveOptions& options) {
  const Index n = problem.y.rows;
  const Index q = problem.z.cols();
  const bool bounded = options.radius.has_value() || options.choose_radius;
  const bool gaussian = problem.z.gaussian().has_value() && !bounded;
  const auto finish = [](LeastSquaresSolution solution, const std::string& reason) {
    solution.reason = reason + solution.reason;
    return solution;
  };

  if (options.method == SolveMethod::qr)
    return finish(by_qr(device, problem, options), "asked for");
  if (options.method == SolveMethod::analytic) {
    require(gaussian,
            "analytic least squares needs Gaussian features, no weights and no norm bound");
  }
  if (options.method != SolveMethod::automatic) {
    Attempt attempt = options.method == SolveMethod::analytic
                          ? by_analytic(device, problem, options)
                          : by_stream(device, problem, options);
    if (!attempt.solution) throw Error("least squares: " + attempt.refused);
    return finish(std::move(*attempt.solution), "asked for");
  }

  if (n < q) return finish(by_qr(device, problem, options), "fewer rows than columns");
  std::string refused;
  if (gaussian && q >= options.analytic_columns && n >= kAnalyticRows * q) {
    Attempt attempt = by_analytic(device, problem, options);
    if (attempt.solution) {
      return finish(std::move(*attempt.solution),
                    "Gaussian rows, n >= 4 q: exact Gram matrix as preconditioner");
    }
    refused = attempt.refused + " (analytic); ";
  }
  Attempt attempt = by_stream(device, problem, options);
  if (attempt.solution) {
    return finish(std::move(*attempt.solution),
                  refused + "condition below 1e6: Gram matrix of the rows as preconditioner");
  }
  return finish(by_qr(device, problem, options), refused + attempt.refused);
}

/// Roots of the weights, [n, 1].
HostMatrix roots_of(Device& device, ConstDeviceView weights) {
  HostMatrix roots = download(device, weights);
  for (Index i = 0; i < roots.size(); ++i) {
    const double weight = roots.data()[i];
    require(weight >= 0 && std::isfinite(weight),
            "least squares: weights must not be negative, and finite");
    roots.data()[i] = std::sqrt(weight);
  }
  return roots;
}

}  // namespace

std::string name_of(SolveMethod method) {
  switch (method) {
    case SolveMethod::automatic:
      return "automatic";
    case SolveMethod::stream:
      return "stream";
    case SolveMethod::analytic:
      return "analytic";
    case SolveMethod::qr:
      return "qr";
  }
  throw BadInput("name_of: no such method");
}

SolveMethod method_named(const std::string& name) {
  for (const SolveMethod method :
       {SolveMethod::automatic, SolveMethod::stream, SolveMethod::analytic, SolveMethod::qr}) {
    if (name == name_of(method)) return method;
  }
  throw BadInput("no least-squares method \"" + name + "\": automatic, stream, analytic or qr");
}

LeastSquaresSolution solve_least_squares(Device& device, const LeastSquaresProblem& problem,
                                         const SolveOptions& options) {
  const Index n = problem.y.rows;
  require(problem.first >= 0 && problem.first + n <= problem.z.rows(),
          "least squares: there must be one row per answer");
  require(!options.radius || *options.radius > 0, "least squares: the radius must be above 0");
  require(!options.radius || !options.choose_radius,
          "least squares: the radius is either given or chosen");
  require(!options.choose_radius || n >= kHeldOutShare,
          "least squares: too few rows to choose a radius by");
  require(options.tolerance >= 0 && options.tolerance < 1,
          "least squares: the tolerance must be in [0, 1)");
  if (problem.z.cols() == 0 || problem.y.cols == 0) {
    LeastSquaresSolution solution;
    solution.coefficients = HostMatrix(problem.z.cols(), problem.y.cols);
    solution.reason = "nothing to solve";
    return solution;
  }
  if (options.weights.rows == 0) return solve(device, problem, options);
  require(options.weights.rows == n && options.weights.cols == 1,
          "least squares: there must be one weight per answer");
  const DeviceMatrix roots = upload(device, roots_of(device, options.weights));
  ScaledRows rows(device, problem.z, problem.first, roots, options.most_bytes);
  DeviceMatrix y(device, n, problem.y.cols);
  copy(device, problem.y, y);
  scale_rows(device, roots, y);
  return solve(device, {rows, 0, y}, options);
}

LeastSquaresSolution solve_least_squares(Device& device, ConstDeviceView z, ConstDeviceView y,
                                         const SolveOptions& options) {
  require(z.rows == y.rows, "least squares: z and y must have the same rows");
  MatrixRows rows(z);
  return solve_least_squares(device, {rows, 0, y}, options);
}

}  // namespace crease
