// How actors that own sockets begin and end: links, monitors, exits, answers after the end, shutdown, placement.
#include "support/actor_world.hpp"

#include <caf/event_based_actor.hpp>

#include <set>
#include <stdexcept>

using namespace actnet;
using namespace actnet::test;

namespace {

/// One of each kind of actor that owns a socket.
struct zoo {
  explicit zoo(actor_world& world) : owner(world.spawn(log)), conn(world.adopt(pair, owner)) {
    options.allow_half_open = true;
    const auto boss = owner;
    world.in(owner, [&](probe& self) {
      server = self.listen(fresh_address(pair.over)).start();
      dialler = make_client(self.system(), boss);
      datagrams = self.bind(fresh_address(for_datagrams(pair.over))).start();
    });
    log->expect("listening");
    log->expect("bound");
  }

  std::vector<handle> all() const { return {conn, server, dialler, datagrams}; }

  journal_ptr log = make_journal();
  connection_options options;
  connected_pair pair{each_carrier()};
  caf::actor owner;
  connection conn;
  listener server;
  client dialler;
  datagram_socket datagrams;
};

/// Until nothing but the actors of the world itself is left.
void await_only(actor_world& world, std::size_t actors) {
  const auto reached = eventually([&] { return world.system().registry().running() == actors; });
  INFO("still running: " << world.system().registry().running());
  REQUIRE(reached);
}

} // namespace

TEST_CASE("a link or a monitor to a live socket actor fires when it ends", "[lifetime]") {
  actor_world world;
  zoo z{world};
  for (const auto& each : z.all()) {
    const auto log = make_journal();
    const auto watcher = world.spawn(log);
    const auto linked = world.spawn(log);
    world.in(watcher, [&](probe& self) {
      self.set_down_handler(
          [log](caf::scheduled_actor*, caf::down_msg& down) { log->add(with_cause("down", down.reason)); });
      self.monitor(each.actor());
    });
    world.in(linked, [&](probe& self) {
      self.set_exit_handler(
          [log](caf::scheduled_actor*, caf::exit_msg& exit) { log->add(with_cause("exit", exit.reason)); });
      self.link_to(each.actor());
    });
    caf::anon_send_exit(each.actor(), caf::exit_reason::kill);
    log->expect_like("down");
    log->expect_like("exit");
  }
}

TEST_CASE("a link or a monitor to a socket actor that has ended fires at once", "[lifetime]") {
  actor_world world;
  zoo z{world};
  for (const auto& each : z.all())
    caf::anon_send_exit(each.actor(), caf::exit_reason::kill);
  await_only(world, 1);
  const auto log = make_journal();
  const auto watcher = world.spawn(log);
  world.in(watcher, [&](probe& self) {
    self.set_down_handler([log](caf::scheduled_actor*, caf::down_msg&) { log->add("down"); });
    self.set_exit_handler([log](caf::scheduled_actor*, caf::exit_msg&) { log->add("exit"); });
    for (const auto& each : z.all()) {
      self.monitor(each.actor());
      self.link_to(each.actor());
    }
  });
  log->expect("down", 4);
  log->expect("exit", 4);
}

TEST_CASE("an exit message ends a socket actor as its reason says", "[lifetime]") {
  struct row {
    caf::exit_reason reason;
    bool ends;
    std::string closed;
    ending seen;
  };
  const auto r = GENERATE(
      row{caf::exit_reason::normal, false, "", ending::finished},
      row{caf::exit_reason::user_shutdown, true, "closed requested", ending::finished},
      row{caf::exit_reason::kill, true, with_cause("closed aborted", errc::aborted), ending::reset},
      row{caf::exit_reason::remote_link_unreachable, true, with_cause("closed aborted", errc::aborted), ending::reset});
  INFO(to_string(r.reason));
  actor_world world;
  zoo z{world};
  world.in(z.owner, [&](probe&) { z.conn.write("before"); });
  for (const auto& each : z.all())
    caf::anon_send_exit(each.actor(), r.reason);
  world.settle();
  CHECK(z.pair.far.read_exactly(6) == "before");
  if (!r.ends) {
    CHECK(world.ask<stream::info>(z.conn, stream::get_info{}).first->state == connection_state::open);
    CHECK(world.system().registry().running() >= 5);
    return;
  }
  CHECK(z.pair.far.await_end() == (r.seen == ending::reset ? ending_of_abort(z.pair.over) : r.seen));
  z.pair.far.close();
  z.log->expect(r.closed);
  z.log->expect_like("listener_closed");
  z.log->expect_like("datagram closed");
  await_only(world, 1 + (r.reason == caf::exit_reason::normal)); // the owner
}

TEST_CASE("a socket actor that has ended answers every request at once", "[lifetime]") {
  actor_world world;
  zoo z{world};
  world.in(z.owner, [&](probe&) { z.conn.write("x", 1); });
  z.log->expect("written 1 1");
  for (const auto& each : z.all())
    caf::anon_send_exit(each.actor(), caf::exit_reason::kill);
  await_only(world, 1);
  const auto error_of = [&]<class Command>(const handle& to, Command command) {
    return world.ask<caf::ok_atom>(to, command).second;
  };
  CHECK(error_of(z.conn, stream::write{net::bytes::copy("late"), 1}) == errc::closed);
  CHECK(error_of(z.conn, stream::flush{1}) == errc::closed);
  CHECK(error_of(z.conn, stream::finish{}) == errc::closed);
  CHECK(error_of(z.conn, stream::pause_reading{}) == errc::closed);
  CHECK(error_of(z.conn, stream::set_deadline{}) == errc::closed);
  CHECK_FALSE(error_of(z.conn, stream::close{}));
  CHECK_FALSE(error_of(z.conn, stream::abort{}));
  CHECK(world.ask<stream::info>(z.conn, stream::get_info{}).first->bytes_sent == 1);
  CHECK(error_of(z.server, pause_accepting{}) == errc::closed);
  CHECK_FALSE(error_of(z.server, stop_listening{}));
  CHECK_FALSE(error_of(z.server, drain{}));
  CHECK(error_of(z.dialler, actnet::connect{*net::endpoint::parse("127.0.0.1:1"), 1s}) == errc::closed);
  CHECK_FALSE(error_of(z.dialler, cancel_connect{}));
  CHECK(error_of(z.datagrams, datagram::send{net::bytes::copy("late"), std::nullopt, 1}) == errc::closed);
  CHECK_FALSE(error_of(z.datagrams, datagram::close{}));
  // Plain messages get their outcome too.
  world.in(z.owner, [&](probe&) {
    z.conn.write("late", 7);
    z.conn.write("late and silent");
    z.conn.flush(8);
    z.conn.finish();
    z.datagrams.send_to(*net::endpoint::parse("udp://127.0.0.1:9"), "late", 9);
    z.dialler.connect(*net::endpoint::parse("127.0.0.1:9"));
  });
  z.log->expect(with_cause("written 7 0", errc::closed));
  z.log->expect(with_cause("written 0 0", errc::closed));
  z.log->expect(with_cause("written 8 0", errc::closed));
  z.log->expect(with_cause("finished", errc::closed));
  z.log->expect(with_cause("sent 9", errc::closed));
  z.log->expect(with_cause("connect_failed", errc::closed));
}

TEST_CASE("requests that a socket actor does not know are answered", "[lifetime]") {
  actor_world world;
  zoo z{world};
  for (const auto& each : z.all())
    CHECK(world.ask<caf::ok_atom>(each, perform{}).second == errc::unexpected_message);
  CHECK(world.info(z.conn).state == connection_state::open);
}

TEST_CASE("a handler answers what its behaviour leaves out", "[lifetime]") {
  class deaf : public handler {
   public:
    using handler::handler;
    caf::behavior make_behavior() override {
      return {[](int) {}};
    }
  };
  captured_log log;
  actor_world world;
  const auto who = world.owned(spawn_on<deaf>(world.loop()));
  const handle its{caf::actor_cast<caf::strong_actor_ptr>(who)};
  CHECK(world.ask<caf::ok_atom>(its, stream::get_info{}).second == errc::unexpected_message);
  caf::anon_send(who, std::string{"what is this"});
  log.lines.expect_like("unexpected-message");
  connected_pair pair{each_carrier()};
  world.adopt(pair, who);
  pair.far.finish();
  CHECK(pair.far.read_to_end().empty()); // peer_finished needs no behaviour, and closed ends it
  pair.far.close();
  REQUIRE(eventually([&] { return world.live_actors() == 2; })); // the asker, in two counts
}

TEST_CASE("the system can be destroyed under live sockets of every kind", "[lifetime]") {
  const std::size_t loop_count = GENERATE(1u, 2u);
  actor_world world{loop_count};
  zoo z{world};
  const auto log = make_journal();
  const auto boss = world.spawn(log, {}, loop_count - 1);
  std::vector<peer> peers;
  const auto over = z.pair.over;
  world.in(boss, [&](probe& self) { self.listen(fresh_address(over)).each<probe>(log, hook{}); });
  log->expect("listening");
  const auto there = world.address_of(boss);
  for (int i = 0; i < 20; ++i) {
    peers.emplace_back(there);
    peers.back().send_all("x");
  }
  log->expect("received x", 20);
  listening_peer never{over, {}, 0};
  world.in(z.owner, [&](probe&) { z.dialler.connect(*net::endpoint::parse(never.address())); });
  world.shut_down();
  for (auto& each : peers)
    CHECK(each.await_end() == ending_of_abort(over));
  // The handles outlive it; commands to them have no effect.
}

TEST_CASE("a hosted actor begins and ends on its loop's thread, whoever ends it", "[lifetime]") {
  class placed final : public handler {
   public:
    placed(caf::actor_config& cfg, journal_ptr to) : handler(cfg), log_(std::move(to)) {}
    caf::behavior make_behavior() override {
      return {[](int) {}};
    }
    void on_exit() override { log_->add(home()->is_current() ? "on its loop" : "elsewhere"); }

   private:
    journal_ptr log_;
  };
  actor_world world{2};
  const auto log = make_journal();
  for (int i = 0; i < 100; ++i) {
    const auto who = spawn_on<placed>(world.loop(static_cast<std::size_t>(i % 2)), log);
    if (i % 3 == 0)
      world.kill(who);
    else
      caf::anon_send_exit(who, caf::exit_reason::user_shutdown);
  }
  log->expect("on its loop", 100);
  for (int i = 0; i < 10; ++i)
    spawn_on<placed>(world.loop(), log); // nobody holds it
  world.shut_down();
  log->expect("on its loop", 110);
  CHECK(log->count("elsewhere") == 0);
}

TEST_CASE("handlers on the scheduler and on loops of their own handle connections", "[lifetime]") {
  const auto where = GENERATE(placement::loop, placement::scheduler, placement::own_loop);
  actor_world world{2};
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  std::mutex mutex;
  std::set<std::thread::id> threads;
  const hook echo = [&](probe& self, const std::string& line) {
    if (line.starts_with("received")) {
      {
        std::lock_guard guard{mutex};
        threads.insert(std::this_thread::get_id());
      }
      self.peer.write(line.substr(9), 5);
    }
  };
  listen_options options;
  options.handlers = where;
  const auto over = each_carrier();
  world.in(boss, [&](probe& self) { self.listen(fresh_address(over), options).each<probe>(log, echo); });
  log->expect("listening");
  const auto there = world.address_of(boss);
  std::vector<peer> peers;
  for (int i = 0; i < 6; ++i) {
    peers.emplace_back(there);
    for (const auto* text : {"one", "two"}) {
      peers.back().send_all(text);
      CHECK(peers.back().read_exactly(3) == text);
    }
  }
  log->expect("written 5 3", 12);
  CHECK(threads.size() == (where == placement::own_loop ? 6 : where == placement::loop ? 2 : 1));
  peers.clear();
  log->expect("closed peer_finished", 6);
}

TEST_CASE("a plain event-based actor may own a connection", "[lifetime]") {
  actor_world world;
  const auto log = make_journal();
  connected_pair pair{each_carrier()};
  const auto conn = std::make_shared<connection>();
  const auto owner =
      world.owned(spawn_function(world.system(), [log, conn](caf::event_based_actor* self) -> caf::behavior {
        return {
            [self, conn](const stream::received& r) {
              self->send(conn->actor(), stream::write{r.payload, 3});
            },
            [log](const stream::written& w) { log->add("written " + std::to_string(w.token)); },
            [log](const stream::closed& c) { log->add("closed " + std::string{to_string(c.reason)}); },
            [](const stream::peer_finished&) {},
        };
      }));
  *conn = world.adopt(pair, owner);
  pair.far.send_all("echo");
  CHECK(pair.far.read_exactly(4) == "echo");
  log->expect("written 3");
  pair.far.close();
  log->expect("closed peer_finished");
  *conn = {};
}

TEST_CASE("a handler that cannot be made leaves no connection behind", "[lifetime]") {
  enum class thrown { exception, number };
  class unmakeable final : public handler {
   public:
    unmakeable(caf::actor_config& cfg, connection c, int what) : handler(cfg) {
      c.write("from the constructor");
      c.finish();
      if (what == 0)
        throw std::runtime_error{"as ordered"};
      throw 42;
    }
    caf::behavior make_behavior() override { return {}; }
  };
  const auto where = GENERATE(placement::loop, placement::scheduler, placement::own_loop);
  const auto what = GENERATE(0, 1);
  captured_log quiet;
  const unlimited_log every_line;
  actor_world world;
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  listen_options options;
  options.handlers = where;
  options.max_connections = 1; // so that a place that is not given back shows
  const auto over = each_carrier();
  world.in(boss, [&](probe& self) { self.listen(fresh_address(over), options).each<unmakeable>(what); });
  log->expect("listening");
  const auto there = world.address_of(boss);
  for (int i = 0; i < 3; ++i)
    peer{there}.await_end();
  quiet.lines.expect_like("actor: a connection handler could not be made", 3);
  // A client says so to whoever asked.
  listening_peer server{over};
  connect_options out;
  out.handlers = where;
  world.in(boss, [&](probe& self) { self.connect_to(server.address(), out).with<unmakeable>(what); });
  log->expect_like("connect_failed");
  server.accept().await_end();
}

TEST_CASE("a failure inside a connection's own actor ends that connection, with one closed, and nothing else",
          "[lifetime]") { // F16
  /// Refuses what it is sent, once told to: by an exception in whoever sends it.
  class thorny final : public handler {
   public:
    thorny(caf::actor_config& cfg, connection c) : handler(cfg), peer_(std::move(c)) {}
    caf::behavior make_behavior() override {
      return {[this](int) {
        request(peer_.actor(), caf::infinite, stream::get_info{}).then([](const stream::info&) {}, [](caf::error&) {});
        stings_ = true;
      }};
    }
    void enqueue(caf::mailbox_element_ptr message, caf::execution_unit* unit) override {
      if (std::exchange(stings_, false))
        throw std::runtime_error{"thorn"};
      handler::enqueue(std::move(message), unit);
    }

   private:
    connection peer_;
    bool stings_ = false;
  };
  captured_log log;
  actor_world world;
  const auto owner_log = make_journal(), other_log = make_journal();
  const auto owner = world.spawn(owner_log), other = world.spawn(other_log);
  connected_pair pair, bystander;
  const auto conn = world.adopt(pair, owner);
  world.adopt(bystander, other);
  const auto asker = world.owned(spawn_on<thorny>(world.loop(), conn));
  caf::anon_send(asker, 1);
  owner_log->expect(with_cause("closed error", errc::other));
  CHECK(pair.far.await_end() == ending::reset);
  bystander.far.send_all("still here");
  other_log->expect("received still here");
  CHECK(owner_log->lines().size() == 1);
  CHECK(log.lines.text().find("thorn") != std::string::npos);
}

TEST_CASE("what a handler orders in its constructor is done, in order", "[lifetime]") {
  class eager final : public handler {
   public:
    eager(caf::actor_config& cfg, connection c) : handler(cfg) {
      c.write("hello, ");
      c.write("world");
      c.close();
      c.write("too late");
    }
    caf::behavior make_behavior() override {
      return {[](int) {}};
    }
  };
  actor_world world;
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  const auto over = each_carrier();
  world.in(boss, [&](probe& self) { self.listen(fresh_address(over)).each<eager>(); });
  log->expect("listening");
  peer one{world.address_of(boss)};
  CHECK(one.read_to_end() == "hello, world");
}

TEST_CASE("many threads write to one connection, each in its own order", "[lifetime]") {
  constexpr int thread_count = 4, writes = 2'000;
  actor_world world{2};
  const auto owner = world.spawn(make_journal());
  connected_pair pair{each_carrier()};
  connection_options options;
  options.write_high_bytes = 64'000'000;
  const auto c = world.adopt(pair, owner, options);
  std::string all;
  std::vector<std::thread> threads;
  for (int t = 0; t < thread_count; ++t)
    threads.emplace_back([&c, t] {
      for (int i = 0; i < writes; ++i)
        c.write(std::string(1, static_cast<char>('a' + t)) + std::to_string(1'000'000 + i));
    });
  all = pair.far.read_exactly(thread_count * writes * 8);
  for (auto& each : threads)
    each.join();
  std::vector<int> next(thread_count, 0);
  bool in_order = true;
  for (std::size_t at = 0; at < all.size(); at += 8) {
    auto& expected = next[static_cast<std::size_t>(all[at] - 'a')];
    in_order = in_order && std::stoi(all.substr(at + 1, 7)) == 1'000'000 + expected++;
  }
  CHECK(in_order);
  CHECK(next == std::vector<int>(thread_count, writes));
}
