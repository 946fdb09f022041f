// Kernels of hinges.cu: absolute values, and the Jacobian of a sum of hinges in single precision.
#pragma once

#include <crease/matrix.hpp>

#include <cstdint>

#include "kernels/cuda/indexing.cuh"

namespace crease {

constexpr Index kSignWord = 32;  // rows whose signs share a word
constexpr int kTurnRows = 8;     // of a block of turn_kernel: one warp each
constexpr unsigned kTurnLanes = 0xffffffffU;

/// A matrix in single precision without a stride.
struct FloatMatrix {
  float* data;
  Index rows;
  Index cols;
};

/// +-value by bit `bit` of the word.
__device__ inline float signed_by(float value, std::uint32_t word, int bit) {
  return (word >> bit & 1U) != 0 ? -value : value;
}

__global__ void absolute_kernel(DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) {
      y.data[i * y.ld + j] = fabs(y.data[i * y.ld + j]);
    }
  }
}

__global__ void hinge_jacobian_rows_kernel(ConstDeviceView z, ConstDeviceView x,
                                           ConstDeviceView directions, Index output,
                                           DeviceView out) {
  const Index d = x.cols;
  const Index p = directions.cols;
  const Index width = d + 1 + (p > 1 ? p : 0);
  for (Index n = first_row(); n < out.rows; n += row_step()) {
    for (Index column = first_col(); column < out.cols; column += col_step()) {
      const Index i = column / width;
      const Index j = column % width;
      const bool neuron = i < z.cols;
      const double value = neuron ? z.data[n * z.ld + i] : 0.0;
      double factor =
          neuron ? directions.data[i * directions.ld + output] : (i - z.cols == output ? 1.0 : 0.0);
      if (value < 0) factor = -factor;
      double result = 0.0;
      if (j < d) {
        result = factor * x.data[n * x.ld + j];
      } else if (j == d) {
        result = factor;
      } else if (neuron && j - d - 1 == output) {
        result = fabs(value);
      }
      out.data[n * out.ld + column] = result;
    }
  }
}

/// out = a, and 1 in the columns beyond those of a.
__global__ void to_float_kernel(ConstDeviceView a, FloatMatrix out) {
  for (Index i = first_row(); i < out.rows; i += row_step()) {
    for (Index j = first_col(); j < out.cols; j += col_step()) {
      out.data[i * out.cols + j] = j < a.cols ? static_cast<float>(a.data[i * a.ld + j]) : 1.0F;
    }
  }
}

/// out[i, o] = weights[i, o]^power, power 1 or 2; one column of weights serves all.
__global__ void weights_to_float_kernel(ConstDeviceView weights, int power, FloatMatrix out) {
  for (Index i = first_row(); i < out.rows; i += row_step()) {
    for (Index o = first_col(); o < out.cols; o += col_step()) {
      const double weight = weights.data[i * weights.ld + (weights.cols > 1 ? o : 0)];
      out.data[i * out.cols + o] = static_cast<float>(power == 2 ? weight * weight : weight);
    }
  }
}

/// Bit b of words[g, j]: z[32 g + b, j] is negative. Words beyond the columns of z are 0.
__global__ void sign_words_kernel(FloatMatrix z, Index hinges, std::uint32_t* words) {
  const Index groups = (z.rows + kSignWord - 1) / kSignWord;
  for (Index g = first_row(); g < groups; g += row_step()) {
    for (Index j = first_col(); j < hinges; j += col_step()) {
      std::uint32_t word = 0;
      for (Index b = 0; j < z.cols && b < kSignWord && g * kSignWord + b < z.rows; ++b) {
        word |= (z.data[(g * kSignWord + b) * z.cols + j] < 0 ? 1U : 0U) << b;
      }
      words[g * hinges + j] = word;
    }
  }
}

__global__ void absolute_float_kernel(FloatMatrix z) {
  for (Index i = first_row(); i < z.rows; i += row_step()) {
    for (Index j = first_col(); j < z.cols; j += col_step()) {
      z.data[i * z.cols + j] = fabsf(z.data[i * z.cols + j]);
    }
  }
}

/// m[i, j] *= S_ij; the words begin at row 0 of m.
__global__ void flip_kernel(const std::uint32_t* words, FloatMatrix m) {
  for (Index i = first_row(); i < m.rows; i += row_step()) {
    for (Index j = first_col(); j < m.cols; j += col_step()) {
      float& value = m.data[i * m.cols + j];
      value = signed_by(value, words[i / kSignWord * m.cols + j], static_cast<int>(i % kSignWord));
    }
  }
}

/// m[i, j] = S_ij q[i].
__global__ void spread_signs_kernel(const std::uint32_t* words, const float* q, FloatMatrix m) {
  for (Index i = first_row(); i < m.rows; i += row_step()) {
    for (Index j = first_col(); j < m.cols; j += col_step()) {
      m.data[i * m.cols + j] =
          signed_by(q[i], words[i / kSignWord * m.cols + j], static_cast<int>(i % kSignWord));
    }
  }
}

/// m[i, :] = (sum of m[i, j] S_ij) squares[i] S_i., for one output; blocks of 32 x kTurnRows.
__global__ void turn_kernel(const std::uint32_t* words, const float* squares, FloatMatrix m) {
  const Index step = static_cast<Index>(gridDim.x) * kTurnRows;
  for (Index i = static_cast<Index>(blockIdx.x) * kTurnRows + threadIdx.y; i < m.rows; i += step) {
    const std::uint32_t* word = words + i / kSignWord * m.cols;
    const int bit = static_cast<int>(i % kSignWord);
    float* row = m.data + i * m.cols;
    float sum = 0;
    for (Index j = threadIdx.x; j < m.cols; j += 32) sum += signed_by(row[j], word[j], bit);
    for (int offset = 16; offset > 0; offset /= 2) {
      sum += __shfl_xor_sync(kTurnLanes, sum, offset);
    }
    if (squares != nullptr) sum *= squares[i];
    for (Index j = threadIdx.x; j < m.cols; j += 32) row[j] = signed_by(sum, word[j], bit);
  }
}

__global__ void scale_float_kernel(const float* factors, FloatMatrix q) {
  for (Index i = first_row(); i < q.rows; i += row_step()) {
    for (Index o = first_col(); o < q.cols; o += col_step()) {
      q.data[i * q.cols + o] *= factors[i * q.cols + o];
    }
  }
}

/// q = scale r, times weights where there are.
__global__ void residual_to_float_kernel(ConstDeviceView r, double scale, const float* weights,
                                         FloatMatrix q) {
  for (Index i = first_row(); i < q.rows; i += row_step()) {
    for (Index o = first_col(); o < q.cols; o += col_step()) {
      const float value = static_cast<float>(scale * r.data[i * r.ld + o]);
      q.data[i * q.cols + o] = weights == nullptr ? value : value * weights[i * q.cols + o];
    }
  }
}

/// out[i, :] = shifts[i] u[i, :] where u counts, else 0; 0 everywhere without shifts.
__global__ void begin_sum_kernel(ConstDeviceView shifts, ConstDeviceView u, Index neurons,
                                 Index inputs1, DeviceView out) {
  for (Index i = first_row(); i < out.rows; i += row_step()) {
    for (Index j = first_col(); j < out.cols; j += col_step()) {
      const bool used = shifts.rows > 0 && (i < neurons || j < inputs1);
      out.data[i * out.ld + j] = used ? shifts.data[i * shifts.ld] * u.data[i * u.ld + j] : 0.0;
    }
  }
}

/// out += a.
__global__ void add_float_kernel(FloatMatrix a, DeviceView out) {
  for (Index i = first_row(); i < a.rows; i += row_step()) {
    for (Index j = first_col(); j < a.cols; j += col_step()) {
      out.data[i * out.ld + j] += a.data[i * a.cols + j];
    }
  }
}

/// out[i, j] = S_ij for the rows of out; the words are `hinges` wide.
__global__ void signs_to_float_kernel(const std::uint32_t* words, Index hinges, FloatMatrix out) {
  for (Index i = first_row(); i < out.rows; i += row_step()) {
    for (Index j = first_col(); j < out.cols; j += col_step()) {
      out.data[i * out.cols + j] =
          signed_by(1.0F, words[i / kSignWord * hinges + j], static_cast<int>(i % kSignWord));
    }
  }
}

}  // namespace crease
