// Which children are started again: permanent, transient and temporary ones, each ending in every way.
#include "actors/supervision/supervised_world.hpp"

using namespace actnet;
using namespace actnet::test;

TEST_CASE("permanent_normal, transient_abnormal, temporary_shutdown, ...: each class ends in every way",
          "[supervisor]") {
  const auto kind = GENERATE(restart::permanent, restart::transient, restart::temporary);
  const auto how = GENERATE(values(every_way));
  CAPTURE(kind, how);
  const bool again = kind == restart::permanent || (kind == restart::transient && is_abnormal(how));
  supervised_world world;
  world.begin({.intensity = 1}, {world.child("a", kind), world.child("b")});
  const auto handle = world.handle_of("a");
  const auto before = world.info_of("a").actor;
  world.news();
  end_by(before, how);
  world.log->expect("end a");
  if (again) {
    world.log->expect("start a", 2);
    CHECK(world.ask_child(handle) == "a 2");
    CHECK(world.info_of("a").actor != before);
    CHECK(world.info_of("a").restarts == 1);
    CHECK(world.news() == lines{"end a", "start a"});
  } else if (kind == restart::transient) {
    world.await_state("a", child_state::stopped);
    CHECK(world.ask_child(handle) == "not running");
    CHECK(world.restart_it("a") == "ok");
    CHECK(world.ask_child(handle) == "a 2");
  } else {
    REQUIRE(eventually([&] { return world.children().size() == 1; }));
    CHECK(world.restart_it("a") == "not found");
    CHECK(world.terminate("a") == "not found");
    CHECK(world.start(world.child("a", kind)) == "ok");
  }
  CHECK(world.alive());
}

TEST_CASE("temporary_abnormal: however often temporary children fail, their supervisor stays", "[supervisor]") {
  supervised_world world;
  world.begin({.intensity = 0}, {world.child("b")});
  for (int i = 0; i < 20; ++i) {
    REQUIRE(world.start(world.child("a", restart::temporary)) == "ok");
    end_by(world.info_of("a").actor, way::by_exception);
    REQUIRE(eventually([&] { return world.children().size() == 1; }));
  }
  CHECK(world.alive());
  CHECK(world.log->count("end b") == 0);
}

TEST_CASE("a transient child that is started again fails again, and ends normally at last", "[supervisor]") {
  supervised_world world;
  world.begin({.intensity = 5}, {world.child("a", restart::transient)});
  for (int i = 0; i < 3; ++i)
    world.fail_child("a");
  end_by(world.info_of("a").actor, way::normally);
  world.await_state("a", child_state::stopped);
  CHECK(world.log->count("start a") == 4);
}

TEST_CASE("multiple_restarts: a child that fails again and again, but never too often, is started again each time",
          "[supervisor]") {
  supervised_world world;
  world.begin({.intensity = 1, .period = 1s}, {world.child("a"), world.child("b")});
  const auto handle = world.handle_of("a");
  for (int life = 2; life <= 20; ++life) {
    end_by(world.info_of("a").actor, life % 2 == 0 ? way::killed : way::by_exception);
    world.log->expect("start a", std::size_t(life));
    CHECK(world.ask_child(handle) == "a " + std::to_string(life));
    world.time.advance(1001ms);
  }
  CHECK(world.alive());
  CHECK(world.info_of("a").restarts == 19);
  CHECK(world.log->count("end b") == 0);
  world.fail_child("a"); // and then twice within the period
  world.fail("a");
  CHECK(code_of(world.reason()) == errc::restart_limit);
  CHECK(world.log->count("end b") == 1);
}

TEST_CASE("many children that fail at once are all started again", "[supervisor]") {
  constexpr int many = 50;
  supervised_world world;
  std::vector<child_spec> specs;
  for (int i = 0; i < many; ++i)
    specs.push_back(world.child(std::to_string(i)));
  world.begin({.intensity = many}, std::move(specs));
  const auto before = world.children();
  for (const auto& each : before)
    end_by(each.actor, way::killed);
  for (const auto& each : before)
    world.log->expect("start " + each.id, 2);
  const auto after = world.children();
  REQUIRE(after.size() == many);
  for (std::size_t i = 0; i < many; ++i) {
    CHECK(after[i].state == child_state::running);
    CHECK(after[i].handle == before[i].handle);
    CHECK(after[i].actor != before[i].actor);
  }
  CHECK(world.alive());
}

TEST_CASE("a child that is terminated by command does not count as a failure, whatever its class", "[supervisor]") {
  const auto kind = GENERATE(restart::permanent, restart::transient);
  supervised_world world;
  world.begin({.intensity = 0}, {world.child("a", kind)});
  for (int i = 0; i < 5; ++i) {
    CHECK(world.terminate("a") == "ok");
    CHECK(world.restart_it("a") == "ok");
  }
  CHECK(world.alive());
}
