#include "actnet/actors/lean_actor.hpp"

#include "actnet/actors/errors.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/net/log.hpp"

#include <caf/actor_cast.hpp>
#include <caf/atom.hpp>
#include <caf/default_attachable.hpp>
#include <caf/detail/sync_request_bouncer.hpp>
#include <caf/exit_reason.hpp>
#include <caf/system_messages.hpp>

#include <string>

namespace actnet {

lean_actor::lean_actor(caf::actor_config& cfg, loop_host& home)
    : monitorable_actor(cfg), home_(home.shared_from_this()) {}

lean_actor::~lean_actor() {
  while (auto raw = first_) { // it never began
    first_ = static_cast<caf::mailbox_element*>(raw->next);
    caf::mailbox_element_ptr message{raw};
    if (message->mid.is_request())
      caf::detail::sync_request_bouncer{make_error(errc::closed)}(*message);
  }
}

void lean_actor::start() {
  register_at_system(); // without it the system is destroyed under the actor
  intrusive_ptr_add_ref(ctrl());
  if (home_->is_current()) {
    run_begin(this, nullptr);
  } else if (!home_->loop().post(&run_begin, this, nullptr)) {
    const auto cause = make_error(errc::shutting_down);
    cannot_begin(cause);
    end(cause);
    intrusive_ptr_release(ctrl());
  }
}

void lean_actor::run_begin(void* self, void*) noexcept {
  auto& me = *static_cast<lean_actor*>(self);
  me.home_->adopt(me);
  me.begin(); // a handler that it makes may command it already
  me.begun_ = true;
  auto early = std::exchange(me.first_, nullptr);
  me.last_ = nullptr;
  while (auto raw = early) {
    early = static_cast<caf::mailbox_element*>(raw->next);
    if (!raw->sender) // its handler's constructor gave the command: there, nobody is running yet
      raw->sender = me.owner();
    me.arrive(caf::mailbox_element_ptr{raw});
  }
  if (me.home_->is_stopping() && !me.ended_)
    me.abort_now(net::errc::shutting_down);
  intrusive_ptr_release(me.ctrl()); // the host holds one of its own now
}

void lean_actor::enqueue(caf::strong_actor_ptr sender, caf::message_id id, caf::message content,
                         caf::execution_unit* unit) {
  enqueue(caf::make_mailbox_element(std::move(sender), id, {}, std::move(content)), unit);
}

void lean_actor::enqueue(caf::mailbox_element_ptr message, caf::execution_unit*) {
  if (home_->is_current()) {
    arrive(std::move(message));
    return;
  }
  if (!admit(*message))
    return;
  intrusive_ptr_add_ref(ctrl());
  auto raw = message.release();
  if (home_->loop().post(&run_arrive, this, raw))
    return;
  // The loop has ended and with it everything on it. The command still gets its answer or outcome, in this thread.
  message.reset(raw);
  const auto cause = make_error(errc::shutting_down);
  if (message->mid.is_request())
    caf::detail::sync_request_bouncer{cause}(*message);
  else if (auto outcome = failure_of(message->content(), cause); message->sender && !outcome.empty())
    message->sender->enqueue(ctrl(), caf::make_message_id(), std::move(outcome), nullptr);
  intrusive_ptr_release(ctrl());
}

void lean_actor::run_arrive(void* self, void* message) noexcept {
  auto& me = *static_cast<lean_actor*>(self);
  caf::mailbox_element_ptr command{static_cast<caf::mailbox_element*>(message)};
  me.take_in(*command);
  me.arrive(std::move(command));
  if (me.ended_)
    me.keep_for_this_turn();
  intrusive_ptr_release(me.ctrl());
}

void lean_actor::arrive(caf::mailbox_element_ptr message) noexcept {
  if (!begun_ && !ended_) {
    put_aside(std::move(message)); // its maker still holds it, and may yet drop it
    return;
  }
  if (!ended_ && !first_ && note(*message)) // else it waits its turn behind what was put aside
    return;
  put_aside(std::move(message));
  if (ended_)
    keep_for_this_turn();
  home_->loop().defer(*this);
}

void lean_actor::put_aside(caf::mailbox_element_ptr message) noexcept {
  message->next = nullptr;
  auto raw = message.release();
  if (last_)
    last_->next = raw;
  else
    first_ = raw;
  last_ = raw;
}

void lean_actor::keep_for_this_turn() {
  home_->retire(*this);
}

void lean_actor::serve() noexcept {
  while (auto raw = first_) {
    caf::mailbox_element_ptr message{raw};
    first_ = static_cast<caf::mailbox_element*>(raw->next);
    if (!first_)
      last_ = nullptr;
    raw->next = nullptr;
    try {
      if (ended_)
        after_end(*message);
      else
        dispatch(*message);
    } catch (...) {
      const auto what = to_text(std::current_exception());
      net::log_limited(net::log_level::error, "actor", std::string{name()} + ": a command failed: " + what);
      answer(*message, make_error(errc::other, what));
      if (!ended_)
        abort_now(errc::other);
    }
  }
}

void lean_actor::dispatch(caf::mailbox_element& message) {
  auto& content = message.content();
  if (content.match_elements<caf::exit_msg>()) {
    const auto& exit = content.get_as<caf::exit_msg>(0);
    on_exit_message(caf::actor_cast<caf::strong_actor_ptr>(exit.source), exit.reason);
  } else if (content.match_elements<caf::down_msg>()) {
    const auto& down = content.get_as<caf::down_msg>(0);
    on_down_message(caf::actor_cast<caf::strong_actor_ptr>(down.source), down.reason);
  } else if (!handle_system_message(message, home_.get(), true) && !note(message)) {
    on_message(message);
  }
}

void lean_actor::after_end(caf::mailbox_element& command) {
  const auto cause = make_error(errc::closed);
  if (command.mid.is_request())
    answer(command, cause);
  else if (auto outcome = failure_of(command.content(), cause); command.sender && !outcome.empty())
    command.sender->enqueue(ctrl(), caf::make_message_id(), std::move(outcome), home_.get());
}

caf::message lean_actor::failure_of(const caf::type_erased_tuple&, const caf::error&) const {
  return {};
}

void lean_actor::end(caf::error reason) {
  if (std::exchange(ended_, true))
    return;
  cleanup(std::move(reason), home_.get());
  unregister_from_system();
  if (place_ != not_adopted)
    home_->retire(*this);
}

void lean_actor::deliver_later(const caf::strong_actor_ptr& to, caf::mailbox_element_ptr message) {
  to->enqueue(std::move(message), home_.get());
}

void lean_actor::watch(const caf::strong_actor_ptr& whom) {
  whom->get()->attach(caf::default_attachable::make_monitor(whom->get()->address(), address()));
}

void lean_actor::unwatch(const caf::strong_actor_ptr& whom) {
  caf::default_attachable::observe_token token{address(), caf::default_attachable::monitor};
  whom->get()->detach(token);
}

hosted_actor* as_hosted(const caf::strong_actor_ptr& who) noexcept {
  return who ? dynamic_cast<hosted_actor*>(caf::actor_cast<caf::abstract_actor*>(who)) : nullptr;
}

} // namespace actnet
