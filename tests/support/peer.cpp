#include "support/peer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace actnet::test {

namespace {

using clock = std::chrono::steady_clock;

[[noreturn]] void give_up(const char* operation, const char* why) {
  throw std::runtime_error(std::string(operation) + ": " + why);
}

void require(bool succeeded, const char* operation) {
  if (!succeeded)
    give_up(operation, std::strerror(errno));
}

void await(int fd, short events, clock::time_point end, const char* operation) {
  if (fd < 0)
    give_up(operation, "the peer is closed");
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock::now());
    if (left.count() <= 0)
      give_up(operation, "deadline passed");
    pollfd waiting = {fd, events, 0};
    const auto ready = ::poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready > 0)
      return;
    require(ready == 0 || errno == EINTR, operation);
  }
}

bool would_wait() {
  return errno == EAGAIN || errno == EINTR;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

std::uint16_t port_of(int fd) {
  sockaddr_in address = {};
  socklen_t size = sizeof(address);
  require(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  return address.sin_family == AF_INET ? ntohs(address.sin_port) : std::uint16_t{0};
}

descriptor open_socket(int type, const peer_options& options) {
  descriptor fresh(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  require(static_cast<bool>(fresh), "socket");
  const auto& bytes = options.receive_buffer_bytes;
  if (bytes > 0)
    require(::setsockopt(fresh.fd(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0, "set SO_RCVBUF");
  return fresh;
}

std::uint16_t bind_to_loopback(const descriptor& socket) {
  const auto any_port = loopback(0);
  require(::bind(socket.fd(), generic(any_port), sizeof(any_port)) == 0, "bind");
  return port_of(socket.fd());
}

} // namespace

// -- peer ---------------------------------------------------------------------------------------------------------

peer::peer(std::uint16_t port, peer_options options) : socket_(open_socket(SOCK_STREAM, options)), options_(options) {
  const auto remote = loopback(port);
  if (::connect(fd(), generic(remote), sizeof(remote)) == 0)
    return;
  require(errno == EINPROGRESS || errno == EINTR, "connect");
  await(fd(), POLLOUT, end_of_operation(), "connect");
  auto error = 0;
  socklen_t size = sizeof(error);
  require(::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size) == 0, "connect");
  reset_at_once_ = error == ECONNRESET; // before it was established, it would be refused
  if (error != 0 && !reset_at_once_)
    give_up("connect", std::strerror(error));
}

peer::peer(descriptor connected, peer_options options) : socket_(std::move(connected)), options_(options) {}

std::uint16_t peer::local_port() const {
  return port_of(fd());
}

std::size_t peer::send_some(std::span<const std::byte> bytes) {
  const auto done = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  require(done >= 0 || would_wait(), "send");
  return done < 0 ? 0 : static_cast<std::size_t>(done);
}

void peer::send_all(std::span<const std::byte> bytes) {
  for (const auto end = end_of_operation(); !bytes.empty();) {
    await(fd(), POLLOUT, end, "send_all");
    bytes = bytes.subspan(send_some(bytes));
  }
}

// Returns 0 at the end of the stream.
std::size_t peer::receive(std::span<char> target, clock::time_point end, const char* operation) {
  while (true) {
    await(fd(), POLLIN, end, operation);
    const auto done = ::recv(fd(), target.data(), target.size(), MSG_DONTWAIT);
    if (done == 0 && reset_at_once_)
      give_up(operation, std::strerror(ECONNRESET));
    if (done >= 0)
      return static_cast<std::size_t>(done);
    require(would_wait(), operation);
  }
}

std::string peer::read_some(std::size_t max) {
  std::string bytes(max, '\0');
  bytes.resize(receive(bytes, end_of_operation(), "read_some"));
  return bytes;
}

std::string peer::read_exactly(std::size_t size) {
  std::string bytes(size, '\0');
  const auto end = end_of_operation();
  for (std::size_t have = 0; have < size;) {
    const auto more = receive(std::span(bytes).subspan(have), end, "read_exactly");
    if (more == 0)
      give_up("read_exactly", ("the stream ended after " + std::to_string(have) + " bytes").c_str());
    have += more;
  }
  return bytes;
}

std::string peer::read_to_end() {
  std::string bytes;
  std::array<char, 65'536> buffer;
  const auto end = end_of_operation();
  while (const auto more = receive(buffer, end, "read_to_end"))
    bytes.append(buffer.data(), more);
  return bytes;
}

ending peer::await_end() {
  std::array<char, 65'536> buffer;
  const auto end = end_of_operation();
  while (true) {
    await(fd(), POLLIN, end, "await_end");
    const auto done = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (done == 0)
      return reset_at_once_ ? ending::reset : ending::finished;
    if (done < 0 && errno == ECONNRESET)
      return ending::reset;
    require(done > 0 || would_wait(), "await_end");
  }
}

std::size_t peer::unread() const {
  auto bytes = 0;
  require(::ioctl(fd(), FIONREAD, &bytes) == 0, "unread");
  return static_cast<std::size_t>(bytes);
}

void peer::await_readable() {
  await(fd(), POLLIN, end_of_operation(), "await_readable");
}

void peer::finish() {
  require(::shutdown(fd(), SHUT_WR) == 0, "finish");
}

void peer::reset() {
  const linger at_once = {1, 0};
  require(::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0, "reset");
  close();
}

// -- listening_peer -----------------------------------------------------------------------------------------------

listening_peer::listening_peer(peer_options options, int backlog)
    : socket_(open_socket(SOCK_STREAM, options)), options_(options), port_(bind_to_loopback(socket_)) {
  require(::listen(fd(), backlog) == 0, "listen");
}

peer listening_peer::accept() {
  const auto end = clock::now() + options_.deadline;
  while (true) {
    await(fd(), POLLIN, end, "accept");
    descriptor accepted(::accept4(fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (accepted)
      return peer(std::move(accepted), options_);
    require(would_wait() || errno == ECONNABORTED, "accept");
  }
}

// -- udp_peer -----------------------------------------------------------------------------------------------------

udp_peer::udp_peer(peer_options options)
    : socket_(open_socket(SOCK_DGRAM, options)), options_(options), port_(bind_to_loopback(socket_)) {}

void udp_peer::send_to(std::uint16_t port, std::string_view payload) {
  const auto end = clock::now() + options_.deadline;
  const auto remote = loopback(port);
  while (::sendto(fd(), payload.data(), payload.size(), 0, generic(remote), sizeof(remote)) < 0) {
    require(would_wait(), "send_to");
    await(fd(), POLLOUT, end, "send_to");
  }
}

peer_datagram udp_peer::receive() {
  const auto end = clock::now() + options_.deadline;
  std::array<char, 65'536> buffer;
  sockaddr_in from = {};
  while (true) {
    await(fd(), POLLIN, end, "receive");
    socklen_t size = sizeof(from);
    const auto done = ::recvfrom(fd(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (done >= 0)
      return {std::string(buffer.data(), static_cast<std::size_t>(done)), ntohs(from.sin_port)};
    require(would_wait(), "receive");
  }
}

} // namespace actnet::test
