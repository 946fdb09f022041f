// npz: a zip archive of .npy arrays, by libzip.
#include <zip.h>

#include <algorithm>
#include <memory>

#include "src/files/formats.hpp"
#include "src/files/npy.hpp"

namespace crease {
namespace {

struct DiscardArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseMember {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
struct FreeSource {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Archive = std::unique_ptr<zip_t, DiscardArchive>;
using Member = std::unique_ptr<zip_file_t, CloseMember>;
using Source = std::unique_ptr<zip_source_t, FreeSource>;

constexpr std::string_view kSuffix = ".npy";
// No deflate stream grows by more: 258 bytes from 2 bits, source: RFC 1951.
constexpr zip_uint64_t kMostGrowth = 1032;

[[noreturn]] void refuse(const InputFile& file, const std::string& what) {
  throw FileError(file.path() + " is not a good npz file: " + what);
}

/// What there is to know about a member before one byte of it is unpacked.
zip_stat_t describe(const InputFile& file, zip_t* archive, zip_uint64_t index) {
  zip_stat_t about;
  zip_stat_init(&about);
  constexpr zip_uint64_t kNeeded =
      ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  if (zip_stat_index(archive, index, 0, &about) != 0 || (about.valid & kNeeded) != kNeeded) {
    refuse(file, "member " + std::to_string(index) + " is not described");
  }
  const std::string name = about.name;
  if ((about.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && about.encryption_method != ZIP_EM_NONE) {
    refuse(file, name + " is encrypted");
  }
  if (about.comp_method != ZIP_CM_STORE && about.comp_method != ZIP_CM_DEFLATE) {
    refuse(file, name + " is packed by method " + std::to_string(about.comp_method) +
                     "; expected stored or deflated");
  }
  const zip_uint64_t most =
      about.comp_method == ZIP_CM_STORE ? about.comp_size : kMostGrowth * about.comp_size;
  if (about.comp_size > file.size() || about.size > most) {
    refuse(file, name + " claims " + std::to_string(about.size) + " bytes from " +
                     std::to_string(about.comp_size) + " in a file of " +
                     std::to_string(file.size()));
  }
  return about;
}

/// All of `bytes`, or FileError; the checksum is compared at the member's end.
void read_exactly(zip_file_t* member, void* data, std::size_t bytes) {
  char* next = static_cast<char*>(data);
  while (bytes > 0) {
    const zip_int64_t got = zip_fread(member, next, bytes);
    if (got < 0) throw FileError(zip_file_strerror(member));
    if (got == 0) throw FileError("it ends too early");
    next += got;
    bytes -= static_cast<std::size_t>(got);
  }
}

/// From Fortran to C order.
std::vector<double> reordered(const std::vector<double>& values, const std::vector<Index>& shape) {
  std::vector<double> result(values.size());
  if (values.empty()) return result;  // the other sizes of an empty shape may be anything
  std::vector<Index> stride(shape.size(), 1);
  for (std::size_t axis = shape.size(); axis-- > 1;) {
    stride[axis - 1] = stride[axis] * shape[axis];
  }
  std::vector<Index> position(shape.size(), 0);
  Index to = 0;
  for (const double value : values) {
    result[static_cast<std::size_t>(to)] = value;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      to += stride[axis];
      if (++position[axis] < shape[axis]) break;
      to -= stride[axis] * shape[axis];
      position[axis] = 0;
    }
  }
  return result;
}

Tensor read_array(zip_file_t* member, zip_uint64_t size) {
  std::string start(std::min<zip_uint64_t>(size, 12), '\0');
  read_exactly(member, start.data(), start.size());
  std::size_t length = 0;
  const std::size_t before = parse_npy_start(start, length);
  if (length > size - before) throw FileError("its .npy header is longer than the array");
  std::string text = start.substr(before);  // version 1 begins within the first 12 bytes
  if (text.size() > length) throw FileError("its .npy header is too short");
  const std::size_t had = text.size();
  text.resize(length);
  read_exactly(member, text.data() + had, length - had);
  const NpyHeader header = parse_npy_header(text);

  const std::size_t each = size_of(header.element);
  const Index count = count_of(header.shape, each);
  const zip_uint64_t data = size - before - length;
  if (count < 0 || static_cast<zip_uint64_t>(count) * each != data) {
    throw FileError("its shape does not match its " + std::to_string(data) + " bytes");
  }
  Tensor tensor{header.shape, {}, std::string(name_of(header.element))};
  constexpr std::size_t kNumbersAtOnce = 1 << 17;
  std::vector<unsigned char> bytes;
  for (std::size_t left = static_cast<std::size_t>(count); left > 0;) {
    const std::size_t numbers = std::min(kNumbersAtOnce, left);
    bytes.resize(numbers * each);
    read_exactly(member, bytes.data(), bytes.size());
    append_numbers(header.element, header.swapped, bytes.data(), numbers, tensor.values);
    left -= numbers;
  }
  char beyond;
  const zip_int64_t more = zip_fread(member, &beyond, 1);
  if (more < 0) throw FileError(zip_file_strerror(member));
  if (more > 0) throw FileError("it is longer than it says");
  if (header.fortran_order) tensor.values = reordered(tensor.values, header.shape);
  return tensor;
}

}  // namespace

TensorFile read_npz(const InputFile& file) {
  int code = 0;
  const Archive archive(zip_open(file.path().c_str(), ZIP_RDONLY, &code));
  if (!archive) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string text = zip_error_strerror(&error);
    zip_error_fini(&error);
    refuse(file, text);
  }
  TensorFile result;
  const zip_int64_t members = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t i = 0; i < members; ++i) {
    const auto index = static_cast<zip_uint64_t>(i);
    const zip_stat_t about = describe(file, archive.get(), index);
    std::string name = about.name;
    if (!name.ends_with(kSuffix)) refuse(file, "\"" + name + "\" is not an .npy array");
    name.resize(name.size() - kSuffix.size());
    if (result.tensors.contains(name)) refuse(file, "\"" + name + "\" comes twice");
    const Member member(zip_fopen_index(archive.get(), index, 0));
    if (!member) refuse(file, "\"" + name + "\": " + zip_strerror(archive.get()));
    try {
      result.tensors[name] = read_array(member.get(), about.size);
    } catch (const FileError& error) {
      refuse(file, "\"" + name + "\": " + error.what());
    }
  }
  return result;
}

void write_npz(AtomicFile& to, const TensorFile& file) {
  if (file.tensors.empty()) throw FileError("cannot make an npz file without arrays");
  // In memory first: libzip would put its own temporary in place, without flushing it.
  const Source buffer(zip_source_buffer_create(nullptr, 0, 0, nullptr));
  if (!buffer) throw FileError("cannot make an npz file: libzip refused");
  std::vector<std::string> headers;  // libzip reads them at zip_close
  headers.reserve(file.tensors.size());
  Archive archive(zip_open_from_source(buffer.get(), ZIP_TRUNCATE, nullptr));
  if (!archive) throw FileError("cannot make an npz file: libzip refused");
  zip_source_keep(buffer.get());  // one reference for the archive, one for reading back
  const auto need = [&](bool ok) {
    if (!ok)
      throw FileError(std::string("cannot make an npz file: ") + zip_strerror(archive.get()));
  };
  for (const auto& [name, tensor] : file.tensors) {
    headers.push_back(make_npy_header(tensor.shape));
    // libzip only reads; its type has no const.
    auto* numbers = reinterpret_cast<zip_uint8_t*>(const_cast<double*>(tensor.values.data()));
    auto* header = reinterpret_cast<zip_uint8_t*>(headers.back().data());
    const zip_buffer_fragment_t parts[] = {{header, headers.back().size()},
                                           {numbers, tensor.values.size() * sizeof(double)}};
    Source member(zip_source_buffer_fragment(archive.get(), parts, 2, 0));
    need(member != nullptr);
    const zip_int64_t index = zip_file_add(archive.get(), (name + std::string(kSuffix)).c_str(),
                                           member.get(), ZIP_FL_ENC_UTF_8);
    need(index >= 0);
    member.release();
    const auto at = static_cast<zip_uint64_t>(index);
    need(zip_set_file_compression(archive.get(), at, ZIP_CM_STORE, 0) == 0);
    // 1 January 1980, the first day of zip: the same numbers make the same file.
    need(zip_file_set_dostime(archive.get(), at, 0, 0x21, 0) == 0);
  }
  need(zip_close(archive.get()) == 0);
  archive.release();

  if (zip_source_open(buffer.get()) != 0) {
    throw FileError("cannot make an npz file: libzip gives nothing back");
  }
  std::vector<char> chunk(1 << 20);
  zip_int64_t got = 0;
  while ((got = zip_source_read(buffer.get(), chunk.data(), chunk.size())) > 0) {
    to.write(chunk.data(), static_cast<std::size_t>(got));
  }
  zip_source_close(buffer.get());
  if (got < 0) throw FileError("cannot make an npz file: libzip gives nothing back");
}

}  // namespace crease
