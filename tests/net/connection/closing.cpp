// How a connection ends: close flushes and drains, abort resets, and neither loses what was promised.
#include "net/connection/stage.hpp"

namespace actnet::test {
namespace {

/// Pumps and reads at the peer until the end of the stream; the bytes before it.
std::string read_all(stage& on, subject& s) {
  std::string got;
  CHECK(on.pump_until([&] { return !drain(s.far, got); }));
  return got;
}

bool is_coded(std::string_view got, std::uint64_t seed = 1) {
  return position_checker{seed}.feed(std::as_bytes(std::span(got)));
}

} // namespace

TEST_CASE("close with writes queued flushes all of them before FIN") {
  stage on;
  auto& s = on.open({}, true, {.receive_buffer_bytes = 8'192}, 16'384);
  for (std::uint64_t i = 0; i < 8; ++i)
    s.write(coded(100'000, i * 100'000), i + 1);
  s.near.close();
  on.settle();
  CHECK(s.near.state() == connection_state::closing);
  const auto got = read_all(on, s);
  CHECK(got.size() == 800'000);
  CHECK(is_coded(got));
  CHECK(s.near.state() == connection_state::draining);
  s.far.finish();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.log == std::vector<std::string>{"done 1", "done 2", "done 3", "done 4", "done 5", "done 6", "done 7",
                                          "done 8", "closed"});
  CHECK(s.reason == close_reason::requested);
  CHECK_FALSE(s.cause);
}

TEST_CASE("close with unread input delivers everything that was written and sends no RST") {
  for (const auto paused : {false, true}) {
    CAPTURE(paused);
    stage on;
    auto& s = on.open();
    s.near.pause_reading();
    on.settle();
    s.far.send_all(position_stream{7}.bytes(100'000)); // lies unread in our kernel
    if (!paused) {
      // More of it comes while the close is under way.
      s.near.resume_reading();
      s.when_received = [&] { s.near.pause_reading(); };
    }
    s.write(coded(200'000), 1);
    s.near.close();
    on.settle();
    s.far.send_some(position_stream{7}.bytes(50'000));
    const auto got = read_all(on, s);
    CHECK(got.size() == 200'000);
    CHECK(is_coded(got));
    CHECK(s.far.await_end() == ending::finished);
    CHECK(s.outcome_of(1)->sent == 200'000);
    s.far.finish();
    REQUIRE(on.pump_until_closed(s));
    CHECK(s.reason == close_reason::requested);
  }
}

TEST_CASE("close on a paused connection neither hangs nor drops what was written") {
  stage on;
  auto& s = on.open({}, true, {.receive_buffer_bytes = 8'192}, 16'384);
  s.near.pause_reading();
  on.settle();
  s.write(coded(300'000), 1);
  s.near.close();
  const auto got = read_all(on, s);
  CHECK(got.size() == 300'000);
  s.far.send_all("never wanted");
  s.far.close();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.reason == close_reason::requested);
  CHECK(s.received_text.empty());
}

TEST_CASE("two sides that both have much to write can both close") {
  stage on;
  auto& a = on.open({}, true, {.receive_buffer_bytes = 8'192}, 16'384);
  a.write(coded(500'000), 1);
  a.near.close();
  // The peer reads nothing until it has written everything: only dropping input lets it come to that.
  const auto all = position_stream{2}.bytes(2'000'000);
  std::size_t sent = 0;
  REQUIRE(on.pump_until([&] {
    sent += a.far.send_some(std::span(all).subspan(sent));
    return sent == all.size();
  }));
  CHECK(read_all(on, a).size() == 500'000);
  a.far.finish();
  REQUIRE(on.pump_until_closed(a));
  CHECK(a.received_bytes == 0);
}

TEST_CASE("close sends FIN and abort sends RST, which a Unix peer sees as one if bytes of its were left unread") {
  stage on;
  auto& closing = on.open();
  closing.near.close();
  on.settle();
  CHECK(closing.far.await_end() == ending::finished);

  auto& aborted = on.open();
  aborted.near.abort();
  REQUIRE(on.pump_until_closed(aborted));
  CHECK(aborted.far.await_end() == ending_of_abort(on.over));
  CHECK(aborted.reason == close_reason::aborted);
  CHECK(aborted.cause == errc::aborted);

  auto& unread = on.open();
  unread.near.pause_reading();
  on.settle();
  unread.far.send_all("unread");
  unread.near.abort();
  REQUIRE(on.pump_until_closed(unread));
  CHECK(unread.far.await_end() == ending::reset);
}

TEST_CASE("abort fails what is queued, each with the bytes that went") {
  stage on;
  connection_options options;
  options.write_high_bytes = 64u << 20;
  auto& s = on.open(options, true, {.receive_buffer_bytes = 8'192}, 16'384);
  s.write(coded(10), 1);
  s.write(coded(8u << 20, 10), 2);
  s.write(coded(10), 3);
  s.finish(4);
  on.settle();
  s.near.abort(close_reason::owner_gone, errc::owner_gone);
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.log == std::vector<std::string>{"done 1", "failed 2", "failed 3", "failed 4", "closed"});
  CHECK(s.outcome_of(2)->sent + 10 == s.near.counters().bytes_sent);
  CHECK(s.outcome_of(2)->sent > 0);
  CHECK(s.outcome_of(3)->sent == 0);
  CHECK(s.outcome_of(3)->cause == errc::owner_gone);
  CHECK(s.reason == close_reason::owner_gone);
}

TEST_CASE("RST in mid-write fails the rest with the right counts") { // F8
  for (const auto how : {1, 2}) {
    stage on;
    connection_options options;
    options.write_high_bytes = 64u << 20;
    auto& s = on.open(options, true, {.receive_buffer_bytes = 8'192}, 16'384);
    if (how == 2)
      s.near.pause_reading();
    for (std::uint64_t i = 0; i < 20; ++i)
      s.write(coded(500'000, i * 500'000), i + 1);
    std::string got;
    REQUIRE(on.pump_until([&] { return drain(s.far, got) && got.size() > 1'300'000; }));
    s.far.reset();
    REQUIRE(on.pump_until_closed(s));
    CHECK(is_coded(got));
    CHECK(s.reason == close_reason::peer_reset);
    CHECK(s.cause == errc::connection_reset);
    REQUIRE(s.outcomes.size() == 20);
    std::uint64_t taken = 0;
    bool failed_before = false;
    for (std::size_t i = 0; i < 20; ++i) {
      const auto& each = s.outcomes[i];
      CHECK(each.token == i + 1);
      taken += each.sent;
      if (each.cause) {
        CHECK(each.cause == errc::connection_reset);
        if (failed_before)
          CHECK(each.sent == 0);
        failed_before = true;
      } else {
        CHECK_FALSE(failed_before);
        CHECK(each.sent == 500'000);
      }
    }
    CHECK(failed_before);
    CHECK(taken == s.near.counters().bytes_sent);
    CHECK(taken >= got.size());
  }
}

TEST_CASE("the second write after an RST fails as the first does") {
  stage on;
  connection_options options;
  options.allow_half_open = true;
  auto& s = on.open(options);
  s.near.pause_reading();
  on.settle();
  s.far.send_all("unread");
  s.far.reset();
  REQUIRE(on.pump_until([&] { return s.near.state() == connection_state::reset; }));
  s.write(text("first"), 1);
  on.settle();
  s.write(text("second"), 2);
  on.settle();
  for (const auto token : {1u, 2u}) {
    REQUIRE(s.outcome_of(token));
    CHECK(s.outcome_of(token)->cause == errc::connection_reset);
    CHECK(s.outcome_of(token)->sent == 0);
  }
  s.near.resume_reading();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_text == "unread");
}

TEST_CASE("a half-open connection that only writes notices a reset") {
  connection_options options;
  options.allow_half_open = true;
  stage on;
  auto& s = on.open(options);
  s.far.finish();
  REQUIRE(on.pump_until([&] { return s.near.state() == connection_state::peer_finished; }));
  s.write(text("x"), 1);
  on.settle();
  CHECK(s.outcome_of(1));
  s.far.reset();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.reason == close_reason::peer_reset);
}

TEST_CASE("a reset that the loop has not seen yet is told as one by finish and by close") {
  stage on;
  // shutdown(2) of a Unix socket succeeds whatever became of the peer: there only reading tells.
  const auto tcp = on.over == carrier::tcp;
  auto& finishing = on.open();
  finishing.far.reset();
  finishing.finish(1);
  on.loop->after_turn(); // before any poll
  REQUIRE(finishing.outcome_of(1));
  CHECK(finishing.outcome_of(1)->cause == (tcp ? make_error_code(errc::connection_reset) : std::error_code{}));
  REQUIRE(on.pump_until_closed(finishing));
  CHECK(finishing.reason == close_reason::peer_reset);

  auto& closing = on.open();
  closing.far.reset();
  closing.near.close();
  REQUIRE(on.pump_until_closed(closing));
  CHECK(closing.reason == (tcp ? close_reason::peer_reset : close_reason::requested));
}

TEST_CASE("writes after closed get their outcome, after it") {
  stage on;
  auto& s = on.open();
  s.near.close();
  s.far.finish();
  REQUIRE(on.pump_until_closed(s));
  s.write(text("late"), 1);
  on.settle();
  CHECK(s.log == std::vector<std::string>{"closed", "failed 1"});
  CHECK(s.outcome_of(1)->cause == errc::closed);
}

} // namespace actnet::test
