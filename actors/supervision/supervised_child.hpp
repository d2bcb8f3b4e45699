// What a supervisor knows of a child, and what it is doing at a time. Only for supervisor_actor's own sources.
#pragma once

#include "actnet/actors/errors.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/supervision/supervisor_actor.hpp"
#include "actnet/net/log.hpp"

#include <caf/actor_cast.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace actnet {

/// To a supervisor, from itself: a timer left something to do, for which it needs a turn.
struct take_turn {};

} // namespace actnet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::take_turn)

namespace actnet {

/// How a child ended, for the log.
inline std::string in_words(const caf::error& reason) {
  if (!reason || reason == caf::exit_reason::normal)
    return "normally";
  return reason == caf::exit_reason::kill ? "killed" : to_text(reason);
}

/// The timer is for its end, or for its next start.
struct supervisor_actor::child final : net::timer, std::enable_shared_from_this<child> {
  child(supervisor_actor& b, child_spec s) : boss(b), spec(std::move(s)) {}
  ~child() override { boss_timers().cancel(*this); }

  supervisor_actor& boss;
  child_spec spec;
  std::list<child_ptr>::iterator place;
  caf::strong_actor_ptr handle; // a relay, unless it is temporary
  caf::actor who;               // while it lives
  started_child::nature is = started_child::nature::plain;
  child_state state = child_state::stopped;
  std::uint64_t starts = 0;
  std::optional<backoff> delays;
  net::time_point began_at{};
  std::shared_ptr<kept_socket> kept;
  caf::error last_reason;
  std::string complaint;            // why its socket did not open
  bool asked_for = false;           // by a message
  bool awaited = false;             // its end is, by what is being done
  bool to_be_restarted = false;     // it is being ended for that
  bool end_waits = false;           // to be dealt with
  const child* waits_for = nullptr; // to be started again, and this one after it

  net::timer_queue& boss_timers() const { return boss.home()->loop().timers(); }
  relay* stable() const { return handle ? static_cast<relay*>(handle->get()) : nullptr; }
  bool owns_socket() const { return is == started_child::nature::listener || is == started_child::nature::datagrams; }

  void on_timer(net::time_point) noexcept override {
    if (state == child_state::stopping) {
      boss.log_of_child(net::log_level::warning, path() + " does not end in time and is killed");
      caf::anon_send_exit(who, caf::exit_reason::kill);
    } else if (state == child_state::restarting) {
      boss.waiting_.push_back({[me = shared_from_this()] { me->boss.start_again(me); }, {}});
      boss.send(&boss, take_turn{}); // outside of a turn an actor cannot end
    }
  }

  std::string path() const { return boss.path_ + "/" + spec.id; }

  /// By which others know it.
  caf::actor public_handle() const { return handle ? caf::actor_cast<caf::actor>(handle) : who; }

  /// Nobody comes after it.
  void let_go_of_socket() {
    if (kept)
      std::exchange(kept, nullptr)->abandon();
  }
};

/// Children that are ended, group by group, and children that are then started, one by one.
struct supervisor_actor::work {
  std::deque<std::vector<child_ptr>> stops;
  std::deque<child_ptr> starts;
  bool to_be_restarted = false; // those that are ended
  bool some_called_off = false; // what may not be started since all drains is left out, and the others are started
  std::function<void(const child_ptr& failed, const caf::error& cause)> done;
  response_promise asked = {};

  std::size_t awaited = 0; // ends
  child_ptr starting;
};

} // namespace actnet
