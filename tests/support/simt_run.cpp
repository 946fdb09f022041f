// The emulator's scheduler: whose turn it is, who waits for whom, and what can never be met.
#include "tests/support/simt_run.hpp"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "tests/support/simt_shared.hpp"

namespace simt {
namespace {

constexpr std::size_t kZoneBytes = 1024;  // around dynamic shared memory

Run* running = nullptr;

/// Threads of all launches: their stacks are kept for the next one.
std::vector<std::unique_ptr<Thread>>& pool() {
  static std::vector<std::unique_ptr<Thread>> threads;
  return threads;
}

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

bool same_place(const Thread& a, const Thread& b) {
  return a.state == b.state && a.where.line == b.where.line && std::strcmp(a.what, b.what) == 0 &&
         std::strcmp(a.where.file, b.where.file) == 0;
}

}  // namespace

Run& current() {
  if (running == nullptr) throw Fault("simt: device code called outside of launch()");
  return *running;
}

MakeCurrent::MakeCurrent(Run& run) {
  if (running != nullptr) throw Fault("simt: launch() inside of a kernel");
  running = &run;
}

MakeCurrent::~MakeCurrent() {
  running = nullptr;
}

DynamicShared::DynamicShared(std::size_t bytes) : bytes_(bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kZoneBytes, 2 * kZoneBytes + bytes) != 0) throw std::bad_alloc();
  all_ = static_cast<unsigned char*>(memory);
  forbid_access(all_, kZoneBytes);
  forbid_access(begin() + bytes, kZoneBytes);
}

DynamicShared::~DynamicShared() {
  allow_access(all_, 2 * kZoneBytes + bytes_);
  std::free(all_);
}

unsigned char* DynamicShared::begin() {
  return all_ + kZoneBytes;
}

void DynamicShared::fill() {
  fill_with_nan(all_, 2 * kZoneBytes + bytes_);
}

bool DynamicShared::zones_are_intact() {
  return is_still_nan(all_, kZoneBytes) && is_still_nan(begin() + bytes_, kZoneBytes);
}

Run::Run(dim3 block, std::size_t dynamic_bytes, LaneOrder order,
         const std::function<void()>& kernel)
    : kernel_(kernel), order_(order.kind), random_(order.seed), dynamic_(dynamic_bytes) {
  for (unsigned z = 0; z < block.z; ++z) {
    for (unsigned y = 0; y < block.y; ++y) {
      for (unsigned x = 0; x < block.x; ++x) {
        if (pool().size() == threads_.size()) pool().push_back(std::make_unique<Thread>());
        Thread* thread = pool()[threads_.size()].get();
        thread->index = {x, y, z};
        thread->number = static_cast<int>(threads_.size());
        threads_.push_back(thread);
      }
    }
  }
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

bool Run::heads() {
  return order_ == LaneOrder::random && next_random(random_) % 2 == 0;
}

void Run::pass_turn() {
  Thread& thread = self();
  make_ready(thread);
  thread.fiber.pause();
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

}  // namespace simt
