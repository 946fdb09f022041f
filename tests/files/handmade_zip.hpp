// The smallest zip archive around some stored members, with every field free to be wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace crease {

struct ZipMember {
  std::string name;
  std::string data;
  std::uint32_t claimed_size = 0xffffffff;  // 0xffffffff: the truth
  std::uint16_t method = 0;                 // stored
  std::uint32_t wrong_checksum = 0;         // added to the checksum
};

/// CRC-32 as zip uses it.
inline std::uint32_t checksum(const std::string& data) {
  std::uint32_t sum = 0xffffffff;
  for (const char byte : data) {
    sum ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0xedb88320u : 0u);
  }
  return ~sum;
}

inline std::string little(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

/// Source: PKWARE APPNOTE 4.3.7, 4.3.12, 4.3.16.
inline std::string make_zip(const std::vector<ZipMember>& members) {
  std::string files;
  std::string directory;
  for (const ZipMember& member : members) {
    const std::uint64_t offset = files.size();
    const std::uint64_t size =
        member.claimed_size == 0xffffffff ? member.data.size() : member.claimed_size;
    const std::string shared =
        little(0, 2) + little(member.method, 2) + little(0, 2) + little(0x21, 2) +
        little(checksum(member.data) + member.wrong_checksum, 4) + little(member.data.size(), 4) +
        little(size, 4) + little(member.name.size(), 2) + little(0, 2);
    files += "PK\x03\x04" + little(20, 2) + shared + member.name + member.data;
    directory += "PK\x01\x02" + little(20, 2) + little(20, 2) + shared + little(0, 2) +
                 little(0, 2) + little(0, 2) + little(0, 4) + little(offset, 4) + member.name;
  }
  return files + directory + "PK\x05\x06" + little(0, 2) + little(0, 2) +
         little(members.size(), 2) + little(members.size(), 2) + little(directory.size(), 4) +
         little(files.size(), 4) + little(0, 2);
}

/// An .npy array of version 1 with this header text.
inline std::string make_npy(const std::string& header, const std::string& data) {
  return "\x93NUMPY" + little(1, 1) + little(0, 1) + little(header.size(), 2) + header + data;
}

}  // namespace crease
