// The conveniences of GoFrame's gudp, for threads:
//
//   auto answer = gudp::send_recv_with_timeout(system, "127.0.0.1:9999", "question", 1024, 1s).get();
//
//   gudp::server echo{system};
//   echo.run("127.0.0.1:9999", [](gudp::conn& peers) {
//     while (auto some = peers.recv())
//       (void)peers.send_to(some->payload, some->from);
//   });
#pragma once

#include "actnet/actors/blocking/gtcp.hpp"
#include "actnet/actors/sequential/gudp_conn.hpp"

#include <functional>
#include <mutex>
#include <optional>
#include <string_view>

namespace actnet::blocking::gudp {

using sequential::gtcp::retry;
using sequential::gudp::recv_buffer_bytes;

namespace detail {

struct way : gtcp::detail::way {
  static result<sequential::gudp::basic_conn<way>> connect(caf::actor_system& system, endpoint_argument remote,
                                                           std::optional<endpoint_argument> local = {});
};

} // namespace detail

/// `connect(system, remote)`, and perhaps where it is bound.
using conn = sequential::gudp::basic_conn<detail::way>;

/// A bound socket for a handler, which receives for itself.
class server {
 public:
  using handler = std::function<void(conn&)>;

  explicit server(caf::actor_system& system) noexcept : system_(system) {}
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// `listen` and `run(handler)`.
  result<void> run(endpoint_argument local, const handler& all);

  /// From now on datagrams wait in the socket.
  result<void> listen(endpoint_argument local);
  /// Calls the handler in this thread, and returns when it has, with the socket closed. `not_connected`: there is none.
  result<void> run(const handler& all);

  // -- any thread -----------------------------------------------------------------------------------

  /// Closes the socket: a handler that waits gets `closed`. Also before `run`.
  void stop();

  /// Where it is bound; nothing before.
  std::optional<net::endpoint> address() const;
  /// The port there; -1 before, and of a Unix endpoint.
  int listened_port() const;

 private:
  caf::actor_system& system_;
  mutable std::mutex mutex_;
  conn socket_;
  std::optional<net::endpoint> local_;
  bool stopped_ = false;
};

// -- one-shots: a socket for this one exchange --------------------------------------------------------

result<void> send(caf::actor_system& system, endpoint_argument remote, std::string_view data, const retry& again = {});
result<net::bytes> send_recv(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                             std::size_t max = recv_buffer_bytes, const retry& again = {});
result<net::bytes> send_recv_with_timeout(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                                          std::size_t max, net::timeout within, const retry& again = {});

} // namespace actnet::blocking::gudp
