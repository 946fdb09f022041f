// Where a kernel's static shared memory is: nothing in C++ names it from outside, so the symbol
// table of the running program is searched for the tags that __shared__ leaves there.
#include "tests/support/simt_shared.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tests/support/simt_emulator.hpp"

// Its address in memory less that in the symbol table is where the program was loaded.
extern "C" {
extern const char simt_anchor;
const char simt_anchor = 0;
}

namespace simt {
namespace {

class OwnProgram {
 public:
  OwnProgram() {
    const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (file < 0 || fstat(file, &status) != 0) throw Fault("simt: the program cannot read itself");
    size_ = static_cast<std::size_t>(status.st_size);
    void* memory = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (memory == MAP_FAILED) throw Fault("simt: the program cannot read itself");
    bytes_ = static_cast<const char*>(memory);
  }
  ~OwnProgram() { munmap(const_cast<char*>(bytes_), size_); }
  OwnProgram(const OwnProgram&) = delete;
  OwnProgram& operator=(const OwnProgram&) = delete;

  template <class T>
  const T* at(std::uint64_t offset) const {
    return reinterpret_cast<const T*>(bytes_ + offset);
  }

 private:
  const char* bytes_ = nullptr;
  std::size_t size_ = 0;
};

/// What alignment leaves between an array and its zone belongs to the zones.
void add_gaps(StaticShared& found) {
  constexpr std::ptrdiff_t kWidest = 64;
  std::vector<StaticVariable> all = found.arrays;
  all.insert(all.end(), found.guards.begin(), found.guards.end());
  std::sort(all.begin(), all.end(),
            [](const StaticVariable& a, const StaticVariable& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < all.size(); ++i) {
    unsigned char* end = all[i - 1].begin + all[i - 1].bytes;
    const std::ptrdiff_t gap = all[i].begin - end;
    if (gap > 0 && gap <= kWidest) {
      found.guards.push_back(
          {end, static_cast<std::size_t>(gap), "the gap behind " + all[i - 1].symbol});
    }
  }
}

StaticShared read_symbols() {
  const OwnProgram program;
  const auto* header = program.at<Elf64_Ehdr>(0);
  const auto* sections = program.at<Elf64_Shdr>(header->e_shoff);
  StaticShared found;
  std::uintptr_t anchor = 0;
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const auto* symbols = program.at<Elf64_Sym>(sections[i].sh_offset);
    const auto* names = program.at<char>(sections[sections[i].sh_link].sh_offset);
    for (std::uint64_t s = 0; s < sections[i].sh_size / sizeof(Elf64_Sym); ++s) {
      if (ELF64_ST_TYPE(symbols[s].st_info) != STT_OBJECT) continue;
      const char* name = names + symbols[s].st_name;
      if (std::strcmp(name, "simt_anchor") == 0) anchor = symbols[s].st_value;
      const bool is_guard = std::strstr(name, "B10simt_guard") != nullptr;
      if (!is_guard && std::strstr(name, "B11simt_shared") == nullptr) continue;
      auto& list = is_guard ? found.guards : found.arrays;
      list.push_back(
          {reinterpret_cast<unsigned char*>(symbols[s].st_value), symbols[s].st_size, name});
    }
  }
  if (anchor == 0) throw Fault("simt: shared memory is found by the symbol table; do not strip it");
  const std::uintptr_t base = reinterpret_cast<std::uintptr_t>(&simt_anchor) - anchor;
  for (auto* list : {&found.arrays, &found.guards}) {
    for (StaticVariable& variable : *list) variable.begin += base;
  }
  add_gaps(found);
  return found;
}

}  // namespace

const StaticShared& static_shared() {
  static const StaticShared found = read_symbols();
  return found;
}

// Word by word, and with a fence that keeps a compiler from making memset or memcmp of the loops:
// AddressSanitizer checks those even here.
using Word [[gnu::may_alias, gnu::aligned(1)]] = std::uint64_t;

__attribute__((no_sanitize("address"))) void fill_with_nan(unsigned char* begin,
                                                           std::size_t bytes) {
  for (; bytes >= sizeof(Word); bytes -= sizeof(Word), begin += sizeof(Word)) {
    *reinterpret_cast<Word*>(begin) = ~Word{0};
    asm volatile("" ::: "memory");
  }
  for (; bytes > 0; --bytes, ++begin) {
    *begin = 0xff;
    asm volatile("" ::: "memory");
  }
}

__attribute__((no_sanitize("address"))) bool is_still_nan(const unsigned char* begin,
                                                          std::size_t bytes) {
  for (; bytes >= sizeof(Word); bytes -= sizeof(Word), begin += sizeof(Word)) {
    if (*reinterpret_cast<const Word*>(begin) != ~Word{0}) return false;
  }
  for (; bytes > 0; --bytes, ++begin) {
    if (*begin != 0xff) return false;
  }
  return true;
}

}  // namespace simt
