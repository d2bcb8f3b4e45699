// What supervision costs: a message through a child's stable handle beside a message to the child itself, and many
// dynamic children that come and go. CPU time of the loop's thread; medians of interleaved rounds.
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
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
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

double thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(drive)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(pause_over)

namespace {

struct sink final : handler {
  explicit sink(caf::actor_config& cfg) : handler(cfg) {}
  std::int64_t sum = 0;
  caf::behavior make_behavior() override {
    return {[this](const tick& t) { sum += t.number; }};
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

double cpu_of_children(caf::actor_system& system, int count) {
  supervisor_options options;
  options.strategy = strategy::dynamic;
  auto pool = start_supervisor(system, "pool", options);
  caf::scoped_actor self{system};
  timespec before{}, after{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
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
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  return (static_cast<double>(after.tv_sec - before.tv_sec) * 1e9 +
          static_cast<double>(after.tv_nsec - before.tv_nsec)) /
         count / 1e3;
}

} // namespace

int main() {
  config cfg;
  cfg.settings.loops.count = 1;
  cfg.set("scheduler.max-threads", std::uint64_t{1});
  caf::actor_system system{cfg};
  system.await_actors_before_shutdown(false);
  auto& home = loops::of(system).at(0);
  auto top = start_supervisor(system, "top", {}, {worker<sink>("sink")});
  caf::actor stable, direct;
  {
    caf::scoped_actor self{system};
    self->request(top.actor(), caf::infinite, which_children{})
        .receive(
            [&](const child_list& all) {
              stable = all.children.front().handle;
              direct = all.children.front().actor;
            },
            [](const caf::error&) { std::abort(); });
  }
  const auto source = spawn_on<driver>(home);
  std::vector<double> through_handle, to_child, added;
  for (int round = 0; round < rounds; ++round) {
    double cost[2];
    for (const int which : round % 2 == 0 ? std::vector{0, 1} : std::vector{1, 0}) {
      std::promise<double> told;
      caf::anon_send(source, drive{which == 0 ? direct : stable, &told});
      cost[which] = told.get_future().get();
    }
    to_child.push_back(cost[0]);
    through_handle.push_back(cost[1]);
    added.push_back(cost[1] - cost[0]);
  }
  std::printf("a message to a child: %.0f ns, through its stable handle: %.0f ns, more by (median of %d): %.0f ns\n",
              median(to_child), median(through_handle), rounds, median(added));
  for (const int count : {10'000, 100'000})
    std::printf("%d dynamic children started and ended: %.2f us of CPU each\n", count, cpu_of_children(system, count));
  caf::anon_send_exit(top.actor(), caf::exit_reason::kill);
  caf::anon_send_exit(source, caf::exit_reason::kill);
}
