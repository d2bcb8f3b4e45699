// The limits of listeners: how many at once and from one address, how fast, changed while running; the alarm, what a
// listener tells of itself, and that a supervised one keeps all that when it is started again.
#include "support/actor_world.hpp"
#include "support/quiet.hpp"

#include "actnet/actors/accept_rate.hpp"
#include "actnet/actors/connection_opener.hpp"
#include "actnet/actors/listener_book.hpp"
#include "actnet/actors/main_actor.hpp"
#include "actnet/actors/run.hpp"
#include "actnet/actors/supervision/supervisor.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <thread>

using namespace actnet;
using namespace actnet::test;

namespace {

/// Also writes down the alarms.
class watchful final : public probe {
 public:
  using probe::probe;
  caf::behavior make_behavior() override {
    caf::message_handler alarms{[this](const connections_alarm& a) {
      note("alarm " + std::to_string(a.connections) + (a.local == local ? "" : " of another") +
           (current_sender() == its_listener.pointer() ? "" : " by another"));
    }};
    return alarms.or_else(caf::message_handler{everything().as_behavior_impl()});
  }

  listener its_listener;
};

/// Connections live on for as long as the test stands still, and everything is limited by hand.
listen_options options_of(shard how) {
  listen_options options;
  options.shard = how;
  options.connection.idle_timeout = 0s;
  return options;
}

shard each_shard() {
  return GENERATE(shard::round_robin, shard::reuse_port);
}

/// Two loops, and a boss who listens, over each carrier in turn.
struct server {
  explicit server(const listen_options& options, net::clock* time = nullptr, hook then = {})
      : server(each_carrier(), options, time, std::move(then)) {}
  server(carrier c, const listen_options& options, net::clock* time = nullptr, hook then = {})
      : over(c), world(2, time), boss(world.owned(spawn_on<watchful>(world.loop(), log))) {
    world.in(boss, [&](probe& self) {
      it = self.listen(fresh_address(over), options).each<probe>(handled, then);
      static_cast<watchful&>(self).its_listener = it;
    });
    log->expect("listening");
    address = world.address_of(boss);
  }

  /// Each says something, which is written down when it is accepted.
  void greet(int count) {
    for (int i = 0; i < count; ++i) {
      peers.emplace_back(address);
      peers.back().send_all("x");
    }
  }

  /// The oldest ones, and waits until that has been noticed.
  void leave(std::size_t count) {
    peers.erase(peers.begin(), peers.begin() + static_cast<std::ptrdiff_t>(count));
    gone += count;
    handled->expect("closed peer_finished", gone);
    REQUIRE(eventually([&] { return info().connections == handled->count("received x") - gone; }));
  }

  /// So many are in, and nobody else comes.
  bool inside(std::size_t count) {
    handled->expect("received x", count);
    world.settle();
    return handled->count("received x") == count;
  }

  void set(const set_limits& limits) { REQUIRE(world.ask<caf::ok_atom>(it, limits).first); }

  listener_info info() {
    const auto answer = world.ask<listener_info>(it, get_listener_info{});
    REQUIRE(answer.first);
    return *answer.first;
  }

  const carrier over;
  said_carrier said{over};
  actor_world world;
  journal_ptr log = make_journal();     // of the boss
  journal_ptr handled = make_journal(); // of the handlers
  caf::actor boss;
  listener it;
  std::string address;
  std::vector<peer> peers;
  std::size_t gone = 0;
};

const hook answers = [](probe& self, const std::string& line) {
  if (line.starts_with("received"))
    self.peer.write("answer");
};

/// From one of the addresses of the loopback network. Nobody, if the listener reset it before it was seen here.
descriptor connected_from(const char* source, std::uint16_t port) {
  descriptor made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in from{}, to{};
  from.sin_family = to.sin_family = AF_INET;
  ::inet_pton(AF_INET, source, &from.sin_addr);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  if (::bind(made.fd(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0)
    throw std::runtime_error{"bind"};
  if (::connect(made.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    if (errno != ECONNRESET && errno != ECONNABORTED)
      throw std::runtime_error{"connect"};
    made.reset();
  }
  return made;
}

/// Connects and says something. Kept in `held` if it is answered; otherwise it must have been reset.
bool is_served(std::vector<peer>& held, const char* source, std::uint16_t port, std::string_view greeting = "x") {
  auto socket = connected_from(source, port);
  if (!socket)
    return false;
  peer who{std::move(socket)};
  try {
    who.send_all(greeting);
    if (who.read_exactly(6) == "answer") {
      held.push_back(std::move(who));
      return true;
    }
  } catch (const std::runtime_error& e) {
    const std::string_view what = e.what();
    if (what.find("reset") == what.npos && what.find("Broken pipe") == what.npos)
      throw;
  }
  return false;
}

} // namespace

// -- the rate ----------------------------------------------------------------------------------------

TEST_CASE("the bucket of an accept rate holds a second's worth, and fills up evenly", "[listener_limits]") {
  auto now = net::manual_clock::start;
  const auto takes = [&now](accept_rate& rate) {
    int count = 0;
    for (; count < 1000 && rate.next() <= now; ++count)
      rate.take(now);
    return count;
  };
  accept_rate rate{4};
  CHECK(takes(rate) == 4);
  CHECK(rate.next() == now + 250ms);
  now += 250ms;
  CHECK(takes(rate) == 1);
  now += 749ms;
  CHECK(takes(rate) == 2);
  now += 1h;
  CHECK(takes(rate) == 4);
  rate.take(now); // by another shard at the same moment
  CHECK(rate.next() == now + 500ms);
  rate.set(0);
  CHECK(takes(rate) == 1000);
  rate.set(1);
  now += 1h;
  CHECK(takes(rate) == 1);
  rate.set(4'000'000'000);
  CHECK(takes(rate) == 0); // what was taken is missing
  now += 1s;
  CHECK(takes(rate) == 1000);
}

TEST_CASE("an accept rate lets in a second's worth, then one by one, and nothing stirs in between",
          "[listener_limits]") {
  net::manual_clock time;
  auto options = options_of(each_shard());
  options.accept_rate = 4;
  server s{options, &time};
  const std::size_t more = s.over == carrier::tcp && options.shard == shard::reuse_port ? 1 : 0; // both at once
  const auto inside = [&s] { return s.handled->count("received x"); };
  const auto lets_in = [&](std::size_t least) {
    s.handled->expect("received x", least);
    s.world.settle();
    return inside() <= least + more;
  };
  s.greet(14);
  CHECK(lets_in(4));
  CHECK(is_quiet(300ms));
  CHECK(lets_in(4));
  time.advance(500ms);
  CHECK(lets_in(6));
  time.advance(500ms);
  CHECK(lets_in(8));
  const auto before = inside();
  time.advance(1min);
  CHECK(lets_in(before + 4));
  s.set({.accept_rate = 0}); // while time stands still
  CHECK(s.inside(14));
}

TEST_CASE("an accept rate is kept on the real clock too", "[listener_limits]") {
  auto options = options_of(each_shard());
  options.accept_rate = 40;
  server s{options};
  const auto began = std::chrono::steady_clock::now();
  s.greet(50);
  s.handled->expect("received x", 50);
  CHECK(std::chrono::steady_clock::now() - began >= 200ms); // 50 - 40 - 1 of them wait for 25 ms each
}

TEST_CASE("a listener that stops takes what waits at any rate", "[listener_limits]") {
  net::manual_clock time;
  auto options = options_of(each_shard());
  options.accept_rate = 1;
  server s{options, &time};
  s.greet(5);
  s.handled->expect("received x", 1);
  CHECK(s.world.ask<caf::ok_atom>(s.it, stop_listening{}).first);
  CHECK(s.inside(5));
}

TEST_CASE("pausing and resuming does not outwit the rate", "[listener_limits]") {
  net::manual_clock time;
  auto options = options_of(shard::round_robin);
  options.accept_rate = 2;
  server s{options, &time};
  s.greet(5);
  CHECK(s.inside(2));
  CHECK(s.world.ask<caf::ok_atom>(s.it, pause_accepting{}).first);
  time.advance(1s);
  CHECK(s.inside(2));
  CHECK(s.world.ask<caf::ok_atom>(s.it, resume_accepting{1}).first);
  CHECK(s.inside(3));
  CHECK(s.world.ask<caf::ok_atom>(s.it, resume_accepting{}).first);
  CHECK(s.inside(4));
}

// -- the limits --------------------------------------------------------------------------------------

TEST_CASE("no address ever has more connections than it may have, and each refusal is a reset", "[listener_limits]") {
  captured_log log;
  auto options = options_of(each_shard());
  options.max_per_address = 5;
  server s{carrier::tcp, options, nullptr, answers};
  const auto port = s.world.port_of(s.boss);
  constexpr int threads = 4, rounds = 10, at_once = 10;
  const std::string sources[]{"127.0.0.1", "127.0.0.2"};
  // Who is inside is known from the server's side: it has written down a greeting before it says it is closed.
  struct guest final : handler {
    guest(caf::actor_config& cfg, connection c, journal_ptr j)
        : handler(cfg), peer(std::move(c)), diary(std::move(j)) {}
    caf::behavior make_behavior() override {
      return {[this](const stream::received& r) {
                source = std::string{r.payload.view()};
                diary->add("in " + source);
                peer.write("answer");
              },
              [this](const stream::closed&) {
                if (!source.empty())
                  diary->add("out " + source);
                quit();
              }};
    }
    connection peer;
    journal_ptr diary;
    std::string source;
  };
  const auto diary = make_journal();
  listener guarded;
  s.world.in(s.boss, [&](probe& self) { guarded = self.listen("127.0.0.1:0", options).each<guest>(diary); });
  s.log->expect("listening", 2);
  const auto guarded_port = s.world.port_of(s.boss);
  std::atomic<int> served{0};
  std::vector<std::thread> crowd;
  for (int t = 0; t < threads; ++t)
    crowd.emplace_back([&, t] {
      for (int round = 0; round < rounds; ++round) {
        const auto& source = sources[t % 2];
        std::vector<peer> held;
        for (int i = 0; i < at_once; ++i) {
          served += is_served(held, source.c_str(), guarded_port, source);
        }
      }
    });
  for (auto& each : crowd)
    each.join();
  const auto ask = [&] { return *s.world.ask<listener_info>(guarded, get_listener_info{}).first; };
  REQUIRE(eventually([&] { return ask().connections == 0; }));
  std::map<std::string, int> inside;
  int most = 0;
  for (const auto& line : diary->lines())
    if (line.starts_with("in "))
      most = std::max(most, ++inside[line.substr(3)]);
    else
      --inside[line.substr(4)];
  CHECK(most <= 5);
  CHECK(ask().accepted == static_cast<std::uint64_t>(served));
  CHECK(ask().refused == static_cast<std::uint64_t>(threads * rounds * at_once - served));
  CHECK(served < threads * rounds * at_once);
  log.lines.expect_like("accept: 127.0.0.1:" + std::to_string(guarded_port) + ": a connection from 127.0.0.");
  CHECK(log.lines.count_like("accept: ") < 20);

  for (const auto& source : sources) // in peace
    for (int i = 0; i < 8; ++i)
      CHECK(is_served(s.peers, source.c_str(), port) == (i < 5));
  CHECK(s.info().connections == 10);
  CHECK(s.info().refused == 6);
  s.leave(1); // of the first address
  CHECK(is_served(s.peers, "127.0.0.1", port));
  CHECK_FALSE(is_served(s.peers, "127.0.0.2", port));
}

TEST_CASE("an address of IPv6 is counted as its /64, one of IPv4 as itself", "[listener_limits]") {
  actor_world world;
  auto& all = loops::of(world.system());
  const auto book = std::make_shared<listener_book>(all, all.at(0), "", 2);
  const auto count = std::make_shared<connection_count>(0);
  const auto enter = [&](std::string_view address) {
    const auto ip = net::ip_address::parse(address);
    REQUIRE(ip);
    return book->enter(count->take(nullptr), net::endpoint::tcp(*ip, 1)).slot;
  };
  auto first = enter("2001:db8:0:1::1");
  const auto second = enter("2001:db8:0:1:ffff::2");
  CHECK(first);
  CHECK(second);
  CHECK_FALSE(enter("2001:db8:0:1::1"));
  CHECK_FALSE(enter("2001:db8:0:1:1:2:3:4"));
  CHECK(enter("2001:db8:0:2::1"));
  first = nullptr;
  CHECK(enter("2001:db8:0:1::3"));
  const auto mapped = enter("::ffff:192.0.2.1"), plain = enter("192.0.2.1");
  CHECK(mapped);
  CHECK(plain);
  CHECK_FALSE(enter("192.0.2.1"));
  CHECK(enter("192.0.2.2"));
  const auto one = enter("fe80::1%1"), two = enter("fe80::2%1");
  CHECK(one);
  CHECK(two);
  CHECK_FALSE(enter("fe80::3%1"));
  CHECK(enter("fe80::3%2"));
}

TEST_CASE("a refused connection takes nothing away from others", "[listener_limits]") {
  captured_log log;
  net::manual_clock time;
  auto options = options_of(each_shard());
  options.max_per_address = 1;
  options.max_connections = 2;
  options.accept_rate = 2;
  options.connection_alarm = {2, 1min};
  server s{carrier::tcp, options, &time, answers};
  CHECK(s.world.ask<caf::ok_atom>(s.it, resume_accepting{2}).first);
  const auto port = s.world.port_of(s.boss);
  CHECK(is_served(s.peers, "127.0.0.1", port));
  for (int i = 0; i < 10; ++i)
    CHECK_FALSE(is_served(s.peers, "127.0.0.1", port));
  CHECK(s.log->count_like("alarm") == 0);
  CHECK(is_served(s.peers, "127.0.0.2", port));
  s.log->expect("alarm 2");
  CHECK(s.info().refused == 10);
  CHECK(s.info().state == listener_state::paused); // two came in
}

TEST_CASE("Unix peers have no address, so there may be many of them", "[listener_limits]") {
  auto options = options_of(each_shard());
  options.max_per_address = 1;
  server s{carrier::local, options};
  s.greet(5);
  CHECK(s.inside(5));
  CHECK(s.info().refused == 0);
}

TEST_CASE("a limit of connections changes while the listener runs, and nobody is sent away", "[listener_limits]") {
  auto options = options_of(each_shard());
  options.max_connections = 2;
  server s{options};
  s.greet(9);
  CHECK(s.inside(2));
  s.set({.max_connections = 4});
  CHECK(s.inside(4));
  s.set({.accept_rate = 0});
  CHECK(s.inside(4));
  s.set({.max_connections = 2});
  CHECK(s.inside(4));
  CHECK(s.handled->count_like("closed") == 0);
  // Who is in cannot be known with several sockets, so all leave, and the number counts.
  s.set({.max_connections = 9});
  CHECK(s.inside(9));
  s.set({.max_connections = 2});
  s.leave(7);
  s.greet(3);
  CHECK(s.inside(9));
  s.leave(1);
  CHECK(s.inside(10));
  s.it.set_limits({.max_connections = 0});
  CHECK(s.inside(12));
}

TEST_CASE("under a storm a limit that goes up and down is never passed", "[listener_limits]") {
  auto options = options_of(each_shard());
  options.max_connections = 3;
  server s{options};
  constexpr int threads = 4, clients = 400;
  std::atomic<int> served{0}, running{threads};
  std::vector<std::thread> crowd;
  for (int t = 0; t < threads; ++t)
    crowd.emplace_back([&] {
      for (int i = 0; i < clients / threads; i += 20) {
        std::vector<peer> some;
        for (int k = 0; k < 20; ++k) {
          some.emplace_back(s.address);
          some.back().send_all("x");
          some.back().finish();
        }
        for (auto& each : some)
          served += each.await_end() == ending::finished;
      }
      --running;
    });
  for (std::uint32_t round = 0; running > 0; ++round)
    s.set({.max_connections = 3 + round % 8});
  for (auto& each : crowd)
    each.join();
  CHECK(served == clients);
  s.handled->expect("closed peer_finished", clients);
  int inside = 0, most = 0;
  for (const auto& line : s.handled->lines())
    if (line == "received x")
      most = std::max(most, ++inside);
    else if (line.starts_with("closed"))
      --inside;
  CHECK(most <= 10);
  s.set({.max_connections = 5});
  s.greet(10);
  CHECK(s.inside(clients + 5));
}

TEST_CASE("a limit per address changes while the listener runs, and knows who came before", "[listener_limits]") {
  captured_log log;
  server s{carrier::tcp, options_of(each_shard()), nullptr, answers};
  const auto one_more = [&s, port = s.world.port_of(s.boss)] { return is_served(s.peers, "127.0.0.1", port); };
  CHECK((one_more() && one_more() && one_more()));
  s.set({.max_per_address = 2});
  CHECK_FALSE(one_more());
  CHECK(s.handled->count_like("closed") == 0);
  s.set({.max_per_address = 4});
  CHECK(one_more());
  CHECK_FALSE(one_more());
  s.set({.max_connections = 100});
  CHECK_FALSE(one_more());
  s.leave(3);
  s.set({.max_per_address = 1});
  CHECK_FALSE(one_more());
  s.leave(1);
  CHECK(one_more());
  s.set({.max_per_address = 0});
  CHECK(one_more());
}

TEST_CASE("an accepted connection that nobody claims is aborted at the handshake deadline", "[listener_limits]") {
  net::manual_clock time;
  auto options = options_of(each_shard());
  options.connection.handshake_deadline = 3s;
  const auto over = each_carrier();
  actor_world world{2, &time};
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  listener it;
  world.in(boss, [&](probe& self) { it = self.listen(fresh_address(over), options).start(); });
  log->expect("listening");
  peer slow{world.address_of(boss)};
  log->expect("accepted");
  world.settle();
  time.advance(2'999ms);
  world.settle();
  CHECK(world.ask<listener_info>(it, get_listener_info{}).first->connections == 1);
  time.advance(1ms);
  CHECK(slow.await_end() == ending_of_abort(over));
}

TEST_CASE("the handshake deadline changes while the listener runs, for who is accepted from then on",
          "[listener_limits]") {
  net::manual_clock time;
  auto options = options_of(each_shard());
  options.connection.handshake_deadline = 3s;
  const auto over = each_carrier();
  actor_world world{2, &time};
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  listener it;
  world.in(boss, [&](probe& self) { it = self.listen(fresh_address(over), options).start(); });
  log->expect("listening");
  peer before{world.address_of(boss)};
  log->expect("accepted");
  CHECK(world.ask<caf::ok_atom>(it, set_limits{.handshake_deadline = 1s}).first);
  peer after{world.address_of(boss)};
  log->expect("accepted", 2);
  world.settle();
  time.advance(1s);
  CHECK(after.await_end() == ending_of_abort(over));
  REQUIRE(eventually([&] { return world.ask<listener_info>(it, get_listener_info{}).first->connections == 1; }));
  time.advance(2s);
  CHECK(before.await_end() == ending_of_abort(over));
}

// -- the alarm ---------------------------------------------------------------------------------------

TEST_CASE("the owner is told when there are many connections, once in a while", "[listener_limits]") {
  net::manual_clock time;
  auto options = options_of(each_shard());
  options.connection_alarm = {3, 60s};
  server s{options, &time};
  const auto alarms = [&s] {
    s.world.settle();
    return s.log->count_like("alarm");
  };
  s.greet(2);
  CHECK(s.inside(2));
  CHECK(alarms() == 0);
  s.greet(1);
  s.log->expect("alarm 3");
  s.greet(2);
  CHECK(s.inside(5));
  time.advance(60s - 1ms);
  s.greet(1);
  CHECK(s.inside(6));
  CHECK(alarms() == 1);
  time.advance(1ms);
  CHECK(alarms() == 1); // nobody came
  s.greet(1);
  s.log->expect("alarm 7");
  time.advance(1min);
  s.leave(6);
  s.greet(1);
  CHECK(s.inside(8));
  CHECK(alarms() == 2); // there are only two
  s.greet(1);
  s.log->expect("alarm 3", 2);
  CHECK(alarms() == 3);
}

TEST_CASE("the alarm's threshold and cooldown change while the listener runs", "[listener_limits]") {
  net::manual_clock time;
  server s{options_of(each_shard()), &time};
  std::size_t inside = 0;
  const auto alarms_after = [&](int more) {
    s.greet(more);
    s.handled->expect("received x", inside += static_cast<std::size_t>(more));
    s.world.settle();
    return s.log->count_like("alarm");
  };
  CHECK(alarms_after(3) == 0);
  s.set({.alarm_threshold = 2, .alarm_cooldown = 10s});
  s.world.settle();
  CHECK(s.log->count_like("alarm") == 0); // nobody came
  CHECK(alarms_after(1) == 1);
  s.set({.alarm_cooldown = 20s}); // from the next one on
  s.world.settle();               // the listener looks again, which must not happen at the time before
  time.advance(10s);
  CHECK(alarms_after(1) == 2);
  time.advance(19s);
  CHECK(alarms_after(1) == 2);
  time.advance(1s);
  CHECK(alarms_after(1) == 3);
  time.advance(20s);
  s.set({.alarm_threshold = 10});
  CHECK(alarms_after(1) == 3);
  s.set({.alarm_threshold = 0});
  CHECK(alarms_after(4) == 3);
}

TEST_CASE("of many that come at once one raises the alarm, with exactly the threshold", "[listener_limits]") {
  auto options = options_of(each_shard());
  options.connection_alarm = {50, 1h};
  server s{options};
  std::vector<std::thread> crowd;
  std::vector<std::vector<peer>> all(4);
  for (auto& mine : all)
    crowd.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        mine.emplace_back(s.address);
        mine.back().send_all("x");
      }
    });
  for (auto& each : crowd)
    each.join();
  CHECK(s.inside(100));
  s.log->expect("alarm 50");
  CHECK(s.log->count_like("alarm") == 1);
}

TEST_CASE("an owner that says nothing about the alarm lets it pass", "[listener_limits]") {
  captured_log log;
  actor_world world;
  struct silent final : handler {
    silent(caf::actor_config& cfg, std::promise<std::string>& where) : handler(cfg), where_(where) {}
    caf::behavior make_behavior() override {
      auto options = settings().listener;
      options.connection_alarm.threshold = 1;
      listen("127.0.0.1:0", options).each<probe>(make_journal(), hook{});
      return {[this](const listening& l) { where_.set_value(l.local.to_string()); },
              [](const stop_listening&) { return std::string{"I am alive"}; }};
    }
    std::promise<std::string>& where_;
  };
  std::promise<std::string> where;
  const auto boss = world.owned(spawn_on<silent>(world.loop(), std::ref(where)));
  peer one{where.get_future().get()};
  world.settle();
  const handle to{caf::actor_cast<caf::strong_actor_ptr>(boss)};
  CHECK(world.ask<std::string>(to, stop_listening{}).first == "I am alive");
  CHECK(log.lines.count_like("unexpected-message") == 0);
}

TEST_CASE("a program logs the alarms of its listeners", "[listener_limits]") {
  captured_log log;
  std::promise<std::pair<handler*, std::string>> listens;
  std::thread two{[&log, begun = listens.get_future()]() mutable {
    const auto [program, where] = begun.get();
    const peer one{where}, other{where};
    (void)eventually(
        [&log, &line = where] { return log.lines.count("accept: " + line + ": there are 2 connections"); });
    program->stop_program(0, 0ms);
  }};
  run_options options;
  options.settings.loops.count = 1;
  const auto exit_code = run_program(options, [&](main_actor& self) -> caf::behavior {
    auto how = self.settings().listener;
    how.connection_alarm.threshold = 2;
    self.listen("127.0.0.1:0", how).each<probe>(make_journal(), hook{});
    return {[&](const listening& l) { listens.set_value({&self, l.local.to_string()}); }};
  });
  two.join();
  CHECK(exit_code == 0);
  CHECK(log.lines.text().find(": there are 2 connections") != std::string::npos);
}

// -- what a listener tells of itself -----------------------------------------------------------------

TEST_CASE("a listener tells its state, and what its connections have moved, live and ended", "[listener_limits]") {
  net::manual_clock time;
  server s{options_of(each_shard()), &time, answers};
  CHECK(s.info().local.to_string() == s.address);
  CHECK(s.info().accepted == 0);
  const auto moved = [&](std::uint64_t received, std::uint64_t sent) {
    const auto now = s.info();
    return now.bytes_received == received && now.bytes_sent == sent;
  };
  const auto answered = [&](std::size_t from) {
    for (auto i = from; i < s.peers.size(); ++i)
      CHECK(s.peers[i].read_exactly(6) == "answer");
  };
  s.greet(4);
  answered(0);
  CHECK(moved(4, 24));
  CHECK(s.info().connections == 4);
  s.leave(3);
  CHECK(moved(4, 24));
  s.greet(2);
  answered(1);
  CHECK(moved(6, 36));
  CHECK(s.info().connections == 3);
  CHECK(s.info().accepted == 6);
  CHECK(s.info().refused == 0);

  CHECK(s.info().state == listener_state::listening);
  CHECK(s.world.ask<caf::ok_atom>(s.it, pause_accepting{}).first);
  CHECK(s.info().state == listener_state::paused);
  CHECK(s.world.ask<caf::ok_atom>(s.it, resume_accepting{1}).first);
  CHECK(eventually([&] { return s.info().state == listener_state::listening; })); // a shard may just be looking
  s.greet(1);
  answered(3);
  CHECK(s.info().state == listener_state::paused);
  CHECK(s.world.ask<caf::ok_atom>(s.it, resume_accepting{}).first);
  CHECK(s.info().state == listener_state::listening);
  s.it.drain(1h);
  s.world.settle();
  CHECK(s.info().state == listener_state::stopping);
  CHECK(s.info().connections == 4);
  s.peers.clear();
  s.log->expect("listener_closed");
  CHECK(code_of(s.world.ask<listener_info>(s.it, get_listener_info{}).second) == errc::closed);
}

TEST_CASE("while connections come and go by the hundred no byte is told twice, or never", "[listener_limits]") {
  server s{options_of(each_shard()), nullptr, answers};
  constexpr int threads = 2, clients = 300;
  std::atomic<int> running{threads};
  std::vector<std::thread> crowd;
  for (int t = 0; t < threads; ++t)
    crowd.emplace_back([&] {
      for (int i = 0; i < clients; ++i) {
        peer one{s.address};
        one.send_all("12345");
        if (one.read_exactly(6) != "answer")
          break;
      }
      --running;
    });
  listener_info before;
  bool monotone = true, bounded = true;
  do {
    const auto now = s.info();
    monotone = monotone && now.bytes_received >= before.bytes_received && now.bytes_sent >= before.bytes_sent &&
               now.accepted >= before.accepted;
    bounded = bounded && now.bytes_received <= threads * clients * 5 && now.bytes_sent <= threads * clients * 6;
    before = now;
  } while (running > 0);
  for (auto& each : crowd)
    each.join();
  CHECK(monotone);
  CHECK(bounded);
  const auto now = s.info();
  CHECK(now.accepted == threads * clients);
  CHECK(now.bytes_received == threads * clients * 5);
  CHECK(now.bytes_sent == threads * clients * 6);
  REQUIRE(eventually([&] { return s.info().connections == 0; }));
  CHECK(s.info().bytes_received == threads * clients * 5);
}

TEST_CASE("whoever asks a listener that ends meanwhile is answered", "[listener_limits]") {
  server s{options_of(each_shard())};
  std::atomic<int> answers_got{0};
  const auto asker = s.world.spawn(make_journal());
  s.world.in(asker, [&](probe& self) {
    for (int i = 0; i < 50; ++i)
      s.it.request(&self, get_listener_info{})
          .then([&](const listener_info&) { ++answers_got; }, [&](caf::error&) { ++answers_got; });
    caf::anon_send_exit(s.it.actor(), caf::exit_reason::kill);
    for (int i = 0; i < 50; ++i)
      s.it.request(&self, get_listener_info{})
          .then([&](const listener_info&) { ++answers_got; }, [&](caf::error&) { ++answers_got; });
  });
  CHECK(eventually([&] { return answers_got == 100; }));
}

// -- started again -----------------------------------------------------------------------------------

TEST_CASE("a supervised listener that is killed keeps its limits and its totals", "[listener_limits]") {
  captured_log log;
  net::manual_clock time;
  const auto over = each_carrier();
  const auto how = each_shard();
  const said_carrier said{over};
  actor_world world{2, &time};
  const auto handled = make_journal();
  child_spec spec;
  spec.id = "door";
  spec.start = [&, options = options_of(how)](const start_context& my) -> started_child {
    return my.listen(fresh_address(over), options).each<probe>(handled, answers);
  };
  const auto boss = start_supervisor(world.system(), "top", {.intensity = 10}, {spec});
  const auto child = [&] { return world.ask<child_list>(boss, which_children{}).first->children.front(); };
  const listener door{caf::actor_cast<caf::strong_actor_ptr>(child().handle)};
  const auto info = [&] { return *world.ask<listener_info>(door, get_listener_info{}).first; };
  const auto kill = [&] {
    const auto before = child().restarts;
    world.kill(child().actor);
    REQUIRE(eventually([&] { return child().restarts == before + 1 && child().state == child_state::running; }));
  };
  std::vector<peer> peers;
  const auto come = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      peers.emplace_back(info().local.to_string());
      peers.back().send_all("x");
    }
  };
  const auto inside = [&](std::size_t count) {
    handled->expect("received x", count);
    world.settle();
    return handled->count("received x") == count;
  };
  come(2);
  CHECK(inside(2));
  REQUIRE(world.ask<caf::ok_atom>(door, set_limits{.max_connections = 4, .accept_rate = 3}).first);
  kill();
  CHECK(handled->count_like("closed") == 0);
  auto now = info();
  CHECK(now.accepted == 2);
  CHECK(now.connections == 2);
  CHECK(now.bytes_received == 2);
  CHECK(now.bytes_sent == 12);
  come(3);
  CHECK(inside(4)); // of the connections
  time.advance(1s);
  CHECK(inside(4));
  kill(); // while somebody waits
  CHECK(inside(4));
  REQUIRE(world.ask<caf::ok_atom>(door, set_limits{.max_connections = 0}).first);
  CHECK(inside(5));
  kill();
  come(9);
  const std::size_t more = over == carrier::tcp && how == shard::reuse_port ? 1 : 0;
  handled->expect("received x", 5 + 2); // what is left of the rate
  kill();
  world.settle();
  CHECK(handled->count("received x") <= 5 + 2 + more);
  REQUIRE(world.ask<caf::ok_atom>(door, set_limits{.accept_rate = 0, .max_per_address = 20}).first);
  CHECK(inside(14));
  kill();
  if (over == carrier::tcp) {
    come(6);
    CHECK(inside(20));
    CHECK_FALSE(is_served(peers, "127.0.0.1", info().local.port()));
    kill();
    CHECK(info().refused == 1);
  }
  peers.erase(peers.begin(), peers.begin() + 5);
  handled->expect_like("closed", 5); // by a reset: their answers lie unread
  REQUIRE(eventually([&] { return info().connections == handled->count("received x") - 5; }));
  kill();
  now = info();
  CHECK(now.accepted == handled->count("received x"));
  CHECK(now.bytes_received == now.accepted);
  CHECK(now.bytes_sent == now.accepted * 6);
  CHECK(now.state == listener_state::listening);
  caf::anon_send_exit(boss.actor(), caf::exit_reason::user_shutdown);
  peers.clear();
}

// -- handlers that fail ------------------------------------------------------------------------------

TEST_CASE("the abnormal end of an accepted connection's handler is logged once, with who and why",
          "[listener_limits]") {
  captured_log log;
  const hook obeys = [](probe& self, const std::string& line) {
    if (line == "received fail")
      self.quit(make_error(errc::other, "no paper"));
    else if (line == "received throw")
      throw std::runtime_error{"no ink"};
    else if (line == "received leave")
      self.quit();
    else if (line == "received kill")
      caf::anon_send_exit(&self, caf::exit_reason::kill);
  };
  const auto [order, reason] = GENERATE(
      table<std::string, std::string>({{"fail", "no paper"}, {"throw", "no ink"}, {"leave", ""}, {"kill", "killed"}}));
  SECTION("of a listener that stands alone") {
    server s{options_of(shard::round_robin), nullptr, obeys};
    peer one{s.address};
    one.send_all(order);
    CHECK(one.await_end() == (reason.empty() ? ending::finished : ending_of_abort(s.over)));
    const auto from = s.over == carrier::tcp ? "127.0.0.1:" + std::to_string(one.local_port()) : "unix:";
    one.close();
    REQUIRE(eventually([&] { return s.info().connections == 0; }));
    CHECK(log.lines.count("handler: " + s.address + "/" + from + ": the handler ended: " + reason) == !reason.empty());
    CHECK(log.lines.count_like("handler: ") == !reason.empty());
  }
  SECTION("of a supervised one") {
    actor_world world;
    child_spec spec;
    spec.id = "door";
    spec.start = [&](const start_context& my) -> started_child {
      return my.listen("127.0.0.1:0").each<probe>(make_journal(), obeys);
    };
    const auto boss = start_supervisor(world.system(), "top", {}, {spec});
    const auto child = world.ask<child_list>(boss, which_children{}).first->children.front();
    const listener door{caf::actor_cast<caf::strong_actor_ptr>(child.handle)};
    peer one{world.ask<listener_info>(door, get_listener_info{}).first->local.to_string()};
    const auto from = "127.0.0.1:" + std::to_string(one.local_port());
    one.send_all(order);
    (void)one.await_end();
    one.close();
    REQUIRE(eventually([&] { return world.ask<listener_info>(door, get_listener_info{}).first->connections == 0; }));
    CHECK(log.lines.count("handler: top/door/" + from + ": the handler ended: " + reason) == !reason.empty());
    CHECK(log.lines.count_like("handler: ") == !reason.empty());
    caf::anon_send_exit(boss.actor(), caf::exit_reason::user_shutdown);
  }
}

TEST_CASE("of a connection that was not accepted nothing is said when its handler fails", "[listener_limits]") {
  captured_log log;
  actor_world world;
  connected_pair pair;
  const auto owner = world.spawn(make_journal());
  world.adopt(pair, owner);
  world.settle();
  world.kill(owner);
  CHECK(pair.far.await_end() == ending_of_abort(pair.over));
  CHECK(log.lines.count_like("handler: ") == 0);
}
