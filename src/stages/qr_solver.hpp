// Least squares by TSQR: orthogonal reductions of chunks, then a rank-revealing end on R alone.
#pragma once

#include "src/stages/lsqr.hpp"

namespace crease {

/// R of [Z | y] = Q R over the rows of a problem, [q + p, q + p], upper triangular: R <- R of [R;
/// chunk], chunks of 4 (q + p) rows where the source has them. Backward stable: the exact R of rows
/// off by a few eps of every column.
DeviceMatrix triangular_factor(Device& device, const LeastSquaresProblem& problem);

struct QrResult {
  HostMatrix coefficients;  // [q, p]; of minimum norm in unit columns where the rank is not full
  Index rank = 0;
  double condition = 0;  // of Z with unit columns, up to where its rank ends
};

/// Up to this many columns the factor goes to the host and its rank comes from column pivoting
/// (dgelsy); beyond, from a singular value decomposition on the device, as no GPU library has a
/// pivoted QR, and an eigenvalue decomposition of R^T R sees no condition above 1e8.
inline constexpr Index kMostHostColumns = 4096;

/// min |Z z - y|. Singular values (diagonal elements) below max(q, 16) u of the largest count as
/// zero, u = 2^-53, or below what the device's decomposition says it may be off by.
QrResult solve_by_qr(Device& device, const LeastSquaresProblem& problem,
                     Index most_host_columns = kMostHostColumns);

}  // namespace crease
