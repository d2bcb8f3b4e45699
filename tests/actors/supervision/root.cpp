// The main actor as the root of a tree: how programs begin, stop and end with children.
#include "support/actor_world.hpp"
#include "support/standard_error.hpp"

#include "actnet/actors/run.hpp"
#include "actnet/actors/supervision/supervisor.hpp"

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

struct failing_child final : handler {
  explicit failing_child(caf::actor_config& cfg) : handler(cfg) {}
  caf::behavior make_behavior() override { throw std::runtime_error{"not today"}; }
};

child_spec door_at(std::string address) {
  child_spec door;
  door.id = "door";
  door.start = [address = std::move(address)](const start_context& my) -> started_child {
    return my.listen(address).each<probe>(make_journal());
  };
  return door;
}

/// Asks for children, one after another, writes down the answers, and stops the program then.
class customer final : public handler {
 public:
  customer(caf::actor_config& cfg, supervisor boss, std::vector<child_spec> wanted, journal_ptr answers)
      : handler(cfg), boss_(std::move(boss)), wanted_(std::move(wanted)), answers_(std::move(answers)) {
    join_program();
  }
  caf::behavior make_behavior() override {
    next();
    return {[](int) {}};
  }

 private:
  void next() {
    if (asked_ == wanted_.size()) {
      stop_program();
      return;
    }
    boss_.request(this, start_child{wanted_[asked_++]})
        .then(
            [this](const caf::actor&) {
              answers_->add("ok");
              next();
            },
            [this](const caf::error& cause) {
              answers_->add(to_text(cause));
              next();
            });
  }

  supervisor boss_;
  std::vector<child_spec> wanted_;
  std::size_t asked_ = 0;
  journal_ptr answers_;
};

struct outcome_of_program {
  int exit_code;
  std::string complaints;
};

outcome_of_program run_here(main_function fun, run_options options = {}) {
  options.program = "program";
  options.settings.loops.count = 2;
  int code = -1;
  std::istringstream lines{standard_error_of([&] { code = run_program(options, std::move(fun)); })};
  std::string complaints;
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
    self.start_child(worker<failing_child>("child"));
    return {};
  });
  CHECK(ended.exit_code == 1);
  CHECK(ended.complaints ==
        "program: main gives up: more than 1 restarts within 5 s, the last for main/child: not today\n");
}

TEST_CASE("a listener that main's own function asks for and that cannot listen ends the program", "[supervisor]") {
  captured_log log;
  listening_peer squatter;
  const auto refused = "cannot listen on " + squatter.address() + ": address already in use\n";
  main_function begin;
  std::string complaint;
  SECTION("opened") {
    begin = [&](main_actor& self) -> caf::behavior {
      self.listen(squatter.address()).each<probe>(make_journal());
      return {};
    };
    complaint = "program: " + refused;
  }
  SECTION("as a child") {
    begin = [&](main_actor& self) -> caf::behavior {
      self.start_child(door_at(squatter.address()));
      return {};
    };
    complaint = "program: " + refused;
  }
  SECTION("below another supervisor") {
    begin = [&](main_actor& self) -> caf::behavior {
      self.start_child(supervise("below", {}, {supervise("deep", {}, {door_at(squatter.address())})}));
      return {};
    };
    complaint = "program: cannot start main/below: " + refused;
  }
  const auto ended = run_here(begin);
  CHECK(ended.exit_code == 1);
  CHECK(ended.complaints == complaint);
}

TEST_CASE("a child that main is asked for by message and that does not start is for whoever asked", "[supervisor]") {
  captured_log log;
  listening_peer squatter;
  const auto refused = "cannot listen on " + squatter.address() + ": address already in use";
  const auto answers = make_journal();
  const auto ended = run_here([&](main_actor& self) -> caf::behavior {
    self.start_child(worker<idler>("bystander"));
    const supervisor boss{caf::actor_cast<caf::strong_actor_ptr>(&self)};
    spawn_on<customer>(loops::of(self.system()).at(1), boss,
                       std::vector{door_at(squatter.address()), worker<idler>("well"),
                                   supervise("below", {}, {door_at(squatter.address())})},
                       answers);
    return {};
  });
  CHECK(ended.exit_code == 0);
  CHECK(ended.complaints.empty());
  CHECK(answers->lines() == std::vector{refused, std::string{"ok"}, refused});
}

TEST_CASE("a child that main is told to start and that does not is in the log, and the program goes on",
          "[supervisor]") {
  captured_log log;
  listening_peer squatter;
  const auto ended = run_here([&](main_actor& self) -> caf::behavior {
    const supervisor boss{caf::actor_cast<caf::strong_actor_ptr>(&self)};
    boss.start_child(door_at(squatter.address()));
    spawn_on<customer>(loops::of(self.system()).at(1), boss, std::vector{worker<idler>("last")}, make_journal());
    return {};
  });
  CHECK(ended.exit_code == 0);
  CHECK(ended.complaints.empty());
  CHECK(log.lines.count("supervisor: main/door did not start: cannot listen on " + squatter.address() +
                        ": address already in use") == 1);
}

TEST_CASE("a listener of main's that cannot be opened again is tried again, as often as other children",
          "[supervisor]") {
  captured_log log;
  listening_peer squatter;
  const auto taken = squatter.address();
  const bool only_once = GENERATE(true, false);
  run_options options;
  options.settings.supervisor.intensity = 2;
  const auto ended = run_here(
      [&](main_actor& self) -> caf::behavior {
        child_spec door;
        door.id = "door";
        door.start = [&, starts = 0](const start_context& my) mutable -> started_child {
          if (++starts == 3 && only_once)
            squatter.close();
          return my.listen(starts == 1 ? "127.0.0.1:0" : taken).each<probe>(make_journal());
        };
        self.start_child(door);
        return {[&self, times = 0](const listening&) mutable {
          if (++times == 1)
            listener{caf::actor_cast<caf::strong_actor_ptr>(self.child_handle("door"))}.stop_listening();
          else
            self.stop_program();
        }};
      },
      options);
  const auto refused = "cannot listen on " + taken + ": address already in use";
  CHECK(log.lines.count("supervisor: main/door did not start again: " + refused) == (only_once ? 1 : 2));
  CHECK(ended.exit_code == (only_once ? 0 : 1));
  CHECK(ended.complaints == (only_once ? ""
                                       : "program: main gives up: more than 2 restarts within 5 s, the last for "
                                         "main/door: " +
                                             refused + "\n"));
}

TEST_CASE("a program whose main actor is killed, or ends with an error, does not end with 0", "[supervisor]") {
  captured_log log;
  const auto how = GENERATE(caf::exit_reason::kill, caf::exit_reason::unreachable);
  const bool quits = GENERATE(false, true);
  const auto ended = run_here([&](main_actor& self) -> caf::behavior {
    self.start_child(worker<idler>("bystander"));
    if (quits)
      self.quit(how);
    else
      caf::anon_send_exit(&self, how);
    return {};
  });
  CHECK(ended.exit_code == 1);
  CHECK(ended.complaints ==
        (quits || how == caf::exit_reason::kill ? "program: the main actor ended: " : "program: told to end: ") +
            to_text(how) + "\n");
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
