// The reference, "1.00" in every table: an echo server on a bare epoll loop, as little program as a correct one needs.
// Leaves out what a library must do (limits, timers, reasons for a close). Usage: bare_epoll PORT [udp], on 127.0.0.1.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

namespace {

constexpr std::uint32_t connection_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

std::array<char, 65536> buffer;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

int bound_socket(int type, std::uint16_t port) {
  const int fd = ::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail("bind");
  return fd;
}

void watch(int poller, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0)
    fail("epoll_ctl");
}

class tcp_server {
 public:
  explicit tcp_server(std::uint16_t port)
      : poller_(::epoll_create1(EPOLL_CLOEXEC)), listener_(bound_socket(SOCK_STREAM, port)) {
    if (::listen(listener_, SOMAXCONN) != 0)
      fail("listen");
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
        else if (unsent(event.data.fd) ? flush(event.data.fd) : (event.events & ~EPOLLOUT) != 0)
          echo(event.data.fd);
      }
    }
  }

 private:
  struct rest {
    std::vector<char> bytes;
    std::size_t sent = 0;
  };

  std::unique_ptr<rest>& unsent(int fd) { return unsent_[static_cast<std::size_t>(fd)]; }

  void accept_some() {
    for (int i = 0; i < 64; ++i) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0)
        return;
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      if (unsent_.size() <= static_cast<std::size_t>(fd))
        unsent_.resize(static_cast<std::size_t>(fd) * 2 + 64);
      watch(poller_, fd, connection_events);
    }
  }

  void close(int fd) {
    unsent(fd).reset();
    ::close(fd);
  }

  // Reads until a short read; a peer that takes no more is read again when its rest is out.
  void echo(int fd) {
    for (;;) {
      const auto count = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (count <= 0) {
        if (count == 0 || errno != EAGAIN)
          close(fd);
        return;
      }
      auto sent = ::send(fd, buffer.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN)
        return close(fd);
      if (sent < count) {
        sent = sent < 0 ? 0 : sent;
        unsent(fd) = std::make_unique<rest>(rest{{buffer.data() + sent, buffer.data() + count}, 0});
        if (!flush(fd))
          return;
      } else if (static_cast<std::size_t>(count) < buffer.size()) {
        return;
      }
    }
  }

  // True: the rest is out, the connection can be read again.
  bool flush(int fd) {
    auto& left = unsent(fd);
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
  std::vector<std::unique_ptr<rest>> unsent_; // By descriptor, empty in the common case.
};

[[noreturn]] void run_udp(std::uint16_t port) {
  const int fd = bound_socket(SOCK_DGRAM, port);
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
  if (argc < 2) {
    std::fputs("usage: bare_epoll PORT [udp]\n", stderr);
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  if (argc > 2 && std::string_view(argv[2]) == "udp")
    run_udp(port);
  tcp_server(port).run();
}
