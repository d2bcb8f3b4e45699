// Listeners and datagram sockets as children: their sockets stay open while their actors come and go.
#include "actors/supervision/supervised_world.hpp"
#include "support/sanitizer.hpp"
#include "support/scratch_folder.hpp"

#include "actnet/actors/lean_actor.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

using namespace actnet;
using namespace actnet::test;

namespace {

/// Sends back what it gets, and writes down the end of its connection.
class echo final : public handler {
 public:
  echo(caf::actor_config& cfg, connection c, journal_ptr log)
      : handler(cfg), peer_(std::move(c)), log_(std::move(log)) {}

  caf::behavior make_behavior() override {
    return {
        [this](const stream::received& r) { peer_.write(r.payload); },
        [this](const stream::closed& c) {
          log_->add("closed " + std::string{to_string(c.reason)});
          quit();
        },
    };
  }

 private:
  connection peer_;
  journal_ptr log_;
};

bool answers(peer& who, std::string_view text = "hello") {
  who.send_all(text);
  return who.read_exactly(text.size()) == text;
}

enum class place { tcp, sharded_tcp, local };

/// The first listening socket of this process, as somebody who shares it would.
bool shut_down_a_listener() {
  for (int fd = 3; fd < 1'000; ++fd) {
    int listens = 0;
    socklen_t size = sizeof listens;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0)
      return ::shutdown(fd, SHUT_RDWR) == 0;
  }
  return false;
}

/// Echoes, and fails in the way it is told.
class failing final : public handler {
 public:
  failing(caf::actor_config& cfg, connection c, std::shared_ptr<std::atomic<bool>> unmakeable)
      : handler(cfg), peer_(std::move(c)) {
    if (*unmakeable)
      throw std::runtime_error{"not made"};
  }

  caf::behavior make_behavior() override {
    return {[this](const stream::received& r) {
              const auto order = r.payload.view();
              if (order == "throw")
                throw std::runtime_error{"out of order"};
              if (order == "quit") {
                quit(make_error(errc::other, "out of order"));
              } else if (order == "end badly") {
                ends_badly_ = true;
                quit();
              } else if (order == "connection") {
                request(peer_.actor(), caf::infinite, stream::get_info{})
                    .then([](const stream::info&) {}, [](caf::error&) {});
                stings_ = true;
              } else {
                peer_.write(r.payload);
              }
            },
            [this](const stream::closed& c) { quit(c.cause); }};
  }
  void on_exit() override {
    if (ends_badly_)
      throw std::runtime_error{"no end"};
  }

  /// In the turn of whoever sends: of the connection, when it answers.
  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit* unit) override {
    if (std::exchange(stings_, false))
      throw std::runtime_error{"thorn"};
    handler::enqueue(std::move(message), unit);
  }

 private:
  connection peer_;
  bool ends_badly_ = false;
  bool stings_ = false;
};

/// Its parent is told where its sockets are.
struct socket_world : supervised_world {
  explicit socket_world(place p = place::tcp, std::size_t loops = 2)
      : supervised_world(loops), where(p), address(p == place::local ? "unix:" + folder / "s" : "127.0.0.1:0") {}

  void begin(supervisor_options options, std::vector<child_spec> specs) {
    parent = spawn(heard);
    begin_at(supervisor{caf::actor_cast<caf::strong_actor_ptr>(spawn_on<supervisor_actor>(
        loop(), "top", options, std::move(specs),
        std::vector<caf::strong_actor_ptr>{caf::actor_cast<caf::strong_actor_ptr>(parent)}))});
  }

  /// At `address`, which is where it is from its first start on.
  child_spec listening(restart kind = restart::permanent) {
    child_spec spec;
    spec.id = "l";
    spec.restart = kind;
    spec.start = [this](const start_context& my) -> started_child {
      log->add("start l");
      auto options = loops::of(my.system()).settings().listener;
      options.shard = where == place::sharded_tcp ? shard::reuse_port : shard::round_robin;
      return my.listen(address, options).each<echo>(handled);
    };
    return spec;
  }

  child_spec bound(restart kind = restart::permanent) {
    if (where == place::local)
      address = "unixgram:" + folder / "s";
    child_spec spec;
    spec.id = "d";
    spec.restart = kind;
    spec.start = [this](const start_context& my) -> started_child {
      log->add("start d");
      return my.bind(address).with<probe>(handled);
    };
    return spec;
  }

  void await_listening(std::size_t times = 1) { await_place("listening", times); }
  void await_bound(std::size_t times = 1) { await_place("bound", times); }

  /// Until it has been started again.
  void kill_child(const std::string& id) {
    const auto before = info_of(id);
    kill(before.actor);
    REQUIRE(eventually([&] {
      const auto now = info_of(id);
      return now.restarts > before.restarts && now.state == child_state::running;
    }));
  }

  bool path_exists() const { return where == place::local && std::filesystem::exists(folder / "s"); }

  scratch_folder folder;
  const place where;
  std::string address;
  journal_ptr heard = make_journal();   // of the parent
  journal_ptr handled = make_journal(); // of the handlers
  caf::actor parent;

 private:
  void await_place(std::string_view line, std::size_t times) {
    heard->expect(line, times);
    address = address_of(parent);
    settle(); // whoever is started again reads it; what bytes from outside put in order, ThreadSanitizer does not know
  }
};

/// A loop that does nothing else for as long as this lives, as with a handler that computes.
class held_loop {
 public:
  explicit held_loop(loop_host& host) {
    REQUIRE(host.loop().post(
        [](void* self, void*) noexcept {
          auto& me = *static_cast<held_loop*>(self);
          me.held_.set_value();
          me.released_.get_future().wait();
          me.over_.set_value();
        },
        this, nullptr));
    held_.get_future().wait();
  }
  ~held_loop() {
    released_.set_value();
    over_.get_future().wait();
  }

 private:
  std::promise<void> held_, released_, over_;
};

/// As `settle`, but for one loop.
void settle_besides(actor_world& world, std::size_t held) {
  for (int round = 0; round < 10; ++round)
    for (std::size_t i = 0; i < loops::of(world.system()).size(); ++i) {
      std::promise<void> done;
      if (i == held)
        continue;
      REQUIRE(world.loop(i).loop().post(
          [](void* p, void*) noexcept { static_cast<std::promise<void>*>(p)->set_value(); }, &done, nullptr));
      REQUIRE(done.get_future().wait_for(default_deadline) == std::future_status::ready);
    }
}

/// Of four loops, neither the supervisors' nor that of this listener, nor the next, which may be its successor's.
std::size_t another_loop(actor_world& world, const caf::actor& listening) {
  const auto& its = static_cast<lean_actor&>(*caf::actor_cast<caf::abstract_actor*>(listening)).home();
  std::size_t i = 1;
  while (&world.loop(i) == &its || &world.loop(i - 1) == &its)
    ++i;
  return i;
}

bool is_refused(const std::string& address) {
  try {
    peer one{address};
    return false;
  } catch (const std::runtime_error&) {
    return true;
  }
}

constexpr auto a_second = backoff_options{.first = 1s, .most = 1s, .jitter_percent = 0, .reset_after = 1h};

struct adopt_this {
  int descriptor;
  std::string address;
  journal_ptr handled;
};

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(adopt_this)

namespace {

/// Opens sockets as a handler does: they are its children.
class opening_supervisor final : public supervisor_actor {
 public:
  opening_supervisor(caf::actor_config& cfg, const caf::actor& parent)
      : supervisor_actor(cfg, "top", {}, {}, {caf::actor_cast<caf::strong_actor_ptr>(parent)}) {}

  caf::behavior make_behavior() override {
    begin();
    caf::message_handler ours{
        [this](const adopt_this& order) { listen(order.address).adopt(order.descriptor).each<echo>(order.handled); }};
    return ours.or_else(supervision());
  }
};

} // namespace

TEST_CASE("a listener is killed again and again: nobody is refused, and who is connected stays", "[supervisor]") {
  constexpr int kills = sanitized ? 40 : 200;
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  world.begin({.intensity = kills}, {world.listening()});
  world.await_listening();
  const auto handle = world.handle_of("l");
  std::vector<peer> staying;
  for (int i = 0; i < 8; ++i)
    staying.emplace_back(world.address);
  std::atomic<bool> over{false};
  std::atomic<int> served{0};
  std::string failure;
  std::thread crowd{[&] {
    try {
      while (!over) {
        std::vector<peer> some;
        for (int i = 0; i < 5; ++i)
          some.emplace_back(world.address);
        for (auto& each : some)
          if (!answers(each))
            throw std::runtime_error{"another answer"};
        served += 5;
      }
    } catch (const std::exception& e) {
      failure = e.what();
    }
  }};
  for (int i = 0; i < kills; ++i) {
    world.kill_child("l");
    if (i % 10 == 0)
      for (auto& each : staying)
        CHECK(answers(each));
  }
  CHECK(eventually([&] { return served > 20 || !failure.empty(); }));
  over = true;
  crowd.join();
  CHECK(failure.empty());
  for (auto& each : staying)
    CHECK(answers(each));
  CHECK(world.handle_of("l") == handle);
  CHECK(world.info_of("l").restarts == kills);
  CHECK(world.alive());
}

TEST_CASE("a listener whose socket somebody has shut down is started again with another one", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  world.begin({.intensity = 1}, {world.listening()});
  world.await_listening();
  peer before{world.address};
  REQUIRE(answers(before));
  CHECK(shut_down_a_listener());
  world.await_listening(2);
  peer after{world.address};
  CHECK(answers(after));
  CHECK(answers(before));
  CHECK(world.info_of("l").restarts == 1);
}

TEST_CASE("whoever connects while no listener runs is served by the next", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  world.begin({.intensity = 1, .backoff = a_second}, {world.listening()});
  world.await_listening();
  peer before{world.address};
  REQUIRE(answers(before));
  world.kill(world.info_of("l").actor);
  world.await_state("l", child_state::restarting);
  std::vector<peer> meanwhile;
  for (int i = 0; i < 5; ++i) {
    meanwhile.emplace_back(world.address);
    meanwhile.back().send_all("hello");
  }
  CHECK(answers(before));
  SECTION("after its time") {
    world.settle();
    world.time.advance(1s);
    for (auto& each : meanwhile)
      CHECK(each.read_exactly(5) == "hello");
  }
  SECTION("unless it is terminated before") {
    CHECK(world.terminate("l") == "ok");
    for (auto& each : meanwhile)
      each.await_end();
    before.await_end();
    CHECK(is_refused(world.address));
    CHECK_FALSE(world.path_exists());
  }
  SECTION("unless the supervisor ends before") {
    world.stop();
    for (auto& each : meanwhile)
      each.await_end();
    before.await_end();
    CHECK(is_refused(world.address));
    CHECK_FALSE(world.path_exists());
  }
  SECTION("unless the supervisor is killed before") {
    world.kill(world.boss.actor());
    world.reason();
    for (auto& each : meanwhile)
      each.await_end();
    before.await_end();
    CHECK(is_refused(world.address));
    CHECK_FALSE(world.path_exists());
  }
}

TEST_CASE("a terminated listener drains, and opens again when it is restarted", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  world.begin({}, {world.listening()});
  world.await_listening();
  peer staying{world.address};
  REQUIRE(answers(staying));
  auto drained = std::make_shared<std::promise<void>>();
  caf::anon_send(
      world.asker, perform{[&, drained](probe& self) {
        world.boss.request(&self, terminate_child{"l"}).then([drained](caf::ok_atom) { drained->set_value(); });
      }});
  REQUIRE(eventually([&] { return is_refused(world.address); }));
  CHECK(answers(staying));
  auto done = drained->get_future();
  CHECK(done.wait_for(0s) != std::future_status::ready);
  SECTION("when its connections end") {
    staying.finish();
    CHECK(staying.await_end() == ending::finished);
  }
  SECTION("or their time is over") {
    world.settle();
    world.time.advance(5s);
    staying.await_end();
  }
  REQUIRE(done.wait_for(default_deadline) == std::future_status::ready);
  CHECK_FALSE(world.path_exists());
  CHECK(world.states() == lines{"l stopped"});
  CHECK(world.restart_it("l") == "ok");
  world.await_listening(2);
  peer again{world.address};
  CHECK(answers(again));
}

TEST_CASE("a listener restarted with its group closes its connections and keeps its socket", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  auto options = supervisor_options{.strategy = strategy::one_for_all, .intensity = 9};
  const bool waiting = GENERATE(false, true);
  if (waiting)
    options.backoff = a_second;
  world.begin(options, {world.child("a"), world.listening()});
  world.await_listening();
  const auto address = world.address;
  peer before{address};
  REQUIRE(answers(before));
  world.kill(world.info_of("a").actor);
  CHECK(before.await_end() == ending::finished);
  before.close();
  if (waiting)
    world.await_state("l", child_state::restarting);
  else if (world.where == place::sharded_tcp) // one shard may still accept when another has closed
    world.await_listening(2);
  peer meanwhile{address};
  meanwhile.send_all("hello");
  if (waiting) {
    world.settle();
    world.time.advance(1s);
  }
  CHECK(meanwhile.read_exactly(5) == "hello");
  world.await_listening(2);
  CHECK(world.address == address);
  CHECK(world.log->count("start a") == 2);
}

TEST_CASE("a listener restarted with its group closes its connections, also if it is not there to do so",
          "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  auto listening = world.listening();
  std::optional<peer> before;
  const auto begin = [&](strategy how, backoff_options delays, child_spec last) {
    world.begin({.strategy = how, .intensity = 9, .backoff = delays}, {world.child("a"), std::move(last)});
    world.await_listening();
    before.emplace(world.address);
    REQUIRE(answers(*before));
  };
  SECTION("it is killed, as its shutdown says") {
    listening.shutdown = shutdown::brutal();
    begin(strategy::one_for_all, {}, listening);
    world.kill(world.info_of("a").actor);
  }
  SECTION("it is the one that failed") {
    begin(strategy::one_for_all, {}, listening);
    world.kill(world.info_of("l").actor);
  }
  SECTION("it failed before, and waits") {
    begin(strategy::rest_for_one, a_second, listening);
    world.kill(world.info_of("l").actor);
    world.await_state("l", child_state::restarting);
    CHECK(answers(*before)); // alone it leaves them
    world.kill(world.info_of("a").actor);
    world.await_state("a", child_state::restarting);
    world.settle();
    world.time.advance(1s);
  }
  before->await_end();
  world.log->expect("start a", 2);
  world.await_listening(2);
  peer after{world.address};
  CHECK(answers(after));
}

TEST_CASE("while sockets drain, a group that waits for its restart is started without them", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  world.begin({.strategy = strategy::one_for_all, .intensity = 9, .backoff = a_second},
              {world.child("a"), world.listening(), world.child("b")});
  world.await_listening();
  const bool socket_failed = GENERATE(false, true);
  world.kill(world.info_of(socket_failed ? "l" : "a").actor);
  world.log->expect("end b");
  REQUIRE(eventually([&] { return world.states() == lines{"a restarting", "l restarting", "b restarting"}; }));
  caf::anon_send(world.boss.actor(), drain{5s});
  REQUIRE(eventually([&] { return is_refused(world.address); }));
  CHECK_FALSE(world.path_exists());
  if (!socket_failed) {
    CHECK(world.states() == lines{"a restarting", "l stopped", "b restarting"});
    world.time.advance(1s);
  }
  world.log->expect("start b", 2);
  CHECK(world.states() == lines{"a running", "l stopped", "b running"});
  CHECK(world.log->count("start a") == 2);
  CHECK(world.log->count("start l") == 1);
  CHECK(world.alive());
}

TEST_CASE("sockets that drain while their group is being ended are left out when it is started again", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  auto slow = world.child("slow");
  slow.shutdown = 1s;
  const auto delays = GENERATE(backoff_options{}, a_second);
  world.begin({.strategy = strategy::one_for_all, .intensity = 9, .backoff = delays},
              {world.child("a"), slow, world.listening(), world.child("b")});
  world.await_listening();
  world.hold("slow");
  const bool socket_failed = GENERATE(false, true);
  world.kill(world.info_of(socket_failed ? "l" : "a").actor);
  world.log->expect("end b");
  world.settle();
  caf::anon_send(world.boss.actor(), drain{5s});
  REQUIRE(eventually([&] { return is_refused(world.address); }));
  world.settle();
  world.time.advance(1s); // the slow one is killed
  world.log->expect("end slow");
  world.settle();
  world.time.advance(1s);
  world.log->expect("start b", 2);
  CHECK(world.states() == lines{"a running", "slow running", "l stopped", "b running"});
  CHECK(world.log->count("start l") == 1);
}

TEST_CASE("a listener restarted with its group does not wait longer than it may for its connections", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  auto listening = world.listening();
  listening.shutdown = 2s;
  world.begin({.strategy = strategy::one_for_all, .intensity = 9}, {world.child("a"), listening});
  world.await_listening();
  peer deaf{world.address};
  REQUIRE(answers(deaf));
  world.kill(world.info_of("a").actor);
  world.log->expect("end a");
  world.settle();
  CHECK(world.log->count("start a") == 1);
  world.time.advance(2s);
  world.log->expect("start a", 2);
  world.await_listening(2);
  peer after{world.address};
  CHECK(answers(after));
}

TEST_CASE("a listener that was told to stop is opened anew if it is permanent", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  const auto kind = GENERATE(restart::permanent, restart::transient);
  world.begin({.intensity = 1}, {world.listening(kind)});
  world.await_listening();
  peer before{world.address};
  REQUIRE(answers(before));
  listener{caf::actor_cast<caf::strong_actor_ptr>(world.handle_of("l"))}.stop_listening();
  if (kind == restart::permanent) {
    world.await_listening(2);
    peer after{world.address};
    CHECK(answers(after));
    CHECK(answers(before));
  } else {
    world.await_state("l", child_state::stopped);
    CHECK(is_refused(world.address));
    CHECK_FALSE(world.path_exists());
    CHECK(answers(before));
  }
}

TEST_CASE("a supervisor's sockets are gone with it", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  world.begin({.intensity = 9}, {world.listening()});
  world.await_listening();
  peer one{world.address};
  REQUIRE(answers(one));
  if (GENERATE(false, true))
    world.kill_child("l");
  SECTION("ended") {
    world.order_stop();
    REQUIRE(eventually([&] { return is_refused(world.address); }));
    CHECK(answers(one));
    one.finish();
    CHECK(one.await_end() == ending::finished);
    CHECK(world.reason() == caf::exit_reason::user_shutdown);
  }
  SECTION("killed") {
    world.kill(world.boss.actor());
    world.reason();
    one.await_end();
    REQUIRE(eventually([&] { return is_refused(world.address); }));
  }
  SECTION("drained") {
    caf::anon_send(world.boss.actor(), drain{5s});
    REQUIRE(eventually([&] { return is_refused(world.address); }));
    CHECK(answers(one));
    one.finish();
    CHECK(one.await_end() == ending::finished);
    world.await_state("l", child_state::stopped);
    CHECK(world.restart_it("l") == "shutting down");
  }
  CHECK_FALSE(world.path_exists());
}

TEST_CASE("the end of a listener is the end of its sockets, however busy the other loops are", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local), 4};
  auto spec = world.listening();
  spec.shutdown = shutdown::brutal();
  SECTION("terminated without time") {
    world.begin({}, {spec});
    world.await_listening();
    const auto busy = another_loop(world, world.info_of("l").actor);
    std::vector<peer> some;
    std::promise<caf::error> ended, again;
    {
      const held_loop held{world.loop(busy)};
      for (int i = 0; i < 3; ++i) // with one listening socket, one of them is for the loop that is held
        some.emplace_back(world.address);
      settle_besides(world, busy);
      world.in(world.asker, [&](probe& self) {
        world.boss.request(&self, terminate_child{"l"})
            .then([&](caf::ok_atom) { ended.set_value({}); }, [&](caf::error& e) { ended.set_value(std::move(e)); });
        world.boss.request(&self, restart_child{"l"})
            .then([&](const caf::actor&) { again.set_value({}); },
                  [&](caf::error& e) { again.set_value(std::move(e)); });
      });
      settle_besides(world, busy);
    }
    CHECK_FALSE(ended.get_future().get());
    CHECK_FALSE(again.get_future().get());
    peer fresh{world.address};
    CHECK(answers(fresh));
  }
  SECTION("with its supervisor, which is killed") {
    world.begin({.intensity = 1}, {supervise("s", {}, {spec})});
    world.await_listening();
    const auto killed = world.info_of("s").actor;
    const auto its = world.children_of(handle{caf::actor_cast<caf::strong_actor_ptr>(killed)}).front().actor;
    const auto busy = another_loop(world, its);
    std::vector<peer> some;
    {
      const held_loop held{world.loop(busy)};
      for (int i = 0; i < 3; ++i)
        some.emplace_back(world.address);
      settle_besides(world, busy);
      world.kill(killed);
      settle_besides(world, busy);
    }
    world.await_listening(2);
    REQUIRE(eventually([&] { return world.info_of("s").state == child_state::running; }));
    CHECK(world.info_of("s").restarts == 1);
    peer fresh{world.address};
    CHECK(answers(fresh));
  }
}

TEST_CASE("a listener that is ended without time, again and again, finds its address free each time", "[supervisor]") {
  constexpr int times = sanitized ? 20 : 60;
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  auto spec = world.listening();
  spec.shutdown = shutdown::brutal();
  world.begin({.intensity = times}, {supervise("s", {}, {spec})});
  world.await_listening();
  std::jthread crowd{[address = world.address](std::stop_token over) { // keeps the loops busy
    while (!over.stop_requested())
      try {
        peer one{address};
        (void)answers(one);
      } catch (const std::runtime_error&) {
      }
  }};
  const auto child = [&] { return world.info_of("s"); };
  const auto asker = world.spawn(make_journal());
  for (int i = 0; i < times; ++i) {
    const handle s{caf::actor_cast<caf::strong_actor_ptr>(child().handle)};
    CHECK_FALSE(world.ask<caf::ok_atom>(asker, s, terminate_child{"l"}).second);
    CHECK_FALSE(world.ask<caf::actor>(asker, s, restart_child{"l"}).second);
    world.kill(child().actor);
    REQUIRE(eventually([&] {
      const auto now = child();
      return now.restarts == std::uint64_t(i) + 1 && now.state == child_state::running;
    }));
  }
  crowd.request_stop();
  crowd.join();
  CHECK(world.alive());
  peer fresh{world.address};
  CHECK(answers(fresh));
}

TEST_CASE("however a connection or its handler fails, its listener is not started again, and others live on",
          "[supervisor]") { // F16
  captured_log log;
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  const auto over = world.where == place::local ? carrier::local : carrier::tcp;
  const auto unmakeable = std::make_shared<std::atomic<bool>>(false);
  auto spec = world.listening();
  spec.start = [&](const start_context& my) -> started_child {
    auto options = loops::of(my.system()).settings().listener;
    options.shard = world.where == place::sharded_tcp ? shard::reuse_port : shard::round_robin;
    return my.listen(world.address, options).each<failing>(unmakeable);
  };
  world.begin({.intensity = 0}, {spec});
  world.await_listening();
  const auto before = world.info_of("l").actor;
  const listener door{caf::actor_cast<caf::strong_actor_ptr>(world.handle_of("l"))};
  peer bystander{world.address};
  REQUIRE(answers(bystander));
  for (const auto* order : {"throw", "quit", "end badly", "connection"}) {
    INFO(order);
    peer one{world.address};
    REQUIRE(answers(one));
    one.send_all(order);
    CHECK(one.await_end() == ending_of_abort(over));
    CHECK(answers(bystander));
  }
  *unmakeable = true;
  peer unserved{world.address};
  unserved.await_end();
  unserved.close();
  *unmakeable = false;
  peer fresh{world.address};
  CHECK(answers(fresh));
  CHECK(answers(bystander));
  CHECK(eventually([&] { return world.ask<listener_info>(door, get_listener_info{}).first->connections == 2; }));
  CHECK(world.info_of("l").restarts == 0);
  CHECK(world.info_of("l").actor == before);
  CHECK(world.alive());
}

TEST_CASE("a listener that dies at every start is started again as often as it may be, then all is given up, once",
          "[supervisor]") { // F17
  captured_log log;
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  auto spec = world.listening();
  std::atomic<bool> dies{false};
  const bool taken = GENERATE(false, true); // its address, by somebody else; or the listener is killed at once
  spec.start = [&, start = spec.start](const start_context& my) {
    auto made = start(my);
    if (dies)
      caf::anon_send_exit(made.who, caf::exit_reason::kill);
    return made;
  };
  constexpr backoff_options doubling{.first = 100ms, .most = 400ms, .jitter_percent = 0, .reset_after = 1h};
  world.begin({.intensity = 0},
              {world.child("bystander"), supervise("s", {.intensity = 4, .period = 1h, .backoff = doubling}, {spec})});
  world.await_listening();
  const handle s{caf::actor_cast<caf::strong_actor_ptr>(world.info_of("s").actor)};
  const listener door{caf::actor_cast<caf::strong_actor_ptr>(world.children_of(s).front().handle)};
  const auto state = [&] { return world.children_of(s).front().state; };
  if (taken) {
    CHECK(world.ask<caf::ok_atom>(world.asker, door, stop_listening{}).first);
    REQUIRE(eventually([&] { return state() == child_state::restarting; }));
    world.in(world.asker, [&](probe& self) { self.listen(world.address).each<echo>(world.handled); });
    world.ends->expect("listening");
  } else {
    dies = true;
    world.kill(world.children_of(s).front().actor);
    REQUIRE(eventually([&] { return state() == child_state::restarting; }));
  }
  std::size_t starts = 1;
  for (const auto delay : {100ms, 200ms, 400ms, 400ms}) {
    CHECK(world.log->count("start l") == starts);
    world.time.advance(delay - 1ms);
    (void)state();
    CHECK(world.log->count("start l") == starts);
    world.time.advance(1ms);
    world.log->expect("start l", ++starts);
    if (starts < 5)
      REQUIRE(eventually([&] { return state() == child_state::restarting; }));
  }
  CHECK(code_of(world.reason()) == errc::restart_limit);
  CHECK(world.log->count("start l") == 5);
  CHECK(world.log->count("end bystander") == 1);
  for (const auto* who : {"top", "top/s"})
    CHECK(log.lines.count_like("supervisor: " + std::string{who} + " gives up: ") == 1);
}

TEST_CASE("a supervisor whose socket does not open ends with the reason", "[supervisor]") {
  socket_world world;
  auto spec = world.listening();
  listening_peer squatter;
  std::string expected;
  SECTION("the address is in use") {
    world.address = squatter.address();
    expected = "cannot listen on " + squatter.address() + ": address already in use";
  }
  SECTION("the address is none") {
    world.address = "nonsense";
    expected = endpoint_argument{"nonsense"}.mistake();
    REQUIRE_FALSE(expected.empty());
  }
  SECTION("the descriptor does not listen") {
    spec.start = [&world](const start_context& my) -> started_child {
      world.log->add("start l");
      return my.listen(world.address).adopt(STDIN_FILENO).start();
    };
    expected = "not an open descriptor of the right kind";
  }
  world.begin({}, {world.child("a"), spec});
  CHECK(to_text(world.reason()) == expected);
  CHECK(world.log->lines() == lines{"start a", "start l", "end a"});
}

TEST_CASE("a descriptor is adopted once: after that its listener opens its address", "[supervisor]") {
  socket_world world;
  world.begin({}, {});
  world.stop();
  world.parent = world.spawn(world.heard);
  const auto opener = spawn_on<opening_supervisor>(world.loop(), world.parent);
  listening_peer given, another;
  const int number = ::dup(given.fd());
  caf::anon_send(opener, adopt_this{number, given.address(), world.handled});
  world.await_listening();
  CHECK(world.address == given.address());
  peer one{world.address};
  REQUIRE(answers(one));
  given.close();
  one.finish();
  one.await_end();
  const auto asker = world.spawn(make_journal());
  const supervisor boss{caf::actor_cast<caf::strong_actor_ptr>(opener)};
  const child_name its_id{world.address};
  REQUIRE(world.ask<caf::ok_atom>(asker, boss, terminate_child{its_id}).first);
  REQUIRE(::fcntl(number, F_GETFD) < 0);
  const descriptor somebodys{::fcntl(another.fd(), F_DUPFD_CLOEXEC, number)};
  REQUIRE(somebodys.fd() == number);
  REQUIRE(world.ask<caf::actor>(asker, boss, restart_child{its_id}).first);
  world.await_listening(2);
  CHECK(world.address == given.address());
  world.kill(opener);
  CHECK(eventually([&] { return is_refused(world.address); }));
  CHECK(::fcntl(number, F_GETFD) >= 0);
}

TEST_CASE("a datagram socket stays open while its actor is killed, and what arrives is not lost", "[supervisor]") {
  constexpr int kills = sanitized ? 20 : 100;
  socket_world world{GENERATE(place::tcp, place::local)};
  world.begin({.intensity = kills}, {world.bound()});
  world.await_bound();
  const auto address = world.address;
  datagram_peer sender{world.where == place::local ? datagram_carrier::local : datagram_carrier::udp};
  for (int i = 0; i < kills; ++i) {
    world.kill(world.info_of("d").actor);
    for (int n = 0; n < 5; ++n)
      sender.send_to(address, std::to_string(i) + "." + std::to_string(n));
    world.handled->expect("datagram " + std::to_string(i) + ".4");
    world.await_bound(std::size_t(i) + 2);
  }
  CHECK(world.handled->count_like("datagram closed") <= kills);
  CHECK(world.handled->count_like("datagram ") - world.handled->count_like("datagram closed") == 5 * kills);
  CHECK(world.address == address);
}

TEST_CASE("datagrams that come while no actor runs are for the next, or nobody's", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::local)};
  world.begin({.intensity = 1, .backoff = a_second}, {world.bound()});
  world.await_bound();
  world.kill(world.info_of("d").actor);
  world.await_state("d", child_state::restarting);
  datagram_peer sender{world.where == place::local ? datagram_carrier::local : datagram_carrier::udp};
  for (const auto* text : {"one", "two", "three"})
    sender.send_to(world.address, text);
  world.settle();
  CHECK(world.handled->count("datagram one") == 0);
  SECTION("after its time") {
    world.time.advance(1s);
    for (const auto* text : {"one", "two", "three"})
      world.handled->expect(std::string{"datagram "} + text);
  }
  SECTION("unless it is terminated before") {
    CHECK(world.terminate("d") == "ok");
    CHECK_FALSE(world.path_exists());
    CHECK(world.restart_it("d") == "ok");
    world.await_bound(2);
    sender.send_to(world.address, "four");
    world.handled->expect("datagram four");
    CHECK(world.handled->count("datagram one") == 0);
  }
  SECTION("unless the supervisor ends before") {
    world.stop();
    CHECK_FALSE(world.path_exists());
  }
}

TEST_CASE("a datagram socket whose handler fails is started again with another", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::local)};
  auto spec = world.bound();
  spec.start = [&, start = spec.start](const start_context& my) -> started_child {
    world.log->add("start d");
    return my.bind(world.address).with<probe>(world.handled, hook{[](probe&, const std::string& line) {
                                                if (line == "datagram fail")
                                                  throw std::runtime_error{"out of order"};
                                              }});
  };
  world.begin({.intensity = 3}, {spec});
  world.await_bound();
  const auto address = world.address;
  datagram_peer sender{world.where == place::local ? datagram_carrier::local : datagram_carrier::udp};
  for (int i = 0; i < 3; ++i) {
    sender.send_to(address, "fail");
    world.await_bound(std::size_t(i) + 2);
    sender.send_to(address, "well " + std::to_string(i));
    world.handled->expect("datagram well " + std::to_string(i));
  }
  CHECK(world.info_of("d").restarts == 3);
}

TEST_CASE("an actor system that ends under a tree takes its sockets along", "[supervisor]") {
  socket_world world{GENERATE(place::tcp, place::sharded_tcp, place::local)};
  const bool restarting = GENERATE(false, true);
  world.begin({.intensity = 1, .backoff = a_second},
              {world.child("a"), world.listening(), supervise("x", {}, {world.child("b")})});
  world.await_listening();
  peer one{world.address};
  REQUIRE(answers(one));
  if (restarting) {
    world.kill(world.info_of("l").actor);
    world.await_state("l", child_state::restarting);
  }
  world.boss = {};
  world.asker = world.parent = nullptr;
  world.shut_down();
  one.await_end();
  CHECK(is_refused(world.address));
  CHECK_FALSE(world.path_exists());
}
