#include "actnet/actors/this_actor.hpp"

#include <utility>

namespace actnet {

namespace {

thread_local caf::abstract_actor* running = nullptr;

} // namespace

caf::abstract_actor* this_actor() noexcept {
  return running;
}

running_actor::running_actor(caf::abstract_actor& who) noexcept : before_(std::exchange(running, &who)) {}

running_actor::running_actor() noexcept : before_(std::exchange(running, nullptr)) {}

running_actor::~running_actor() {
  running = before_;
}

} // namespace actnet
