// The main actor as the root of a tree: how programs begin, stop and end with children.
#include "support/actor_world.hpp"

#include "actnet/actors/run.hpp"
#include "actnet/actors/supervision/supervisor.hpp"

#include <iostream>
#include <sstream>

using namespace actnet;
using namespace actnet::test;

namespace {

struct idler final : handler {
  explicit idler(caf::actor_config& cfg) : handler(cfg) {}
  caf::behavior make_behavior() override {
    return {[](int) {}};
  }
};

/// Keeps the program, and does not end when it is told to drain.
struct stubborn final : handler {
  explicit stubborn(caf::actor_config& cfg) : handler(cfg) { join_program(); }
  caf::behavior make_behavior() override {
    return {[](const drain&) {}};
  }
};

struct failing final : handler {
  explicit failing(caf::actor_config& cfg) : handler(cfg) {}
  caf::behavior make_behavior() override { throw std::runtime_error{"not today"}; }
};

struct outcome_of_program {
  int exit_code;
  std::string complaints;
};

outcome_of_program run_here(main_function fun, run_options options = {}) {
  options.program = "program";
  options.settings.loops.count = 2;
  std::ostringstream said;
  const auto before = std::cerr.rdbuf(said.rdbuf());
  const auto code = run_program(options, std::move(fun));
  std::cerr.rdbuf(before);
  std::string complaints;
  std::istringstream lines{said.str()};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("program:"))
      complaints += line + "\n";
  return {code, complaints};
}

} // namespace

TEST_CASE("a program that is told to stop while its children start ends with 0 and without a complaint",
          "[supervisor]") {
  captured_log log;
  const auto ended = run_here([](main_actor& self) -> caf::behavior {
    self.start_child(worker<idler>("first"));
    for (int i = 0; i < 8; ++i)
      self.listen("127.0.0.1:0").each<probe>(make_journal());
    self.start_child(supervise("below", {}, {worker<idler>("second")}));
    self.stop_program();
    return {};
  });
  CHECK(ended.exit_code == 0);
  CHECK(ended.complaints.empty());
}

TEST_CASE("at the drain deadline what is left is killed, and nothing is started again for that", "[supervisor]") {
  captured_log log;
  run_options options;
  options.settings.drain_deadline = 100ms;
  const auto ended = run_here(
      [](main_actor& self) -> caf::behavior {
        for (const auto* id : {"one", "two", "three"})
          self.start_child(worker<idler>(id));
        spawn_on<stubborn>(loops::of(self.system()).at(1));
        self.stop_program();
        return {};
      },
      options);
  CHECK(ended.exit_code == 0);
  CHECK(ended.complaints.empty());
  CHECK(log.lines.count_like("supervisor: main gives up") == 0);
}

TEST_CASE("a program whose child ends too often gives up with 1 and a sentence", "[supervisor]") {
  captured_log log;
  const auto ended = run_here([](main_actor& self) -> caf::behavior {
    self.start_child(worker<idler>("bystander"));
    self.start_child(worker<failing>("child"));
    return {};
  });
  CHECK(ended.exit_code == 1);
  CHECK(ended.complaints ==
        "program: main gives up: more than 1 restarts within 5 s, the last for main/child: not today\n");
}

TEST_CASE("a killed supervisor with a listener on a fixed port costs its parent one restart", "[supervisor]") {
  captured_log log;
  std::uint16_t port;
  {
    listening_peer free;
    port = free.port();
  }
  actor_world world{2};
  child_spec door;
  door.id = "door";
  door.start = [port](const start_context& my) -> started_child {
    return my.listen("127.0.0.1:" + std::to_string(port)).each<probe>(make_journal());
  };
  const auto top =
      start_supervisor(world.system(), "top", {}, {supervise("below", {}, {supervise("deep", {}, {door})})});
  const auto below = [&] { return world.ask<child_list>(top, which_children{}).first->children.at(0); };
  const auto first = below();
  REQUIRE(first.state == child_state::running);
  world.kill(first.actor);
  REQUIRE(eventually([&] {
    const auto now = below();
    return now.restarts == 1 && now.state == child_state::running;
  }));
  peer connected{port};
  CHECK(log.lines.count_like("supervisor: top gives up") == 0);
  caf::anon_send_exit(top.actor(), caf::exit_reason::user_shutdown);
}
