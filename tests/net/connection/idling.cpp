// What the idle timeout does not count: a peer that is kept waiting, and time without an owner. And what a queue of
// many small items may hold.
#include "net/connection/stage.hpp"

namespace actnet::test {
namespace {

connection_options idle_after_a_second() {
  connection_options options;
  options.idle_timeout = milliseconds{1'000};
  return options;
}

/// Byte by byte, with a flush behind each, until there is no room. Returns how many bytes were taken.
std::size_t fill(subject& s) {
  std::size_t taken = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    if (s.try_write(text("x"), 0))
      ++taken;
    s.try_write({}, 0);
  }
  return taken;
}

} // namespace

TEST_CASE("a connection whose owner keeps what it got is starved, not idle") {
  stage on;
  auto options = idle_after_a_second();
  options.read_credit_bytes = 100'000;
  auto& s = on.open(options);
  s.keep = true;
  const auto all = position_stream{}.bytes(1'000'000);
  std::size_t sent = 0;
  REQUIRE(on.pump_until([&] {
    sent += s.far.send_some(std::span(all).subspan(sent));
    return s.near.starved();
  }));
  for (int i = 0; i < 5; ++i) {
    on.advance(milliseconds{1'500});
    CHECK_FALSE(s.closed());
  }
  s.keep = false;
  s.kept.clear(); // it goes on, and from now on nobody is kept waiting
  REQUIRE(on.pump_until([&] { return s.received_bytes == sent; }));
  on.settle();
  on.advance(milliseconds{1'000});
  REQUIRE(s.closed());
  CHECK(s.reason == close_reason::idle);
}

TEST_CASE("a paused connection whose peer goes on sending is not idle") {
  stage on;
  auto& s = on.open(idle_after_a_second());
  s.near.pause_reading();
  on.settle();
  for (int i = 0; i < 5; ++i) {
    s.far.send_all("x");
    on.advance(milliseconds{900});
    CHECK_FALSE(s.closed());
  }
  s.near.resume_reading();
  REQUIRE(on.pump_until([&] { return s.received_bytes == 5; }));
  on.advance(milliseconds{1'000});
  REQUIRE(s.closed());
  CHECK(s.reason == close_reason::idle);
}

TEST_CASE("the idle time of an accepted connection starts when it is claimed") {
  stage on;
  auto& s = on.open(idle_after_a_second(), false);
  on.advance(milliseconds{3'000});
  REQUIRE_FALSE(s.closed());
  s.near.claim();
  on.settle();
  CHECK_FALSE(s.closed());
  on.advance(milliseconds{999});
  CHECK_FALSE(s.closed());
  on.advance(milliseconds{1});
  REQUIRE(s.closed());
  CHECK(s.reason == close_reason::idle);
}

TEST_CASE("an idle timeout longer than the clock can count does not close at once") {
  stage on;
  connection_options endless;
  endless.idle_timeout = milliseconds::max();
  auto& born = on.open(endless);
  auto& changed = on.open();
  changed.near.set_idle_timeout(milliseconds::max());
  on.settle();
  on.advance(std::chrono::hours{24});
  CHECK_FALSE(born.closed());
  CHECK_FALSE(changed.closed());
}

TEST_CASE("each queued item takes room of its own, so that tiny writes do not get past the high mark") {
  constexpr auto each = 1 + net::connection::item_overhead_bytes;
  connection_options options;
  options.write_high_bytes = 100 * each + 1;
  options.write_low_bytes = 10 * each;
  stage on;
  auto& s = on.open(options);
  const auto room = options.write_high_bytes / each + 1;
  for (int again = 0; again < 2; ++again) { // all of it comes back when the bytes have gone
    for (std::size_t i = 0; i < room; ++i)
      REQUIRE(s.try_write(text("x"), 0));
    const auto one_too_many = static_cast<std::uint64_t>(again) + 1;
    s.write(text("x"), one_too_many);
    on.settle();
    REQUIRE(s.outcome_of(one_too_many));
    CHECK(s.outcome_of(one_too_many)->cause == errc::queue_full);
    REQUIRE(on.pump_until([&] { return s.near.queued_bytes() == 0; }));
  }
}

TEST_CASE("a million tiny writes and flushes queue no more than the high mark") {
  connection_options options;
  options.write_high_bytes = 64 * 1024;
  stage on;
  auto& s = on.open(options);
  const auto taken = fill(s);
  CHECK(taken > 0);
  CHECK(taken <= options.write_high_bytes / net::connection::item_overhead_bytes);
  on.settle();
  CHECK(s.outcomes.size() <= 2 * (options.write_high_bytes / net::connection::item_overhead_bytes + 1));
  CHECK(s.near.counters().writes_done == s.outcomes.size());
  CHECK(s.far.read_exactly(taken).size() == taken);
}

TEST_CASE("a byte that nobody reads while reading is paused counts when it comes, and then no more") {
  stage on;
  auto& s = on.open(idle_after_a_second());
  s.near.pause_reading();
  on.settle();
  on.advance(milliseconds{500});
  s.far.send_all("x");
  on.settle();
  on.advance(milliseconds{999});
  CHECK_FALSE(s.closed());
  on.advance(milliseconds{1});
  REQUIRE(s.closed());
  CHECK(s.reason == close_reason::idle);
}

TEST_CASE("a reset that came when the idle time was over is told as a reset") {
  for (const auto paused : {false, true}) {
    CAPTURE(paused);
    stage on;
    auto& s = on.open(idle_after_a_second());
    if (paused)
      s.near.pause_reading();
    on.settle();
    s.far.send_all("unread");
    if (!paused)
      REQUIRE(on.pump_until([&] { return s.received_text == "unread"; }));
    s.far.reset();
    on.clock.advance(milliseconds{1'000});
    on.settle();
    on.advance(milliseconds{1'000});
    REQUIRE(s.closed());
    CHECK(s.reason == close_reason::peer_reset);
    CHECK(s.count("peer_finished") == 0);
  }
}

} // namespace actnet::test
