// The actor that owns a datagram socket.
#pragma once

#include "actnet/actors/datagram_queue.hpp"
#include "actnet/actors/lean_actor.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/options.hpp"
#include "actnet/actors/path_watch.hpp"
#include "actnet/actors/supervision/child_spec.hpp"
#include "actnet/net/bytes/write_room.hpp"
#include "actnet/net/socket/datagram_socket.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace actnet {

/// Makes the handler of a datagram socket on its loop. Empty: the opener owns the socket.
using datagram_handler_factory = std::function<caf::actor(loop_host&, const datagram_socket&)>;

/// A datagram socket between two lives of its actor.
class kept_datagram_socket final : public kept_socket {
 public:
  explicit kept_datagram_socket(caf::strong_actor_ptr handle) noexcept : handle_(std::move(handle)) {}

  /// By which others know all of its actors; null: there is none.
  const caf::strong_actor_ptr& handle() const noexcept { return handle_; }

  void abandon() noexcept override {
    std::lock_guard guard{mutex_};
    wanted_ = false;
    socket_.close();
  }

  net::datagram_socket take() noexcept {
    std::lock_guard guard{mutex_};
    return std::move(socket_);
  }

  /// Closes it if nobody comes after.
  void put(net::datagram_socket socket) noexcept {
    std::lock_guard guard{mutex_};
    if (wanted_)
      socket_ = std::move(socket);
  }

 private:
  std::mutex mutex_;
  const caf::strong_actor_ptr handle_;
  bool wanted_ = true;
  net::datagram_socket socket_;
};

class datagram_actor final : public lean_actor, private net::datagram_target, private net::timer {
 public:
  datagram_actor(caf::actor_config& cfg, loop_host& home, net::endpoint local, bind_options options,
                 caf::strong_actor_ptr opener, datagram_handler_factory make_handler,
                 std::shared_ptr<kept_datagram_socket> kept);
  ~datagram_actor() override;

  static caf::strong_actor_ptr make(loop_host& home, net::endpoint local, bind_options options,
                                    caf::strong_actor_ptr opener, datagram_handler_factory make_handler,
                                    std::shared_ptr<kept_datagram_socket> kept = nullptr);

  const char* name() const override { return "actnet.datagram"; }

  /// `datagram::send` by `sender` (null: nobody) without a message; to whom it is connected if `to` is null. Any
  /// thread.
  void send_datagram(net::bytes&& payload, const net::endpoint* to, std::uint64_t token, caf::abstract_actor* sender,
                     const std::optional<net::ip_address>& from = std::nullopt);

 private:
  using outgoing = queued_datagram;

  class end_of_turn final : public net::deferred {
   public:
    explicit end_of_turn(datagram_actor& self) noexcept : self_(self) {}
    void serve() noexcept override { self_.finish_turn(); }

   private:
    datagram_actor& self_;
  };

  /// For what waits for receivers that have no room.
  class retry_timer final : public net::timer {
   public:
    explicit retry_timer(datagram_actor& self) noexcept : self_(self) {}
    void on_timer(net::time_point now) noexcept override { self_.try_receivers_again(now); }

   private:
    datagram_actor& self_;
  };

  /// For what waits for room in the kernel, which announces it: of a Unix receiver we are connected to, or our own.
  class stall_timer final : public net::timer {
   public:
    explicit stall_timer(datagram_actor& self) noexcept : self_(self) {}
    void on_timer(net::time_point now) noexcept override { self_.judge_stall(now); }

   private:
    datagram_actor& self_;
  };

  caf::strong_actor_ptr owner() const override { return owner_; }
  void begin() override;
  void cannot_begin(const caf::error& cause) override;
  bool admit(caf::mailbox_element& command) override;
  void take_in(const caf::mailbox_element& command) noexcept override;
  bool note(caf::mailbox_element& command) override;
  void on_message(caf::mailbox_element& command) override;
  void after_end(caf::mailbox_element& command) override;
  caf::message failure_of(const caf::type_erased_tuple& command, const caf::error& cause) const override;
  void on_exit_message(const caf::strong_actor_ptr& source, const caf::error& reason) override;
  void on_down_message(const caf::strong_actor_ptr& source, const caf::error& reason) override;
  void abort_now(errc cause) override;
  bool quiescent() const noexcept override;

  bool on_datagram(net::bytes payload, const net::received_datagram& info) noexcept override;
  void on_receive_error(std::error_code cause) noexcept override;
  std::size_t gather(std::span<net::outgoing_datagram> next) noexcept override;
  void on_datagram_sent(std::error_code cause) noexcept override;
  bool on_receiver_full() noexcept override;
  void try_receivers_again(net::time_point now) noexcept;
  void watch_stall() noexcept;
  void judge_stall(net::time_point now) noexcept;
  void on_timer(net::time_point now) noexcept override;
  void finish_turn() noexcept;
  void defer() noexcept;

  void fail_to_open(const caf::error& cause);
  std::error_code open();
  bool reserve(outgoing& item, std::size_t payload_bytes) noexcept;
  void queue(outgoing item) noexcept;
  void post(std::unique_ptr<outgoing> item);
  static net::result<net::bytes> content_of(net::file_source& file);
  static void run_queue(void* self, void* item) noexcept;
  void end_unsent(outgoing& item, std::error_code cause) noexcept;
  void tell_outcome(outgoing& item, std::error_code cause);
  void born_to(caf::strong_actor_ptr owner);
  void close_within(std::chrono::milliseconds deadline) noexcept;
  void close(close_reason reason, std::error_code cause) noexcept;
  void update_reading() noexcept;
  void check_waits() const noexcept;
  datagram::info describe();

  const net::endpoint wanted_local_;
  const bind_options options_;
  caf::strong_actor_ptr opener_;
  datagram_handler_factory make_handler_;
  std::shared_ptr<kept_datagram_socket> kept_; // by its supervisor, to which it leaves the socket when it fails
  bool leaves_socket_ = false;
  end_of_turn at_end_of_turn_{*this};
  net::datagram_socket socket_;
  net::channel channel_ = net::channel::none;
  std::optional<path_watch> path_watch_; // of a Unix socket with a file, while it is open
  caf::strong_actor_ptr owner_;
  hosted_actor* hosted_owner_ = nullptr;
  net::credit_account* credit_;
  net::write_room reserved_;
  net::write_room on_the_way_; // what comes as messages of other threads, until the loop has it
  datagram_queue queue_;
  retry_timer retry_{*this};
  stall_timer stall_{*this};
  net::time_point last_step_{}; // when something was sent, or had to wait, while `stall_` is armed
  std::vector<outgoing> refused_;
  std::vector<caf::strong_actor_ptr> waiting_; // who is told when the queue is writable again
  datagram::info counters_;
  datagram::closed ended_with_;   // for an owner that comes after the end
  caf::actor_id told_of_end_ = 0; // who has it: the last owner
  close_reason ending_ = close_reason::requested;
  std::error_code ending_cause_;
  bool paused_ = false;
  bool reading_ = false;
  bool starved_ = false;
  bool passed_high_ = false;
  bool closing_ = false; // what is queued is sent first
  bool abort_asked_ = false;
};

} // namespace actnet
