// Listeners: how many are accepted, when, by whom, and how they end.
#include "support/actor_world.hpp"
#include "support/faulty_system_calls.hpp"
#include "support/quiet.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

using namespace actnet;
using namespace actnet::test;

namespace {

/// A world with a boss who listens, over each carrier in turn.
struct server {
  explicit server(std::size_t loop_count = 1, listen_options options = {}, net::clock* time = nullptr)
      : over(each_carrier()), world(loop_count, time), boss(world.spawn(log)) {
    world.in(boss, [&](probe& self) { it = self.listen(fresh_address(over), options).each<probe>(handled, hook{}); });
    log->expect("listening");
    address = world.address_of(boss);
  }

  std::vector<peer> connect(int count) {
    std::vector<peer> peers;
    for (int i = 0; i < count; ++i)
      peers.emplace_back(address);
    return peers;
  }

  const carrier over;
  said_carrier said{over};
  actor_world world;
  journal_ptr log = make_journal();     // of the boss
  journal_ptr handled = make_journal(); // of the handlers
  caf::actor boss;
  listener it;
  std::string address;
};

/// Says something on every connection, as a client that was accepted or not would.
void greet(std::vector<peer>& peers) {
  for (auto& each : peers)
    each.send_all("x");
}

/// Once it has begun, somebody else has come whenever a connection is accepted, and leaves at once.
class endless_arrivals final : public net::system_calls {
 public:
  int accept4(int fd, sockaddr* address, socklen_t* size, int flags) noexcept override {
    ++calls_;
    if (begun_) {
      sockaddr_storage here{};
      socklen_t length = sizeof here;
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&here), &length);
      const descriptor visitor{::socket(here.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
      (void)::connect(visitor.fd(), reinterpret_cast<const sockaddr*>(&here), length);
    }
    return system_calls::accept4(fd, address, size, flags);
  }
  void begin() { begun_ = true; }
  std::size_t calls() const { return calls_; }

 private:
  std::atomic<bool> begun_{false};
  std::atomic<std::size_t> calls_{0};
};

listen_options sharded(shard how) {
  listen_options options;
  options.shard = how;
  return options;
}

} // namespace

TEST_CASE("max_connections is exact, and whoever waits comes in when somebody leaves", "[listener]") {
  auto options = sharded(GENERATE(shard::round_robin, shard::reuse_port));
  options.max_connections = 50;
  server s{2, options};
  constexpr int clients = 200, threads = 4;
  std::atomic<int> inside{0}, most{0}, served{0};
  std::vector<std::thread> crowd;
  for (int t = 0; t < threads; ++t)
    crowd.emplace_back([&] {
      auto peers = s.connect(clients / threads);
      greet(peers);
      for (auto& each : peers)
        each.finish();
      for (auto& each : peers)
        if (each.await_end() == ending::finished)
          ++served;
    });
  for (auto& each : crowd)
    each.join();
  s.handled->expect("closed peer_finished", clients);
  CHECK(served == clients);
  // How many were inside at once: each says "received x" first and "closed" last.
  for (const auto& line : s.handled->lines())
    if (line == "received x")
      most = std::max<int>(most, ++inside);
    else if (line.starts_with("closed"))
      --inside;
  CHECK(most <= 50);
  auto peers = s.connect(60);
  greet(peers);
  s.handled->expect("received x", clients + 50);
  s.world.settle();
  CHECK(s.handled->count("received x") == clients + 50);
  peers.erase(peers.begin(), peers.begin() + 60);
  s.handled->expect("closed peer_finished", clients + 60);
}

TEST_CASE("resume_accepting takes exactly as many more as it says", "[listener]") {
  server s{2, sharded(GENERATE(shard::round_robin, shard::reuse_port))};
  CHECK(s.world.ask<caf::ok_atom>(s.it, pause_accepting{}).first);
  s.world.settle();
  auto peers = s.connect(40);
  greet(peers);
  s.world.settle();
  CHECK(s.handled->lines().empty());
  std::size_t expected = 0;
  for (const std::uint64_t more : {1u, 1u, 5u, 1u}) {
    CHECK(s.world.ask<caf::ok_atom>(s.it, resume_accepting{more}).first);
    s.handled->expect("received x", expected += more);
    s.world.settle();
    CHECK(s.handled->count("received x") == expected);
  }
  s.it.resume_accepting();
  s.handled->expect("received x", 40);
}

TEST_CASE("a single allowed connection is accepted wherever it waits", "[listener]") {
  server s{2, sharded(shard::reuse_port)};
  CHECK(s.world.ask<caf::ok_atom>(s.it, pause_accepting{}).first);
  std::vector<peer> peers;
  for (std::size_t i = 1; i <= 300; ++i) { // at either shard, while the other looks as well
    peers.emplace_back(s.address);
    peers.back().send_all("x");
    s.it.resume_accepting(1);
    s.handled->expect("received x", i);
  }
}

TEST_CASE("a single allowed connection is accepted wherever it waits, also when there is no other", "[listener]") {
  server s{2, sharded(shard::reuse_port)};
  CHECK(s.world.ask<caf::ok_atom>(s.it, pause_accepting{}).first);
  for (std::size_t i = 1; i <= 1'000; ++i) { // at either shard, while the other looks as well
    peer one{s.address};
    one.send_all("x");
    s.it.resume_accepting(1);
    s.handled->expect("received x", i);
    one.close();
    s.handled->expect("closed peer_finished", i);
    REQUIRE(eventually([&] { return s.world.ask<listener_info>(s.it, get_listener_info{}).first->connections == 0; }));
  }
}

TEST_CASE("stop_listening accepts what waits in the backlog, then refuses", "[listener]") {
  server s{2, sharded(GENERATE(shard::round_robin, shard::reuse_port))};
  CHECK(s.world.ask<caf::ok_atom>(s.it, pause_accepting{}).first);
  s.world.settle();
  auto peers = s.connect(20);
  greet(peers);
  CHECK(s.world.ask<caf::ok_atom>(s.it, stop_listening{}).first);
  s.handled->expect("received x", 20);
  s.log->expect("listener_closed");
  CHECK_THROWS(peer{s.address}); // refused
  peers.clear();
  s.handled->expect("closed peer_finished", 20);
}

TEST_CASE("stop_listening ends a listener that nobody has connected to", "[listener]") {
  server s;
  s.it.stop_listening();
  s.log->expect("listener_closed");
}

TEST_CASE("stop_listening does not wait for a place below max_connections", "[listener]") {
  auto options = sharded(GENERATE(shard::round_robin, shard::reuse_port));
  options.max_connections = 2;
  server s{2, options};
  auto peers = s.connect(6);
  greet(peers);
  s.handled->expect("received x", 2);
  CHECK(s.world.ask<caf::ok_atom>(s.it, stop_listening{}).first);
  s.world.settle();
  CHECK(s.handled->lines().size() == 2);
  CHECK_THROWS(peer{s.address});
}

TEST_CASE("stop_listening takes no more than the backlog holds, however many come meanwhile", "[listener]") {
  endless_arrivals calls;
  const net::replaced_system_calls replaced{calls};
  auto options = sharded(shard::round_robin);
  options.backlog = 20;
  server s{2, options};
  CHECK(s.world.ask<caf::ok_atom>(s.it, pause_accepting{}).first);
  auto peers = s.connect(5);
  const auto before = calls.calls();
  calls.begin();
  CHECK(s.world.ask<caf::ok_atom>(s.it, stop_listening{}).first);
  CHECK(calls.calls() - before == 21); // the kernel counts from zero
  s.log->expect("listener_closed");
}

TEST_CASE("at a drain's deadline nobody comes in any more, however many wait", "[listener]") {
  endless_arrivals calls;
  const net::replaced_system_calls replaced{calls};
  net::manual_clock time;
  auto options = sharded(shard::round_robin);
  options.backlog = 1'000'000'000;
  server s{2, options, &time};
  auto peers = s.connect(3);
  greet(peers);
  s.handled->expect("received x", 3);
  calls.begin();
  s.it.drain(5s);
  peers.emplace_back(s.address);
  REQUIRE(eventually([&] { return calls.calls() > 100; }));
  s.world.settle();
  CHECK(s.log->count("listener_closed") == 0);
  time.advance(5s);
  s.log->expect("listener_closed");
  s.handled->expect(with_cause("closed aborted", errc::aborted), 3);
  CHECK_THROWS(peer{s.address});
}

TEST_CASE("a drain of no time takes nobody from the backlog", "[listener]") {
  endless_arrivals calls; // which counts
  const net::replaced_system_calls replaced{calls};
  server s{2, sharded(GENERATE(shard::round_robin, shard::reuse_port))};
  CHECK(s.world.ask<caf::ok_atom>(s.it, pause_accepting{}).first);
  s.world.settle();
  auto peers = s.connect(40);
  s.world.settle();
  const auto before = calls.calls();
  CHECK(s.world.ask<caf::ok_atom>(s.it, drain{0ms}).first);
  s.log->expect("listener_closed");
  CHECK(calls.calls() == before);
  CHECK_THROWS(peer{s.address});
}

TEST_CASE("a drain waits for the connections, and aborts what is left at its deadline", "[listener]") {
  net::manual_clock time;
  server s{2, sharded(GENERATE(shard::round_robin, shard::reuse_port)), &time};
  auto peers = s.connect(4);
  greet(peers);
  s.handled->expect("received x", 4);
  s.it.drain(5s);
  peers[0].close();
  s.handled->expect("closed peer_finished");
  s.world.settle();
  time.advance(4s);
  s.world.settle();
  CHECK(s.log->count("listener_closed") == 0);
  CHECK(s.handled->count_like("closed") == 1);
  SECTION("the rest ends in time") {
    peers.clear();
    s.log->expect("listener_closed");
    CHECK(s.handled->count("closed peer_finished") == 4);
  }
  SECTION("the rest does not") {
    time.advance(1s);
    s.log->expect("listener_closed");
    s.handled->expect(with_cause("closed aborted", errc::aborted), 3);
    CHECK(peers[1].await_end() == ending_of_abort(s.over));
  }
}

TEST_CASE("a drain of no time aborts at once", "[listener]") {
  server s;
  auto peers = s.connect(1);
  greet(peers);
  s.handled->expect("received x");
  CHECK(s.world.ask<caf::ok_atom>(s.it, drain{0ms}).first);
  CHECK(peers[0].await_end() == ending_of_abort(s.over));
}

TEST_CASE("a lack of descriptors pauses accepting, without a spin and without a loss", "[listener]") {
  faulty_system_calls calls;
  const net::replaced_system_calls replaced{calls};
  captured_log log;
  net::manual_clock time;
  server s{1, {}, &time};
  calls.fail(call::accept4, EMFILE, {.count = occurrence::forever});
  auto peers = s.connect(3);
  greet(peers);
  log.lines.expect_like("accept: ");
  s.world.settle();
  const auto before = calls.calls(call::accept4);
  CHECK(is_quiet(300ms));
  CHECK(calls.calls(call::accept4) == before);
  time.advance(100ms); // still none
  s.world.settle();
  REQUIRE(eventually([&] { return calls.calls(call::accept4) == before + 1; }));
  calls.clear_faults();
  s.world.settle();
  time.advance(200ms);
  s.handled->expect("received x", 3);
  peers.clear();
  s.handled->expect("closed peer_finished", 3);
}

TEST_CASE("an address in use is a failure, also against a sharded listener of our own", "[listener]") {
  server s{2, sharded(GENERATE(shard::round_robin, shard::reuse_port))};
  const auto log = make_journal();
  const auto other = s.world.spawn(log);
  for (const auto how : {shard::round_robin, shard::reuse_port})
    s.world.in(other, [&](probe& self) { self.listen(s.address, sharded(how)).each<probe>(make_journal(), hook{}); });
  log->expect(with_cause("listen_failed", errc::address_in_use), 2);
  auto peers = s.connect(1);
  greet(peers);
  s.handled->expect("received x");
}

TEST_CASE("an endpoint that is none fails with a sentence", "[listener]") {
  actor_world world;
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  world.in(boss, [&](probe& self) {
    CHECK_FALSE(self.listen("127.0.0.1:123456").start());
    CHECK_FALSE(self.bind("nowhere").start());
  });
  log->expect_like("listen_failed: ");
  log->expect_like("bind_failed: ");
  CHECK(log->text().find("123456") != std::string::npos);
}

TEST_CASE("a listener at localhost serves both loopback addresses on one port, and stops at both", "[listener]") {
  actor_world world{2};
  const auto log = make_journal(), handled = make_journal();
  const auto boss = world.spawn(log);
  listener it;
  listen_options options;
  options.shard = GENERATE(shard::round_robin, shard::reuse_port);
  options.max_connections = 2;
  options.v6_only = GENERATE(std::optional<bool>{}, std::optional{true});
  std::string where = "localhost:0";
  for (std::size_t round = 0; round < 2; ++round) {
    world.in(boss, [&](probe& self) { it = self.listen(where, options).each<probe>(handled, hook{}); });
    log->expect("listening", round + 1);
    const auto local = *net::endpoint::parse(world.address_of(boss));
    where = net::endpoint::localhost(local.port()).to_string();
    std::vector<peer> peers;
    for (const auto& each : net::endpoint::localhost(local.port()).addresses()) {
      if (each.ip().is_v6() && !local.is_localhost())
        continue; // no IPv6 here
      auto begun = net::stream_socket::begin_connect(each, std::nullopt, {});
      REQUIRE(begun);
      peers.emplace_back(descriptor{begun->socket.release()});
      peers.back().send_all(each.ip().to_string());
      handled->expect("received " + each.ip().to_string(), round + 1);
    }
    CHECK(world.ask<listener_info>(it, get_listener_info{}).first->accepted == peers.size());
    REQUIRE(world.ask<caf::ok_atom>(it, stop_listening{}).first);
    CHECK_THROWS(peer{local.port()}); // and the next round finds both free
  }
}

TEST_CASE("an address that is in use says who has it when it is not whom one expects", "[listener]") {
  actor_world world;
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  const auto listen_at = [&](const std::string& address) {
    world.in(boss, [&](probe& self) { self.listen(address).start(); });
  };
  std::string port;
  SECTION("one for both IP versions") {
    listening_peer probe_of_port;
    port = std::to_string(probe_of_port.port());
    probe_of_port.close();
    listen_at("[::]:" + port);
    if (!eventually([&] { return !log->lines().empty(); }) || log->lines()[0] != "listening") {
      WARN("no IPv6, or somebody was faster");
      return;
    }
    listen_at("0.0.0.0:" + port);
    log->expect_like("listen_failed: address already in use: a socket on [::]:" + port + " has the port of IPv4");
  }
  SECTION("IPv4, by somebody who is in the way of both") {
    listening_peer other;
    port = std::to_string(other.port());
    listen_at("[::]:" + port);
    if (!eventually([&] { return !log->lines().empty(); }) || log->lines()[0].find("in use") == std::string::npos) {
      WARN("no IPv6");
      return;
    }
    log->expect_like("listen_failed: address already in use: [::]:" + port + " takes the port of IPv4, too");
  }
  SECTION("a connection that goes out") {
    listening_peer other;
    const peer out{other.port()};
    port = std::to_string(out.local_port());
    listen_at("127.0.0.1:" + port);
    log->expect_like("listen_failed: address already in use: nobody listens there");
  }
  SECTION("and nothing if it is") {
    listening_peer other;
    listen_at(other.address());
    log->expect(with_cause("listen_failed", errc::address_in_use));
  }
}

TEST_CASE("an open listening socket can be taken over, and one that is none is left to its owner", "[listener]") {
  actor_world world;
  const auto log = make_journal(), handled = make_journal();
  const auto boss = world.spawn(log);
  listening_peer open{each_carrier()};
  const auto fd = ::fcntl(open.fd(), F_DUPFD_CLOEXEC, 0);
  descriptor no_listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  world.in(boss, [&](probe& self) {
    self.listen("127.0.0.1:0").adopt(fd).each<probe>(handled, hook{});
    CHECK_FALSE(self.listen("127.0.0.1:0").adopt(no_listener.fd()).each<probe>(handled, hook{}));
  });
  log->expect("listening");
  log->expect_like("listen_failed");
  CHECK(world.address_of(boss) == open.address());
  peer one{open.address()};
  one.send_all("x");
  handled->expect("received x");
}

TEST_CASE("a listening socket that somebody else shuts down has failed", "[listener]") {
  captured_log complaints;
  actor_world world;
  const auto log = make_journal(), handled = make_journal();
  const auto boss = world.spawn(log);
  listening_peer open{each_carrier()};
  const auto fd = ::fcntl(open.fd(), F_DUPFD_CLOEXEC, 0);
  world.in(boss, [&](probe& self) { self.listen("127.0.0.1:0").adopt(fd).each<probe>(handled, hook{}); });
  log->expect("listening");
  peer one{open.address()};
  one.send_all("x");
  handled->expect("received x");
  REQUIRE(::shutdown(open.fd(), SHUT_RDWR) == 0);
  log->expect("listener_closed: the socket does not listen any more: somebody else has shut it down");
  complaints.lines.expect_like("accept: " + open.address() + ": the socket does not listen any more");
  CHECK(complaints.lines.count_like("accept: ") == 1);
  one.send_all("y"); // those it has accepted do not notice
  handled->expect("received y");
}

TEST_CASE("a listener ends with its owner", "[listener]") {
  server s;
  auto peers = s.connect(1);
  greet(peers);
  s.handled->expect("received x");
  s.world.kill(s.boss);
  REQUIRE(eventually([&] { return s.world.system().registry().running() == 2; })); // a handler and its connection
  CHECK_THROWS(peer{s.address});
}

TEST_CASE("accepted goes to the owner, and one that nobody wants is aborted", "[listener]") {
  class careless final : public handler {
   public:
    careless(caf::actor_config& cfg, std::string where, std::promise<std::string>& address)
        : handler(cfg), where_(std::move(where)), address_(address) {}
    caf::behavior make_behavior() override {
      listen(where_).start();
      return {[this](const listening& l) { address_.set_value(l.local.to_string()); }};
    }

   private:
    std::string where_;
    std::promise<std::string>& address_;
  };
  const auto over = each_carrier();
  actor_world world;
  std::promise<std::string> address;
  world.owned(spawn_on<careless>(world.loop(), fresh_address(over), std::ref(address)));
  const auto there = address.get_future().get();
  auto seen = ending_of_abort(over);
  try {
    peer one{there};
    seen = one.await_end();
  } catch (const std::runtime_error&) { // before connect had returned
  }
  CHECK(seen == ending_of_abort(over));
}

TEST_CASE("an opener that has ended is freed", "[listener]") {
  server s;
  auto peers = s.connect(1);
  greet(peers);
  s.handled->expect("received x");
  caf::actor_addr listener_address = s.it.actor().address(), client_address;
  listening_peer far{s.over};
  s.world.in(s.boss, [&](probe& self) { client_address = self.connect_to(far.address()).start().actor().address(); });
  auto accepted_far = far.accept();
  s.log->expect("connected");
  s.it.drain(1s);
  s.it = {};
  peers.clear();
  s.log->expect("listener_closed");
  accepted_far.close();
  s.log->expect("closed peer_finished");
  CHECK(eventually([&] { return !caf::actor_cast<caf::strong_actor_ptr>(listener_address); }));
  CHECK(eventually([&] { return !caf::actor_cast<caf::strong_actor_ptr>(client_address); }));
}
