// A socket that accepts streams: TCP or Unix.
#pragma once

#include "actnet/net/socket/stream_socket.hpp"

#include <cstddef>
#include <optional>
#include <vector>

namespace actnet::net {

struct listener_options {
  int backlog = 4096;        ///< Connections waiting to be accepted; capped at net.core.somaxconn (listen(2)).
  bool reuse_address = true; ///< Bind although old connections of the port are in TIME_WAIT. IP only, else ignored.
  bool reuse_port = false;   ///< Let further sockets of this user share the port; see `open_shards`.
  std::optional<bool> v6_only;
  std::optional<mode_t> path_mode;    ///< Who may connect to a Unix path; none: as the umask says.
  std::vector<socket_option> options; ///< Set before bind. TCP passes most of them on to what it accepts.
};

/// Accepts connections. Closing it resets those that nobody accepted yet.
class listener_socket : public socket {
 public:
  struct accepted;

  listener_socket() noexcept = default;

  /// Bound and listening; port 0 lets the kernel choose. A Unix path is unlinked on close; one that
  /// nobody answers on any more is taken over.
  /// `address_in_use` when anybody listens there, also with `reuse_port`: such a socket binds without SO_REUSEPORT and
  /// sets it before listen(2), so that it can be the first of a group and never joins a stranger's.
  static result<listener_socket> open(const endpoint& local, const listener_options& options);

  /// `count` sockets that share one port, among which the kernel spreads connections; port 0 is chosen by the first.
  /// `reuse_port` is implied. The first opens as in `open`; the others set SO_REUSEPORT before bind(2), which Linux
  /// allows once every socket that is bound to the port has the option, whenever it was set. Another group on the port,
  /// of this process or of another, is therefore `address_in_use`; Linux cannot keep away a program of the same user
  /// that sets SO_REUSEPORT before its first bind. TCP only, else `not_supported`; 0 sockets are `invalid_argument`.
  ///
  /// Closing one of the sockets resets what waits in its backlog, so stop all of them together and accept first.
  static result<std::vector<listener_socket>> open_shards(const endpoint& local, const listener_options& options,
                                                          std::size_t count);

  /// One for each address of `local`, on the same port: two for `localhost`, or one where IPv6 is missing. The options
  /// hold for each that can have them.
  static result<std::vector<listener_socket>> open_each(const endpoint& local, const listener_options& options);

  /// Takes a descriptor that somebody else opened (a service manager, for one) and makes it non-blocking, for good, and
  /// close-on-exec. `bad_descriptor` if it is no TCP (or Multipath TCP) or Unix stream socket, or does not listen; on
  /// any error the caller still owns it.
  static result<listener_socket> adopt(int fd);

  /// The next connection. `would_block`: none waits. Errors of a connection that ended while it waited, such as
  /// `connection_aborted`, and a lack of descriptors or memory say nothing against the listener (accept(2)).
  result<accepted> accept();

 private:
  enum class role { alone, first_shard, further_shard };

  explicit listener_socket(socket&& opened) noexcept : socket(std::move(opened)) {}
  static result<listener_socket> open_as(role part, const endpoint& local, const listener_options& options);
  result<void> prepare(role part, const listener_options& options);
};

struct listener_socket::accepted {
  stream_socket socket;
  endpoint peer;
};

} // namespace actnet::net
