// Frames and the end of the stream: whatever waits for credit, a resume or the rest of a frame comes to its end.
#include "net/connection/stage.hpp"

#include <poll.h>

#include <deque>

namespace actnet::test {
namespace {

connection_options small_credit() {
  connection_options options;
  options.read_credit_bytes = 70'000;
  return options;
}

subject& lines_on(stage& on, const connection_options& options = {}) {
  auto& s = on.open(options);
  s.near.set_framing(net::framing::line());
  return s;
}

/// Fills the credit of an owner that holds what it gets, with frames left over.
void starve(stage& on, subject& s) {
  s.keep = true;
  std::string lines;
  for (int i = 0; i < 1'500; ++i)
    lines += std::string(99, 'x') + "\n";
  for (std::size_t sent = 0; sent < lines.size();) {
    sent += s.far.send_some(std::as_bytes(std::span{lines}).subspan(sent));
    on.round();
    if (s.near.starved())
      return;
  }
  REQUIRE(on.pump_until([&] { return s.near.starved(); }));
}

void let_go(subject& s) {
  s.keep = false;
  s.kept.clear();
}

connection_options with_credit(std::uint32_t bytes) {
  connection_options options;
  options.read_credit_bytes = bytes;
  return options;
}

/// Until the kernel has something for it.
void await_input(subject& s) {
  pollfd what{s.near.socket().fd(), POLLIN, 0};
  REQUIRE(::poll(&what, 1, 10'000) == 1);
}

struct awaited_line final : net::pull {
  awaited_line() {
    as_line();
    size = 100;
  }
  void on_pulled(net::bytes, std::error_code) noexcept override { done = true; }
  bool done = false;
};

/// In a round: what comes by a read, and what goes on from the round before.
constexpr auto most_per_round = 2 * net::pull_reader::per_turn;

} // namespace

TEST_CASE("frames that are empty or tiny are charged, so that the credit bounds how many an owner holds") {
  const auto size = GENERATE(0u, 1u, 100u);
  constexpr std::size_t count = 1'000;
  stage on;
  auto& s = lines_on(on, with_credit(20'000));
  s.keep = true;
  std::string lines;
  for (std::size_t i = 0; i < count; ++i)
    lines += std::string(size, 'x') + "\n";
  std::size_t sent = 0, got = 0;
  REQUIRE(on.pump_until([&] {
    sent += s.far.send_some(std::as_bytes(std::span{lines}).subspan(sent));
    CHECK(s.kept.size() <= 20'000 / net::block::overhead_bytes + 1);
    if (s.near.starved()) {
      CHECK(s.kept.size() >= 20'000 / (net::block::overhead_bytes + 112));
      got += s.kept.size();
      s.kept.clear();
    }
    return got + s.kept.size() == count;
  }));
  s.kept.clear();
  CHECK(s.near.credit_outstanding() == 0);
}

TEST_CASE("what waits in the connection counts nothing: an owner that holds nothing gets the next frame") {
  stage on;
  auto& s = lines_on(on, with_credit(2'000));
  const auto size = GENERATE(40'000u, 3'000u, 1'000u);
  std::string lines = "short\n";
  for (int i = 0; i < 10; ++i)
    lines += std::string(size, 'x') + "\n";
  std::size_t sent = 0;
  REQUIRE(on.pump_until([&] { // with a part of a frame left at any place
    sent += s.far.send_some(
        std::as_bytes(std::span{lines}).subspan(sent, std::min<std::size_t>(lines.size() - sent, 7'001)));
    return s.received_bytes == 5 + 10 * size;
  }));

  s.keep = true;
  s.far.send_all("\n" + std::string(size, 'x') + "\n" + std::string(size, 'x') + "\n");
  std::size_t got = 0;
  REQUIRE(on.pump_until([&] {
    got += s.kept.size();
    s.kept.clear(); // in the turn of nobody
    return got == 3;
  }));
  on.settle();
  CHECK(s.near.credit_outstanding() == 0);
}

TEST_CASE("frames that came ahead are delivered so many in a round, and others have their turn in between") {
  stage on;
  auto& s = lines_on(on);
  auto& other = on.open();
  constexpr std::size_t count = 10'000;
  s.far.send_all(std::string(count, '\n'));
  std::size_t frames = 0, before = 0, rounds = 0;
  s.when_received = [&] { ++frames; };
  REQUIRE(on.pump_until([&] {
    CHECK(frames - before <= most_per_round);
    before = frames;
    if (frames > 0 && ++rounds == 3) {
      other.far.send_all("x");
      await_input(other);
    } else if (rounds == 4) {
      CHECK(other.received_bytes == 1); // in the very next round
      CHECK(frames < count);
    }
    return frames == count;
  }));
  s.far.finish();
  REQUIRE(on.pump_until_closed(s));
  CHECK(*s.reason == close_reason::peer_finished);
}

TEST_CASE("lines that wait for the next round come before the peer's end, and before bytes again") {
  stage on;
  auto& s = lines_on(on);
  s.far.send_all(std::string(200, '\n') + "rest");
  s.far.finish();
  std::size_t frames = 0;
  s.when_received = [&] {
    if (++frames == 200)
      s.near.set_framing({});
  };
  REQUIRE(on.pump_until_closed(s));
  CHECK(frames == 201);
  CHECK(s.received_text == "rest");
  CHECK(*s.reason == close_reason::peer_finished);
}

TEST_CASE("a connection that is closed or aborted while frames wait for the next round delivers none of them") {
  stage on;
  auto& s = lines_on(on);
  const auto aborted = GENERATE(false, true);
  s.far.send_all(std::string(10'000, '\n'));
  std::size_t frames = 0;
  s.when_received = [&] { ++frames; };
  REQUIRE(on.pump_until([&] { return frames > 0; }));
  const auto before = frames;
  aborted ? s.near.abort() : s.near.close();
  s.far.finish();
  REQUIRE(on.pump_until_closed(s));
  CHECK(frames == before);
}

TEST_CASE("reads on demand that find what they wait for have their outcomes so many in a round") {
  std::deque<awaited_line> lines(2'000);
  stage on;
  auto& s = on.open();
  for (auto& each : lines)
    s.near.pull(each);
  s.far.send_all(std::string(lines.size() / 2, '\n'));
  std::size_t done = 0;
  const auto count = [&] {
    std::size_t now = 0;
    for (const auto& each : lines)
      now += each.done;
    return now;
  };
  REQUIRE(on.pump_until([&] {
    const auto now = count();
    CHECK(now - done <= most_per_round);
    done = now;
    return done == lines.size() / 2;
  }));
  s.near.abort(); // and the others at once
  REQUIRE(on.pump_until_closed(s));
  CHECK(count() == lines.size());
}

TEST_CASE("whoever reads line after line without waiting leaves others their turn") {
  struct eager final : net::pull {
    explicit eager(subject& of) : from(of) { as_line(), size = 100; }
    void on_pulled(net::bytes, std::error_code cause) noexcept override {
      if (cause || ++count == 5'000)
        return;
      from.near.pull(*this);
    }
    subject& from;
    std::size_t count = 0;
  };
  stage on;
  auto& s = on.open();
  eager reader{s};
  s.near.pull(reader);
  s.far.send_all(std::string(5'000, '\n'));
  std::size_t before = 0;
  REQUIRE(on.pump_until([&] {
    CHECK(reader.count - before <= most_per_round);
    before = reader.count;
    return reader.count == 5'000;
  }));
}

TEST_CASE("bytes that came ahead are read so many in a round") {
  stage on;
  auto& s = on.open();
  const auto all = position_stream{}.bytes(8'000'000);
  std::size_t sent = 0;
  std::uint64_t before = 0;
  REQUIRE(on.pump_until([&] {
    CHECK(s.received_bytes - before <= 2 * 4 * net::block_pool::read_bytes); // when told of it, and after all others
    before = s.received_bytes;
    sent += s.far.send_some(std::span(all).subspan(sent));
    return s.received_bytes == all.size();
  }));
}

TEST_CASE("a reset within a frame closes with that cause, after the frames before it") {
  stage on;
  auto& s = lines_on(on);
  const auto paused = GENERATE(true, false);
  if (paused)
    s.near.pause_reading();
  on.settle();
  s.far.send_all("whole\nhalf");
  on.settle();
  s.far.reset();
  on.settle();
  CHECK(s.closed() == !paused);
  s.near.resume_reading();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_text == "whole");
  CHECK(*s.reason == close_reason::peer_reset);
  CHECK(s.cause == errc::connection_reset);
}

TEST_CASE("a reset behind a frame that is too long closes with its cause") {
  stage on;
  auto& s = on.open();
  s.near.set_framing(net::framing::line(10));
  s.near.pause_reading();
  on.settle();
  s.far.send_all("whole\nmuch too long a line");
  on.settle();
  s.far.reset();
  on.settle();
  s.near.resume_reading();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_text == "whole");
  CHECK(*s.reason == close_reason::peer_reset);
}

TEST_CASE("frames that wait for credit are delivered also after stop_reading, and the end after them") {
  stage on;
  auto& s = lines_on(on, small_credit());
  starve(on, s);
  s.near.stop_reading();
  on.settle();
  const auto before = s.received_bytes;
  s.far.finish();
  on.settle();
  CHECK(s.count("peer_finished") == 0);
  let_go(s);
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_bytes > before);
  CHECK(s.count("peer_finished") == 1);
  CHECK(*s.reason == close_reason::peer_finished);
  CHECK_FALSE(s.cause);
}

TEST_CASE("an owner that holds all credit is given up also after stop_reading") {
  stage on;
  auto options = small_credit();
  options.credit_stall_warning = milliseconds{0};
  auto& s = lines_on(on, options);
  starve(on, s);
  s.near.stop_reading();
  s.far.finish();
  on.settle();
  on.advance(options.credit_stall_limit);
  REQUIRE(s.closed());
  CHECK(s.cause == errc::credit_stalled);
}

TEST_CASE("after stop_reading the half of a frame does not make an orderly end an error") {
  stage on;
  auto& s = lines_on(on);
  const auto paused = GENERATE(false, true);
  s.far.send_all("whole\nhalf");
  REQUIRE(on.pump_until([&] { return s.received_text == "whole"; }));
  if (paused)
    s.near.pause_reading();
  s.near.stop_reading();
  on.settle();
  s.far.send_all(" of it\nand more");
  s.far.finish();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_text == "whole");
  CHECK(s.count("peer_finished") == 1);
  CHECK(*s.reason == close_reason::peer_finished);
  CHECK_FALSE(s.cause);
}

TEST_CASE("without stop_reading the half of a frame at the end is an error, and what was written goes out") {
  stage on;
  auto& s = lines_on(on);
  s.far.send_all("whole\nhalf");
  s.write(text("answer"), 1);
  s.far.finish();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.outcome_of(1)->sent == 6);
  CHECK(*s.reason == close_reason::error);
  CHECK(s.cause == errc::end_of_stream);
}

} // namespace actnet::test
