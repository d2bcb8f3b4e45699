// The conveniences of GoFrame's gtcp, for threads:
//
//   auto peer = gtcp::conn::connect(system, "127.0.0.1:9999").get();
//   auto answer = peer.send_recv_pkg("question").get();
//
//   gtcp::server echo{system};
//   echo.run("127.0.0.1:9999", [](gtcp::conn& peer) {
//     while (auto some = peer.recv(-1))
//       if (!peer.send(*some))
//         break;
//   });
#pragma once

#include "actnet/actors/blocking/blocking.hpp"
#include "actnet/actors/blocking/immediate.hpp"
#include "actnet/actors/sequential/gtcp_pool.hpp"
#include "actnet/net/threads.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

namespace actnet::blocking::gtcp {

using sequential::gtcp::free_port;
using sequential::gtcp::pkg_option;
using sequential::gtcp::retry;

namespace detail {

class place {
 public:
  place(caf::actor_system& system) noexcept : system_(&system) {}

  caf::actor_system& system() const noexcept { return *system_; }
  result<stream_socket> connect(endpoint_argument remote, time_limit within) const {
    return stream_socket::connect(*system_, std::move(remote), within);
  }
  net::time_point now() const noexcept;

 private:
  caf::actor_system* system_;
};

/// See gtcp_conn.hpp.
struct way {
  using dialect = blocking::dialect;
  using place = detail::place;
  template <class T>
  using task = blocking::detail::immediate<T>;

  template <class T>
  static T outcome(task<T> ended) {
    return std::move(ended).get();
  }
  static result<void> sleep(net::timeout time);

  static result<sequential::gtcp::basic_conn<way>> connect(caf::actor_system& system, endpoint_argument remote,
                                                           time_limit within = sequential::gtcp::connect_timeout);
  static result<sequential::gtcp::basic_conn<way>> adopt(caf::actor_system& system, int descriptor);
};

} // namespace detail

/// `connect(system, remote)` takes a `time_limit` too; `adopt(system, descriptor)`.
using conn = sequential::gtcp::basic_conn<detail::way>;

/// Any thread may take a connection; each connection is one thread's at a time. It goes before the system.
class pool : public sequential::gtcp::basic_pool<detail::way> {
 public:
  explicit pool(caf::actor_system& system, net::timeout connect_within = sequential::gtcp::connect_timeout,
                net::timeout idle_time = sequential::gtcp::pool_idle_time)
      : basic_pool(system, connect_within, idle_time) {}
};

/// Calls a handler for each connection, in a thread of its own. Its connection is closed when it returns, and reset
/// when it throws; that is logged, and nobody else notices.
class server {
 public:
  using handler = std::function<void(conn&)>;

  explicit server(caf::actor_system& system) noexcept : system_(system) {}
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// `listen` and `run(handler)`.
  result<void> run(endpoint_argument local, handler each);

  /// From now on connects wait in the backlog; once.
  result<void> listen(endpoint_argument local);
  /// Accepts until `stop` and returns when all handlers have; or with the error of an accept. `not_connected`: it does
  /// not listen.
  result<void> run(handler each);

  // -- any thread -----------------------------------------------------------------------------------

  /// No more connections; those that are open go on, and `run` waits for them. Also before `run`.
  void stop();
  /// The same, and closes all that are open: a handler that waits for one gets `closed`.
  void close();

  /// Where it listens; nothing before.
  std::optional<net::endpoint> address() const;
  /// The port there; -1 before, and of a Unix endpoint.
  int listened_port() const;

 private:
  struct worker {
    std::unique_ptr<net::running_thread> thread;
    connection peer;
    bool ended = false;
  };

  void handle(stream_socket peer, const handler& each);
  void join_ended(bool all);

  caf::actor_system& system_;
  mutable std::mutex mutex_;
  std::condition_variable worker_ended_;
  tcp_server listening_;
  std::optional<net::endpoint> local_;
  std::list<worker> workers_;
  bool stopped_ = false;
  bool closed_ = false;
};

// -- one-shots: connect, do it, close. A timeout covers all of that; without one to connect may take 30 s ------------

/// Of the server's end there is no word: all was sent when the kernel had it.
result<std::uint64_t> send(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                           const retry& again = {});
result<std::uint64_t> send_with_timeout(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                                        net::timeout within, const retry& again = {});
result<net::bytes> send_recv(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                             std::int64_t length, const retry& again = {});
result<net::bytes> send_recv_with_timeout(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                                          std::int64_t length, net::timeout within, const retry& again = {});
result<std::uint64_t> send_pkg(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                               const pkg_option& option = {});
result<std::uint64_t> send_pkg_with_timeout(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                                            net::timeout within, const pkg_option& option = {});
result<net::bytes> send_recv_pkg(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                                 const pkg_option& option = {});
result<net::bytes> send_recv_pkg_with_timeout(caf::actor_system& system, endpoint_argument remote,
                                              std::string_view data, net::timeout within,
                                              const pkg_option& option = {});

} // namespace actnet::blocking::gtcp
