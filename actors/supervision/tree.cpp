#include "actnet/actors/supervision/tree.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace actnet {

namespace {

std::string counted(std::uint64_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string_view in_words(listener_state state) {
  switch (state) {
  case listener_state::listening: return "listening";
  case listener_state::paused: return "paused";
  case listener_state::stopping: return "stopping";
  }
  return "unknown";
}

void describe(const tree_node& node, std::string& text, std::size_t width) {
  const auto& self = node.self;
  text += self.path + std::string(width - self.path.size() + 2, ' ') + std::string{to_string(self.state)} + ", " +
          counted(self.restarts, "restart");
  if (node.listener)
    text += ", " + std::string{in_words(node.listener->state)} + " on " + node.listener->local.to_string() + ", " +
            counted(node.listener->connections, "connection") + " of " + std::to_string(node.listener->accepted) +
            " accepted, received " + counted(node.listener->bytes_received, "byte") + ", sent " +
            counted(node.listener->bytes_sent, "byte");
  if (node.listener && node.listener->path_lost)
    text += ", but its path was moved or removed";
  if (node.datagrams)
    text += ", " + node.datagrams->local.to_string() + ", received " + counted(node.datagrams->received, "datagram") +
            " of " + counted(node.datagrams->received_bytes, "byte") + ", sent " +
            counted(node.datagrams->sent, "datagram") + " of " + counted(node.datagrams->sent_bytes, "byte");
  if (node.datagrams && node.datagrams->path_lost)
    text += ", but its path was moved or removed";
  text += "\n";
  for (const auto& each : node.children)
    describe(each, text, width);
}

std::size_t longest_path(const tree_node& node) {
  auto longest = node.self.path.size();
  for (const auto& each : node.children)
    longest = std::max(longest, longest_path(each));
  return longest;
}

} // namespace

std::string to_text(const tree_node& root) {
  std::string text;
  describe(root, text, longest_path(root));
  return text;
}

} // namespace actnet
