// Clients: every connect has one answer.
#include "support/actor_world.hpp"
#include "support/faulty_system_calls.hpp"

#include <algorithm>
#include <cerrno>

using namespace actnet;
using namespace actnet::test;

namespace {

net::endpoint at(const std::string& address) {
  return *net::endpoint::parse(address);
}

std::string unused_address(carrier over) {
  return listening_peer{over}.address();
}

/// A listener whose backlog is full: a connect to it waits.
struct full_backlog {
  explicit full_backlog(carrier over) : listener{over, {}, 0} {
    for (int i = 0; i < 3; ++i)
      if (auto begun = net::stream_socket::begin_connect(at(listener.address()), std::nullopt, {}))
        waiting.push_back(std::move(begun->socket));
  }

  listening_peer listener;
  std::vector<net::stream_socket> waiting;
};

struct client_stage {
  explicit client_stage(net::clock* time = nullptr, carrier kind = each_carrier())
      : over(kind), world(1, time), owner(world.spawn(log)) {
    world.in(owner, [&](probe& self) { it = make_client(self.system(), owner); });
  }

  void connect(const listening_peer& to, std::chrono::milliseconds deadline = 5s) {
    world.in(owner, [&](probe&) { it.connect(at(to.address()), deadline); });
  }

  const carrier over;
  said_carrier said{over};
  actor_world world;
  journal_ptr log = make_journal();
  caf::actor owner;
  client it;
};

} // namespace

TEST_CASE("a client connects as often as it is told, and whoever asks owns the connection", "[client]") {
  client_stage s;
  for (const auto* text : {"one", "two", "three"}) {
    listening_peer server{s.over};
    s.connect(server);
    auto far = server.accept();
    s.log->expect("connected");
    far.send_all(text);
    s.log->expect(std::string{"received "} + text);
    far.close();
  }
  s.log->expect("closed peer_finished", 3);
}

TEST_CASE("what is told to a client by no actor is its owner's", "[client]") {
  client_stage s;
  listening_peer server{s.over};
  s.it.connect(at(server.address())); // in the test's thread
  s.log->expect("connected");
  server.accept().send_all("hello");
  s.log->expect("received hello");
}

TEST_CASE("a client of localhost tries both loopback addresses before it is refused", "[client]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  const auto version = GENERATE(as<std::string>{}, "IPv6", "IPv4", "none");
  listening_peer v4;
  const auto port = v4.port();
  std::optional<net::listener_socket> v6;
  if (version != "IPv4") {
    v4.close();
    auto opened = net::listener_socket::open(net::endpoint::tcp(net::ip_address::loopback_v6(), port), {});
    if (!opened) {
      WARN("no IPv6");
      return;
    }
    if (version == "IPv6")
      v6 = std::move(*opened);
  }
  client it;
  world.in(owner, [&](probe& self) { it = make_client(self.system(), owner); });
  const auto [done, cause] = world.ask<connected>(it, actnet::connect{net::endpoint::localhost(port), 5s});
  if (version == "none") {
    CHECK(cause == errc::connection_refused);
    return;
  }
  REQUIRE(done);
  CHECK(done->peer == at((version == "IPv6" ? "[::1]:" : "127.0.0.1:") + std::to_string(port)));
}

TEST_CASE("a link-local address without its interface is told that it lacks it", "[client]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  world.in(owner, [](probe& self) { self.connect_to("[fe80::1]:80").start(); });
  REQUIRE(eventually([&] { return !log->lines().empty(); }));
  if (log->lines()[0] != with_cause("connect_failed", errc::not_supported)) // without IPv6
    log->expect_like("connect_failed: invalid argument: a link-local address needs its interface, as in fe80::1%eth0");
}

TEST_CASE("a refused connect says so, and the next one may succeed", "[client]") {
  client_stage s;
  s.world.in(s.owner, [&](probe&) { s.it.connect(at(unused_address(s.over))); });
  s.log->expect(with_cause("connect_failed", errc::connection_refused));
  const auto refused = s.world.ask<connected>(s.it, actnet::connect{at(unused_address(s.over)), 5s});
  CHECK(refused.second == errc::connection_refused);
  listening_peer server{s.over};
  const auto answer = s.world.ask<connected>(s.it, actnet::connect{at(server.address()), 5s});
  REQUIRE(answer.first);
  CHECK(answer.first->peer == at(server.address()));
  CHECK((answer.first->local.port() != 0) == (s.over == carrier::tcp));
  CHECK(server.accept().local_port() == server.port());
}

TEST_CASE("without a deadline of its own an attempt has that of the client's options, or of the settings", "[client]") {
  net::manual_clock time;
  actnet::settings wanted;
  wanted.client.deadline = 2s;
  actor_world world{1, &time, wanted};
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  full_backlog full{each_carrier()};
  const auto there = at(full.listener.address());
  SECTION("a client told to connect") {
    world.in(owner, [&](probe& self) { make_client(self.system(), owner).connect(there); });
  }
  SECTION("a client with options") {
    connect_options options;
    options.deadline = 2s;
    world.in(owner, [&](probe& self) { make_client(self.system(), owner, options).connect(there); });
  }
  SECTION("a connection asked for") {
    world.in(owner, [&](probe& self) { self.connect_to(there).start(); });
  }
  world.settle();
  time.advance(1999ms);
  world.settle();
  CHECK(log->lines().empty());
  time.advance(1ms);
  log->expect(with_cause("connect_failed", errc::timed_out));
}

TEST_CASE("an attempt ends at its deadline, or when it is cancelled, and there is one at a time", "[client]") {
  net::manual_clock time;
  client_stage s{&time};
  full_backlog full{s.over};
  s.connect(full.listener, 5s);
  s.world.settle();
  SECTION("deadline") {
    time.advance(4s);
    s.world.settle();
    CHECK(s.log->lines().empty());
    time.advance(1s);
    s.log->expect(with_cause("connect_failed", errc::timed_out));
  }
  SECTION("cancelled") {
    CHECK(s.world.ask<caf::ok_atom>(s.it, cancel_connect{}).first);
    s.log->expect(with_cause("connect_failed", errc::cancelled));
    CHECK(s.world.ask<caf::ok_atom>(s.it, cancel_connect{}).first); // there is nothing to cancel
  }
  SECTION("a second one meanwhile") {
    CHECK(s.world.ask<connected>(s.it, actnet::connect{at("127.0.0.1:1"), 5s}).second == errc::already_connected);
    s.it.cancel_connect();
    s.log->expect(with_cause("connect_failed", errc::cancelled));
  }
  SECTION("the client is drained") {
    CHECK(s.world.ask<caf::ok_atom>(s.it, drain{1s}).first);
    s.log->expect(with_cause("connect_failed", errc::cancelled));
  }
  SECTION("the client is killed") {
    caf::anon_send_exit(s.it.actor(), caf::exit_reason::kill);
    s.log->expect(with_cause("connect_failed", errc::aborted));
  }
  CHECK(s.log->count_like("connect_failed") == 1);
}

TEST_CASE("a connect to a listener whose backlog is full succeeds as soon as there is room", "[client]") {
  client_stage s;
  full_backlog full{s.over};
  s.connect(full.listener, 0s);
  s.world.settle();
  CHECK(s.log->lines().empty());
  REQUIRE(eventually([&] { // those who wait, then the client: of TCP the kernel tries again after a second
    const descriptor taken{::accept(full.listener.fd(), nullptr, nullptr)};
    return !s.log->lines().empty();
  }));
  CHECK(s.log->lines().front() == "connected");
}

TEST_CASE("a connect that fails in the kernel is told with its cause", "[client]") {
  const auto later = GENERATE(false, true);
  faulty_system_calls calls;
  const net::replaced_system_calls replaced{calls};
  client_stage s{nullptr, carrier::tcp};
  for (const auto& [number, expected] :
       {std::pair{ENETUNREACH, errc::network_unreachable}, std::pair{EHOSTUNREACH, errc::host_unreachable},
        std::pair{ETIMEDOUT, errc::timed_out}}) {
    listening_peer server;
    later ? calls.fail_connect_later(number) : calls.fail(call::connect, number);
    s.connect(server);
    s.log->expect(with_cause("connect_failed", expected));
  }
  CHECK(s.log->lines().size() == 3);
}

TEST_CASE("with no local port left a connect fails with a sentence, and the next one may succeed", "[client]") {
  faulty_system_calls calls;
  const net::replaced_system_calls replaced{calls};
  client_stage s{nullptr, carrier::tcp};
  listening_peer server;
  calls.fail(call::connect, EADDRNOTAVAIL);
  s.connect(server);
  s.log->expect("connect_failed: address not available on this machine");
  CHECK(calls.open_descriptors(call::socket).empty());
  s.connect(server);
  s.log->expect("connected");
  CHECK(s.log->lines().size() == 2);
}

TEST_CASE("connect_to makes the handler when connected, tells the owner, and ends with that connection", "[client]") {
  actor_world world{2};
  const auto log = make_journal(), handled = make_journal();
  const auto owner = world.spawn(log);
  listening_peer server{each_carrier()};
  client it;
  world.in(owner, [&](probe& self) { it = self.connect_to(server.address()).with<probe>(handled, hook{}); });
  auto far = server.accept();
  far.send_all("hello");
  handled->expect("received hello");
  log->expect("connected");
  CHECK(world.system().registry().running() == 4); // owner, client, connection, handler
  far.close();
  handled->expect("closed peer_finished");
  REQUIRE(eventually([&] { return world.system().registry().running() == 1; }));
}

TEST_CASE("a drained client waits for its connection, and aborts it at the deadline", "[client]") {
  net::manual_clock time;
  client_stage s{&time};
  listening_peer server{s.over};
  s.connect(server);
  auto far = server.accept();
  s.log->expect("connected");
  s.it.drain(5s);
  s.world.settle();
  CHECK(s.world.ask<connected>(s.it, actnet::connect{at(server.address()), 5s}).second == errc::closed);
  time.advance(5s);
  s.log->expect(with_cause("closed aborted", errc::aborted));
  CHECK(far.await_end() == ending_of_abort(s.over));
  REQUIRE(eventually([&] { return s.world.system().registry().running() == 2; })); // the owner and the asker
}

TEST_CASE("a connection over an open descriptor is adopted, and a bad one is left alone", "[client]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  peer far{descriptor{pair[1]}};
  REQUIRE(adopt_connection(world.system(), pair[0], owner));
  far.send_all("over a pair");
  log->expect("received over a pair");
  descriptor datagrams{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const auto refused = adopt_connection(world.system(), datagrams.fd(), owner);
  CHECK_FALSE(refused);
  far.close();
  log->expect("closed peer_finished");
}
