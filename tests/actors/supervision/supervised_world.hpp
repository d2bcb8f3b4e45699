// A supervisor on a loop whose time stands still, children that write down their lives, and what to do to them.
#pragma once

#include "support/actor_world.hpp"

#include "actnet/actors/supervision/supervisor.hpp"
#include "actnet/actors/supervision/supervisor_actor.hpp"

#include <atomic>
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

/// How a child can end by itself.
enum class way { normally, by_shutdown, with_an_error, killed, by_exception };

inline constexpr auto every_way = {way::normally, way::by_shutdown, way::with_an_error, way::killed, way::by_exception};

constexpr bool is_abnormal(way how) {
  return how != way::normally && how != way::by_shutdown;
}

inline void end_by(const caf::actor& who, way how) {
  switch (how) {
  case way::normally: caf::anon_send(who, end_with{caf::exit_reason::normal}); break;
  case way::by_shutdown: caf::anon_send(who, end_with{caf::exit_reason::user_shutdown}); break;
  case way::with_an_error: caf::anon_send(who, end_with{caf::exit_reason::unreachable}); break;
  case way::killed: caf::anon_send_exit(who, caf::exit_reason::kill); break;
  case way::by_exception: caf::anon_send(who, throw_up{}); break;
  }
}

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
  explicit supervised_world(std::size_t loops = 1) : actor_world(loops, &time) {}
  ~supervised_world() {
    order_stop();
    if (boss && end.valid())
      end.wait_for(default_deadline);
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

  /// Its start fails as often as `failures` says, from when that is set, and writes "fail ID".
  child_spec flaky(std::string id, std::atomic<int>& failures, restart kind = restart::permanent) {
    auto spec = child(id, kind);
    spec.start = [this, id, &failures, start = spec.start](const start_context& my) -> started_child {
      if (failures > 0) {
        --failures;
        log->add("fail " + id);
        throw std::runtime_error{"no paper"};
      }
      return start(my);
    };
    return spec;
  }

  void begin(supervisor_options options, std::vector<child_spec> children = {}) {
    begin_at(start_supervisor(system(), "top", options, std::move(children)));
  }

  /// With one that the test has started.
  void begin_at(supervisor started) {
    boss = std::move(started);
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

  void order_stop() {
    if (boss)
      caf::anon_send_exit(boss.actor(), caf::exit_reason::user_shutdown);
  }
  void stop() {
    order_stop();
    if (end.valid())
      reason();
  }

  /// What a command comes to: "ok", or the error.
  template <class Answer = caf::ok_atom, class Command>
  std::string outcome(Command command) {
    const auto [answer, cause] = ask<Answer>(asker, boss, std::move(command));
    return answer ? "ok" : to_text(cause);
  }
  std::string start(child_spec spec) { return outcome<caf::actor>(start_child{std::move(spec)}); }
  std::string terminate(child_name which) { return outcome(terminate_child{std::move(which)}); }
  std::string restart_it(child_name which) { return outcome<caf::actor>(restart_child{std::move(which)}); }
  std::string remove(child_name which) { return outcome(delete_child{std::move(which)}); }
  child_counts counts() { return *ask<child_counts>(asker, boss, count_children{}).first; }

  /// Every child, such as "a running".
  lines states() {
    lines all;
    for (const auto& each : children())
      all.push_back(each.id + " " + std::string{to_string(each.state)});
    return all;
  }

  /// What was written down since this was asked for last.
  lines news() {
    auto all = log->lines();
    const auto seen = std::exchange(seen_, all.size());
    all.erase(all.begin(), all.begin() + std::ptrdiff_t(seen));
    return all;
  }

  void await_state(const std::string& id, child_state state) {
    REQUIRE(eventually([&] { return info_of(id).state == state; }));
  }

  std::vector<child_info> children_of(const handle& who) {
    auto answer = ask<child_list>(asker, who, which_children{}).first;
    REQUIRE(answer);
    return std::move(answer->children);
  }
  std::vector<child_info> children() { return children_of(boss); }

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

 private:
  std::size_t seen_ = 0;
};

} // namespace actnet::test
