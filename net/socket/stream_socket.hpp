// A socket of connected, ordered bytes: TCP or a Unix stream.
#pragma once

#include "actnet/net/socket/socket.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace actnet::net {

/// Who connected a Unix socket, or listens there, as it was then (SO_PEERCRED, unix(7)).
struct peer_credentials {
  pid_t process = 0;
  uid_t user = 0;
  gid_t group = 0;
  bool operator==(const peer_credentials&) const = default;
};

/// Connected, ordered bytes. Receiving 0 bytes means that the peer finished sending.
class stream_socket : public socket {
 public:
  struct begun;

  stream_socket() noexcept = default;

  /// Starts to connect, from `local` if given. The options are set before anything is sent. When `begun::connected` is
  /// false, wait until the socket is writable and call `finish_connect`. A Unix listener whose backlog is full answers
  /// `would_block` here and nothing is under way (connect(2), EAGAIN). Endpoints that are not for streams, or not of
  /// one family, are `invalid_endpoint`.
  static result<begun> begin_connect(const endpoint& remote, const std::optional<endpoint>& local,
                                     std::span<const socket_option> options);

  /// Why the connect failed, or success: also when the peer has sent something and then reset the stream, for what it
  /// sent can be received and comes before the reset. `would_block`: it is still under way. `connection_refused` also
  /// when the connect met itself: without a listener, a port of the ephemeral range can be given to the connecting
  /// socket, which then talks to itself (RFC 9293, section 3.5, simultaneous open).
  result<void> finish_connect();

  /// Takes a descriptor that somebody else opened, connected or connecting, and makes it non-blocking, until it is
  /// closed or released, and close-on-exec. `bad_descriptor` if it is no TCP (or Multipath TCP) or Unix stream socket,
  /// or listens; on any error the caller still owns it.
  static result<stream_socket> adopt(int fd);

  /// Two Unix sockets connected to each other.
  static result<std::pair<stream_socket, stream_socket>> pair();

  result<endpoint> peer_endpoint() const { return peer(); }

  /// `not_supported` unless it is a Unix socket.
  result<peer_credentials> credentials() const;

  /// Bytes taken into `buffer`; 0 = the peer finished. Descriptors that a Unix peer attached are closed by the kernel.
  /// An empty buffer, which would look the same, is `invalid_argument`. Bytes that arrived before a reset may be lost
  /// with it.
  result<std::size_t> receive(std::span<std::byte> buffer);

  /// What was sent and the peer has not taken yet (SIOCOUTQ). TCP (tcp(7)): bytes that its kernel has not acknowledged,
  /// the end of our side as one more. Unix (unix(7)): the memory of what it has not read, which is more than the bytes.
  result<std::uint64_t> untaken() const;

  /// Bytes the kernel took, from the front; it may be fewer than given. At most the first IOV_MAX (1024) parts are
  /// looked at. `connection_reset` when the peer is gone.
  result<std::size_t> send(std::span<const iovec> parts);

  /// The peer reads the end of the stream after what was sent; receiving goes on.
  result<void> shutdown_write();

  /// From now on `receive` answers 0 once the kernel's buffer is empty. TCP tells the peer nothing and still accepts
  /// its bytes; a Unix peer's sends fail.
  result<void> shutdown_read();

  /// Makes close drop what is not sent yet and send RST. `not_supported` on a Unix socket: there the peer reads the end
  /// of the stream, or `connection_reset` if it left bytes unread here.
  result<void> reset_on_close();

 private:
  friend class listener_socket;
  explicit stream_socket(socket&& opened) noexcept : socket(std::move(opened)) {}
  explicit stream_socket(const socket_view& opened) noexcept : socket(opened) {}
  result<void> bind_source(const endpoint& local);
};

struct stream_socket::begun {
  stream_socket socket;
  bool connected;
};

} // namespace actnet::net
