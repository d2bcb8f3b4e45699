// What every mode of the load generator needs: its options, the payload, descriptors, and the set they are watched in.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace actnet::bench {

using steady = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;

struct options {
  std::string mode = "echo";
  int port = 0;          ///< Of the server, on 127.0.0.1.
  std::string unix_path; ///< Of the server, in place of a port.
  int connections = 1;
  int depth = 1; ///< Requests in flight per connection.
  int size = 64; ///< Bytes of a request.
  seconds measured{1};
  seconds warm_up{0.3};
  pid_t server = 0;   ///< Whose CPU time and memory to read; 0: nobody's.
  int rounds = 0;     ///< With requests, in lock step with the server.
  int empty = 0;      ///< Rounds without any, after those.
  bool fresh = false; ///< Every round opens its connections, and closes them.
  pid_t upstream = 0; ///< Of the server that is a proxy, to be in lock step too; 0: it is none.
  bool spin = false;  ///< Ask epoll again instead of sleeping in it: no wake-up of the client in the latency.
};

/// A run that cannot be measured ends here, with the reason of errno.
[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

// -- payload ---------------------------------------------------------------------------------------------------

/// The most one system call moves.
inline constexpr std::size_t chunk_bytes = 1 << 18;

/// At least `chunk_bytes` of the endless payload from `offset` on. Its period is a prime, so that an echo that is
/// shifted, or comes from another connection, is noticed.
inline const char* payload_at(std::uint64_t offset) {
  constexpr std::size_t period = 65521;
  static const std::vector<char> bytes = [] {
    std::vector<char> made(period + chunk_bytes);
    std::uint32_t x = 12345;
    for (std::size_t i = 0; i < made.size(); ++i) {
      x = x * 1664525u + 1013904223u;
      made[i] = i < period ? static_cast<char>(x >> 24) : made[i - period];
    }
    return made;
  }();
  return bytes.data() + offset % period;
}

/// Where received bytes go; every read overwrites it.
inline std::span<char> scratch() {
  static std::vector<char> bytes(chunk_bytes);
  return bytes;
}

// -- descriptors -----------------------------------------------------------------------------------------------

class descriptor {
 public:
  descriptor() = default;
  explicit descriptor(int fd) : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor() { close(); }

  int number() const noexcept { return fd_; }
  bool is_open() const noexcept { return fd_ >= 0; }
  void close() noexcept {
    if (is_open())
      ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

inline sockaddr_in loopback(std::uint32_t host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl((127u << 24) + host);
  return address;
}

/// A stream connected to the Unix socket at `path`, which has room in its backlog.
inline descriptor connect_to(const std::string& path) {
  descriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un target{};
  target.sun_family = AF_UNIX;
  path.copy(target.sun_path, sizeof target.sun_path - 1);
  if (!made.is_open() || ::connect(made.number(), reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0)
    fail("connect");
  return made;
}

/// A socket on its way to 127.0.0.1:`port`: for TCP it may still be connecting. The source address goes round 250
/// loopback addresses with `index`, because one address runs out of ports when connections are made and closed at
/// speed, or when there are many.
inline descriptor connect_to(int port, int type, unsigned index) {
  descriptor made(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int fd = made.number();
  const int on = 1;
  const auto source = loopback(2 + index % 250, 0), target = loopback(1, port);
  if (!made.is_open() || ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0 ||
      ::bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0)
    fail("a client socket");
  if (type == SOCK_STREAM && ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
    fail("TCP_NODELAY");
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0 && errno != EINPROGRESS)
    fail("connect");
  return made;
}

inline descriptor connect_stream(const options& chosen, unsigned index) {
  return chosen.unix_path.empty() ? connect_to(chosen.port, SOCK_STREAM, index) : connect_to(chosen.unix_path);
}

/// The epoll set. An event carries the index that its socket was added with.
class poller {
 public:
  explicit poller(bool spin) : epoll_(::epoll_create1(EPOLL_CLOEXEC)), timeout_ms_(spin ? 0 : 10) {}

  void add(const descriptor& socket, std::uint32_t events, std::size_t index) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = index;
    if (::epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, socket.number(), &event) != 0)
      fail("epoll_ctl");
  }

  /// What happened, after at most 10 ms; valid until the next call.
  std::span<const epoll_event> wait() {
    const int count = ::epoll_wait(epoll_.number(), events_.data(), static_cast<int>(events_.size()), timeout_ms_);
    return {events_.data(), static_cast<std::size_t>(std::max(count, 0))};
  }

 private:
  descriptor epoll_;
  int timeout_ms_;
  std::vector<epoll_event> events_ = std::vector<epoll_event>(512);
};

} // namespace actnet::bench
