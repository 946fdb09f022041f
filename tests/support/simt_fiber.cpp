// Fibers: a switch of a few instructions on x86-64, ucontext elsewhere.
#include "tests/support/simt_fiber.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

// AddressSanitizer's runtime, where it is linked.
extern "C" {
__attribute__((weak)) void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom,
                                                          std::size_t size);
__attribute__((weak)) void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom,
                                                           std::size_t* size);
__attribute__((weak)) void __asan_poison_memory_region(const volatile void* begin,
                                                       std::size_t bytes);
__attribute__((weak)) void __asan_unpoison_memory_region(const volatile void* begin,
                                                         std::size_t bytes);
}

namespace simt {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kStackBytes = 256 * 1024;

#if defined(__x86_64__)

// Saves the registers that a callee must keep, then takes up the other stack where it saved them.
extern "C" void simt_switch(void** save, void* to);
asm(R"(
.pushsection .text
.globl simt_switch
.type simt_switch, @function
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch, . - simt_switch
.popsection
)");

struct Context {
  void* stack_pointer = nullptr;
};

void prepare(Context& context, char* stack, void (*entry)()) {
  // As simt_switch leaves a stack: six registers, then the address that it returns to; above it a
  // return address of nobody, which puts the stack where the ABI wants it at a function's entry.
  auto* words = reinterpret_cast<std::uintptr_t*>(stack + kStackBytes) - 8;
  for (int i = 0; i < 8; ++i) words[i] = 0;
  words[6] = reinterpret_cast<std::uintptr_t>(entry);
  context.stack_pointer = words;
}

void switch_to(Context& from, Context& to) {
  simt_switch(&from.stack_pointer, to.stack_pointer);
}

#else

struct Context {
  ucontext_t context;
};

void prepare(Context& context, char* stack, void (*entry)()) {
  if (getcontext(&context.context) != 0) throw std::bad_alloc();
  context.context.uc_stack.ss_sp = stack;
  context.context.uc_stack.ss_size = kStackBytes;
  context.context.uc_link = nullptr;
  makecontext(&context.context, entry, 0);
}

void switch_to(Context& from, Context& to) {
  swapcontext(&from.context, &to.context);
}

#endif

thread_local Fiber* entering = nullptr;

}  // namespace

struct Fiber::Contexts {
  Context inside;
  Context outside;
};

Fiber::Fiber() : contexts_(new Contexts) {
  void* memory = mmap(nullptr, kPage + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kPage, PROT_NONE) != 0) {
    delete contexts_;
    throw std::bad_alloc();
  }
  stack_ = static_cast<char*>(memory) + kPage;
}

Fiber::~Fiber() {
  allow_access(stack_, kStackBytes);
  munmap(stack_ - kPage, kPage + kStackBytes);
  delete contexts_;
}

void Fiber::start(void (*run)(void*), void* argument) {
  if (!idle_) allow_access(stack_, kStackBytes);  // frames that never returned
  run_ = run;
  argument_ = argument;
  idle_ = false;
  own_fake_stack_ = nullptr;
  prepare(contexts_->inside, stack_, &Fiber::enter);
}

void Fiber::resume() {
  entering = this;
  if constexpr (kAddressSanitizer) {
    __sanitizer_start_switch_fiber(&outer_fake_stack_, stack_, kStackBytes);
  }
  switch_to(contexts_->outside, contexts_->inside);
  if constexpr (kAddressSanitizer) {
    __sanitizer_finish_switch_fiber(outer_fake_stack_, nullptr, nullptr);
  }
}

void Fiber::pause() {
  leave(false);
  if constexpr (kAddressSanitizer) {
    __sanitizer_finish_switch_fiber(own_fake_stack_, &outer_stack_, &outer_stack_size_);
  }
}

void Fiber::leave(bool for_good) {
  if constexpr (kAddressSanitizer) {
    __sanitizer_start_switch_fiber(for_good ? nullptr : &own_fake_stack_, outer_stack_,
                                   outer_stack_size_);
  }
  switch_to(contexts_->inside, contexts_->outside);
}

__attribute__((no_sanitize("address"))) void Fiber::enter() {
  Fiber* self = entering;
  if constexpr (kAddressSanitizer) {
    __sanitizer_finish_switch_fiber(nullptr, &self->outer_stack_, &self->outer_stack_size_);
  }
  self->run_(self->argument_);
  self->idle_ = true;
  self->leave(true);
}

void forbid_access([[maybe_unused]] const void* begin, [[maybe_unused]] std::size_t bytes) {
  if constexpr (kAddressSanitizer) __asan_poison_memory_region(begin, bytes);
}

void allow_access([[maybe_unused]] const void* begin, [[maybe_unused]] std::size_t bytes) {
  if constexpr (kAddressSanitizer) __asan_unpoison_memory_region(begin, bytes);
}

}  // namespace simt
