// Connections with gtcp's operations that are used again.
#pragma once

#include "actnet/actors/sequential/gtcp_conn.hpp"

#include <cstddef>
#include <memory>
#include <utility>

namespace actnet::sequential::gtcp {

/// Connections that are used again, by address. Whoever needs one takes it with `get`, and gives it back with its
/// `close`. One that the server has closed meanwhile is replaced unseen, as long as nothing of a request was sent on
/// it; to connect anew takes its own time, besides a request's timeout. A request that was perhaps sent is never
/// repeated: its error is the caller's.
template <class Way>
class basic_pool {
 public:
  using conn = basic_conn<Way>;

  basic_pool(basic_pool&&) noexcept = default;
  basic_pool& operator=(basic_pool&&) = delete;
  /// Idle connections are closed; the others when they are given back.
  ~basic_pool() {
    if (store_)
      store_->close();
  }

  /// An idle one, or a new one.
  auto get(endpoint_argument remote) { return Way::outcome(obtain(std::move(remote))); }

  /// How many are idle. Those that nobody has taken for the idle time are closed when the pool is next used.
  std::size_t idle() const { return store_->size(); }

 protected:
  basic_pool(typename Way::place from, net::timeout connect_within, net::timeout idle_time)
      : store_(std::make_shared<pool_store<Way>>(std::move(from), connect_within, idle_time)) {}

 private:
  typename Way::template task<result<conn>> obtain(endpoint_argument remote) {
    if (!remote.mistake().empty())
      co_return failed(make_error(errc::invalid_endpoint, remote.mistake()));
    conn made{store_, remote.value()};
    auto done = co_await made.replace();
    if (!done)
      co_return failed(done.error());
    co_return result<conn>{std::move(made)};
  }

  std::shared_ptr<pool_store<Way>> store_;
};

} // namespace actnet::sequential::gtcp
