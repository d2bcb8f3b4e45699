// A supervisor on a loop whose time stands still, children that write down their lives, and what to do to them.
#pragma once

#include "support/actor_world.hpp"

#include "actnet/actors/supervision/supervisor.hpp"
#include "actnet/actors/supervision/supervisor_actor.hpp"

#include <map>
#include <stdexcept>

namespace actnet::test {

using lines = std::vector<std::string>;

/// To a child: how it is to end, or what it is to do.
struct end_with {
  caf::exit_reason reason;
};
struct throw_up {};
struct who_are_you {};
/// Ends only when killed from now on.
struct hold_on {};

} // namespace actnet::test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::test::end_with)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::test::throw_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::test::who_are_you)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::test::hold_on)

namespace actnet::test {

class child_actor final : public handler {
 public:
  child_actor(caf::actor_config& cfg, std::string id, int number, journal_ptr log)
      : handler(cfg), id_(std::move(id)), number_(number), log_(std::move(log)) {}

  caf::behavior make_behavior() override {
    return {
        [this](const end_with& e) { quit(e.reason); },
        [](throw_up) { throw std::runtime_error{"out of order"}; },
        [this](who_are_you) { return id_ + " " + std::to_string(number_); },
        [this](hold_on) { set_exit_handler([](caf::scheduled_actor*, caf::exit_msg&) {}); },
    };
  }
  void on_exit() override { log_->add("end " + id_); }

 private:
  std::string id_;
  int number_;
  journal_ptr log_;
};

struct with_manual_clock {
  net::manual_clock time;
};

struct supervised_world : with_manual_clock, actor_world {
  supervised_world() : actor_world(1, &time) {}
  ~supervised_world() {
    if (boss)
      stop();
  }

  /// Writes "start ID" and, when it ends, "end ID".
  child_spec child(std::string id, restart kind = restart::permanent) {
    child_spec spec;
    spec.id = id;
    spec.restart = kind;
    spec.start = [this, id](const start_context& my) -> started_child {
      log->add("start " + id);
      return my.spawn<child_actor>(id, ++numbers[id], log);
    };
    return spec;
  }

  void begin(supervisor_options options, std::vector<child_spec> children) {
    boss = start_supervisor(system(), "top", options, std::move(children));
    asker = spawn(ends);
    in(asker, [this](probe& self) {
      self.set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) { ended.set_value(down.reason); });
      self.monitor(boss.actor());
    });
    settle();
    settle();
  }

  bool alive() {
    settle();
    return end.wait_for(0s) != std::future_status::ready;
  }

  /// Waits for the end of the supervisor.
  caf::error reason() {
    REQUIRE(end.wait_for(default_deadline) == std::future_status::ready);
    boss = {};
    return end.get();
  }

  void order_stop() { caf::anon_send_exit(boss.actor(), caf::exit_reason::user_shutdown); }
  void stop() {
    order_stop();
    if (end.valid())
      reason();
  }

  std::vector<child_info> children() { return ask<child_list>(asker, boss, which_children{}).first->children; }

  child_info info_of(const std::string& id) {
    for (const auto& each : children())
      if (each.id == id)
        return each;
    FAIL("no child " << id);
    return {};
  }
  caf::actor handle_of(const std::string& id) { return info_of(id).handle; }

  void end_child(const std::string& id, caf::exit_reason how) {
    const auto before = log->count("end " + id);
    if (how == caf::exit_reason::normal)
      caf::anon_send(info_of(id).actor, end_with{how});
    else
      caf::anon_send_exit(info_of(id).actor, how);
    log->expect("end " + id, before + 1);
  }

  /// Without waiting.
  void fail(const std::string& id) { caf::anon_send(info_of(id).actor, throw_up{}); }

  /// Until it has been started again, with all that goes with it.
  void fail_child(const std::string& id) {
    const auto before = log->count("start " + id);
    caf::anon_send_exit(info_of(id).actor, caf::exit_reason::kill);
    log->expect("start " + id, before + 1);
    (void)children(); // answered when all is done
  }

  void hold(const std::string& id) { caf::anon_send(info_of(id).actor, hold_on{}); }

  /// Its answer, or the error.
  std::string ask_child(const caf::actor& who) {
    const auto [answer, cause] =
        ask<std::string>(asker, handle{caf::actor_cast<caf::strong_actor_ptr>(who)}, who_are_you{});
    return answer ? *answer : to_text(cause);
  }

  journal_ptr log = make_journal();
  journal_ptr ends = make_journal();
  std::map<std::string, int> numbers; // in the loop's thread
  supervisor boss;
  caf::actor asker;
  std::promise<caf::error> ended;
  std::future<caf::error> end = ended.get_future();
};

} // namespace actnet::test
