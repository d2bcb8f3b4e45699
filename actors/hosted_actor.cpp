#include "actnet/actors/hosted_actor.hpp"

#include "actnet/actors/actor_timers.hpp"
#include "actnet/actors/errors.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/loops.hpp"
#include "actnet/actors/this_actor.hpp"
#include "actnet/net/log.hpp"

#include <caf/atom.hpp>
#include <caf/detail/invoke_result_visitor.hpp>
#include <caf/match_case.hpp>
#include <caf/sec.hpp>

#include <exception>
#include <string>

namespace actnet {

namespace {

caf::error describe_exception(caf::scheduled_actor* self, std::exception_ptr& cause) {
  auto what = to_text(cause);
  net::log_limited(net::log_level::error, "actor",
                   std::string{self->name()} + "#" + std::to_string(self->id()) + " ended by an exception: " + what);
  return caf::make_error(caf::sec::runtime_error, std::move(what));
}

std::shared_ptr<loop_host> host_of(const caf::actor_config& cfg) {
  const auto host = dynamic_cast<loop_host*>(cfg.host);
  return host ? host->shared_from_this() : nullptr;
}

/// What a handler returns for an event goes nowhere.
class no_answer final : public caf::detail::invoke_result_visitor {
 public:
  void operator()() override {}
  void operator()(caf::error&) override {}
  void operator()(caf::message&) override {}
  void operator()(const caf::none_t&) override {}
};

} // namespace

response_promise::state::state(hosted_actor& who, caf::response_promise given)
    : actor(&who), answer(std::move(given)), next(who.promises_) {
  if (next)
    next->before = this;
  who.promises_ = this;
}

response_promise::state::~state() {
  if (actor)
    release().deliver(make_error(errc::broken_promise));
}

caf::response_promise response_promise::state::release() noexcept {
  (before ? before->next : actor->promises_) = next;
  if (next)
    next->before = before;
  actor = nullptr;
  return std::move(answer);
}

std::optional<caf::response_promise> response_promise::take() noexcept {
  if (!pending())
    return std::nullopt;
  return state_->release();
}

response_promise hosted_actor::make_response_promise() {
  response_promise made;
  if (current_message_id().is_request())
    if (auto answer = event_based_actor::make_response_promise(); answer.pending())
      made.state_ = std::make_shared<response_promise::state>(*this, std::move(answer));
  return made;
}

hosted_actor::hosted_actor(caf::actor_config& cfg) : event_based_actor(cfg), home_(host_of(cfg)) {
  set_exception_handler([this](std::exception_ptr& cause) {
    threw_ = true;
    return describe_exception(this, cause);
  });
}

hosted_actor::~hosted_actor() = default;

bool hosted_actor::idle() noexcept {
  return home_ && home_->is_current() && getf(is_initialized_flag) && !bhvr_stack_.empty() &&
         !getf(is_terminated_flag | is_shutting_down_flag | has_timeout_flag) && mailbox().blocked() &&
         awaited_responses_.empty() && !has_skipped_;
}

[[gnu::always_inline]] inline delivery hosted_actor::end_turn() {
  bhvr_stack_.cleanup();
  if (finalize())
    return delivery::ended;
  if (!bhvr_stack_.empty() && bhvr_stack_.back().timeout().valid())
    set_receive_timeout(); // of the behaviour that it has now
  return delivery::done;
}

/// As CAF's `activate` does it, without what an idle actor and an event cannot need: system messages, responses,
/// timeouts and answers.
delivery hosted_actor::deliver(caf::mailbox_element& element) {
  running_actor scope{*this};
  home_->running(*this);
  try {
    context(home_.get());
    current_element_ = &element;
    no_answer result;
    switch (bhvr_stack_.back()(result, element.content())) {
    case caf::match_case::skip: return delivery::skipped;
    case caf::match_case::no_match: return deliver_by_default(element);
    case caf::match_case::match: break;
    }
    return end_turn();
  } catch (...) {
    return fail_turn();
  }
}

/// By what is being handled just now.
delivery hosted_actor::fail_turn() noexcept {
  try {
    auto cause = std::current_exception();
    quit(exception_handler_(this, cause));
    finalize();
  } catch (...) { // in `on_exit`
    end_by_exception();
  }
  return delivery::ended;
}

/// Finds again that the behaviour has nothing for it, and goes on to the default handler.
delivery hosted_actor::deliver_by_default(caf::mailbox_element& element) {
  switch (activate(home_.get(), element)) {
  case activation_result::terminated: return delivery::ended;
  case activation_result::skipped: return delivery::skipped;
  case activation_result::success:
  case activation_result::dropped: break;
  }
  return delivery::done;
}

void hosted_actor::enqueue(caf::mailbox_element_ptr message, caf::execution_unit* unit) {
  event_based_actor::enqueue(std::move(message), home_ ? home_.get() : unit);
}

void hosted_actor::launch(caf::execution_unit* unit, bool lazy, bool hide) {
  // Never lazy on a loop: the host takes hold of the actor when it runs for the first time.
  event_based_actor::launch(home_ ? home_.get() : unit, lazy && !home_, hide);
}

caf::resumable::subtype_t hosted_actor::subtype() const {
  // Other execution units must not take it for one of theirs.
  return home_ ? caf::resumable::io_actor : caf::resumable::scheduled_actor;
}

caf::resumable::resume_result hosted_actor::resume(caf::execution_unit* unit, std::size_t max_throughput) {
  running_actor scope{*this};
  if (home_) {
    if (place_ == not_adopted && !getf(is_cleaned_up_flag)) {
      home_->adopt(*this);
      if (timers_)
        timers_->begin();
    }
    home_->running(*this);
  }
  try {
    const auto result = event_based_actor::resume(unit, max_throughput);
    has_skipped_ = !get_normal_queue().cache().empty() || !get_urgent_queue().cache().empty();
    return result;
  } catch (...) {
    end_by_exception();
    return resumable::done;
  }
}

void hosted_actor::end_by_exception() noexcept {
  auto cause = std::current_exception();
  auto reason = threw_ ? caf::make_error(caf::sec::runtime_error) : describe_exception(this, cause); // said once
  cleanup(std::move(reason), context());
}

// -- timers ------------------------------------------------------------------------------------------

net::time_point hosted_actor::now() const {
  return (home_ ? *home_ : loops::of(system()).at(0)).loop().time().now();
}

timer_id hosted_actor::add_timer(net::time_point when, std::optional<net::duration> every, std::function<void()> fun) {
  if (getf(is_cleaned_up_flag) || ctrl()->strong_refs.load() == 0) // which it has in `on_exit` when nobody holds it
    return timer_id::none;
  if (!timers_) {
    timers_ = std::make_unique<actor_timers>(*this);
    if (!home_ || place_ != not_adopted) // else its loop may be another thread's, and begins them when it comes there
      timers_->begin();
  }
  return timers_->add(when, every, std::move(fun));
}

void hosted_actor::cancel(timer_id which) noexcept {
  if (timers_)
    timers_->cancel(which);
}

/// From the bottom of the loop's stack, while it is idle.
void hosted_actor::take_turn_of(timer_id which) noexcept {
  thread_local const auto no_message = [] {
    auto made = caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, caf::ok_atom_v);
    made->mid.mark_as_answered();
    return made;
  }();
  running_actor scope{*this};
  home_->running(*this);
  try {
    context(home_.get());
    current_element_ = no_message.get();
    timers_->run(which);
    end_turn();
  } catch (...) {
    fail_turn();
  }
}

void hosted_actor::forget_response(caf::message_id which) noexcept {
  multiplexed_responses_.erase(which);
}

bool hosted_actor::cleanup(caf::error&& reason, caf::execution_unit* unit) {
  timers_ = nullptr;
  while (promises_)
    promises_->release().deliver(reason ? reason : caf::make_error(caf::sec::request_receiver_down));
  const auto ended = event_based_actor::cleanup(std::move(reason), unit);
  if (home_ && place_ != not_adopted)
    home_->retire(*this);
  return ended;
}

} // namespace actnet
