// Reading on demand: pulls on a connection, and the change between them and delivery.
#include "net/connection/stage.hpp"

#include <deque>

using namespace std::chrono_literals;

namespace actnet::test {
namespace {

struct noted_pull final : net::pull {
  noted_pull(kind k, std::size_t n) {
    what = k;
    size = n;
  }
  void on_pulled(net::bytes payload, std::error_code why) noexcept override {
    CHECK_FALSE(done);
    done = true;
    got = payload.view();
    cause = why;
  }

  bool done = false;
  std::string got;
  std::error_code cause;
};

using kind = net::pull::kind;

/// Pulls that outlive the connections that they were asked of.
struct pulls {
  noted_pull& ask(subject& of, kind what, std::size_t size) {
    auto& made = all.emplace_back(what, size);
    if (what == kind::until)
      made.delimiter = text("\n");
    of.near.pull(made);
    return made;
  }
  std::deque<noted_pull> all;
};

std::string coded_text(std::size_t size, std::uint64_t offset = 0) {
  return std::string{coded(size, offset).view()};
}

connection_options half_open() {
  connection_options options;
  options.allow_half_open = true;
  return options;
}

} // namespace

TEST_CASE("a connection that is read on demand delivers nothing, and tells the end when all is taken") {
  pulls p;
  stage on;
  auto& s = on.open(half_open());
  auto& first = p.ask(s, kind::exactly, 3);
  s.far.send_all("abcdef");
  s.far.finish();
  REQUIRE(on.pump_until([&] { return first.done; }));
  CHECK(first.got == "abc");
  on.settle();
  CHECK(s.log.empty()); // "def" is still to be taken
  CHECK(p.ask(s, kind::some, 10).got == "def");
  on.settle();
  CHECK(s.log == std::vector<std::string>{"peer_finished"});
  auto& end = p.ask(s, kind::some, 10);
  CHECK(end.done);
  CHECK(end.got.empty());
  CHECK(p.ask(s, kind::exactly, 1).cause == errc::end_of_stream);
}

TEST_CASE("push and pull can be changed in mid-stream, and nothing is lost") {
  const auto cut = GENERATE(1u, 2u, 1000u, 70'000u, 199'999u);
  pulls p;
  stage on;
  auto& s = on.open();
  s.far.send_all(coded_text(cut));
  std::string taken;
  while (taken.size() < cut) {
    auto& some = p.ask(s, kind::some, 1 + taken.size() % 5'000);
    REQUIRE(on.pump_until([&] { return some.done; }));
    taken += some.got;
  }
  s.far.send_all(coded_text(50'000, cut));
  auto& peeked = p.ask(s, kind::peek, 10);
  REQUIRE(on.pump_until([&] { return peeked.done; }));
  s.near.resume_reading();
  REQUIRE(on.pump_until([&] { return s.received_bytes == 50'000; }));
  taken += s.received_text;
  auto& last = p.ask(s, kind::exactly, 100'000);
  s.far.send_all(coded_text(100'000, cut + 50'000));
  REQUIRE(on.pump_until([&] { return last.done; }));
  CHECK(s.received_bytes == 50'000);
  CHECK(taken + last.got == coded_text(cut + 150'000));
}

TEST_CASE("to resume reading waits for the pulls that were asked before") {
  pulls p;
  stage on;
  auto& s = on.open();
  auto& line = p.ask(s, kind::until, 100);
  s.near.resume_reading();
  s.far.send_all("half a line");
  on.settle();
  CHECK(s.received_text.empty());
  s.far.send_all("\nand more");
  REQUIRE(on.pump_until([&] { return s.received_text == "and more"; }));
  CHECK(line.got == "half a line\n");
}

TEST_CASE("pausing stops delivery, also of what no pull has taken, but no pull") {
  pulls p;
  stage on;
  auto& s = on.open();
  s.near.pause_reading();
  auto& some = p.ask(s, kind::some, 3);
  s.far.send_all("abcdef");
  REQUIRE(on.pump_until([&] { return some.done; }));
  s.near.resume_reading();
  s.near.pause_reading();
  on.settle();
  CHECK(s.received_text.empty());
  s.near.resume_reading();
  on.settle();
  CHECK(s.received_text == "def");
}

TEST_CASE("a pull that is larger than the read credit completes, and what is read ahead is one read") {
  pulls p;
  stage on;
  connection_options options;
  options.read_credit_bytes = 4096;
  auto& s = on.open(options);
  auto& all = p.ask(s, kind::exactly, 1'000'000);
  const auto data = coded_text(2'000'000);
  std::size_t sent = 0;
  const auto send_more = [&] {
    const auto count = ::send(s.far.fd(), data.data() + sent, data.size() - sent, MSG_DONTWAIT);
    sent += count > 0 ? static_cast<std::size_t>(count) : 0;
  };
  REQUIRE(on.pump_until([&] {
    send_more();
    return all.done;
  }));
  CHECK(all.got == data.substr(0, 1'000'000));
  for (int i = 0; i < 50; ++i) {
    send_more();
    on.settle();
  }
  CHECK(s.near.counters().bytes_received <= 1'000'000 + 2 * net::block_pool::read_bytes);
}

TEST_CASE("a pull ends at its deadline and leaves the bytes, but what is there is never too late") {
  pulls p;
  stage on;
  auto& s = on.open();
  auto& made = p.all.emplace_back(kind::exactly, 10);
  made.deadline = on.clock.now() + 2s;
  s.near.pull(made);
  s.far.send_all("abc");
  on.settle();
  on.advance(2s - 1ns);
  CHECK_FALSE(made.done);
  on.advance(1ns);
  CHECK(made.cause == errc::timed_out);
  auto& late = p.all.emplace_back(kind::exactly, 6);
  late.deadline = on.clock.now() - 1h;
  s.far.send_all("def"); // in the kernel, and not looked at yet
  s.near.pull(late);
  on.settle();
  CHECK(late.got == "abcdef");
}

TEST_CASE("the quiet read takes what comes until a gap") {
  pulls p;
  stage on;
  auto& s = on.open();
  auto& made = p.all.emplace_back(kind::quiet, 1000);
  made.gap = 5ms;
  s.near.pull(made);
  on.advance(1h);
  s.far.send_all("a");
  on.settle();
  on.advance(4ms);
  s.far.send_all("b");
  on.settle();
  on.advance(4ms);
  CHECK_FALSE(made.done);
  on.advance(1ms);
  CHECK(made.got == "ab");
}

TEST_CASE("after a reset pulls get what had come, then the error, and the connection is closed after that") {
  pulls p;
  stage on{carrier::tcp};
  auto& s = on.open(half_open());
  auto& line = p.ask(s, kind::until, 100);
  s.far.send_all("one\ntwo");
  REQUIRE(on.pump_until([&] { return line.done; }));
  s.far.reset();
  on.settle();
  CHECK_FALSE(s.closed());
  auto& broken = p.ask(s, kind::until, 100);
  CHECK(broken.cause == errc::connection_reset);
  CHECK(broken.got == "two");
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.reason == close_reason::peer_reset);
  CHECK(p.ask(s, kind::some, 1).cause == errc::connection_reset);
}

TEST_CASE("closing and aborting end the pulls that wait, and drop what nobody took") {
  const auto aborts = GENERATE(false, true);
  pulls p;
  stage on;
  auto& s = on.open();
  auto& some = p.ask(s, kind::some, 2);
  s.far.send_all("abcdef");
  REQUIRE(on.pump_until([&] { return some.done; }));
  auto& waits = p.ask(s, kind::exactly, 100);
  aborts ? s.near.abort() : s.near.close();
  on.settle();
  CHECK(waits.cause == errc::closed);
  CHECK(p.ask(s, kind::some, 2).cause == errc::closed);
  s.far.close();
  REQUIRE(on.pump_until_closed(s));
  CHECK(p.ask(s, kind::some, 2).cause == errc::closed);
}

TEST_CASE("both sides finished: the connection is closed when the last byte is taken") {
  pulls p;
  stage on;
  auto& s = on.open(half_open());
  auto& some = p.ask(s, kind::some, 2);
  s.far.send_all("abcdef");
  s.far.finish();
  s.finish();
  REQUIRE(on.pump_until([&] { return some.done; }));
  on.settle();
  CHECK_FALSE(s.closed());
  CHECK(p.ask(s, kind::to_end, 100).got == "cdef");
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.reason == close_reason::both_finished);
}

TEST_CASE("to stop reading ends the stream for pulls") {
  pulls p;
  stage on;
  auto& s = on.open(half_open());
  auto& waits = p.ask(s, kind::exactly, 5);
  s.far.send_all("abc");
  on.settle();
  s.near.stop_reading();
  on.settle();
  CHECK(waits.cause == errc::end_of_stream);
  CHECK(waits.got == "abc");
}

TEST_CASE("a pull that is withdrawn takes nothing, and what is put back comes first") {
  pulls p;
  stage on;
  auto& s = on.open();
  auto& gone = p.ask(s, kind::exactly, 5);
  s.far.send_all("abc");
  on.settle();
  CHECK(s.near.withdraw(gone));
  CHECK_FALSE(s.near.withdraw(gone));
  auto& taken = p.ask(s, kind::some, 2);
  CHECK(taken.got == "ab");
  s.near.put_back(text(taken.got));
  CHECK(p.ask(s, kind::exactly, 3).got == "abc");
  CHECK_FALSE(gone.done);
}

TEST_CASE("a connection of which nobody asks anything costs no wake-ups while its peer sends") {
  stage on;
  auto& s = on.open();
  s.near.read_on_demand();
  on.settle();
  for (int i = 0; i < 20; ++i) {
    s.far.send_all("x");
    on.settle();
  }
  CHECK(s.near.counters().reads <= 2);
  CHECK(s.log.empty());
}

TEST_CASE("a write that is withdrawn ends with what of it was sent, and what follows goes on") {
  stage on;
  connection_options options;
  options.write_high_bytes = 8 << 20;
  auto& s = on.open(options, true, {}, 4096);
  auto& big = s.write(coded(4'000'000), 1);
  on.settle();
  s.write(text("after"), 2);
  CHECK(s.near.withdraw(big, errc::timed_out));
  on.settle();
  REQUIRE(s.outcome_of(1));
  CHECK(s.outcome_of(1)->cause == errc::timed_out);
  const auto sent = s.outcome_of(1)->sent;
  CHECK(sent > 0);
  CHECK(sent < 4'000'000);
  CHECK_FALSE(s.near.withdraw(big, errc::timed_out));
  std::string got;
  REQUIRE(on.pump_until([&] {
    drain(s.far, got);
    return got.size() == sent + 5;
  }));
  CHECK(got == coded_text(sent) + "after");
  CHECK(s.near.queued_bytes() == 0);
  CHECK(on.pump_until([&] { return s.outcome_of(2) != nullptr; }));
}

TEST_CASE("a pull's deadline is not put off by bytes that keep coming") {
  pulls p;
  stage on;
  auto& s = on.open(half_open());
  auto& much = p.all.emplace_back(kind::exactly, 100u << 20);
  much.deadline = on.clock.now() + 100ms;
  s.near.pull(much);
  const auto part = coded_text(65'536);
  const auto keep_coming = [&] { s.far.send_some(std::as_bytes(std::span(part))); };
  for (int i = 0; i < 10; ++i) {
    keep_coming();
    on.round();
  }
  CHECK_FALSE(much.done);
  on.clock.advance(100ms);
  for (int i = 0; i < 4 && !much.done; ++i) {
    keep_coming();
    on.round();
  }
  REQUIRE(much.done);
  CHECK(much.cause == errc::timed_out);
}

TEST_CASE("a reset that came when a pull's time was over is a reset to the pull and to those after it") {
  pulls p;
  stage on;
  auto& s = on.open(half_open());
  auto& all = p.all.emplace_back(kind::to_end, 1'000);
  all.deadline = on.clock.now() + 100ms;
  s.near.pull(all);
  s.far.send_all("half of it");
  REQUIRE(on.pump_until([&] { return s.near.counters().bytes_received == 10; }));
  s.far.reset();
  on.clock.advance(100ms);
  on.settle();
  REQUIRE(all.done);
  CHECK(all.cause == errc::connection_reset);
  CHECK(all.got == "half of it");
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.reason == close_reason::peer_reset);
}

} // namespace actnet::test
