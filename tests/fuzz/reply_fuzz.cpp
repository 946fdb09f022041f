// Any bytes as the reply of a program that is a black box, in pieces: sizes, piece, then the bytes.
#include <algorithm>
#include <cstring>

#include "src/oracles/framing.hpp"
#include "tests/fuzz/fuzzed_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const crease::Index n = 1 + data[0] % 8;
  const crease::Index p = 1 + data[1] % 4;
  const std::size_t piece = 1 + data[2] % 64;
  const std::span<const char> bytes(reinterpret_cast<const char*>(data) + 3, size - 3);
  crease::HostMatrix y(n, p);
  crease::Reply reply(y);
  const auto expected = static_cast<std::size_t>(reply.expected_bytes());
  const auto head = crease::frame_head(n, p);
  const bool right_head =
      bytes.size() >= head.size() && std::equal(head.begin(), head.end(), bytes.begin());
  bool refused = false;
  try {
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reply.take(bytes.subspan(at, std::min(piece, bytes.size() - at)));
    }
  } catch (const crease::OracleError& error) {
    refused = true;
    crease::fuzz::promise(std::strchr(error.what(), '\n') == nullptr, "a message is one line");
  }
  const bool is_reply = right_head && bytes.size() == expected;
  crease::fuzz::promise(is_reply == (reply.whole() && !refused),
                        "whole, and nothing else, is taken");
  crease::fuzz::promise(refused || bytes.size() < head.size() || right_head,
                        "another head is refused");
  crease::fuzz::promise(
      refused == (bytes.size() >= head.size() && (!right_head || bytes.size() > expected)),
      "nothing else is refused");
  if (is_reply) {
    crease::fuzz::promise(
        std::memcmp(y.data(), bytes.data() + head.size(), bytes.size() - head.size()) == 0,
        "every answer is in its place");
  }
  return 0;
}
