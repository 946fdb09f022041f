// The norm-bounded regression over ReLU features (equation (7) of Chen, Klivans, Meka 2021).
#pragma once

#include "src/stages/fit.hpp"

namespace crease {

/// Feature rows and answers, reduced by QR: for every choice of columns and every coefficient
/// matrix v, |Z v - y| over the rows is |z v - right| over the factor's, where [z | right] is upper
/// triangular. What comes after needs no rows.
struct ReducedRows {
  HostMatrix fit;       // [q + p, q + p], of the rows that are fitted
  HostMatrix held_out;  // [q + p, q + p], of the rows that choose
  Index fit_rows = 0;
  Index held_rows = 0;
  Index features = 0;  // q
  Index outputs = 0;   // p
};

/// Rows at known points, besides the Gaussian ones: where the search saw a piece.
struct KnownRows {
  HostMatrix x;  // [n, d]
  HostMatrix y;  // [n, p]
};

/// TSQR of [relu(weights x + bias), x, 1 | y], chunk by chunk: a quarter of the Gaussian points is
/// held out, the others and the known rows are fitted.
///
/// weights [k, d], bias [k, 1], points the Gaussian ones, answers [points.count, p]
///
/// Scratch on the device below `most_bytes` as long as reduction_columns(most_bytes) >= k + d + 1 +
/// p. Backward stable: each factor is the exact one of rows off by a few eps of every column.
ReducedRows reduce_rows(Device& device, ConstDeviceView weights, ConstDeviceView bias,
                        FeatureRows::Points points, ConstDeviceView answers, const KnownRows& known,
                        Index most_bytes);

/// The most columns k + d + 1 + p that reduce_rows can take within `most_bytes`.
Index reduction_columns(Index most_bytes);

struct BoundedFit {
  HostMatrix coefficients;  // [q, p], zero outside the columns that took part
  double bound = 0;         // W that was chosen: |coefficients| <= W (Frobenius)
  double ridge = 0;         // lambda of its secular equation; 0 where the bound does not bind
  Index rank = 0;
  double condition = 0;  // largest singular value over the smallest that counts
  double fit_rms = 0;    // residual over the fitted rows; root of the summed squares over outputs
  double held_out_rms = 0;  // the same over the held-out rows
};

/// argmin |Z v - y| subject to |v| <= W over the columns given, by the singular value decomposition
/// of R (SvdRidge): v(lambda) = sum_i s_i / (s_i^2 + lambda) right_i <left_i, y>, lambda >= 0 the
/// root of the secular equation |v(lambda)| = W. W runs down from `largest_bound` (or from the norm
/// of the unbounded solution, where that is smaller) by factors sqrt(2), 12 times; the largest is
/// taken whose held-out mean square is within 10 % of the smallest. Singular values below q eps of
/// the largest count as zero.
///
/// columns        in ascending order, each in [0, q)
/// largest_bound  > 0, may be infinite
BoundedFit fit_norm_bounded(Device& device, const ReducedRows& rows,
                            const std::vector<Index>& columns, double largest_bound);

}  // namespace crease
