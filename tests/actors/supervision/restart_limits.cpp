// When restarts are too many, how long they wait, and that a supervisor answers all the while.
#include "actors/supervision/supervised_world.hpp"

using namespace actnet;
using namespace actnet::test;

namespace {

constexpr backoff_options doubling{.first = 100ms, .most = 400ms, .jitter_percent = 0, .reset_after = 10s};

} // namespace

TEST_CASE("more restarts than the intensity within the period end the supervisor", "[supervisor]") {
  supervised_world world;
  world.begin({.intensity = 2, .period = 5s}, {world.child("a"), world.child("b")});
  for (int i = 0; i < 2; ++i)
    world.fail_child("a");
  world.time.advance(5001ms);
  for (int i = 0; i < 2; ++i)
    world.fail_child("a");
  CHECK(world.alive());
  SECTION("a third one at the period's end is one too many") {
    world.time.advance(5s);
    world.fail("a");
    CHECK(code_of(world.reason()) == errc::restart_limit);
    CHECK(world.log->count("end b") == 1);
  }
  SECTION("but not after it") {
    world.time.advance(5001ms);
    world.fail_child("a");
    CHECK(world.alive());
  }
}

TEST_CASE("the failures of all children count together", "[supervisor]") {
  supervised_world world;
  world.begin({.intensity = 2}, {world.child("a"), world.child("b"), world.child("c")});
  world.fail_child("a");
  world.fail_child("b");
  CHECK(world.alive());
  world.fail("c");
  CHECK(to_text(world.reason()) == "top gives up: more than 2 restarts within 5 s, the last for top/c: out of order");
}

TEST_CASE("an intensity of zero allows no restart at all", "[supervisor]") {
  supervised_world world;
  world.begin({.intensity = 0}, {world.child("a")});
  world.fail("a");
  CHECK(code_of(world.reason()) == errc::restart_limit);
  CHECK(world.log->count("start a") == 1);
}

TEST_CASE("after a restart with backoff the child comes back when its time has come", "[supervisor]") {
  supervised_world world;
  world.begin({.intensity = 10, .backoff = doubling}, {world.child("a")});
  const auto handle = world.handle_of("a");
  for (const auto delay : {100ms, 200ms, 400ms, 400ms}) {
    const auto before = world.log->count("start a");
    world.fail("a");
    world.await_state("a", child_state::restarting);
    CHECK(world.ask_child(handle) == "restarting");
    world.time.advance(delay - 1ms);
    world.settle();
    CHECK(world.log->count("start a") == before);
    world.time.advance(1ms);
    world.log->expect("start a", before + 1);
  }
  CHECK(world.ask_child(handle) == "a 5");
}

TEST_CASE("a child that has lasted begins again at the first delay", "[supervisor]") {
  supervised_world world;
  world.begin({.intensity = 10, .backoff = doubling}, {world.child("a")});
  for (const auto delay : {100ms, 200ms}) {
    world.fail("a");
    world.await_state("a", child_state::restarting);
    world.time.advance(delay);
    world.await_state("a", child_state::running);
  }
  world.time.advance(10s);
  world.fail("a");
  world.await_state("a", child_state::restarting);
  world.time.advance(100ms);
  world.log->expect("start a", 4);
}

TEST_CASE("delays of a child that does not start stay long, however long that goes on", "[supervisor]") {
  supervised_world world;
  std::atomic<int> failures{0};
  world.begin({.intensity = 1000, .backoff = doubling}, {world.flaky("a", failures)});
  failures = 1000;
  world.fail("a");
  world.await_state("a", child_state::restarting);
  const auto attempt = [&](std::chrono::milliseconds delay) { // the next start comes after it, and fails
    const auto before = world.log->count("fail a");
    (void)world.states(); // the one before is over, and its successor is due
    world.time.advance(delay);
    world.log->expect("fail a", before + 1);
  };
  attempt(100ms);
  attempt(200ms);
  for (int i = 0; i < 50; ++i)
    attempt(400ms);
  const auto before = world.log->count("fail a");
  (void)world.states();
  world.time.advance(399ms);
  (void)world.states();
  CHECK(world.log->count("fail a") == before);
}

TEST_CASE("hanging_restart_loop: a supervisor answers while a child of it never starts", "[supervisor]") {
  supervised_world world;
  std::atomic<int> failures{0};
  world.begin({.intensity = 8, .period = 10s, .backoff = doubling}, {world.flaky("a", failures), world.child("b")});
  failures = 100;
  world.fail("a");
  world.await_state("a", child_state::restarting);
  SECTION("and whoever is told to end it does") {
    for (int i = 0; i < 3; ++i) {
      CHECK(world.states() == lines{"a restarting", "b running"});
      CHECK(world.counts().active == 1);
      CHECK(world.start(world.child("a")) == "already started");
      CHECK(world.restart_it("a") == "restarting");
      CHECK(world.remove("a") == "restarting");
      CHECK(world.start(world.child("c" + std::to_string(i))) == "ok");
      CHECK(world.terminate("c" + std::to_string(i)) == "ok");
      CHECK(world.remove("c" + std::to_string(i)) == "ok");
      world.time.advance(400ms);
      world.settle();
    }
    CHECK(world.terminate("a") == "ok");
    CHECK(world.remove("a") == "ok");
    CHECK(world.states() == lines{"b running"});
  }
  SECTION("until it gives up") {
    for (int i = 0; i < 9; ++i) {
      world.settle();
      world.time.advance(400ms);
    }
    CHECK(code_of(world.reason()) == errc::restart_limit);
    CHECK(world.log->count("fail a") == 8);
    CHECK(world.log->count("end b") == 1);
  }
  SECTION("and ends when told to") {
    world.stop();
    CHECK(world.log->count("end b") == 1);
  }
}

TEST_CASE("hanging_restart_loop: without backoff too, others on its loop have their turns", "[supervisor]") {
  supervised_world world;
  std::atomic<int> failures{0};
  world.begin({.intensity = 200'000}, {world.flaky("a", failures), world.child("b")});
  captured_log quiet;
  failures = 200'000;
  world.fail("a");
  world.log->expect("fail a", 10);
  CHECK(world.terminate("a") == "ok");
  const auto tried = world.log->count("fail a");
  world.settle();
  CHECK(world.log->count("fail a") == tried);
  CHECK(world.states() == lines{"a stopped", "b running"});
}

TEST_CASE("hanging_restart_loop_rest_for_one: those before a child that never starts go on", "[supervisor]") {
  supervised_world world;
  std::atomic<int> failures{0};
  world.begin({.strategy = strategy::rest_for_one, .intensity = 8, .period = 10s, .backoff = doubling},
              {world.child("a"), world.flaky("b", failures), world.child("c")});
  failures = 100;
  world.fail("b");
  world.log->expect("end c");
  CHECK(world.states() == lines{"a running", "b restarting", "c restarting"});
  CHECK(world.restart_it("c") == "restarting");
  CHECK(world.terminate("c") == "ok");
  CHECK(world.remove("c") == "ok");
  CHECK(world.states() == lines{"a running", "b restarting"});
  failures = 0;
  world.time.advance(400ms);
  world.await_state("b", child_state::running);
  CHECK(world.log->count("start a") == 1);
}
