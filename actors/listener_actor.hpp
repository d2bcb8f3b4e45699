// The actor that owns a listening socket. It accepts, and deals connections out to the loops.
#pragma once

#include "actnet/actors/lean_actor.hpp"
#include "actnet/actors/listener_plan.hpp"
#include "actnet/actors/path_watch.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace actnet {

/// With `shard::reuse_port` one of these per loop: the first is the listener that others know, and the rest are its
/// shards, each with its own socket, which it commands and outlives.
class listener_actor final : public lean_actor, private net::listener_target, private net::timer {
 public:
  listener_actor(caf::actor_config& cfg, loop_host& home, std::shared_ptr<listener_plan> plan,
                 caf::strong_actor_ptr leader, std::size_t socket);

  /// On the plan's loop. `start` it.
  static caf::strong_actor_ptr make(std::shared_ptr<listener_plan> plan);

  const char* name() const override { return "actnet.listener"; }

 private:
  static caf::strong_actor_ptr make_on(loop_host& home, std::shared_ptr<listener_plan> plan,
                                       caf::strong_actor_ptr leader, std::size_t socket);

  void begin() override;
  void cannot_begin(const caf::error& cause) override;
  bool note(caf::mailbox_element& command) override;
  void on_message(caf::mailbox_element& command) override;
  void after_end(caf::mailbox_element& command) override;
  void on_exit_message(const caf::strong_actor_ptr& source, const caf::error& reason) override;
  void on_down_message(const caf::strong_actor_ptr& source, const caf::error& reason) override;
  void abort_now(errc cause) override;

  bool wants_connection() noexcept override;
  void on_accepted(net::listener_socket::accepted connection) noexcept override;
  void on_accept_failed(std::error_code cause) noexcept override;
  void on_timer(net::time_point now) noexcept override;

  bool is_leader() const noexcept { return !leader_; }
  std::error_code open();
  bool take_place();
  bool may_be_allowed();
  bool take_from_backlog();
  bool rate_allows() noexcept;
  void refuse(net::listener_socket::accepted connection) noexcept;
  void tell_alarm(std::uint32_t live) noexcept;
  void look_again() noexcept;
  void accept_more() noexcept;
  void answer_info(const caf::mailbox_element& request);
  void stop() noexcept;
  void begin_drain(std::chrono::milliseconds deadline) noexcept;
  void cut_off() noexcept;
  void stand_down_within(std::chrono::milliseconds deadline) noexcept;
  void close_socket() noexcept;
  net::listener_socket& socket() noexcept { return plan_->sockets[socket_]; }
  void finish_if_done() noexcept;
  void check_waits() const noexcept;
  void fail(caf::error cause);
  void finish(caf::error cause) noexcept;
  static void open_here(loop_host& home, const std::shared_ptr<listener_plan>& plan,
                        net::listener_socket::accepted connection, std::shared_ptr<connection_slot> slot) noexcept;

  std::shared_ptr<listener_plan> plan_;
  caf::strong_actor_ptr leader_;              // of a shard
  std::vector<caf::strong_actor_ptr> shards_; // of the leader, besides itself
  std::size_t socket_;                        // its number in the plan
  net::channel channel_ = net::channel::none;
  std::optional<path_watch> path_watch_; // of a Unix socket with a file, while it is open
  net::endpoint local_;
  std::shared_ptr<connection_slot> held_; // for the accept that is under way
  bool paused_ = false;
  bool awaits_rate_ = false; // with the timer
  bool stopping_ = false;    // takes what waits in the backlog
  std::int64_t to_take_ = 0; // of that, at most
  bool draining_ = false;    // and then waits for the connections
  std::optional<net::time_point> drain_until_;
  bool leaves_socket_ = false;
  bool aborted_ = false;                  // the connections were, at the drain's deadline
  std::optional<caf::error> failed_with_; // and ends when its shards have
  std::vector<pending_request> stop_requests_;
  bool sharded_ = false;
};

} // namespace actnet
