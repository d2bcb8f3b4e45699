// Time that jumps or stands still: what is due happens once and in order, and nobody suffers for the loop's absence.
#include "support/witness.hpp"

using namespace actnet;
using namespace actnet::test;

TEST_CASE("deadlines that a jump of the clock has passed end their connections once each, in order", "[clock]") {
  net::manual_clock time;
  actor_world world{1, &time};
  event_book book{world};
  constexpr std::size_t count = 12;
  std::vector<connected_pair> pairs(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto owner = world.owned(spawn_on<witness>(world.loop(), &book));
    world.in(owner, [&](probe& self) {
      auto& it = static_cast<witness&>(self);
      it.take(world.adopt(pairs[i], owner));
      it.peer.set_deadline(std::chrono::seconds{count - i}); // the last one first
    });
  }
  world.settle();
  std::vector<std::size_t> expected;
  const auto jump = [&](std::chrono::seconds by) {
    time.advance(by);
    for (std::int64_t i = 0; i < by.count(); ++i)
      expected.push_back(count - 1 - expected.size());
    book.await([&](const event_book::totals& t) { return t.closed >= expected.size(); });
    world.settle();
    CHECK(book.closed() == expected);
  };
  jump(7s);
  jump(1s);
  jump(2s);
  jump(2s);
  CHECK(book.finish() == none);
}

TEST_CASE("a loop that stood still does not take its peers for idle, as long as they have said something", "[clock]") {
  net::manual_clock time;
  listen_options options;
  options.connection.idle_timeout = 1s;
  witness_server s{1, options, &time};
  constexpr std::size_t talkers = 270, silent = 5; // more than one round of the loop serves
  std::vector<peer> peers;
  const auto talk = [&] {
    for (auto& each : peers)
      each.send_all("x");
  };
  const auto listen = [&] {
    for (auto& each : peers)
      CHECK(each.read_exactly(1) == "x");
  };
  for (std::size_t i = 0; i < talkers + silent; ++i)
    peers.emplace_back(s.port);
  talk();
  listen();
  std::vector<peer> mute;
  for (std::size_t i = 0; i < silent; ++i) {
    mute.push_back(std::move(peers.back()));
    peers.pop_back();
  }
  for (int stall = 1; stall <= 3; ++stall) {
    std::promise<void> stands, goes_on;
    caf::anon_send(s.boss, perform{[&](probe&) {
                     stands.set_value();
                     goes_on.get_future().wait();
                   }});
    stands.get_future().wait();
    talk();
    time.advance(2s);
    goes_on.set_value();
    listen();
    s.await_closed(silent); // at the first stall
    s.world.settle();
    CHECK(s.book.so_far().closed == silent);
  }
  for (auto& each : mute)
    CHECK(each.await_end() == ending::finished);
  peers.clear();
  s.await_closed(talkers + silent);
  CHECK(s.book.finish() == none);
}
