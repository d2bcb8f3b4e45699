#include "actnet/net/socket/socket.hpp"

#include "actnet/net/error.hpp"
#include "actnet/net/socket/system_calls.hpp"

#include <fcntl.h>
#include <netinet/in.h>

#include <utility>

namespace actnet::net {

namespace {

result<int> ask(int fd, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  if (sys().getsockopt(fd, SOL_SOCKET, name, &value, &size) != 0)
    return failure{from_errno(errno)};
  return value;
}

result<transport> transport_of(int fd, int family, int type) {
  const bool stream = type == SOCK_STREAM;
  if (family == AF_UNIX)
    return stream ? transport::unix_stream : transport::unix_datagram;
  if (family != AF_INET && family != AF_INET6)
    return failure{errc::bad_descriptor};
  const auto protocol = ask(fd, SO_PROTOCOL);
  if (!protocol)
    return failure{protocol.error()};
  // Multipath TCP (RFC 8684) is the same to whoever reads and writes; options that it lacks are `not_supported`.
  if (*protocol != (stream ? IPPROTO_TCP : IPPROTO_UDP) && !(stream && *protocol == IPPROTO_MPTCP))
    return failure{errc::bad_descriptor};
  return stream ? transport::tcp : transport::udp;
}

template <class Call>
result<endpoint> ask_address(net::transport transport, Call call) {
  sockaddr_storage storage;
  socklen_t size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (call(address, &size) != 0)
    return failure{from_errno(errno)};
  return from_socket_address(address, size, transport);
}

} // namespace

socket::socket(socket&& other) noexcept : view_(other.view_), path_(std::move(other.path_)) {
  other.view_.fd = -1;
}

socket& socket::operator=(socket&& other) noexcept {
  if (this != &other) {
    close();
    view_ = other.view_;
    path_ = std::move(other.path_);
    other.view_.fd = -1;
  }
  return *this;
}

socket::~socket() {
  close();
}

int socket::release() noexcept {
  block_again();
  path_.release();
  return std::exchange(view_.fd, -1);
}

/// Others may share what we made non-blocking (fcntl(2): the open file description), such as whoever started us.
void socket::block_again() noexcept {
  if (!std::exchange(view_.blocked, false) || view_.fd < 0)
    return;
  const int flags = sys().fcntl(view_.fd, F_GETFL, 0);
  if (flags >= 0)
    (void)sys().fcntl(view_.fd, F_SETFL, flags & ~O_NONBLOCK);
}

void socket::close() noexcept {
  path_.unlink();
  block_again();
  if (view_.lingers)
    (void)set(linger{});
  if (view_.fd >= 0)
    sys().close(std::exchange(view_.fd, -1));
}

result<endpoint> socket::local_endpoint() const {
  return ask_address(view_.transport,
                     [this](sockaddr* address, socklen_t* size) { return sys().getsockname(view_.fd, address, size); });
}

result<endpoint> socket::peer() const {
  return ask_address(view_.transport,
                     [this](sockaddr* address, socklen_t* size) { return sys().getpeername(view_.fd, address, size); });
}

result<void> socket::set(const socket_option& option) {
  auto done = set_option(view_, option);
  if (const auto asked = std::get_if<linger>(&option); asked && done)
    view_.lingers = asked->time.value_or(std::chrono::seconds{0}) > std::chrono::seconds{0};
  return done;
}

result<void> socket::set_all(std::span<const socket_option> options) {
  for (const auto& option : options)
    if (auto done = set(option); !done)
      return done;
  return {};
}

std::error_code socket::take_error() {
  const auto pending = ask(view_.fd, SO_ERROR);
  if (!pending)
    return pending.error();
  return *pending == 0 ? std::error_code{} : make_error_code(from_errno(*pending));
}

result<socket> socket::open(net::transport transport, const socket_address& address) {
  const bool stream = transport == net::transport::tcp || transport == net::transport::unix_stream;
  const int family = address.storage.ss_family;
  const int fd = sys().socket(family, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return failure{from_errno(errno)};
  return socket{socket_view{fd, transport, family}};
}

result<socket> socket::take_over(int fd, int type, bool listening) {
  const auto actual = ask(fd, SO_TYPE);
  if (!actual)
    return failure{actual.error()};
  const auto family = ask(fd, SO_DOMAIN);
  if (!family)
    return failure{family.error()};
  const auto accepts = ask(fd, SO_ACCEPTCONN);
  if (!accepts)
    return failure{accepts.error()};
  if (*actual != type || (*accepts != 0) != listening)
    return failure{errc::bad_descriptor};
  const auto transport = transport_of(fd, *family, type);
  if (!transport)
    return failure{transport.error()};
  const int flags = sys().fcntl(fd, F_GETFL, 0);
  if (flags < 0 || sys().fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || sys().fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
    return failure{from_errno(errno)};
  socket taken{socket_view{fd, *transport, *family}};
  // Of several loops that share a listener, as servers do while one takes over from another, the last one to take a
  // connection must not wait for the next: accept(2) knows no other way not to. So a listener stays as it is.
  taken.view_.blocked = !listening && (flags & O_NONBLOCK) == 0;
  if (const auto set_before = taken.get<linger>(); set_before && set_before->time)
    taken.view_.lingers = *set_before->time > std::chrono::seconds{0};
  return taken;
}

result<void> socket::bind(const socket_address& address) {
  if (sys().bind(view_.fd, address.data(), address.size) != 0)
    return failure{from_errno(errno)};
  return {};
}

result<void> socket::bind(const endpoint& local, std::optional<mode_t> mode) {
  if (local.is_ip())
    return bind(to_socket_address(local));
  auto bound = unix_path::bind(view_.fd, local, mode);
  if (!bound)
    return failure{bound.error()};
  path_ = std::move(*bound);
  return {};
}

} // namespace actnet::net
