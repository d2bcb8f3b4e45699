// Read credit: what one socket may have delivered and not yet got back (DESIGN: "the payload is the credit").
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace actnet::net {

/// Where a thread says that credit came back to a starved account. Objects of this kind live for ever (the loop
/// takes them from a store that is never freed), so that a payload may be dropped at any time in any thread.
class credit_bell {
 public:
  virtual void ring() noexcept = 0;

 protected:
  ~credit_bell() = default;
};

class block_pool;

/// Counts the bytes that payloads of one socket pin in memory. The socket opens it and closes it; blocks that are
/// still out keep it alive after that. One atomic word holds the sum of what is out, whether the socket still exists
/// and whether it waits for credit, so that a release in any thread is one atomic addition. Of what is charged and
/// released in the socket's own thread, the usual case, the account keeps a plain sum apart: even that addition would
/// be felt.
class credit_account {
 public:
  /// `home`: the pool of the socket's thread, by which that is known; null: all threads are alike.
  static credit_account* open(credit_bell& bell, const block_pool* home = nullptr) {
    return new credit_account(bell, home);
  }

  /// From now on all threads are alike. The socket's thread, before the pool is another thread's or is gone.
  void leave_home() noexcept {
    home_.store(nullptr, std::memory_order_relaxed);
    state_.fetch_add(std::exchange(at_home_, 0), std::memory_order_acq_rel);
  }

  /// Ends the socket's interest; deletes the account now or with the last payload. The socket's thread or, if nothing
  /// is charged or it has left home, any.
  void close() noexcept {
    leave_home();
    subtract(opened);
  }

  /// Charges an even number of bytes. The socket's thread.
  void charge(std::uint64_t bytes) noexcept {
    if (home_.load(std::memory_order_relaxed))
      at_home_ += bytes;
    else
      state_.fetch_add(bytes, std::memory_order_relaxed);
  }

  /// Gives back what `charge` took. Any thread; `here` is its pool.
  void release(std::uint64_t bytes, const block_pool* here = nullptr) noexcept {
    if (here && here == home_.load(std::memory_order_relaxed)) {
      at_home_ -= bytes;
      if ((state_.load(std::memory_order_relaxed) & starved) != 0)
        bell_.ring();
    } else {
      subtract(bytes);
    }
  }

  /// The bytes now charged. The socket's thread; exact but for releases under way elsewhere.
  std::uint64_t outstanding() const noexcept {
    return (state_.load(std::memory_order_acquire) & ~starved) - opened + at_home_;
  }

  /// Asks for one ring of the bell at the next release. The socket's thread; look at `outstanding` again afterwards:
  /// a release that came before this call rings no bell.
  void await_release() noexcept { state_.fetch_or(starved, std::memory_order_acq_rel); }
  void stop_awaiting() noexcept { state_.fetch_and(~starved, std::memory_order_acq_rel); }

 private:
  credit_account(credit_bell& bell, const block_pool* home) noexcept : home_(home), bell_(bell) {}
  ~credit_account() = default;

  void subtract(std::uint64_t amount) noexcept {
    auto& bell = bell_; // after the subtraction the account may be gone
    const auto before = state_.fetch_sub(amount, std::memory_order_acq_rel);
    if (((before - amount) & ~starved) == 0)
      delete this;
    else if ((before & starved) != 0 && amount != opened)
      bell.ring();
  }

  static constexpr std::uint64_t starved = 1;
  static constexpr std::uint64_t opened = std::uint64_t{1} << 62;

  std::atomic<std::uint64_t> state_{opened}; // `opened` and what is out, less what `at_home_` has of that
  std::uint64_t at_home_ = 0;                // modulo 2^64: released here may be what was released there, too
  std::atomic<const block_pool*> home_;
  credit_bell& bell_;
};

} // namespace actnet::net
