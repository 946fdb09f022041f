// Frames of the process protocol.
#include "src/oracles/framing.hpp"

#include <gmock/gmock.h>

#include <cstring>
#include <vector>

#include "tests/support/near.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;

std::vector<char> frame(Index n, Index p, const std::vector<double>& y) {
  const std::array<char, 16> head = frame_head(n, p);
  const std::size_t numbers = y.size() * sizeof(double);
  std::vector<char> bytes(head.size() + numbers);
  std::memcpy(bytes.data(), head.data(), head.size());
  std::memcpy(bytes.data() + head.size(), y.data(), numbers);
  return bytes;
}

/// What taking these bytes in pieces of so many throws.
std::string refusal(const std::vector<char>& bytes, std::size_t piece, Index n, Index p) {
  HostMatrix y(n, p);
  Reply reply(y);
  try {
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reply.take(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    }
  } catch (const OracleError& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(FramingTest, AHeadIsTwoLittleEndianNumbers) {
  const std::array<char, 16> head = frame_head(0x0102, 3);
  EXPECT_THAT(head, ::testing::ElementsAre(2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0));
}

TEST(FramingTest, AReplyMayComeInPiecesOfAnySize) {
  const std::vector<char> bytes = frame(2, 3, {1, 2, 3, 4, 5, -0.5});
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    HostMatrix y(2, 3);
    Reply reply(y);
    EXPECT_EQ(reply.expected_bytes(), 16 + 6 * 8);
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      EXPECT_FALSE(reply.whole());
      reply.take(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    }
    EXPECT_TRUE(reply.whole());
    EXPECT_TRUE(same_bits(y, {{1, 2, 3}, {4, 5, -0.5}}));
  }
}

TEST(FramingTest, AnotherShapeIsRefusedByBothNumbers) {
  constexpr Index kHuge = Index{1} << 62;
  for (const auto& [n, p] : {std::pair<Index, Index>{2, 3}, {1, 2}, {2, 0}, {-2, 2}, {kHuge, 2}}) {
    for (const std::size_t piece : {1, 5, 16, 1000}) {
      EXPECT_EQ(refusal(frame(n, p, {1, 2, 3, 4}), piece, 2, 2),
                "expected a reply with n = 2 and p = 2, came n = " + std::to_string(n) +
                    " and p = " + std::to_string(p));
    }
  }
}

TEST(FramingTest, TextInPlaceOfAReplyIsQuoted) {
  const std::string text = "Loading\nthe model...";
  EXPECT_THAT(refusal({text.begin(), text.end()}, 7, 2, 2),
              HasSubstr("bytes that read \"Loading.the mode\""));
}

TEST(FramingTest, WhatFollowsAReplyIsRefused) {
  std::vector<char> bytes = frame(1, 1, {7});
  for (const char c : {'a', 'b'}) bytes.push_back(c);
  EXPECT_EQ(refusal(bytes, 1000, 1, 1),
            "expected nothing after a reply of 24 bytes, came 2 bytes or more");
  EXPECT_EQ(refusal(bytes, 1, 1, 1),
            "expected nothing after a reply of 24 bytes, came 1 bytes or more");
}

TEST(FramingTest, TextForAMessageIsOneShortLine) {
  EXPECT_EQ(printable("ab\n\tc\x7f\xc3", 6), "ab..c.");
  EXPECT_EQ(printable("", 6), "");
}

}  // namespace
}  // namespace crease
