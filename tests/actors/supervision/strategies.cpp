// What becomes of the siblings of a child that is started again: one for one, one for all, rest for one.
#include "actors/supervision/supervised_world.hpp"

using namespace actnet;
using namespace actnet::test;

namespace {

constexpr supervisor_options with(strategy how, std::uint32_t intensity) {
  return {.strategy = how, .intensity = intensity};
}

constexpr supervisor_options slowly(strategy how, std::uint32_t intensity) {
  return {.strategy = how,
          .intensity = intensity,
          .backoff = {.first = 1s, .most = 1s, .jitter_percent = 0, .reset_after = 1h}};
}

} // namespace

TEST_CASE("one for all restarts all, rest for one those that came after, one for one only the one", "[supervisor]") {
  using strategies = std::pair<strategy, lines>;
  const auto [how, expected] =
      GENERATE(strategies{strategy::one_for_one, {"end b", "start b"}},
               strategies{strategy::one_for_all, {"end b", "end c", "end a", "start a", "start b", "start c"}},
               strategies{strategy::rest_for_one, {"end b", "end c", "start b", "start c"}});
  supervised_world world;
  world.begin(with(how, 1), {world.child("a"), world.child("b"), world.child("c")});
  const auto before = world.children();
  world.news();
  world.fail_child("b");
  CHECK(world.news() == expected);
  const auto after = world.children();
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(after[i].handle == before[i].handle);
    CHECK((after[i].actor == before[i].actor) == (after[i].restarts == 0));
  }
  CHECK(world.alive());
}

TEST_CASE("one_for_one_escalation, one_for_all_escalation, rest_for_one_escalation", "[supervisor]") {
  const auto how = GENERATE(strategy::one_for_one, strategy::one_for_all, strategy::rest_for_one);
  supervised_world world;
  world.begin(with(how, 0), {world.child("a"), world.child("b"), world.child("c")});
  world.news();
  world.fail("b");
  CHECK(code_of(world.reason()) == errc::restart_limit);
  CHECK(world.news() == lines{"end b", "end c", "end a"});
}

TEST_CASE("one_for_one_escalation, ...: a child that does not start again ends its supervisor, after its siblings",
          "[supervisor]") {
  using strategies = std::pair<strategy, lines>;
  const auto [how, expected] =
      GENERATE(strategies{strategy::one_for_one, {"end b", "fail b", "fail b", "fail b", "fail b", "end c", "end a"}},
               strategies{strategy::one_for_all,
                          {"end b", "end c", "end a", "start a", "fail b", "end a", "start a", "fail b", "end a",
                           "start a", "fail b", "end a", "start a", "fail b", "end a"}},
               strategies{strategy::rest_for_one, {"end b", "end c", "fail b", "fail b", "fail b", "fail b", "end a"}});
  supervised_world world;
  std::atomic<int> failures{0};
  world.begin(with(how, 4), {world.child("a"), world.flaky("b", failures), world.child("c")});
  world.news();
  failures = 100;
  end_by(world.info_of("b").actor, way::killed);
  CHECK(code_of(world.reason()) == errc::restart_limit);
  CHECK(world.news() == expected);
}

TEST_CASE("one_for_one_escalation, ...: a child that fails more often than allowed ends its supervisor",
          "[supervisor]") {
  const auto how = GENERATE(strategy::one_for_one, strategy::one_for_all, strategy::rest_for_one);
  supervised_world world;
  world.begin(with(how, 4), {world.child("a"), world.child("b"), world.child("c")});
  for (int i = 0; i < 4; ++i)
    world.fail_child("b");
  CHECK(world.alive());
  world.news();
  world.fail("b");
  CHECK(code_of(world.reason()) == errc::restart_limit);
  CHECK(world.news() == lines{"end b", "end c", "end a"});
}

TEST_CASE("one_for_all_other_child_fails_restart: a sibling does not start, then does at the next attempt",
          "[supervisor]") {
  supervised_world world;
  std::atomic<int> failures{0};
  world.begin(with(strategy::one_for_all, 2), {world.child("a"), world.flaky("b", failures), world.child("c")});
  world.news();
  failures = 1;
  end_by(world.info_of("a").actor, way::killed);
  world.log->expect("start c", 2);
  CHECK(world.states() == lines{"a running", "b running", "c running"});
  CHECK(world.news() ==
        lines{"end a", "end c", "end b", "start a", "fail b", "end a", "start a", "start b", "start c"});
}

TEST_CASE("one_for_all_other_child_fails_restart: a sibling that never starts uses up the intensity", "[supervisor]") {
  supervised_world world;
  std::atomic<int> failures{0};
  world.begin(with(strategy::one_for_all, 2), {world.child("a"), world.flaky("b", failures), world.child("c")});
  world.news();
  failures = 100;
  end_by(world.info_of("c").actor, way::killed);
  CHECK(code_of(world.reason()) == errc::restart_limit);
  CHECK(world.news() == lines{"end c", "end b", "end a", "start a", "fail b", "end a", "start a", "fail b", "end a"});
}

TEST_CASE("rest_for_one_other_child_fails_restart: those before the sibling stay", "[supervisor]") {
  supervised_world world;
  std::atomic<int> failures{0};
  world.begin(with(strategy::rest_for_one, 2),
              {world.child("a"), world.child("b"), world.flaky("c", failures), world.child("d")});
  world.news();
  SECTION("it starts at the next attempt") {
    failures = 1;
    end_by(world.info_of("b").actor, way::killed);
    world.log->expect("start d", 2);
    CHECK(world.states() == lines{"a running", "b running", "c running", "d running"});
    CHECK(world.news() == lines{"end b", "end d", "end c", "start b", "fail c", "start c", "start d"});
  }
  SECTION("it never starts") {
    failures = 100;
    end_by(world.info_of("b").actor, way::killed);
    CHECK(code_of(world.reason()) == errc::restart_limit);
    CHECK(world.news() == lines{"end b", "end d", "end c", "start b", "fail c", "fail c", "end b", "end a"});
  }
}

TEST_CASE("temporary_bystander: a temporary child in a restarted group is ended and gone", "[supervisor]") {
  const auto how = GENERATE(strategy::one_for_all, strategy::rest_for_one);
  supervised_world world;
  world.begin(with(how, 1), {world.child("t", restart::temporary), world.child("a"),
                             world.child("u", restart::temporary), world.child("b")});
  const auto bystander = world.handle_of("u");
  world.fail_child("a");
  CHECK(world.states() == (how == strategy::one_for_all ? lines{"a running", "b running"}
                                                        : lines{"t running", "a running", "b running"}));
  CHECK(world.log->count("start u") == 1);
  CHECK(world.log->count("end u") == 1);
  CHECK(world.restart_it("u") == "not found");
}

TEST_CASE("a temporary child that fails restarts nobody", "[supervisor]") {
  const auto how = GENERATE(strategy::one_for_all, strategy::rest_for_one);
  supervised_world world;
  world.begin(with(how, 0), {world.child("t", restart::temporary), world.child("a")});
  world.end_child("t", caf::exit_reason::kill);
  REQUIRE(eventually([&] { return world.children().size() == 1; }));
  CHECK(world.alive());
  CHECK(world.log->count("start a") == 1);
}

TEST_CASE("a restarted group starts also those of it that were stopped", "[supervisor]") {
  supervised_world world;
  world.begin(with(strategy::one_for_all, 1),
              {world.child("a"), world.child("b", restart::transient), world.child("c")});
  end_by(world.info_of("b").actor, way::normally);
  world.await_state("b", child_state::stopped);
  CHECK(world.terminate("c") == "ok");
  world.fail_child("a");
  CHECK(world.states() == lines{"a running", "b running", "c running"});
}

TEST_CASE("a child added later belongs to the group, as its last", "[supervisor]") {
  supervised_world world;
  world.begin(with(strategy::rest_for_one, 2), {world.child("a")});
  CHECK(world.start(world.child("b")) == "ok");
  world.news();
  world.fail_child("b");
  CHECK(world.news() == lines{"end b", "start b"});
  world.fail_child("a");
  CHECK(world.news() == lines{"end a", "end b", "start a", "start b"});
}

TEST_CASE("siblings of a restarted group are ended as their shutdown says", "[supervisor]") {
  supervised_world world;
  auto slow = world.child("slow");
  slow.shutdown = 1s;
  auto brutal = world.child("brutal");
  brutal.shutdown = shutdown::brutal();
  world.begin(with(strategy::one_for_all, 1), {world.child("a"), slow, brutal});
  world.hold("slow");
  world.hold("brutal");
  const auto handle = world.handle_of("slow");
  end_by(world.info_of("a").actor, way::killed);
  world.log->expect("end brutal");
  world.settle();
  CHECK(world.log->count("end slow") == 0);
  CHECK(world.log->count("start a") == 1);
  world.time.advance(1s);
  world.log->expect("start brutal", 2);
  CHECK(world.ask_child(handle) == "slow 2");
}

TEST_CASE("siblings that fail together are one failure of the group", "[supervisor]") {
  supervised_world world;
  const auto options = GENERATE(with(strategy::one_for_all, 1), slowly(strategy::one_for_all, 1));
  world.begin(options, {world.child("a"), world.child("b"), world.child("c")});
  const auto all = world.children();
  world.in(world.asker, [&](probe&) { // all three have ended before the supervisor hears of the first
    for (const auto& each : all)
      end_by(each.actor, way::killed);
  });
  for (const auto& each : all)
    world.log->expect("end " + each.id);
  CHECK(world.alive());
  world.time.advance(1s);
  for (const auto& each : all)
    world.log->expect("start " + each.id, 2);
  CHECK(world.states() == lines{"a running", "b running", "c running"});
}

TEST_CASE("a group waits together for its next start", "[supervisor]") {
  const auto how = GENERATE(strategy::one_for_all, strategy::rest_for_one);
  supervised_world world;
  world.begin(slowly(how, 5), {world.child("a"), world.child("b"), world.child("c")});
  world.news();
  end_by(world.info_of("a").actor, way::killed);
  world.log->expect("end b");
  CHECK(world.states() == lines{"a restarting", "b restarting", "c restarting"});
  SECTION("and comes back") {
    world.time.advance(1s);
    world.log->expect("start c", 2);
    CHECK(world.states() == lines{"a running", "b running", "c running"});
  }
  SECTION("one that is terminated meanwhile is in it all the same") {
    CHECK(world.terminate("b") == "ok");
    CHECK(world.states() == lines{"a restarting", "b stopped", "c restarting"});
    world.time.advance(1s);
    world.log->expect("start c", 2);
    CHECK(world.states() == lines{"a running", "b running", "c running"});
  }
  SECTION("or stays ended, if the one that failed is terminated") {
    CHECK(world.terminate("a") == "ok");
    CHECK(world.states() == lines{"a stopped", "b stopped", "c stopped"});
    world.time.advance(2s);
    world.settle();
    CHECK(world.log->count_like("start ") == 3);
    CHECK(world.restart_it("b") == "ok");
    CHECK(world.restart_it("a") == "ok");
    CHECK(world.remove("c") == "ok");
    CHECK(world.states() == lines{"a running", "b running"});
  }
  SECTION("or ends with its supervisor") {
    world.stop();
    CHECK(world.log->count_like("start ") == 3);
  }
}
