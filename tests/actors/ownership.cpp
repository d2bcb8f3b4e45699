// Who gets what: events for an owner that comes too late, outcomes for a handler that is still being made, and the end
// of owners that keep handles, leave children behind or fail while they end.
#include "support/invariants.hpp"

#include <caf/scoped_actor.hpp>

#include <algorithm>
#include <atomic>
#include <stdexcept>

using namespace actnet;
using namespace actnet::test;

namespace {

net::endpoint at(const datagram_peer& peer) {
  return *net::endpoint::parse(peer.address());
}

carrier carrier_of(const net::endpoint& where) {
  return where.is_ip() ? carrier::tcp : carrier::local;
}

/// Until so many actors are left.
void await_actors(actor_world& world, std::size_t count) {
  const auto reached = eventually([&] { return world.live_actors() == count; });
  INFO("live actors: " << world.live_actors());
  REQUIRE(reached);
}

using counter = std::shared_ptr<std::atomic<int>>;

/// Keeps the handle of a socket that it owns.
class keeper final : public handler {
 public:
  using opening = std::function<handle(handler&, const net::endpoint&)>; ///< May connect to that endpoint.

  keeper(caf::actor_config& cfg, opening open, net::endpoint to, journal_ptr log, counter destroyed)
      : handler(cfg),
        open_(std::move(open)),
        to_(std::move(to)),
        log_(std::move(log)),
        destroyed_(std::move(destroyed)) {}
  ~keeper() override { ++*destroyed_; }

  caf::behavior make_behavior() override {
    kept_ = open_(*this, to_);
    return {
        [this](const listening&) { log_->add("open"); },
        [this](const connected&) { log_->add("open"); },
        [this](const bound&) { log_->add("open"); },
    };
  }

 private:
  opening open_;
  net::endpoint to_;
  journal_ptr log_;
  counter destroyed_;
  handle kept_;
};

/// Answers a number with the next one.
class child final : public handler {
 public:
  child(caf::actor_config& cfg, journal_ptr log) : handler(cfg), log_(std::move(log)) {}
  caf::behavior make_behavior() override {
    return {[](int n) { return n + 1; }};
  }
  void on_exit() override { log_->add("child ended"); }

 private:
  journal_ptr log_;
};

/// The last thing it does is to spawn a child on its own loop.
class dying_parent final : public handler {
 public:
  dying_parent(caf::actor_config& cfg, journal_ptr log, std::promise<caf::actor>& born)
      : handler(cfg), log_(std::move(log)), born_(born) {}
  caf::behavior make_behavior() override {
    return {[this](int) {
      auto made = spawn_on<child>(*home(), log_);
      quit();
      born_.set_value(std::move(made));
    }};
  }

 private:
  journal_ptr log_;
  std::promise<caf::actor>& born_;
};

/// Gives commands before it is fully made.
class eager final : public probe {
 public:
  eager(caf::actor_config& cfg, connection c, journal_ptr log) : probe(cfg, std::move(c), std::move(log)) {
    peer.write("hello", 8);
  }
  eager(caf::actor_config& cfg, datagram_socket s, journal_ptr log, net::endpoint to)
      : probe(cfg, std::move(s), std::move(log)) {
    socket.send_to(to, "hello", 7);
  }
};

/// Ends at the first bytes, and fails at that.
class failing_at_exit final : public handler {
 public:
  failing_at_exit(caf::actor_config& cfg, connection) : handler(cfg) {}
  caf::behavior make_behavior() override {
    return {[this](const stream::received&) { quit(); }};
  }
  void on_exit() override { throw std::runtime_error{"as ordered"}; }
};

/// Owns one connection after the other, and outlives them.
class host final : public handler {
 public:
  host(caf::actor_config& cfg, counter closed) : handler(cfg), closed_(std::move(closed)) {}
  caf::behavior make_behavior() override {
    return {[this](const stream::closed&) { ++*closed_; }};
  }

 private:
  counter closed_;
};

/// Has one turn, in which it writes and ends; nobody holds it.
class passer_by final : public handler {
 public:
  passer_by(caf::actor_config& cfg, connection ended, connection alive, bool breaks_off)
      : handler(cfg), ended_(std::move(ended)), alive_(std::move(alive)), breaks_off_(breaks_off) {}

  caf::behavior make_behavior() override {
    ended_.write("to nobody", 1); // so the loop has somebody to let go of before it looks at the other connection
    alive_.write("last words");
    if (breaks_off_)
      alive_.abort();
    return {};
  }

 private:
  connection ended_;
  connection alive_;
  bool breaks_off_;
};

} // namespace

TEST_CASE("what a passer-by writes in its last turn is sent, and its failure is nobody's business", "[ownership]") {
  actor_world world;
  const auto log = make_journal(), other_log = make_journal();
  const auto owner = world.spawn(log), other_owner = world.spawn(other_log);
  const auto over = each_carrier();
  connected_pair first{over}, second{over};
  const auto ended = world.adopt(first, other_owner), alive = world.adopt(second, owner);
  world.in(other_owner, [&](probe&) { ended.abort(); });
  other_log->expect(with_cause("closed aborted", errc::aborted));
  const auto breaks_off = GENERATE(false, true);
  world.in(owner, [&](probe&) { spawn_on<passer_by>(world.loop(), ended, alive, breaks_off); });
  if (breaks_off)
    log->expect(with_cause("closed aborted", errc::aborted));
  else
    CHECK(second.far.read_exactly(10) == "last words");
  world.settle();
  CHECK(log->count_like("written") == 0);
}

TEST_CASE("who is to own a connection that has ended is told of its end, once", "[ownership]") {
  actor_world world;
  const auto log = make_journal(), late_log = make_journal();
  const auto owner = world.spawn(log), late = world.spawn(late_log);
  connected_pair pair{each_carrier()};
  const auto conn = world.adopt(pair, owner);
  world.in(owner, [&](probe&) { conn.abort(); });
  const auto end = with_cause("closed aborted", errc::aborted);
  log->expect(end);
  await_actors(world, 4); // two probes, in two counts
  world.in(owner, [&](probe&) { conn.set_owner(late); });
  late_log->expect(end);
  world.in(owner, [&](probe&) { conn.set_owner(late); }); // it is already
  world.settle();
  CHECK(late_log->lines() == std::vector{end});
  CHECK(log->lines() == std::vector{end});
}

TEST_CASE("an owner that claims its connection again after the end is not told of it twice", "[ownership]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  connected_pair pair{each_carrier()};
  const auto conn = world.adopt(pair, owner);
  world.in(owner, [&](probe&) { conn.abort(); });
  log->expect_like("closed");
  CHECK(code_of(world.ask<caf::ok_atom>(owner, conn, stream::set_owner{caf::actor_cast<caf::strong_actor_ptr>(owner)})
                    .second) == errc::closed);
  world.settle();
  CHECK(log->count_like("closed") == 1);
}

TEST_CASE("who is to own a datagram socket that has ended is told of its end, once", "[ownership]") {
  actor_world world;
  const auto log = make_journal(), late_log = make_journal();
  const auto owner = world.spawn(log), late = world.spawn(late_log);
  const auto over = each_datagram_carrier();
  datagram_socket it;
  world.in(owner, [&](probe& self) { it = self.bind(fresh_address(over)).start(); });
  log->expect("bound");
  world.in(owner, [&](probe& self) {
    self.socket = {};
    it.close();
  });
  log->expect("datagram closed requested");
  await_actors(world, 4);
  world.in(owner, [&](probe&) { it.set_owner(late); });
  late_log->expect("datagram closed requested");
  world.in(owner, [&](probe&) { it.set_owner(late); }); // it is already
  world.settle();
  CHECK(late_log->lines() == std::vector<std::string>{"datagram closed requested"});
  CHECK(log->count_like("datagram closed") == 1);
}

TEST_CASE("an owner that keeps the handle of its socket is destroyed when it has ended", "[ownership]") {
  const auto over = each_carrier();
  const said_carrier said{over};
  listening_peer server{over};
  const auto where = *net::endpoint::parse(server.address());
  const auto [what, open] = GENERATE(table<std::string, keeper::opening>({
      {"listener",
       [](handler& self, const net::endpoint& to) { return self.listen(fresh_address(carrier_of(to))).start(); }},
      {"listener on every loop",
       [](handler& self, const net::endpoint&) {
         listen_options options;
         options.shard = shard::reuse_port;
         return self.listen("127.0.0.1:0", options).start();
       }},
      {"client of one connection", [](handler& self, const net::endpoint& to) { return self.connect_to(to).start(); }},
      {"client",
       [](handler& self, const net::endpoint& to) {
         auto dialler = make_client(self.system(), caf::actor_cast<caf::actor>(&self));
         dialler.connect(to);
         return dialler;
       }},
      {"datagram socket",
       [](handler& self, const net::endpoint& to) {
         return self.bind(fresh_address(for_datagrams(carrier_of(to)))).start();
       }},
  }));
  INFO(what);
  actor_world world{2};
  const auto log = make_journal();
  const auto destroyed = std::make_shared<std::atomic<int>>(0);
  auto who = spawn_on<keeper>(world.loop(), open, where, log, destroyed);
  log->expect("open");
  CHECK(*destroyed == 0);
  world.kill(who);
  who = nullptr;
  await_actors(world, 0);
  CHECK(eventually([&] { return *destroyed == 1; }));
}

TEST_CASE("a child that a handler with a loop of its own leaves there lives on", "[ownership]") {
  actor_world world;
  const auto log = make_journal();
  std::promise<caf::actor> born;
  caf::anon_send(spawn_at<dying_parent>(placement::own_loop, world.loop(), log, std::ref(born)), 1);
  auto made = born.get_future();
  REQUIRE(made.wait_for(default_deadline) == std::future_status::ready);
  const auto left = made.get();
  await_actors(world, 1); // the parent is gone
  {
    caf::scoped_actor self{world.system()};
    std::optional<int> answer;
    self->request(left, default_deadline, 41)
        .receive([&](int n) { answer = n; }, [](const caf::error& why) { FAIL_CHECK(to_text(why)); });
    CHECK(answer == 42);
  }
  world.kill(left);
  log->expect("child ended");
}

TEST_CASE("the outcome of what a connection handler writes in its constructor is its own", "[ownership]") {
  const auto where = GENERATE(placement::loop, placement::scheduler, placement::own_loop);
  actor_world world;
  const auto log = make_journal(), opener_log = make_journal();
  const auto opener = world.spawn(opener_log);
  listen_options options;
  options.handlers = where;
  const auto over = each_carrier();
  world.in(opener, [&](probe& self) { self.listen(fresh_address(over), options).each<eager>(log); });
  opener_log->expect("listening");
  peer one{world.address_of(opener)};
  CHECK(one.read_exactly(5) == "hello");
  log->expect("written 8 5");
  CHECK(opener_log->count_like("written") == 0);
}

TEST_CASE("the outcome of what a datagram handler sends in its constructor is its own", "[ownership]") {
  const auto where = GENERATE(placement::loop, placement::scheduler, placement::own_loop);
  actor_world world;
  const auto log = make_journal(), opener_log = make_journal();
  const auto opener = world.spawn(opener_log);
  const auto over = each_datagram_carrier();
  datagram_peer far{over};
  bind_options options;
  options.handlers = where;
  datagram_socket it;
  world.in(opener, [&](probe& self) { it = self.bind(fresh_address(over), options).with<eager>(log, at(far)); });
  CHECK(far.receive().payload == "hello");
  log->expect("sent 7");
  CHECK(opener_log->count_like("sent") == 0);
  it.close();
  log->expect("datagram closed requested");
}

TEST_CASE("a handler that throws while it ends costs its connection, not the process", "[ownership]") {
  const auto where = GENERATE(placement::loop, placement::scheduler, placement::own_loop);
  captured_log quiet;
  actor_world world;
  const auto log = make_journal();
  const auto opener = world.spawn(log);
  listen_options options;
  options.handlers = where;
  const auto over = each_carrier();
  world.in(opener, [&](probe& self) { self.listen(fresh_address(over), options).each<failing_at_exit>(); });
  log->expect("listening");
  const auto there = world.address_of(opener);
  for (int i = 0; i < 2; ++i) { // the second is served as the first
    peer one{there};
    one.send_all("end");
    CHECK(one.await_end() == ending_of_abort(over));
  }
  const auto lines_that_say_so = [&] {
    const auto lines = quiet.lines.lines();
    return std::count_if(lines.begin(), lines.end(),
                         [](const std::string& line) { return line.find("as ordered") != std::string::npos; });
  };
  const auto said = eventually([&] { return lines_that_say_so() > 0; });
  INFO("the log:" << quiet.lines.text());
  CHECK(said);
  CHECK(world.of(opener, [](probe&) { return true; }));
}

TEST_CASE("times longer than the clock can count do not close a connection at once", "[ownership]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  connected_pair pair{each_carrier()};
  const auto conn = world.adopt(pair, owner);
  world.in(owner, [&](probe&) {
    conn.set_deadline(std::chrono::nanoseconds::max());
    conn.set_idle_timeout(std::chrono::milliseconds::max());
  });
  world.settle();
  CHECK(world.info(conn).state == connection_state::open);
  pair.far.send_all("still here");
  log->expect("received still here");
  CHECK(log->count_like("closed") == 0);
}

TEST_CASE("commands to a datagram socket are carried out in the order of a turn", "[ownership]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  const auto over = each_datagram_carrier();
  datagram_socket it;
  world.in(owner, [&](probe& self) { it = self.bind(fresh_address(over)).start(); });
  log->expect("bound");
  datagram_peer a{over}, b{over}, c{over};
  world.in(owner, [&](probe&) {
    it.send_to(at(a), "to a", 1);
    it.connect(at(b));
    it.send("to b", 2);
    it.connect(at(c));
    it.send("to c", 3);
  });
  for (const auto* line : {"sent 1", "sent 2", "sent 3"})
    log->expect(line);
  CHECK(a.receive().payload == "to a");
  CHECK(b.receive().payload == "to b");
  CHECK(c.receive().payload == "to c");
}

TEST_CASE("the outcome of a write goes to who wrote it, whoever owns the connection by then", "[ownership]") {
  const auto is_read = GENERATE(true, false);
  constexpr std::size_t size = 8'000'000;
  actor_world world;
  std::vector<journal_ptr> logs;
  std::vector<caf::actor> owners;
  for (int i = 0; i < 3; ++i) {
    logs.push_back(make_journal());
    owners.push_back(world.spawn(logs.back()));
  }
  connected_pair pair{{.receive_buffer_bytes = 4'096}, each_carrier()};
  connection_options options;
  options.write_high_bytes = 64'000'000;
  const auto conn = world.adopt(pair, owners[0], options);
  for (std::uint64_t i = 0; i < 3; ++i)
    world.in(owners[i], [&](probe&) {
      conn.write(std::string(size, 'x'), i + 1);
      if (i < 2)
        conn.set_owner(owners[i + 1]);
    });
  if (is_read)
    pair.far.read_exactly(3 * size);
  else
    pair.far.reset();
  for (std::uint64_t i = 0; i < 3; ++i)
    logs[i]->expect_like("written " + std::to_string(i + 1) + (is_read ? " 8000000" : ""));
  world.settle();
  for (const auto& log : logs)
    CHECK(log->count_like("written") == 1);
}

TEST_CASE("the end of a former owner that is still on its way harms nobody", "[ownership]") {
  actor_world world{2};
  const auto log = make_journal();
  const auto former = world.spawn(make_journal(), {}, 1), heir = world.spawn(log), blocker = world.spawn(log);
  connected_pair pair{each_carrier()};
  const auto conn = world.adopt(pair, blocker); // the first connection lives on the first loop, as the blocker
  CHECK(world.ask<caf::ok_atom>(conn, stream::set_owner{caf::actor_cast<caf::strong_actor_ptr>(former)}).first);
  std::promise<void> stands, goes_on;
  auto go = goes_on.get_future();
  caf::anon_send(blocker, perform{[&](probe&) {
                   stands.set_value();
                   go.wait();
                 }});
  stands.get_future().wait();
  conn.set_owner(heir);
  world.kill(former);
  REQUIRE(eventually([&] { return world.loop(1).live_actors() == 0; }));
  goes_on.set_value();
  CHECK(world.info(conn).state == connection_state::open); // and the heir is its owner by now
  pair.far.send_all("for the heir");
  log->expect("received for the heir");
  CHECK(world.info(conn).state == connection_state::open);
}

TEST_CASE("an actor keeps nothing of the connections that it has owned", "[ownership]") {
  actor_world world;
  const auto closed = std::make_shared<std::atomic<int>>(0);
  const auto first = world.owned(spawn_on<host>(world.loop(), closed));
  const auto second = world.owned(spawn_on<host>(world.loop(), closed));
  const auto asker = world.spawn(make_journal());
  world.settle();
  const auto actors = world.live_actors();
  int count = 0;
  const auto growth = heap_growth(10, [&] {
    for (int i = 0; i < 20; ++i) {
      connected_pair pair;
      const auto conn = world.adopt(pair, first);
      CHECK(world.ask<caf::ok_atom>(asker, conn, stream::set_owner{caf::actor_cast<caf::strong_actor_ptr>(second)})
                .first);
      pair.far.close();
      REQUIRE(eventually([&, now = ++count] { return *closed == now && world.live_actors() == actors; }));
    }
    world.settle();
  });
  CHECK(growth <= 16 * 1'024);
}

TEST_CASE("a write that is the last to know a connection that has ended is answered", "[ownership]") {
  actor_world world{2};
  const auto log = make_journal(), blocker_log = make_journal();
  const auto blocker = world.spawn(blocker_log), writer = world.spawn(log, {}, 1);
  for (int i = 0; i < 20; ++i) {
    connected_pair pair{each_carrier()};
    {
      const auto conn = world.adopt(pair, blocker);
      (void)loops::of(world.system()).next(); // so that the next one lives on the first loop too
      world.in(writer, [&](probe& self) {
        self.peer = conn;
        self.peer.abort();
      });
    }
    blocker_log->expect_like("closed aborted", static_cast<std::size_t>(i) + 1);
    std::promise<void> stands, goes_on;
    auto go = goes_on.get_future();
    caf::anon_send(blocker, perform{[&](probe&) {
                     stands.set_value();
                     go.wait();
                   }});
    stands.get_future().wait();
    world.in(writer, [&](probe& self) {
      self.peer.write("late", 7);
      self.peer = {};
    });
    goes_on.set_value();
    log->expect(with_cause("written 7 0", errc::closed), static_cast<std::size_t>(i) + 1);
  }
}
