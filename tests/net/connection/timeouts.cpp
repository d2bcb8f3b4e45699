// Every timeout, in virtual time: at its moment, not before, and never for somebody who was active.
#include "net/connection/stage.hpp"

namespace actnet::test {

TEST_CASE("an idle connection is closed at its timeout and not before") {
  stage on;
  connection_options options;
  options.idle_timeout = milliseconds{1'000};
  auto& s = on.open(options);
  on.advance(milliseconds{999});
  CHECK_FALSE(s.closed());
  on.advance(milliseconds{1});
  REQUIRE(s.closed());
  CHECK(s.reason == close_reason::idle);
  CHECK(s.cause == errc::idle);
  CHECK(s.far.await_end() == ending::finished); // it was only quiet: no RST
}

TEST_CASE("a byte in either direction moves the idle timeout, without a timer being set again each time") {
  for (const auto incoming : {true, false}) {
    CAPTURE(incoming);
    stage on;
    connection_options options;
    options.idle_timeout = milliseconds{1'000};
    auto& s = on.open(options);
    for (int i = 0; i < 5; ++i) {
      on.advance(milliseconds{900});
      REQUIRE_FALSE(s.closed());
      const auto armed_for = on.loop->judging_timers().next_deadline();
      REQUIRE(armed_for != net::time_point::max());
      if (incoming) {
        s.far.send_all("x");
        REQUIRE(on.pump_until([&] { return s.received_bytes == static_cast<std::size_t>(i) + 1; }));
      } else {
        s.write(text("x"));
        on.settle();
      }
      CHECK(on.loop->judging_timers().next_deadline() == armed_for);
    }
    on.advance(milliseconds{999});
    CHECK_FALSE(s.closed());
    on.advance(milliseconds{1});
    CHECK(s.reason == close_reason::idle);
  }
}

TEST_CASE("a loop that was held up for long closes nobody whose bytes came meanwhile") { // F21
  stage on;
  connection_options options;
  options.idle_timeout = milliseconds{1'000};
  auto& active = on.open(options);
  auto& silent = on.open(options);
  active.far.send_all("I am here");
  on.clock.advance(milliseconds{2'000});
  on.settle();
  CHECK(active.received_text == "I am here");
  CHECK_FALSE(active.closed());
  CHECK(silent.reason == close_reason::idle);
}

TEST_CASE("that holds also for more connections than the backend looks at in one round") {
  stage on;
  connection_options options;
  options.idle_timeout = milliseconds{1'000};
  std::vector<subject*> active;
  for (int i = 0; i < 300; ++i)
    active.push_back(&on.open(options));
  for (auto each : active)
    each->far.send_all("I am here");
  on.clock.advance(milliseconds{2'000});
  on.settle();
  for (auto each : active) {
    CHECK(each->received_text == "I am here");
    CHECK_FALSE(each->closed());
  }
}

TEST_CASE("an idle connection with bytes that did not go is reset, so that its peer does not take it for whole") {
  stage on;
  connection_options options;
  options.idle_timeout = milliseconds{1'000};
  auto& s = on.open(options, true, {.receive_buffer_bytes = 8'192}, 16'384);
  s.write(coded(8u << 20), 1);
  on.settle();
  on.advance(milliseconds{250}); // what its kernel took at first has been seen by then
  CHECK_FALSE(s.closed());
  on.advance(milliseconds{1'000});
  REQUIRE(s.closed());
  CHECK(s.reason == close_reason::idle);
  CHECK(s.outcome_of(1)->cause == errc::idle);
  CHECK(s.far.await_end() == ending_of_abort(on.over));
}

TEST_CASE("the idle timeout can be changed and turned off while the connection lives") {
  stage on;
  auto& s = on.open();
  on.advance(std::chrono::hours{1});
  s.near.set_idle_timeout(milliseconds{500});
  on.advance(milliseconds{499});
  CHECK_FALSE(s.closed());
  s.near.set_idle_timeout(milliseconds{0});
  on.advance(std::chrono::hours{1});
  CHECK_FALSE(s.closed());
  s.near.set_idle_timeout(milliseconds{100});
  on.settle();
  on.advance(milliseconds{100});
  CHECK(s.reason == close_reason::idle);
}

TEST_CASE("an accepted connection that nobody claims is aborted at the handshake deadline") {
  stage on;
  auto& unclaimed = on.open({}, false);
  auto& claimed = on.open({}, false);
  on.advance(milliseconds{4'999});
  CHECK_FALSE(unclaimed.closed());
  claimed.near.claim();
  on.advance(milliseconds{1});
  REQUIRE(unclaimed.closed());
  CHECK(unclaimed.reason == close_reason::error);
  CHECK(unclaimed.cause == errc::unclaimed);
  CHECK_FALSE(claimed.closed());
}

TEST_CASE("a deadline closes also who is active, unless it is moved or lifted") {
  stage on;
  auto& s = on.open();
  auto& lifted = on.open();
  s.near.set_deadline(on.clock.now() + milliseconds{500});
  lifted.near.set_deadline(on.clock.now() + milliseconds{500});
  CHECK(s.near.deadline() == on.clock.now() + milliseconds{500});
  on.settle();
  s.near.set_deadline(on.clock.now() + milliseconds{700});
  lifted.near.set_deadline(std::nullopt);
  CHECK_FALSE(lifted.near.deadline());
  on.advance(milliseconds{699});
  CHECK_FALSE(s.closed());
  s.far.send_all("active");
  on.settle();
  on.advance(milliseconds{1});
  REQUIRE(s.closed());
  CHECK(s.reason == close_reason::deadline);
  CHECK(s.cause == errc::timed_out);
  CHECK_FALSE(lifted.closed());
}

TEST_CASE("a peer that takes nothing while we close is reset at the write stall") {
  stage on;
  auto& s = on.open({}, true, {.receive_buffer_bytes = 8'192}, 16'384);
  s.write(coded(8u << 20), 1);
  s.near.close();
  on.settle();
  on.advance(milliseconds{59'999});
  CHECK(s.near.state() == connection_state::closing);
  for (int i = 0; i < 2 && !s.closed(); ++i) // its kernel may have taken some at first, which a look has to show
    on.advance(milliseconds{60'000});
  REQUIRE(s.closed());
  CHECK(s.reason == close_reason::requested);
  CHECK(s.cause == errc::write_stalled);
  CHECK(s.outcome_of(1)->cause == errc::write_stalled);
  CHECK(s.far.await_end() == ending_of_abort(on.over));
}

TEST_CASE("progress while closing moves the write stall") {
  stage on;
  auto& s = on.open({}, true, {.receive_buffer_bytes = 8'192}, 16'384);
  s.write(coded(2u << 20), 1);
  s.near.close();
  std::string got;
  while (got.size() < (1u << 20)) {
    on.advance(milliseconds{50'000});
    REQUIRE_FALSE(s.closed());
    const auto before = s.near.counters().bytes_sent;
    REQUIRE(on.pump_until([&] { return drain(s.far, got) && s.near.counters().bytes_sent > before + 100'000; }));
  }
  CHECK(s.near.state() == connection_state::closing);
}

TEST_CASE("a peer that never ends is left at the close timeout, with all that was written") {
  stage on;
  auto& s = on.open();
  s.write(coded(100'000), 1);
  s.near.close();
  std::string got;
  REQUIRE(on.pump_until([&] { // the close timeout begins when it has taken all: its kernel, or over a Unix socket it
    if (on.over == carrier::local)
      drain(s.far, got);
    const auto left = s.near.socket().untaken();
    return s.near.state() == connection_state::draining && left && *left == 0;
  }));
  on.advance(milliseconds{1'000}); // by then that has been seen
  CHECK_FALSE(s.closed());
  on.advance(milliseconds{3'999});
  CHECK_FALSE(s.closed());
  on.advance(milliseconds{1'001});
  REQUIRE(s.closed());
  CHECK(s.reason == close_reason::requested);
  CHECK(s.cause == errc::timed_out);
  CHECK(got.size() + s.far.read_to_end().size() == 100'000); // no RST destroyed it
}

TEST_CASE("a peer that takes no byte of what is queued is closed at the write stall") {
  stage on;
  auto& s = on.open({}, true, {.receive_buffer_bytes = 8'192}, 16'384);
  on.advance(std::chrono::minutes{5}); // the stall counts from the write on
  s.write(coded(8u << 20), 1);
  on.settle();
  on.advance(milliseconds{59'000});
  CHECK_FALSE(s.closed());
  std::string got;
  const auto before = s.near.counters().bytes_sent;
  REQUIRE(on.pump_until([&] { return drain(s.far, got) && s.near.counters().bytes_sent > before; }));
  on.settle();
  const auto sends_in = [&](milliseconds time) {
    const auto sent = s.near.counters().bytes_sent;
    on.advance(time);
    return s.near.counters().bytes_sent > sent;
  };
  // The peer's kernel may take some more when its acknowledgement comes, and the time begins anew.
  while (sends_in(milliseconds{1'000})) {
  }
  CHECK_FALSE(s.closed());
  while (sends_in(milliseconds{58'999})) {
  }
  CHECK_FALSE(s.closed());
  for (int i = 0; i < 3 && !s.closed(); ++i)
    on.advance(milliseconds{60'000});
  REQUIRE(s.closed());
  CHECK(s.reason == close_reason::error);
  CHECK(s.cause == errc::write_stalled);
  CHECK(s.outcome_of(1)->cause == errc::write_stalled);
  CHECK(s.outcome_of(1)->sent == s.near.counters().bytes_sent);
}

TEST_CASE("a timeout of zero is off") {
  stage on;
  connection_options options;
  options.handshake_deadline = options.close_timeout = options.write_stall = milliseconds{0};
  auto& unclaimed = on.open(options, false);
  auto& stalled = on.open(options, true, {.receive_buffer_bytes = 8'192}, 16'384);
  auto& draining = on.open(options);
  stalled.write(coded(8u << 20), 1);
  draining.near.close();
  on.settle();
  on.advance(std::chrono::hours{24});
  CHECK_FALSE(unclaimed.closed());
  CHECK_FALSE(stalled.closed());
  CHECK_FALSE(draining.closed());
  CHECK(on.loop->timers().next_deadline() == net::time_point::max());
  CHECK(on.loop->judging_timers().next_deadline() == net::time_point::max());
}

TEST_CASE("a timeout that begins late in a long turn is as long as any other") {
  connection_options options;
  options.close_timeout = milliseconds{500};
  stage on;
  auto& s = on.open(options);
  const auto late = [&](std::function<void()> what) {
    s.when_received = [&, what] {
      on.clock.advance(milliseconds{800}); // the turn takes so long
      what();
    };
    s.far.send_all("x");
    REQUIRE(on.pump_until([&] { return s.received_bytes == 1; }));
    on.settle();
  };
  auto* judged = &s;
  SECTION("of silence") {
    late([&] { s.near.set_idle_timeout(milliseconds{500}); });
  }
  SECTION("of a close") {
    late([&] { s.near.close(); });
    // The peer's kernel may acknowledge 40 ms later, of no manual clock.
    REQUIRE(on.pump_until([&] {
      const auto left = s.near.socket().untaken();
      return left && *left == 0;
    }));
  }
  SECTION("of a connection that begins") {
    options.idle_timeout = milliseconds{500};
    auto both = net::stream_socket::pair();
    REQUIRE(both);
    late([&] { judged = &on.adopt(std::move(both->first), peer{descriptor{both->second.release()}}, options); });
  }
  CHECK_FALSE(judged->closed());
  on.advance(milliseconds{499});
  CHECK_FALSE(judged->closed());
  on.advance(milliseconds{1});
  for (int i = 0; i < 2 && !judged->closed(); ++i)
    on.advance(milliseconds{1'000}); // that of a close begins when all is taken, at which a look may come later
  CHECK(judged->closed());
}

} // namespace actnet::test
