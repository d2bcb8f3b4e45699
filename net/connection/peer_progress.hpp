// Whether a peer goes forward, from looks at what it has not taken. No socket and no clock in it.
#pragma once

#include <cstdint>

namespace actnet::net {

/// The kernel announces room for sending only when about a third of its send buffer is free, which a slow reader may
/// need minutes for. So before anybody is judged for taking nothing, somebody looks at what is left
/// (`backend::untaken`).
class peer_progress {
 public:
  /// `sent`: all bytes so far; `left`: of what was sent, as the backend counts it. `watched`: looks follow one another
  /// closely, so that what was sent since the last one was sent just now. Returns whether the peer went forward since
  /// then. Who cannot tell says yes: nobody is judged on a guess.
  bool look(std::uint64_t sent, std::uint64_t left, bool watched) noexcept {
    const auto nothing_sent = sent == sent_;
    const auto forward = nothing_sent ? left < left_ : left > 0 && (watched || left >= unwatched_bytes_max);
    sent_ = sent;
    left_ = left;
    return forward;
  }

  /// Left at the last look.
  std::uint64_t left() const noexcept { return left_; }

  /// Whether so much was sent since that a peer may need its time to take it.
  bool is_outdated(std::uint64_t sent) const noexcept { return sent - sent_ >= unwatched_bytes_max; }

 private:
  /// The least that any step of a slow reader has on loopback, and about what every receiver takes at once.
  static constexpr std::uint64_t unwatched_bytes_max = 64 * 1024;

  std::uint64_t sent_ = 0;
  std::uint64_t left_ = 0;
};

} // namespace actnet::net
