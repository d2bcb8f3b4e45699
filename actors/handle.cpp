#include "actnet/actors/handle.hpp"

#include "actnet/actors/this_actor.hpp"

#include <caf/abstract_actor.hpp>

namespace actnet {

caf::strong_actor_ptr handle::sender() {
  auto self = this_actor();
  return self ? caf::strong_actor_ptr{self->ctrl()} : nullptr;
}

} // namespace actnet
