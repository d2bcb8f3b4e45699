// Unix sockets through the actors: the same handles and messages, paths and names, and who is at the other end.
#include "support/actor_world.hpp"
#include "support/scratch_folder.hpp"

#include <unistd.h>

#include <filesystem>

using namespace actnet;
using namespace actnet::test;

namespace {

struct unix_echo : handler {
  connection peer;
  unix_echo(caf::actor_config& cfg, connection c) : handler(cfg), peer(std::move(c)) {}
  caf::behavior make_behavior() override {
    return {[this](const stream::received& r) { peer.write(r.payload); }};
  }
};

std::string unique_name(const std::string& what) {
  return "@actnet-test-" + std::to_string(::getpid()) + "-" + what;
}

} // namespace

TEST_CASE("a Unix listener and its clients talk over a path or an abstract name", "[unix]") {
  const scratch_folder folder;
  const auto abstract = GENERATE(false, true);
  const auto where = "unix:" + (abstract ? unique_name("listener") : folder / "socket");
  actor_world world{2};
  const auto log = make_journal(), client_log = make_journal();
  const auto boss = world.spawn(log), owner = world.spawn(client_log);
  listen_options options;
  options.path_mode = 0600;
  world.in(boss, [&](probe& self) { self.listen(where, options).each<unix_echo>(); });
  log->expect("listening");
  CHECK(world.of(boss, [](probe& self) { return self.local.to_string(); }) == where);
  if (!abstract)
    CHECK(std::filesystem::status(folder / "socket").permissions() == std::filesystem::perms(0600));
  world.in(owner, [&](probe& self) { self.connect_to(where).start(); });
  client_log->expect("connected");
  const auto conn = world.of(owner, [](probe& self) { return self.peer; });
  world.in(owner, [&](probe&) { conn.write("echo me"); });
  client_log->expect("received echo me");
  const auto info = world.info(conn);
  CHECK(info.peer.to_string() == where);
  CHECK(info.credentials.process == ::getpid());
  CHECK(info.credentials.user == ::geteuid());
  CHECK(info.credentials.group == ::getegid());
  world.in(owner, [&](probe&) { conn.close(); });
  client_log->expect("closed requested");
  world.end();
  CHECK_FALSE(std::filesystem::exists(folder / "socket"));
}

TEST_CASE("a Unix client that finds nobody is told so, and a path in use is not taken", "[unix]") {
  const scratch_folder folder;
  const auto where = "unix:" + folder / "socket";
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  world.in(owner, [&](probe& self) { self.connect_to(where).start(); });
  log->expect(with_cause("connect_failed", errc::no_such_path));
  world.in(owner, [&](probe& self) { self.listen(where).start(); });
  log->expect("listening");
  world.in(owner, [&](probe& self) { self.listen(where).start(); });
  log->expect(with_cause("listen_failed", errc::address_in_use));
  world.in(owner, [&](probe& self) { self.listen("unix:" + (folder / "none/socket")).start(); });
  log->expect(with_cause("listen_failed", errc::no_such_path));
}

TEST_CASE("Unix datagrams go from path to path, and a full receiver delays the sender and loses nothing", "[unix]") {
  const scratch_folder folder;
  const auto here = folder / "here", there = folder / "there";
  actor_world world;
  const auto log = make_journal(), other_log = make_journal();
  const auto one = world.spawn(log), other = world.spawn(other_log);
  world.in(one, [&](probe& self) { self.bind("unixgram:" + here).start(); });
  world.in(other, [&](probe& self) { self.bind("unixgram:" + there).start(); });
  log->expect("bound");
  other_log->expect("bound");
  const auto to = net::endpoint::unix_datagram(there);
  world.in(other, [](probe& self) { self.socket.pause_reading(); });
  world.settle();
  constexpr std::uint64_t many = 400; // more than the kernel queues for one receiver
  world.in(one, [&](probe& self) {
    for (std::uint64_t i = 1; i <= many; ++i)
      self.socket.send_to(to, "datagram " + std::to_string(i), i);
  });
  world.settle();
  CHECK(log->count_like("sent ") < many);
  world.in(other, [](probe& self) { self.socket.resume_reading(); });
  log->expect("sent " + std::to_string(many));
  other_log->expect("datagram datagram " + std::to_string(many));
  CHECK(log->count_like("sent ") == many);
  CHECK(other_log->count_like("datagram ") == many);
  world.end();
  CHECK_FALSE(std::filesystem::exists(here));
  CHECK_FALSE(std::filesystem::exists(there));
}
