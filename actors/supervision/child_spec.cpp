#include "actnet/actors/supervision/child_spec.hpp"

#include "actnet/actors/supervision/supervisor_actor.hpp"

#include <caf/actor_cast.hpp>

namespace actnet {

caf::actor_system& start_context::system() const {
  return parent_.system();
}

loop_host& start_context::next_loop() const {
  return loops::of(system()).next();
}

caf::actor start_context::parent() const {
  return caf::actor{&parent_};
}

caf::actor start_context::sibling(std::string_view id) const {
  return parent_.child_handle(id);
}

listen_order start_context::listen(endpoint_argument local) const {
  return listen(std::move(local), parent_.settings().listener);
}

listen_order start_context::listen(endpoint_argument local, listen_options options) const {
  return std::move(
      actnet::listen(system(), std::move(local), std::move(options)).owned_by(parent()).supervised_as(*this, kept_));
}

bind_order start_context::bind(endpoint_argument local) const {
  return bind(std::move(local), parent_.settings().datagram);
}

bind_order start_context::bind(endpoint_argument local, bind_options options) const {
  return std::move(
      actnet::bind(system(), std::move(local), std::move(options)).owned_by(parent()).supervised_as(*this, kept_));
}

child_spec supervise(std::string id, supervisor_options options, std::vector<child_spec> children) {
  child_spec spec;
  spec.id = std::move(id);
  spec.start = [options, children = std::move(children)](const start_context& my) {
    const auto parent = my.parent();
    auto& above = *static_cast<supervisor_actor*>(caf::actor_cast<caf::abstract_actor*>(parent));
    return started_child{
        spawn_on<supervisor_actor>(*above.home(), my.path(), options, children, above.ancestors_of_children()),
        started_child::nature::supervisor};
  };
  spec.shutdown = shutdown::infinity();
  spec.kind = child_kind::supervisor;
  return spec;
}

} // namespace actnet
