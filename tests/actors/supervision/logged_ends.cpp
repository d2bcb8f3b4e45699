// What a supervisor writes down of the ends of its children: path, reason, and what follows.
#include "actors/supervision/supervised_world.hpp"

using namespace actnet;
using namespace actnet::test;

namespace {

/// The reason as the log tells it.
std::string in_words(way how) {
  switch (how) {
  case way::normally: return "normally";
  case way::by_shutdown: return to_text(caf::exit_reason::user_shutdown);
  case way::with_an_error: return to_text(caf::exit_reason::unreachable);
  case way::killed: return "killed";
  case way::by_exception: return "out of order";
  }
  return {};
}

/// Promises an answer that it never gives.
class promising final : public handler {
 public:
  using handler::handler;
  caf::behavior make_behavior() override {
    return {
        [this](who_are_you) { promised_ = make_response_promise(); },
        [this](const end_with& e) { quit(e.reason); },
        [](throw_up) { throw std::runtime_error{"out of order"}; },
    };
  }

 private:
  response_promise promised_;
};

constexpr supervisor_options all_of_them{.strategy = strategy::one_for_all, .intensity = 1};

/// The log's limit goes by the world's time.
struct log_by_world_time {
  explicit log_by_world_time(supervised_world& world) { net::set_log_clock(world.time); }
  ~log_by_world_time() { net::set_log_clock(net::monotonic_clock::instance()); }
};

} // namespace

TEST_CASE("the end of a child that is started again is logged with its path and its reason", "[supervisor]") {
  const auto how = GENERATE(values(every_way));
  captured_log log;
  supervised_world world;
  world.begin({}, {supervise("x", {}, {world.child("a")})});
  const handle inner{caf::actor_cast<caf::strong_actor_ptr>(world.info_of("x").actor)};
  end_by(world.children_of(inner).front().actor, how);
  world.log->expect("start a", 2);
  CHECK(log.lines.count("supervisor: top/x/a ended: " + in_words(how) + "; it is started again") == 1);
}

TEST_CASE("a child that ends while it owes an answer: who asked gets an error, the log the reason", "[supervisor]") {
  const auto how = GENERATE(way::normally, way::with_an_error, way::killed, way::by_exception);
  captured_log log;
  supervised_world world;
  world.begin({}, {worker<promising>("a")});
  const auto answers = make_journal();
  const auto child = world.info_of("a").actor;
  world.in(world.asker, [&](probe& self) {
    self.request(child, caf::infinite, who_are_you{})
        .then([answers](const std::string&) { answers->add("answer"); },
              [answers](const caf::error&) { answers->add("error"); });
  });
  world.settle();
  CHECK(answers->lines().empty());
  end_by(child, how);
  answers->expect("error");
  log.lines.expect("supervisor: top/a ended: " + in_words(how) + "; it is started again");
}

TEST_CASE("a child that fails while its group is being ended for a restart is in the log, too", "[supervisor]") {
  captured_log log;
  supervised_world world;
  auto slow = world.child("slow");
  slow.shutdown = 1s;
  world.begin(all_of_them, {world.child("a"), world.child("t", restart::temporary), world.child("b"), slow});
  world.hold("slow");
  const auto all = world.children();
  end_by(all[0].actor, way::killed);
  world.log->expect("end a");
  world.settle();
  end_by(all[1].actor, way::by_exception);
  end_by(all[2].actor, way::by_exception);
  world.log->expect("end t");
  world.log->expect("end b");
  world.settle();
  world.time.advance(1s);
  world.log->expect("start b", 2);
  CHECK(log.lines.count("supervisor: top/a ended: killed; it is started again") == 1);
  CHECK(log.lines.count("supervisor: top/b ended: out of order; it is started again") == 1);
  CHECK(log.lines.count("supervisor: top/t ended: out of order") == 1);
  CHECK(log.lines.count_like("supervisor: top/b ended") == 1);
}

TEST_CASE("a child that fails while its supervisor is ending is in the log, too", "[supervisor]") {
  captured_log log;
  supervised_world world;
  auto slow = world.child("slow");
  slow.shutdown = 1s;
  world.begin({}, {world.child("a"), world.child("t", restart::temporary), slow});
  world.hold("slow");
  const auto all = world.children();
  world.order_stop();
  world.settle();
  end_by(all[0].actor, way::by_exception);
  end_by(all[1].actor, way::killed);
  world.log->expect("end a");
  world.log->expect("end t");
  SECTION("in good order") {
    world.settle();
    world.time.advance(1s);
  }
  SECTION("killed") {
    world.settle();
    world.kill(world.boss.actor());
  }
  world.reason();
  CHECK(log.lines.count("supervisor: top/a ended: out of order") == 1);
  CHECK(log.lines.count("supervisor: top/t ended: killed") == 1);
}

TEST_CASE("a child that fails as it is told to end is in the log, too", "[supervisor]") {
  captured_log log;
  supervised_world world;
  world.begin({}, {world.child("a")});
  const auto who = world.info_of("a").actor;
  world.hold("a");
  world.order_stop();
  world.settle();
  end_by(who, way::by_exception);
  world.reason();
  CHECK(log.lines.count("supervisor: top/a ended: out of order while it was being ended") == 1);
}

TEST_CASE("every end of a child that is not started again is in the log, however many there are", "[supervisor]") {
  constexpr int many = 50;
  captured_log log;
  supervised_world world;
  log_by_world_time limits{world};
  world.begin({});
  for (int i = 0; i < many; ++i)
    REQUIRE(world.start(world.child(std::to_string(i), restart::temporary)) == "ok");
  for (const auto& each : world.children())
    end_by(each.actor, way::by_exception);
  REQUIRE(eventually([&] { return world.children().empty(); }));
  for (int i = 0; i < many; ++i)
    CHECK(log.lines.count("supervisor: top/" + std::to_string(i) + " ended: out of order") == 1);
}

TEST_CASE("of dynamic children that fail in a flood, some are in the log with the number of the others",
          "[supervisor]") {
  captured_log log;
  supervised_world world;
  log_by_world_time limits{world};
  world.begin({.strategy = strategy::dynamic});
  const auto fail_so_many = [&](int many) {
    for (int i = 0; i < many; ++i)
      REQUIRE(world.start(world.child("a", restart::temporary)) == "ok");
    for (const auto& each : world.children())
      end_by(each.actor, way::by_exception);
    REQUIRE(eventually([&] { return world.children().empty(); }));
  };
  fail_so_many(50);
  CHECK(log.lines.count("supervisor-child: top/a ended: out of order") == 10);
  CHECK(log.lines.count_like("supervisor-child: ") == 10);
  world.time.advance(1s);
  fail_so_many(1);
  CHECK(log.lines.count("supervisor-child: top/a ended: out of order (suppressed before: 40 of this kind)") == 1);
}

TEST_CASE("of dynamic children that fail in a flood as their supervisor ends, some are in the log", "[supervisor]") {
  captured_log log;
  supervised_world world;
  log_by_world_time limits{world};
  world.begin({.strategy = strategy::one_for_one},
              {supervise("pool", {.strategy = strategy::dynamic, .intensity = 0})});
  const handle pool{caf::actor_cast<caf::strong_actor_ptr>(world.info_of("pool").actor)};
  for (int i = 0; i < 50; ++i) {
    auto held = world.child("a");
    held.shutdown = 1s;
    REQUIRE(world.ask<caf::actor>(world.asker, pool, start_child{held}).first);
  }
  const auto all = world.children_of(pool);
  for (const auto& each : all)
    caf::anon_send(each.actor, hold_on{});
  world.order_stop();
  world.settle();
  for (const auto& each : all)
    end_by(each.actor, way::by_exception);
  world.reason();
  CHECK(log.lines.count("supervisor-child: top/pool/a ended: out of order while it was being ended") == 10);
  CHECK(log.lines.count_like("supervisor: top/pool/a ended") == 0);
}
