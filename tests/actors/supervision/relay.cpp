// The stable handle of a child: what it passes on, what fails meanwhile, and when it is gone.
#include "actors/supervision/supervised_world.hpp"
#include "support/sanitizer.hpp"

#include <caf/scoped_actor.hpp>

#include <thread>

using namespace actnet;
using namespace actnet::test;

namespace {

constexpr backoff_options a_second{.first = 1s, .most = 1s, .jitter_percent = 0, .reset_after = 1h};

struct relay_world : supervised_world {
  using supervised_world::supervised_world;

  /// Writes down the end of `who`, as "gone WHY".
  void watch(const caf::actor& who) {
    const auto observer = owned(spawn_on<probe>(loop(), watched));
    in(observer, [this, who](probe& self) {
      self.set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) {
        watched->add("gone " + (down.reason ? to_text(down.reason) : std::string{"normally"}));
      });
      self.monitor(who);
    });
  }

  journal_ptr watched = make_journal();
};

} // namespace

TEST_CASE("a handle stays, while children come and go behind it", "[supervisor]") {
  relay_world world;
  world.begin({.intensity = 100}, {world.child("a")});
  const auto handle = world.handle_of("a");
  for (int life = 1; life <= 20; ++life) {
    CHECK(world.ask_child(handle) == "a " + std::to_string(life));
    world.fail_child("a");
    CHECK(world.handle_of("a") == handle);
  }
}

TEST_CASE("requests without a child fail at once, with the reason why there is none", "[supervisor]") {
  relay_world world;
  world.begin({.intensity = 9, .backoff = a_second}, {world.child("a"), world.child("b", restart::transient)});
  const auto a = world.handle_of("a");
  const auto b = world.handle_of("b");
  captured_log log;
  world.fail("a");
  world.await_state("a", child_state::restarting);
  CHECK(world.ask_child(a) == "restarting");
  caf::anon_send(a, who_are_you{});
  world.settle();
  CHECK(log.lines.count("supervisor: top/a: a message is lost: restarting") == 1);
  world.time.advance(1s);
  world.log->expect("start a", 2);
  CHECK(world.ask_child(a) == "a 2");
  world.terminate("a");
  CHECK(world.ask_child(a) == "not running");
  end_by(world.info_of("b").actor, way::normally);
  world.await_state("b", child_state::stopped);
  CHECK(world.ask_child(b) == "not running");
  world.remove("a");
  CHECK(world.ask_child(a) == "closed");
  world.stop();
  CHECK(world.ask_child(b) == "closed");
}

TEST_CASE("what a child holds back at its end is answered with an error", "[supervisor]") {
  relay_world world;
  world.begin({.intensity = 9}, {world.child("a")});
  const auto handle = world.handle_of("a");
  const auto answers = make_journal();
  world.in(world.asker, [&](probe& self) { // in one turn: the child ends before it gets to the questions
    caf::anon_send(handle, throw_up{});
    for (int i = 0; i < 10; ++i)
      self.request(handle, caf::infinite, who_are_you{})
          .then([answers](const std::string&) { answers->add("answer"); },
                [answers](const caf::error&) { answers->add("error"); });
  });
  answers->expect("error", 10);
  world.log->expect("start a", 2);
  CHECK(answers->count("answer") == 0);
}

TEST_CASE("a monitor of a handle fires when the child is gone for good, and not before", "[supervisor]") {
  relay_world world;
  const auto kind = GENERATE(restart::permanent, restart::transient);
  world.begin({.intensity = 1}, {world.child("a", kind)});
  world.watch(world.handle_of("a"));
  world.fail_child("a");
  CHECK(world.terminate("a") == "ok");
  CHECK(world.restart_it("a") == "ok");
  CHECK(world.terminate("a") == "ok");
  world.settle();
  CHECK(world.watched->lines().empty());
  SECTION("deleted") {
    CHECK(world.remove("a") == "ok");
    world.watched->expect_like("gone");
  }
  SECTION("the supervisor ends") {
    world.stop();
    world.watched->expect_like("gone");
  }
  SECTION("the supervisor is killed") {
    world.kill(world.boss.actor());
    world.reason();
    world.watched->expect_like("gone");
  }
  SECTION("the supervisor gives up") {
    CHECK(world.restart_it("a") == "ok");
    world.fail("a");
    CHECK(code_of(world.reason()) == errc::restart_limit);
    world.watched->expect_like("gone");
  }
  world.settle();
  CHECK(world.watched->lines().size() == 1);
}

TEST_CASE("a monitor of a temporary child fires at its end, one that comes too late at once", "[supervisor]") {
  relay_world world;
  world.begin({}, {world.child("t", restart::temporary), world.child("a")});
  const auto temporary = world.handle_of("t");
  const auto handle = world.handle_of("a");
  world.watch(temporary);
  end_by(temporary, way::killed);
  world.watched->expect_like("gone");
  world.stop();
  world.watch(handle);
  world.watched->expect("gone closed");
}

TEST_CASE("a link to a handle: told when the child is gone for good, and ends the child when it fails",
          "[supervisor]") {
  relay_world world;
  world.begin({.intensity = 1}, {world.child("a")});
  const auto handle = world.handle_of("a");
  const auto linked = world.owned(spawn_on<probe>(world.loop(), world.watched));
  world.in(linked, [&](probe& self) {
    self.set_exit_handler([&self](caf::scheduled_actor*, caf::exit_msg& message) {
      self.note("exit");
      if (message.reason == caf::exit_reason::unreachable)
        self.quit(message.reason);
    });
    self.link_to(handle);
  });
  world.fail_child("a");
  world.settle();
  CHECK(world.watched->lines().empty());
  SECTION("the child is removed") {
    CHECK(world.terminate("a") == "ok");
    CHECK(world.remove("a") == "ok");
    world.watched->expect("exit");
  }
  SECTION("the other fails") {
    caf::anon_send_exit(linked, caf::exit_reason::unreachable);
    CHECK(code_of(world.reason()) == errc::restart_limit);
    CHECK(world.log->count("end a") == 2);
  }
}

TEST_CASE("an exit sent to a handle ends the child", "[supervisor]") {
  relay_world world;
  world.begin({.intensity = 1}, {world.child("a"), world.child("b", restart::transient)});
  const auto a = world.handle_of("a");
  caf::anon_send_exit(a, caf::exit_reason::kill);
  world.log->expect("start a", 2);
  CHECK(world.ask_child(a) == "a 2");
  caf::anon_send_exit(world.handle_of("b"), caf::exit_reason::user_shutdown);
  world.await_state("b", child_state::stopped);
  CHECK(world.log->count("start b") == 1);
}

TEST_CASE("a connection that a handle owns closes when the child has dealt with the peer's end", "[supervisor]") {
  relay_world world{GENERATE(1u, 2u)}; // with two, the connection may live on another loop than the child
  const auto log = make_journal();
  child_spec spec;
  spec.id = "a";
  spec.start = [log](const start_context& my) -> started_child { return my.spawn<probe>(log, hook{}); };
  world.begin({}, {spec});
  for (int i = 0; i < 2; ++i) {
    connected_pair pair{each_carrier()};
    world.adopt(pair, world.handle_of("a"));
    pair.far.send_all("hello");
    pair.far.finish();
    CHECK(pair.far.await_end() == ending::finished);
    log->expect("closed peer_finished", static_cast<std::size_t>(i) + 1);
  }
}

TEST_CASE("an exit sent to a handle without a child is lost, and the next child lives", "[supervisor]") {
  relay_world world;
  world.begin({.intensity = 1, .backoff = a_second}, {world.child("a")});
  const auto a = world.handle_of("a");
  world.fail("a");
  world.await_state("a", child_state::restarting);
  caf::anon_send_exit(a, caf::exit_reason::kill);
  world.settle();
  world.time.advance(1s);
  world.await_state("a", child_state::running);
  CHECK(world.ask_child(a) == "a 2");
  CHECK(world.log->count("end a") == 1);
}

TEST_CASE("an answer comes from the child itself, and a child knows its own handle and its siblings'", "[supervisor]") {
  relay_world world;
  const auto seen = make_journal();
  caf::actor sibling, nobody, own;
  auto spec = world.child("b");
  spec.start = [&, start = spec.start](const start_context& my) {
    sibling = my.sibling("a");
    own = caf::actor_cast<caf::actor>(my.handle());
    nobody = my.sibling("nobody");
    return start(my);
  };
  world.begin({}, {world.child("a"), spec});
  CHECK(sibling == world.handle_of("a"));
  CHECK(own == world.handle_of("b"));
  CHECK_FALSE(nobody);
  const auto child = world.info_of("a").actor;
  world.in(world.asker, [&](probe& self) {
    self.request(sibling, caf::infinite, who_are_you{}).then([seen, child, &self](const std::string& text) {
      seen->add(text + (self.current_sender() == child ? " itself" : " by another"));
    });
  });
  seen->expect("a 1 itself");
}

TEST_CASE("every request from other threads gets exactly one answer, during hundreds of restarts", "[supervisor]") {
  constexpr int restarts = sanitized ? 100 : 500;
  constexpr int questions = sanitized ? 1'000 : 10'000;
  relay_world world{2};
  world.begin({.intensity = restarts + 1}, {world.child("a")});
  const auto handle = world.handle_of("a");
  std::atomic<int> answers{0}, errors{0};
  const auto other_loop = world.spawn(make_journal(), {}, 1);
  const auto same_loop = world.asker;
  for (const auto& who : {other_loop, same_loop})
    for (int batch = 0; batch < 10; ++batch)
      caf::anon_send(who, perform{[&](probe& self) {
                       for (int i = 0; i < questions / 10; ++i)
                         self.request(handle, caf::infinite, who_are_you{})
                             .then([&](const std::string&) { ++answers; }, [&](const caf::error&) { ++errors; });
                     }});
  std::thread scoped{[&] {
    caf::scoped_actor self{world.system()};
    for (int i = 0; i < questions / 10; ++i)
      self->request(handle, caf::infinite, who_are_you{})
          .receive([&](const std::string&) { ++answers; }, [&](const caf::error&) { ++errors; });
  }};
  for (int i = 0; i < restarts; ++i)
    world.fail_child("a");
  scoped.join();
  constexpr int all = 2 * questions + questions / 10;
  CHECK(eventually([&] { return answers + errors == all; }));
  world.settle();
  CHECK(answers + errors == all);
  CHECK(answers > 0);
  CHECK(world.ask_child(handle) == "a " + std::to_string(restarts + 1));
}
