#include "actnet/actors/coroutine/coroutine_actor.hpp"

#include "actnet/actors/errors.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/sequential/stream_owner.hpp"

#include <caf/actor_cast.hpp>
#include <caf/exit_reason.hpp>
#include <caf/message_view.hpp>
#include <caf/result.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <optional>

namespace actnet::coroutine {

namespace {

/// Resumptions of one actor in one turn of its loop; after that others have theirs.
constexpr std::uint32_t resumed_max = 64;

} // namespace

coroutine_actor::coroutine_actor(caf::actor_config& cfg, task<> body) : handler(cfg), body_(std::move(body)) {}

coroutine_actor::coroutine_actor(caf::actor_config& cfg, task<> body, program_coroutine)
    : handler(cfg), body_(std::move(body)), is_program_(true) {
  join_program();
}

caf::behavior coroutine_actor::make_behavior() {
  set_default_handler([this](caf::scheduled_actor*, caf::message_view& view) -> caf::result<caf::message> {
    auto answer = make_response_promise();
    keep({view.move_content_to_message(), current_sender(), std::move(answer)});
    return caf::message{};
  });
  set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) {
    keep({caf::make_message(down), caf::actor_cast<caf::strong_actor_ptr>(down.source), {}});
  });
  body_.frame().promise().run_by(*this);
  resume_soon(body_.frame());
  return {[this](wake) {
    awake_ = false;
    run_ready();
  }};
}

// -- running -----------------------------------------------------------------------------------------

bool coroutine_actor::may_go_on() noexcept {
  const auto now = home()->loop().turn();
  if (std::exchange(turn_, now) != now)
    resumed_ = 0;
  return ++resumed_ <= resumed_max;
}

void coroutine_actor::resume_soon(std::coroutine_handle<> who) {
  ready_.push_back(who);
  if (awake_)
    return;
  awake_ = true;
  if (may_go_on()) {
    intrusive_ptr_add_ref(ctrl()); // it may end before it is served
    home()->loop().defer(*this);
  } else {
    caf::anon_send(this, wake{}); // has a turn of its own
  }
}

void coroutine_actor::forget(std::coroutine_handle<> who) noexcept {
  std::erase(ready_, who);
  std::replace(running_.begin(), running_.end(), who, std::coroutine_handle<>{});
}

void coroutine_actor::serve() noexcept {
  const caf::strong_actor_ptr held{ctrl(), false};
  if (!body_)
    return; // it has ended
  if (!idle()) {
    caf::anon_send(this, wake{});
    return;
  }
  auto id = caf::make_message_id();
  id.mark_as_answered();
  caf::mailbox_element_vals<wake> element{nullptr, id, {}, wake{}};
  deliver(element);
}

void coroutine_actor::run_ready() {
  running_.swap(ready_);
  for (std::size_t i = 0; i < running_.size(); ++i) // a coroutine that runs may destroy one that comes later
    if (const auto next = running_[i])
      next.resume();
  running_.clear();
  finish_if_done();
}

void coroutine_actor::finish_if_done() {
  if (!body_.frame().done())
    return;
  try {
    body_.frame().promise().take();
  } catch (...) {
    if (is_program_)
      fail_program(to_text(std::current_exception()));
    throw;
  }
  quit();
}

bool coroutine_actor::cleanup(caf::error&& reason, caf::execution_unit* unit) {
  if (body_) {
    std::optional<sequential::aborting_scope> failed;
    if (reason && reason != caf::exit_reason::normal && reason != caf::exit_reason::user_shutdown)
      failed.emplace();
    { const auto ended = std::move(body_); }
    ready_.clear();
    inbox_.clear();
  }
  return handler::cleanup(std::move(reason), unit);
}

// -- messages ----------------------------------------------------------------------------------------

/// Gives it to whoever waits for it, or keeps it until somebody does.
void coroutine_actor::keep(incoming message) {
  for (auto each = &first_receiver_; *each; each = &(*each)->next_)
    if ((*each)->wants(message.content)) {
      auto& who = **each;
      *each = who.next_;
      who.take(std::move(message));
      return;
    }
  if (message.content.match_elements<drain>())
    quit();
  else
    inbox_.push_back(std::move(message));
}

void coroutine_actor::receive(receiver& who) {
  const auto found =
      std::find_if(inbox_.begin(), inbox_.end(), [&](const incoming& m) { return who.wants(m.content); });
  if (found != inbox_.end()) {
    auto message = std::move(*found);
    inbox_.erase(found);
    who.take(std::move(message));
    return;
  }
  who.next_ = nullptr;
  auto last = &first_receiver_;
  while (*last)
    last = &(*last)->next_;
  *last = &who;
}

void coroutine_actor::stop_receiving(receiver& who) noexcept {
  for (auto each = &first_receiver_; *each; each = &(*each)->next_)
    if (*each == &who) {
      *each = who.next_;
      return;
    }
}

void coroutine_actor::put_back(incoming message) {
  inbox_.insert(inbox_.begin(), std::move(message));
}

} // namespace actnet::coroutine
