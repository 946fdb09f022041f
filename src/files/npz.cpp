// npz: a zip archive of .npy arrays, by libzip.
#include <zip.h>

#include <algorithm>
#include <map>
#include <memory>

#include "src/files/formats.hpp"
#include "src/files/npy.hpp"
#include "src/files/tensor_stream.hpp"

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

/// One member of an archive.
class NpzStream final : public TensorStream {
 public:
  NpzStream(const InputFile& file, std::shared_ptr<zip_t> archive, zip_uint64_t index,
            std::string name)
      : file_(file), archive_(std::move(archive)), index_(index), name_(std::move(name)) {
    size_ = describe(file, archive_.get(), index).size;
    rewind();
  }

  void read(Index count, std::vector<double>& values) override {
    require(count >= 0 && count <= left_, "TensorStream: so many numbers are not left");
    guarded([&] {
      if (header_.fortran_order) {
        read_reordered();
        const auto first = ordered_.end() - static_cast<std::ptrdiff_t>(left_);
        values.insert(values.end(), first, first + static_cast<std::ptrdiff_t>(count));
        left_ -= count;
      } else {
        read_on(count, values);
      }
    });
  }

  void rewind() override {
    guarded([&] {
      member_.reset(zip_fopen_index(archive_.get(), index_, 0));
      if (!member_) throw FileError(zip_strerror(archive_.get()));
      read_header();
      if (left_ == 0) check_end();
    });
  }

 private:
  template <class Work>
  void guarded(Work work) {
    try {
      work();
    } catch (const FileError& error) {
      refuse(file_, "\"" + name_ + "\": " + error.what());
    }
  }

  void read_header() {
    std::string start(std::min<zip_uint64_t>(size_, 12), '\0');
    read_exactly(member_.get(), start.data(), start.size());
    std::size_t length = 0;
    const std::size_t before = parse_npy_start(start, length);
    if (length > size_ - before) throw FileError("its .npy header is longer than the array");
    std::string text = start.substr(before);  // version 1 begins within the first 12 bytes
    if (text.size() > length) throw FileError("its .npy header is too short");
    const std::size_t had = text.size();
    text.resize(length);
    read_exactly(member_.get(), text.data() + had, length - had);
    header_ = parse_npy_header(text);

    const std::size_t each = size_of(header_.element);
    left_ = count_of(header_.shape, each);
    const zip_uint64_t data = size_ - before - length;
    if (left_ < 0 || static_cast<zip_uint64_t>(left_) * each != data) {
      throw FileError("its shape does not match its " + std::to_string(data) + " bytes");
    }
    shape_ = header_.shape;
    type_ = name_of(header_.element);
  }

  void read_on(Index count, std::vector<double>& values) {
    constexpr Index kNumbersAtOnce = 1 << 17;
    while (count > 0) {
      const auto numbers = static_cast<std::size_t>(std::min(kNumbersAtOnce, count));
      bytes_.resize(numbers * size_of(header_.element));
      read_exactly(member_.get(), bytes_.data(), bytes_.size());
      append_numbers(header_.element, header_.swapped, bytes_.data(), numbers, values);
      left_ -= static_cast<Index>(numbers);
      count -= static_cast<Index>(numbers);
      if (left_ == 0) check_end();
    }
  }

  void check_end() {
    char beyond;
    const zip_int64_t more = zip_fread(member_.get(), &beyond, 1);
    if (more < 0) throw FileError(zip_file_strerror(member_.get()));
    if (more > 0) throw FileError("it is longer than it says");
  }

  /// The rows of an array whose columns are stored are all over it.
  void read_reordered() {
    const Index all = left_;
    if (all == 0 || static_cast<Index>(ordered_.size()) >= all) return;
    std::vector<double> values;
    read_on(all, values);
    ordered_ = reordered(values, header_.shape);
    left_ = all;
  }

  const InputFile& file_;
  std::shared_ptr<zip_t> archive_;
  zip_uint64_t index_;
  std::string name_;
  zip_uint64_t size_ = 0;
  Member member_;
  NpyHeader header_;
  std::vector<unsigned char> bytes_;
  std::vector<double> ordered_;  // of an array in Fortran order
};

std::shared_ptr<zip_t> open_archive(const InputFile& file) {
  int code = 0;
  Archive archive(zip_open(file.path().c_str(), ZIP_RDONLY, &code));
  if (!archive) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string text = zip_error_strerror(&error);
    zip_error_fini(&error);
    refuse(file, text);
  }
  return archive;
}

/// Arrays and their places, each name once.
std::map<std::string, zip_uint64_t> arrays_of(const InputFile& file, zip_t* archive) {
  std::map<std::string, zip_uint64_t> arrays;
  const zip_int64_t members = zip_get_num_entries(archive, 0);
  for (zip_int64_t i = 0; i < members; ++i) {
    const auto index = static_cast<zip_uint64_t>(i);
    std::string name = describe(file, archive, index).name;
    if (!name.ends_with(kSuffix)) refuse(file, "\"" + name + "\" is not an .npy array");
    name.resize(name.size() - kSuffix.size());
    if (!arrays.emplace(name, index).second) refuse(file, "\"" + name + "\" comes twice");
  }
  return arrays;
}

}  // namespace

TensorFile read_npz(const InputFile& file) {
  const std::shared_ptr<zip_t> archive = open_archive(file);
  TensorFile result;
  for (const auto& [name, index] : arrays_of(file, archive.get())) {
    NpzStream stream(file, archive, index, name);
    result.tensors[name] = rest_of(stream);
  }
  return result;
}

std::unique_ptr<TensorStream> open_npz_array(const InputFile& file, const std::string& name) {
  const std::shared_ptr<zip_t> archive = open_archive(file);
  const std::map<std::string, zip_uint64_t> arrays = arrays_of(file, archive.get());
  const auto found = arrays.find(name);
  if (found == arrays.end()) return nullptr;
  return std::make_unique<NpzStream>(file, archive, found->second, name);
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
