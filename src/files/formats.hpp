// One reader and one writer per file format; tensor_file.cpp chooses.
#pragma once

#include <crease/files.hpp>

#include "src/files/atomic_file.hpp"
#include "src/files/input_file.hpp"

namespace crease {

/// Source: the format page of github.com/huggingface/safetensors.
TensorFile read_safetensors(const InputFile& file);
void write_safetensors(AtomicFile& to, const TensorFile& file);

/// What stands before the numbers of a file of float64 tensors, which follow in the order given.
void write_safetensors_header(
    AtomicFile& to, const std::map<std::string, std::string>& metadata,
    const std::vector<std::pair<std::string, std::vector<Index>>>& tensors);

/// A zip archive of .npy arrays. Source: numpy.lib.format, "Format Specification: .npy".
TensorFile read_npz(const InputFile& file);
void write_npz(AtomicFile& to, const TensorFile& file);

}  // namespace crease
