// The loops as a module of an actor system, and what many idle connections cost.
#include "support/faulty_threads.hpp"
#include "support/invariants.hpp"

#include <sys/resource.h>

#include <iostream>

using namespace actnet;
using namespace actnet::test;

namespace {

bool can_open(rlim_t descriptors) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur >= descriptors;
}

/// A handler without anything of its own.
class plain final : public handler {
 public:
  plain(caf::actor_config& cfg, connection c) : handler(cfg), peer_(std::move(c)) {}
  caf::behavior make_behavior() override {
    return {[this](const stream::received& r) { peer_.write(r.payload); }};
  }

 private:
  connection peer_;
};

/// Many peers that say "x" and hear it back, so that their connections and handlers are up.
std::vector<peer> crowd(std::uint16_t port, int count) {
  std::vector<peer> peers;
  for (int i = 0; i < count; ++i) {
    peers.emplace_back(port);
    peers.back().send_all("x");
  }
  for (auto& each : peers)
    each.read_exactly(1);
  return peers;
}

} // namespace

TEST_CASE("any actor system can load the loops, and says how many it wants", "[loops]") {
  const baseline before;
  caf::actor_system_config cfg;
  cfg.load<actnet::loops>();
  const std::size_t wanted = GENERATE(0u, 1u, 3u);
  if (wanted > 0)
    caf::put(cfg.content, "actnet.loops", static_cast<std::int64_t>(wanted));
  caf::actor_system system{cfg};
  auto& all = loops::of(system);
  if (wanted > 0)
    CHECK(all.size() == wanted);
  else
    CHECK(all.size() >= 1);
  CHECK(std::string{all.backend_name()} == "epoll");
  const auto log = make_journal();
  connected_pair pair;
  const auto owner = spawn_on<probe>(all.at(0), log, hook{});
  REQUIRE(adopt_connection(system, pair.near.release(), owner));
  pair.far.send_all("hello");
  log->expect("received hello");
  caf::anon_send_exit(owner, caf::exit_reason::kill);
  CHECK(pair.far.await_end() == ending::reset);
}

TEST_CASE("a loop of its own ends with the last actor on it", "[loops]") {
  actor_world world;
  auto& own = loops::of(world.system()).make_own_loop();
  const auto log = make_journal();
  const auto who = spawn_on<probe>(own, log, hook{});
  std::promise<std::thread::id> ran_in;
  caf::anon_send(who, perform{[&](probe&) { ran_in.set_value(std::this_thread::get_id()); }});
  CHECK(ran_in.get_future().get() != std::this_thread::get_id());
  CHECK_FALSE(own.has_ended());
  world.kill(who);
  CHECK(eventually([&] { return own.has_ended(); }));
}

namespace {

/// An actor on a loop of its own.
caf::actor recluse(actor_world& world, const journal_ptr& log) {
  return world.owned(spawn_on<probe>(loops::of(world.system()).make_own_loop(), log, hook{}));
}

/// Joins the threads of own loops that have ended.
void reap(actor_world& world) {
  auto& next = loops::of(world.system()).make_own_loop();
  next.end_if_empty();
  REQUIRE(eventually([&] { return next.has_ended(); }));
}

} // namespace

TEST_CASE("handles to what lived on a loop of its own are good after the loop has ended", "[loops]") {
  actor_world world;
  const auto log = make_journal(), own_log = make_journal();
  const auto user = world.spawn(log);
  listening_peer server;
  connection conn;
  datagram_socket datagrams;
  const auto hermit = recluse(world, own_log);
  world.in(hermit, [&](probe& self) {
    auto options = self.settings().client;
    options.same_loop = true;
    self.connect_to(server.address(), options).start();
    auto bound_options = self.settings().datagram;
    bound_options.same_loop = true;
    datagrams = self.bind("127.0.0.1:0", bound_options).start();
  });
  own_log->expect("connected");
  own_log->expect("bound");
  conn = world.of(hermit, [](probe& self) { return self.peer; });
  world.kill(hermit);
  auto far = server.accept();
  far.await_end();
  REQUIRE(eventually([&] { return world.live_actors() == 2; })); // one probe, in two counts
  reap(world);
  reap(world);
  const auto there = *net::endpoint::parse("udp://127.0.0.1:1");
  world.in(user, [&](probe&) {
    conn.write("hello?", 1);
    conn.flush(2);
    datagrams.send_to(there, "hello?", 3);
    caf::anon_send(hermit, perform{});
  });
  log->expect(with_cause("written 1 0", errc::shutting_down));
  log->expect(with_cause("written 2 0", errc::shutting_down));
  log->expect(with_cause("sent 3", errc::shutting_down));
  CHECK(world.ask<stream::info>(conn, stream::get_info{}).second);
}

TEST_CASE("a drain ends at its deadline the connections that live on a loop of its own too", "[loops]") {
  net::manual_clock time;
  actor_world world{1, &time};
  const auto log = make_journal(), connections = make_journal();
  const auto hermit = recluse(world, log);
  listening_peer elsewhere;
  listener server;
  client dialler;
  world.in(hermit, [&](probe& self) {
    auto options = self.settings().listener;
    options.same_loop = true;
    server = self.listen("127.0.0.1:0", options).each<probe>(connections, hook{});
    auto client_options = self.settings().client;
    client_options.same_loop = true;
    dialler = self.connect_to(elsewhere.address(), client_options).with<probe>(connections, hook{});
  });
  log->expect("listening");
  log->expect("connected");
  auto accepted = elsewhere.accept();
  peer dialled{world.port_of(hermit)};
  dialled.send_all("here");
  connections->expect("received here");
  const auto info = world.ask<listener_info>(server, get_listener_info{}).first;
  CHECK(info->connections == 1);
  CHECK(info->bytes_received == 4);
  const auto drained = make_journal();
  world.in(world.spawn(make_journal()), [&](probe& self) {
    for (const auto& each : {handle{server}, handle{dialler}})
      each.request(&self, drain{1s})
          .then([drained](caf::ok_atom) { drained->add("drained"); },
                [drained](const caf::error&) { drained->add("failed"); });
  });
  world.settle();
  CHECK(drained->lines().empty());
  REQUIRE(eventually([&] {
    time.advance(1s);
    return drained->lines().size() == 2;
  }));
  CHECK(drained->count("drained") == 2);
  CHECK(connections->count(with_cause("closed aborted", errc::aborted)) == 2);
  CHECK(accepted.await_end() == ending::reset);
  CHECK(dialled.await_end() == ending::reset);
}

TEST_CASE("where no thread is to be had, a loop of its own is refused and nothing of it stays", "[loops]") {
  actor_world world;
  auto& all = loops::of(world.system());
  const baseline before;
  const few_threads none{0};
  for (int i = 0; i < 3; ++i)
    CHECK_THROWS_WITH(all.make_own_loop(), "actnet: no loop of its own: no more threads can be had");
}

TEST_CASE("a connection whose handler should have a thread of its own ends at once if there is none", "[loops]") {
  captured_log said;
  actor_world world;
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  listen_options options;
  options.handlers = placement::own_loop;
  world.in(boss, [&](probe& self) { self.listen("127.0.0.1:0", options).each<plain>(); });
  log->expect("listening");
  baseline before;
  {
    const few_threads none{0};
    peer refused{world.port_of(boss)};
    (void)refused.await_end();
    world.settle(); // the loop is not on its way through what gives out threads any more
  }
  before.check();
  said.lines.expect("actor: a connection handler could not be made: actnet: no loop of its own: no more threads can be "
                    "had");
  peer served{world.port_of(boss)};
  served.send_all("x");
  CHECK(served.read_exactly(1) == "x");
  served.close();
}

TEST_CASE("what is opened without an owner and cannot be is in the log", "[loops]") {
  captured_log said;
  actor_world world;
  peer_options squat;
  listening_peer squatter{squat};
  const auto taken = "127.0.0.1:" + std::to_string(squatter.port());
  actnet::listen(world.system(), taken).start();
  said.lines.expect("open: cannot listen on " + taken + ": address already in use");
  actnet::listen(world.system(), "nonsense").start();
  said.lines.expect_like("open: endpoint \"nonsense\": ");
  actnet::bind(world.system(), "203.0.113.1:9").start();
  said.lines.expect_like("open: cannot bind udp://203.0.113.1:9: ");
  actnet::connect_to(world.system(), "unix:@nobody is here").start();
  said.lines.expect_like("open: cannot connect to unix:@nobody is here: connection refused");
}

TEST_CASE("what begins on a loop that is stopping ends at once", "[loops]") {
  class late final : public handler {
   public:
    late(caf::actor_config& cfg, journal_ptr to) : handler(cfg), log_(std::move(to)) {}
    caf::behavior make_behavior() override {
      return {[](int) {}};
    }
    void on_exit() override { log_->add("late ends"); }

   private:
    journal_ptr log_;
  };
  class heir_maker final : public handler {
   public:
    heir_maker(caf::actor_config& cfg, journal_ptr to) : handler(cfg), log_(std::move(to)) {}
    caf::behavior make_behavior() override {
      return {[](int) {}};
    }
    void on_exit() override {
      spawn_on<late>(*home(), log_);
      (void)actnet::listen(system(), "127.0.0.1:0").start();
      log_->add("made");
    }

   private:
    journal_ptr log_;
  };
  captured_log quiet; // nothing may have to be left behind
  actor_world world;
  const auto log = make_journal();
  spawn_on<heir_maker>(world.loop(), log);
  world.settle();
  world.shut_down();
  CHECK(log->count("made") == 1);
  CHECK(log->count("late ends") == 1);
  CHECK(quiet.lines.count_like("shutdown") == 0);
}

TEST_CASE("what is opened when the loops have ended fails, and says so", "[loops]") {
  captured_log quiet;
  const auto log = make_journal();
  const auto owner_class = [log](caf::event_based_actor*) -> caf::behavior {
    return {[log](const listen_failed& f) { log->add(with_cause("listen_failed", f.cause)); },
            [log](const connect_failed& f) { log->add(with_cause("connect_failed", f.cause)); },
            [log](const bind_failed& f) { log->add(with_cause("bind_failed", f.cause)); },
            [log](const stream::closed& c) { log->add(with_cause("closed", c.cause)); }};
  };
  config cfg;
  cfg.settings.loops.count = 1;
  caf::actor_system system{cfg};
  const auto owner = spawn_function(system, owner_class);
  loops::of(system).at(0).stop();
  listen(system, "127.0.0.1:0").owned_by(owner).start();
  log->expect(with_cause("listen_failed", errc::shutting_down));
  connect_to(system, "127.0.0.1:1").owned_by(owner).start();
  log->expect(with_cause("connect_failed", errc::shutting_down));
  bind(system, "127.0.0.1:0").owned_by(owner).start();
  log->expect(with_cause("bind_failed", errc::shutting_down));
  connected_pair pair;
  REQUIRE(adopt_connection(system, pair.near.release(), owner));
  log->expect(with_cause("closed", errc::shutting_down));
  CHECK(pair.far.await_end() == ending::finished);
  caf::anon_send_exit(owner, caf::exit_reason::kill);
}

TEST_CASE("what is ordered when the loops have ended fails, each order with its outcome", "[loops]") {
  captured_log quiet;
  const auto log = make_journal();
  config cfg;
  cfg.settings.loops.count = 1;
  caf::actor_system system{cfg};
  const auto user = system.spawn<probe>(log, hook{}); // on the scheduler
  connected_pair pair;
  const auto conn = *adopt_connection(system, pair.near.release(), user);
  const auto datagrams = bind(system, "127.0.0.1:0").owned_by(user).start();
  log->expect("bound");
  const auto dialler = make_client(system, user);
  loops::of(system).at(0).stop();
  log->expect_like("closed");
  log->expect_like("datagram closed");
  const auto there = *net::endpoint::parse("127.0.0.1:1"), udp_there = *net::endpoint::parse("udp://127.0.0.1:1");
  caf::anon_send(user, perform{[=](probe&) {
                   conn.write("too late", 1);
                   conn.flush(2);
                   conn.write_file("/dev/null", 0, 0, 3);
                   conn.finish();
                   datagrams.send_to(udp_there, "too late", 4);
                   datagrams.send_file(udp_there, "/dev/null", 0, 0, 5);
                   dialler.connect(there);
                 }});
  for (const auto* what :
       {"written 1 0", "written 2 0", "written 3 0", "finished", "sent 4", "sent 5", "connect_failed"})
    log->expect(with_cause(what, errc::shutting_down));
  caf::anon_send(user, perform{[=](probe&) { conn.close(); }}); // has none
  caf::anon_send_exit(user, caf::exit_reason::kill);
}

TEST_CASE("a thousand idle connections use no time and wake nobody", "[loops]") {
  REQUIRE(can_open(2'200));
  actor_world world{2};
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  world.in(boss, [&](probe& self) { self.listen("127.0.0.1:0").each<plain>(); });
  log->expect("listening");
  auto peers = crowd(world.port_of(boss), 1'000);
  CHECK(disturbances(world) == none);
}

TEST_CASE("an idle connection with its handler takes little memory", "[loops]") {
  constexpr int count = 5'000;
  if (!can_open(2 * count + 200)) {
    WARN("too few descriptors for this test");
    return;
  }
  actor_world world;
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  world.in(boss, [&](probe& self) { self.listen("127.0.0.1:0").each<plain>(); });
  log->expect("listening");
  auto peers = crowd(world.port_of(boss), 100); // the pools and tables are there
  std::vector<peer> more;
  more.reserve(count);
  const auto before = heap_in_use_bytes();
  more = crowd(world.port_of(boss), count);
  world.settle();
  const auto each = (heap_in_use_bytes() - before) / count;
  std::cout << "memory per idle connection with its handler: " << each << " bytes\n";
  CHECK(each <= 3 * 1'024);
}
