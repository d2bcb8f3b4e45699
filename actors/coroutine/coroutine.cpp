#include "actnet/actors/coroutine/coroutine.hpp"

#include "actnet/actors/this_actor.hpp"

#include <stdexcept>

namespace actnet::coroutine {

namespace {

coroutine_actor& running() {
  const auto who = dynamic_cast<coroutine_actor*>(this_actor());
  if (!who)
    throw std::logic_error{"this may only be called in a coroutine that an actor runs"};
  return *who;
}

} // namespace

void monitor(const caf::actor& whom) {
  running().monitor(whom);
}

loop_host& detail::here() {
  return running().home();
}

const settings& detail::settings_here() {
  return loops::of(running().home().system()).settings();
}

} // namespace actnet::coroutine
