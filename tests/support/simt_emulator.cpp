// The emulator's scheduler: whose turn it is, who waits for whom, and what can never be met.
#include "tests/support/simt_emulator.hpp"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "tests/support/simt_fiber.hpp"
#include "tests/support/simt_shared.hpp"

namespace simt {

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace {

constexpr unsigned kMostThreads = 1024;
constexpr std::size_t kMostDynamicBytes = 227 * 1024;  // sm_90
constexpr std::size_t kZoneBytes = 1024;               // around dynamic shared memory

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

std::string text(uint3 index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " +
         std::to_string(index.z) + ")";
}

std::string text(Site where) {
  return std::string(where.function) + ", " + where.file + ":" + std::to_string(where.line);
}

/// splitmix64.
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// The block's dynamic shared memory between its two zones.
class DynamicShared {
 public:
  explicit DynamicShared(std::size_t bytes) : bytes_(bytes) {
    void* memory = nullptr;
    if (posix_memalign(&memory, kZoneBytes, 2 * kZoneBytes + bytes) != 0) throw std::bad_alloc();
    all_ = static_cast<unsigned char*>(memory);
    forbid_access(all_, kZoneBytes);
    forbid_access(begin() + bytes, kZoneBytes);
  }
  ~DynamicShared() {
    allow_access(all_, 2 * kZoneBytes + bytes_);
    std::free(all_);
  }
  DynamicShared(const DynamicShared&) = delete;
  DynamicShared& operator=(const DynamicShared&) = delete;

  unsigned char* begin() { return all_ + kZoneBytes; }
  void fill() { fill_with_nan(all_, 2 * kZoneBytes + bytes_); }
  bool zones_are_intact() {
    return is_still_nan(all_, kZoneBytes) && is_still_nan(begin() + bytes_, kZoneBytes);
  }

 private:
  std::size_t bytes_;
  unsigned char* all_;
};

/// A launch that runs.
class Run {
 public:
  Run(dim3 block, std::size_t dynamic_bytes, LaneOrder order, const std::function<void()>& kernel)
      : kernel_(kernel), order_(order.kind), random_(order.seed), dynamic_(dynamic_bytes) {
    while (pool().size() < static_cast<std::size_t>(block.x) * block.y * block.z) {
      pool().push_back(std::make_unique<Thread>());
    }
    for (unsigned z = 0; z < block.z; ++z) {
      for (unsigned y = 0; y < block.y; ++y) {
        for (unsigned x = 0; x < block.x; ++x) {
          Thread* thread = pool()[threads_.size()].get();
          thread->index = {x, y, z};
          thread->number = static_cast<int>(threads_.size());
          threads_.push_back(thread);
        }
      }
    }
  }

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
  bool heads() { return order_ == LaneOrder::random && next_random(random_) % 2 == 0; }
  unsigned char* dynamic_bytes() { return dynamic_.begin(); }
  [[noreturn]] void fault(const std::string& why, Site where);

 private:
  static std::vector<std::unique_ptr<Thread>>& pool() {
    static std::vector<std::unique_ptr<Thread>> threads;  // stacks are kept for the next launch
    return threads;
  }
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

Run* running = nullptr;

Run& current() {
  if (running == nullptr) throw Fault("simt: device code called outside of launch()");
  return *running;
}

std::vector<std::uint64_t> Run::block_order(std::uint64_t count) {
  std::vector<std::uint64_t> numbers(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    numbers[i] = order_ == LaneOrder::reverse ? count - 1 - i : i;
    if (order_ == LaneOrder::random) std::swap(numbers[i], numbers[next_random(random_) % (i + 1)]);
  }
  return numbers;
}

void Run::run_block() {
  for (const auto* list : {&static_shared().arrays, &static_shared().guards}) {
    for (const StaticVariable& variable : *list) fill_with_nan(variable.begin, variable.bytes);
  }
  dynamic_.fill();
  returned_ = 0;
  for (Thread* thread : threads_) {
    thread->error = nullptr;
    thread->copies.clear();
    thread->groups = 0;
    thread->fiber.start(&Run::run_thread, this);
    make_ready(*thread);
  }
  while (returned_ < static_cast<int>(threads_.size())) {
    if (ready_count_ == 0 && !release_block()) report_stuck();
    Thread& thread = next();
    self_ = &thread;
    threadIdx = thread.index;
    thread.fiber.resume();
    self_ = nullptr;
    if (thread.error) std::rethrow_exception(std::exchange(thread.error, nullptr));
    if (thread.state == State::in_warp) release_warp(thread);
    if (thread.state == State::returned) ++returned_;
  }
  check_zones();
}

void Run::run_thread(void* argument) {
  Run& run = *static_cast<Run*>(argument);
  Thread& thread = run.self();
  try {
    run.kernel_();
  } catch (...) {
    thread.error = std::current_exception();
  }
  thread.state = State::returned;
}

void Run::make_ready(Thread& thread) {
  thread.state = State::ready;
  ready_[thread.number / 64] |= std::uint64_t{1} << (thread.number % 64);
  ++ready_count_;
}

/// Takes the thread whose turn it is out of those that are ready.
Thread& Run::next() {
  int skip = 0;
  if (order_ == LaneOrder::reverse) skip = ready_count_ - 1;
  if (order_ == LaneOrder::random) {
    skip = static_cast<int>(next_random(random_) % static_cast<std::uint64_t>(ready_count_));
  }
  int word = 0;
  for (; std::popcount(ready_[word]) <= skip; ++word) skip -= std::popcount(ready_[word]);
  std::uint64_t bits = ready_[word];
  for (; skip > 0; --skip) bits &= bits - 1;
  const int bit = std::countr_zero(bits);
  ready_[word] &= ~(std::uint64_t{1} << bit);
  --ready_count_;
  return *threads_[static_cast<std::size_t>(64 * word + bit)];
}

void Run::wait(State state, const char* what, Site where) {
  Thread& thread = self();
  thread.state = state;
  thread.what = what;
  thread.where = where;
  thread.fiber.pause();
}

void Run::pass_turn() {
  Thread& thread = self();
  make_ready(thread);
  thread.fiber.pause();
}

bool same_place(const Thread& a, const Thread& b) {
  return a.state == b.state && a.where.line == b.where.line && std::strcmp(a.what, b.what) == 0 &&
         std::strcmp(a.where.file, b.where.file) == 0;
}

/// Lets a warp operation happen if the thread that came was the last one missing.
void Run::release_warp(const Thread& arrived) {
  const std::size_t first = static_cast<std::size_t>(arrived.number / 32 * 32);
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((arrived.mask >> lane & 1U) == 0) continue;
    if (first + lane >= threads_.size()) return;  // never complete: reported in the end
    const Thread& other = *threads_[first + lane];
    if (!same_place(arrived, other) || other.mask != arrived.mask) return;
  }
  if (spare_.empty()) {
    exchanges_.push_back(std::make_unique<Exchange>());
    spare_.push_back(exchanges_.back().get());
  }
  Exchange* exchange = spare_.back();
  spare_.pop_back();
  exchange->mask = arrived.mask;
  exchange->what = arrived.what;
  exchange->readers = std::popcount(arrived.mask);
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((exchange->mask >> lane & 1U) == 0) continue;
    Thread& other = *threads_[first + lane];
    std::memcpy(exchange->slots[lane], other.payload, other.payload_bytes);
    other.received = exchange;
    make_ready(other);
  }
}

/// Lets the block pass its barrier if every thread waits at the same one.
bool Run::release_block() {
  int predicates = 0;
  for (const Thread* thread : threads_) {
    if (thread->state != State::at_barrier || !same_place(*thread, *threads_[0])) return false;
    predicates += thread->predicate ? 1 : 0;
  }
  for (Thread* thread : threads_) {
    thread->predicates = predicates;
    make_ready(*thread);
  }
  return true;
}

std::string Run::describe(const Thread& thread) const {
  std::string out = "thread " + text(thread.index);
  if (thread.state == State::returned) return out + " has returned";
  out += std::string(" waits at ") + thread.what + " (" + text(thread.where) + ")";
  if (thread.state == State::in_warp) {
    constexpr const char* kDigits = "0123456789abcdef";
    out += " with mask 0x";
    for (int shift = 28; shift >= 0; shift -= 4) out += kDigits[thread.mask >> shift & 15U];
  }
  return out;
}

void Run::report_stuck() const {
  // A warp operation that is not complete holds up a barrier, not the other way round.
  const Thread* waiting = nullptr;
  for (const Thread* thread : threads_) {
    if (thread->state == State::returned) continue;
    if (waiting == nullptr ||
        (thread->state == State::in_warp && waiting->state == State::at_barrier)) {
      waiting = thread;
    }
  }
  std::string why = "simt: divergence in block " + text(blockIdx) + ": " + describe(*waiting);
  const std::size_t first = static_cast<std::size_t>(waiting->number / 32 * 32);
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    const Thread& other = *threads_[i];
    const bool wanted = waiting->state == State::at_barrier ||
                        (i >= first && i < first + 32 && (waiting->mask >> (i - first) & 1U) != 0);
    if (!wanted || (same_place(*waiting, other) && waiting->mask == other.mask)) continue;
    throw Fault(why + ", but " + describe(other));
  }
  throw Fault(why + ", whose mask names lanes that the block does not have");
}

void Run::fault(const std::string& why, Site where) {
  throw Fault("simt: thread " + text(self().index) + " of block " + text(blockIdx) + " " + why +
              " (" + text(where) + ")");
}

void Run::check_zones() {
  for (const StaticVariable& guard : static_shared().guards) {
    if (!is_still_nan(guard.begin, guard.bytes)) {
      throw Fault("simt: block " + text(blockIdx) + " wrote beside a __shared__ variable, into " +
                  guard.symbol);
    }
  }
  if (!dynamic_.zones_are_intact()) {
    throw Fault("simt: block " + text(blockIdx) + " wrote outside of its dynamic shared memory");
  }
}

void check_shape(dim3 grid, dim3 block, std::size_t dynamic_bytes) {
  const auto threads = static_cast<std::uint64_t>(block.x) * block.y * block.z;
  const bool ok = grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= 0x7fffffffU &&
                  grid.y <= 65535 && grid.z <= 65535 && threads > 0 && threads <= kMostThreads &&
                  block.x <= 1024 && block.y <= 1024 && block.z <= 64 &&
                  dynamic_bytes <= kMostDynamicBytes;
  if (!ok) throw Fault("simt: no GPU would take a launch of this shape");
}

/// `running` for as long as the launch lasts, however it ends.
class Current {
 public:
  explicit Current(Run& run) { running = &run; }
  ~Current() { running = nullptr; }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
};

}  // namespace

std::string LaneOrder::name() const {
  if (kind == forward) return "forward";
  if (kind == reverse) return "reverse";
  return "random, seed " + std::to_string(seed);
}

void launch(dim3 grid, dim3 block, std::size_t dynamic_bytes, LaneOrder order,
            const std::function<void()>& kernel) {
  if (running != nullptr) throw Fault("simt: launch() inside of a kernel");
  check_shape(grid, block, dynamic_bytes);
  Run run(block, dynamic_bytes, order, kernel);
  const Current current(run);
  gridDim = grid;
  blockDim = block;
  for (const std::uint64_t number : run.block_order(std::uint64_t{grid.x} * grid.y * grid.z)) {
    blockIdx = {static_cast<unsigned>(number % grid.x),
                static_cast<unsigned>(number / grid.x % grid.y),
                static_cast<unsigned>(number / grid.x / grid.y)};
    run.run_block();
  }
}

int block_barrier(const char* what, bool predicate, Site where) {
  Run& run = current();
  run.self().predicate = predicate;
  run.self().mask = 0;
  run.wait(State::at_barrier, what, where);
  return run.self().predicates;
}

Exchange* meet_warp(const char* what, unsigned mask, const void* mine, std::size_t bytes,
                    Site where) {
  Run& run = current();
  Thread& self = run.self();
  if ((mask >> lane_id() & 1U) == 0) {
    run.fault(std::string("calls ") + what + " with a mask that does not name it", where);
  }
  self.mask = mask;
  self.payload_bytes = bytes;
  std::memcpy(self.payload, mine, bytes);
  run.wait(State::in_warp, what, where);
  return self.received;
}

void let_go(Exchange* exchange) {
  current().let_go(exchange);
}

void lane_outside_mask(const Exchange& exchange, int lane) {
  current().fault("reads lane " + std::to_string(lane) + " in " + exchange.what +
                      ", which the mask does not name",
                  current().self().where);
}

int lane_id() {
  return current().self().number % 32;
}

void maybe_change_thread() {
  if (current().heads()) current().pass_turn();
}

void* dynamic_shared_bytes() {
  return current().dynamic_bytes();
}

void copy_async(void* shared, const void* global, int bytes, Site where) {
  Run& run = current();
  const auto size = static_cast<std::uintptr_t>(bytes);
  if (reinterpret_cast<std::uintptr_t>(shared) % size != 0 ||
      reinterpret_cast<std::uintptr_t>(global) % size != 0) {
    run.fault("copies " + std::to_string(bytes) + " bytes from or to an address that is not a " +
                  "multiple of as many",
              where);
  }
  AsyncCopy copy{static_cast<unsigned char*>(shared), bytes, run.self().groups, {}};
  std::memcpy(copy.values, global, size);
  std::memset(shared, 0xff, size);
  run.self().copies.push_back(copy);
}

void copy_async_commit() {
  ++current().self().groups;
}

void copy_async_wait(int pending) {
  Thread& self = current().self();
  std::vector<AsyncCopy> later;
  for (const AsyncCopy& copy : self.copies) {
    if (copy.group < self.groups - pending) {
      std::memcpy(copy.target, copy.values, static_cast<std::size_t>(copy.bytes));
    } else {
      later.push_back(copy);
    }
  }
  self.copies = std::move(later);
}

}  // namespace simt
