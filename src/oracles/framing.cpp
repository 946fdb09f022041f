// Framing and its checks; no process is needed for them.
#include "src/oracles/framing.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

namespace crease {

static_assert(std::endian::native == std::endian::little, "frames go out in their byte order");

namespace {

constexpr Index kHead = 16;

Index number_at(const std::array<char, 16>& head, std::size_t place) {
  Index number = 0;
  std::memcpy(&number, head.data() + place, sizeof number);
  return number;
}

std::string shape_text(Index n, Index p) {
  return "n = " + std::to_string(n) + " and p = " + std::to_string(p);
}

bool is_text(char c) {
  return c >= ' ' && c <= '~';
}

}  // namespace

std::array<char, 16> frame_head(Index rows, Index cols) {
  std::array<char, 16> head{};
  std::memcpy(head.data(), &rows, sizeof rows);
  std::memcpy(head.data() + sizeof rows, &cols, sizeof cols);
  return head;
}

std::string printable(std::string_view text, std::size_t most) {
  std::string line(text.substr(0, most));
  for (char& c : line) {
    if (!is_text(c)) c = '.';
  }
  return line;
}

Reply::Reply(HostView y)
    : y_(y), expected_(kHead + y.rows * y.cols * static_cast<Index>(sizeof(double))) {
  require(y.ld == y.cols, "Reply: the rows of y must follow each other");
}

void Reply::check_head() const {
  const Index n = number_at(head_, 0);
  const Index p = number_at(head_, 8);
  if (n == y_.rows && p == y_.cols) return;
  std::string message =
      "expected a reply with " + shape_text(y_.rows, y_.cols) + ", came " + shape_text(n, p);
  // A program that prints something else than replies is likely to print text.
  const auto printed = std::count_if(head_.begin(), head_.end(), is_text);
  if (printed >= 8) {
    message +=
        ": bytes that read \"" + printable({head_.data(), head_.size()}, head_.size()) + "\"";
  }
  throw OracleError(message);
}

void Reply::take(std::span<const char> bytes) {
  if (got_ < kHead && !bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), static_cast<std::size_t>(kHead - got_)));
    std::memcpy(head_.data() + got_, part.data(), part.size());
    got_ += static_cast<Index>(part.size());
    bytes = bytes.subspan(part.size());
    if (got_ == kHead) check_head();
  }
  const auto part = bytes.first(std::min(bytes.size(), static_cast<std::size_t>(expected_ - got_)));
  if (!part.empty()) {
    std::memcpy(reinterpret_cast<char*>(y_.data) + (got_ - kHead), part.data(), part.size());
    got_ += static_cast<Index>(part.size());
  }
  if (part.size() < bytes.size()) {
    throw OracleError("expected nothing after a reply of " + std::to_string(expected_) +
                      " bytes, came " + std::to_string(bytes.size() - part.size()) +
                      " bytes or more");
  }
}

}  // namespace crease
