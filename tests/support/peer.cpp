#include "support/peer.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
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

/// A socket address of any family, and its text.
struct place {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  sockaddr_in& ip() { return reinterpret_cast<sockaddr_in&>(storage); }
  sockaddr_un& local() { return reinterpret_cast<sockaddr_un&>(storage); }

  std::uint16_t port() { return storage.ss_family == AF_INET ? ntohs(ip().sin_port) : std::uint16_t{0}; }

  std::string text(int type) {
    if (storage.ss_family == AF_INET)
      return (type == SOCK_DGRAM ? "udp://127.0.0.1:" : "127.0.0.1:") + std::to_string(port());
    const auto length = size - std::min<std::size_t>(size, offsetof(sockaddr_un, sun_path));
    std::string name(local().sun_path, length);
    if (length > 0 && name[0] == '\0')
      name[0] = '@';
    else
      name = name.c_str(); // a path ends with a zero
    return (type == SOCK_DGRAM ? "unixgram:" : "unix:") + name;
  }
};

place loopback(std::uint16_t port) {
  place there;
  there.size = sizeof(sockaddr_in);
  there.ip().sin_family = AF_INET;
  there.ip().sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  there.ip().sin_port = htons(port);
  return there;
}

place place_of(const std::string& address) {
  const auto colon = address.rfind(':');
  if (!address.starts_with("unix"))
    return loopback(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  auto name = address.substr(address.find(':') + 1);
  if (name.starts_with('@'))
    name[0] = '\0';
  else
    name += '\0';
  place there;
  there.local().sun_family = AF_UNIX;
  name.copy(there.local().sun_path, sizeof there.local().sun_path);
  there.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  return there;
}

place bound_place(int fd) {
  place here;
  require(::getsockname(fd, here.get(), &here.size) == 0, "getsockname");
  return here;
}

descriptor open_socket(int family, int type, const peer_options& options) {
  descriptor fresh(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  require(static_cast<bool>(fresh), "socket");
  const auto& bytes = options.receive_buffer_bytes;
  if (bytes > 0)
    require(::setsockopt(fresh.fd(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0, "set SO_RCVBUF");
  return fresh;
}

descriptor open_bound(const std::string& address, int type, const peer_options& options) {
  const auto here = place_of(address);
  auto fresh = open_socket(here.storage.ss_family, type, options);
  require(::bind(fresh.fd(), here.get(), here.size) == 0, "bind");
  return fresh;
}

/// As connect(2) of a non-blocking socket, but a Unix listener whose backlog is full is waited for: the kernel has
/// nothing to poll for then and answers EAGAIN, while a blocking connect waits (for as long as sends may).
int begin_connect(int fd, const place& there, std::chrono::milliseconds deadline) {
  if (::connect(fd, there.get(), there.size) == 0)
    return 0;
  if (errno != EAGAIN || there.storage.ss_family != AF_UNIX)
    return -1;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(deadline);
  const timeval patience{seconds.count(), std::chrono::microseconds(deadline - seconds).count()};
  const auto flags = ::fcntl(fd, F_GETFL);
  require(::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0, "set SO_SNDTIMEO");
  require(::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0, "fcntl");
  const auto done = ::connect(fd, there.get(), there.size);
  const auto error = errno;
  require(::fcntl(fd, F_SETFL, flags) == 0, "fcntl");
  if (done != 0 && error == EAGAIN)
    give_up("connect", "deadline passed");
  errno = error;
  return done;
}

std::string fresh_name() {
  static std::atomic<int> last{0};
  return "@actnet-test-peer-" + std::to_string(::getpid()) + "-" + std::to_string(++last);
}

} // namespace

std::string fresh_address(carrier over) {
  return over == carrier::tcp ? "127.0.0.1:0" : "unix:" + fresh_name();
}

std::string fresh_address(datagram_carrier over) {
  return over == datagram_carrier::udp ? "udp://127.0.0.1:0" : "unixgram:" + fresh_name();
}

void attach(int through, int fd, std::string_view text, const std::string& address) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  auto* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  place there;
  if (!address.empty()) {
    there = place_of(address);
    message.msg_name = there.get();
    message.msg_namelen = there.size;
  }
  require(::sendmsg(through, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()), "attach");
}

// -- peer ---------------------------------------------------------------------------------------------------------

peer::peer(std::uint16_t port, peer_options options) : peer(loopback(port).text(SOCK_STREAM), options) {}

peer::peer(const std::string& address, peer_options options) : options_(options) {
  const auto remote = place_of(address);
  socket_ = open_socket(remote.storage.ss_family, SOCK_STREAM, options);
  if (begin_connect(fd(), remote, options.deadline) == 0)
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

peer::peer(descriptor connected, peer_options options, int other_end)
    : socket_(std::move(connected)), options_(options), other_end_(other_end) {}

std::uint16_t peer::local_port() const {
  return bound_place(fd()).port();
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
  if (bound_place(fd()).storage.ss_family == AF_UNIX && unread() == 0)
    // Past ThreadSanitizer, which does not see that the other side closes only after this.
    ::syscall(SYS_sendto, other_end_, "!", std::size_t{1}, MSG_NOSIGNAL | MSG_DONTWAIT, nullptr, 0);
  const linger at_once = {1, 0};
  require(::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0, "reset");
  close();
}

// -- listening_peer -----------------------------------------------------------------------------------------------

listening_peer::listening_peer(carrier over, peer_options options, int backlog)
    : socket_(open_bound(fresh_address(over), SOCK_STREAM, options)),
      options_(options),
      address_(bound_place(fd()).text(SOCK_STREAM)),
      port_(bound_place(fd()).port()) {
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

// -- datagram_peer ------------------------------------------------------------------------------------------------

datagram_peer::datagram_peer(datagram_carrier over, peer_options options)
    : socket_(open_bound(fresh_address(over), SOCK_DGRAM, options)),
      options_(options),
      address_(bound_place(fd()).text(SOCK_DGRAM)),
      port_(bound_place(fd()).port()) {}

void datagram_peer::send_to(std::uint16_t port, std::string_view payload) {
  send_to(loopback(port).text(SOCK_DGRAM), payload);
}

void datagram_peer::send_to(const std::string& address, std::string_view payload) {
  const auto end = clock::now() + options_.deadline;
  const auto remote = place_of(address);
  while (::sendto(fd(), payload.data(), payload.size(), 0, remote.get(), remote.size) < 0) {
    require(would_wait(), "send_to");
    await(fd(), POLLOUT, end, "send_to");
  }
}

peer_datagram datagram_peer::receive() {
  const auto end = clock::now() + options_.deadline;
  std::array<char, 65'536> buffer;
  while (true) {
    await(fd(), POLLIN, end, "receive");
    place from;
    const auto done = ::recvfrom(fd(), buffer.data(), buffer.size(), 0, from.get(), &from.size);
    if (done >= 0)
      return {std::string(buffer.data(), static_cast<std::size_t>(done)), from.text(SOCK_DGRAM), from.port()};
    require(would_wait(), "receive");
  }
}

} // namespace actnet::test
