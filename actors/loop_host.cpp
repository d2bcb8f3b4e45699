#include "actnet/actors/loop_host.hpp"

#include "actnet/actors/hosted_actor.hpp"
#include "actnet/actors/lean_actor.hpp"
#include "actnet/net/log.hpp"

#include <caf/abstract_actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <caf/send.hpp>

#include <cstdlib>
#include <cxxabi.h>
#include <typeinfo>

namespace actnet {

namespace {

/// Messages of one actor before the next has its turn.
constexpr std::size_t quantum = 64;

} // namespace

std::string describe(const caf::abstract_actor& who) {
  int status = 0;
  const auto type = typeid(who).name();
  std::unique_ptr<char, void (*)(void*)> plain{abi::__cxa_demangle(type, nullptr, nullptr, &status), std::free};
  return std::string{status == 0 ? plain.get() : type} + "#" + std::to_string(who.id());
}

loop_host::loop_host(caf::actor_system& system, std::unique_ptr<net::loop> home)
    : execution_unit(&system), loop_(std::move(home)) {
  loop_->set_resident(this);
}

loop_host::~loop_host() {
  if (thread_)
    stop();
}

net::result<void> loop_host::start(const std::string& thread_name) {
  auto begun = net::start_thread(thread_name, [this] { main(); });
  if (!begun)
    return net::failure{begun.error()};
  thread_ = std::move(*begun);
  return {};
}

void loop_host::main() {
  of_this_thread_ = this;
  loop_->run();
  // What was posted before the end still runs; later posts are refused.
  stopping_ = true;
  loop_->close_inbox();
  do
    loop_->after_turn();
  while (run_ready());
  loop_->after_turn();
  loop_->timers().cancel(patience_);
  of_this_thread_ = nullptr;
  ended_.store(true);
}

void loop_host::stop(std::chrono::milliseconds patience) {
  if (!thread_) { // never started, or stopped before: pumped by hand, or not at all
    loop_->close_inbox();
    return;
  }
  struct order {
    loop_host* host;
    std::chrono::milliseconds patience;
  } stop_order{this, patience};
  loop_->post(
      [](void* given, void*) noexcept {
        const auto o = *static_cast<order*>(given);
        o.host->abort_all(o.patience);
      },
      &stop_order, nullptr);
  thread_->join();
  thread_ = nullptr;
  loop_->let_go_of_backend();
}

void loop_host::end_if_empty() noexcept {
  loop_->post(
      [](void* self, void*) noexcept {
        auto& me = *static_cast<loop_host*>(self);
        me.loop_->defer(me);
      },
      this, nullptr);
}

void loop_host::abort_all(std::chrono::milliseconds patience) noexcept {
  ends_when_empty_ = stopping_ = true;
  loop_->timers().arm(patience_, loop_->deadline_in(patience));
  for_each_lean([](lean_actor& who) { who.abort_now(net::errc::shutting_down); });
  const auto snapshot = hosted_;
  for (auto who : snapshot)
    caf::anon_send_exit(caf::actor_cast<caf::actor>(who), caf::exit_reason::kill);
  loop_->defer(*this); // there may be nobody
}

void loop_host::patience_timer::on_timer(net::time_point) noexcept {
  std::string some; // enough to go on
  for (std::size_t i = 0; i < host_.hosted_.size() && i < 3; ++i)
    some += ", " + describe(*host_.hosted_[i]);
  for (std::size_t i = 0; i < host_.lean_.size() && i < 3; ++i)
    some += ", " + describe(*host_.lean_[i]);
  net::log(net::log_level::warning, "shutdown",
           std::to_string(host_.live_actors()) + " actors did not end when their loop stopped" + some);
  host_.loop_->stop();
}

// -- running actors --------------------------------------------------------------------------------

void loop_host::exec_later(caf::resumable* job) {
  if (job->subtype() == caf::resumable::scheduled_actor) {
    system().scheduler().enqueue(job);
  } else if (is_current()) {
    ready_.push_back(job);
  } else if (!loop_->post(&run_job, this, job)) {
    intrusive_ptr_release(job);
  }
}

void loop_host::run_job(void* self, void* job) noexcept {
  static_cast<loop_host*>(self)->resume(static_cast<caf::resumable*>(job));
}

void loop_host::resume(caf::resumable* job) noexcept {
  switch (job->resume(this, quantum)) {
  case caf::resumable::resume_later: ready_.push_back(job); break;
  case caf::resumable::shutdown_execution_unit: break;
  case caf::resumable::awaiting_message:
  case caf::resumable::done: intrusive_ptr_release(job);
  }
}

bool loop_host::run_ready() noexcept {
  running_jobs_.swap(ready_);
  for (auto job : running_jobs_) {
    resume(job);
    loop_->after_turn();
  }
  running_jobs_.clear();
  if (looks_again_)
    end_when_empty();
  return !ready_.empty();
}

std::string loop_host::last_turn() const {
  return last_turn_number_ == loop_->turn() && last_actor_ ? describe(*last_actor_) : "no actor ran in it";
}

// -- the actors that live here -----------------------------------------------------------------------

void loop_host::adopt(hosted_actor& who) {
  who.place_ = static_cast<std::uint32_t>(hosted_.size());
  hosted_.push_back(&who);
  intrusive_ptr_add_ref(who.ctrl());
  live_.fetch_add(1, std::memory_order_relaxed);
  if (stopping_)
    caf::anon_send_exit(caf::actor_cast<caf::actor>(&who), caf::exit_reason::kill);
}

void loop_host::adopt(lean_actor& who) {
  who.place_ = static_cast<std::uint32_t>(lean_.size());
  lean_.push_back(&who);
  intrusive_ptr_add_ref(who.ctrl());
  live_.fetch_add(1, std::memory_order_relaxed);
}

void loop_host::retire(hosted_actor& who) {
  hosted_.back()->place_ = who.place_;
  hosted_[who.place_] = hosted_.back();
  hosted_.pop_back();
  who.place_ = hosted_actor::not_adopted;
  retired_.emplace_back(who.ctrl(), false); // takes over the list's reference
  loop_->defer(*this);
}

void loop_host::retire(lean_actor& who) {
  if (std::exchange(who.retired_, true))
    return;
  if (who.place_ != lean_actor::not_adopted) {
    lean_.back()->place_ = who.place_;
    lean_[who.place_] = lean_.back();
    lean_.pop_back();
    who.place_ = lean_actor::not_adopted;
    live_.fetch_sub(1, std::memory_order_relaxed);
  } else {
    intrusive_ptr_add_ref(who.ctrl());
  }
  retired_lean_.push_back(&who);
  loop_->defer(*this);
}

/// Lets go of those that have ended, once nothing on the loop points to them any more: what the others defer may still
/// name who ran in this turn.
void loop_host::serve() noexcept {
  if (loop_->has_deferred()) {
    loop_->defer(*this);
    return;
  }
  for (auto& gone : std::exchange(retired_, {})) {
    live_.fetch_sub(1, std::memory_order_relaxed);
    gone = nullptr;
    last_actor_ = nullptr; // it may have been the one
  }
  bool again = false;
  for (auto who : std::exchange(retired_lean_, {})) {
    if (who->is_deferred() || !who->quiescent()) {
      retired_lean_.push_back(who); // it is queued behind this
      again = true;
      continue;
    }
    who->retired_ = false;
    last_actor_ = nullptr;
    intrusive_ptr_release(who->ctrl());
  }
  if (again)
    loop_->defer(*this);
  end_when_empty();
}

/// Somebody may be about to begin here: then the next round looks again.
void loop_host::end_when_empty() noexcept {
  if (!ends_when_empty_ || live_actors() > 0)
    return;
  looks_again_ = !ready_.empty();
  if (!looks_again_)
    loop_->stop();
}

} // namespace actnet
