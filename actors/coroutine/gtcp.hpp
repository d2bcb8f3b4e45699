// The conveniences of GoFrame's gtcp, in coroutines:
//
//   auto peer = (co_await gtcp::conn::connect("127.0.0.1:9999")).get();
//   auto answer = (co_await peer.send_recv_pkg("question")).get();
//
//   task<> echo(gtcp::conn peer) {
//     for (;;) {
//       auto some = co_await peer.recv(-1);
//       if (!some || !co_await peer.send(*some))
//         break;
//     }
//   }
//   gtcp::server server;
//   (void)co_await server.run("127.0.0.1:9999", echo);
#pragma once

#include "actnet/actors/coroutine/coroutine.hpp"
#include "actnet/actors/sequential/gtcp_pool.hpp"

#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

namespace actnet::coroutine::gtcp {

using sequential::gtcp::free_port;
using sequential::gtcp::pkg_option;
using sequential::gtcp::retry;

namespace detail {

/// The loop of the coroutine that is running.
class place {
 public:
  auto connect(endpoint_argument remote, time_limit within) const {
    return stream_socket::connect(std::move(remote), within);
  }
  net::time_point now() const { return coroutine::detail::here().loop().time().now(); }
};

/// See gtcp_conn.hpp.
struct way {
  using dialect = coroutine::dialect;
  using place = detail::place;
  template <class T>
  using task = coroutine::task<T>;

  template <class T>
  static task<T> outcome(task<T> begun) {
    return begun;
  }
  static auto sleep(net::timeout time) { return coroutine::sleep(time); }

  static task<result<sequential::gtcp::basic_conn<way>>> connect(endpoint_argument remote,
                                                                 time_limit within = sequential::gtcp::connect_timeout);
  static task<result<sequential::gtcp::basic_conn<way>>> adopt(int descriptor);
};

} // namespace detail

/// `connect(remote)` takes a `time_limit` too; `adopt(descriptor)`.
using conn = sequential::gtcp::basic_conn<detail::way>;

inline task<result<conn>> detail::way::connect(endpoint_argument remote, time_limit within) {
  auto made = co_await stream_socket::connect(std::move(remote), within);
  if (!made)
    co_return failed(made.error());
  co_return conn{std::move(*made)};
}

inline task<result<conn>> detail::way::adopt(int descriptor) {
  auto made = co_await stream_socket::adopt(descriptor);
  if (!made)
    co_return failed(made.error());
  co_return conn{std::move(*made)};
}

/// For the coroutines of one loop, where its connections live.
class pool : public sequential::gtcp::basic_pool<detail::way> {
 public:
  explicit pool(net::timeout connect_within = sequential::gtcp::connect_timeout,
                net::timeout idle_time = sequential::gtcp::pool_idle_time)
      : basic_pool(detail::place{}, connect_within, idle_time) {}
};

/// Runs a coroutine for each connection, in an actor of its own on the same loop. (`serve` is a listener that deals
/// connections out to all loops.)
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

  /// From now on connects wait in the backlog; once.
  task<result<void>> listen(endpoint_argument local) {
    auto made = co_await tcp_server::bind(std::move(local));
    if (!made)
      co_return failed(made.error());
    std::lock_guard guard{mutex_};
    listening_ = std::move(*made);
    local_ = listening_.local_endpoint();
    if (stopped_)
      listening_.stopper().stop();
    co_return result<void>{};
  }

  /// Accepts, and runs `fun(conn)`, a coroutine, for each connection, until `stop`; or ends with the error of an
  /// accept. What runs then goes on. `not_connected`: it does not listen.
  template <class F>
  task<result<void>> run(F fun) {
    if (!listening_)
      co_return failed(errc::not_connected);
    for (;;) {
      auto peer = co_await listening_.accept();
      if (!peer) {
        const auto cause = peer.error();
        (void)co_await listening_.close();
        if (cause == errc::interrupted)
          co_return result<void>{};
        co_return failed(cause);
      }
      coroutine::spawn(fun, conn{std::move(*peer)});
    }
  }

  // -- any thread -----------------------------------------------------------------------------------

  /// No more connections. Also before `run`.
  void stop() {
    std::lock_guard guard{mutex_};
    stopped_ = true;
    if (listening_)
      listening_.stopper().stop();
  }

  /// Where it listens; nothing before.
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
  tcp_server listening_;
  std::optional<net::endpoint> local_;
  bool stopped_ = false;
};

// -- one-shots: connect, do it, close. A timeout covers all of that; without one to connect may take 30 s ------------

namespace detail {

template <class T, class Work>
task<result<T>> once(endpoint_argument remote, std::optional<net::duration> within, Work work) {
  return sequential::gtcp::once<way, T>(place{}, std::move(remote), within, std::move(work));
}

} // namespace detail

/// Of the server's end there is no word: all was sent when the kernel had it.
inline auto send(endpoint_argument remote, std::string_view data, retry again = {}) {
  return detail::once<std::uint64_t>(
      std::move(remote), {},
      [data = net::bytes::to_send(data), again](conn& peer, net::duration) { return peer.send(data, again); });
}

inline auto send_with_timeout(endpoint_argument remote, std::string_view data, net::timeout within, retry again = {}) {
  return detail::once<std::uint64_t>(std::move(remote), within,
                                     [data = net::bytes::to_send(data), again](conn& peer, net::duration left) {
                                       return peer.send_with_timeout(data, left, again);
                                     });
}

inline auto send_recv(endpoint_argument remote, std::string_view data, std::int64_t length, retry again = {}) {
  return detail::once<net::bytes>(std::move(remote), {},
                                  [data = net::bytes::to_send(data), length, again](conn& peer, net::duration) {
                                    return peer.send_recv(data, length, again);
                                  });
}

inline auto send_recv_with_timeout(endpoint_argument remote, std::string_view data, std::int64_t length,
                                   net::timeout within, retry again = {}) {
  return detail::once<net::bytes>(std::move(remote), within,
                                  [data = net::bytes::to_send(data), length, again](conn& peer, net::duration left) {
                                    return peer.send_recv_with_timeout(data, length, left, again);
                                  });
}

inline auto send_pkg(endpoint_argument remote, std::string_view data, pkg_option option = {}) {
  return detail::once<std::uint64_t>(
      std::move(remote), {},
      [data = net::bytes::to_send(data), option](conn& peer, net::duration) { return peer.send_pkg(data, option); });
}

inline auto send_pkg_with_timeout(endpoint_argument remote, std::string_view data, net::timeout within,
                                  pkg_option option = {}) {
  return detail::once<std::uint64_t>(std::move(remote), within,
                                     [data = net::bytes::to_send(data), option](conn& peer, net::duration left) {
                                       return peer.send_pkg_with_timeout(data, left, option);
                                     });
}

inline auto send_recv_pkg(endpoint_argument remote, std::string_view data, pkg_option option = {}) {
  return detail::once<net::bytes>(std::move(remote), {},
                                  [data = net::bytes::to_send(data), option](conn& peer, net::duration) {
                                    return peer.send_recv_pkg(data, option);
                                  });
}

inline auto send_recv_pkg_with_timeout(endpoint_argument remote, std::string_view data, net::timeout within,
                                       pkg_option option = {}) {
  return detail::once<net::bytes>(std::move(remote), within,
                                  [data = net::bytes::to_send(data), option](conn& peer, net::duration left) {
                                    return peer.send_recv_pkg_with_timeout(data, left, option);
                                  });
}

} // namespace actnet::coroutine::gtcp
