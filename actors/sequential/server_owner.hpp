// The owner of a listener for code that is no actor: it accepts when somebody asks for a connection.
#pragma once

#include "actnet/actors/lean_actor.hpp"
#include "actnet/actors/open.hpp"
#include "actnet/actors/sequential/stream_owner.hpp"
#include "actnet/actors/sequential/time_limit.hpp"

#include <atomic>
#include <deque>
#include <list>
#include <memory>

namespace actnet::sequential {

class accept_operation;
class close_server_operation;
class listen_operation;

class server_owner final : public lean_actor {
 public:
  server_owner(caf::actor_config& cfg, loop_host& home) : lean_actor(cfg, home) {}

  const char* name() const override { return "actnet.server"; }

  const net::endpoint& local() const noexcept { return local_; }
  const listener& handle() const noexcept { return listener_; }

  bool is_closed() const noexcept { return closed_.load(); }

  /// From now on every accept, also one that waits, is `interrupted`. Any thread.
  void interrupt() noexcept;

 private:
  friend class accept_operation;
  friend class close_server_operation;
  friend class listen_operation;

  void begin() override {}
  void cannot_begin(const caf::error& cause) override;
  bool note(caf::mailbox_element&) override { return false; }
  void on_message(caf::mailbox_element& command) override;
  void on_exit_message(const caf::strong_actor_ptr& source, const caf::error& reason) override;
  void on_down_message(const caf::strong_actor_ptr&, const caf::error&) override {}
  void abort_now(errc cause) override;

  static void arrived(const caf::strong_actor_ptr& self, std::shared_ptr<stream_handle> stream) noexcept;
  void take(std::shared_ptr<stream_handle> stream);
  void put_back(std::shared_ptr<stream_handle> stream);
  void want(accept_operation& who);
  void refuse_all(errc cause);

  listener listener_;
  net::endpoint local_;
  listen_operation* listening_ = nullptr;
  std::list<accept_operation*> waiting_;
  std::deque<std::shared_ptr<stream_handle>> there_;
  std::list<close_server_operation*> closing_;
  errc refused_ = errc::none; // every accept from now on
  std::atomic<bool> closed_{false};
};

/// Held by all who use a server; the last one that lets go of it closes it.
class server_handle {
 public:
  explicit server_handle(server_owner& owner) noexcept : owner_(owner.ctrl()) {}
  ~server_handle();
  server_handle(const server_handle&) = delete;
  server_handle& operator=(const server_handle&) = delete;

  server_owner& owner() const noexcept { return static_cast<server_owner&>(*owner_->get()); }
  const caf::strong_actor_ptr& pointer() const noexcept { return owner_; }

 private:
  caf::strong_actor_ptr owner_;
};

class listen_operation final : public operation_of<std::shared_ptr<server_handle>> {
 public:
  listen_operation(loop_host& home, endpoint_argument local, listen_options options);

  loop_host& home() const noexcept override { return home_; }
  void call_off() noexcept override;

 private:
  friend class server_owner;
  void begin() noexcept override;
  void succeed();
  void fail(const caf::error& cause);

  loop_host& home_;
  endpoint_argument local_;
  listen_options options_;
  caf::strong_actor_ptr owner_;
};

class accept_operation final : public operation_of<std::shared_ptr<stream_handle>>, private net::timer {
 public:
  accept_operation(caf::strong_actor_ptr of, time_limit within, net::time_point otherwise);

  bool is_of_nothing() const noexcept override { return !owner_; }
  loop_host& home() const noexcept override { return owner().home(); }
  void call_off() noexcept override;
  void undo() noexcept override;

 private:
  friend class server_owner;
  void begin() noexcept override;
  void succeed(std::shared_ptr<stream_handle> stream);
  void fail(errc cause);
  void on_timer(net::time_point now) noexcept override;
  server_owner& owner() const noexcept { return static_cast<server_owner&>(*owner_->get()); }

  caf::strong_actor_ptr owner_;
  time_limit within_;
  net::time_point otherwise_;
};

/// Done when the port or path is free again.
class close_server_operation final : public operation_of<void> {
 public:
  explicit close_server_operation(caf::strong_actor_ptr of) noexcept : owner_(std::move(of)) {}

  bool is_of_nothing() const noexcept override { return !owner_; }
  loop_host& home() const noexcept override { return owner().home(); }
  void call_off() noexcept override;

 private:
  friend class server_owner;
  void begin() noexcept override;
  server_owner& owner() const noexcept { return static_cast<server_owner&>(*owner_->get()); }

  caf::strong_actor_ptr owner_;
};

} // namespace actnet::sequential
