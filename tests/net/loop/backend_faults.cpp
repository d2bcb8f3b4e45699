// The conformance suite of the backends: a kernel that interrupts, cuts and raises false alarms.
#include "net/loop/backend_suite.hpp"

namespace actnet::test::backend_suite {

TEST_CASE("interrupted calls, single bytes and false alarms change nothing", "[backend]") {
  const baseline before;
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  {
    fixture f(faults::injected);
    if (!f.io)
      return;
    const auto fault = GENERATE(as<std::string>{}, "interrupted", "single bytes", "false alarms");
    CAPTURE(fault);
    if (fault == "interrupted")
      kernel.interrupt_every_second_call();
    if (fault == "single bytes") {
      kernel.limit_read(1, true);
      kernel.limit_write(1, true);
    }
    const std::size_t size = fault == "single bytes" ? 3'000 : 300'000;
    listener_recorder l(f);
    auto begun = stream_socket::begin_connect(tcp_at(l.port()), std::nullopt, {});
    REQUIRE(begun);
    connect_recorder c(f, std::move(begun->socket));
    REQUIRE(f.until([&] { return c.times == 1 && l.accepted.size() == 1; }));
    CHECK_FALSE(c.cause);
    c.close();
    stream_recorder near(f, std::move(c.socket));
    stream_recorder far(f, std::move(l.accepted[0]));
    datagram_recorder d(f);
    near.read();
    far.read();
    f.io->start_reading(d.which);
    near.send(text_of(size, 1));
    far.send(text_of(size, 2));
    for (int i = 0; i < 50; ++i)
      d.send(std::to_string(i), udp_at(d.port()));
    CHECK(f.until([&] {
      if (fault == "false alarms")
        for (const auto fd : {near.socket.fd(), far.socket.fd(), l.socket.fd(), d.socket.fd()})
          CHECK(kernel.spurious_readiness(fd));
      return near.received.size() == size && far.received.size() == size && d.received.size() == 50;
    }));
    CHECK(same(near.received, text_of(size, 2)));
    CHECK(same(far.received, text_of(size, 1)));
    REQUIRE(near.socket.shutdown_write());
    CHECK(f.until([&] { return far.ends == 1; }));
    CHECK_FALSE(far.end_cause);
    CHECK(near.ends == 0);
    CHECK(near.hang_ups + far.hang_ups + near.send_failures + far.send_failures == 0);
    CHECK(l.accepted.size() == 1);
    CHECK(l.failures.empty());
    CHECK(d.errors.empty());
  }
  CHECK(kernel.violations().empty());
  CHECK(kernel.open_descriptors().empty());
}

TEST_CASE("false alarms on a connect that is under way are not taken for its end", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  // A listener whose backlog is full drops the handshake of the next one.
  listening_peer listener({}, 0);
  std::vector<stream_socket> waiting;
  std::unique_ptr<connect_recorder> c;
  for (int i = 0; i < 10 && !c; ++i) {
    auto begun = stream_socket::begin_connect(tcp_at(listener.port()), std::nullopt, {});
    REQUIRE(begun);
    if (begun->socket.finish_connect())
      waiting.push_back(std::move(begun->socket));
    else
      c = std::make_unique<connect_recorder>(f, std::move(begun->socket));
  }
  REQUIRE(c);
  for (int i = 0; i < 10; ++i) {
    CHECK(kernel.spurious_readiness(c->socket.fd()));
    f.poll(1ms);
  }
  CHECK(c->times == 0);
}

TEST_CASE("a false alarm after a hang-up does not tell it again", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  const auto bytes_wait = GENERATE(false, true);
  if (bytes_wait)
    theirs.send_all("unread");
  theirs.reset();
  REQUIRE(f.until([&] { return s.hang_ups + s.ends > 0; }));
  for (int i = 0; i < 10; ++i) {
    CHECK(kernel.spurious_readiness(s.socket.fd()));
    f.poll(1ms);
  }
  CHECK(s.hang_ups + s.ends == 1);
}

} // namespace actnet::test::backend_suite
