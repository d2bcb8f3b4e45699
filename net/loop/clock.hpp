// Where the library's time comes from: the kernel's monotonic clock, or one that a test moves by hand.
// Wall-clock time is not here: nothing in the library waits for a date.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <ratio>
#include <type_traits>
#include <utility>

namespace actnet::net {

using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::nanoseconds;

/// `time` in another unit, cut off towards zero, as `std::chrono::duration_cast` does it; but what does not fit becomes
/// the longest duration there is (292 years in nanoseconds), or the most negative one. No number (NaN) is zero.
template <class To, class Rep, class Period>
constexpr To saturated(std::chrono::duration<Rep, Period> time) noexcept {
  using ratio = std::ratio_divide<Period, typename To::period>;
  if constexpr (std::is_integral_v<Rep> && ratio::den == 1) {
    typename To::rep count{};
    if (__builtin_mul_overflow(time.count(), ratio::num, &count))
      return time.count() > 0 ? To::max() : To::min();
    return To{count};
  } else if constexpr (std::is_integral_v<Rep> && ratio::num == 1) {
    const auto count = time.count() / static_cast<std::common_type_t<Rep, std::intmax_t>>(ratio::den);
    return std::in_range<typename To::rep>(count) ? To{static_cast<typename To::rep>(count)} : To::max();
  } else {
    const auto count = static_cast<long double>(time.count()) * ratio::num / ratio::den;
    if (count >= static_cast<long double>(To::max().count()))
      return To::max();
    if (count <= static_cast<long double>(To::min().count()))
      return To::min();
    return count == count ? To{static_cast<typename To::rep>(count)} : To::zero();
  }
}

/// How long something may take, as an argument: any duration, which may be longer than there are nanoseconds for.
class timeout {
 public:
  constexpr timeout() noexcept = default;
  template <class Rep, class Period>
  constexpr timeout(std::chrono::duration<Rep, Period> time) noexcept : time_(saturated<duration>(time)) {}

  constexpr operator duration() const noexcept { return time_; }
  constexpr duration::rep count() const noexcept { return time_.count(); }

  friend constexpr bool operator==(timeout, timeout) noexcept = default;

 private:
  duration time_{0};
};

/// The time `wait` after `since` (before it, if that is negative); the latest or the earliest time there is, if that
/// lies beyond it.
inline time_point later(time_point since, timeout wait) noexcept {
  time_point::rep at{};
  if (__builtin_add_overflow(since.time_since_epoch().count(), wait.count(), &at))
    return wait.count() > 0 ? time_point::max() : time_point::min();
  return time_point{time_point::duration{at}};
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
