// What a kernel calls in the emulator, and launch().
#include "tests/support/simt_emulator.hpp"

#include <cstring>
#include <utility>
#include <vector>

#include "tests/support/simt_run.hpp"

namespace simt {

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace {

constexpr std::size_t kMostDynamicBytes = 227 * 1024;  // sm_90

void check_shape(dim3 grid, dim3 block, std::size_t dynamic_bytes) {
  const auto threads = static_cast<std::uint64_t>(block.x) * block.y * block.z;
  const bool ok = grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= 0x7fffffffU &&
                  grid.y <= 65535 && grid.z <= 65535 && threads > 0 && threads <= kMostThreads &&
                  block.x <= 1024 && block.y <= 1024 && block.z <= 64 &&
                  dynamic_bytes <= kMostDynamicBytes;
  if (!ok) throw Fault("simt: no GPU would take a launch of this shape");
}

}  // namespace

std::string LaneOrder::name() const {
  if (kind == forward) return "forward";
  if (kind == reverse) return "reverse";
  return "random, seed " + std::to_string(seed);
}

void launch(dim3 grid, dim3 block, std::size_t dynamic_bytes, LaneOrder order,
            const std::function<void()>& kernel) {
  check_shape(grid, block, dynamic_bytes);
  Run run(block, dynamic_bytes, order, kernel);
  const MakeCurrent guard(run);
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
