// A strict parser of the one Python dictionary an .npy header holds.
#include "src/files/npy.hpp"

#include <charconv>
#include <map>

namespace crease {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kAlignment = 64;

/// Walks the text; every take_ function skips blanks first.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool take(char wanted) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  void need(char wanted) {
    if (!take(wanted)) refuse(std::string("expected ") + wanted);
  }

  std::string take_string() {
    skip_blanks();
    if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) {
      refuse("expected a quoted name (structured types are not read)");
    }
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) refuse("a quote is not closed");
    std::string taken(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return taken;
  }

  bool take_truth() {
    skip_blanks();
    for (const auto& [word, value] :
         {std::pair(std::string_view("True"), true), {"False", false}}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    }
    refuse("expected True or False");
  }

  Index take_size() {
    skip_blanks();
    Index value = 0;
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc{} || value < 0) refuse("expected a size");
    at_ += static_cast<std::size_t>(end - begin);
    return value;
  }

  std::vector<Index> take_tuple() {
    std::vector<Index> sizes;
    need('(');
    while (!take(')')) {
      sizes.push_back(take_size());
      if (take(',')) continue;
      need(')');
      if (sizes.size() == 1) refuse("expected a tuple of sizes");  // (3) is a number, (3,) a tuple
      break;
    }
    return sizes;
  }

  bool at_end() {
    skip_blanks();
    return at_ == text_.size();
  }

  [[noreturn]] static void refuse(const std::string& what) {
    throw FileError("bad .npy header: " + what);
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void set_type(const std::string& descr, NpyHeader& header) {
  static const std::map<std::string, Element> kTypes = {
      {"f8", Element::f64}, {"f4", Element::f32}, {"f2", Element::f16}, {"i8", Element::i64},
      {"i4", Element::i32}, {"i2", Element::i16}, {"i1", Element::i8},  {"u8", Element::u64},
      {"u4", Element::u32}, {"u2", Element::u16}, {"u1", Element::u8},  {"b1", Element::boolean}};
  const bool has_order =
      !descr.empty() && std::string_view("<>=|").find(descr[0]) != std::string_view::npos;
  const auto found = kTypes.find(has_order ? descr.substr(1) : "");
  // | says that bytes have no order: only for one byte.
  if (found == kTypes.end() || (descr[0] == '|' && size_of(found->second) > 1)) {
    throw FileError("the type \"" + descr +
                    "\" is not read; expected float64, float32, float16, an integer type or bool");
  }
  header.element = found->second;
  header.swapped = descr[0] == '>';
}

}  // namespace

std::size_t parse_npy_start(std::string_view first_bytes, std::size_t& length) {
  if (first_bytes.size() < 10 || first_bytes.substr(0, kMagic.size()) != kMagic) {
    throw FileError("it is not an .npy array");
  }
  const auto byte = [&](std::size_t i) {
    return std::size_t{static_cast<unsigned char>(first_bytes[i])};
  };
  if (byte(6) == 1) {
    length = byte(8) | byte(9) << 8;
    return 10;
  }
  if ((byte(6) != 2 && byte(6) != 3) || first_bytes.size() < 12) {
    throw FileError("its .npy version is " + std::to_string(byte(6)) + "; expected 1, 2 or 3");
  }
  length = byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  return 12;
}

NpyHeader parse_npy_header(std::string_view text) {
  NpyHeader header;
  bool has_type = false;
  bool has_order = false;
  bool has_shape = false;
  Reader reader(text);
  reader.need('{');
  while (!reader.take('}')) {
    const std::string key = reader.take_string();
    reader.need(':');
    bool* had = key == "descr"           ? &has_type
                : key == "fortran_order" ? &has_order
                : key == "shape"         ? &has_shape
                                         : nullptr;
    if (had == nullptr || *had)
      Reader::refuse("expected descr, fortran_order and shape, once each");
    *had = true;
    if (key == "descr") set_type(reader.take_string(), header);
    if (key == "fortran_order") header.fortran_order = reader.take_truth();
    if (key == "shape") header.shape = reader.take_tuple();
    if (!reader.take(',')) {
      reader.need('}');
      break;
    }
  }
  if (!reader.at_end()) Reader::refuse("something follows the dictionary");
  if (!has_type || !has_order || !has_shape) {
    Reader::refuse("expected descr, fortran_order and shape, once each");
  }
  return header;
}

std::string make_npy_header(const std::vector<Index>& shape) {
  std::string text = "{'descr': '<f8', 'fortran_order': False, 'shape': (";
  for (const Index size : shape) text.append(std::to_string(size)).append(", ");
  if (!shape.empty()) text.resize(text.size() - (shape.size() > 1 ? 2 : 1));  // (), (3,), (3, 4)
  text += "), }";
  constexpr std::size_t kStart = 10;
  const std::size_t total = (kStart + text.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  text.resize(total - kStart - 1, ' ');
  text += '\n';
  if (text.size() > 0xffff) throw FileError("an array has too many dimensions for .npy");
  std::string start(kMagic);
  start +=
      {'\x01', '\x00', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return start + text;
}

}  // namespace crease
