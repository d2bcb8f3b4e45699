// The actor that owns a stream connection: commands in, events out, around net::connection.
#pragma once

#include "actnet/actors/lean_actor.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/options.hpp"
#include "actnet/net/connection/connection.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace actnet {

class connection_count;
class listener_book;

/// What counts a connection while it lives: whoever opened it learns of its end by this object's destruction.
class connection_slot {
 public:
  virtual ~connection_slot() = default;
  virtual const connection_count* count() const noexcept = 0;
  /// Of an accepted connection: where its listener keeps what it knows of it.
  virtual listener_book* book() const noexcept { return nullptr; }
};

/// Everything a connection is born with.
struct connection_birth {
  net::stream_socket socket;
  net::endpoint peer;
  connection_options options;
  std::shared_ptr<connection_slot> slot;
};

/// Which write that is; a base that has the friend.
class awaited_write {
  friend class connection_actor;
  net::write_item* item_ = nullptr;
};

/// Who waits for the outcome of one write, flush, file or finish as an object, without a message. On the connection's
/// loop; it must not go away while it waits.
class write_waiter : public awaited_write {
 public:
  virtual void on_written(std::uint64_t bytes, std::error_code cause) noexcept = 0;

 protected:
  ~write_waiter() = default;
};

class connection_actor final : public lean_actor, private net::connection_owner {
 public:
  connection_actor(caf::actor_config& cfg, loop_host& home, connection_birth birth);
  ~connection_actor() override;

  /// Makes one on `home`; `start` it when its owner is known or is to claim it. Any thread.
  static caf::strong_actor_ptr make(loop_host& home, connection_birth birth);

  const char* name() const override { return "actnet.connection"; }

  /// The owner it is begun with. Before `start`.
  void born_to(caf::strong_actor_ptr owner);

  /// `stream::write` from `sender` (null: nobody) without a message. Any thread.
  void write(net::bytes&& payload, std::uint64_t token, caf::abstract_actor* sender);

  /// `stream::abort` and `stream::close`, in its loop's thread.
  void abort() noexcept { stream_.abort(); }
  void close() noexcept { stream_.close(); }

  // Without messages, in its loop's thread. The outcome may come within the call, also after its end.

  void pull(net::pull& what) { stream_.pull(what); }
  bool withdraw(net::pull& what) noexcept { return stream_.withdraw(what); }
  void put_back(net::bytes payload) { stream_.put_back(std::move(payload)); }
  /// A mark has no payload, and is through when all before it is.
  void write(net::bytes payload, write_waiter& who, bool is_mark = false);
  void write(std::unique_ptr<net::file_source> file, write_waiter& who);
  void finish(write_waiter& who);
  /// Calls off a write: what of it is not sent never will be. `who` is told, unless it is forgotten.
  void withdraw(write_waiter& who, errc cause) noexcept;
  void forget(write_waiter& who) noexcept;

  void use_codec(std::optional<net::framing> how, bool only_reads = false) {
    stream_.set_framing(std::move(how), only_reads);
  }

  net::stream_socket& socket() noexcept { return stream_.socket(); }
  void stop_reading() noexcept { stream_.stop_reading(); }

  const net::endpoint& peer() const noexcept { return peer_; }
  const std::shared_ptr<connection_slot>& slot() const noexcept { return slot_; }

  /// In its loop's thread.
  const net::connection_counters& counters() const noexcept { return stream_.counters(); }

 private:
  struct outgoing;
  class pull_command;

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
  void abort_now(net::errc cause) override;
  bool quiescent() const noexcept override;

  void on_received(net::bytes&& payload) noexcept override;
  bool on_peer_finished() noexcept override;
  void on_writable() noexcept override;
  void on_outcome(net::write_item& item, std::error_code cause) noexcept override;
  net::write_item& item_of_direct() noexcept override;
  void on_closed(net::close_reason reason, std::error_code cause) noexcept override;
  std::string owner_name() const override;

  void set_sender(outgoing& item, caf::abstract_actor* sender) noexcept;
  caf::strong_actor_ptr sender_of(outgoing& item);
  void post(outgoing* item);
  void queue(outgoing* item) noexcept;
  void queue(outgoing* item, write_waiter& who) noexcept;
  bool take_pull(caf::mailbox_element& command);
  bool make_frame(outgoing& item) noexcept;
  static void run_queue(void* self, void* item) noexcept;
  void set_owner(const caf::strong_actor_ptr& owner);
  void log_end_of_handler(const caf::error& reason);
  stream::info describe();

  // The first ones are used with every message; they lie beside the loop's pointer in the base.
  caf::strong_actor_ptr owner_;
  hosted_actor* hosted_owner_ = nullptr;             // `owner_`, if it is one of ours
  std::vector<caf::strong_actor_ptr> former_owners_; // what they wrote may still be queued
  caf::abstract_actor* direct_sender_ = nullptr;     // in the turn in which it wrote; the host keeps it that long
  net::connection stream_;
  net::write_room on_the_way_; // what writes take that come as messages of other threads, until the loop has them
  net::endpoint peer_;
  std::shared_ptr<connection_slot> slot_;
  std::uint64_t ends_told_ = 0;                // by request; the number of the one whose answer counts
  stream::closed ended_with_;                  // for an owner that comes after the end
  caf::actor_id told_of_end_ = 0;              // who has it: the last owner
  std::vector<caf::strong_actor_ptr> refused_; // who is told when the queue is writable again
};

} // namespace actnet
