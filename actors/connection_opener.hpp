// What listeners and clients have in common: they bring connections to life, count them, and can abort what is left.
#pragma once

#include "actnet/actors/connection.hpp"
#include "actnet/actors/connection_actor.hpp"
#include "actnet/actors/options.hpp"
#include "actnet/net/address/endpoint.hpp"

#include <caf/actor.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace actnet {

class loops;

/// Makes the handler of a connection, which becomes its owner. `home` is the connection's loop. May throw.
using connection_handler_factory = std::function<caf::actor(loop_host& home, const connection&)>;

/// To an opener, from a connection that ended while it waited for that.
struct slot_returned {};

/// Counts the connections of one opener, exactly. Shared by the opener and its connections. Any thread.
class connection_count : public std::enable_shared_from_this<connection_count> {
 public:
  /// 0: no limit.
  explicit connection_count(std::uint32_t limit) noexcept : limit_(limit) {}

  /// Nobody is sent away. Whoever waits for a place should try again.
  void set_limit(std::uint32_t limit) noexcept { limit_.store(limit); }

  /// A place for one more connection, held until the result is destroyed; null if there is none. In that case `whom`
  /// gets `slot_returned` when there is one again.
  std::shared_ptr<connection_slot> take(const caf::strong_actor_ptr& whom);

  /// `whom` gets `slot_returned` at the next end of a connection; false: there is none now.
  bool await_end(const caf::strong_actor_ptr& whom);

  std::uint32_t live() const noexcept { return live_.load(); }

 private:
  class slot;
  bool try_take() noexcept;
  void returned() noexcept;
  void wait(const caf::strong_actor_ptr& whom);
  void forget(const caf::strong_actor_ptr& whom);

  std::atomic<std::uint32_t> limit_;
  std::atomic<std::uint32_t> live_{0};
  std::atomic<bool> awaited_{false};
  std::mutex mutex_;
  std::vector<caf::strong_actor_ptr> waiting_;
};

/// Has `what` called with every loop and its number (see `loops::number_of`), in that loop's thread; own loops too.
/// Loops that have ended are left out. Any thread; what `what` holds is let go of when the last one has done it.
void on_every_loop(loops& all, const std::function<void(loop_host&, std::size_t)>& what);

/// Calls `what` with each counted connection that lives on `host`, in its thread.
void for_each_connection(loop_host& host, const std::function<void(connection_actor&)>& what);

/// Closes or aborts every connection that `count` counts, on all loops. Any thread.
void end_connections(loops& all, const std::shared_ptr<connection_count>& count,
                     void (connection_actor::*how)() noexcept) noexcept;

/// Brings a connection to life in the thread of `home`: with the handler that `make_handler` makes as its owner, or
/// with `owner`, or unclaimed if there is neither. Returns an empty handle if the handler could not be made (logged).
connection open_connection(loop_host& home, connection_birth birth, const connection_handler_factory& make_handler,
                           const caf::strong_actor_ptr& owner);

} // namespace actnet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::slot_returned)
