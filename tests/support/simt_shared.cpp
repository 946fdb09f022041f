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

/// Whether a zone was declared for this array, or for another one of the same function.
bool belongs_to(const StaticVariable& guard, const StaticVariable& array) {
  // _ZZ function E 13simt_guard_82 B10simt_guard, and _ZZ function E 3box B11simt_shared.
  std::size_t end = guard.symbol.find("simt_guard_");
  while (end > 0 && guard.symbol[end - 1] >= '0' && guard.symbol[end - 1] <= '9') --end;
  return array.symbol.compare(0, end, guard.symbol, 0, end) == 0;
}

/// What alignment leaves between an array and the zone behind it belongs to the zones.
void add_gaps(StaticShared& found, const std::vector<std::uintptr_t>& symbols) {
  constexpr std::ptrdiff_t kWidest = 64;
  std::vector<StaticVariable> gaps;
  for (const StaticVariable& array : found.arrays) {
    unsigned char* end = array.begin + array.bytes;
    for (const StaticVariable& guard : found.guards) {
      const std::ptrdiff_t gap = guard.begin - end;
      if (gap <= 0 || gap > kWidest || !belongs_to(guard, array)) continue;
      const bool is_empty = std::none_of(symbols.begin(), symbols.end(), [&](std::uintptr_t at) {
        return at >= reinterpret_cast<std::uintptr_t>(end) &&
               at < reinterpret_cast<std::uintptr_t>(guard.begin);
      });
      if (!is_empty) continue;
      gaps.push_back({end, static_cast<std::size_t>(gap), "the gap behind " + array.symbol});
    }
  }
  found.guards.insert(found.guards.end(), gaps.begin(), gaps.end());
}

StaticShared read_symbols() {
  const OwnProgram program;
  const auto* header = program.at<Elf64_Ehdr>(0);
  const auto* sections = program.at<Elf64_Shdr>(header->e_shoff);
  StaticShared found;
  std::vector<std::uintptr_t> all;
  std::uintptr_t anchor = 0;
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const auto* symbols = program.at<Elf64_Sym>(sections[i].sh_offset);
    const auto* names = program.at<char>(sections[sections[i].sh_link].sh_offset);
    for (std::uint64_t s = 0; s < sections[i].sh_size / sizeof(Elf64_Sym); ++s) {
      if (ELF64_ST_TYPE(symbols[s].st_info) != STT_OBJECT) continue;
      const char* name = names + symbols[s].st_name;
      all.push_back(symbols[s].st_value);
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
  for (std::uintptr_t& symbol : all) symbol += base;
  add_gaps(found, all);
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
