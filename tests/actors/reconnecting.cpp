// A client that reconnects: one actor, however often the other side comes and goes.
#include "support/actor_world.hpp"

#include <algorithm>
#include <set>

using namespace actnet;
using namespace actnet::test;

namespace {

/// A client on a clock that stands still, which waits 100 ms, 200 ms, 400 ms between attempts.
struct reconnecting_client {
  explicit reconnecting_client(const std::string& address, backoff_options delays = {100ms, 400ms, 0, 10s},
                               journal_ptr handled = {})
      : world(1, &time) {
    settings.reconnect = delays;
    self = world.spawn(log);
    world.in(self, [&](probe& p) {
      p.become(caf::message_handler{[this](const reconnecting& r) {
                 log->add(with_cause("again in " + std::to_string(r.in.count()), r.cause));
               }}.or_else(caf::message_handler{p.everything().as_behavior_impl()}));
      auto order = p.connect_to(address, settings);
      dialler = handled ? order.with<probe>(handled, hook{}) : order.start();
    });
  }

  /// The delay that was told last.
  std::chrono::milliseconds delay() const {
    const auto lines = log->lines();
    const auto last = std::find_if(lines.rbegin(), lines.rend(), [](const auto& l) { return l.starts_with("again"); });
    REQUIRE(last != lines.rend());
    return std::chrono::milliseconds{std::stoi(last->substr(sizeof "again in"))};
  }

  net::manual_clock time;
  connect_options settings;
  actor_world world;
  journal_ptr log = make_journal();
  caf::actor self;
  client dialler;
};

/// Where nobody listens.
std::string deserted_address(carrier over) {
  return listening_peer{over}.address();
}

} // namespace

TEST_CASE("a client that reconnects tries again after each failure, later each time, and gets through in the end",
          "[client]") {
  const auto over = each_carrier();
  const said_carrier said{over};
  const auto address = deserted_address(over);
  reconnecting_client client{address};
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
  client.world.in(other, [&](probe& p) { p.listen(address).each<probe>(make_journal(), hook{}); });
  other_log->expect("listening");
  client.time.advance(400ms);
  client.log->expect("connected");
  CHECK(client.log->count_like("connect_failed") == 0);
}

TEST_CASE("a client that reconnects does so when its connection has ended, soon after one that lasted", "[client]") {
  listening_peer server{each_carrier()};
  reconnecting_client client{server.address(), {100ms, 400ms, 0, 1s}};
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

TEST_CASE("the delays of clients that reconnect differ by the jitter, and each is kept", "[client]") {
  const auto over = each_carrier();
  const said_carrier said{over};
  std::set<std::chrono::milliseconds> first;
  for (int one = 0; one < 8; ++one) {
    reconnecting_client client{deserted_address(over), {1s, 4s, 20, 1h}};
    std::size_t attempts = 1;
    for (const std::chrono::milliseconds mean : {1s, 2s, 4s, 4s}) {
      client.log->expect_like("again in", attempts);
      const auto delay = client.delay();
      CHECK(delay >= mean * 8 / 10);
      CHECK(delay <= mean * 12 / 10);
      if (attempts == 1)
        first.insert(delay);
      client.time.advance(delay - 1ms);
      client.world.settle();
      CHECK(client.log->count_like("again in") == attempts);
      client.time.advance(1ms);
      ++attempts;
    }
    client.log->expect_like("again in", attempts);
  }
  CHECK(first.size() > 1); // eight of four hundred
}

TEST_CASE("a client that reconnects makes a handler for each connection", "[client]") {
  const auto over = each_carrier();
  const said_carrier said{over};
  listening_peer server{over};
  const auto handled = make_journal();
  reconnecting_client client{server.address(), {100ms, 100ms, 0, 1h}, handled};
  for (std::size_t times = 1; times <= 3; ++times) {
    auto peer = server.accept();
    peer.send_all("hello");
    handled->expect("received hello", times);
    client.log->expect("connected", times);
    peer.close();
    handled->expect("closed peer_finished", times);
    client.log->expect("again in 100", times);
    client.time.advance(100ms);
  }
  server.accept();
  CHECK(client.log->count_like("received") == 0);
}

TEST_CASE("a client that reconnects ends in every way also while it waits, with the outcome of the connect",
          "[client]") {
  reconnecting_client client{deserted_address(each_carrier())};
  client.log->expect_like("again in");
  SECTION("drain") {
    CHECK_FALSE(client.world.ask<caf::ok_atom>(client.dialler, drain{1s}).second);
    client.log->expect("connect_failed: cancelled");
  }
  SECTION("an order to end") {
    client.world.kill(client.dialler.actor(), caf::exit_reason::user_shutdown);
    client.log->expect("connect_failed: cancelled");
  }
  SECTION("kill") {
    client.world.kill(client.dialler.actor());
    client.log->expect(with_cause("connect_failed", errc::aborted));
  }
  SECTION("cancel_connect") {
    CHECK_FALSE(client.world.ask<caf::ok_atom>(client.dialler, cancel_connect{}).second);
    client.log->expect("connect_failed: cancelled");
  }
  SECTION("the owner's end") {
    client.world.kill(client.self);
  }
  client.world.settle();
  CHECK(client.log->count_like("connect_failed") <= 1);
}
