// Timers of one loop: a timer embedded in its user, and the queue that fires those that are due.
// No clock and no kernel timer: the loop says what time it is and sleeps until `next_deadline()`.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "actnet/net/loop/clock.hpp"

namespace actnet::net {

/// Something that happens once, at a deadline. Its user embeds it (as a member or a base), owns it, and cancels it
/// before destroying it; the queue only points to it. Like its queue it belongs to one thread.
///
/// For code that is the loop's own. An actor has timers of its own (`actnet::hosted_actor::run_after`): what is called
/// from here is no turn of an actor, so that nothing there could end it, catch what it throws, or tell whose order it
/// is.
class timer {
 public:
  timer() = default;
  virtual ~timer() { assert(!armed()); }
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;

  /// Called by the queue once per arming, never before the deadline. The timer is no longer armed by then: it may be
  /// armed again or destroyed in here. `now` is the same for all timers of one round.
  virtual void on_timer(time_point now) noexcept = 0;

  bool armed() const noexcept { return index_ != unarmed; }

  /// The deadline it was last armed with.
  time_point deadline() const noexcept { return deadline_; }

 private:
  friend class timer_queue;
  static constexpr std::uint32_t unarmed = 0xffff'ffff;

  time_point deadline_{};
  std::uint32_t index_ = unarmed; ///< Where the queue keeps it.
};

/// Armed timers in order of deadline; those with the same deadline in the order in which they were (last) armed.
///
/// A 4-ary heap: arming and cancelling take O(log n) and allocate nothing beyond the occasional growth of one array,
/// which never shrinks. At most 2^31 - 1 timers. Single thread. A queue that is destroyed disarms what it holds.
class timer_queue {
 public:
  timer_queue() = default;
  ~timer_queue();
  timer_queue(const timer_queue&) = delete;
  timer_queue& operator=(const timer_queue&) = delete;

  /// Arms `which`, or moves it if it is armed already; then it comes last among those of the same deadline. A deadline
  /// in the past is due in the next round. Only this member can throw (bad_alloc), and then nothing has changed.
  void arm(timer& which, time_point deadline);

  /// Nothing happens if `which` is not armed. A timer armed in another queue is a mistake of the caller (asserted).
  void cancel(timer& which) noexcept;

  /// `time_point::max()`: nothing is armed, or nothing that will ever be due.
  time_point next_deadline() const noexcept {
    if (!parked_.empty()) [[unlikely]]
      return next_with_parked();
    return heap_.empty() ? time_point::max() : heap_.front().deadline;
  }
  std::size_t size() const noexcept { return heap_.size() + parked_.size(); }

  /// One round: fires the timers that are due at `now` (deadline <= now) and returns how many that were. `after_each()`
  /// is called after each of them. Both it and `on_timer` may arm and cancel any timer of this queue:
  /// - one that is cancelled, or moved to later than `now`, does not fire in this round, even if it was due;
  /// - one that is armed or moved to `now` or earlier waits for the next round, so a round always ends.
  /// Rounds do not nest (asserted).
  template <class AfterEach>
  std::size_t fire_due(time_point now, AfterEach&& after_each) {
    if (next_deadline() > now) [[likely]]
      return 0;
    begin_round(now);
    return finish_round(after_each);
  }

  /// `fire_due` in two halves, with something else to do between them: a round is under way from the first on, so that
  /// what is armed for `now` or earlier in between waits for the next one. The second must follow, unless the queue is
  /// destroyed.
  void begin_round(time_point now) noexcept {
    assert(!round_);
    round_ = now;
  }
  template <class AfterEach>
  std::size_t finish_round(AfterEach&& after_each) {
    const round_end ends{*this};
    const auto now = *round_;
    std::size_t fired = 0;
    while (timer* due = take_due(now)) {
      due->on_timer(now);
      ++fired;
      after_each();
    }
    return fired;
  }

 private:
  struct entry {
    time_point deadline;
    std::uint64_t sequence;
    timer* which;
  };

  /// Ends the round also if `after_each` throws.
  class round_end {
   public:
    explicit round_end(timer_queue& queue) noexcept : queue_(queue) { assert(queue_.round_); }
    ~round_end();
    round_end(const round_end&) = delete;
    round_end& operator=(const round_end&) = delete;

   private:
    timer_queue& queue_;
  };

  /// Set in the index of a timer in `parked_`; the rest is the position there.
  static constexpr std::uint32_t parked_bit = 0x8000'0000;

  static bool before(const entry& a, const entry& b) noexcept {
    return a.deadline != b.deadline ? a.deadline < b.deadline : a.sequence < b.sequence;
  }
  static void make_room(std::vector<entry>& entries, std::size_t count);

  time_point next_with_parked() const noexcept;
  timer* take_due(time_point now) noexcept;
  void park(const entry& item) noexcept;
  void push(const entry& item) noexcept;
  void place(std::size_t index, const entry& item) noexcept;
  void sift_up(std::size_t index, const entry& item) noexcept;
  void sift_down(std::size_t index, const entry& item) noexcept;

  std::vector<entry> heap_;   ///< Its capacity is never below size(): the end of a round cannot fail.
  std::vector<entry> parked_; ///< Armed during the round with a deadline that is due already. Unordered.
  std::uint64_t next_sequence_ = 0;
  std::optional<time_point> round_; ///< `now` of the round under way.
};

} // namespace actnet::net
