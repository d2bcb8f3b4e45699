// Where the library's time comes from: the kernel's monotonic clock, or one that a test moves by hand.
// Wall-clock time is not here: nothing in the library waits for a date.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

namespace actnet::net {

using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::nanoseconds;

/// The time `wait` after `since`; the latest time there is, if that lies beyond it.
template <class Rep, class Period>
time_point later(time_point since, std::chrono::duration<Rep, Period> wait) noexcept {
  const auto room = std::chrono::duration_cast<std::chrono::duration<Rep, Period>>(time_point::max() - since);
  return wait >= room ? time_point::max() : since + wait;
}

/// A clock that never goes backwards. Any thread may read it.
class clock {
 public:
  clock() = default;
  clock(const clock&) = delete;
  clock& operator=(const clock&) = delete;

  virtual time_point now() noexcept = 0;

  /// As `now()`, but it may be some milliseconds old (one kernel tick, 1 to 10 ms) and is cheaper to read. Good for
  /// stamping activity and limiting rates, never for deciding that a timer is due.
  virtual time_point coarse_now() noexcept = 0;

  /// Whether time moves only by hand. A loop on such a clock must not hand the kernel a timeout made from it.
  virtual bool manual() const noexcept = 0;

 protected:
  ~clock() = default;
};

/// CLOCK_MONOTONIC and CLOCK_MONOTONIC_COARSE (clock_gettime(2)), the same time line as `std::chrono::steady_clock`.
///
/// A jump of the realtime clock (an administrator, NTP, a leap second) does not move it: no deadline fires early or
/// late for it. It stands still while the machine is suspended, so a deadline then has as much left as before.
class monotonic_clock final : public clock {
 public:
  static monotonic_clock& instance() noexcept;

  time_point now() noexcept override;
  time_point coarse_now() noexcept override;
  bool manual() const noexcept override { return false; }
};

/// Stands at `start` until someone advances it. Any thread. Must outlive its subscribers.
class manual_clock final : public clock {
 public:
  using subscription = std::uint64_t;

  /// Not zero, so that a forgotten, value-initialised `time_point` is visibly in the past.
  static constexpr time_point start{std::chrono::hours{1}};

  manual_clock() = default;
  ~manual_clock();

  time_point now() noexcept override { return time_point{time_point::duration{now_.load(std::memory_order_acquire)}}; }
  time_point coarse_now() noexcept override { return now(); }
  bool manual() const noexcept override { return true; }

  /// Moves the time on by `by` (zero or more), then calls every subscriber once, in the order of subscription, in
  /// the caller's thread; all of them see the new time. Advances from several threads follow one another.
  void advance(duration by);

  /// `wake` tells a loop to look at its timers. It is called with the clock locked: it may read the time, but must
  /// neither throw, wait, nor call `advance`, `subscribe` or `unsubscribe`.
  subscription subscribe(std::function<void()> wake);

  /// Once this returns, the subscriber is not being called and never will be.
  void unsubscribe(subscription id);

 private:
  std::atomic<time_point::rep> now_{start.time_since_epoch().count()};
  std::mutex mutex_;
  std::map<subscription, std::function<void()>> subscribers_;
  subscription next_id_ = 1;
};

} // namespace actnet::net
