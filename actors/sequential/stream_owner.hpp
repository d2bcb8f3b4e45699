// The owner of a stream connection for code that is no actor: it keeps the connection to pulls.
#pragma once

#include "actnet/actors/connection_actor.hpp"
#include "actnet/actors/lean_actor.hpp"
#include "actnet/actors/open.hpp"
#include "actnet/actors/sequential/operation.hpp"

#include <atomic>
#include <functional>
#include <memory>

namespace actnet::sequential {

/// Settings of a connection that is read on demand: what the peer's end means is for the reader to say.
connection_options on_demand(connection_options options);

/// Lives on the connection's loop as long as the connection does.
class stream_owner final : public lean_actor {
 public:
  stream_owner(caf::actor_config& cfg, loop_host& home);

  const char* name() const override { return "actnet.stream"; }

  /// Of a connection that was not begun yet, in the thread of its loop.
  static std::shared_ptr<class stream_handle> make(loop_host& home, const actnet::connection& opened);

  /// In its loop's thread.
  connection_actor& connection() const noexcept { return *connection_; }
  const actnet::connection& handle() const noexcept { return handle_; }

  const net::endpoint& local() const noexcept { return local_; }
  const net::endpoint& peer() const noexcept { return peer_; }

  /// Any thread.
  bool is_closed() const noexcept { return closed_.load(); }

 private:
  friend class connect_operation;

  void set_connection(const actnet::connection& opened);
  void begin() override {}
  void cannot_begin(const caf::error& cause) override;
  bool note(caf::mailbox_element& command) override;
  void on_message(caf::mailbox_element& command) override;
  void on_exit_message(const caf::strong_actor_ptr& source, const caf::error& reason) override;
  void on_down_message(const caf::strong_actor_ptr& source, const caf::error& reason) override;
  void abort_now(errc cause) override;

  actnet::connection handle_;
  connection_actor* connection_ = nullptr;
  net::endpoint local_;
  net::endpoint peer_;
  class connect_operation* connecting_ = nullptr;
  std::atomic<bool> closed_{false};
};

/// Held by all who use a stream; the last one that lets go of it closes the connection, or aborts it while an exception
/// is on its way or a coroutine is being dropped by a failure.
class stream_handle {
 public:
  explicit stream_handle(stream_owner& owner) noexcept : owner_(owner.ctrl()) {}
  ~stream_handle();
  stream_handle(const stream_handle&) = delete;
  stream_handle& operator=(const stream_handle&) = delete;

  stream_owner& owner() const noexcept { return static_cast<stream_owner&>(*owner_->get()); }
  const caf::strong_actor_ptr& pointer() const noexcept { return owner_; }

 private:
  caf::strong_actor_ptr owner_;
};

/// While one exists, streams that this thread drops are aborted.
class aborting_scope {
 public:
  aborting_scope() noexcept;
  ~aborting_scope();
  aborting_scope(const aborting_scope&) = delete;
  aborting_scope& operator=(const aborting_scope&) = delete;
};

/// Something with the connection of a stream, on its loop. Keeps the owner, but does not hold the stream open.
template <class T>
class stream_operation : public operation_of<T> {
 public:
  explicit stream_operation(caf::strong_actor_ptr owner) noexcept : owner_(std::move(owner)) {}
  bool is_of_nothing() const noexcept override { return !owner_; }
  loop_host& home() const noexcept override { return owner().home(); }

 protected:
  stream_owner& owner() const noexcept { return static_cast<stream_owner&>(*owner_->get()); }
  connection_actor& connection() const noexcept { return owner().connection(); }

 private:
  caf::strong_actor_ptr owner_;
};

} // namespace actnet::sequential
