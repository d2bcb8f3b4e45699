// An event-based actor that lives on a loop, if it is spawned on one.
#pragma once

#include "actnet/net/loop/clock.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace actnet {

class actor_timers;
class loop_host;

/// What became of an event that was handed to an actor on the stack.
enum class delivery : std::uint8_t { done, ended, skipped };

class hosted_actor;

/// The answer to a request, given later. Copies are the same promise. It is always kept: when its last copy goes, or
/// the actor that made it ends, whoever asked gets an error at once (CAF's own would leave them waiting). Belongs to
/// the thread of that actor.
class response_promise {
 public:
  /// Of nobody; nothing happens when it is delivered.
  response_promise() = default;

  bool pending() const noexcept { return state_ && state_->actor; }

  /// A value, or a `caf::error`. The first time.
  template <class... Ts>
  void deliver(Ts&&... values) {
    if (auto answer = take())
      answer->deliver(std::forward<Ts>(values)...);
  }

 private:
  friend class hosted_actor;

  struct state {
    state(hosted_actor& who, caf::response_promise answer);
    ~state();
    state(const state&) = delete;
    state& operator=(const state&) = delete;
    caf::response_promise release() noexcept;

    hosted_actor* actor; // null: kept
    caf::response_promise answer;
    state* next = nullptr; // among those of the actor
    state* before = nullptr;
  };

  std::optional<caf::response_promise> take() noexcept;

  std::shared_ptr<state> state_;
};

/// A timer of one actor. Not used again by that actor.
enum class timer_id : std::uint64_t { none = 0 };

/// Where it lives is where it is spawned: a configuration whose host is a loop (`spawn_on`, or a parent that lives on
/// one) makes it live there and be resumed by that loop's thread only; otherwise it is an ordinary actor of CAF's
/// scheduler, and everything here works as in its base class.
class hosted_actor : public caf::event_based_actor {
 public:
  explicit hosted_actor(caf::actor_config& cfg);
  ~hosted_actor() override;

  /// The loop it lives on, or null.
  loop_host* home() const noexcept { return home_.get(); }

  /// Whether an event may be handed to it on the stack: it lives on the calling thread's loop, is initialised and has
  /// nothing else to look at first. Otherwise an event would overtake messages that wait, or strand skipped ones.
  bool idle() noexcept;

  /// Hands it an element that lives on the caller's stack. Only while `idle`, from the bottom of the loop's stack. A
  /// skipped element is for the caller to put into the mailbox.
  delivery deliver(caf::mailbox_element& element);

  /// For a request that is answered later: in place of CAF's, which nobody keeps if the actor ends. Of nobody if the
  /// current message is no request.
  response_promise make_response_promise();

  // Timers, on the loops' clock, to be set in the actor's own turns or its constructor. Each firing is a turn of the
  // actor as a message is: `quit`, exceptions, `request`, commands to sockets and their outcomes are what they are
  // there. It comes behind messages that wait, and while the actor awaits a response it waits too. They end with the
  // actor. They are no judges of peers: after the loop was held up one may come before what a peer has sent in time is
  // read, where the timeouts of sockets wait for that. `net::timer` is for code of a loop that is no actor.

  /// Has `fun` called once, `wait` from now: at the next occasion if that is zero or less, never if it is longer than
  /// the clock can count.
  template <class Rep, class Period>
  timer_id run_after(std::chrono::duration<Rep, Period> wait, std::function<void()> fun) {
    const auto when = now();
    return add_timer(wait > wait.zero() ? net::later(when, wait) : when, std::nullopt, std::move(fun));
  }

  /// Has `fun` called each `period`, for the first time in one from now. What falls behind is not made up for: after a
  /// turn that was longer it fires once, and then in a period. Zero: as often as the loop goes round, which keeps it
  /// from sleeping.
  template <class Rep, class Period>
  timer_id run_every(std::chrono::duration<Rep, Period> period, std::function<void()> fun) {
    const auto every =
        period > period.zero() ? net::later(net::time_point{}, period).time_since_epoch() : net::duration::zero();
    return add_timer(net::later(now(), every), every, std::move(fun));
  }

  /// From now on `which` does not fire, also if it is due. It may be called by what the timer calls. One that has fired
  /// for the last time or was cancelled before is no mistake.
  void cancel(timer_id which) noexcept;

  using caf::event_based_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit* unit) override;
  void launch(caf::execution_unit* unit, bool lazy, bool hide) override;
  caf::resumable::subtype_t subtype() const override;
  resume_result resume(caf::execution_unit* unit, std::size_t max_throughput) override;
  bool cleanup(caf::error&& reason, caf::execution_unit* unit) override;

 private:
  friend class actor_timers;
  friend class loop_host;
  friend struct response_promise::state;

  delivery deliver_by_default(caf::mailbox_element& element);
  delivery end_turn();
  delivery fail_turn() noexcept;

  net::time_point now() const;
  timer_id add_timer(net::time_point when, std::optional<net::duration> every, std::function<void()> fun);
  void take_turn_of(timer_id which) noexcept;
  void forget_response(caf::message_id which) noexcept;

  /// Only `on_exit` can throw so far: CAF calls it outside its own try. The actor ends without it.
  void end_by_exception() noexcept;

  const std::shared_ptr<loop_host> home_;
  response_promise::state* promises_ = nullptr; // not kept yet
  std::unique_ptr<actor_timers> timers_;        // null: it never had one
  std::uint32_t place_ = not_adopted;           // in the host's list
  bool threw_ = false;
  bool has_skipped_ = false; // since it ran last: messages wait in CAF's skip caches
  static constexpr std::uint32_t not_adopted = 0xffff'ffff;
};

} // namespace actnet
