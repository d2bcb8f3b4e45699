// The conveniences of GoFrame's gudp, in coroutines:
//
//   auto answer = co_await gudp::send_recv_with_timeout("127.0.0.1:9999", "question", 1024, 1s);
//
//   task<> echo(gudp::conn& peers) {
//     for (;;) {
//       auto some = co_await peers.recv();
//       if (!some)
//         break;
//       (void)co_await peers.send_to(some->payload, some->from);
//     }
//   }
//   gudp::server server;
//   (void)co_await server.run("127.0.0.1:9999", echo);
#pragma once

#include "actnet/actors/coroutine/gtcp.hpp"
#include "actnet/actors/sequential/gudp_conn.hpp"

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace actnet::coroutine::gudp {

using sequential::gtcp::retry;
using sequential::gudp::recv_buffer_bytes;

namespace detail {

struct way : gtcp::detail::way {
  static task<result<sequential::gudp::basic_conn<way>>> connect(endpoint_argument remote,
                                                                 std::optional<endpoint_argument> local = {});
};

} // namespace detail

/// `connect(remote)`, and perhaps where it is bound.
using conn = sequential::gudp::basic_conn<detail::way>;

inline task<result<conn>> detail::way::connect(endpoint_argument remote, std::optional<endpoint_argument> local) {
  const auto to = std::move(remote).for_datagrams();
  if (!to.mistake().empty())
    co_return failed(make_error(errc::invalid_endpoint, to.mistake()));
  // Apart: g++ 12 destroys what a conditional makes twice when that is awaited.
  auto from = local ? *local : endpoint_argument{sequential::gudp::any_local(to.value())};
  auto bound = co_await udp_socket::bind(std::move(from));
  if (!bound)
    co_return failed(bound.error());
  auto done = co_await bound->connect(to.value());
  if (!done)
    co_return failed(done.error());
  co_return conn{std::move(*bound)};
}

/// A bound socket for a handler, which receives for itself.
class server {
 public:
  server() = default;
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  // A handler with captures needs a name: in an expression that is awaited, g++ 12 destroys a temporary one twice.

  /// `listen` and `run(fun)`.
  template <class F>
  task<result<void>> run(endpoint_argument local, F fun) {
    auto done = co_await listen(std::move(local));
    if (!done)
      co_return done;
    co_return co_await run(std::move(fun));
  }

  /// From now on datagrams wait in the socket.
  task<result<void>> listen(endpoint_argument local) {
    auto made = co_await udp_socket::bind(std::move(local));
    if (!made)
      co_return failed(made.error());
    std::lock_guard guard{mutex_};
    socket_ = conn{std::move(*made)};
    local_ = socket_.local_endpoint();
    if (stopped_)
      socket_.as_socket().as_datagram_socket().close();
    co_return result<void>{};
  }

  /// Awaits `fun(conn&)`, a coroutine, and closes the socket. `not_connected`: there is none.
  template <class F>
  task<result<void>> run(F fun) {
    if (!socket_)
      co_return failed(errc::not_connected);
    co_await fun(socket_);
    co_return co_await socket_.close();
  }

  // -- any thread -----------------------------------------------------------------------------------

  /// Closes the socket: a handler that waits gets `closed`. Also before `run`.
  void stop() {
    std::lock_guard guard{mutex_};
    stopped_ = true;
    if (socket_)
      socket_.as_socket().as_datagram_socket().close();
  }

  /// Where it is bound; nothing before.
  std::optional<net::endpoint> address() const {
    std::lock_guard guard{mutex_};
    return local_;
  }
  /// The port there; -1 before, and of a Unix endpoint.
  int listened_port() const {
    const auto local = address();
    return local && local->is_ip() ? local->port() : -1;
  }

 private:
  mutable std::mutex mutex_;
  conn socket_;
  std::optional<net::endpoint> local_;
  bool stopped_ = false;
};

// -- one-shots: a socket for this one exchange --------------------------------------------------------

namespace detail {

/// `work(conn&)`
template <class T, class Work>
task<result<T>> once(endpoint_argument remote, Work work) {
  auto peer = co_await conn::connect(std::move(remote));
  if (!peer)
    co_return failed(peer.error());
  co_return co_await work(*peer);
}

} // namespace detail

inline auto send(endpoint_argument remote, std::string_view data, retry again = {}) {
  return detail::once<void>(std::move(remote),
                            [data = std::string{data}, again](conn& peer) { return peer.send(data, again); });
}

inline auto send_recv(endpoint_argument remote, std::string_view data, std::size_t max = recv_buffer_bytes,
                      retry again = {}) {
  return detail::once<net::bytes>(std::move(remote), [data = std::string{data}, max, again](conn& peer) {
    return peer.send_recv(data, max, again);
  });
}

inline auto send_recv_with_timeout(endpoint_argument remote, std::string_view data, std::size_t max,
                                   net::timeout within, retry again = {}) {
  return detail::once<net::bytes>(std::move(remote), [data = std::string{data}, max, within, again](conn& peer) {
    return peer.send_recv_with_timeout(data, max, within, again);
  });
}

} // namespace actnet::coroutine::gudp
