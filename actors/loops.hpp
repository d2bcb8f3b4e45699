// The loops of an actor system, as one of its modules: `cfg.load<actnet::loops>()`.
#pragma once

#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/settings.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace actnet {

/// An actor system configuration with room for ours. Any other one serves too: then the defaults hold, but for
/// `caf::put(cfg.content, "actnet.loops", N)`.
class config : public caf::actor_system_config {
 public:
  /// Loads the module and announces its messages.
  config();

  actnet::settings settings;
};

/// Announces the library's messages and errors to a configuration. Loading the module does it.
void announce_messages(caf::actor_system_config& cfg);

class loops final : public caf::actor_system::module {
 public:
  explicit loops(caf::actor_system& system);
  ~loops() override;

  /// The loops of `system`. Ends the program with a clear word if the module was not loaded: a mistake in the program.
  static loops& of(caf::actor_system& system);

  /// What the system began with. Any thread.
  const actnet::settings& settings() const noexcept { return settings_; }

  std::size_t size() const noexcept { return hosts_.size(); }
  loop_host& at(std::size_t index) noexcept { return *hosts_[index]; }
  /// Deals them out in turn. Any thread.
  loop_host& next() noexcept;
  /// The loop whose thread is calling, if that is wanted and there is one; else the next.
  loop_host& next(bool rather_this) noexcept;

  /// A loop and a thread for one actor that blocks; it ends with the last actor on it. Throws std::system_error if
  /// there is no thread for it, or std::runtime_error if no descriptor. Any thread.
  loop_host& make_own_loop();

  /// All that run now, or have ended not long ago: those of `at`, in their order, then the own ones. Any thread.
  std::vector<std::shared_ptr<loop_host>> every_loop() const;

  /// The number of `which` among those of `at`; `size()` for an own loop.
  std::size_t number_of(const loop_host& which) const noexcept;

  /// The backend in use: "epoll".
  const char* backend_name() noexcept { return at(0).loop().io().name(); }

  // -- caf::actor_system::module -----------------------------------------------------------------

  static caf::actor_system::module* make(caf::actor_system& system, caf::detail::type_list<>);
  void start() override;
  void stop() override;
  void init(caf::actor_system_config& cfg) override;
  id_t id() const override { return caf::actor_system::module::network_manager; }
  void* subtype_ptr() override { return this; }

 private:
  std::shared_ptr<loop_host> make_host();
  void stop_own_loops();
  void prove_threads(const caf::actor_system_config& cfg) const;

  caf::actor_system& system_;
  actnet::settings settings_;
  std::vector<std::shared_ptr<loop_host>> hosts_;
  std::atomic<std::size_t> next_{0};
  mutable std::mutex own_mutex_;
  std::vector<std::shared_ptr<loop_host>> own_hosts_;
};

} // namespace actnet
