// How much a socket has queued to send: its bound, which holds for writers in all threads.
#pragma once

#include <atomic>
#include <cstddef>

namespace actnet::net {

/// Counts what is taken before it is queued, until it has left the queue. What the socket's own thread counts and what
/// the others do are two numbers whose sum (modulo 2^64) is what is taken, so that the usual case, a writer in the
/// socket's thread, pays for no atomic read-modify-write. A taker elsewhere and one here at the same moment may
/// therefore both pass the limit.
class write_room {
 public:
  /// Takes that much if less than `limit` is taken by now, so one taker may pass it. Any thread.
  bool take(std::size_t amount, std::size_t limit) noexcept {
    const auto others = elsewhere_.fetch_add(amount, std::memory_order_acquire);
    if (is_less(others + here_.load(std::memory_order_relaxed), limit))
      return true;
    elsewhere_.fetch_sub(amount, std::memory_order_relaxed);
    return false;
  }

  /// The same, for less, in the socket's thread.
  bool take_here(std::size_t amount, std::size_t limit) noexcept {
    if (!is_less(sum(), limit))
      return false;
    add_here(amount);
    return true;
  }

  /// Whatever is taken already. The socket's thread.
  void add_here(std::size_t amount) noexcept {
    here_.store(here_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  /// What any thread took. The socket's thread.
  void give_back(std::size_t amount) noexcept { add_here(0 - amount); }

  /// The socket's thread.
  std::size_t taken() const noexcept { return is_less(sum(), 0) ? 0 : sum(); }

 private:
  std::size_t sum() const noexcept {
    return here_.load(std::memory_order_relaxed) + elsewhere_.load(std::memory_order_relaxed);
  }

  /// Below nothing is what a thread finds that sees something given back before it sees it taken.
  static bool is_less(std::size_t sum, std::size_t limit) noexcept {
    return static_cast<std::ptrdiff_t>(sum) < static_cast<std::ptrdiff_t>(limit);
  }

  std::atomic<std::size_t> here_{0}; // written by the socket's thread alone
  std::atomic<std::size_t> elsewhere_{0};
};

} // namespace actnet::net
