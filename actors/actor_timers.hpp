// The timers of one actor: each firing is a turn of it.
#pragma once

#include "actnet/actors/hosted_actor.hpp"
#include "actnet/net/loop/timers.hpp"

#include <caf/message_id.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace actnet {

/// Belongs to the actor's thread, but for `add` while the actor is being made. On the actor's loop a timer that fires
/// takes its turn on the stack, if the actor is idle, else through the mailbox, as an event does. An actor on CAF's
/// scheduler borrows the timers of a loop. Slots are used again, so that arming allocates no more than what `fun`
/// holds.
class actor_timers {
 public:
  explicit actor_timers(hosted_actor& owner) noexcept;
  ~actor_timers();
  actor_timers(const actor_timers&) = delete;
  actor_timers& operator=(const actor_timers&) = delete;

  timer_id add(net::time_point when, std::optional<net::duration> every, std::function<void()> fun);
  void cancel(timer_id which) noexcept;

  /// The actor has arrived on its loop: from now on timers can fire.
  void begin();

  /// Calls what `which` is for, in a turn of the actor.
  void run(timer_id which);

 private:
  class slot;
  class borrowed;

  slot* find(timer_id which) noexcept;
  void arm(slot& which);
  void disarm(slot& which) noexcept;
  void free(slot& which) noexcept;
  void run_by_message(slot& which);
  caf::message_id await_message(timer_id which);

  hosted_actor& owner_;
  std::vector<std::unique_ptr<slot>> slots_;
  std::vector<std::uint32_t> unused_;
  bool begun_ = false;
};

} // namespace actnet
