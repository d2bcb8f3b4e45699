#include "support/peers.hpp"

#include "support/baseline.hpp"
#include "support/catch.hpp"
#include "support/position_stream.hpp"

#include <sys/socket.h>

#include <future>
#include <optional>
#include <stdexcept>

using namespace actnet::test;
using namespace std::chrono_literals;

TEST_CASE("two peers exchange bytes and half-close", "[support]") {
  baseline before;
  listening_peer server;
  half_closing_peer client(server.port(), "last words");
  auto accepted = server.accept();
  CHECK(accepted.read_exactly(5) == "last ");
  CHECK(accepted.read_to_end() == "words");
  CHECK(accepted.read_some(10).empty());
  accepted.send_all("answer");
  client.await_readable();
  CHECK(client.unread() == 6);
  accepted.close();
  CHECK(client.read_some(3) == "ans");
  CHECK(client.read_to_end() == "wer");
}

TEST_CASE("a reset is told from an end", "[support]") {
  baseline before;
  listening_peer server;
  resetting_peer resetting(server.port(), "x");
  auto accepted = server.accept();
  accepted.send_all("0123456789");
  resetting.reset_after(4);
  CHECK(accepted.await_end() == ending::reset);

  half_closing_peer finishing(server.port());
  CHECK(server.accept().await_end() == ending::finished);
}

TEST_CASE("a Unix peer resets by leaving a byte unread, unless the other end has finished", "[support]") {
  baseline before;
  for (const auto other_finished : {false, true}) {
    int both[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) == 0);
    peer other{descriptor{both[0]}};
    peer resetting{descriptor{both[1]}, {}, both[0]};
    resetting.send_all("last words");
    if (other_finished)
      other.finish();
    resetting.reset();
    CHECK(other.read_exactly(10) == "last words");
    CHECK(other.await_end() == (other_finished ? ending::finished : ending::reset));
  }
}

TEST_CASE("peers meet at their addresses", "[support]") {
  baseline before;
  const auto over = GENERATE(carrier::tcp, carrier::local);
  listening_peer server(over);
  CHECK(server.address().starts_with(over == carrier::tcp ? "127.0.0.1:" : "unix:@"));
  peer client(server.address());
  client.send_all("hello");
  CHECK(server.accept().read_exactly(5) == "hello");
}

TEST_CASE("a peer that finds a backlog full waits for its room until its deadline", "[support]") {
  baseline before;
  listening_peer server(carrier::local, {}, 0);
  peer first(server.address());
  CHECK_THROWS_WITH(peer(server.address(), {.deadline = 20ms}), "connect: deadline passed");
  auto second = std::async(std::launch::async, [&] { return peer(server.address()); });
  first.send_all("1");
  CHECK(server.accept().read_exactly(1) == "1");
  second.get().send_all("2");
  CHECK(server.accept().read_exactly(1) == "2");
}

TEST_CASE("a resetting peer resets when it is destroyed", "[support]") {
  listening_peer server;
  std::optional<resetting_peer> client(std::in_place, server.port());
  auto accepted = server.accept();
  client.reset();
  CHECK_THROWS_AS(accepted.read_to_end(), std::runtime_error);
}

TEST_CASE("an operation that cannot end throws and names itself", "[support]") {
  baseline before;
  listening_peer server({.deadline = 20ms});
  CHECK_THROWS_WITH(server.accept(), "accept: deadline passed");
  silent_peer silent(server.port());
  auto accepted = server.accept();
  CHECK_THROWS_WITH(accepted.read_some(1), "read_some: deadline passed");
  CHECK_THROWS_WITH(accepted.send_all(position_stream().bytes(20'000'000)), "send_all: deadline passed");
  silent.close();
  CHECK_THROWS_WITH(silent.read_exactly(1), "read_exactly: the peer is closed");
  const auto port = server.port();
  server.close();
  CHECK_THROWS_WITH(peer(port), "connect: Connection refused");
}

TEST_CASE("a stream that ends early says how much came", "[support]") {
  listening_peer server;
  half_closing_peer client(server.port(), "abc");
  auto accepted = server.accept();
  CHECK_THROWS_WITH(accepted.read_exactly(4), "read_exactly: the stream ended after 3 bytes");
}

TEST_CASE("a slow reader gets every byte and sees the end", "[support]") {
  baseline before;
  listening_peer server;
  slow_reader reader(peer(server.port()), {.bytes_per_step = 3});
  auto accepted = server.accept();
  accepted.send_all("0123456789");
  accepted.close();
  CHECK(eventually([&] { return reader.ended().has_value(); }));
  CHECK(reader.ended() == ending::finished);
  CHECK(reader.received() == "0123456789");
}

TEST_CASE("a slow reader stops at its bound and keeps the connection", "[support]") {
  baseline before;
  listening_peer server;
  slow_reader reader(peer(server.port()), {.bytes_per_step = 4, .bytes_max = 6});
  auto accepted = server.accept();
  accepted.send_all("0123456789");
  CHECK(eventually([&] { return reader.received().size() == 6; }));
  accepted.finish();
  CHECK(reader.stop().read_to_end() == "6789");
  CHECK(reader.received() == "012345");
  CHECK_FALSE(reader.ended());
}

TEST_CASE("a flooding peer is stopped by a full buffer, goes on and is refused", "[support]") {
  baseline before;
  listening_peer server({.receive_buffer_bytes = 4'096});
  flooding_peer flood(peer(server.port()), 5);
  auto accepted = server.accept();
  position_checker checker(5);
  while (checker.offset() < 10'000'000)
    checker.feed(accepted.read_some(65'536));
  CHECK_FALSE(checker.first_difference());
  CHECK(flood.bytes_sent() >= checker.offset() - 16'384);
  CHECK_FALSE(flood.was_refused());
  accepted.reset();
  CHECK(eventually([&] { return flood.was_refused(); }));
}

TEST_CASE("a bounded flood ends and leaves the connection to the caller", "[support]") {
  baseline before;
  listening_peer server;
  flooding_peer flood(peer(server.port()), 1, 1'000);
  auto accepted = server.accept();
  CHECK(accepted.read_exactly(1'000).size() == 1'000);
  flood.stop().finish();
  CHECK(accepted.await_end() == ending::finished);
  CHECK(flood.bytes_sent() == 1'000);
}

TEST_CASE("datagrams keep their size and sender", "[support]") {
  baseline before;
  const auto over = GENERATE(datagram_carrier::udp, datagram_carrier::local);
  datagram_peer one(over);
  datagram_peer other(over);
  one.send_to(other.address(), "hello");
  one.send_to(other.address(), "");
  const auto first = other.receive();
  CHECK(first.payload == "hello");
  CHECK(first.from == one.address());
  CHECK(first.from_port == one.port());
  CHECK(other.receive().payload.empty());
}
