// Supervisors of any number of dynamic children: the simple_one_for_one cases of OTP's supervisor_SUITE.
#include "actors/supervision/supervised_world.hpp"
#include "support/quiet.hpp"
#include "support/sanitizer.hpp"

using namespace actnet;
using namespace actnet::test;

namespace {

constexpr supervisor_options dynamic(std::uint32_t intensity, backoff_options delays = {}) {
  return {.strategy = strategy::dynamic, .intensity = intensity, .backoff = delays};
}

/// Keeps what it was answered.
struct dynamic_world : supervised_world {
  caf::actor add(child_spec spec) { return *ask<caf::actor>(asker, boss, start_child{std::move(spec)}).first; }
};

/// Ends when told to.
class idler final : public handler {
 public:
  using handler::handler;
  caf::behavior make_behavior() override {
    return {[](who_are_you) { return std::string{"idle"}; }};
  }
};

/// Has children started that live side by side, then terminated one after another, and answers when all were.
class host final : public handler {
 public:
  host(caf::actor_config& cfg, supervisor boss, int many) : handler(cfg), boss_(std::move(boss)), left_(many) {
    guests_.reserve(std::size_t(many));
  }
  caf::behavior make_behavior() override {
    return {[this](who_are_you) {
      served_ = make_response_promise();
      start_next();
    }};
  }

 private:
  void start_next() {
    if (left_-- == 0)
      return end_next();
    boss_.request(this, start_child{worker<idler>("")}).then([this](const caf::actor& who) {
      guests_.push_back(who);
      start_next();
    });
  }
  void end_next() {
    if (guests_.empty())
      return served_.deliver(std::string{"served"});
    boss_.request(this, terminate_child{guests_.back()}).then([this](caf::ok_atom) {
      guests_.pop_back();
      end_next();
    });
  }

  supervisor boss_;
  int left_;
  std::vector<caf::actor> guests_;
  response_promise served_;
};

/// Has children started and terminated, a hundred at a time, and answers when all were.
class customer final : public handler {
 public:
  customer(caf::actor_config& cfg, supervisor boss, int many) : handler(cfg), boss_(std::move(boss)), left_(many) {
    spec_ = worker<idler>("");
    spec_.restart = restart::temporary;
  }
  caf::behavior make_behavior() override {
    return {[this](who_are_you) {
      served_ = make_response_promise();
      for (int i = 0; i < 100; ++i)
        next();
    }};
  }

 private:
  void next() {
    if (left_ == 0) {
      if (--customers_ == 0)
        served_.deliver(std::string{"served"});
      return;
    }
    --left_;
    boss_.request(this, start_child{spec_}).then([this](const caf::actor& who) {
      boss_.request(this, terminate_child{who}).then([this](caf::ok_atom) { next(); });
    });
  }

  supervisor boss_;
  child_spec spec_;
  int left_;
  int customers_ = 100;
  response_promise served_;
};

} // namespace

TEST_CASE("dynamic children are known by their handles, and ids may be the same or none", "[supervisor]") {
  dynamic_world world;
  world.begin(dynamic(1));
  const auto one = world.add(world.child("a"));
  const auto two = world.add(world.child("a", restart::transient));
  const auto three = world.add(world.child("a", restart::temporary));
  auto nameless = world.child("a");
  nameless.id.clear();
  const auto four = world.add(nameless);
  CHECK(world.counts().specs == 4);
  CHECK(world.counts().active == 4);
  const auto all = world.children();
  REQUIRE(all.size() == 4);
  CHECK(all[0].handle == one);
  CHECK(all[1].handle == two);
  CHECK(all[2].handle == three);
  CHECK(all[2].actor == three);
  CHECK(all[3].handle == four);
  CHECK(all[3].path == "top/#1"); // the first without an id
  CHECK(world.ask_child(two) == "a 2");
  CHECK(world.terminate("a") == "not found");
  CHECK(world.terminate(two) == "ok");
  CHECK(world.terminate(two) == "not found");
  CHECK(world.ask_child(two) == "closed");
  CHECK(world.terminate(three) == "ok");
  CHECK(world.terminate(all[3].actor) == "ok");
  CHECK(world.counts().specs == 1);
  CHECK(world.alive());
}

TEST_CASE("child_adm_simple: what dynamic children do not know", "[supervisor]") {
  dynamic_world world;
  world.begin(dynamic(1));
  const auto who = world.add(world.child("a"));
  CHECK(world.restart_it(who) == "not supported");
  CHECK(world.remove(who) == "still running");
  auto spec = world.child("b");
  spec.start = nullptr;
  CHECK(world.start(spec) == "child top/b has no function that starts it");
  CHECK(world.terminate(world.asker) == "not found");
  CHECK(world.remove(world.asker) == "not found");
  CHECK(world.ask_child(who) == "a 1");
}

TEST_CASE("simple_one_for_one: permanent, transient and temporary dynamic children end in every way", "[supervisor]") {
  const auto kind = GENERATE(restart::permanent, restart::transient, restart::temporary);
  const auto how = GENERATE(values(every_way));
  CAPTURE(kind, how);
  dynamic_world world;
  world.begin(dynamic(1));
  const auto who = world.add(world.child("a", kind));
  const auto other = world.add(world.child("b", kind));
  end_by(world.info_of("a").actor, how);
  world.log->expect("end a");
  if (kind == restart::permanent || (kind == restart::transient && is_abnormal(how))) {
    world.log->expect("start a", 2);
    CHECK(world.ask_child(who) == "a 2");
    CHECK(world.info_of("a").handle == who);
  } else {
    CHECK(eventually([&] { return world.children().size() == 1; }));
    CHECK(world.terminate(who) == "not found");
  }
  CHECK(world.ask_child(other) == "b 1");
}

TEST_CASE("simple_one_for_one_escalation: too many failures end all", "[supervisor]") {
  dynamic_world world;
  world.begin(dynamic(1));
  world.add(world.child("a"));
  world.add(world.child("b", restart::temporary));
  world.fail_child("a");
  world.fail("a");
  CHECK(code_of(world.reason()) == errc::restart_limit);
  CHECK(world.log->count("end b") == 1);
}

TEST_CASE("simple_one_for_one_escalation: a child that does not start again ends all", "[supervisor]") {
  dynamic_world world;
  std::atomic<int> failures{0};
  world.begin(dynamic(4));
  world.add(world.flaky("a", failures));
  world.add(world.child("b"));
  failures = 100;
  world.fail("a");
  CHECK(code_of(world.reason()) == errc::restart_limit);
  CHECK(world.log->count("fail a") == 4);
  CHECK(world.log->count("start b") == 1);
  CHECK(world.log->count("end b") == 1);
}

TEST_CASE("hanging_restart_loop_simple: a dynamic child that never starts can be terminated", "[supervisor]") {
  dynamic_world world;
  std::atomic<int> failures{0};
  world.begin(dynamic(8, {.first = 1s, .most = 1s, .jitter_percent = 0}));
  const auto who = world.add(world.flaky("a", failures));
  failures = 100;
  world.fail("a");
  world.await_state("a", child_state::restarting);
  CHECK(world.ask_child(who) == "restarting");
  world.time.advance(1s);
  world.log->expect("fail a");
  CHECK(world.states() == lines{"a restarting"});
  CHECK(world.remove(who) == "restarting");
  CHECK(world.terminate(who) == "ok");
  CHECK(world.children().empty());
  CHECK(world.ask_child(who) == "closed");
  world.time.advance(1s);
  CHECK(world.alive());
}

TEST_CASE("simple_one_for_one_shutdown: dynamic children end side by side", "[supervisor]") {
  dynamic_world world;
  world.begin(dynamic(1));
  for (int i = 0; i < 5; ++i) {
    auto slow = world.child("slow" + std::to_string(i));
    slow.shutdown = 1s;
    world.add(slow);
    world.hold(slow.id);
  }
  auto brutal = world.child("brutal");
  brutal.shutdown = shutdown::brutal();
  world.add(brutal);
  world.hold("brutal");
  world.order_stop();
  world.log->expect("end brutal");
  world.settle();
  CHECK(world.log->count_like("end slow") == 0);
  world.time.advance(999ms);
  CHECK(world.alive());
  world.time.advance(1ms);
  CHECK(world.reason() == caf::exit_reason::user_shutdown);
  CHECK(world.log->count_like("end slow") == 5);
}

namespace {

/// What it costs until an `Actor` has had `many` children started and ended.
template <class Actor>
auto cpu_of(int many) {
  dynamic_world world;
  world.begin(dynamic(1));
  const auto before = activity_so_far().cpu;
  const auto asker = world.owned(spawn_on<Actor>(world.loop(), world.boss, many));
  std::promise<void> served;
  world.in(world.asker, [&](probe& self) {
    self.request(asker, caf::infinite, who_are_you{}).then([&](const std::string&) { served.set_value(); });
  });
  REQUIRE(served.get_future().wait_for(12 * default_deadline) == std::future_status::ready);
  CHECK(world.counts().specs == 0);
  return activity_so_far().cpu - before;
}

} // namespace

TEST_CASE("simple_one_for_one_scale_many_temporary_children: no more work for each than for a few", "[supervisor]") {
  constexpr int few = sanitized ? 2'500 : 25'000;
  const auto less = cpu_of<customer>(few);
  const auto more = cpu_of<customer>(4 * few);
  INFO(few << " children: " << less.count() / few << " us each; " << 4 * few
           << " children: " << more.count() / (4 * few) << " us each");
  CHECK(more < less * 12); // 16, if it were quadratic
}

TEST_CASE("simple_one_for_one_scale: to end one of many takes no longer than to end one of a few", "[supervisor]") {
  constexpr int few = sanitized ? 500 : 5'000;
  const auto less = cpu_of<host>(few);
  const auto more = cpu_of<host>(10 * few);
  INFO(few << " children: " << less.count() / few << " us each; " << 10 * few
           << " children: " << more.count() / (10 * few) << " us each");
  CHECK(more < less * 30); // 100, if it were quadratic
}

TEST_CASE("simple_one_for_one_scale: many children that live side by side end with their supervisor", "[supervisor]") {
  const auto how = GENERATE(caf::exit_reason::user_shutdown, caf::exit_reason::kill);
  constexpr int many = sanitized ? 2'000 : 20'000;
  dynamic_world world;
  world.begin(dynamic(1));
  auto one = worker<idler>("");
  one.restart = restart::temporary;
  for (int i = 0; i < many; ++i)
    world.boss.start_child(one);
  CHECK(world.counts().active == many);
  CHECK(world.live_actors() >= many);
  caf::anon_send_exit(world.boss.actor(), how);
  world.reason();
  CHECK(eventually([&] { return world.live_actors() <= 2; }));
}
