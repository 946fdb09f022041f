// A block that runs in the emulator: its threads, whose turn it is, and who waits for whom.
#pragma once

#include "tests/support/simt_emulator.hpp"

#include <exception>
#include <memory>
#include <vector>

#include "tests/support/simt_fiber.hpp"

namespace simt {

inline constexpr unsigned kMostThreads = 1024;  // of a block

enum class State { ready, at_barrier, in_warp, returned };

struct AsyncCopy {
  unsigned char* target;
  int bytes;
  int group;
  unsigned char values[16];
};

struct Thread {
  Fiber fiber;
  uint3 index;
  int number = 0;  // in the block, x fastest
  State state = State::returned;
  std::exception_ptr error;

  const char* what = nullptr;  // what it waits at
  Site where{};
  bool predicate = false;
  unsigned mask = 0;
  std::size_t payload_bytes = 0;
  unsigned char payload[kExchangeBytes];
  Exchange* received = nullptr;
  int predicates = 0;

  std::vector<AsyncCopy> copies;
  int groups = 0;  // of copies that were committed
};

/// The block's dynamic shared memory between its two zones.
class DynamicShared {
 public:
  explicit DynamicShared(std::size_t bytes);
  ~DynamicShared();
  DynamicShared(const DynamicShared&) = delete;
  DynamicShared& operator=(const DynamicShared&) = delete;

  unsigned char* begin();
  void fill();  // with NaN, the zones too
  bool zones_are_intact();

 private:
  std::size_t bytes_;
  unsigned char* all_;
};

/// A launch that runs.
class Run {
 public:
  Run(dim3 block, std::size_t dynamic_bytes, LaneOrder order, const std::function<void()>& kernel);

  /// The numbers 0 .. count - 1 in the order in which the blocks are run.
  std::vector<std::uint64_t> block_order(std::uint64_t count);

  void run_block();

  // For the thread that runs.
  Thread& self() { return *self_; }
  void wait(State state, const char* what, Site where);
  void pass_turn();
  void let_go(Exchange* exchange) {
    if (--exchange->readers == 0) spare_.push_back(exchange);
  }
  bool heads();  // in random order: of a coin
  unsigned char* dynamic_bytes() { return dynamic_.begin(); }
  [[noreturn]] void fault(const std::string& why, Site where);

 private:
  static void run_thread(void* run);

  void make_ready(Thread& thread);
  Thread& next();
  void release_warp(const Thread& arrived);
  bool release_block();
  [[noreturn]] void report_stuck() const;
  std::string describe(const Thread& thread) const;
  void check_zones();

  const std::function<void()>& kernel_;
  LaneOrder::Kind order_;
  std::uint64_t random_;
  DynamicShared dynamic_;
  std::vector<Thread*> threads_;
  std::uint64_t ready_[kMostThreads / 64] = {};  // one bit per thread
  int ready_count_ = 0;
  int returned_ = 0;
  Thread* self_ = nullptr;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::vector<Exchange*> spare_;
};

/// The launch that runs; Fault outside of one.
Run& current();

/// Makes a launch current for as long as it lasts, however it ends; Fault inside of another one.
class MakeCurrent {
 public:
  explicit MakeCurrent(Run& run);
  ~MakeCurrent();
  MakeCurrent(const MakeCurrent&) = delete;
  MakeCurrent& operator=(const MakeCurrent&) = delete;
};

}  // namespace simt
