// The handle of a supervisor, and its messages.
#pragma once

#include "actnet/actors/handle.hpp"
#include "actnet/actors/supervision/child_spec.hpp"
#include "actnet/net/address/endpoint.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace actnet {

/// Which child: by its id, or by its handle (a dynamic one, or any).
struct child_name {
  child_name() = default;
  child_name(std::string text) : id(std::move(text)) {}
  child_name(const char* text) : id(text) {}
  child_name(caf::actor handle) : who(std::move(handle)) {}

  std::string id;
  caf::actor who;
};

// -- commands: anybody to a supervisor, carried out one after another --------------------------------

/// Adds a child and starts it. Answered by its handle (`caf::actor`), which stays good when the child is started again;
/// that of a temporary child is the child itself. Errors: `already_started`, `already_present`, `invalid_argument`,
/// `shutting_down`, or the child's reason for not starting, and then the supervisor forgets it.
struct start_child {
  child_spec spec;
};

/// Ends a child as its specification says. It stays known unless it is temporary or dynamic, and may be restarted.
/// Answered; error: `not_found`.
struct terminate_child {
  child_name which;
};

/// Starts a child that was terminated or ended by itself. Answered as `start_child`. Errors: `not_found`, `running`,
/// `restarting`, `not_supported` (dynamic), or the child's reason for not starting.
struct restart_child {
  child_name which;
};

/// Forgets a child that does not run. Answered. Errors: `not_found`, `running`, `restarting`.
struct delete_child {
  child_name which;
};

/// Answered by `child_list`, in the order of their start.
struct which_children {};

/// Answered by `child_counts`.
struct count_children {};

// -- values ------------------------------------------------------------------------------------------

enum class child_state : std::uint8_t {
  stopped,
  starting,
  running,
  stopping,
  restarting, ///< It ended, and is about to be started again.
};

std::string_view to_string(child_state state) noexcept;

struct child_info {
  std::string id;
  std::string path;
  caf::actor handle; ///< Stable but for a temporary child.
  caf::actor actor;  ///< What runs now; nobody unless it is starting, running or stopping.
  child_state state = child_state::stopped;
  child_kind kind = child_kind::worker;
  actnet::restart restart = actnet::restart::permanent;
  std::uint64_t restarts = 0; ///< Since it was added.
};

struct child_list {
  std::vector<child_info> children;
};

struct child_counts {
  std::size_t specs = 0;
  std::size_t active = 0; ///< With an actor that lives.
  std::size_t supervisors = 0;
  std::size_t workers = 0;
};

/// The handle of a supervisor: its member functions are the commands, and for answers there is `request`.
class supervisor : public handle {
 public:
  using handle::handle;

  void start_child(child_spec spec) const;
  void terminate_child(child_name which) const;
  void restart_child(child_name which) const;
  void delete_child(child_name which) const;
};

/// A supervisor that nobody supervises, on the next loop in turn. It ends, with the reason, if a child does not start;
/// with `restart_limit` if they end too often; and when it gets an exit message or `drain`.
supervisor start_supervisor(caf::actor_system& system, std::string id, supervisor_options options,
                            std::vector<child_spec> children = {});

} // namespace actnet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::start_child)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::terminate_child)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::restart_child)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::delete_child)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::which_children)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::count_children)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::child_list)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::child_counts)
