// Matrices that end where memory ends.
#include "tests/support/emulated.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <new>

namespace crease {

Fenced::Fenced(Device&, Index rows, Index cols) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t used = static_cast<std::size_t>(rows * cols) * sizeof(double);
  const std::size_t whole = (used + page - 1) / page * page;
  bytes_ = whole + page;
  pages_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages_ == MAP_FAILED) throw std::bad_alloc();
  char* fence = static_cast<char*>(pages_) + whole;
  if (mprotect(fence, page, PROT_NONE) != 0) {
    munmap(pages_, bytes_);
    throw std::bad_alloc();
  }
  inside_ = {reinterpret_cast<double*>(fence - used), rows, cols, cols};
  std::fill_n(inside_.data, rows * cols, std::numeric_limits<double>::quiet_NaN());
}

Fenced::Fenced(Device& cpu, ConstHostView values) : Fenced(cpu, values.rows, values.cols) {
  for (Index i = 0; i < values.rows; ++i) {
    std::copy_n(values.data + i * values.ld, values.cols, inside_.data + i * inside_.ld);
  }
}

Fenced::~Fenced() {
  munmap(pages_, bytes_);
}

HostMatrix Fenced::read() const {
  HostMatrix elements(inside_.rows, inside_.cols);
  std::copy_n(inside_.data, elements.size(), elements.data());
  return elements;
}

}  // namespace crease
