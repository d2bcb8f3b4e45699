// The base of the actors that own a socket: an actor without a mailbox and without a behaviour.
#pragma once

#include "actnet/net/error.hpp"
#include "actnet/net/loop/loop.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/monitorable_actor.hpp>

#include <cstdint>
#include <memory>
#include <utility>

namespace actnet {

class hosted_actor;
class loop_host;

/// Lives on one loop from its birth to its end. `enqueue` does no I/O, emits nothing and takes no lock of CAF's: on its
/// own loop it puts the command aside, from another thread it posts it to the loop. What is put aside is carried out at
/// the end of the turn, from the bottom of the loop's stack, where no other actor's code is running.
///
/// A command is answered also after the end: `after_end` does so, for as long as somebody holds the actor.
class lean_actor : public caf::monitorable_actor, private net::deferred {
 public:
  lean_actor(caf::actor_config& cfg, loop_host& home);
  ~lean_actor() override;

  /// Makes it known to the system and begins it in its loop's thread. Any thread, once.
  void start();

  loop_host& home() const noexcept { return *home_; }

  // -- caf::abstract_actor ---------------------------------------------------------------------

  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit* unit) final;
  void enqueue(caf::strong_actor_ptr sender, caf::message_id id, caf::message content, caf::execution_unit* unit) final;

 protected:
  /// The first thing it does on its loop.
  virtual void begin() = 0;

  /// In place of `begin`, in the thread that called `start`, when the loop has ended: tells whom it would have told.
  virtual void cannot_begin(const caf::error& cause) = 0;

  /// In another thread than the loop's, before a command travels there: takes room for it. False: there is none;
  /// whoever sent it gets its outcome, and it is dropped here. Each that travels is taken in, in the loop's thread,
  /// before anything else is done with it.
  virtual bool admit(caf::mailbox_element&) { return true; }
  virtual void take_in(const caf::mailbox_element&) noexcept {}

  /// Gets a command at once, in the loop's thread but inside somebody else's turn: it may only note what is asked.
  /// Returns false to get it through `on_message` at the end of the turn.
  virtual bool note(caf::mailbox_element& command) = 0;

  /// Carries out a command. May answer, emit and end.
  virtual void on_message(caf::mailbox_element& command) = 0;

  /// A command that came after the end.
  virtual void after_end(caf::mailbox_element& command);

  /// What a command that was not sent as a request comes to when it fails, as a message to its sender; nothing if it
  /// has no outcome. Any thread, also after the loop's end.
  virtual caf::message failure_of(const caf::type_erased_tuple& command, const caf::error& cause) const;

  /// Whoever watches it or is linked to it ended, or sent an exit.
  virtual void on_exit_message(const caf::strong_actor_ptr& source, const caf::error& reason) = 0;
  virtual void on_down_message(const caf::strong_actor_ptr& source, const caf::error& reason) = 0;

  /// Lets go of the socket at once: the loop is stopping. Must lead to `end`.
  virtual void abort_now(net::errc cause) = 0;

  /// Whether nothing of it waits for the end of the turn any more (beyond the commands put aside here).
  virtual bool quiescent() const noexcept { return true; }

  /// Whose socket it is: the sender of what its handler's constructor commands.
  virtual caf::strong_actor_ptr owner() const { return nullptr; }

  /// Whether a command can be noted at once: it has begun, and none is waiting before it.
  bool takes_at_once() const noexcept { return begun_ && !first_; }
  bool begun() const noexcept { return begun_; }
  bool ended() const noexcept { return ended_; }

  /// Tells its monitors and links, and lets the host go of it. Once; nothing but `after_end` follows.
  void end(caf::error reason);

  /// Keeps it for the rest of this turn, when it has already ended.
  void keep_for_this_turn();

  // -- answering -------------------------------------------------------------------------------

  /// Answers a request; does nothing for a plain message.
  template <class... Ts>
  void answer(const caf::mailbox_element& request, Ts&&... values) {
    if (request.mid.is_request() && !request.mid.is_answered() && request.sender)
      send(request.sender, request.mid.response_id(), std::forward<Ts>(values)...);
  }

  /// A request that is answered later.
  struct pending_request {
    caf::strong_actor_ptr sender;
    caf::message_id id;
  };
  static pending_request answer_later(const caf::mailbox_element& request) { return {request.sender, request.mid}; }

  template <class... Ts>
  void answer(const pending_request& request, Ts&&... values) {
    if (request.id.is_request())
      send(request.sender, request.id.response_id(), std::forward<Ts>(values)...);
  }

  /// Sends through the mailbox of `to`.
  template <class... Ts>
  void send(const caf::strong_actor_ptr& to, caf::message_id id, Ts&&... values) {
    if (to)
      deliver_later(to, caf::make_mailbox_element(caf::strong_actor_ptr{ctrl()}, id, {}, std::forward<Ts>(values)...));
  }

  /// Hands an event to `owner`: on the stack if it is idle here, else through its mailbox. `hosted` is the same actor
  /// as one of ours, or null. Only from the bottom of the loop's stack.
  template <class Event>
  void tell(const caf::strong_actor_ptr& owner, hosted_actor* hosted, Event&& event);

  /// The first half of that: returns whether the event has been dealt with; if not, it is as it was.
  template <class Event>
  bool tell_now(hosted_actor* hosted, Event& event);

  /// Begins to watch `whom`: `on_down_message` tells its end. At once if it has ended.
  void watch(const caf::strong_actor_ptr& whom);
  void unwatch(const caf::strong_actor_ptr& whom);

 private:
  friend class loop_host;

  void serve() noexcept final;
  void arrive(caf::mailbox_element_ptr message) noexcept;
  void put_aside(caf::mailbox_element_ptr message) noexcept;
  void dispatch(caf::mailbox_element& message);
  void deliver_later(const caf::strong_actor_ptr& to, caf::mailbox_element_ptr message);
  static void run_begin(void* self, void*) noexcept;
  static void run_arrive(void* self, void* message) noexcept;

  const std::shared_ptr<loop_host> home_;
  caf::mailbox_element* first_ = nullptr; // put aside, in order
  caf::mailbox_element* last_ = nullptr;
  std::uint32_t place_ = not_adopted; // in the host's list
  bool begun_ = false;
  bool ended_ = false;
  bool retired_ = false; // the host holds it until the end of the turn
  static constexpr std::uint32_t not_adopted = 0xffff'ffff;
};

/// The actor behind `who` as one of ours, or null.
hosted_actor* as_hosted(const caf::strong_actor_ptr& who) noexcept;

} // namespace actnet

#include "actnet/actors/hosted_actor.hpp"

namespace actnet {

template <class Event>
void lean_actor::tell(const caf::strong_actor_ptr& owner, hosted_actor* hosted, Event&& event) {
  if (owner && !tell_now(hosted, event))
    send(owner, caf::make_message_id(), std::move(event));
}

template <class Event>
bool lean_actor::tell_now(hosted_actor* hosted, Event& event) {
  if (!hosted || !hosted->idle())
    return false;
  // To make one and to destroy it would cost nearly as much as the delivery; none happens within another.
  thread_local caf::mailbox_element_vals<Event> element{nullptr, caf::make_message_id(), {}, Event{}};
  auto& content = std::get<0>(element.data());
  const auto self = ctrl();
  // The host's reference keeps this actor, so the element counts none of its own.
  element.sender = caf::strong_actor_ptr{self, false};
  // Marked as answered: it is an event, so a value that a handler returns goes nowhere, and CAF makes no promise for
  // it.
  element.mid = caf::make_message_id();
  element.mid.mark_as_answered();
  content = std::move(event);
  const auto became = hosted->deliver(element);
  if (element.sender.get() == self)
    element.sender.detach();
  else
    intrusive_ptr_add_ref(self); // somebody moved it out
  if (became == delivery::skipped)
    event = std::move(content);
  content = {};
  return became != delivery::skipped;
}

} // namespace actnet
