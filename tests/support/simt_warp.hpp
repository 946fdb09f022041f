// Warp operations, votes, atomics and arithmetic of CUDA for emulated kernels; and warp_exchange(),
// from which any other warp operation can be made. A part of simt_emulator.hpp: include that one.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <type_traits>

namespace simt {

inline constexpr std::size_t kExchangeBytes = 64;
inline constexpr unsigned kFullMask = 0xffffffffU;

/// What the lanes of one warp operation brought along.
struct Exchange {
  alignas(16) unsigned char slots[32][kExchangeBytes];
  unsigned mask = 0;
  const char* what = nullptr;
  int readers = 0;  // lanes that have not let go of it yet
};

/// Waits until every lane of `mask` is here with the same mask, operation and line.
Exchange* meet_warp(const char* what, unsigned mask, const void* mine, std::size_t bytes,
                    Site where);
void let_go(Exchange* exchange);
[[noreturn]] void lane_outside_mask(const Exchange& exchange, int lane);

/// This thread's place in its warp.
int lane_id();

/// In random order: perhaps another thread's turn.
void maybe_change_thread();

/// The values of all lanes of a warp operation.
template <class T>
class Gathered {
 public:
  explicit Gathered(Exchange* exchange) : exchange_(exchange) {}
  ~Gathered() { let_go(exchange_); }
  Gathered(const Gathered&) = delete;
  Gathered& operator=(const Gathered&) = delete;

  /// Fault where the lane is not in the mask.
  T operator[](int lane) const {
    if (lane < 0 || lane > 31 || (exchange_->mask >> lane & 1U) == 0) {
      lane_outside_mask(*exchange_, lane);
    }
    T value;
    std::memcpy(&value, exchange_->slots[lane], sizeof value);
    return value;
  }

 private:
  Exchange* exchange_;
};

/// Every lane of `mask` gives a value and gets everybody's.
template <class T>
Gathered<T> warp_exchange(const char* what, unsigned mask, const T& mine, Site where) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kExchangeBytes);
  return Gathered<T>(meet_warp(what, mask, &mine, sizeof mine, where));
}

/// One bit per lane of the mask whose predicate holds.
inline unsigned ballot(const char* what, unsigned mask, bool predicate, Site where) {
  const auto all = warp_exchange(what, mask, predicate, where);
  unsigned votes = 0;
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1U) != 0 && all[lane]) votes |= 1U << lane;
  }
  return votes;
}

template <class T>
concept Shuffled = std::is_arithmetic_v<T> &&(sizeof(T) == 4 || sizeof(T) == 8);

/// What CUDA adds, compares and swaps atomically here. No floating-point number: a sum whose order
/// changes from run to run has no place in the library.
template <class T>
concept AtomicWord =
    std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, unsigned long long>;

template <class T, class Change>
T atomically(T* address, Change change) {
  maybe_change_thread();
  const T old = *address;
  *address = change(old);
  return old;
}

}  // namespace simt

// --- warps; semantics: CUDA C++ Programming Guide, "Warp Shuffle Functions", "Warp Vote Functions"

inline void __syncwarp(unsigned mask = simt::kFullMask, simt::Site where = simt::Site::here()) {
  simt::warp_exchange("__syncwarp", mask, 0, where);
}

template <simt::Shuffled T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              simt::Site where = simt::Site::here()) {
  const auto all = simt::warp_exchange("__shfl_sync", mask, value, where);
  return all[(simt::lane_id() & ~(width - 1)) | (source & (width - 1))];
}

template <simt::Shuffled T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 simt::Site where = simt::Site::here()) {
  const auto all = simt::warp_exchange("__shfl_up_sync", mask, value, where);
  const int lane = simt::lane_id();
  const int source = lane - static_cast<int>(delta);
  return source < (lane & ~(width - 1)) ? value : all[source];
}

template <simt::Shuffled T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   simt::Site where = simt::Site::here()) {
  const auto all = simt::warp_exchange("__shfl_down_sync", mask, value, where);
  const int lane = simt::lane_id();
  const int source = lane + static_cast<int>(delta);
  return source > (lane | (width - 1)) ? value : all[source];
}

template <simt::Shuffled T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32,
                  simt::Site where = simt::Site::here()) {
  const auto all = simt::warp_exchange("__shfl_xor_sync", mask, value, where);
  const int lane = simt::lane_id();
  const int source = lane ^ lanes;
  return source > (lane | (width - 1)) ? value : all[source];
}

inline unsigned __ballot_sync(unsigned mask, int predicate, simt::Site where = simt::Site::here()) {
  return simt::ballot("__ballot_sync", mask, predicate != 0, where);
}
inline int __any_sync(unsigned mask, int predicate, simt::Site where = simt::Site::here()) {
  return simt::ballot("__any_sync", mask, predicate != 0, where) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate, simt::Site where = simt::Site::here()) {
  return simt::ballot("__all_sync", mask, predicate != 0, where) == mask ? 1 : 0;
}

// --- atomics and memory -------------------------------------------------------------------------

template <simt::AtomicWord T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  // Unsigned, because CUDA's sum wraps.
  return simt::atomically(address, [&](T old) {
    using Bits = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<Bits>(old) + static_cast<Bits>(value));
  });
}
template <simt::AtomicWord T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return simt::atomically(address, [&](T old) { return std::min(old, value); });
}
template <simt::AtomicWord T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return simt::atomically(address, [&](T old) { return std::max(old, value); });
}
template <simt::AtomicWord T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return simt::atomically(address, [&](T old) { return static_cast<T>(old | value); });
}
template <simt::AtomicWord T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
  return simt::atomically(address, [&](T old) { return static_cast<T>(old & value); });
}
template <simt::AtomicWord T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return simt::atomically(address, [&](T) { return value; });
}
template <simt::AtomicWord T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return simt::atomically(address, [&](T old) { return old == expected ? value : old; });
}

inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T>
T __ldg(const T* address) {
  return *address;
}

// --- arithmetic ---------------------------------------------------------------------------------

inline double __fma_rn(double a, double b, double c) {
  return std::fma(a, b, c);
}
inline double __dadd_rn(double a, double b) {
  return a + b;
}
inline double __dsub_rn(double a, double b) {
  return a - b;
}
inline double __dmul_rn(double a, double b) {
  return a * b;
}
inline double __ddiv_rn(double a, double b) {
  return a / b;
}
inline double __dsqrt_rn(double a) {
  return std::sqrt(a);
}

inline long long __double_as_longlong(double value) {
  return std::bit_cast<long long>(value);
}
inline double __longlong_as_double(long long bits) {
  return std::bit_cast<double>(bits);
}

inline int __popc(unsigned bits) {
  return std::popcount(bits);
}
inline int __popcll(unsigned long long bits) {
  return std::popcount(bits);
}
inline int __clz(int bits) {
  return std::countl_zero(static_cast<unsigned>(bits));
}
inline int __clzll(long long bits) {
  return std::countl_zero(static_cast<unsigned long long>(bits));
}
inline int __ffs(int bits) {
  return __builtin_ffs(bits);
}
inline int __ffsll(long long bits) {
  return __builtin_ffsll(bits);
}

template <class T>
requires std::is_arithmetic_v<T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
requires std::is_arithmetic_v<T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}
