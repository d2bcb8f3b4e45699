// An event loop: one thread that serves sockets, timers, work posted from other threads, and a resident (the actors
// that live on it). Nothing here knows what an actor is.
#pragma once

#include "actnet/net/bytes/block_pool.hpp"
#include "actnet/net/loop/backend.hpp"
#include "actnet/net/loop/clock.hpp"
#include "actnet/net/loop/timers.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace actnet::net {

class deferred;

/// The place of a `deferred` in the loop's queue. A base of its own, because a class with virtual functions and a
/// friend is one that the friend could delete.
class deferred_place {
 public:
  bool is_deferred() const noexcept { return queued_; }

 private:
  friend class loop;
  deferred* next_ = nullptr;
  bool queued_ = false;
};

/// Work put off to the end of the present turn, when no other code of its owner is on the stack: there system calls
/// are made and events arise. An object must not go away between `loop::defer` and `serve`.
class deferred : public deferred_place {
 public:
  virtual void serve() noexcept = 0;

 protected:
  ~deferred() = default;
};

/// What else runs on a loop's thread.
class resident {
 public:
  /// Runs what is ready, calling `loop::after_turn` after each piece of it. Returns whether more is ready.
  virtual bool run_ready() noexcept = 0;

  /// Names what ran in the turn that just ended, for the turn alarm.
  virtual std::string last_turn() const = 0;

 protected:
  ~resident() = default;
};

using backend_factory = std::function<result<std::unique_ptr<backend>>()>;

struct loop_options {
  clock* time = nullptr;                                                ///< Null: the monotonic clock.
  backend_factory make_backend = {};                                    ///< Empty: epoll.
  std::chrono::milliseconds turn_alarm = std::chrono::milliseconds{25}; ///< A longer turn is logged; 0: none.
};

class loop final : private turns {
 public:
  /// Fails when the kernel refuses the backend's descriptors.
  static result<std::unique_ptr<loop>> make(loop_options options = {});
  ~loop();
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;

  // -- the loop's thread -------------------------------------------------------------------

  /// Serves until `stop`. The calling thread is the loop's from then on, and has SIGPIPE blocked: sendfile(2) raises it
  /// where everything else can be told not to.
  void run();

  /// One round: posted work (so much of it, see `posts_per_round`), the resident, timers, sockets; waits for sockets
  /// only if `may_wait` and nothing else is due. For tests and simulation, which pump a loop by hand. Returns whether
  /// it did anything or left anything to do: only after a round without either is the loop at rest.
  bool run_once(bool may_wait);

  /// Makes the calling thread the loop's without running it.
  void adopt_thread() noexcept;

  /// Before it runs.
  void set_resident(resident* who) noexcept { resident_ = who; }
  void set_turn_alarm(std::chrono::milliseconds alarm) noexcept {
    turn_alarm_ = alarm;
    long_part_ = alarm.count() > 0 ? std::min<duration>(alarm, as_good_as_now) : as_good_as_now;
  }

  /// Queues `work` for the end of this turn, once, however often it is called.
  void defer(deferred& work) noexcept;

  bool has_deferred() const noexcept { return first_deferred_ != nullptr; }

  /// Ends a turn: raises the alarm when it was too long, then serves what was deferred, in the next one's time.
  void after_turn() noexcept override;

  /// Code of the resident runs now: when that is in what was deferred, the alarm looks at once how long it took, while
  /// it can still tell whose it was.
  void resident_runs() noexcept { resident_ran_ = true; }

  /// About the time at which this turn began: free, and good enough for what is measured in rounds, such as how long a
  /// peer was silent. After a turn of more than some milliseconds it is read anew; in such a turn it stays what it was.
  time_point now() const noexcept { return now_; }

  /// The clock's time, for what begins now and is measured from here: as `deadline_in`.
  time_point exactly_now() const noexcept { return clock_.now(); }

  /// `wait` from now on, by the clock: for a deadline that somebody asks for.
  time_point deadline_in(timeout wait) const noexcept { return later(clock_.now(), wait); }

  /// Counts the turns, so that who ran in this one can be told from who ran before.
  std::uint64_t turn() const noexcept { return turn_; }

  timer_queue& timers() noexcept { return timers_; }

  /// The timers that judge somebody: a peer that is silent, takes nothing or does not answer in time. Those that are
  /// due fire only once the kernel has told all that it had to tell by then, also what came while the loop was held up
  /// by a long turn or the process was stopped; that takes a bounded number of polls, however much is going on. After
  /// such a stop, which shows in timers that are late by more than a second, they wait for one second more (but for
  /// those of a manual clock): others on this machine were stopped too.
  timer_queue& judging_timers() noexcept { return judging_timers_; }
  backend& io() noexcept { return *backend_; }
  clock& time() noexcept { return clock_; }

  /// Of the loop's thread, while it runs; payloads that are dropped there go to it.
  const block_pool& pool() const noexcept { return pool_; }

  /// Rung by payloads when a starved account gets credit. Outlives the loop; then, and also for the accounts of a loop
  /// that had it before, a ring means nothing.
  credit_bell& bell() noexcept;
  /// Has `who` served at every ring until `stop_awaiting_credit`. The loop's thread.
  void await_credit(deferred& who);
  void stop_awaiting_credit(deferred& who) noexcept;

  /// What is posted beyond these waits for the next round: sockets and timers have their turn in between.
  static constexpr std::size_t posts_per_round = 256;

  // -- any thread --------------------------------------------------------------------------

  /// Has `work(object, argument)` called in the loop's thread, in the order of posting per thread. `false`: the loop
  /// has ended, nothing will be called.
  bool post(void (*work)(void* object, void* argument) noexcept, void* object, void* argument) noexcept;

  /// Ends `run` after the present round.
  void stop() noexcept;

  /// Refuses further posts and runs those that came before. The loop's thread or, when `run` has returned, any.
  void close_inbox() noexcept;

  /// Gives the backend's descriptors back, when `run` has returned and the inbox is closed: whoever holds the loop
  /// longer holds memory only. After it nothing may be called here but `post`, which is refused, and what only reads.
  void let_go_of_backend() noexcept;

  bool in_loop_thread() const noexcept;

  /// How often the loop came back from waiting; for tests of its silence.
  std::uint64_t wake_ups() const noexcept { return wake_ups_.load(std::memory_order_relaxed); }

 private:
  struct posted {
    void (*run)(void*, void*) noexcept;
    void* object;
    void* argument;
  };
  class gate;

  /// So long may pass before `now` is read anew.
  static constexpr std::chrono::milliseconds as_good_as_now{10};

  loop(loop_options options, std::unique_ptr<backend> io);
  bool round(bool may_wait);
  void on_awake(bool waited) noexcept override;
  bool run_posted(std::size_t at_most) noexcept;
  void run_batch(std::size_t at_most) noexcept;
  void judge() noexcept;
  void after_part() noexcept;
  void after_long_part(duration took) noexcept;
  time_point next_deadline() const noexcept;
  void raise_turn_alarm(duration took) const noexcept;
  void ring() noexcept;
  void serve_credit() noexcept;

  clock& clock_;
  std::uint64_t clock_subscription_ = 0;
  duration turn_alarm_{};
  duration long_part_{};
  std::unique_ptr<backend> backend_;
  timer_queue timers_;
  timer_queue judging_timers_;
  time_point judging_after_{};
  bool hearing_ = false; // a round of `judging_timers_` has begun and waits for what the kernel has to tell
  resident* resident_ = nullptr;
  time_point now_{};
  time_point awake_at_{}; // by which timers fire: when the sockets were looked at last
  time_point turn_began_{};
  std::uint64_t turn_ = 1;
  deferred* first_deferred_ = nullptr;
  deferred* last_deferred_ = nullptr;
  std::vector<deferred*> awaiting_credit_;
  std::vector<posted> running_; // the batch of the inbox that is being run
  std::size_t next_running_ = 0;
  bool served_ = false;       // a turn ended in this round
  bool resident_ran_ = false; // since the last turn's end
  block_pool pool_;
  gate* gate_ = nullptr;
  std::atomic<std::thread::id> thread_{};
  std::atomic<std::uint64_t> wake_ups_{0};

  // Shared with other threads. `sleeping_` is set before the inbox is looked at for the last time and the thread
  // sleeps; a poster looks at it after it has posted. The other order loses wake-ups.
  std::mutex inbox_mutex_;
  std::vector<posted> inbox_;
  bool inbox_closed_ = false;
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> credit_returned_{false};
  std::atomic<bool> stopping_{false};
};

} // namespace actnet::net
