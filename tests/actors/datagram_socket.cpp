// Datagram sockets: what is sent has an outcome, what comes is told, and each ends as it should.
#include "support/actor_world.hpp"

#include <sys/un.h>
#include <unistd.h>

using namespace actnet;
using namespace actnet::test;

namespace {

net::endpoint at(std::uint16_t port) {
  return net::endpoint::udp(*net::ip_address::parse("127.0.0.1"), port);
}

struct stage {
  explicit stage(bind_options options = {}, std::string where = "127.0.0.1:0", net::clock* time = nullptr)
      : world(1, time), owner(world.spawn(log)) {
    world.in(owner, [&](probe& self) { it = self.bind(where, options).start(); });
    log->expect("bound");
    port = where.starts_with("unixgram") ? 0 : world.port_of(owner);
  }

  datagram::info info() { return *world.ask<datagram::info>(it, datagram::get_info{}).first; }

  actor_world world;
  journal_ptr log = make_journal();
  caf::actor owner;
  datagram_socket it;
  std::uint16_t port = 0;
};

std::string fresh_name() {
  static int next = 0;
  return "@actnet-test-" + std::to_string(::getpid()) + "-" + std::to_string(++next);
}

struct unix_address {
  explicit unix_address(const std::string& abstract_name)
      : size(static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + abstract_name.size())) {
    name.sun_family = AF_UNIX;
    abstract_name.copy(name.sun_path + 1, sizeof name.sun_path - 1, 1);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }

  sockaddr_un name{};
  socklen_t size;
};

/// A bound Unix datagram socket that nobody reads from.
descriptor deaf_receiver(const std::string& abstract_name) {
  descriptor made{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const unix_address here{abstract_name};
  REQUIRE(::bind(made.fd(), here.get(), here.size) == 0);
  return made;
}

} // namespace

TEST_CASE("datagrams go out and come in, empty ones too", "[datagram]") {
  stage s;
  udp_peer far;
  s.world.in(s.owner, [&](probe&) {
    s.it.send_to(at(far.port()), "hello", 1);
    s.it.send_to(at(far.port()), "", 2);
    s.it.send_to(at(far.port()), "silent");
  });
  CHECK(far.receive().payload == "hello");
  CHECK(far.receive().payload.empty());
  CHECK(far.receive().payload == "silent");
  s.log->expect("sent 2");
  far.send_to(s.port, "answer");
  far.send_to(s.port, "");
  s.log->expect("datagram answer");
  s.log->expect("datagram ");
  CHECK(s.log->count_like("sent") == 2);
  const auto info = s.info();
  CHECK(info.sent == 3);
  CHECK(info.sent_bytes == 11);
  CHECK(info.received == 2);
  CHECK(info.received_bytes == 6);
  CHECK(info.queued_bytes == 0);
}

TEST_CASE("a datagram larger than a read comes cut and marked, an empty one and one that just fits come whole",
          "[datagram]") {
  constexpr std::size_t read_bytes = 65'536; // more than UDP can carry: only a Unix socket has larger ones
  const auto name = fresh_name();
  stage s{{}, "unixgram:" + name};
  const auto sender = deaf_receiver(fresh_name());
  const auto to = unix_address(name);
  const auto send = [&](std::size_t size) {
    const std::string payload(size, 'x');
    REQUIRE(::sendto(sender.fd(), payload.data(), size, 0, to.get(), to.size) == static_cast<ssize_t>(size));
  };
  send(100'000);
  s.log->expect("datagram 65536 bytes truncated");
  send(0);
  s.log->expect("datagram ");
  send(read_bytes);
  s.log->expect("datagram 65536 bytes");
  send(read_bytes + 1);
  s.log->expect("datagram 65536 bytes truncated", 2);
  const auto info = s.info();
  CHECK(info.received == 4);
  CHECK(info.truncated == 2);
  CHECK(info.received_bytes == 3 * read_bytes);
}

TEST_CASE("the largest UDP datagram comes whole", "[datagram]") {
  stage s;
  udp_peer far;
  far.send_to(s.port, std::string(65'507, 'x'));
  s.log->expect("datagram 65507 bytes");
  CHECK(s.info().truncated == 0);
}

TEST_CASE("of a burst beyond the receive buffer each datagram is either delivered or counted as dropped",
          "[datagram]") {
  constexpr std::uint64_t burst = 300;
  stage s;
  udp_peer far;
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::set_options{{{net::receive_buffer{16'384}}}}).first);
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::pause_reading{}).first);
  for (std::uint64_t i = 0; i < burst; ++i)
    far.send_to(s.port, std::string(500, 'x'));
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::resume_reading{}).first);
  s.log->expect_like("datagram 500 bytes");
  s.world.settle();
  far.send_to(s.port, "the last"); // each datagram tells of the drops before it
  s.log->expect("datagram the last");
  const auto info = s.info();
  CHECK(info.dropped > 0);
  CHECK(info.received > 1);
  CHECK(info.received + info.dropped == burst + 1);
}

TEST_CASE("sends as requests are answered, with the error if there is one", "[datagram]") {
  stage s;
  udp_peer far;
  const auto text = net::bytes::copy("hello");
  CHECK(s.world.ask<datagram::sent>(s.it, datagram::send{text, at(far.port()), 4}).first->token == 4);
  const auto huge = net::bytes::copy(std::string(70'000, 'x'));
  CHECK(s.world.ask<datagram::sent>(s.it, datagram::send{huge, at(far.port()), 5}).second == errc::message_too_large);
  CHECK(s.world.ask<datagram::sent>(s.it, datagram::send{text, std::nullopt, 6}).second); // nobody to send it to
  CHECK(far.receive().payload == "hello");
  CHECK(s.info().send_failed == 2);
}

TEST_CASE("what was sent before a connect is for the peer of then, however much it is", "[datagram]") {
  stage s;
  udp_peer first, second;
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::connect{at(first.port())}).first);
  s.world.in(s.owner, [&](probe&) {
    for (std::uint64_t i = 1; i <= 100; ++i)
      s.it.send("first", i);
    s.it.connect(at(second.port()));
    s.it.send("second", 101);
  });
  s.log->expect("sent 101");
  for (int i = 0; i < 100; ++i)
    CHECK(first.receive().payload == "first");
  CHECK(second.receive().payload == "second");
}

TEST_CASE("a connected socket needs no address, hears its peer only, and survives a refusal", "[datagram]") {
  stage s;
  udp_peer stranger;
  auto far = std::make_unique<udp_peer>();
  const auto far_port = far->port();
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::connect{at(far_port)}).first);
  s.world.in(s.owner, [&](probe&) { s.it.send("no address", 1); });
  CHECK(far->receive().payload == "no address");
  stranger.send_to(s.port, "who is this");
  far->send_to(s.port, "it is me");
  s.log->expect("datagram it is me");
  CHECK(s.log->count("datagram who is this") == 0);
  CHECK(s.info().peer == at(far_port));
  far = nullptr;
  s.world.in(s.owner, [&](probe&) { s.it.send("into the void", 2); });
  s.log->expect("sent 2");
  REQUIRE(eventually([&] { return s.info().receive_errors > 0; }));
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::disconnect{}).first);
  stranger.send_to(s.port, "and now");
  s.log->expect("datagram and now");
  CHECK_FALSE(s.info().peer);
}

TEST_CASE("a paused datagram socket delivers when resumed, and options are set live", "[datagram]") {
  stage s;
  udp_peer far;
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::pause_reading{}).first);
  far.send_to(s.port, "later");
  s.world.settle();
  CHECK(s.log->count_like("datagram") == 0);
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::set_options{{{net::receive_buffer{100'000}}}}).first);
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::resume_reading{}).first);
  s.log->expect("datagram later");
}

TEST_CASE("above the high mark datagrams are refused, and those who were hear when there is room", "[datagram]") {
  const auto name = fresh_name();
  auto receiver = deaf_receiver(name);
  bind_options options;
  options.write_high_bytes = 4'000;
  options.write_low_bytes = 1'000;
  stage s{options, "unixgram:" + fresh_name()};
  const auto other_log = make_journal();
  const auto other = s.world.spawn(other_log);
  const auto to = *net::endpoint::parse("unixgram:" + name);
  std::uint64_t token = 0;
  while (s.log->count_like("sent") == 0) { // until the receiver's queue and ours are full
    s.world.in(s.owner, [&](probe&) {
      for (int i = 0; i < 10; ++i)
        s.it.send_to(to, "x");
    });
    s.world.settle();
    REQUIRE(++token < 10'000);
  }
  s.log->expect(with_cause("sent 0", errc::queue_full));
  s.world.in(other, [&](probe&) { s.it.send_to(to, "x", 7); });
  other_log->expect(with_cause("sent 7", errc::queue_full));
  char buffer[16];
  std::thread reader{[&] {
    while (s.log->count("datagram writable") == 0 || other_log->count("datagram writable") == 0)
      (void)::recv(receiver.fd(), buffer, sizeof buffer, MSG_DONTWAIT);
  }};
  const auto told =
      eventually([&] { return s.log->count("datagram writable") > 0 && other_log->count("datagram writable") > 0; });
  if (!told) {
    s.log->add("datagram writable");
    other_log->add("datagram writable");
  }
  reader.join();
  CHECK(told);
}

TEST_CASE("close sends what is queued, then the socket is gone", "[datagram]") {
  stage s;
  udp_peer far;
  s.world.in(s.owner, [&](probe&) {
    for (int i = 1; i <= 20; ++i)
      s.it.send_to(at(far.port()), std::to_string(i), static_cast<std::uint64_t>(i));
    s.it.close();
    s.it.send_to(at(far.port()), "late", 99);
  });
  for (int i = 1; i <= 20; ++i)
    CHECK(far.receive().payload == std::to_string(i));
  s.log->expect("datagram closed requested");
  s.log->expect("sent 99: " + std::string{to_string(errc::closed)});
  CHECK(s.log->lines().back().starts_with("datagram closed") != (s.log->count("sent 20") == 0));
}

TEST_CASE("a drain gives up at its deadline what cannot be sent", "[datagram]") {
  const auto name = fresh_name();
  const auto receiver = deaf_receiver(name);
  net::manual_clock time;
  stage s{{}, "unixgram:" + fresh_name(), &time};
  const auto to = *net::endpoint::parse("unixgram:" + name);
  s.world.in(s.owner, [&](probe&) {
    for (std::uint64_t i = 1; i <= 1'000; ++i)
      s.it.send_to(to, "x", i);
  });
  caf::anon_send(s.it.actor(), drain{5s});
  s.world.settle();
  time.advance(4s);
  s.world.settle();
  CHECK(s.log->count_like("datagram closed") == 0);
  time.advance(1s);
  s.log->expect_like("datagram closed requested");
  CHECK(s.log->count_like("sent ") == 1'000);
}

TEST_CASE("a datagram handler has its own socket, and its failure ends it", "[datagram]") {
  captured_log quiet;
  actor_world world;
  const auto log = make_journal(), handled = make_journal();
  const auto boss = world.spawn(log);
  udp_peer far;
  world.in(boss, [&](probe& self) {
    self.bind("127.0.0.1:0").with<probe>(handled, [](probe& me, const std::string& line) {
      if (line == "datagram fail")
        throw std::runtime_error{"as ordered"};
      (void)me;
    });
  });
  handled->expect("bound");
  log->expect("bound");
  const auto port = world.port_of(boss);
  far.send_to(port, "hello");
  handled->expect("datagram hello");
  far.send_to(port, "fail");
  handled->expect("datagram fail");
  REQUIRE(eventually([&] { return world.system().registry().running() == 1; }));
}

TEST_CASE("a datagram handler that cannot be made fails the bind", "[datagram]") {
  class unmakeable final : public handler {
   public:
    unmakeable(caf::actor_config& cfg, datagram_socket s) : handler(cfg) {
      s.send_to(at(9), "from the constructor");
      throw 42;
    }
    caf::behavior make_behavior() override { return {}; }
  };
  captured_log quiet;
  actor_world world;
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  world.in(boss, [&](probe& self) { self.bind("127.0.0.1:0").with<unmakeable>(); });
  log->expect_like("bind_failed");
}

TEST_CASE("a group is joined and left", "[datagram]") {
  stage s;
  const auto group = *net::ip_address::parse("239.255.7.7");
  const auto loopback = *net::ip_address::parse("127.0.0.1");
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::join_group{{group, loopback}}).first);
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::join_group{{group, loopback}}).second); // it is in already
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::leave_group{{group, loopback}}).first);
}
