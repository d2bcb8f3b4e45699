// Supervisors that start and end: the sup_start and sup_stop cases of OTP's supervisor_SUITE.
#include "actors/supervision/supervised_world.hpp"

using namespace actnet;
using namespace actnet::test;

TEST_CASE("sup_start_normal: children are started in order and ended in the reverse", "[supervisor]") {
  supervised_world world;
  world.begin({}, {world.child("a"), world.child("b"), world.child("c")});
  CHECK(world.news() == lines{"start a", "start b", "start c"});
  CHECK(world.states() == lines{"a running", "b running", "c running"});
  world.stop();
  CHECK(world.news() == lines{"end c", "end b", "end a"});
}

TEST_CASE("sup_start_ignore_child: a supervisor without children lives until it is told to end", "[supervisor]") {
  supervised_world world;
  world.begin({});
  CHECK(world.counts().specs == 0);
  caf::anon_send_exit(world.boss.actor(), caf::exit_reason::normal); // says nothing
  CHECK(world.alive());
  world.order_stop();
  CHECK(world.reason() == caf::exit_reason::user_shutdown);
}

TEST_CASE("sup_start_fail: a start that fails ends what was started, and the supervisor with the child's reason",
          "[supervisor]") {
  supervised_world world;
  std::atomic<int> failures{1};
  const auto kind = GENERATE(restart::permanent, restart::transient, restart::temporary);
  world.begin({.intensity = 9},
              {world.child("a"), world.child("b", kind), world.flaky("bad", failures, kind), world.child("c")});
  CHECK(to_text(world.reason()) == "no paper");
  CHECK(world.news() == lines{"start a", "start b", "fail bad", "end b", "end a"});
}

TEST_CASE("sup_start_fail: a supervisor among the children that does not start", "[supervisor]") {
  supervised_world world;
  std::atomic<int> failures{1};
  world.begin({}, {world.child("a"),
                   supervise("inner", {}, {world.child("b"), world.flaky("bad", failures), world.child("c")}),
                   world.child("d")});
  CHECK(to_text(world.reason()) == "no paper");
  CHECK(world.news() == lines{"start a", "start b", "fail bad", "end b", "end a"});
}

TEST_CASE("a child is started when those before it have been, supervisors with all that is theirs", "[supervisor]") {
  supervised_world world;
  world.begin({}, {supervise("x", {}, {world.child("a"), supervise("y", {}, {world.child("b")}), world.child("c")}),
                   world.child("d")});
  world.log->expect("start d");
  CHECK(world.news() == lines{"start a", "start b", "start c", "start d"});
  world.stop();
  CHECK(world.news() == lines{"end d", "end c", "end b", "end a"});
}

TEST_CASE("a child that ends while others are still being started is started again after them", "[supervisor]") {
  supervised_world world;
  auto short_lived = world.child("a");
  short_lived.start = [start = short_lived.start, &world](const start_context& my) {
    auto made = start(my);
    if (world.numbers["a"] == 1)
      caf::anon_send_exit(made.who, caf::exit_reason::kill);
    return made;
  };
  world.begin({}, {short_lived, supervise("x", {}, {world.child("b")}), world.child("c")});
  world.log->expect("start a", 2);
  CHECK(world.children().front().state == child_state::running);
  auto starts = world.log->lines();
  std::erase(starts, "end a");
  CHECK(starts == lines{"start a", "start b", "start c", "start a"});
}

TEST_CASE("a supervisor told to end while it starts ends what it has started", "[supervisor]") {
  supervised_world world;
  auto ordering = world.child("b");
  ordering.start = [start = ordering.start](const start_context& my) {
    caf::anon_send_exit(my.parent(), caf::exit_reason::user_shutdown);
    return start(my);
  };
  world.begin({}, {world.child("a"), ordering, supervise("x", {}, {world.child("c")}), world.child("d")});
  CHECK(world.reason() == caf::exit_reason::user_shutdown);
  CHECK(world.log->count("start d") == 0);
  CHECK(world.log->count_like("start ") == world.log->count_like("end "));
}

TEST_CASE("sup_stop_infinity: a child is waited for without end", "[supervisor]") {
  supervised_world world;
  auto slow = world.child("slow");
  slow.shutdown = shutdown::infinity();
  world.begin({}, {world.child("a"), slow});
  const auto who = world.info_of("slow").actor;
  world.hold("slow");
  world.order_stop();
  world.settle();
  world.time.advance(24h);
  CHECK(world.alive());
  CHECK(world.log->count_like("end ") == 0);
  end_by(who, way::normally);
  CHECK(world.reason() == caf::exit_reason::user_shutdown);
  CHECK(world.log->count("end a") == 1);
}

TEST_CASE("sup_stop_timeout: a child that does not end in time is killed, and only then comes the next",
          "[supervisor]") {
  supervised_world world;
  auto first = world.child("first");
  auto second = world.child("second");
  first.shutdown = 1s;
  second.shutdown = 2s;
  world.begin({}, {first, second, world.child("c")});
  world.hold("first");
  world.hold("second");
  world.news();
  world.order_stop();
  world.log->expect("end c");
  world.settle();
  world.time.advance(2s - 1ms);
  CHECK(world.alive());
  CHECK(world.log->count("end second") == 0);
  world.time.advance(1ms);
  world.log->expect("end second");
  world.settle();
  world.time.advance(1s - 1ms);
  CHECK(world.alive());
  CHECK(world.log->count("end first") == 0);
  world.time.advance(1ms);
  CHECK(world.reason() == caf::exit_reason::user_shutdown);
  CHECK(world.news() == lines{"end c", "end second", "end first"});
}

TEST_CASE("sup_stop_timeout: a child that ends in time is not killed", "[supervisor]") {
  supervised_world world;
  auto slow = world.child("slow");
  slow.shutdown = 1s;
  world.begin({}, {slow});
  const auto who = world.info_of("slow").actor;
  world.hold("slow");
  captured_log log;
  world.order_stop();
  world.settle();
  world.time.advance(999ms);
  end_by(who, way::normally);
  world.reason();
  CHECK(log.lines.count_like("supervisor: top/slow does not end in time") == 0);
}

TEST_CASE("sup_stop_brutal_kill: a brutal child is killed at once", "[supervisor]") {
  supervised_world world;
  auto brutal = world.child("brutal");
  brutal.shutdown = shutdown::brutal();
  world.begin({}, {world.child("a"), brutal});
  world.hold("brutal");
  world.news();
  world.stop();
  CHECK(world.news() == lines{"end brutal", "end a"});
}

TEST_CASE("a supervisor told to end twice ends once, with the first reason", "[supervisor]") {
  supervised_world world;
  auto slow = world.child("slow");
  slow.shutdown = 1s;
  world.begin({}, {slow});
  world.hold("slow");
  world.order_stop();
  caf::anon_send_exit(world.boss.actor(), caf::exit_reason::unreachable);
  CHECK(world.alive());
  world.time.advance(1s);
  CHECK(world.reason() == caf::exit_reason::user_shutdown);
  CHECK(world.log->count("end slow") == 1);
}

TEST_CASE("a supervisor that is killed leaves nobody behind", "[supervisor]") {
  supervised_world world;
  auto held = world.child("held");
  held.shutdown = shutdown::infinity();
  world.begin({},
              {world.child("a"), held, supervise("x", {}, {world.child("b"), supervise("y", {}, {world.child("c")})}),
               world.child("d", restart::temporary)});
  world.hold("held");
  const auto handle = world.handle_of("a");
  SECTION("as it runs") {
    world.kill(world.boss.actor());
  }
  SECTION("while it ends") {
    world.order_stop();
    world.settle();
    world.kill(world.boss.actor());
  }
  CHECK(world.reason() == caf::exit_reason::kill);
  for (const auto* each : {"a", "held", "b", "c", "d"})
    world.log->expect(std::string{"end "} + each);
  CHECK(world.ask_child(handle) == "closed");
}
