// What the typed handles have in common: a counted reference to an actor that owns a socket.
#pragma once

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/duration.hpp>
#include <caf/mailbox_element.hpp>

#include <utility>

namespace actnet {

/// A value; copies refer to the same actor. May be used in any thread. An empty one ignores commands.
class handle {
 public:
  handle() = default;
  explicit handle(caf::strong_actor_ptr target) noexcept : target_(std::move(target)) {}

  explicit operator bool() const noexcept { return static_cast<bool>(target_); }
  friend bool operator==(const handle& a, const handle& b) noexcept { return a.target_ == b.target_; }

  /// The actor, to be watched, linked to, or sent a request.
  caf::actor actor() const { return caf::actor_cast<caf::actor>(target_); }
  const caf::strong_actor_ptr& pointer() const noexcept { return target_; }

  /// Asks `self`'s question: `conn.request(self, stream::get_info{}).then(...)`. Every command is answered, also by a
  /// socket that is gone, so there is no timeout. (Across nodes, monitor the actor.)
  template <class Self, class Command>
  auto request(Self* self, Command command) const {
    return self->request(actor(), caf::infinite, std::move(command));
  }

 protected:
  /// Sends in the name of the actor whose code this thread runs (see this_actor.hpp); nobody's if there is none.
  template <class Command>
  void tell(Command command) const {
    if (target_)
      target_->enqueue(caf::make_mailbox_element(sender(), caf::make_message_id(), {}, std::move(command)), nullptr);
  }

  static caf::strong_actor_ptr sender();

 private:
  caf::strong_actor_ptr target_;
};

} // namespace actnet
