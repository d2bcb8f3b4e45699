// The conformance suite of the backends: streams that are read.
#include "net/loop/backend_suite.hpp"

#include <cerrno>

namespace actnet::test::backend_suite {

TEST_CASE("a stream's bytes arrive whole and in order, then its end, once", "[backend]") {
  const baseline before;
  fixture f;
  auto [ours, theirs] = stream_pair();
  constexpr std::size_t size = 5'000'000;
  stream_recorder s(f, std::move(ours));
  s.read();
  flooding_peer flood(std::move(theirs), 7, size);
  REQUIRE(f.until([&] { return s.received.size() >= size; }));
  flood.stop().finish();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  position_checker checker(7);
  CHECK(checker.feed(std::as_bytes(std::span{s.received})));
  CHECK(s.received_before_end == size);
  CHECK_FALSE(s.end_cause);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.ends == 1);
  CHECK(s.hang_ups == 0);
}

TEST_CASE("every completion of a poll ends a turn", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  std::string log;
  f.each_turn = [&] { log += '.'; };
  s.hook = [&](std::string_view what) { log += what; };
  s.read();
  theirs.send_all("x");
  REQUIRE(f.until([&] { return !s.received.empty(); }));
  theirs.finish();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(log.find("received.") != std::string::npos);
  CHECK(log.find("end.") != std::string::npos);
}

TEST_CASE("a reset ends reading with its cause after all bytes that came before it", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  const auto size = GENERATE(as<std::size_t>{}, 0, 10, 50'000);
  theirs.send_all(text_of(size));
  theirs.reset();
  s.read();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(s.end_cause == errc::connection_reset);
  CHECK(same(s.received, text_of(size)));
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.ends == 1);
  CHECK(s.hang_ups == 0);
}

TEST_CASE("a stream that is not read delivers nothing, and all of it later", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  theirs.send_all("one ");
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.received.empty());
  s.read();
  REQUIRE(f.until([&] { return s.received == "one "; }));
  s.stop();
  theirs.send_all("two ");
  theirs.send_all("three");
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.received == "one ");
  s.read();
  CHECK(f.until([&] { return s.received == "one two three"; }));
}

TEST_CASE("reading stopped from within a delivery stops at once, and no byte is lost", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  constexpr std::size_t size = 1'000'000;
  flooding_peer flood(std::move(theirs), 3, size);
  stream_recorder s(f, std::move(ours));
  int deliveries = 0;
  s.hook = [&](std::string_view what) {
    if (what == "received") {
      ++deliveries;
      s.stop();
    }
  };
  int rounds = 0;
  while (s.received.size() < size && ++rounds < 1'000'000) {
    deliveries = 0;
    s.read();
    f.until([&] { return deliveries > 0; });
    f.poll(0ms);
    REQUIRE(deliveries == 1);
  }
  CHECK(same(s.received, text_of(size, 3)));
}

TEST_CASE("a clean end is told while reading is stopped, if no byte waits before it", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  SECTION("nothing waits") {
    theirs.finish();
    REQUIRE(f.until([&] { return s.ends > 0; }));
  }
  SECTION("bytes wait") {
    theirs.send_all("first");
    theirs.finish();
    CHECK(f.awakes_during(short_while) <= awakes_of_silence);
    CHECK(s.ends == 0);
    s.read();
    REQUIRE(f.until([&] { return s.ends > 0; }));
    CHECK(s.received == "first");
  }
  CHECK_FALSE(s.end_cause);
  s.stop();
  s.read();
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.ends == 1);
}

TEST_CASE("a hang-up is told once while bytes wait, and the bytes are read later", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  const auto was_read_before = GENERATE(false, true);
  if (was_read_before) {
    s.read();
    f.poll(0ms);
    s.stop();
  }
  theirs.send_all("last words");
  theirs.reset();
  REQUIRE(f.until([&] { return s.hang_ups > 0; }));
  CHECK(s.hang_up_cause == errc::connection_reset);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.hang_ups == 1);
  CHECK(s.ends == 0);
  s.read();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(s.received == "last words");
  CHECK(s.end_cause == errc::connection_reset);
  CHECK(s.hang_ups == 1);
}

TEST_CASE("bytes that come while reading is stopped are noticed each time", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  for (int i = 0; i < 3; ++i) {
    const auto before = s.unread;
    theirs.send_all("x");
    CHECK(f.until([&] { return s.unread > before; }));
  }
  const auto before = s.unread;
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.unread == before);
  s.read();
  CHECK(f.until([&] { return s.received == "xxx"; }));
}

TEST_CASE("a hang-up of a stopped stream where no byte waits is the end of reading", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  theirs.reset();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(s.end_cause == errc::connection_reset);
  s.read();
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.ends == 1);
  CHECK(s.hang_ups == 0);
}

TEST_CASE("a peer that finishes and then resets is an end and then one hang-up", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  const auto reading = GENERATE(false, true);
  const auto at_once = GENERATE(false, true);
  if (reading)
    s.read();
  std::string order;
  s.hook = [&](std::string_view what) { order += std::string{what} + " "; };
  theirs.finish();
  if (!at_once)
    REQUIRE(f.until([&] { return s.ends > 0; }));
  theirs.reset();
  REQUIRE(f.until([&] { return s.hang_ups > 0 || s.end_cause; }));
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  if (s.end_cause) // nothing was read between the two, and not every kernel tells the first
    CHECK(at_once);
  else
    CHECK(order == "end hang_up ");
  CHECK(s.ends == 1);
}

TEST_CASE("urgent data of the peer does not stall the stream", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair(); // over Unix since Linux 5.15
  stream_recorder s(f, std::move(ours));
  const auto reading = GENERATE(false, true);
  if (reading)
    s.read();
  theirs.send_all("before");
  if (::send(theirs.fd(), "!", 1, MSG_OOB) != 1) {
    REQUIRE(errno == EOPNOTSUPP);
    WARN("this kernel has no urgent data for Unix sockets");
    return;
  }
  theirs.send_all("after");
  const auto ordinary = [&] {
    auto text = s.received;
    std::erase(text, '!');
    return text;
  };
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  s.read();
  REQUIRE(f.until([&] { return ordinary() == "beforeafter"; }));
  theirs.send_all("more");
  const auto last = GENERATE(false, true);
  if (last) // and nothing behind it
    REQUIRE(::send(theirs.fd(), "!", 1, MSG_OOB) == 1);
  REQUIRE(f.until([&] { return ordinary() == "beforeaftermore"; }));
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  theirs.finish();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(ordinary() == "beforeaftermore");
}

TEST_CASE("descriptors that a Unix peer sends along neither stall the stream nor stay open", "[backend]") {
  const baseline before;
  fixture f;
  auto [ours, theirs] = stream_pair({}, carrier::local);
  stream_recorder s(f, std::move(ours));
  s.read();
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const auto text = std::to_string(i) + ",";
    expected += text;
    attach(theirs.fd(), theirs.fd(), text);
  }
  CHECK(f.until([&] { return s.received == expected; }));
}

TEST_CASE("a stream with endless bytes leaves the others their turn", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  auto [calm_ours, calm_theirs] = stream_pair();
  stream_recorder busy(f, std::move(ours));
  stream_recorder calm(f, std::move(calm_ours));
  flooding_peer flood(std::move(theirs));
  busy.read();
  calm.read();
  REQUIRE(f.until([&] { return busy.received.size() > 1'000'000; }));
  for (int i = 1; i <= 20; ++i) {
    const auto at = busy.received.size();
    calm_theirs.send_all("x");
    REQUIRE(f.until([&] { return calm.received.size() == static_cast<std::size_t>(i); }));
    CHECK(busy.received.size() - at <= 2'000'000);
  }
}

} // namespace actnet::test::backend_suite
