// An event loop as CAF's execution unit: actors that live on a loop are resumed by its thread.
#pragma once

#include "actnet/net/loop/loop.hpp"
#include "actnet/net/threads.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/execution_unit.hpp>
#include <caf/fwd.hpp>
#include <caf/resumable.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace actnet {

class hosted_actor;
class lean_actor;

/// Class and id of an actor, for the log.
std::string describe(const caf::abstract_actor& who);

/// Runs one loop and the actors on it. Everything in it is called in the loop's thread unless it says otherwise.
///
/// Each of its actors holds it for as long as somebody holds the actor, so that a handle is good also when the loop has
/// ended. Made by `make_shared`.
class loop_host final : public caf::execution_unit,
                        public std::enable_shared_from_this<loop_host>,
                        private net::resident,
                        private net::deferred {
 public:
  /// `home` lives as long as the host.
  loop_host(caf::actor_system& system, std::unique_ptr<net::loop> home);
  ~loop_host() override;

  /// Runs the loop in a thread of its own until `stop`, unless none is to be had. Any thread, once.
  net::result<void> start(const std::string& thread_name);

  /// Aborts what still lives on the loop, runs it until that is gone or `patience` is over, ends the thread. Any thread
  /// but the loop's.
  void stop(std::chrono::milliseconds patience = std::chrono::seconds{2});

  /// Has the loop end by itself when no actor is left on it. The loop's thread, or before `start`.
  void stop_when_empty() noexcept { ends_when_empty_ = true; }

  /// Has it look whether that is so, if no actor ever came. Any thread.
  void end_if_empty() noexcept;

  /// Whether what begins to live here now is to end at once. The loop's thread.
  bool is_stopping() const noexcept { return stopping_; }

  /// Whether its thread has ended. Any thread.
  bool has_ended() const noexcept { return ended_.load(); }

  net::loop& loop() noexcept { return *loop_; }

  /// The host whose thread is calling, or null.
  static loop_host* current() noexcept { return of_this_thread_; }
  bool is_current() const noexcept { return current() == this; }

  /// Takes the reference that comes with `job`. Never blocks. Any thread. A job that is a plain scheduled actor goes to
  /// CAF's scheduler: it reaches a loop only because its sender lives here.
  void exec_later(caf::resumable* job) override;

  // -- the actors that live here: the host keeps each until it ends, so that none ends in a foreign thread -------

  void adopt(hosted_actor& who);
  void adopt(lean_actor& who);
  /// Lets go of an actor at the end of the turn. A lean one may come again after its end.
  void retire(hosted_actor& who);
  void retire(lean_actor& who);

  /// Calls `f` with every lean actor that lives here.
  template <class F>
  void for_each_lean(F f) {
    const auto snapshot = lean_;
    for (auto who : snapshot)
      f(*who);
  }

  std::size_t live_actors() const noexcept { return live_.load(std::memory_order_relaxed); }

  /// For the turn alarm: `who` runs in this turn.
  void running(const caf::abstract_actor& who) noexcept {
    last_turn_number_ = loop_->turn();
    last_actor_ = &who;
    loop_->resident_runs();
  }

 private:
  static void run_job(void* self, void* job) noexcept;
  bool run_ready() noexcept override;
  std::string last_turn() const override;
  void serve() noexcept override;
  void resume(caf::resumable* job) noexcept;
  void abort_all(std::chrono::milliseconds patience) noexcept;
  void main();
  void end_when_empty() noexcept;

  /// Ends the loop although actors are left on it.
  class patience_timer final : public net::timer {
   public:
    explicit patience_timer(loop_host& host) noexcept : host_(host) {}
    void on_timer(net::time_point now) noexcept override;

   private:
    loop_host& host_;
  };

  static inline constinit thread_local loop_host* of_this_thread_ = nullptr;

  std::unique_ptr<net::loop> loop_;
  std::unique_ptr<net::running_thread> thread_;
  std::vector<caf::resumable*> ready_;
  std::vector<caf::resumable*> running_jobs_;
  std::vector<hosted_actor*> hosted_;
  std::vector<lean_actor*> lean_;
  std::vector<caf::strong_actor_ptr> retired_;
  std::vector<lean_actor*> retired_lean_; // each with a reference
  std::atomic<std::size_t> live_{0};
  patience_timer patience_{*this};
  bool ends_when_empty_ = false;
  bool looks_again_ = false; // it was empty, but for what is ready to run
  bool stopping_ = false;
  std::atomic<bool> ended_{false};
  std::uint64_t last_turn_number_ = 0;
  const caf::abstract_actor* last_actor_ = nullptr; // good during that turn: the host lets go of actors at its end
};

} // namespace actnet
