// Files that actors send: over a stream in parts, and as a datagram.
#include "support/actor_world.hpp"
#include "support/position_stream.hpp"
#include "support/scratch_folder.hpp"

using namespace actnet;
using namespace actnet::test;

namespace {

std::string positions(std::size_t count) {
  const auto all = position_stream(1).bytes(count);
  return {reinterpret_cast<const char*>(all.data()), count};
}

} // namespace

TEST_CASE("a connection sends a file in its place among the writes", "[files]") {
  const scratch_folder folder;
  const auto all = positions(3'000'000);
  const auto path = folder.file("file", all);
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  connected_pair pair;
  const auto conn = world.adopt(pair, owner);
  world.in(owner, [&](probe&) {
    conn.write("head ");
    conn.write_file(path, 1'000, 0, 1);
    conn.write_file(path, 0, 10, 2);
    conn.write_file(folder / "none", 0, 0, 3);
    conn.finish();
  });
  CHECK(pair.far.read_to_end() == "head " + all.substr(1'000) + all.substr(0, 10));
  log->expect("finished");
  CHECK(log->lines() == std::vector<std::string>{"written 1 2999000", "written 2 10",
                                                 with_cause("written 3 0", errc::no_such_path), "finished"});
}

TEST_CASE("a file sent by a request is answered, also by a connection that is gone", "[files]") {
  const scratch_folder folder;
  const auto path = folder.file("file", "0123456789");
  actor_world world;
  const auto owner = world.spawn(make_journal());
  connected_pair pair;
  const auto conn = world.adopt(pair, owner);
  const auto sent = world.ask<stream::written>(owner, conn, stream::write_file{path, 2, 5, 7});
  REQUIRE(sent.first);
  CHECK(sent.first->token == 7);
  CHECK(sent.first->bytes == 5);
  CHECK(world.ask<stream::written>(owner, conn, stream::write_file{path, 11, 0, 0}).second == errc::file_too_short);
  world.in(owner, [&](probe&) { conn.abort(); });
  CHECK(world.ask<stream::written>(owner, conn, stream::write_file{path, 0, 0, 0}).second == errc::closed);
}

TEST_CASE("a file goes out as one datagram, after those sent before", "[files]") {
  const scratch_folder folder;
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  world.in(owner, [](probe& self) { self.bind("127.0.0.1:0").start(); });
  log->expect("bound");
  udp_peer far;
  const auto to = *net::endpoint::parse("udp://127.0.0.1:" + std::to_string(far.port()));
  const auto path = folder.file("file", "0123456789");
  const auto large = folder.file("large", positions(70'000));
  world.in(owner, [&](probe& self) {
    self.socket.send_to(to, "first", 1);
    self.socket.send_file(to, path, 3, 4, 2);
    self.socket.send_file(to, large, 0, 0, 3);
    self.socket.send_file(to, folder / "none", 0, 0, 4);
    self.socket.send_file(to, large, 0, 60'000, 5);
    self.socket.send_to(to, "last", 6);
  });
  CHECK(far.receive().payload == "first");
  CHECK(far.receive().payload == "3456");
  CHECK(far.receive().payload == positions(60'000));
  CHECK(far.receive().payload == "last");
  log->expect("sent 6");
  CHECK(log->lines() == std::vector<std::string>{"bound", "sent 1", "sent 2",
                                                 with_cause("sent 3", errc::message_too_large),
                                                 with_cause("sent 4", errc::no_such_path), "sent 5", "sent 6"});
}
