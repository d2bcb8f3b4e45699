// The reference, "1.00" in every table: an echo server and a proxy on a bare epoll loop, as little program as correct
// ones need. Leaves out what a library must do (limits, timers, reasons for a close, half-closed connections).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "echo_server.hpp"

namespace {

constexpr std::uint32_t connection_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

std::array<char, 65536> buffer;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// On a free port, which is told.
int inet_socket(int type) {
  const int fd = ::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  auto address = loopback(0);
  socklen_t size = sizeof address;
  if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      (type == SOCK_STREAM && ::listen(fd, SOMAXCONN) != 0) ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    fail("bind");
  actnet::bench::say_listening_on_port(ntohs(address.sin_port));
  return fd;
}

int unix_listener(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, SOMAXCONN) != 0)
    fail("bind");
  actnet::bench::say_listening_on_path(path);
  return fd;
}

void watch(int poller, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0)
    fail("epoll_ctl");
}

class stream_server {
 public:
  stream_server(int listener, std::uint16_t upstream_port)
      : poller_(::epoll_create1(EPOLL_CLOEXEC)), listener_(listener), upstream_port_(upstream_port) {
    watch(poller_, listener_, EPOLLIN);
  }

  [[noreturn]] void run() {
    std::vector<epoll_event> events(512);
    for (;;) {
      const int count = ::epoll_wait(poller_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        if (event.data.fd == listener_)
          accept_some();
        else
          happened(event.data.fd, event.events);
      }
    }
  }

 private:
  struct rest {
    std::vector<char> bytes;
    std::size_t sent = 0;
  };

  struct end {
    int to = -1;                  // Where it goes what is read here: an echo goes back, a proxy's other end is another.
    std::unique_ptr<rest> unsent; // To this end; empty in the common case.
  };

  end& at(int fd) { return ends_[static_cast<std::size_t>(fd)]; }

  void accept_some() {
    for (int i = 0; i < 64; ++i) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0)
        return;
      const int to = upstream_port_ == 0 ? fd : connect_upstream();
      open(fd, to);
      if (to != fd)
        open(to, fd);
    }
  }

  // What is sent before it is connected waits like any rest.
  int connect_upstream() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const auto address = loopback(upstream_port_);
    if (fd < 0 ||
        (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS))
      fail("connect");
    return fd;
  }

  void open(int fd, int to) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // A Unix socket has no such option, nor a need of it.
    if (ends_.size() <= static_cast<std::size_t>(fd))
      ends_.resize(static_cast<std::size_t>(fd) * 2 + 64);
    at(fd).to = to;
    watch(poller_, fd, connection_events);
  }

  // Both ends, at the first one's end.
  void close(int fd) {
    const int to = at(fd).to;
    for (const int each : {fd, to})
      at(each) = {};
    ::close(fd);
    if (to != fd)
      ::close(to);
  }

  void happened(int fd, std::uint32_t events) {
    if (at(fd).to < 0)
      return; // The other end was closed in this round.
    const bool unblocked = at(fd).unsent && flush(fd);
    if (unblocked)
      forward(at(fd).to);
    const int to = at(fd).to;
    if ((events & ~EPOLLOUT) != 0 && to >= 0 && !at(to).unsent && !(unblocked && to == fd))
      forward(fd);
  }

  // Reads until a short read; a peer that takes no more is read again when its rest is out.
  void forward(int fd) {
    const int to = at(fd).to;
    for (;;) {
      const auto count = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (count <= 0) {
        if (count == 0 || errno != EAGAIN)
          close(fd);
        return;
      }
      auto sent = ::send(to, buffer.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN)
        return close(fd);
      if (sent < count) {
        sent = sent < 0 ? 0 : sent;
        at(to).unsent = std::make_unique<rest>(rest{{buffer.data() + sent, buffer.data() + count}, 0});
        if (!flush(to))
          return;
      } else if (static_cast<std::size_t>(count) < buffer.size()) {
        return;
      }
    }
  }

  // True: the rest is out, what goes to this end can be read again.
  bool flush(int fd) {
    auto& left = at(fd).unsent;
    while (left->sent < left->bytes.size()) {
      const auto sent = ::send(fd, left->bytes.data() + left->sent, left->bytes.size() - left->sent, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno != EAGAIN)
          close(fd);
        return false;
      }
      left->sent += static_cast<std::size_t>(sent);
    }
    left.reset();
    return true;
  }

  int poller_;
  int listener_;
  std::uint16_t upstream_port_; // 0: echo.
  std::vector<end> ends_;       // By descriptor.
};

[[noreturn]] void run_udp() {
  const int fd = inet_socket(SOCK_DGRAM);
  const int poller = ::epoll_create1(EPOLL_CLOEXEC);
  watch(poller, fd, EPOLLIN);
  for (epoll_event event;;) {
    ::epoll_wait(poller, &event, 1, -1);
    for (;;) {
      sockaddr_in from;
      socklen_t size = sizeof from;
      const auto count = ::recvfrom(fd, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (count < 0)
        break;
      ::sendto(fd, buffer.data(), static_cast<std::size_t>(count), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
}

} // namespace

int main(int argc, char** argv) {
  const auto order = actnet::bench::read_server_order(argc, argv, "g++ " __VERSION__, {"tcp", "udp", "unix", "proxy"});
  if (order.work == "udp")
    run_udp();
  const int listener = order.work == "unix" ? unix_listener(order.unix_path) : inet_socket(SOCK_STREAM);
  stream_server(listener, order.upstream_port).run();
}
