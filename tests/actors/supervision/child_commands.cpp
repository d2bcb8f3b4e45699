// Children started, terminated, restarted and deleted by command: the child_adm cases of OTP's supervisor_SUITE.
#include "actors/supervision/supervised_world.hpp"

using namespace actnet;
using namespace actnet::test;

namespace {

/// A supervisor that waits a second before it starts a child again.
constexpr supervisor_options slowly{.intensity = 10,
                                    .backoff = {.first = 1s, .most = 1s, .jitter_percent = 0, .reset_after = 1h}};

} // namespace

TEST_CASE("child_adm: a child is started, terminated, restarted and deleted", "[supervisor]") {
  supervised_world world;
  world.begin({});
  CHECK(world.children().empty());
  CHECK(world.start(world.child("a")) == "ok");
  const auto handle = world.handle_of("a");
  CHECK(world.start(world.child("a")) == "already started");
  CHECK(world.remove("a") == "still running");
  CHECK(world.restart_it("a") == "still running");
  CHECK(world.ask_child(handle) == "a 1");

  CHECK(world.terminate("a") == "ok");
  CHECK(world.states() == lines{"a stopped"});
  CHECK(world.ask_child(handle) == "not running");
  CHECK_FALSE(world.info_of("a").actor);
  CHECK(world.terminate("a") == "ok");
  CHECK(world.start(world.child("a")) == "already present, but not running");

  CHECK(world.restart_it("a") == "ok");
  CHECK(world.restart_it("a") == "still running");
  CHECK(world.ask_child(handle) == "a 2");
  CHECK(world.handle_of("a") == handle);

  CHECK(world.terminate("a") == "ok");
  CHECK(world.remove("a") == "ok");
  CHECK(world.remove("a") == "not found");
  CHECK(world.restart_it("a") == "not found");
  CHECK(world.terminate("a") == "not found");
  CHECK(world.ask_child(handle) == "closed");
  CHECK(world.start(world.child("a")) == "ok");
  CHECK(world.ask_child(handle) == "closed");
  CHECK(world.ask_child(world.handle_of("a")) == "a 3");
}

TEST_CASE("child_adm: a child that is about to be started again", "[supervisor]") {
  supervised_world world;
  world.begin(slowly, {world.child("a"), world.child("b")});
  end_by(world.info_of("a").actor, way::killed);
  world.await_state("a", child_state::restarting);
  CHECK(world.start(world.child("a")) == "already started");
  CHECK(world.restart_it("a") == "restarting");
  CHECK(world.remove("a") == "restarting");
  CHECK(world.counts().active == 1);
  CHECK(world.terminate("a") == "ok");
  CHECK(world.states() == lines{"a stopped", "b running"});
  world.time.advance(2s);
  world.settle();
  CHECK(world.states() == lines{"a stopped", "b running"});
  CHECK(world.restart_it("a") == "ok");
  CHECK(world.states() == lines{"a running", "b running"});
}

TEST_CASE("child_adm: by handle as by id, and by the actor that runs", "[supervisor]") {
  supervised_world world;
  world.begin({}, {world.child("a"), world.child("b", restart::temporary)});
  const auto a = world.info_of("a");
  CHECK(a.handle != a.actor);
  CHECK(world.terminate(a.actor) == "ok");
  CHECK(world.restart_it(a.actor) == "not found");
  CHECK(world.restart_it(a.handle) == "ok");
  CHECK(world.terminate(a.handle) == "ok");
  CHECK(world.remove(a.handle) == "ok");
  CHECK(world.terminate(a.handle) == "not found");
  const auto b = world.info_of("b");
  CHECK(b.handle == b.actor);
  CHECK(world.terminate(b.handle) == "ok");
  CHECK(world.children().empty());
}

TEST_CASE("child_adm: what it began with can be terminated, deleted and added again, then comes last", "[supervisor]") {
  supervised_world world;
  world.begin({}, {world.child("a"), world.child("b")});
  CHECK(world.terminate("a") == "ok");
  CHECK(world.remove("a") == "ok");
  CHECK(world.start(world.child("a")) == "ok");
  CHECK(world.states() == lines{"b running", "a running"});
  world.news();
  world.stop();
  CHECK(world.news() == lines{"end a", "end b"});
}

TEST_CASE("child_specs: a faulty one is refused with a sentence, and nothing has changed", "[supervisor]") {
  supervised_world world;
  world.begin({}, {world.child("a")});
  auto spec = world.child("b");
  SECTION("no id") {
    spec.id.clear();
    CHECK(world.start(spec) == "a child of top has no id");
  }
  SECTION("no function") {
    spec.start = nullptr;
    CHECK(world.start(spec) == "child top/b has no function that starts it");
  }
  SECTION("the function makes nothing") {
    spec.start = [](const start_context&) -> started_child { return {}; };
    CHECK(world.start(spec) == "its function made no child");
  }
  SECTION("the function throws") {
    spec.start = [](const start_context&) -> started_child { throw std::runtime_error{"no ink"}; };
    CHECK(world.start(spec) == "no ink");
  }
  CHECK(world.states() == lines{"a running"});
  CHECK(world.alive());
}

TEST_CASE("child_specs: a supervisor does not begin with faulty ones, and starts none", "[supervisor]") {
  supervised_world world;
  auto bad = world.child("b");
  std::string expected;
  supervisor_options options;
  SECTION("no id") {
    bad.id.clear();
    expected = "a child of top has no id";
  }
  SECTION("no function") {
    bad.start = nullptr;
    expected = "child top/b has no function that starts it";
  }
  SECTION("two of one id") {
    bad.id = "a";
    expected = "two children of top have the id a";
  }
  SECTION("dynamic") {
    options.strategy = strategy::dynamic;
    expected = "dynamic children of top are started one by one";
  }
  captured_log log;
  world.begin(options, {world.child("a"), bad});
  CHECK(to_text(world.reason()) == expected);
  CHECK(world.log->lines().empty());
  CHECK(log.lines.count("supervisor: top cannot start: " + expected) == 1);
}

TEST_CASE("a start by command that fails is answered with the reason, and the child is forgotten", "[supervisor]") {
  supervised_world world;
  std::atomic<int> failures{1};
  world.begin({}, {world.child("a")});
  CHECK(world.start(world.flaky("b", failures)) == "no paper");
  CHECK(world.states() == lines{"a running"});
  CHECK(world.remove("b") == "not found");
  CHECK(world.start(world.flaky("b", failures)) == "ok");
}

TEST_CASE("a restart by command that fails is answered with the reason, and the child stays stopped", "[supervisor]") {
  supervised_world world;
  std::atomic<int> failures{0};
  world.begin({.intensity = 0}, {world.flaky("a", failures)});
  CHECK(world.terminate("a") == "ok");
  failures = 1;
  CHECK(world.restart_it("a") == "no paper");
  CHECK(world.states() == lines{"a stopped"});
  CHECK(world.restart_it("a") == "ok");
  CHECK(world.alive());
}

TEST_CASE("commands wait for the end of a child, and are carried out in order", "[supervisor]") {
  supervised_world world;
  auto slow = world.child("slow");
  slow.shutdown = 1s;
  world.begin({}, {slow, world.child("b")});
  world.hold("slow");
  world.boss.terminate_child("slow");
  world.boss.restart_child("slow");
  world.boss.terminate_child("b");
  world.boss.delete_child("b");
  world.boss.start_child(world.child("c"));
  world.settle();
  CHECK(world.log->count("end b") == 0);
  world.news();
  world.time.advance(1s);
  CHECK(world.states() == lines{"slow running", "c running"});
  CHECK(world.news() == lines{"end slow", "start slow", "end b", "start c"});
}

TEST_CASE("which_children and count_children tell what there is", "[supervisor]") {
  supervised_world world;
  world.begin({}, {world.child("a"), world.child("b", restart::transient), world.child("c", restart::temporary),
                   supervise("d", {}, {world.child("e")})});
  world.terminate("b");
  const auto all = world.children();
  REQUIRE(all.size() == 4);
  CHECK(world.states() == lines{"a running", "b stopped", "c running", "d running"});
  CHECK(all[0].restart == restart::permanent);
  CHECK(all[1].restart == restart::transient);
  CHECK(all[2].restart == restart::temporary);
  CHECK(all[2].kind == child_kind::worker);
  CHECK(all[3].kind == child_kind::supervisor);
  CHECK(all[3].path == "top/d");
  const auto counts = world.counts();
  CHECK(counts.specs == 4);
  CHECK(counts.active == 3);
  CHECK(counts.workers == 3);
  CHECK(counts.supervisors == 1);
}

TEST_CASE("whoever commands a supervisor that is ending is told so", "[supervisor]") {
  supervised_world world;
  auto slow = world.child("slow");
  slow.shutdown = 1s;
  world.begin({}, {slow});
  world.hold("slow");
  const auto ask = [&](auto command) {
    auto answer = std::make_shared<std::promise<std::string>>();
    caf::anon_send(world.asker, perform{[=, boss = world.boss](probe& self) {
                     boss.request(&self, command)
                         .then([answer](caf::ok_atom) { answer->set_value("ok"); },
                               [answer](caf::error& e) { answer->set_value(to_text(e)); });
                   }});
    return answer->get_future();
  };
  auto begun = ask(terminate_child{"slow"});
  auto waiting = ask(terminate_child{"slow"});
  world.settle();
  world.order_stop();
  world.settle();
  auto late = ask(terminate_child{"slow"});
  for (auto* each : {&begun, &waiting, &late}) {
    REQUIRE(each->wait_for(default_deadline) == std::future_status::ready);
    CHECK(each->get() == "shutting down");
  }
  world.time.advance(1s);
  world.reason();
}
