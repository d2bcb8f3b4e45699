// Writes without an item: the usual one, alone in its turn, and how it becomes one of a queue when it is not.
#include "net/connection/stage.hpp"

#include "support/faulty_system_calls.hpp"

namespace actnet::test {

TEST_CASE("bytes that are alone in their turn are sent at its end, and nobody is told") {
  stage on;
  auto& s = on.open();
  for (int i = 0; i < 3; ++i) {
    REQUIRE(s.near.takes_direct(5));
    s.write_direct(text("hello"));
    CHECK(s.near.queued_bytes() == 5);
    CHECK(s.near.has_items());
    on.settle();
    CHECK(s.near.queued_bytes() == 0);
    CHECK_FALSE(s.near.has_items());
  }
  CHECK(s.far.read_exactly(15) == "hellohellohello");
  CHECK(s.outcomes.empty());
  CHECK(s.near.counters().writes_done == 3);
  CHECK(s.near.counters().bytes_sent == 15);
}

TEST_CASE("what follows in the same turn goes behind, in the same system call") {
  faulty_system_calls kernel;
  net::replaced_system_calls in_force{kernel};
  stage on;
  auto& s = on.open();
  const auto before = kernel.calls(call::sendmsg);
  s.write_direct(text("one "));
  s.write(text("two "), 2);
  s.write_direct(text("three "));
  s.flush(4);
  on.settle();
  CHECK(kernel.calls(call::sendmsg) == before + 1);
  CHECK(s.far.read_exactly(14) == "one two three ");
  REQUIRE(s.outcomes.size() == 4);
  CHECK(s.log == std::vector<std::string>{"done 2", "done 4"});
}

TEST_CASE("no more is taken without an item than can be sent whole, and only while nothing is queued or refused") {
  stage on;
  auto& s = on.open();
  CHECK_FALSE(s.near.takes_direct(0)); // that is a mark
  CHECK(s.near.takes_direct(16 * 1024));
  CHECK_FALSE(s.near.takes_direct(16 * 1024 + 1));
  s.write_direct(text("first"));
  CHECK_FALSE(s.near.takes_direct(1));
  on.settle();
  CHECK(s.near.takes_direct(1));
  s.write(text("an item"), 1);
  CHECK_FALSE(s.near.takes_direct(1));
  on.settle();
  s.finish(2);
  on.settle();
  CHECK_FALSE(s.near.takes_direct(1));
}

TEST_CASE("what the kernel does not take at once is queued, and goes out in order") { // F6
  stage on;
  connection_options options;
  options.write_high_bytes = 100'000;
  auto& s = on.open(options, true, {.receive_buffer_bytes = 4'096}, 4'096);
  std::size_t written = 0;
  while (s.near.takes_direct(7'000)) {
    s.write_direct(coded(7'000, written));
    written += 7'000;
    on.settle();
  }
  CHECK(s.near.queued_bytes() > 0);
  std::string got;
  REQUIRE(on.pump_until([&] {
    drain(s.far, got);
    return got.size() == written;
  }));
  CHECK(position_checker{}.feed(std::as_bytes(std::span(got))));
  on.settle();
  REQUIRE_FALSE(s.outcomes.empty()); // it became an item, whose outcome its maker may keep to himself
  CHECK(s.outcomes.back().sent == 7'000);
  CHECK(s.near.counters().writes_done == written / 7'000);
  CHECK(s.near.counters().bytes_sent == written);
  CHECK(s.near.takes_direct(1));
}

TEST_CASE("a kernel that takes a byte at a time gets them all") { // F6
  faulty_system_calls kernel;
  net::replaced_system_calls in_force{kernel};
  stage on;
  auto& s = on.open();
  kernel.limit_write(1, true);
  s.write_direct(coded(300));
  std::string got;
  REQUIRE(on.pump_until([&] {
    drain(s.far, got);
    return got.size() == 300;
  }));
  CHECK(position_checker{}.feed(std::as_bytes(std::span(got))));
  kernel.clear_faults();
}

TEST_CASE("the failure of a write without an item has an outcome, with what was sent of it") {
  stage on;
  SECTION("the peer has reset the stream") {
    auto& s = on.open();
    s.far.reset();
    s.write_direct(text("too late"));
    on.settle();
    REQUIRE(s.outcomes.size() == 1);
    CHECK(s.outcomes[0].cause);
    CHECK(s.outcomes[0].sent == 0);
    CHECK(s.closed());
  }
  SECTION("it is broken off in the same turn") {
    auto& s = on.open();
    s.write_direct(text("never mind"));
    s.near.abort();
    on.settle();
    REQUIRE(s.outcomes.size() == 1);
    CHECK(s.outcomes[0].cause == errc::aborted);
    CHECK(s.far.await_end() == ending_of_abort(on.over));
  }
  SECTION("the peer takes only some of it") {
    auto& s = on.open({}, true, {.receive_buffer_bytes = 4'096}, 4'096);
    std::size_t written = 0;
    while (s.near.takes_direct(7'000)) {
      s.write_direct(coded(7'000, written));
      written += 7'000;
      on.settle();
    }
    s.far.reset();
    REQUIRE(on.pump_until_closed(s));
    REQUIRE_FALSE(s.outcomes.empty());
    const auto& last = s.outcomes.back(); // others may have been cut, and then gone through
    CHECK(last.cause == errc::connection_reset);
    CHECK(last.sent < 7'000);
    CHECK(s.near.counters().bytes_sent == written - 7'000 + last.sent);
  }
}

TEST_CASE("a kernel without buffers gets what was written without an item a little later") {
  faulty_system_calls kernel;
  net::replaced_system_calls in_force{kernel};
  stage on{each_carrier(), true};
  auto& s = on.open();
  kernel.fail(call::sendmsg, ENOBUFS, {.first = 1, .count = 1});
  s.write_direct(text("after all"));
  REQUIRE(on.pump_until([&] { return s.near.queued_bytes() == 0 && s.outcomes.size() == 1; }));
  CHECK(kernel.injected(call::sendmsg) == 1);
  CHECK(s.far.read_exactly(9) == "after all");
}

TEST_CASE("closing and finishing come after what was written without an item") {
  stage on;
  SECTION("closing") {
    auto& s = on.open();
    s.write_direct(text("bye"));
    s.near.close();
    on.settle();
    CHECK(s.far.read_to_end() == "bye");
    s.far.finish();
    REQUIRE(on.pump_until_closed(s));
    CHECK(s.reason == close_reason::requested);
  }
  SECTION("finishing") {
    auto& s = on.open();
    s.write_direct(text("bye"));
    s.finish(1);
    on.settle();
    CHECK(s.far.read_to_end() == "bye");
    CHECK(s.log == std::vector<std::string>{"done 1"});
  }
  SECTION("closing because the peer finished, and the owner had a last word") {
    auto& s = on.open();
    s.when_ended = [&s] { s.write_direct(text("goodbye")); };
    s.far.finish();
    CHECK(on.pump_until_closed(s));
    CHECK(s.far.read_to_end() == "goodbye");
    CHECK(s.reason == close_reason::peer_finished);
    for (const auto& each : s.outcomes)
      CHECK_FALSE(each.cause);
  }
}

TEST_CASE("an answer in each turn does not hide that reading has to stop and to go on") {
  stage on;
  connection_options options;
  options.read_credit_bytes = 3'000;
  auto& s = on.open(options);
  s.keep = true;
  s.when_received = [&s] { s.write_direct(text(".")); };
  for (int i = 0; i < 100 && !s.near.starved(); ++i) {
    s.far.send_all(std::string(100, 'x'));
    on.settle();
  }
  CHECK(s.near.starved());
  const auto got = s.received_bytes;
  s.far.send_all("more");
  on.settle();
  CHECK(s.received_bytes == got);
  s.write_direct(text("still here"));
  s.kept.clear(); // in one turn with a write
  on.settle();
  CHECK(s.received_bytes == got + 4);
  CHECK_FALSE(s.near.starved());
}

TEST_CASE("pausing in the turn of a write without an item stops the reading") {
  stage on;
  auto& s = on.open();
  s.write_direct(text("wait"));
  s.near.pause_reading();
  on.settle();
  s.far.send_all("unread");
  on.settle();
  CHECK(s.received_bytes == 0);
  s.write_direct(text("go on"));
  s.near.resume_reading();
  on.settle();
  CHECK(s.received_bytes == 6);
  CHECK(s.far.read_exactly(9) == "waitgo on");
}

TEST_CASE("writes without an item keep a connection from being idle, and their end does not") {
  stage on;
  connection_options options;
  options.idle_timeout = milliseconds{1'000};
  auto& s = on.open(options);
  for (int i = 0; i < 5; ++i) {
    s.write_direct(text("tick"));
    on.settle();
    on.advance(milliseconds{700});
    CHECK_FALSE(s.closed());
  }
  on.advance(milliseconds{301});
  CHECK(s.closed());
  CHECK(s.reason == close_reason::idle);
}

} // namespace actnet::test
