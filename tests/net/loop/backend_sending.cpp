// The conformance suite of the backends: streams that are written to.
#include "net/loop/backend_suite.hpp"

namespace actnet::test::backend_suite {

TEST_CASE("sending stops when the kernel is full and goes on when the peer reads", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair({.receive_buffer_bytes = 8'192});
  stream_recorder s(f, std::move(ours));
  s.part_size = GENERATE(as<std::size_t>{}, 1'000, 3'000'000);
  const auto text = text_of(6'000'000);
  s.send(text);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.sent < text.size());
  std::string arrived;
  std::thread reader([&] { arrived = theirs.read_exactly(text.size()); });
  CHECK(f.until([&] { return s.sent == text.size(); }));
  reader.join();
  CHECK(same(arrived, text));
  CHECK(s.send_failures == 0);
  s.send("and more");
  CHECK(theirs.read_exactly(8) == "and more");
}

TEST_CASE("what a peer that does not read has not taken is told, and nothing is left when it has read", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair({.receive_buffer_bytes = 8'192});
  stream_recorder s(f, std::move(ours));
  CHECK(f.io->untaken(s.which) == 0);
  const auto text = text_of(6'000'000);
  s.send(text);
  CHECK(f.io->untaken(s.which) > 0);
  std::thread reader([&, &other = theirs] { other.read_exactly(text.size()); });
  CHECK(f.until([&] { return s.sent == text.size() && f.io->untaken(s.which) == 0; }));
  reader.join();
  const auto which = s.which;
  s.close();
  CHECK(f.io->untaken(which) == 0);
}

TEST_CASE("what is queued from within a completion is sent without another call", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  s.hook = [&](std::string_view what) {
    if (what == "sent" && s.outgoing.size() < 30)
      s.outgoing += "0123456789";
  };
  s.send("0123456789");
  CHECK(theirs.read_exactly(30) == "012345678901234567890123456789");
}

TEST_CASE("what is sent at once is not gathered, and what of it was not sent can be gathered", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair({.receive_buffer_bytes = 8'192});
  stream_recorder s(f, std::move(ours));
  const auto text = text_of(10'000);
  std::size_t written = 0;
  std::size_t taken = text.size();
  while (taken == text.size() && written < 2'000 * text.size()) {
    taken = f.io->send_now(s.which, std::as_bytes(std::span{text}));
    CHECK(taken <= text.size());
    written += text.size();
  }
  CHECK(s.gathers == 0);
  CHECK(taken < text.size());
  s.send(text.substr(taken));
  std::string arrived;
  std::thread reader([&] { arrived = theirs.read_exactly(written); });
  CHECK(f.until([&] { return s.sent == s.outgoing.size(); }));
  reader.join();
  for (std::size_t at = 0; at < written; at += text.size())
    REQUIRE(same(arrived.substr(at, text.size()), text));
  f.io->close(std::exchange(s.which, channel::none));
  CHECK(f.io->send_now(s.which, std::as_bytes(std::span{text})) == 0);
}

TEST_CASE("what is sent at once to a peer that has reset the stream fails once", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  theirs.reset();
  CHECK(f.io->send_now(s.which, std::as_bytes(std::span{"too late"})) == 0);
  s.send("too late, too");
  CHECK(f.until([&] { return s.send_failures > 0; }));
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.send_failures == 1);
}

TEST_CASE("one who always has something to send leaves the others their turn", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair({}, carrier::local);
  auto [calm_ours, calm_theirs] = stream_pair();
  stream_recorder busy(f, std::move(ours));
  stream_recorder calm(f, std::move(calm_ours));
  calm.read();
  calm_theirs.send_all("x");
  busy.hook = [&](std::string_view what) {
    if (what == "gather" && busy.gathers < 100'000 && calm.received.empty()) {
      drain(theirs.fd());
      busy.outgoing += "x";
    }
  };
  busy.send("x");
  CHECK(busy.gathers < 1'000);
  CHECK(f.until([&] { return !calm.received.empty(); }));
  CHECK(busy.gathers < 10'000);
  REQUIRE(f.until([&] { return busy.sent == busy.outgoing.size(); }));
}

TEST_CASE("after a reset sending fails once, and reading ends with the reset", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair({.receive_buffer_bytes = 8'192});
  stream_recorder s(f, std::move(ours));
  const auto reading = GENERATE(false, true);
  const auto bytes_wait = GENERATE(false, true);
  s.send(text_of(6'000'000));
  REQUIRE(s.sent < s.outgoing.size());
  if (bytes_wait)
    theirs.send_all("unread");
  if (reading)
    s.read();
  theirs.reset();
  REQUIRE(f.until([&] { return s.send_failures > 0; }));
  CHECK(s.send_cause == errc::connection_reset);
  s.read();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(s.received == (bytes_wait ? "unread" : ""));
  CHECK(s.end_cause == errc::connection_reset);
  const auto gathers = s.gathers;
  f.io->send(s.which);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.gathers == gathers);
  CHECK(s.send_failures == 1);
  CHECK(s.ends == 1);
  CHECK(s.hang_ups <= 1);
}

TEST_CASE("a send that meets the reset first does not make the end look clean", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  const auto was_open_before = GENERATE(false, true);
  if (was_open_before)
    f.poll(0ms);
  theirs.send_all("unread");
  theirs.reset();
  s.send("x");
  REQUIRE(f.until([&] { return s.send_failures > 0; }));
  CHECK(s.send_cause == errc::connection_reset);
  s.read();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(s.received == "unread");
  CHECK(s.end_cause == errc::connection_reset);
}

TEST_CASE("a kernel without buffers delays sending but does not end it", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  const auto error = GENERATE(ENOBUFS, ENOMEM);
  kernel.fail(call::sendmsg, error, {.first = 1, .count = 3});
  s.send("patience");
  CHECK(s.sent == 0);
  REQUIRE(f.until([&] { return s.sent == 8; }));
  CHECK(theirs.read_exactly(8) == "patience");
  CHECK(s.send_failures == 0);
  CHECK(kernel.injected(call::sendmsg) == 3);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
}

} // namespace actnet::test::backend_suite
