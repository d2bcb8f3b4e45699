#include "actnet/actors/loops.hpp"

#include "actnet/actors/errors.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/net/log.hpp"
#include "actnet/net/processors.hpp"
#include "actnet/net/threads.hpp"

#include <caf/defaults.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

namespace actnet {

namespace {

/// Of CAF, besides its scheduler's: its clock and its printer; one to spare.
constexpr std::size_t other_threads = 3;

} // namespace

config::config() {
  load<actnet::loops>();
}

loops::loops(caf::actor_system& system) : system_(system) {}

loops::~loops() = default;

loops& loops::of(caf::actor_system& system) {
  if (!system.has_network_manager()) {
    std::fputs("actnet: the module is not loaded; call cfg.load<actnet::loops>() before making the actor system\n",
               stderr);
    std::abort();
  }
  return reinterpret_cast<loops&>(system.network_manager());
}

caf::actor_system::module* loops::make(caf::actor_system& system, caf::detail::type_list<>) {
  return new loops(system);
}

void loops::init(caf::actor_system_config& cfg) {
  announce_messages(cfg);
  if (auto ours = dynamic_cast<config*>(&cfg))
    settings_ = ours->settings;
  else
    settings_.loops.count = static_cast<std::size_t>(caf::get_or(cfg, "actnet.loops", std::uint64_t{0}));
  const auto count = settings_.loops.count != 0 ? settings_.loops.count : net::usable_processors();
  for (std::size_t i = 0; i < count; ++i)
    hosts_.push_back(make_host());
  prove_threads(cfg);
}

/// Now, for the first of them is made after this: where CAF is refused one it crashes, or waits without end.
void loops::prove_threads(const caf::actor_system_config& cfg) const {
  const auto workers = caf::get_or(cfg, "scheduler.max-threads", caf::defaults::scheduler::max_threads);
  const auto needed = hosts_.size() + static_cast<std::size_t>(workers) + other_threads;
  if (const auto proven = net::prove_threads(needed); !proven)
    throw std::runtime_error{proven.error().message() + ", and " + std::to_string(needed) +
                             " are needed (see `ulimit -u`, and pids.max of its cgroup)"};
}

std::shared_ptr<loop_host> loops::make_host() {
  net::loop_options options;
  options.time = settings_.loops.time;
  options.make_backend = settings_.loops.make_backend;
  options.turn_alarm = settings_.loops.turn_alarm;
  auto made = net::loop::make(std::move(options));
  if (!made)
    throw std::runtime_error{"actnet: no event loop: " + made.error().message()};
  return std::make_shared<loop_host>(system_, std::move(*made));
}

void loops::start() {
  for (std::size_t i = 0; i < hosts_.size(); ++i)
    if (const auto begun = hosts_[i]->start("actnet." + std::to_string(i)); !begun) {
      // Another program of this user was faster than the proof foresaw. CAF cannot be ended any more.
      net::say("actnet: cannot start: " + begun.error().message() + "\n");
      net::flush_log(net::log_patience);
      ::_exit(1);
    }
}

void loops::stop() {
  stop_own_loops();
  for (auto& host : hosts_)
    host->stop();
  stop_own_loops(); // those that were made meanwhile
}

void loops::stop_own_loops() {
  std::vector<std::shared_ptr<loop_host>> own;
  {
    std::lock_guard guard{own_mutex_};
    own.swap(own_hosts_);
  }
  for (auto& host : own)
    host->stop();
}

loop_host& loops::next(bool rather_this) noexcept {
  const auto here = rather_this ? loop_host::current() : nullptr;
  return here ? *here : next();
}

loop_host& loops::next() noexcept {
  return *hosts_[next_.fetch_add(1, std::memory_order_relaxed) % hosts_.size()];
}

loop_host& loops::make_own_loop() {
  std::lock_guard guard{own_mutex_};
  std::erase_if(own_hosts_, [](const auto& host) {
    if (!host->has_ended())
      return false;
    host->stop(); // joins its thread; the rest stays for those who hold actors of it
    return true;
  });
  auto made = make_host();
  made->loop().set_turn_alarm(std::chrono::milliseconds{0}); // blocking is what it is for
  made->stop_when_empty();
  if (const auto begun = made->start("actnet.own"); !begun)
    throw std::system_error{begun.error(), "actnet: no loop of its own"};
  own_hosts_.push_back(std::move(made));
  return *own_hosts_.back();
}

std::vector<std::shared_ptr<loop_host>> loops::every_loop() const {
  auto every = hosts_;
  std::lock_guard guard{own_mutex_};
  every.insert(every.end(), own_hosts_.begin(), own_hosts_.end());
  return every;
}

std::size_t loops::number_of(const loop_host& which) const noexcept {
  std::size_t number = 0;
  while (number < hosts_.size() && hosts_[number].get() != &which)
    ++number;
  return number;
}

} // namespace actnet
