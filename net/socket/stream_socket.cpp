#include "actnet/net/socket/stream_socket.hpp"

#include "actnet/net/error.hpp"
#include "actnet/net/socket/system_calls.hpp"

#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <algorithm>

namespace actnet::net {

namespace {

bool is_stream(const endpoint& e) {
  return e.transport() == transport::tcp || e.transport() == transport::unix_stream;
}

result<void> shut_down(int fd, int how) {
  if (sys().shutdown(fd, how) != 0)
    return failure{from_errno(errno)};
  return {};
}

} // namespace

result<stream_socket::begun> stream_socket::begin_connect(const endpoint& remote, const std::optional<endpoint>& local,
                                                          std::span<const socket_option> options) {
  if (!is_stream(remote))
    return failure{errc::invalid_endpoint};
  const socket_address to = to_socket_address(remote);
  auto opened = open(remote.transport(), to);
  if (!opened)
    return failure{opened.error()};
  stream_socket s{std::move(*opened)};
  if (auto done = s.set_all(options); !done)
    return failure{done.error()};
  if (local)
    if (auto done = s.bind_source(*local); !done)
      return failure{done.error()};
  // A connect that was interrupted and is asked for again says that it is under way or done.
  const int answer = uninterrupted([&] { return sys().connect(s.fd(), to.data(), to.size); });
  const bool connected = answer == 0 || errno == EISCONN;
  if (!connected && errno != EINPROGRESS && errno != EALREADY)
    return failure{from_errno(errno)};
  return begun{std::move(s), connected};
}

result<void> stream_socket::bind_source(const endpoint& local) {
  const socket_address from = to_socket_address(local);
  if (local.transport() != transport() || from.storage.ss_family != view().family)
    return failure{errc::invalid_endpoint};
  if (transport() == net::transport::tcp && local.port() == 0) {
    // The port is chosen by connect, so that many sockets can share it towards different peers (ip(7)).
    const int on = 1;
    if (sys().setsockopt(fd(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0)
      return failure{from_errno(errno)};
  }
  return bind(local);
}

result<void> stream_socket::finish_connect() {
  const auto remote = peer();
  if (!remote) {
    // It was connected if the peer has said something, and be it its end, before it reset the stream. Whoever asks for
    // the error first (SO_ERROR) takes it away from the read that is to tell it behind those bytes.
    std::byte next;
    const auto got = uninterrupted([&] { return sys().recv(fd(), &next, 1, MSG_PEEK | MSG_DONTWAIT); });
    if (got >= 0)
      return {};
    if (errno != ENOTCONN)
      return failure{from_errno(errno)}; // EAGAIN: under way; any other error the call above has taken
    if (const auto error = take_error())
      return failure{error};
    return failure{remote.error() == errc::not_connected ? make_error_code(errc::would_block) : remote.error()};
  }
  if (transport() != net::transport::tcp)
    return {};
  const auto local = local_endpoint();
  if (!local)
    return failure{local.error()};
  if (*local == *remote)
    return failure{errc::connection_refused};
  return {};
}

result<stream_socket> stream_socket::adopt(int fd) {
  auto taken = take_over(fd, SOCK_STREAM, false);
  if (!taken)
    return failure{taken.error()};
  return stream_socket{std::move(*taken)};
}

result<std::pair<stream_socket, stream_socket>> stream_socket::pair() {
  int fds[2];
  if (sys().socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
    return failure{from_errno(errno)};
  const auto own = [](int fd) { return stream_socket{socket_view{fd, net::transport::unix_stream, AF_UNIX}}; };
  return std::pair{own(fds[0]), own(fds[1])};
}

result<peer_credentials> stream_socket::credentials() const {
  if (transport() != net::transport::unix_stream)
    return failure{errc::not_supported};
  ucred found{};
  socklen_t size = sizeof found;
  if (sys().getsockopt(fd(), SOL_SOCKET, SO_PEERCRED, &found, &size) != 0)
    return failure{from_errno(errno)};
  return peer_credentials{found.pid, found.uid, found.gid};
}

result<std::size_t> stream_socket::receive(std::span<std::byte> buffer) {
  if (buffer.empty())
    return failure{errc::invalid_argument};
  const auto size = uninterrupted([&] { return sys().recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT); });
  if (size < 0)
    return failure{from_errno(errno)};
  return static_cast<std::size_t>(size);
}

result<std::uint64_t> stream_socket::untaken() const {
  int left = 0;
  if (sys().ioctl(fd(), SIOCOUTQ, &left) != 0)
    return failure{from_errno(errno)};
  return static_cast<std::uint64_t>(left);
}

result<std::size_t> stream_socket::send(std::span<const iovec> parts) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = std::min<std::size_t>(parts.size(), IOV_MAX);
  const auto size = uninterrupted([&] { return sys().sendmsg(fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT); });
  if (size < 0)
    return failure{from_errno(errno)};
  return static_cast<std::size_t>(size);
}

result<void> stream_socket::shutdown_write() {
  return shut_down(fd(), SHUT_WR);
}

result<void> stream_socket::shutdown_read() {
  return shut_down(fd(), SHUT_RD);
}

result<void> stream_socket::reset_on_close() {
  return set(linger{std::chrono::seconds{0}});
}

} // namespace actnet::net
