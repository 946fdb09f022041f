// safetensors: eight bytes of header length, a JSON header, the numbers.
#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "src/files/element.hpp"
#include "src/files/formats.hpp"
#include "src/files/tensor_stream.hpp"

namespace crease {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kLongestHeader = 100'000'000;  // the format's own limit
constexpr const char* kMetadata = "__metadata__";

struct Entry {
  std::string name;
  Element element;
  std::vector<Index> shape;
  std::uint64_t begin;  // after the header
  std::uint64_t end;
};

[[noreturn]] void refuse(const InputFile& file, const std::string& what) {
  throw FileError(file.path() + " is not a good safetensors file: " + what);
}

/// Parses the header; refuses what JSON allows and the format does not: names that come twice, and
/// nesting deeper than a list in a tensor's entry.
Json parse_header(const InputFile& file, const std::string& text) {
  std::vector<std::set<std::string>> names;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > 3) refuse(file, "the header is nested too deeply");
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key &&
        !names.back().insert(value.get<std::string>()).second) {
      refuse(file, "the name \"" + value.get<std::string>() + "\" comes twice in the header");
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    refuse(file, "the header is not JSON from its byte " + std::to_string(error.byte));
  } catch (const Json::out_of_range&) {
    refuse(file, "the header holds a number that is beyond all numbers");
  }
}

Element element_of(const InputFile& file, const std::string& name, const std::string& type) {
  static const std::map<std::string, Element> kTypes = {
      {"F64", Element::f64},     {"F32", Element::f32}, {"F16", Element::f16},
      {"BF16", Element::bf16},   {"I64", Element::i64}, {"I32", Element::i32},
      {"I16", Element::i16},     {"I8", Element::i8},   {"U64", Element::u64},
      {"U32", Element::u32},     {"U16", Element::u16}, {"U8", Element::u8},
      {"BOOL", Element::boolean}};
  const auto found = kTypes.find(type);
  if (found == kTypes.end()) {
    refuse(file, "tensor \"" + name + "\" has the type \"" + type +
                     "\"; expected F64, F32, F16, BF16, an integer type or BOOL");
  }
  return found->second;
}

Entry parse_entry(const InputFile& file, const std::string& name, const Json& json) {
  const auto bad = [&](const std::string& what) {
    refuse(file, "tensor \"" + name + "\": " + what);
  };
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets") || json.size() != 3) {
    bad("expected exactly dtype, shape and data_offsets");
  }
  const Json& type = json["dtype"];
  const Json& shape = json["shape"];
  const Json& offsets = json["data_offsets"];
  const auto is_size = [](const Json& value) {
    return value.is_number_unsigned() && value.get<std::uint64_t>() <= std::uint64_t{1} << 62;
  };
  if (!type.is_string()) bad("dtype must be a string");
  if (!shape.is_array() || !std::all_of(shape.begin(), shape.end(), is_size)) {
    bad("shape must be a list of sizes");
  }
  if (!offsets.is_array() || offsets.size() != 2 ||
      !std::all_of(offsets.begin(), offsets.end(), is_size)) {
    bad("data_offsets must be a beginning and an end");
  }
  Entry entry{name, element_of(file, name, type.get<std::string>()),
              shape.get<std::vector<Index>>(), offsets[0].get<std::uint64_t>(),
              offsets[1].get<std::uint64_t>()};
  const Index count = count_of(entry.shape, size_of(entry.element));
  if (count < 0) bad("the shape is too large to be true");
  if (entry.begin > entry.end ||
      entry.end - entry.begin != static_cast<std::uint64_t>(count) * size_of(entry.element)) {
    bad("the shape takes " + std::to_string(count * static_cast<Index>(size_of(entry.element))) +
        " bytes, data_offsets give " +
        (entry.begin > entry.end ? "less than none" : std::to_string(entry.end - entry.begin)));
  }
  return entry;
}

/// In the order of their bytes, which must fill the rest of the file without overlap or hole.
std::vector<Entry> parse_entries(const InputFile& file, const Json& header, std::uint64_t bytes) {
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name != kMetadata) entries.push_back(parse_entry(file, name, json));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t end = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != end) {
      refuse(file, "tensor \"" + entry.name + "\" begins at byte " + std::to_string(entry.begin) +
                       " of the data; expected " + std::to_string(end) +
                       ", the end of the one before");
    }
    end = entry.end;
  }
  if (end != bytes) {
    refuse(file, "the header describes " + std::to_string(end) + " bytes of data, the file has " +
                     std::to_string(bytes));
  }
  return entries;
}

std::map<std::string, std::string> parse_metadata(const InputFile& file, const Json& header) {
  std::map<std::string, std::string> metadata;
  if (!header.contains(kMetadata)) return metadata;
  const Json& json = header[kMetadata];
  if (!json.is_object()) refuse(file, "__metadata__ must be an object of strings");
  for (const auto& [name, value] : json.items()) {
    if (!value.is_string()) refuse(file, "__metadata__ must hold strings only");
    metadata[name] = value.get<std::string>();
  }
  return metadata;
}

class SafetensorsStream final : public TensorStream {
 public:
  /// `data`: where the numbers of the file begin.
  SafetensorsStream(const InputFile& file, Entry entry, std::uint64_t data)
      : file_(file), entry_(std::move(entry)), data_(data) {
    shape_ = entry_.shape;
    type_ = name_of(entry_.element);
    rewind();
  }

  void read(Index count, std::vector<double>& values) override {
    require(count >= 0 && count <= left_, "TensorStream: so many numbers are not left");
    constexpr Index kNumbersAtOnce = 1 << 17;
    const std::size_t each = size_of(entry_.element);
    while (count > 0) {
      const auto numbers = static_cast<std::size_t>(std::min(kNumbersAtOnce, count));
      bytes_.resize(numbers * each);
      const std::uint64_t before =
          (entry_.end - entry_.begin) / each - static_cast<std::uint64_t>(left_);
      file_.read(data_ + entry_.begin + before * each, bytes_.data(), bytes_.size());
      try {
        append_numbers(entry_.element, false, bytes_.data(), numbers, values);
      } catch (const FileError& error) {
        refuse(file_, "tensor \"" + entry_.name + "\": " + error.what());
      }
      left_ -= static_cast<Index>(numbers);
      count -= static_cast<Index>(numbers);
    }
  }

  void rewind() override {
    left_ = static_cast<Index>((entry_.end - entry_.begin) / size_of(entry_.element));
  }

 private:
  const InputFile& file_;
  Entry entry_;
  std::uint64_t data_;
  std::vector<unsigned char> bytes_;
};

/// All that is in a file but its numbers.
struct Contents {
  std::map<std::string, std::string> metadata;
  std::vector<Entry> entries;
  std::uint64_t data = 0;  // where the numbers begin
};

Contents read_contents(const InputFile& file) {
  if (file.size() < kLengthBytes) {
    refuse(file, "expected at least 8 bytes, found " + std::to_string(file.size()));
  }
  std::uint64_t length = 0;
  file.read(0, &length, kLengthBytes);
  if (length > kLongestHeader || length > file.size() - kLengthBytes) {
    refuse(file, "its first 8 bytes ask for a header of " + std::to_string(length) +
                     " bytes, the file has " + std::to_string(file.size()));
  }
  std::string text(length, ' ');
  file.read(kLengthBytes, text.data(), length);
  if (text.empty() || text[0] != '{') refuse(file, "the header must begin with {");
  const Json header = parse_header(file, text);
  if (!header.is_object()) refuse(file, "the header must be a JSON object");

  Contents contents;
  contents.metadata = parse_metadata(file, header);
  contents.data = kLengthBytes + length;
  contents.entries = parse_entries(file, header, file.size() - contents.data);
  return contents;
}

}  // namespace

TensorFile read_safetensors(const InputFile& file) {
  Contents contents = read_contents(file);
  TensorFile result;
  result.metadata = std::move(contents.metadata);
  for (const Entry& entry : contents.entries) {
    SafetensorsStream stream(file, entry, contents.data);
    result.tensors[entry.name] = rest_of(stream);
  }
  return result;
}

std::unique_ptr<TensorStream> open_safetensors_tensor(const InputFile& file,
                                                      const std::string& name) {
  Contents contents = read_contents(file);
  for (Entry& entry : contents.entries) {
    if (entry.name != name) continue;
    return std::make_unique<SafetensorsStream>(file, std::move(entry), contents.data);
  }
  return nullptr;
}

void write_safetensors_header(
    AtomicFile& to, const std::map<std::string, std::string>& metadata,
    const std::vector<std::pair<std::string, std::vector<Index>>>& tensors) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::uint64_t end = 0;
  for (const auto& [name, shape] : tensors) {
    if (name == kMetadata) throw FileError("a tensor must not be called __metadata__");
    const std::uint64_t begin = end;
    end += static_cast<std::uint64_t>(count_of(shape, sizeof(double))) * sizeof(double);
    header[name] = {{"dtype", "F64"}, {"shape", shape}, {"data_offsets", {begin, end}}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    throw FileError("names and metadata of a safetensors file must be UTF-8");
  }
  text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  const std::uint64_t length = text.size();
  to.write(&length, kLengthBytes);
  to.write(text.data(), text.size());
}

void write_safetensors(AtomicFile& to, const TensorFile& file) {
  std::vector<std::pair<std::string, std::vector<Index>>> tensors;
  for (const auto& [name, tensor] : file.tensors) tensors.emplace_back(name, tensor.shape);
  write_safetensors_header(to, file.metadata, tensors);
  for (const auto& [name, tensor] : file.tensors) {
    to.write(tensor.values.data(), tensor.values.size() * sizeof(double));
  }
}

}  // namespace crease
