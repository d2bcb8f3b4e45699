// The owner of a datagram socket for code that is no actor.
#pragma once

#include "actnet/actors/datagram_socket.hpp"
#include "actnet/actors/lean_actor.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/open.hpp"
#include "actnet/actors/sequential/operation.hpp"
#include "actnet/actors/sequential/time_limit.hpp"

#include <atomic>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>

namespace actnet {

/// What `receive_from` brings.
struct received_datagram {
  net::bytes payload;
  net::endpoint from;
  net::endpoint to;
  bool truncated = false; ///< It was longer than the kernel or the caller had room for.
  bool to_many = false;   ///< `to` is a group or a broadcast address.
};

} // namespace actnet

namespace actnet::sequential {

class bind_operation;
class datagram_command;
class receive_operation;

/// What comes before somebody asks for it waits here, within the socket's read credit; what comes then is dropped by
/// the kernel.
class datagram_owner final : public lean_actor {
 public:
  datagram_owner(caf::actor_config& cfg, loop_host& home) : lean_actor(cfg, home) {}

  const char* name() const override { return "actnet.datagrams"; }
  const net::endpoint& local() const noexcept { return local_; }
  const datagram_socket& handle() const noexcept { return socket_; }
  bool is_closed() const noexcept { return closed_.load(); }

 private:
  friend class bind_operation;
  friend class datagram_command;
  friend class receive_operation;

  void begin() override {}
  void cannot_begin(const caf::error& cause) override;
  bool note(caf::mailbox_element&) override { return false; }
  void on_message(caf::mailbox_element& command) override;
  void on_exit_message(const caf::strong_actor_ptr& source, const caf::error& reason) override;
  void on_down_message(const caf::strong_actor_ptr&, const caf::error&) override {}
  void abort_now(errc cause) override;

  void took(received_datagram datagram);
  void put_back(received_datagram datagram);
  void refuse_all(const caf::error& cause);
  void delivered(const received_datagram& datagram);
  template <class Command>
  void answer_from_where_asked(caf::message& content) const;

  datagram_socket socket_;
  net::endpoint local_;
  bind_operation* binding_ = nullptr;
  std::list<receive_operation*> receiving_;
  std::deque<received_datagram> there_;
  std::optional<net::endpoint> last_asker_; // who sent what was received last,
  std::optional<net::ip_address> asked_at_; // and where that was sent to
  std::map<std::uint64_t, datagram_command*> asked_;
  std::uint64_t last_asked_ = 0;
  caf::error ended_with_;
  std::atomic<bool> closed_{false};
};

/// Held by all who use a socket; the last one that lets go of it closes it.
class datagram_handle {
 public:
  explicit datagram_handle(datagram_owner& owner) noexcept : owner_(owner.ctrl()) {}
  ~datagram_handle() {
    if (!owner().is_closed()) // else the actor system may have ended before
      owner().handle().close();
  }
  datagram_handle(const datagram_handle&) = delete;
  datagram_handle& operator=(const datagram_handle&) = delete;

  datagram_owner& owner() const noexcept { return static_cast<datagram_owner&>(*owner_->get()); }
  const caf::strong_actor_ptr& pointer() const noexcept { return owner_; }

 private:
  caf::strong_actor_ptr owner_;
};

class bind_operation final : public operation_of<std::shared_ptr<datagram_handle>> {
 public:
  bind_operation(loop_host& home, endpoint_argument local, bind_options options)
      : home_(home), local_(std::move(local)), options_(std::move(options)) {
    options_.same_loop = true;
  }

  loop_host& home() const noexcept override { return home_; }
  void call_off() noexcept override;

 private:
  friend class datagram_owner;
  void begin() noexcept override;
  void succeed();
  void fail(const caf::error& cause);

  loop_host& home_;
  endpoint_argument local_;
  bind_options options_;
  caf::strong_actor_ptr owner_;
};

class receive_operation final : public operation_of<received_datagram>, private net::timer {
 public:
  /// Of a longer one than `max` bytes the rest is lost.
  receive_operation(caf::strong_actor_ptr of, std::size_t max, time_limit within, net::time_point otherwise)
      : owner_(std::move(of)), max_(max), within_(within), otherwise_(otherwise) {}

  bool is_of_nothing() const noexcept override { return !owner_; }
  loop_host& home() const noexcept override { return owner().home(); }
  void call_off() noexcept override;
  void undo() noexcept override;

 private:
  friend class datagram_owner;
  void begin() noexcept override;
  void succeed(received_datagram datagram);
  void fail(const caf::error& cause);
  void on_timer(net::time_point now) noexcept override;
  datagram_owner& owner() const noexcept { return static_cast<datagram_owner&>(*owner_->get()); }

  caf::strong_actor_ptr owner_;
  std::size_t max_;
  std::optional<received_datagram> whole_; // what came, if there was not room for all of it
  time_limit within_;
  net::time_point otherwise_;
};

/// A command to the socket, until it is answered. One that closes it is done when the socket is closed.
class datagram_command final : public operation_of<void> {
 public:
  datagram_command(caf::strong_actor_ptr of, caf::message command)
      : owner_(std::move(of)), content_(std::move(command)) {}

  bool is_of_nothing() const noexcept override { return !owner_; }
  loop_host& home() const noexcept override { return owner().home(); }
  void call_off() noexcept override { owner().asked_.erase(number_); }

 private:
  friend class datagram_owner;
  void begin() noexcept override;
  void answered(const caf::error& cause);
  datagram_owner& owner() const noexcept { return static_cast<datagram_owner&>(*owner_->get()); }

  caf::strong_actor_ptr owner_;
  caf::message content_;
  std::uint64_t number_ = 0;
};

} // namespace actnet::sequential
