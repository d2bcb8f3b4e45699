// The settings that an actor system begins with, and that its sockets have if nobody says otherwise.
#include "actnet/actors/settings.hpp"

#include "support/actor_world.hpp"

using namespace actnet;
using namespace actnet::test;

namespace {

/// A world whose boss opens things, with two idle timeouts that differ.
struct settings_stage {
  static settings short_ones() {
    settings made;
    made.listener.connection.idle_timeout = 7s;
    made.client.connection.idle_timeout = 3s;
    made.datagram.write_high_bytes = 1;
    return made;
  }

  net::manual_clock time;
  actor_world world{1, &time, short_ones()};
  journal_ptr log = make_journal();
  caf::actor boss = world.spawn(log);

  /// Whether a connection that `who` writes about ends when it has been idle for `timeout`, and not before.
  bool ends_idle_after(std::chrono::milliseconds timeout, const journal& who) {
    world.settle();
    time.advance(timeout - 1ms);
    world.settle();
    const auto early = who.count_like("closed");
    time.advance(1ms);
    return early == 0 &&
           eventually([&] { return who.count(with_cause("closed idle", errc::idle)) == 1; }, default_deadline);
  }
};

} // namespace

TEST_CASE("an actor system keeps the settings of its configuration", "[settings]") {
  const baseline before;
  config cfg;
  cfg.settings.loops.count = 2;
  cfg.settings.drain_deadline = 3s;
  cfg.settings.listener.backlog = 77;
  caf::actor_system system{cfg};
  CHECK(loops::of(system).size() == 2);
  CHECK(loops::of(system).settings().drain_deadline == 3s);
  CHECK(loops::of(system).settings().listener.backlog == 77);
  const auto who = spawn_on<probe>(loops::of(system).at(0), make_journal(), hook{});
  std::promise<const actnet::settings*> seen;
  caf::anon_send(who, perform{[&](probe& self) { seen.set_value(&self.settings()); }});
  CHECK(seen.get_future().get() == &loops::of(system).settings());
  caf::anon_send_exit(who, caf::exit_reason::kill);
}

TEST_CASE("any other configuration stands for the defaults, but for the number of loops", "[settings]") {
  const baseline before;
  caf::actor_system_config cfg;
  cfg.load<actnet::loops>();
  caf::put(cfg.content, "actnet.loops", std::int64_t{3});
  caf::actor_system system{cfg};
  const auto& kept = loops::of(system).settings();
  CHECK(kept.loops.count == 3);
  CHECK(kept.loops.turn_alarm == settings{}.loops.turn_alarm);
  CHECK(kept.listener == listen_options{});
  CHECK(kept.client == connect_options{});
  CHECK(kept.datagram == bind_options{});
}

TEST_CASE("accepted connections have the listener's settings, unless it has options of its own", "[settings]") {
  settings_stage s;
  const auto handled = make_journal();
  const auto open = [&](auto... options) {
    s.world.in(s.boss,
               [&](probe& self) { self.listen("127.0.0.1:0", options...).template each<probe>(handled, hook{}); });
    s.log->expect("listening");
    return peer{s.world.port_of(s.boss)};
  };
  SECTION("none") {
    auto client = open();
    client.send_all("x");
    handled->expect("received x");
    CHECK(s.ends_idle_after(7s, *handled));
  }
  SECTION("none, from anywhere") {
    listen(s.world.system(), "127.0.0.1:0").owned_by(s.boss).each<probe>(handled, hook{});
    s.log->expect("listening");
    peer client{s.world.port_of(s.boss)};
    client.send_all("x");
    handled->expect("received x");
    CHECK(s.ends_idle_after(7s, *handled));
  }
  SECTION("built-in ones") {
    auto client = open(listen_options{});
    client.send_all("x");
    handled->expect("received x");
    CHECK(s.ends_idle_after(60s, *handled));
  }
  SECTION("the settings with a change") {
    auto options = loops::of(s.world.system()).settings().listener;
    options.max_connections = 1;
    auto first = open(options);
    first.send_all("x");
    handled->expect("received x");
    peer second{s.world.port_of(s.boss)};
    CHECK(s.ends_idle_after(7s, *handled));
    second.send_all("y");
    handled->expect("received y");
  }
}

TEST_CASE("outgoing and adopted connections have the client's settings", "[settings]") {
  settings_stage s;
  SECTION("outgoing") {
    listening_peer server;
    s.world.in(s.boss, [&](probe& self) { self.connect_to("127.0.0.1:" + std::to_string(server.port())).start(); });
    s.log->expect("connected");
    auto far = server.accept();
    far.send_all("x");
    s.log->expect("received x");
    CHECK(s.ends_idle_after(3s, *s.log));
  }
  SECTION("outgoing, from anywhere") {
    listening_peer server;
    connect_to(s.world.system(), "127.0.0.1:" + std::to_string(server.port())).owned_by(s.boss).start();
    s.log->expect("connected");
    auto far = server.accept();
    far.send_all("x");
    s.log->expect("received x");
    CHECK(s.ends_idle_after(3s, *s.log));
  }
  SECTION("outgoing, with options") {
    listening_peer server;
    connect_options options;
    options.connection.idle_timeout = 9s;
    s.world.in(s.boss,
               [&](probe& self) { self.connect_to("127.0.0.1:" + std::to_string(server.port()), options).start(); });
    s.log->expect("connected");
    auto far = server.accept();
    far.send_all("x");
    s.log->expect("received x");
    CHECK(s.ends_idle_after(9s, *s.log));
  }
  SECTION("adopted") {
    connected_pair pair;
    REQUIRE(adopt_connection(s.world.system(), pair.near.fd(), s.boss));
    (void)pair.near.release();
    pair.far.send_all("x");
    s.log->expect("received x");
    CHECK(s.ends_idle_after(3s, *s.log));
  }
}

TEST_CASE("datagram sockets have the settings' marks, unless they have options of their own", "[settings]") {
  settings_stage s;
  udp_peer far;
  const auto there = net::endpoint::udp(*net::ip_address::parse("127.0.0.1"), far.port());
  const auto send_two = [&] {
    s.log->expect("bound");
    s.world.in(s.boss, [&](probe& self) {
      self.socket.send_to(there, "one", 1);
      self.socket.send_to(there, "two", 2);
    });
    s.log->expect("sent 1");
  };
  SECTION("none") {
    s.world.in(s.boss, [&](probe& self) { self.bind("127.0.0.1:0").start(); });
    send_two();
    s.log->expect(with_cause("sent 2", errc::queue_full));
  }
  SECTION("none, from anywhere") {
    bind(s.world.system(), "127.0.0.1:0").owned_by(s.boss).start();
    send_two();
    s.log->expect(with_cause("sent 2", errc::queue_full));
  }
  SECTION("built-in ones") {
    s.world.in(s.boss, [&](probe& self) { self.bind("127.0.0.1:0", bind_options{}).start(); });
    send_two();
    s.log->expect("sent 2");
  }
}
