#include "actnet/actors/loops.hpp"

#include "actnet/actors/errors.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/net/log.hpp"

#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace actnet {

namespace {

std::size_t usable_processors() noexcept {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0)
    return 1;
  return static_cast<std::size_t>(CPU_COUNT(&set));
}

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
  const auto count = settings_.loops.count != 0 ? settings_.loops.count : usable_processors();
  for (std::size_t i = 0; i < count; ++i)
    hosts_.push_back(make_host());
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
    hosts_[i]->start("actnet." + std::to_string(i));
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
  own_hosts_.push_back(make_host());
  auto& host = *own_hosts_.back();
  host.loop().set_turn_alarm(std::chrono::milliseconds{0}); // blocking is what it is for
  host.stop_when_empty();
  host.start("actnet.own");
  return host;
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
