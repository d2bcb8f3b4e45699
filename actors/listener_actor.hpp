// The actor that owns a listening socket. It accepts, and deals connections out to the loops.
#pragma once

#include "actnet/actors/connection_opener.hpp"
#include "actnet/actors/lean_actor.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/options.hpp"
#include "actnet/actors/supervision/child_spec.hpp"
#include "actnet/net/socket/listener_socket.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace actnet {

/// What the shards of a listener share, and what a supervised one leaves to its successor.
struct listener_plan final : kept_socket {
  listener_plan(loops& every, net::endpoint where, listen_options how, connection_handler_factory make,
                caf::strong_actor_ptr whose, std::string path);

  /// Takes one of the allowed ones.
  bool take_allowed() noexcept;
  void give_back_allowed() noexcept;

  /// Any thread.
  void abandon() noexcept override;

  loops& all;
  loop_host& home;           ///< Of the listener.
  const net::endpoint local; ///< As asked for.
  const listen_options options;
  const connection_handler_factory make_handler; ///< Empty: the owner gets `accepted`.
  const caf::strong_actor_ptr owner;
  const bool supervised; ///< By its owner.
  const std::shared_ptr<connection_count> count;
  /// Open ones: one for each loop if it is sharded, by the loop's number, otherwise one. Each belongs to its shard's
  /// loop while that runs. None: `local` is to be opened.
  std::vector<net::listener_socket> sockets;
  /// How many more may be accepted, as `resume_accepting{n}` says; negative: any number.
  std::atomic<std::int64_t> allowed{-1};
  std::atomic<bool> paused{false};
  /// Who fails leaves its sockets open, for somebody comes after it.
  std::atomic<bool> kept{false};
  std::atomic<bool> failed{false}; ///< The last one did.
};

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
  bool take_allowed();
  void accept_more() noexcept;
  void stop() noexcept;
  void begin_drain(std::chrono::milliseconds deadline) noexcept;
  void stand_down_within(std::chrono::milliseconds deadline) noexcept;
  void close_socket() noexcept;
  net::listener_socket& socket() noexcept { return plan_->sockets[socket_]; }
  void finish_if_done() noexcept;
  void finish(caf::error cause) noexcept;
  static void open_here(loop_host& home, const std::shared_ptr<listener_plan>& plan,
                        net::listener_socket::accepted connection, std::shared_ptr<connection_slot> slot) noexcept;

  std::shared_ptr<listener_plan> plan_;
  caf::strong_actor_ptr leader_;              // of a shard
  std::vector<caf::strong_actor_ptr> shards_; // of the leader, besides itself
  std::size_t socket_;                        // its number in the plan
  net::channel channel_ = net::channel::none;
  net::endpoint local_;
  std::shared_ptr<connection_slot> held_; // for the accept that is under way
  bool paused_ = false;
  bool stopping_ = false; // takes what waits in the backlog
  bool draining_ = false; // and then waits for the connections
  std::optional<net::time_point> drain_until_;
  bool leaves_socket_ = false;
  bool aborted_ = false; // the connections were, at the drain's deadline
  std::vector<pending_request> stop_requests_;
  bool sharded_ = false;
};

} // namespace actnet
