#include "actnet/actors/actor_timers.hpp"

#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/loops.hpp"

#include <caf/actor_cast.hpp>
#include <caf/atom.hpp>
#include <caf/behavior.hpp>
#include <caf/mailbox_element.hpp>

#include <algorithm>
#include <utility>

namespace actnet {

class actor_timers::slot final : public net::timer {
 public:
  slot(actor_timers& all, std::uint32_t index) noexcept : all_(all), index_(index) {}

  timer_id id() const noexcept { return timer_id{std::uint64_t{generation} << 32 | index_}; }
  std::uint32_t index() const noexcept { return index_; }

  std::function<void()> fun;
  net::time_point when{};
  std::optional<net::duration> every;
  std::uint32_t generation = 1;
  bool used = false;
  caf::message_id by_message; // the message that is to run it, on its way or to be sent
  std::shared_ptr<borrowed> far;

 private:
  void on_timer(net::time_point) noexcept override {
    if (!all_.owner_.idle())
      all_.run_by_message(*this);
    else
      all_.owner_.take_turn_of(id()); // after which this may be gone
  }

  actor_timers& all_;
  const std::uint32_t index_;
};

/// A timer on a loop for an actor that lives on none.
class actor_timers::borrowed final : public net::timer, public std::enable_shared_from_this<borrowed> {
 public:
  borrowed(net::loop& home, const caf::strong_actor_ptr& whom, caf::message_id id, net::time_point when)
      : home_(home), whom_(caf::actor_cast<caf::weak_actor_ptr>(whom)), id_(id), when_(when) {}

  void arm() { post(&borrowed::arm_here); }
  void cancel() { post(&borrowed::cancel_here); }

 private:
  /// If the loop has ended nothing fires any more.
  void post(void (borrowed::*what)()) {
    struct order {
      std::shared_ptr<borrowed> who;
      void (borrowed::*what)();
    };
    auto given = std::make_unique<order>(order{shared_from_this(), what});
    const auto posted = home_.post(
        [](void* object, void*) noexcept {
          const std::unique_ptr<order> o{static_cast<order*>(object)};
          ((*o->who).*o->what)();
        },
        given.get(), nullptr);
    if (posted)
      (void)given.release();
  }

  void arm_here() {
    held_ = shared_from_this();
    home_.timers().arm(*this, when_);
  }
  void cancel_here() {
    home_.timers().cancel(*this);
    held_ = nullptr;
  }
  void on_timer(net::time_point) noexcept override {
    const auto me = std::move(held_);
    if (const auto who = caf::actor_cast<caf::strong_actor_ptr>(whom_))
      who->enqueue(caf::make_mailbox_element(nullptr, id_, {}, caf::ok_atom_v), nullptr);
  }

  net::loop& home_;
  const caf::weak_actor_ptr whom_;
  const caf::message_id id_;
  const net::time_point when_;
  std::shared_ptr<borrowed> held_; // while it is armed
};

actor_timers::actor_timers(hosted_actor& owner) noexcept : owner_(owner) {}

actor_timers::~actor_timers() {
  for (auto& each : slots_)
    disarm(*each);
}

actor_timers::slot* actor_timers::find(timer_id which) noexcept {
  const auto index = static_cast<std::uint32_t>(which);
  if (index >= slots_.size() || !slots_[index]->used || slots_[index]->id() != which)
    return nullptr;
  return slots_[index].get();
}

timer_id actor_timers::add(net::time_point when, std::optional<net::duration> every, std::function<void()> fun) {
  if (unused_.empty()) {
    const auto index = static_cast<std::uint32_t>(slots_.size());
    if (unused_.capacity() <= slots_.size())
      unused_.reserve(2 * slots_.size() + 1); // so that to free one cannot fail
    slots_.push_back(std::make_unique<slot>(*this, index));
    unused_.push_back(index);
  }
  auto& made = *slots_[unused_.back()];
  made.fun = std::move(fun);
  made.when = when;
  made.every = every;
  if (begun_)
    arm(made);
  unused_.pop_back();
  made.used = true;
  return made.id();
}

void actor_timers::begin() {
  if (std::exchange(begun_, true))
    return;
  for (auto& each : slots_)
    if (each->used)
      arm(*each);
}

void actor_timers::cancel(timer_id which) noexcept {
  if (auto found = find(which)) {
    disarm(*found);
    free(*found);
  }
}

void actor_timers::arm(slot& which) {
  if (which.when == net::time_point::max())
    return; // never
  if (const auto home = owner_.home()) {
    home->loop().timers().arm(which, which.when);
    return;
  }
  auto& all = loops::of(owner_.system());
  which.by_message = await_message(which.id());
  which.far = std::make_shared<borrowed>(all.at(owner_.id() % all.size()).loop(), caf::strong_actor_ptr{owner_.ctrl()},
                                         which.by_message, which.when);
  which.far->arm();
}

void actor_timers::disarm(slot& which) noexcept {
  if (which.armed())
    owner_.home()->loop().timers().cancel(which);
  if (which.far)
    std::exchange(which.far, nullptr)->cancel();
  if (which.by_message != caf::message_id{})
    owner_.forget_response(std::exchange(which.by_message, {}));
}

void actor_timers::free(slot& which) noexcept {
  which.used = false;
  which.fun = nullptr;
  which.generation = std::max(which.generation + 1, 1u);
  unused_.push_back(which.index());
}

/// The answer to a question that nobody was asked: so it reaches the actor whatever its behaviour is.
caf::message_id actor_timers::await_message(timer_id which) {
  const auto id = owner_.new_request_id(caf::message_priority::normal).response_id();
  owner_.add_multiplexed_response_handler(id, caf::behavior{[this, which](caf::ok_atom) {
                                            if (auto found = find(which)) {
                                              found->by_message = {};
                                              found->far = nullptr;
                                              run(which);
                                            }
                                          }});
  return id;
}

/// Behind what waits already.
void actor_timers::run_by_message(slot& which) {
  which.by_message = await_message(which.id());
  owner_.enqueue(caf::make_mailbox_element(nullptr, which.by_message, {}, caf::ok_atom_v), owner_.home());
}

/// `fun` may cancel its own timer, arm others, and throw.
void actor_timers::run(timer_id which) {
  auto& due = *find(which);
  const auto fun = std::move(due.fun);
  if (!due.every) {
    free(due);
    fun();
    return;
  }
  const auto now = owner_.now();
  due.when = net::later(due.when, *due.every);
  if (due.when <= now) // what was missed is not made up for
    due.when = net::later(now, *due.every);
  arm(due);
  fun();
  if (auto still = find(which))
    still->fun = fun;
}

} // namespace actnet
