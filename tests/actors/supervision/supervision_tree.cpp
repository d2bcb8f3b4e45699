// Supervisors of supervisors: escalation from one level to the next, and trees that end.
#include "actors/supervision/supervised_world.hpp"

using namespace actnet;
using namespace actnet::test;

namespace {

/// A nested supervisor with its restart class.
child_spec nested(std::string id, supervisor_options options, std::vector<child_spec> children,
                  restart kind = restart::permanent) {
  auto spec = supervise(std::move(id), options, std::move(children));
  spec.restart = kind;
  return spec;
}

struct tree_world : supervised_world {
  /// The child of a supervisor that is a child of the root.
  caf::actor below(const std::string& supervisor_id, const std::string& id) {
    const handle inner{caf::actor_cast<caf::strong_actor_ptr>(info_of(supervisor_id).actor)};
    for (const auto& each : children_of(inner))
      if (each.id == id)
        return each.actor;
    FAIL("no child " << id);
    return {};
  }
};

} // namespace

TEST_CASE("a supervisor that gives up is started again by its own, with new children", "[supervisor]") {
  tree_world world;
  world.begin({.intensity = 1},
              {nested("x", {.intensity = 1}, {world.child("a"), world.child("b")}), world.child("c")});
  const auto inner = world.info_of("x");
  world.news();
  end_by(world.below("x", "a"), way::killed);
  world.log->expect("start a", 2);
  CHECK(world.info_of("x").actor == inner.actor);
  end_by(world.below("x", "a"), way::killed);
  world.log->expect("start b", 2);
  CHECK(world.news() == lines{"end a", "start a", "end a", "end b", "start a", "start b"});
  world.await_state("x", child_state::running);
  CHECK(world.info_of("x").handle == inner.handle);
  CHECK(world.info_of("x").actor != inner.actor);
  CHECK(world.alive());
  CHECK(world.log->count("end c") == 0);
}

TEST_CASE("escalation: a child that keeps failing ends two levels of supervisors", "[supervisor]") {
  tree_world world;
  world.begin({.intensity = 1},
              {world.child("c"), nested("x", {.intensity = 1}, {world.child("b"), world.child("a")})});
  for (std::size_t round = 1; round <= 4; ++round) {
    world.log->expect("start a", round);
    if (round < 4)
      world.await_state("x", child_state::running);
    end_by(world.below("x", "a"), way::killed);
    world.log->expect("end a", round);
  }
  const auto why = world.reason();
  CHECK(code_of(why) == errc::restart_limit);
  CHECK(to_text(why).find("top gives up") != std::string::npos);
  CHECK(world.log->count("start a") == 4); // two for each life of x
  CHECK(world.log->count("start b") == 2);
  CHECK(world.log->count("end b") == 2);
  CHECK(world.log->count("end c") == 1);
}

TEST_CASE("a transient or temporary supervisor that gave up is not started again", "[supervisor]") {
  const auto kind = GENERATE(restart::transient, restart::temporary);
  tree_world world;
  world.begin({.intensity = 0}, {nested("x", {.intensity = 0}, {world.child("a")}, kind), world.child("c")});
  end_by(world.below("x", "a"), way::killed);
  REQUIRE(eventually([&] {
    return world.states() == (kind == restart::transient ? lines{"x stopped", "c running"} : lines{"c running"});
  }));
  CHECK(world.log->count("start a") == 1);
  CHECK(world.alive());
}

TEST_CASE("a transient supervisor that is killed is started again, its children were killed", "[supervisor]") {
  tree_world world;
  world.begin({.intensity = 1},
              {nested("x", {}, {world.child("a"), nested("y", {}, {world.child("b")})}, restart::transient)});
  end_by(world.info_of("x").actor, way::killed);
  world.log->expect("start b", 2);
  world.await_state("x", child_state::running);
  CHECK(world.log->count("end a") == 1);
  CHECK(world.log->count("end b") == 1);
  CHECK(world.log->count("start a") == 2);
}

TEST_CASE("a supervisor that is a sibling of a failed child is restarted with all its own", "[supervisor]") {
  tree_world world;
  world.begin({.strategy = strategy::one_for_all, .intensity = 1},
              {world.child("c"), nested("x", {}, {world.child("a"), world.child("b")})});
  world.news();
  end_by(world.info_of("c").actor, way::killed);
  world.log->expect("start b", 2);
  CHECK(world.news() == lines{"end c", "end b", "end a", "start c", "start a", "start b"});
  CHECK(world.states() == lines{"c running", "x running"});
}

TEST_CASE("a supervisor whose children do not start again with it counts as a failed start", "[supervisor]") {
  tree_world world;
  std::atomic<int> failures{0};
  world.begin({.intensity = 3}, {nested("x", {.intensity = 0}, {world.child("a"), world.flaky("b", failures)})});
  world.news();
  failures = 2;
  end_by(world.below("x", "b"), way::killed);
  world.log->expect("start b", 2);
  world.await_state("x", child_state::running);
  CHECK(world.news() ==
        lines{"end b", "end a", "start a", "fail b", "end a", "start a", "fail b", "end a", "start a", "start b"});
  CHECK(world.alive());
  failures = 100;
  end_by(world.below("x", "b"), way::killed);
  CHECK(code_of(world.reason()) == errc::restart_limit);
}

TEST_CASE("a nested supervisor ends its children in their order and time, however long that takes", "[supervisor]") {
  tree_world world;
  auto slow = world.child("slow");
  slow.shutdown = 60s;
  world.begin({}, {world.child("c"), nested("x", {}, {world.child("a"), slow, world.child("b")})});
  caf::anon_send(world.below("x", "slow"), hold_on{});
  world.news();
  world.order_stop();
  world.log->expect("end b");
  world.settle();
  world.time.advance(59s);
  CHECK(world.alive());
  world.time.advance(1s);
  world.reason();
  CHECK(world.news() == lines{"end b", "end slow", "end a", "end c"});
}

TEST_CASE("a nested supervisor with a time to end is killed after it, and its children with it", "[supervisor]") {
  tree_world world;
  auto held = world.child("held");
  held.shutdown = shutdown::infinity();
  auto inner = nested("x", {}, {held});
  inner.shutdown = 1s;
  world.begin({}, {inner});
  caf::anon_send(world.below("x", "held"), hold_on{});
  world.order_stop();
  world.settle();
  CHECK(world.alive());
  world.time.advance(1s);
  world.reason();
  world.log->expect("end held");
}

TEST_CASE("a deep tree that is killed at its root, in its middle or at a leaf", "[supervisor]") {
  tree_world world;
  auto tree = nested("9", {}, {world.child("leaf")});
  for (int level = 8; level > 0; --level)
    tree = nested(std::to_string(level), {}, {world.child("w" + std::to_string(level)), std::move(tree)});
  world.begin({.intensity = 5}, {std::move(tree)});
  world.log->expect("start leaf");
  SECTION("root") {
    world.kill(world.boss.actor());
    CHECK(world.reason() == caf::exit_reason::kill);
  }
  SECTION("in the middle") {
    end_by(world.below("1", "2"), way::killed);
    world.log->expect("start leaf", 2);
    CHECK(world.log->count("start w1") == 1);
    CHECK(world.log->count("start w2") == 2);
    CHECK(world.log->count("end leaf") == 1);
    world.stop();
  }
  SECTION("orderly") {
    world.stop();
  }
  REQUIRE(eventually([&] { return world.log->count_like("start ") == world.log->count_like("end "); }));
}
