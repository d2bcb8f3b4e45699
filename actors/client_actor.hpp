// The actor that makes outgoing connections. Each then has an actor of its own.
#pragma once

#include "actnet/actors/connection_opener.hpp"
#include "actnet/actors/lean_actor.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/options.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace actnet {

/// Everything a client is born with.
struct client_birth {
  loops& all;
  connect_options options;
  connection_handler_factory make_handler;  ///< Empty: whoever asks to connect owns the connection.
  caf::strong_actor_ptr owner;              ///< The client ends with it. Null: it ends by `drain` or an exit.
  std::optional<net::endpoint> only_remote; ///< Connects there at once, for `owner`, and ends with that connection.
};

class client_actor final : public lean_actor, private net::connect_target, private net::timer {
 public:
  client_actor(caf::actor_config& cfg, loop_host& home, client_birth birth);

  /// On the next loop. `start` it.
  static caf::strong_actor_ptr make(client_birth birth);

  const char* name() const override { return "actnet.client"; }

 private:
  void begin() override;
  void cannot_begin(const caf::error& cause) override;
  bool note(caf::mailbox_element& command) override;
  void on_message(caf::mailbox_element& command) override;
  void after_end(caf::mailbox_element& command) override;
  caf::message failure_of(const caf::type_erased_tuple& command, const caf::error& cause) const override;
  void on_exit_message(const caf::strong_actor_ptr& source, const caf::error& reason) override;
  void on_down_message(const caf::strong_actor_ptr& source, const caf::error& reason) override;
  void abort_now(errc cause) override;

  void on_connected(std::error_code cause) noexcept override;
  void on_timer(net::time_point now) noexcept override;

  bool connecting() const noexcept { return asked_.has_value(); }
  bool reconnects() const noexcept { return birth_.only_remote && birth_.options.reconnect && !draining_; }
  void reconnect_later(const caf::error& cause);
  void connect(const net::endpoint& remote, std::chrono::milliseconds deadline, pending_request asked);
  void attempt();
  void stop_attempt() noexcept;
  void fail(std::error_code cause);
  void hand_over();
  bool call_off(errc cause);
  void refuse(const pending_request& whom, const net::endpoint& remote, const caf::error& cause);
  void drain_for(std::chrono::milliseconds deadline);
  void finish_if_done();
  void let_go();
  void check_waits() const noexcept;

  client_birth birth_;
  std::shared_ptr<connection_count> count_ = std::make_shared<connection_count>(0);
  std::optional<pending_request> asked_; // while connecting
  std::optional<net::time_point> give_up_at_;
  net::endpoint remote_;
  std::vector<net::endpoint> addresses_; // of `remote_`, tried one after the other
  std::size_t trying_ = 0;
  bool refused_ = false; // by one of those before
  net::stream_socket socket_;
  net::channel channel_ = net::channel::none;
  std::optional<backoff> delays_;
  net::time_point connected_at_{};
  bool waits_ = false; // for the next attempt
  bool draining_ = false;
  bool aborted_ = false; // the connections were, at the drain's deadline
  std::error_code last_cause_;
  std::vector<pending_request> drain_requests_;
};

} // namespace actnet
