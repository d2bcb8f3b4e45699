// Read credit: what one socket may have delivered and not yet got back (DESIGN: "the payload is the credit").
#pragma once

#include <atomic>
#include <cstdint>

namespace actnet::net {

/// Where a thread says that credit came back to a starved account. Objects of this kind live for ever (the loop
/// takes them from a store that is never freed), so that a payload may be dropped at any time in any thread.
class credit_bell {
 public:
  virtual void ring() noexcept = 0;

 protected:
  ~credit_bell() = default;
};

/// Counts the bytes that payloads of one socket pin in memory. The socket opens it and closes it; blocks that are
/// still out keep it alive after that. One atomic word holds the sum, whether the socket still exists and whether it
/// waits for credit, so that the last release of a payload is one atomic addition in whichever thread it happens.
class credit_account {
 public:
  static credit_account* open(credit_bell& bell) { return new credit_account(bell); }

  /// Ends the socket's interest; deletes the account now or with the last payload.
  void close() noexcept { subtract(opened); }

  /// Charges an even number of bytes. The socket's thread.
  void charge(std::uint64_t bytes) noexcept { state_.fetch_add(bytes, std::memory_order_relaxed); }

  /// Gives back what `charge` took. Any thread.
  void release(std::uint64_t bytes) noexcept { subtract(bytes); }

  /// The bytes now charged. Exact in the socket's thread but for releases under way elsewhere.
  std::uint64_t outstanding() const noexcept { return state_.load(std::memory_order_acquire) & ~(opened | starved); }

  /// Asks for one ring of the bell at the next release. The socket's thread; look at `outstanding` again afterwards:
  /// a release that came before this call rings no bell.
  void await_release() noexcept { state_.fetch_or(starved, std::memory_order_acq_rel); }
  void stop_awaiting() noexcept { state_.fetch_and(~starved, std::memory_order_acq_rel); }

 private:
  explicit credit_account(credit_bell& bell) noexcept : bell_(bell) {}
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

  std::atomic<std::uint64_t> state_{opened};
  credit_bell& bell_;
};

} // namespace actnet::net
