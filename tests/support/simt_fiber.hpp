// A fiber: a function on a stack of its own that stops where it likes and is resumed later.
#pragma once

#include <cstddef>

namespace simt {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAddressSanitizer = true;
#elif defined(__has_feature)
inline constexpr bool kAddressSanitizer = __has_feature(address_sanitizer);
#else
inline constexpr bool kAddressSanitizer = false;
#endif

/// Runs on the OS thread that resumes it; a fiber may not resume another one. AddressSanitizer is
/// told of every switch.
class Fiber {
 public:
  Fiber();  // maps 256 KiB of stack above a page that nobody may touch; std::bad_alloc
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// The next resume() begins run(argument), which must not throw. What the fiber was doing before
  /// is forgotten: no destructor of its frames runs.
  void start(void (*run)(void*), void* argument);

  /// From outside: continues until the fiber pauses or its function returns.
  void resume();

  /// From inside: back to whoever resumed.
  void pause();

 private:
  struct Contexts;

  static void enter();
  void leave(bool for_good);

  Contexts* contexts_;
  void (*run_)(void*) = nullptr;
  void* argument_ = nullptr;
  char* stack_;
  bool idle_ = true;
  void* own_fake_stack_ = nullptr;  // these four belong to AddressSanitizer
  void* outer_fake_stack_ = nullptr;
  const void* outer_stack_ = nullptr;
  std::size_t outer_stack_size_ = 0;
};

/// Makes any access to these bytes an error of AddressSanitizer, and undoes it; nothing without it.
void forbid_access(const void* begin, std::size_t bytes);
void allow_access(const void* begin, std::size_t bytes);

}  // namespace simt
