#include "actnet/actors/sequential/datagram_owner.hpp"

#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/make_lean.hpp"

#include <caf/actor_cast.hpp>
#include <caf/exit_reason.hpp>

#include <utility>

namespace actnet::sequential {

// -- the owner ---------------------------------------------------------------------------------------

void datagram_owner::cannot_begin(const caf::error& cause) {
  closed_ = true;
  if (auto waiting = std::exchange(binding_, nullptr))
    waiting->fail(cause);
}

void datagram_owner::on_message(caf::mailbox_element& command) {
  auto& content = command.content();
  if (command.mid.is_response()) {
    const auto found = asked_.find(command.mid.request_id().integer_value());
    if (found == asked_.end())
      return;
    auto& who = *found->second;
    asked_.erase(found);
    who.answered(content.match_elements<caf::error>() ? content.get_as<caf::error>(0) : caf::error{});
  } else if (content.match_elements<datagram::received>()) {
    const auto& r = content.get_as<datagram::received>(0);
    took({r.payload, r.from, r.to, r.truncated, r.to_many});
  } else if (content.match_elements<datagram::closed>()) {
    const auto& cause = content.get_as<datagram::closed>(0).cause;
    refuse_all(cause ? cause : make_error(errc::closed));
    end({});
  } else if (content.match_elements<bound>()) {
    const auto& b = content.get_as<bound>(0);
    socket_ = b.socket;
    local_ = b.local;
    if (auto waiting = std::exchange(binding_, nullptr))
      waiting->succeed();
  } else if (content.match_elements<bind_failed>()) {
    if (auto waiting = std::exchange(binding_, nullptr))
      waiting->fail(content.get_as<bind_failed>(0).cause);
    end({});
  } else if (!content.match_elements<datagram::writable>() && !content.match_elements<datagram::sent>()) {
    answer(command, make_error(errc::unexpected_message));
  }
}

void datagram_owner::on_exit_message(const caf::strong_actor_ptr&, const caf::error& reason) {
  if (reason && reason != caf::exit_reason::normal)
    abort_now(reason == caf::exit_reason::user_shutdown ? errc::closed : errc::aborted);
}

void datagram_owner::abort_now(errc cause) {
  if (auto waiting = std::exchange(binding_, nullptr))
    waiting->fail(make_error(cause));
  refuse_all(make_error(cause));
  end(cause == errc::closed ? caf::error{} : make_error(cause)); // the socket ends with it
}

void datagram_owner::took(received_datagram datagram) {
  if (receiving_.empty()) {
    there_.push_back(std::move(datagram));
    return;
  }
  auto& who = *receiving_.front();
  receiving_.pop_front();
  who.succeed(std::move(datagram));
}

/// It came before all that waits here, and goes to whoever has been waiting meanwhile.
void datagram_owner::put_back(received_datagram datagram) {
  if (receiving_.empty())
    there_.push_front(std::move(datagram));
  else
    took(std::move(datagram));
}

void datagram_owner::refuse_all(const caf::error& cause) {
  closed_ = true;
  ended_with_ = cause;
  for (auto each : std::exchange(receiving_, {}))
    each->fail(cause);
  for (auto& [number, who] : std::exchange(asked_, {}))
    who->answered(cause);
}

void datagram_owner::delivered(const received_datagram& datagram) {
  last_asker_ = datagram.from;
  asked_at_ = net::answer_address(datagram.to, datagram.to_many);
}

/// What goes to who sent the last datagram is taken for the answer.
template <class Command>
void datagram_owner::answer_from_where_asked(caf::message& content) const {
  if (!asked_at_ || !content.match_elements<Command>())
    return;
  auto order = content.get_as<Command>(0);
  if (!order.to || order.from || order.to != last_asker_)
    return;
  order.from = asked_at_;
  content = caf::make_message(std::move(order));
}

// -- operations --------------------------------------------------------------------------------------

void bind_operation::begin() noexcept {
  const auto made = owner_ = make_lean<datagram_owner>(home_);
  auto& owner = static_cast<datagram_owner&>(*made->get());
  owner.binding_ = this;
  owner.start();
  if (owner.is_closed())
    return; // the loop is stopping; this has finished by that, and may be gone
  bind(home_.system(), local_, options_).owned_by(caf::actor_cast<caf::actor>(made)).start();
}

void bind_operation::succeed() {
  finish(std::make_shared<datagram_handle>(static_cast<datagram_owner&>(*std::exchange(owner_, nullptr)->get())));
}

void bind_operation::fail(const caf::error& cause) {
  owner_ = nullptr;
  finish(failed(about("cannot bind", local_, cause)));
}

void bind_operation::call_off() noexcept {
  auto& owner = static_cast<datagram_owner&>(*owner_->get());
  owner.binding_ = nullptr;
  owner.end({});
}

void receive_operation::begin() noexcept {
  auto& from = owner();
  if (!from.there_.empty()) {
    auto next = std::move(from.there_.front());
    from.there_.pop_front();
    succeed(std::move(next));
    return;
  }
  if (from.is_closed()) {
    fail(from.ended_with_);
    return;
  }
  const auto until = within_.resolve(home().loop(), otherwise_);
  if (until != net::time_point::max())
    home().loop().judging_timers().arm(*this, until);
  from.receiving_.push_back(this);
}

void receive_operation::succeed(received_datagram datagram) {
  home().loop().judging_timers().cancel(*this);
  owner().delivered(datagram);
  if (datagram.payload.size() > max_) {
    whole_ = datagram;
    datagram.payload = datagram.payload.slice(0, max_);
    datagram.truncated = true;
  }
  finish(std::move(datagram));
}

void receive_operation::fail(const caf::error& cause) {
  home().loop().judging_timers().cancel(*this);
  finish(failed(cause));
}

void receive_operation::on_timer(net::time_point) noexcept {
  owner().receiving_.remove(this);
  finish(failed(errc::timed_out));
}

void receive_operation::call_off() noexcept {
  home().loop().judging_timers().cancel(*this);
  owner().receiving_.remove(this);
}

void receive_operation::undo() noexcept {
  if (outcome_ && *outcome_)
    owner().put_back(whole_ ? std::move(*whole_) : std::move(outcome_->value()));
}

void datagram_command::begin() noexcept {
  auto& from = owner();
  if (from.is_closed()) {
    answered(from.ended_with_);
    return;
  }
  from.answer_from_where_asked<datagram::send>(content_);
  from.answer_from_where_asked<datagram::send_file>(content_);
  number_ = ++from.last_asked_;
  from.asked_.emplace(number_, this);
  from.handle().pointer()->enqueue(caf::make_mailbox_element(owner_, caf::make_message_id(number_), {}, content_),
                                   &home());
}

void datagram_command::answered(const caf::error& cause) {
  if (cause && !(cause == errc::closed && content_.match_elements<datagram::close>()))
    finish(failed(cause));
  else
    finish({});
}

} // namespace actnet::sequential
