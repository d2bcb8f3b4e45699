// The tree as a text: what SIGUSR1 shows to a person.
#include "actnet/actors/supervision/tree.hpp"

#include "support/catch.hpp"

using namespace actnet;

namespace {

tree_node node(std::string path, child_state state, std::uint64_t restarts) {
  tree_node made;
  made.self.path = std::move(path);
  made.self.state = state;
  made.self.restarts = restarts;
  return made;
}

net::endpoint at(std::string_view text, net::transport kind = net::transport::tcp) {
  return *net::endpoint::parse(text, kind);
}

listener_info serving(std::string_view where, listener_state state, std::uint32_t live, std::uint64_t accepted,
                      std::uint64_t received, std::uint64_t sent) {
  listener_info told;
  told.local = at(where);
  told.state = state;
  told.connections = live;
  told.accepted = accepted;
  told.bytes_received = received;
  told.bytes_sent = sent;
  return told;
}

} // namespace

TEST_CASE("a tree has a line for each: path, state, restarts, and what it serves, in the order of their start",
          "[supervisor]") {
  auto root = node("main", child_state::running, 0);
  auto chat = node("main/chat", child_state::running, 1);
  chat.children.push_back(node("main/chat/room", child_state::restarting, 12));
  auto deep = node("main/chat/below", child_state::stopping, 0);
  deep.children.push_back(node("main/chat/below/worker", child_state::starting, 0));
  chat.children.push_back(std::move(deep));
  auto door = node("main/chat/door", child_state::running, 3);
  door.listener = serving("127.0.0.1:9999", listener_state::listening, 1, 1, 1, 23);
  chat.children.push_back(std::move(door));
  root.children.push_back(std::move(chat));
  auto path = node("main/unix:/tmp/chat", child_state::running, 0);
  path.listener = serving("unix:/tmp/chat", listener_state::paused, 12, 345, 0, 1);
  path.listener->path_lost = true;
  root.children.push_back(std::move(path));
  auto last = node("main/[::1]:80", child_state::stopping, 1);
  last.listener = serving("[::1]:80", listener_state::stopping, 0, 7, 18446744073709551615u, 2);
  root.children.push_back(std::move(last));
  auto clock = node("main/clock", child_state::running, 2);
  clock.datagrams.emplace();
  clock.datagrams->local = at("127.0.0.1:123", net::transport::udp);
  clock.datagrams->received = 1;
  clock.datagrams->received_bytes = 48;
  clock.datagrams->sent = 2;
  clock.datagrams->sent_bytes = 1;
  root.children.push_back(std::move(clock));
  root.children.push_back(node("main/gone", child_state::stopped, 0));

  CHECK(to_text(root) ==
        "main                    running, 0 restarts\n"
        "main/chat               running, 1 restart\n"
        "main/chat/room          restarting, 12 restarts\n"
        "main/chat/below         stopping, 0 restarts\n"
        "main/chat/below/worker  starting, 0 restarts\n"
        "main/chat/door          running, 3 restarts, listening on 127.0.0.1:9999, 1 connection of 1 accepted, "
        "received 1 byte, sent 23 bytes\n"
        "main/unix:/tmp/chat     running, 0 restarts, paused on unix:/tmp/chat, 12 connections of 345 accepted, "
        "received 0 bytes, sent 1 byte, but its path was moved or removed\n"
        "main/[::1]:80           stopping, 1 restart, stopping on [::1]:80, 0 connections of 7 accepted, "
        "received 18446744073709551615 bytes, sent 2 bytes\n"
        "main/clock              running, 2 restarts, udp://127.0.0.1:123, received 1 datagram of 48 bytes, "
        "sent 2 datagrams of 1 byte\n"
        "main/gone               stopped, 0 restarts\n");
}

TEST_CASE("a tree of nothing but its root is one line", "[supervisor]") {
  CHECK(to_text(node("top", child_state::running, 0)) == "top  running, 0 restarts\n");
}
