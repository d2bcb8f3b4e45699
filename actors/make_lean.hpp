// How a lean actor is made.
#pragma once

#include "actnet/actors/loop_host.hpp"

#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/make_actor.hpp>

#include <utility>

namespace actnet {

/// An `Actor(actor_config&, loop_host&, args...)` that is to live on `home`; `start` it. Any thread.
template <class Actor, class... Args>
caf::strong_actor_ptr make_lean(loop_host& home, Args&&... args) {
  auto& system = home.system();
  caf::actor_config cfg{&home};
  return caf::make_actor<Actor, caf::strong_actor_ptr>(system.next_actor_id(), system.node(), &system, cfg, home,
                                                       std::forward<Args>(args)...);
}

} // namespace actnet
