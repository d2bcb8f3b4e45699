#include "actnet/actors/coroutine/coroutine_actor.hpp"

#include "actnet/actors/errors.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/main_actor.hpp"
#include "actnet/actors/make_lean.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/sequential/stream_owner.hpp"
#include "actnet/actors/this_actor.hpp"
#include "actnet/net/log.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_registry.hpp>
#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>
#include <caf/send.hpp>
#include <caf/system_messages.hpp>

#include <algorithm>
#include <optional>
#include <string>

namespace actnet::coroutine {

namespace {

/// Resumptions of one actor in one turn of its loop; after that others have theirs.
constexpr std::uint32_t resumed_max = 64;

template <class Message>
void tell_program(caf::actor_system& system, Message message) {
  if (auto main = system.registry().get(main_actor_name))
    caf::anon_send(caf::actor_cast<caf::actor>(main), std::move(message));
}

} // namespace

answer_due::~answer_due() {
  if (to_)
    deliver(caf::make_message(make_error(errc::broken_promise)));
}

void answer_due::deliver(caf::message answer) {
  if (const auto to = std::exchange(to_, nullptr))
    to->enqueue(caf::make_mailbox_element(from_, id_.response_id(), {}, std::move(answer)), nullptr);
}

coroutine_actor::coroutine_actor(caf::actor_config& cfg, loop_host& home, task<> body, role is)
    : lean_actor(cfg, home), body_(std::move(body)), is_(is) {}

coroutine_actor::~coroutine_actor() = default;

caf::actor coroutine_actor::make(loop_host& home, task<> body, role is) {
  const auto made = make_lean<coroutine_actor>(home, std::move(body), is);
  if (is != role::any)
    tell_program(home.system(), program_joined{caf::actor_cast<caf::actor>(made)});
  static_cast<coroutine_actor&>(*made->get()).start();
  return caf::actor_cast<caf::actor>(made);
}

void coroutine_actor::begin() {
  body_.frame().promise().run_by(*this);
  resume_soon(body_.frame());
}

void coroutine_actor::cannot_begin(const caf::error&) {
  body_ = {};
}

// -- running -----------------------------------------------------------------------------------------

bool coroutine_actor::may_go_on() noexcept {
  const auto now = home().loop().turn();
  if (std::exchange(turn_, now) != now)
    resumed_ = 0;
  return ++resumed_ <= resumed_max;
}

void coroutine_actor::resume_soon(std::coroutine_handle<> who) {
  ready_.push_back(who);
  if (in_later_turn_ || at_end_of_turn_.is_deferred())
    return;
  if (may_go_on()) {
    home().loop().defer(at_end_of_turn_);
    return;
  }
  in_later_turn_ = true;
  intrusive_ptr_add_ref(ctrl());
  if (!home().loop().post(&run_later, this, nullptr)) { // the loop has ended, and soon this has
    in_later_turn_ = false;
    intrusive_ptr_release(ctrl());
  }
}

void coroutine_actor::run_later(void* self, void*) noexcept {
  auto& me = *static_cast<coroutine_actor*>(self);
  me.in_later_turn_ = false;
  me.run_ready();
  if (me.ended())
    me.keep_for_this_turn();
  intrusive_ptr_release(me.ctrl());
}

void coroutine_actor::forget(std::coroutine_handle<> who) noexcept {
  std::erase(ready_, who);
  std::replace(running_.begin(), running_.end(), who, std::coroutine_handle<>{});
}

void coroutine_actor::run_ready() noexcept {
  if (!body_)
    return; // it has ended
  {
    const running_actor scope{*this};
    home().running(*this);
    running_.swap(ready_);
    for (std::size_t i = 0; i < running_.size(); ++i) // one that runs may destroy another
      if (const auto next = running_[i])
        next.resume();
    running_.clear();
  }
  if (!body_.frame().done()) {
    if (!inbox_.empty())
      follow_drain_put_back();
    return;
  }
  try {
    body_.frame().promise().take();
    end_with({});
  } catch (...) {
    const auto what = to_text(std::current_exception());
    if (is_ == role::program)
      tell_program(home().system(), program_stop{1, what, {}});
    else
      net::log_limited(net::log_level::error, "actor",
                       std::string{name()} + "#" + std::to_string(id()) + " ended by an exception: " + what);
    end_with(caf::make_error(caf::sec::runtime_error, what));
  }
}

void coroutine_actor::end_with(caf::error reason) {
  if (ended())
    return;
  std::optional<sequential::aborting_scope> failed;
  if (reason && reason != caf::exit_reason::user_shutdown)
    failed.emplace();
  {
    const running_actor scope{*this};
    const auto gone = std::move(body_);
  }
  ready_.clear();
  inbox_.clear();
  end(std::move(reason));
}

void coroutine_actor::on_exit_message(const caf::strong_actor_ptr&, const caf::error& reason) {
  if (reason && reason != caf::exit_reason::normal)
    end_with(reason);
}

void coroutine_actor::abort_now(errc cause) {
  end_with(make_error(cause));
}

// -- messages ----------------------------------------------------------------------------------------

void coroutine_actor::on_message(caf::mailbox_element& command) {
  if (command.mid.is_response()) {
    const auto number = command.mid.request_id().integer_value();
    const auto found = std::find_if(asked_.begin(), asked_.end(), [&](const auto& a) { return a.first == number; });
    if (found == asked_.end())
      return;
    auto& who = *found->second;
    asked_.erase(found);
    who.answered(command.move_content_to_message());
    return;
  }
  answer_due due;
  if (command.mid.is_request() && command.sender)
    due = {caf::strong_actor_ptr{ctrl()}, command.sender, command.mid};
  auto sender = command.sender;
  keep({command.move_content_to_message(), std::move(sender), std::move(due)});
}

void coroutine_actor::on_down_message(const caf::strong_actor_ptr& source, const caf::error& reason) {
  keep({caf::make_message(caf::down_msg{source ? source->get()->address() : caf::actor_addr{}, reason}), source, {}});
}

/// Gives it to whoever waits for it. False: nobody does.
bool coroutine_actor::hand_over(incoming& message) {
  for (auto each = &first_receiver_; *each; each = &(*each)->next_)
    if ((*each)->wants(message.content)) {
      auto& who = **each;
      *each = who.next_;
      who.take(std::move(message));
      return true;
    }
  return false;
}

/// Until somebody asks for it; but a drain that nobody waits for is followed.
void coroutine_actor::keep(incoming message) {
  if (hand_over(message))
    return;
  if (message.content.match_elements<drain>())
    follow(std::move(message));
  else
    inbox_.push_back(std::move(message));
}

void coroutine_actor::follow(incoming order) {
  order.due.deliver(caf::make_message(caf::ok_atom_v));
  if (is_ != role::part_of_program)
    end_with({});
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

/// A drain waits, too, until the coroutine that runs is suspended: it may yet ask for it.
void coroutine_actor::put_back(incoming message) {
  if (!hand_over(message))
    inbox_.insert(inbox_.begin(), std::move(message));
}

void coroutine_actor::follow_drain_put_back() {
  const auto found =
      std::find_if(inbox_.begin(), inbox_.end(), [](const incoming& m) { return m.content.match_elements<drain>(); });
  if (found == inbox_.end())
    return;
  auto order = std::move(*found);
  inbox_.erase(found);
  follow(std::move(order));
}

void coroutine_actor::monitor(const caf::actor& whom) {
  if (whom)
    watch(caf::actor_cast<caf::strong_actor_ptr>(whom));
  else
    on_down_message(nullptr, make_error(errc::invalid_argument));
}

void coroutine_actor::ask(const caf::actor& whom, caf::message question, asker& who) {
  if (!whom) {
    who.answered(caf::make_message(make_error(errc::invalid_argument)));
    return;
  }
  asked_.emplace_back(++last_asked_, &who);
  const auto to = caf::actor_cast<caf::strong_actor_ptr>(whom);
  to->enqueue(caf::make_mailbox_element(caf::strong_actor_ptr{ctrl()}, caf::make_message_id(last_asked_), {},
                                        std::move(question)),
              &home());
}

void coroutine_actor::stop_asking(asker& who) noexcept {
  std::erase_if(asked_, [&](const auto& a) { return a.second == &who; });
}

} // namespace actnet::coroutine
