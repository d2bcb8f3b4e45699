// `slow_peer::pause`: who does not take answers gets to ask nothing more, and whatever waited goes on afterwards.
#include "net/connection/stage.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <string>
#include <utility>

namespace actnet::test {
namespace {

connection_options pausing() {
  connection_options options;
  options.write_low_bytes = 10'000;
  options.write_high_bytes = 40'000;
  options.when_slow = net::slow_peer::pause;
  return options;
}

/// Its peer has little room, and reads nothing yet.
subject& narrow(stage& on, const connection_options& options) {
  return on.open(options, true, {.receive_buffer_bytes = 4'096}, 4'096);
}

/// Fills the queue beyond its high mark.
void back_up(stage& on, subject& s) {
  do {
    s.write(coded(1'000));
    on.settle();
  } while (s.near.queued_bytes() == 0);
  s.write(coded(60'000));
  on.settle();
  REQUIRE(s.near.queued_bytes() > 40'000);
}

void take_all(stage& on, subject& s) {
  std::string got;
  REQUIRE(on.pump_until([&] { return !drain(s.far, got) || s.near.queued_bytes() == 0; }));
}

} // namespace

TEST_CASE("a connection that pauses for its peer never refuses an answer, and none is missing in the end") {
  const auto framed = GENERATE(false, true);
  stage on;
  auto& s = narrow(on, pausing());
  if (framed)
    s.near.set_framing(net::framing::fixed(10));
  if (on.over == carrier::tcp) { // else the questions come as a few large ones
    const int yes = 1;
    REQUIRE(::setsockopt(s.far.fd(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0);
  }
  std::size_t answers = 0, most = 0;
  s.when_received = [&] {
    s.write(coded(5'000));
    ++answers;
    most = std::max(most, s.near.queued_bytes());
  };
  const std::string questions(5'000, 'q');
  std::size_t asked = 0;
  const auto ask = [&] {
    if (asked < questions.size())
      asked += s.far.send_some(
          std::as_bytes(std::span{questions}).subspan(asked, std::min<std::size_t>(10, questions.size() - asked)));
  };
  REQUIRE(on.pump_until([&] {
    ask();
    return most > 34'000; // the first may be sent in part
  }));
  on.settle();
  const auto then = answers;
  for (int i = 0; i < 50; ++i) {
    ask();
    on.settle();
  }
  CHECK(answers <= then + 1);
  CHECK(s.near.counters().writes_refused == 0);
  std::string got;
  REQUIRE(on.pump_until([&] {
    ask();
    return drain(s.far, got) && s.received_bytes == questions.size() && got.size() == answers * 5'000;
  }));
  CHECK(most < 40'000 + 5'000);
  CHECK(s.near.counters().writes_refused == 0);
}

TEST_CASE("with pause there is room for the answers to what came last, in as many parts as they may be") {
  stage on;
  auto& s = narrow(on, pausing());
  s.when_received = [&s] {
    for (int i = 0; i < 6; ++i)
      s.write(coded(6'000));
  };
  REQUIRE(on.pump_until([&] {
    s.far.send_all("?");
    on.settle();
    return s.near.queued_bytes() >= pausing().write_high_bytes;
  }));
  s.far.send_all("?");
  on.settle();
  CHECK(s.near.counters().writes_refused == 0);

  s.write(coded(80'000), 1); // above twice the mark
  s.write(text("too much"), 2);
  on.settle();
  CHECK(s.outcome_of(1) == nullptr);
  REQUIRE(s.outcome_of(2));
  CHECK(s.outcome_of(2)->cause == errc::queue_full);
}

TEST_CASE("frames stop in mid-batch when their answers back up, and go on with room, one by one") {
  stage on;
  auto& s = narrow(on, pausing());
  s.near.set_framing(net::framing::line());
  std::size_t frames = 0, most = 0;
  s.when_received = [&] {
    ++frames;
    s.write(coded(5'000));
    most = std::max(most, s.near.queued_bytes());
  };
  std::string lines;
  for (int i = 0; i < 60; ++i)
    lines += "x\n";
  s.far.send_all(lines);
  s.far.finish(); // behind the frames that wait
  on.settle();
  CHECK(frames < 60);
  CHECK(s.count("peer_finished") == 0);
  std::string got;
  REQUIRE(on.pump_until([&] { return !drain(s.far, got); }));
  CHECK(frames == 60);
  CHECK(got.size() == 60 * 5'000);
  CHECK(most < 40'000 + 5'000);
  CHECK(s.near.counters().writes_refused == 0);
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.reason == close_reason::peer_finished);
}

TEST_CASE("a backed-up connection delivers what had come when its peer resets") {
  const auto framed = GENERATE(false, true);
  stage on;
  auto& s = narrow(on, pausing());
  if (framed)
    s.near.set_framing(net::framing::line());
  back_up(on, s);
  s.far.send_all("unread\n");
  on.settle();
  CHECK(s.received_bytes == 0);
  s.far.reset();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_text == (framed ? "unread" : "unread\n"));
}

TEST_CASE("a backed-up connection that finishes goes on reading once its peer has taken enough") {
  stage on;
  auto options = pausing();
  options.allow_half_open = true;
  auto& s = narrow(on, options);
  back_up(on, s);
  s.finish();
  s.far.send_all("late");
  on.settle();
  CHECK(s.received_bytes == 0);
  take_all(on, s);
  CHECK(on.pump_until([&] { return s.received_text == "late"; }));
  CHECK(s.count("writable") == 0); // nothing can be written any more
}

TEST_CASE("a read on demand is not held back: its reader asked for it") {
  stage on;
  auto& s = narrow(on, pausing());
  struct asked final : net::pull {
    void on_pulled(net::bytes payload, std::error_code) noexcept override { got = std::string{payload.view()}; }
    std::string got;
  } what;
  what.size = 100;
  back_up(on, s);
  s.near.pull(what);
  s.far.send_all("asked for");
  CHECK(on.pump_until([&] { return what.got == "asked for"; }));
}

TEST_CASE("with `refuse` reading goes on whatever is queued") {
  stage on;
  auto options = pausing();
  options.when_slow = GENERATE(net::slow_peer::refuse, net::slow_peer::usual);
  auto& s = narrow(on, options);
  back_up(on, s);
  s.far.send_all("more");
  CHECK(on.pump_until([&] { return s.received_text == "more"; }));
}

TEST_CASE("a connection that waits for its peer to read does not idle; its peer is given up by `write_stall`") {
  stage on;
  auto options = pausing();
  options.idle_timeout = milliseconds{5'000};
  options.write_stall = milliseconds{30'000};
  auto& s = narrow(on, options);
  back_up(on, s);
  for (int i = 0; i < 25; ++i)
    on.advance(milliseconds{1'000});
  CHECK_FALSE(s.closed());
  for (int i = 0; i < 10; ++i)
    on.advance(milliseconds{1'000});
  REQUIRE(s.closed());
  CHECK(s.cause == errc::write_stalled);
}

TEST_CASE("two sides that both pause wait for each other until `write_stall`; one that reads on frees both") {
  const auto both_pause = GENERATE(true, false);
  stage on;
  auto link = net::stream_socket::pair();
  REQUIRE(link);
  const auto nobody = [] { // sits at neither end
    auto both = net::stream_socket::pair();
    REQUIRE(both);
    return peer{descriptor{both->second.release()}, {}, both->first.fd()};
  };
  auto options = pausing();
  auto& a = on.adopt(std::move(link->first), nobody(), options);
  if (!both_pause)
    options.when_slow = net::slow_peer::refuse;
  auto& b = on.adopt(std::move(link->second), nobody(), options);
  constexpr std::size_t size = 2'000'000;
  a.write(coded(size), 1);
  b.write(coded(size), 1);
  if (!both_pause) {
    REQUIRE(on.pump_until([&] { return a.received_bytes == size && b.received_bytes == size; }));
    return;
  }
  on.settle();
  CHECK(a.received_bytes + b.received_bytes == 0);
  for (int i = 0; i < 59; ++i)
    on.advance(milliseconds{1'000});
  CHECK_FALSE(a.closed());
  CHECK_FALSE(b.closed());
  for (int i = 0; i < 3; ++i)
    on.advance(milliseconds{1'000});
  REQUIRE(on.pump_until([&] { return a.closed() && b.closed(); }));
  CHECK((a.cause == errc::write_stalled || b.cause == errc::write_stalled));
}

} // namespace actnet::test
