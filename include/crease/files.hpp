// Load and save networks and data: safetensors and npz, told apart by what is in the file, written
// by extension.
#pragma once

#include <crease/matrix.hpp>
#include <crease/network.hpp>
#include <crease/smooth_network.hpp>

#include <map>
#include <string>

namespace crease {

/// A dense array of any rank, as float64, row-major.
struct Tensor {
  std::vector<Index> shape;
  std::vector<double> values;
  std::string type = "float64";  // as it stands in the file it came from; files get float64
};

/// Everything in a file, by name; and the strings of a safetensors header's __metadata__.
struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads .safetensors (F64, F32, F16, BF16; integers and booleans too) or .npz (float64, float32,
/// float16, integers, booleans; either byte order, either memory order). Throws FileError naming
/// the file and what was expected: missing, empty, truncated, absurd lengths, overlaps, holes,
/// unknown types, shapes that do not match their bytes, integers that float64 cannot hold.
TensorFile read_tensors(const std::string& path);

/// Writes float64; the extension .npz or .safetensors decides; .npz has no place for metadata and
/// drops it. The file appears whole or not at all: written beside its place, flushed, renamed.
/// Throws FileError, and then nothing new is at `path`.
void write_tensors(const std::string& path, const TensorFile& file);

/// Any text, as whole or not at all as write_tensors().
void write_text(const std::string& path, const std::string& text);

/// Throws FileError unless a file could be written at `path` now: tries with a temporary beside it,
/// which is removed. For asking before long work.
void require_writable(const std::string& path);

/// The same for write_tensors(): its extension must be one of the two as well.
void require_tensors_writable(const std::string& path);

/// A network under PyTorch's Sequential(Linear, ReLU, Linear) names: 0.weight [k,d], 0.bias [k]
/// (optional), 2.weight [p,k], 2.bias [p] (optional), skip.weight [p,d] (optional). k = 0 is
/// allowed. Throws FileError naming what is missing, misshapen or no part of such a network, on NaN
/// or infinity, and on metadata that name another activation than relu.
///
/// The power stands in the metadata of safetensors ("power", a decimal number) and in .npz as an
/// array `power` of one number; either is read from either, 1 where neither is there. FileError
/// where it is no finite number above 0, where the two differ, and where a network of a power other
/// than 1 has biases, a linear part or a constant that are not 0.
ReluNetwork load_network(const std::string& path);

/// skip.weight is written only where the linear part is not zero, the power only where it is not 1
/// (it comes back bit for bit). Throws FileError as
/// write_tensors() and BadInput as check() do.
void save_network(const std::string& path, const ReluNetwork& network);

/// Whether these are the parts of a smooth network: 0.weight, and activations that are not relu.
bool holds_smooth_network(const TensorFile& file);

/// A smooth network under the names of Sequential(Linear, g, Linear) or Sequential(Linear, g,
/// Linear, h, Linear): 0.weight [m, d], 2.weight, 4.weight, their biases and skip.weight [p, d]
/// optional. The activations, one a hidden layer, stand in the metadata of safetensors
/// ("activation": "tanh", "tanh,sigmoid", ...) and in .npz as an array `activation` of codes: 1
/// tanh, 2 sigmoid, 3 softplus, 4 gelu, 5 sin, 6 erf; either is read from either. Throws FileError
/// as the other does, where the two differ, and on a `power` in the metadata.
SmoothNetwork load_smooth_network(const std::string& path);

/// Throws FileError as write_tensors() and BadInput as check() do.
void save_network(const std::string& path, const SmoothNetwork& network);

/// One matrix by name ([n, d], or [n] read as [n, 1]). FileError where it is not there, or not
/// finite.
HostMatrix load_matrix(const std::string& path, const std::string& name);
void save_matrix(const std::string& path, const std::string& name, ConstHostView matrix);

}  // namespace crease
