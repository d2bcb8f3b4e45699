// The tree of supervisors as it is at a moment: for a person to read (SIGUSR1), or for a program to look at.
#pragma once

#include "actnet/actors/messages.hpp"
#include "actnet/actors/supervision/supervisor.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace actnet {

/// To a supervisor: answered by its `tree_node`. A child that does not answer in time is told without what only it
/// knows.
struct get_tree {
  std::chrono::milliseconds within{1'000};
};

struct tree_node {
  child_info self;
  std::optional<listener_info> listener;   ///< Of a listener.
  std::optional<datagram::info> datagrams; ///< Of a datagram socket.
  std::vector<tree_node> children;         ///< Of a supervisor, in the order of their start.
};

/// A line for each: path, state, restarts, and what it serves.
std::string to_text(const tree_node& root);

} // namespace actnet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::get_tree)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::tree_node)
