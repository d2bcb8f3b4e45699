// The conformance suite of the backends: datagrams.
#include "net/loop/backend_suite.hpp"

namespace actnet::test::backend_suite {

TEST_CASE("datagrams arrive one by one, also empty and large ones, and only while they are read", "[backend]") {
  const baseline before;
  fixture f;
  datagram_recorder d(f);
  udp_peer theirs;
  const auto large = text_of(60'000);
  theirs.send_to(d.port(), "small");
  theirs.send_to(d.port(), "");
  theirs.send_to(d.port(), large);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(d.received.empty());
  f.io->start_reading(d.which);
  REQUIRE(f.until([&] { return d.received.size() == 3; }));
  CHECK(d.received[0] == "small");
  CHECK(d.received[1].empty());
  CHECK(same(d.received[2], large));
  CHECK_FALSE(d.last_truncated);
  d.hook = [&](std::string_view what) {
    if (what == "datagram")
      f.io->stop_reading(d.which);
  };
  theirs.send_to(d.port(), "one");
  theirs.send_to(d.port(), "two");
  REQUIRE(f.until([&] { return d.received.size() == 4; }));
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(d.received.size() == 4);
  f.io->start_reading(d.which);
  REQUIRE(f.until([&] { return d.received.size() == 5; }));
  CHECK(d.received.back() == "two");
}

TEST_CASE("a datagram too large for one read is marked as truncated", "[backend]") {
  fixture f;
  const auto name = endpoint::unix_datagram(fresh_name());
  datagram_recorder d(f, std::move(*datagram_socket::open(name, {})));
  auto sender = datagram_socket::open(endpoint::unix_datagram(""), {});
  REQUIRE(sender);
  const auto text = text_of(100'000);
  REQUIRE(sender->send(std::as_bytes(std::span{text}), &name));
  f.io->start_reading(d.which);
  REQUIRE(f.until([&] { return d.received.size() == 1; }));
  CHECK(d.last_truncated == (d.received[0].size() < text.size()));
  CHECK(text.starts_with(d.received[0]));
  CHECK(d.received[0].size() >= 65'507); // anything that UDP can carry fits
}

TEST_CASE("datagrams are sent in order, and each gets its outcome", "[backend]") {
  fixture f;
  datagram_recorder d(f);
  udp_peer theirs;
  for (int i = 0; i < 100; ++i)
    d.queue.emplace_back(std::to_string(i), udp_at(theirs.port()));
  d.send("the last", udp_at(theirs.port()));
  REQUIRE(f.until([&] { return d.outcomes.size() == 101; }));
  CHECK(d.outcomes == std::vector<std::error_code>(101));
  for (int i = 0; i < 100; ++i)
    REQUIRE(theirs.receive().payload == std::to_string(i));
  CHECK(theirs.receive().payload == "the last");
}

TEST_CASE("a datagram larger than any can be fails alone", "[backend]") {
  fixture f;
  datagram_recorder d(f);
  udp_peer theirs;
  d.queue.emplace_back(text_of(70'000), udp_at(theirs.port()));
  d.send("fits", udp_at(theirs.port()));
  REQUIRE(f.until([&] { return d.outcomes.size() == 2; }));
  CHECK(d.outcomes[0] == errc::message_too_large);
  CHECK_FALSE(d.outcomes[1]);
  CHECK(theirs.receive().payload == "fits");
}

TEST_CASE("a refusal is reported and the socket lives", "[backend]") {
  fixture f;
  datagram_recorder d(f);
  auto gone = std::make_unique<udp_peer>();
  const auto port_without_receiver = gone->port();
  gone.reset();
  udp_peer theirs;
  REQUIRE(d.socket.connect(udp_at(port_without_receiver)));
  d.send("to nobody", std::nullopt);
  SECTION("to the reader") {
    f.io->start_reading(d.which);
    REQUIRE(f.until([&] { return !d.errors.empty(); }));
    REQUIRE(d.socket.connect(udp_at(theirs.port())));
  }
  SECTION("to the sender, without swallowing the next datagram") {
    d.send("to somebody", udp_at(theirs.port()));
    REQUIRE(f.until([&] { return d.outcomes.size() == 2; }));
    CHECK(theirs.receive().payload == "to somebody");
    REQUIRE(d.socket.connect(udp_at(theirs.port())));
    f.io->start_reading(d.which);
  }
  CHECK(d.errors == std::vector<std::error_code>{errc::connection_refused});
  CHECK(d.outcomes == std::vector<std::error_code>(d.outcomes.size()));
  theirs.send_to(d.port(), "hello");
  CHECK(f.until([&] { return d.received == std::vector<std::string>{"hello"}; }));
}

TEST_CASE("a Unix datagram without a receiver is refused itself", "[backend]") {
  fixture f;
  datagram_recorder d(f, std::move(*datagram_socket::open(endpoint::unix_datagram(""), {})));
  d.send("to nobody", endpoint::unix_datagram(fresh_name()));
  REQUIRE(f.until([&] { return d.outcomes.size() == 1; }));
  CHECK(d.outcomes[0] == errc::connection_refused);
  CHECK(d.errors.empty());
}

TEST_CASE("datagrams wait while there is no room and are sent when there is", "[backend]") {
  fixture f;
  const auto name = endpoint::unix_datagram(fresh_name());
  auto receiver = datagram_socket::open(name, {});
  REQUIRE(receiver);
  std::vector<datagram_socket> fillers;
  datagram_recorder d(f, std::move(*datagram_socket::open(endpoint::unix_datagram(""), {})));
  std::optional<endpoint> to = name;
  std::size_t filled = 0;
  SECTION("in the queue of a connected receiver") {
    REQUIRE(d.socket.connect(name));
    to.reset();
  }
  SECTION("in the queue of a receiver") {}
  SECTION("in a queue that others filled, so that none of ours is in it") {
    for (auto before = filled + 1; before != filled;) { // one alone may be stopped by its own buffer
      before = filled;
      fillers.push_back(std::move(*datagram_socket::open(endpoint::unix_datagram(""), {})));
      while (fillers.back().send(std::as_bytes(std::span{"full", 4}), &name))
        ++filled;
    }
    REQUIRE(filled > 0);
  }
  constexpr std::size_t count = 400; // a receiver may take no more than ten at a time
  for (std::size_t i = 0; i < count; ++i)
    d.queue.emplace_back(std::to_string(i), to);
  f.io->send(d.which);
  CHECK(f.awakes_during(short_while) <= 40); // it may have to try every few milliseconds
  REQUIRE(d.outcomes.size() < count);
  std::vector<std::string> arrived;
  std::array<std::byte, 100> buffer;
  CHECK(f.until([&] {
    while (auto got = receiver->receive(buffer))
      arrived.emplace_back(reinterpret_cast<const char*>(buffer.data()), got->size);
    return arrived.size() == filled + count;
  }));
  for (std::size_t i = 0; i < count && filled + i < arrived.size(); ++i)
    REQUIRE(arrived[filled + i] == std::to_string(i));
  CHECK(d.outcomes == std::vector<std::error_code>(count));
}

TEST_CASE("what is for a full receiver can be put aside for what is for others, and is tried when it is sent again",
          "[backend]") {
  fixture f;
  const auto full_name = endpoint::unix_datagram(fresh_name()), name = endpoint::unix_datagram(fresh_name());
  auto full = datagram_socket::open(full_name, {}), receiver = datagram_socket::open(name, {});
  REQUIRE(full);
  REQUIRE(receiver);
  datagram_recorder d(f, std::move(*datagram_socket::open(endpoint::unix_datagram(""), {})));
  d.puts_aside = true;
  constexpr std::size_t many = 100; // more than a full one has room for
  for (std::size_t i = 0; i < many; ++i)
    d.queue.emplace_back(std::to_string(i), full_name);
  d.queue.emplace_back("for another one", name);
  f.io->send(d.which);
  std::array<std::byte, 100> buffer;
  REQUIRE(f.until([&] { return d.queue.empty(); }));
  REQUIRE(receiver->receive(buffer));
  REQUIRE_FALSE(d.aside.empty());
  const auto sent = d.outcomes.size();
  CHECK(sent + d.aside.size() == many + 1);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence); // it waits for a `send`
  std::size_t arrived = 0;
  const auto take = [&] {
    while (auto got = full->receive(buffer))
      CHECK(std::string{reinterpret_cast<const char*>(buffer.data()), got->size} == std::to_string(arrived++));
  };
  CHECK(f.until([&] {
    take();
    if (d.queue.empty())
      std::swap(d.queue, d.aside);
    f.io->send(d.which);
    return arrived == many;
  }));
  CHECK(d.outcomes == std::vector<std::error_code>(many + 1));
}

TEST_CASE("one who always has a datagram to send leaves the others their turn", "[backend]") {
  fixture f;
  datagram_recorder d(f);
  auto [ours, theirs] = stream_pair();
  stream_recorder calm(f, std::move(ours));
  calm.read();
  theirs.send_all("x");
  d.hook = [&](std::string_view what) {
    if (what == "next" && d.outcomes.size() < 100'000 && calm.received.empty())
      d.queue.emplace_back("x", udp_at(d.port()));
  };
  f.io->send(d.which);
  CHECK(d.outcomes.size() < 1'000);
  CHECK(f.until([&] { return !calm.received.empty() && d.queue.empty(); }));
  CHECK(d.outcomes.size() < 10'000);
}

TEST_CASE("one to whom datagrams never cease to come leaves the others their turn", "[backend]") {
  fixture f;
  datagram_recorder d(f);
  auto [ours, theirs] = stream_pair();
  stream_recorder calm(f, std::move(ours));
  udp_peer sender;
  const auto send = [&] { sender.send_to(d.port(), "x"); };
  for (int i = 0; i < 100; ++i)
    send();
  d.hook = [&](std::string_view what) {
    if (what == "datagram" && d.received.size() < 100'000 && calm.received.empty())
      send();
  };
  f.io->start_reading(d.which);
  calm.read();
  theirs.send_all("x");
  CHECK(f.until([&] { return !calm.received.empty(); }));
  CHECK(d.received.size() < 1'000);
  CHECK(f.until([&] { return d.received.size() >= 100; }));
}

TEST_CASE("a datagram socket can be closed from within each of its completions", "[backend]") {
  const baseline before;
  fixture f;
  const std::string last = GENERATE("datagram", "receive_error", "next", "datagram_sent");
  const auto reading = GENERATE(false, true);
  if (last == "datagram" && !reading)
    return;
  datagram_recorder d(f);
  auto gone = std::make_unique<udp_peer>();
  const auto port_without_receiver = gone->port();
  gone.reset();
  REQUIRE(d.socket.connect(udp_at(last == "datagram" ? d.port() : port_without_receiver)));
  if (reading)
    f.io->start_reading(d.which);
  d.hook = [&](std::string_view what) {
    if (what == last) {
      d.close();
      d.socket.close();
    }
  };
  d.send("one", std::nullopt);
  if (!d.closed)
    d.send("two", std::nullopt);
  CHECK(f.until([&] { return d.closed; }));
  f.poll(0ms);
}

TEST_CASE("a datagram socket can be closed when it is told that a receiver is full", "[backend]") {
  const baseline before;
  fixture f;
  const auto name = endpoint::unix_datagram(fresh_name());
  const auto receiver = datagram_socket::open(name, {});
  REQUIRE(receiver);
  datagram_recorder d(f, std::move(*datagram_socket::open(endpoint::unix_datagram(""), {})));
  d.puts_aside = GENERATE(false, true);
  d.hook = [&](std::string_view what) {
    if (what == "receiver_full") {
      d.close();
      d.socket.close();
    }
  };
  for (int i = 0; i < 1'000 && !d.closed; ++i)
    d.send("x", name);
  CHECK(f.until([&] { return d.closed; }));
  f.poll(0ms);
}

} // namespace actnet::test::backend_suite
