// What supervision costs: a message through a child's stable handle beside a message to the child itself, from its own
// loop and from another, and many dynamic children that come and go. CPU time of the sender's thread; medians of
// interleaved rounds.
#include "actnet/actors/handler.hpp"
#include "actnet/actors/loops.hpp"
#include "actnet/actors/supervision/supervisor.hpp"
#include "actnet/actors/supervision/supervisor_actor.hpp"
#include "actnet/net/log.hpp"

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

using namespace actnet;

namespace {

constexpr int messages = 200'000;
constexpr int in_a_row = 100;
constexpr int rounds = 21;

/// To the driver: send so many to `whom`, and tell what one of them cost, in nanoseconds.
struct drive {
  caf::actor whom;
  std::promise<double>* cost;
};
struct tick {
  std::int64_t number;
};
struct pause_over {};
struct all_taken {};
struct begin_hosting {};

double thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(drive)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(pause_over)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(all_taken)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(begin_hosting)

namespace {

struct sink final : handler {
  explicit sink(caf::actor_config& cfg) : handler(cfg) {}
  std::int64_t sum = 0;
  caf::behavior make_behavior() override {
    return {[this](const tick& t) { sum += t.number; }, [](all_taken) { return caf::ok_atom_v; }};
  }
};

/// Sends some, lets the receiver have its turn, and goes on.
struct driver final : handler {
  explicit driver(caf::actor_config& cfg) : handler(cfg) {}
  caf::actor whom;
  std::promise<double>* cost = nullptr;
  double began = 0;
  int left = 0;

  caf::behavior make_behavior() override {
    return {[this](const drive& d) {
              whom = d.whom;
              cost = d.cost;
              left = messages;
              began = thread_cpu_ns();
              go_on();
            },
            [this](pause_over) { go_on(); }};
  }

  void go_on() {
    if (left == 0) {
      cost->set_value((thread_cpu_ns() - began) / messages);
      return;
    }
    for (int i = 0; i < in_a_row; ++i)
      send(whom, tick{i});
    left -= in_a_row;
    send(this, pause_over{});
  }
};

double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

/// Has so many children started that live side by side, then terminated one after another.
struct host final : handler {
  host(caf::actor_config& cfg, supervisor pool, int many) : handler(cfg), boss(std::move(pool)), left(many) {}
  supervisor boss;
  child_spec spec = worker<sink>("");
  int left;
  std::vector<caf::actor> guests;
  response_promise served;

  caf::behavior make_behavior() override {
    return {[this](begin_hosting) {
      served = make_response_promise();
      start_next();
    }};
  }

  void start_next() {
    if (left-- == 0)
      return end_next();
    boss.request(this, start_child{spec}).then([this](const caf::actor& who) {
      guests.push_back(who);
      start_next();
    });
  }
  void end_next() {
    if (guests.empty())
      return served.deliver(caf::ok_atom_v);
    boss.request(this, terminate_child{guests.back()}).then([this](caf::ok_atom) {
      guests.pop_back();
      end_next();
    });
  }
};

double process_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

supervisor dynamic_pool(caf::actor_system& system) {
  supervisor_options options;
  options.strategy = strategy::dynamic;
  return start_supervisor(system, "pool", options);
}

double cpu_of_children_one_by_one(caf::actor_system& system, int count) {
  const auto pool = dynamic_pool(system);
  caf::scoped_actor self{system};
  const auto before = process_cpu_ns();
  const auto customer = spawn_on<host>(loops::of(system).at(0), pool, count);
  self->request(customer, caf::infinite, begin_hosting{})
      .receive([](caf::ok_atom) {}, [](const caf::error&) { std::abort(); });
  const auto after = process_cpu_ns();
  self->send_exit(customer, caf::exit_reason::kill);
  self->send_exit(pool.actor(), caf::exit_reason::kill);
  return (after - before) / count / 1e3;
}

double cpu_of_children(caf::actor_system& system, int count) {
  const auto pool = dynamic_pool(system);
  caf::scoped_actor self{system};
  const auto before = process_cpu_ns();
  auto spec = worker<sink>("");
  spec.restart = restart::temporary;
  for (int i = 0; i < count; ++i)
    pool.start_child(spec);
  self->request(pool.actor(), caf::infinite, count_children{})
      .receive(
          [&](const child_counts& c) {
            if (c.active != static_cast<std::size_t>(count))
              std::abort();
          },
          [](const caf::error&) { std::abort(); });
  self->monitor(pool.actor());
  self->send_exit(pool.actor(), caf::exit_reason::user_shutdown);
  self->receive([](const caf::down_msg&) {});
  return (process_cpu_ns() - before) / count / 1e3;
}

/// What `source` pays for a message to a child of `top`, and for one through the child's handle.
void compare(const char* where, caf::actor_system& system, const supervisor& top, const caf::actor& source) {
  caf::scoped_actor self{system};
  caf::actor stable, direct;
  self->request(top.actor(), caf::infinite, which_children{})
      .receive(
          [&](const child_list& all) {
            stable = all.children.front().handle;
            direct = all.children.front().actor;
          },
          [](const caf::error&) { std::abort(); });
  std::vector<double> through_handle, to_child, added;
  for (int round = 0; round < rounds; ++round) {
    double cost[2];
    for (const int which : round % 2 == 0 ? std::vector{0, 1} : std::vector{1, 0}) {
      std::promise<double> told;
      caf::anon_send(source, drive{which == 0 ? direct : stable, &told});
      cost[which] = told.get_future().get();
      self->request(direct, caf::infinite, all_taken{}) // the next begins with an empty mailbox
          .receive([](caf::ok_atom) {}, [](const caf::error&) { std::abort(); });
    }
    to_child.push_back(cost[0]);
    through_handle.push_back(cost[1]);
    added.push_back(cost[1] - cost[0]);
  }
  std::printf("a message to a child %s: %.0f ns, through its stable handle: %.0f ns, more by (median of %d): %.0f ns\n",
              where, median(to_child), median(through_handle), rounds, median(added));
}

struct loops_of {
  explicit loops_of(std::size_t count) {
    cfg.settings.loops.count = count;
    cfg.settings.loops.turn_alarm = std::chrono::milliseconds{0}; // messages by the thousand take their time
    cfg.set("scheduler.max-threads", std::uint64_t{1});
    system.emplace(cfg);
    system->await_actors_before_shutdown(false);
  }
  config cfg;
  std::optional<caf::actor_system> system;
};

} // namespace

int main() {
  {
    loops_of two{2};
    auto& system = *two.system;
    auto& home = loops::of(system).at(0);
    child_spec spec;
    spec.id = "sink";
    spec.start = [&home](const start_context&) -> started_child { return spawn_on<sink>(home); };
    const supervisor top{caf::actor_cast<caf::strong_actor_ptr>(spawn_on<supervisor_actor>(
        home, "top", supervisor_options{}, std::vector{spec}, std::vector<caf::strong_actor_ptr>{}))};
    compare("on the sender's loop", system, top, spawn_on<driver>(home));
    compare("on another loop", system, top, spawn_on<driver>(loops::of(system).at(1)));
  }
  loops_of one{1};
  for (const int count : {10'000, 100'000})
    std::printf("%d dynamic children started and ended together: %.2f us of CPU each\n", count,
                cpu_of_children(*one.system, count));
  for (const int count : {10'000, 100'000})
    std::printf("%d dynamic children started and terminated one by one: %.2f us of CPU each\n", count,
                cpu_of_children_one_by_one(*one.system, count));
}
