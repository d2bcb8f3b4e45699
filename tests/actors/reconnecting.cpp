// A client that reconnects: one actor, however often the other side comes and goes.
#include "support/actor_world.hpp"

using namespace actnet;
using namespace actnet::test;

namespace {

/// A client on a clock that stands still, which waits 100 ms, 200 ms, 400 ms between attempts.
struct reconnecting_client {
  explicit reconnecting_client(std::uint16_t port, std::chrono::milliseconds reset_after = 10s) : world(1, &time) {
    settings.reconnect = backoff_options{100ms, 400ms, 0, reset_after};
    self = world.spawn(log);
    world.in(self, [&](probe& p) {
      p.become(caf::message_handler{[this](const reconnecting& r) {
                 log->add(with_cause("again in " + std::to_string(r.in.count()), r.cause));
               }}.or_else(caf::message_handler{p.everything().as_behavior_impl()}));
      dialler = p.connect_to("127.0.0.1:" + std::to_string(port), settings).start();
    });
  }

  net::manual_clock time;
  connect_options settings;
  actor_world world;
  journal_ptr log = make_journal();
  caf::actor self;
  client dialler;
};

} // namespace

TEST_CASE("a client that reconnects tries again after each failure, later each time, and gets through in the end",
          "[client]") {
  std::uint16_t port;
  {
    listening_peer gone;
    port = gone.port();
  }
  reconnecting_client client{port};
  client.log->expect("again in 100: connection refused");
  client.time.advance(99ms);
  client.world.settle();
  CHECK(client.log->count_like("again") == 1);
  client.time.advance(1ms);
  client.log->expect("again in 200: connection refused");
  client.time.advance(200ms);
  client.log->expect("again in 400: connection refused");
  const auto other_log = make_journal();
  const auto other = client.world.spawn(other_log);
  client.world.in(other, [port](probe& p) { p.listen("127.0.0.1:" + std::to_string(port)).start(); });
  other_log->expect("listening");
  client.time.advance(400ms);
  client.log->expect("connected");
  CHECK(client.log->count_like("connect_failed") == 0);
}

TEST_CASE("a client that reconnects does so when its connection has ended, soon after one that lasted", "[client]") {
  listening_peer server;
  reconnecting_client client{server.port(), 1s};
  std::size_t times = 0;
  for (const auto* expected : {"again in 100", "again in 200", "again in 100"}) {
    auto peer = server.accept();
    client.log->expect("connected", ++times);
    if (times == 3)
      client.time.advance(1s); // it lasts
    peer.close();
    client.log->expect_like("again in", times);
    CHECK(client.log->lines().back() == expected);
    client.time.advance(200ms);
  }
  server.accept();
}

TEST_CASE("a client that reconnects ends by drain and by its owner's end, also while it waits", "[client]") {
  std::uint16_t port;
  {
    listening_peer gone;
    port = gone.port();
  }
  reconnecting_client client{port};
  client.log->expect_like("again in");
  SECTION("drain") {
    CHECK_FALSE(client.world.ask<caf::ok_atom>(client.dialler, drain{1s}).second);
  }
  SECTION("cancel_connect") {
    CHECK_FALSE(client.world.ask<caf::ok_atom>(client.dialler, cancel_connect{}).second);
    client.log->expect("connect_failed: cancelled");
  }
  SECTION("the owner's end") {
    client.world.kill(client.self);
  }
}
