// Supervisors: starting, ending and starting again, in the scenarios of OTP's supervisor_SUITE.
#include "actors/supervision/supervised_world.hpp"

using namespace actnet;
using namespace actnet::test;

TEST_CASE("children are started in order and ended in the reverse", "[supervisor]") {
  supervised_world world;
  world.begin({}, {world.child("a"), world.child("b"), world.child("c")});
  CHECK(world.log->lines() == lines{"start a", "start b", "start c"});
  world.stop();
  CHECK(world.log->lines() == lines{"start a", "start b", "start c", "end c", "end b", "end a"});
}

TEST_CASE("a start that fails ends what was started, and the supervisor with the child's reason", "[supervisor]") {
  supervised_world world;
  auto bad = world.child("bad");
  bad.start = [](const start_context&) -> started_child { throw std::runtime_error{"no paper"}; };
  world.begin({}, {world.child("a"), world.child("b"), bad, world.child("c")});
  CHECK(to_text(world.reason()) == "no paper");
  CHECK(world.log->lines() == lines{"start a", "start b", "end b", "end a"});
}

TEST_CASE("permanent, transient and temporary children end normally, by shutdown and abnormally", "[supervisor]") {
  using enum caf::exit_reason;
  const auto kind = GENERATE(restart::permanent, restart::transient, restart::temporary);
  const auto how = GENERATE(normal, user_shutdown, kill);
  const bool again = kind == restart::permanent || (kind == restart::transient && how == kill);
  supervised_world world;
  world.begin({.intensity = 3}, {world.child("a", kind)});
  const auto handle = world.handle_of("a");
  world.end_child("a", how);
  if (again) {
    world.log->expect("start a", 2);
    CHECK(world.ask_child(handle) == "a 2");
    CHECK(world.children().front().restarts == 1);
  } else if (kind == restart::transient) {
    REQUIRE(eventually([&] { return world.children().front().state == child_state::stopped; }));
    CHECK(world.ask_child(handle) == "not running");
  } else {
    REQUIRE(eventually([&] { return world.children().empty(); }));
  }
  CHECK(world.alive());
}

TEST_CASE("more restarts than the intensity within the period end the supervisor", "[supervisor]") {
  supervised_world world;
  world.begin({.intensity = 2, .period = 5s}, {world.child("a"), world.child("b")});
  for (int i = 0; i < 2; ++i)
    world.fail_child("a");
  world.time.advance(6s);
  for (int i = 0; i < 2; ++i)
    world.fail_child("a");
  CHECK(world.alive());
  world.fail("a");
  CHECK(code_of(world.reason()) == errc::restart_limit);
  CHECK(world.log->count("end b") == 1);
}

TEST_CASE("one for all restarts all, rest for one those that came after, one for one only the one", "[supervisor]") {
  using strategies = std::pair<strategy, lines>;
  const auto [how, expected] =
      GENERATE(strategies{strategy::one_for_one, {"end b", "start b"}},
               strategies{strategy::one_for_all, {"end b", "end c", "end a", "start a", "start b", "start c"}},
               strategies{strategy::rest_for_one, {"end b", "end c", "start b", "start c"}});
  supervised_world world;
  world.begin({.strategy = how, .intensity = 5}, {world.child("a"), world.child("b"), world.child("c")});
  world.fail_child("b");
  auto all = world.log->lines();
  all.erase(all.begin(), all.begin() + 3);
  CHECK(all == expected);
}

TEST_CASE("a child that hangs is killed after its time, a brutal one at once", "[supervisor]") {
  supervised_world world;
  auto slow = world.child("slow");
  slow.shutdown = 300ms;
  auto brutal = world.child("brutal");
  brutal.shutdown = shutdown::brutal();
  world.begin({}, {slow, brutal});
  world.hold("slow");
  world.hold("brutal");
  world.order_stop();
  REQUIRE(eventually([&] { return world.log->count("end brutal") == 1; }));
  world.settle();
  CHECK(world.log->count("end slow") == 0);
  world.time.advance(301ms);
  CHECK(eventually([&] { return world.log->count("end slow") == 1; }));
  world.reason();
}

TEST_CASE("after a restart with backoff the child comes back when its time has come", "[supervisor]") {
  supervised_world world;
  supervisor_options options{.intensity = 10};
  options.backoff = {.first = 100ms, .most = 400ms, .jitter_percent = 0, .reset_after = 1s};
  world.begin(options, {world.child("a")});
  const auto handle = world.handle_of("a");
  for (const auto delay : {100ms, 200ms, 400ms, 400ms}) {
    const auto before = world.log->count("start a");
    world.fail("a");
    REQUIRE(eventually([&] { return world.children().front().state == child_state::restarting; }));
    CHECK(world.ask_child(handle) == "restarting");
    world.time.advance(delay - 1ms);
    world.settle();
    CHECK(world.log->count("start a") == before);
    world.time.advance(1ms);
    world.log->expect("start a", before + 1);
  }
  CHECK(world.ask_child(handle) == "a 5");
}
