#include "actnet/actors/supervision/supervisor.hpp"

#include "actnet/actors/supervision/supervisor_actor.hpp"

namespace actnet {

std::string_view to_string(child_state state) noexcept {
  switch (state) {
  case child_state::stopped: return "stopped";
  case child_state::starting: return "starting";
  case child_state::running: return "running";
  case child_state::stopping: return "stopping";
  case child_state::restarting: return "restarting";
  }
  return "unknown";
}

void supervisor::start_child(child_spec spec) const {
  tell(actnet::start_child{std::move(spec)});
}
void supervisor::terminate_child(child_name which) const {
  tell(actnet::terminate_child{std::move(which)});
}
void supervisor::restart_child(child_name which) const {
  tell(actnet::restart_child{std::move(which)});
}
void supervisor::delete_child(child_name which) const {
  tell(actnet::delete_child{std::move(which)});
}

supervisor start_supervisor(caf::actor_system& system, std::string id, supervisor_options options,
                            std::vector<child_spec> children) {
  auto& home = loops::of(system).next();
  return supervisor{caf::actor_cast<caf::strong_actor_ptr>(spawn_on<supervisor_actor>(
      home, std::move(id), std::move(options), std::move(children), std::vector<caf::strong_actor_ptr>{}))};
}

} // namespace actnet
