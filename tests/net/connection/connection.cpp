// The state table of connection.hpp, cell by cell, and the order of what an owner is told.
#include "net/connection/stage.hpp"

namespace actnet::test {
namespace {

constexpr std::size_t stuck_bytes = 8u << 20; // more than the kernel's buffers on both sides hold

/// A connection that was led into `state`. It tolerates half-open.
subject& in_state(stage& on, connection_state state) {
  connection_options options;
  options.allow_half_open = true;
  auto& s = on.open(options, state != connection_state::unclaimed);
  switch (state) {
  case connection_state::unclaimed:
  case connection_state::open: break;
  case connection_state::peer_finished: s.far.finish(); break;
  case connection_state::finished: s.finish(); break;
  case connection_state::closing:
    s.write(coded(stuck_bytes), 900);
    s.near.close();
    break;
  case connection_state::draining: s.near.close(); break;
  case connection_state::reset:
    s.near.pause_reading();
    on.settle();
    s.far.send_all("unread");
    s.far.reset();
    break;
  case connection_state::closed: s.near.abort(); break;
  }
  REQUIRE(on.pump_until([&] { return s.near.state() == state; }));
  on.settle();
  REQUIRE(s.near.state() == state);
  return s;
}

enum class expected { nothing, done, finished, closed, reset };

struct cell {
  connection_state before;
  expected outcome;
  connection_state after;
  std::optional<close_reason> reason{};
};

void check_outcome(const subject& s, std::uint64_t token, expected what) {
  const auto told = s.outcome_of(token);
  if (what == expected::nothing) {
    CHECK_FALSE(told);
    return;
  }
  REQUIRE(told);
  switch (what) {
  case expected::nothing:
  case expected::done: CHECK_FALSE(told->cause); break;
  case expected::finished: CHECK(told->cause == errc::finished); break;
  case expected::closed: CHECK(told->cause == errc::closed); break;
  case expected::reset: CHECK(told->cause == errc::connection_reset); break;
  }
}

/// Each cell in a world of its own. `operation` may end with an outcome for token 1.
template <class Operation>
void walk(std::initializer_list<cell> cells, Operation operation) {
  for (const auto& each : cells) {
    CAPTURE(each.before, each.after);
    stage on;
    auto& s = in_state(on, each.before);
    const auto was_closed = s.closed();
    operation(s);
    CHECK(on.pump_until([&] { return s.near.state() == each.after; }));
    on.settle();
    CHECK(s.near.state() == each.after);
    check_outcome(s, 1, each.outcome);
    CHECK(s.closed() == (each.after == connection_state::closed));
    if (each.reason)
      CHECK(s.reason == each.reason);
    CHECK(s.count("closed") == (s.closed() ? 1 : 0));
    if (!was_closed && s.closed())
      CHECK(s.log.back() == "closed");
  }
}

using enum connection_state;

constexpr auto all_states = {unclaimed, open,     peer_finished,           finished,
                             closing,   draining, connection_state::reset, closed};

} // namespace

TEST_CASE("a write and a flush end in every state as the table says") {
  const std::initializer_list<cell> cells = {
      {unclaimed, expected::done, unclaimed},
      {open, expected::done, open},
      {peer_finished, expected::done, peer_finished},
      {finished, expected::finished, finished},
      {closing, expected::closed, closing},
      {draining, expected::closed, draining},
      {connection_state::reset, expected::reset, connection_state::reset},
      {closed, expected::closed, closed},
  };
  walk(cells, [](subject& s) { s.write(text("x"), 1); });
  walk(cells, [](subject& s) { s.flush(1); });
}

TEST_CASE("finish ends in every state as the table says") {
  walk(
      {
          {unclaimed, expected::done, unclaimed},
          {open, expected::done, finished},
          {peer_finished, expected::done, closed, close_reason::both_finished},
          {finished, expected::finished, finished},
          {closing, expected::closed, closing},
          {draining, expected::closed, draining},
          {connection_state::reset, expected::reset, connection_state::reset},
          {closed, expected::closed, closed},
      },
      [](subject& s) { s.finish(1); });
}

TEST_CASE("close leads from every state where the table says") {
  walk(
      {
          {unclaimed, expected::nothing, draining},
          {open, expected::nothing, draining},
          {peer_finished, expected::nothing, closed, close_reason::requested},
          {finished, expected::nothing, draining},
          {closing, expected::nothing, closing},
          {draining, expected::nothing, draining},
          {connection_state::reset, expected::nothing, closed, close_reason::peer_reset},
          {closed, expected::nothing, closed, close_reason::aborted},
      },
      [](subject& s) { s.near.close(); });
}

TEST_CASE("abort closes at once from every state") {
  for (const auto before : all_states)
    walk({{before, expected::nothing, closed, close_reason::aborted}}, [](subject& s) { s.near.abort(); });
}

TEST_CASE("a claim opens what was unclaimed and changes no other state") {
  for (const auto before : all_states)
    walk({{before, expected::nothing, before == unclaimed ? open : before}}, [](subject& s) { s.near.claim(); });
}

TEST_CASE("bytes that come are kept back, delivered or dropped as the table says") {
  for (const auto before : {unclaimed, open, finished, closing, draining}) {
    CAPTURE(before);
    stage on;
    auto& s = in_state(on, before);
    s.far.send_all("hello");
    on.settle();
    CHECK(s.near.state() == before);
    const auto delivered = before == open || before == finished;
    CHECK(s.received_text == (delivered ? "hello" : ""));
    CHECK(s.near.counters().bytes_received == (before == unclaimed ? 0 : 5));
    if (before == unclaimed) {
      s.near.claim();
      CHECK(on.pump_until([&] { return s.received_text == "hello"; }));
    }
  }
}

TEST_CASE("the peer's FIN leads from every state where the table says") {
  walk(
      {
          {unclaimed, expected::nothing, unclaimed},
          {open, expected::nothing, peer_finished},
          {finished, expected::nothing, closed, close_reason::both_finished},
          {closing, expected::nothing, closing},
          {draining, expected::nothing, closed, close_reason::requested},
      },
      [](subject& s) { s.far.finish(); });
}

TEST_CASE("the peer's RST leads from every state where the table says") {
  // A Unix peer that has read all of what we had to say before we finished cannot reset: it ends.
  const auto after_our_end = each_carrier() == carrier::tcp ? close_reason::peer_reset : close_reason::both_finished;
  walk(
      {
          {unclaimed, expected::nothing, closed, close_reason::peer_reset},
          {open, expected::nothing, closed, close_reason::peer_reset},
          {peer_finished, expected::nothing, closed, close_reason::peer_reset},
          {finished, expected::nothing, closed, after_our_end},
          {closing, expected::nothing, closed, close_reason::peer_reset},
          {draining, expected::nothing, closed, close_reason::requested},
      },
      [](subject& s) { s.far.reset(); });
}

TEST_CASE("an unclaimed connection that was reset delivers what came before once it is claimed") {
  stage on;
  auto& s = on.open({}, false);
  s.far.send_all("last words");
  s.far.reset();
  REQUIRE(on.pump_until([&] { return s.near.state() == connection_state::reset; }));
  CHECK_FALSE(s.closed());
  s.near.claim();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_text == "last words");
  CHECK(s.reason == close_reason::peer_reset);
}

TEST_CASE("an unclaimed connection that was reset still has to be claimed in time") {
  stage on;
  auto& s = on.open({}, false);
  s.far.send_all("last words");
  s.far.reset();
  REQUIRE(on.pump_until([&] { return s.near.state() == connection_state::reset; }));
  on.advance(milliseconds{5'000});
  REQUIRE(s.closed());
  CHECK(s.cause == errc::unclaimed);
}

TEST_CASE("the end of a peer that came before the claim is told after it") {
  stage on;
  auto& s = on.open({}, false);
  s.far.send_all("hello");
  s.far.finish();
  on.settle();
  CHECK(s.log.empty());
  s.near.claim();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.log == std::vector<std::string>{"received", "peer_finished", "closed"});
  CHECK(s.reason == close_reason::peer_finished);
}

TEST_CASE("what was finished before the claim is finished after it, and both ends close it") {
  stage on;
  auto& s = on.open({}, false);
  s.finish(1);
  REQUIRE(on.pump_until([&] { return s.outcome_of(1) != nullptr; }));
  CHECK(s.far.read_to_end().empty());
  s.far.send_all("answer");
  s.far.finish();
  on.settle();
  CHECK_FALSE(s.closed());
  s.near.claim();
  CHECK(s.near.state() == finished);
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.log == std::vector<std::string>{"done 1", "received", "peer_finished", "closed"});
  CHECK(s.reason == close_reason::both_finished);
}

TEST_CASE("outcomes come once each in the order of the operations, marks in their place") {
  stage on;
  auto& s = on.open({}, true, {.receive_buffer_bytes = 8'192}, 16'384);
  s.flush(1);
  s.write(coded(300'000), 2);
  s.flush(3);
  s.write(text("a"), 4);
  s.write(text("b"), 5);
  s.flush(6);
  s.finish(7);
  s.write(text("too late"), 8);
  on.round();
  // A refusal overtakes; nothing else does.
  CHECK(s.log.front() == "failed 8");
  CHECK_FALSE(s.outcome_of(3)); // not before the bytes ahead of it
  std::string got;
  REQUIRE(on.pump_until([&] { return !drain(s.far, got); }));
  on.settle();
  CHECK(s.log ==
        std::vector<std::string>{"failed 8", "done 1", "done 2", "done 3", "done 4", "done 5", "done 6", "done 7"});
  CHECK(got.size() == 300'002);
  CHECK(got.ends_with("ab"));
  CHECK(s.near.counters().bytes_sent == 300'002);
  CHECK(s.near.counters().writes_done == 7);
  CHECK(s.near.counters().writes_failed == 1);
  CHECK(s.near.counters().writes_refused == 0);
}

TEST_CASE("without half-open the connection closes when the owner has dealt with the peer's end") {
  stage on;
  auto& at_once = on.open();
  at_once.when_ended = [&] { at_once.write(text("bye"), 1); };
  at_once.far.finish();
  REQUIRE(on.pump_until_closed(at_once));
  CHECK(at_once.log == std::vector<std::string>{"peer_finished", "done 1", "closed"});
  CHECK(at_once.reason == close_reason::peer_finished);
  CHECK(at_once.far.read_to_end() == "bye");

  auto& later = on.open();
  later.answer_end = false;
  later.far.finish();
  REQUIRE(on.pump_until([&] { return later.near.state() == peer_finished; }));
  later.write(text("still here"), 1);
  on.settle();
  CHECK_FALSE(later.closed());
  later.near.end_was_handled();
  REQUIRE(on.pump_until_closed(later));
  CHECK(later.count("peer_finished") == 1);
  CHECK(later.reason == close_reason::peer_finished);
  CHECK(later.far.read_to_end() == "still here");
}

TEST_CASE("with half-open the connection goes on writing after the peer's end until it finishes itself") {
  connection_options options;
  options.allow_half_open = true;
  stage on;
  auto& s = on.open(options);
  s.far.send_all("question");
  s.far.finish();
  REQUIRE(on.pump_until([&] { return s.near.state() == peer_finished; }));
  s.write(text("answer"), 1);
  on.settle();
  CHECK_FALSE(s.closed());
  CHECK(s.far.read_exactly(6) == "answer");
  s.finish(2);
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.log == std::vector<std::string>{"received", "peer_finished", "done 1", "done 2", "closed"});
  CHECK(s.reason == close_reason::both_finished);
  CHECK(s.far.read_to_end().empty());
}

TEST_CASE("forbidding half-open after the peer's end was dealt with closes") {
  connection_options options;
  options.allow_half_open = true;
  stage on;
  auto& s = on.open(options);
  s.far.finish();
  REQUIRE(on.pump_until([&] { return s.near.state() == peer_finished; }));
  s.near.set_allow_half_open(false);
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.reason == close_reason::peer_finished);
}

TEST_CASE("stop_reading drops what comes and still tells the peer's end") {
  stage on;
  auto& s = on.open();
  s.near.stop_reading();
  on.settle();
  s.far.send_all(position_stream{}.bytes(100'000));
  s.far.finish();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_bytes == 0);
  CHECK(s.near.counters().bytes_received == 100'000);
  CHECK(s.log == std::vector<std::string>{"peer_finished", "closed"});
}

TEST_CASE("an operation from within every event is taken and answered") {
  stage on;
  connection_options options;
  options.allow_half_open = true;
  auto& s = on.open(options);
  s.when_received = [&] { s.write(text("echo"), 1); };
  s.when_done = [&](const outcome& o) {
    if (o.token == 1)
      s.write(text(" again"), 2);
  };
  s.when_ended = [&] { s.finish(3); };
  s.far.send_all("x");
  CHECK(on.pump_until([&] { return s.outcome_of(2) != nullptr; }));
  s.far.finish();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.far.read_to_end() == "echo again");
  CHECK(s.log == std::vector<std::string>{"received", "done 1", "done 2", "peer_finished", "done 3", "closed"});
}

TEST_CASE("an abort from within received ends delivery there") {
  stage on;
  auto& s = on.open();
  s.when_received = [&] { s.near.abort(); };
  s.far.send_all(position_stream{}.bytes(200'000));
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.near.counters().reads == 1);
  CHECK(s.reason == close_reason::aborted);
}

TEST_CASE("states and reasons have names") {
  for (const auto state : all_states)
    CHECK(to_string(state) != "unknown");
  CHECK(to_string(close_reason::both_finished) == "both_finished");
  CHECK(to_string(close_reason::owner_gone) == "owner_gone");
}

} // namespace actnet::test
