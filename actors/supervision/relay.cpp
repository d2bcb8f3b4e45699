#include "actnet/actors/supervision/relay.hpp"

#include "actnet/actors/errors.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/net/log.hpp"

#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/make_actor.hpp>
#include <caf/message.hpp>

#include <utility>

namespace actnet {

relay::relay(caf::actor_config& cfg, loop_host& home, std::string path)
    : monitorable_actor(cfg), home_(home.shared_from_this()), path_(std::move(path)) {}

caf::strong_actor_ptr relay::make(loop_host& home, std::string path) {
  auto& system = home.system();
  caf::actor_config cfg{&home};
  auto made = caf::make_actor<relay, caf::strong_actor_ptr>(system.next_actor_id(), system.node(), &system, cfg, home,
                                                            std::move(path));
  static_cast<relay&>(*made->get()).register_at_system();
  return made;
}

void relay::connect(caf::strong_actor_ptr child) {
  std::lock_guard guard{mutex_};
  child_ = std::move(child);
}

void relay::disconnect(net::errc cause) {
  std::lock_guard guard{mutex_};
  child_ = nullptr;
  without_child_ = cause;
}

void relay::end(caf::error reason) {
  if (std::exchange(ended_, true))
    return;
  disconnect(net::errc::closed);
  cleanup(std::move(reason), home_.get());
  unregister_from_system();
}

void relay::enqueue(caf::strong_actor_ptr sender, caf::message_id id, caf::message content, caf::execution_unit* unit) {
  enqueue(caf::make_mailbox_element(std::move(sender), id, {}, std::move(content)), unit);
}

void relay::enqueue(caf::mailbox_element_ptr message, caf::execution_unit* unit) {
  if (home_->is_current()) { // no other thread writes, and the child is held until this returns
    if (child_)
      child_->enqueue(std::move(message), unit);
    else
      drop(std::move(message), without_child_);
    return;
  }
  std::unique_lock lock{mutex_};
  const auto child = child_;
  const auto cause = without_child_;
  lock.unlock();
  if (child)
    child->enqueue(std::move(message), unit);
  else
    drop(std::move(message), cause);
}

void relay::drop(caf::mailbox_element_ptr message, net::errc cause) {
  if (message->mid.is_request() && message->sender) // CAF's own bouncer would tell another cause
    message->sender->enqueue(nullptr, message->mid.response_id(), caf::make_message(make_error(cause)), nullptr);
  else
    net::log_limited(net::log_level::warning, "supervisor",
                     path_ + ": a message is lost: " + std::string{net::to_string(cause)});
}

} // namespace actnet
