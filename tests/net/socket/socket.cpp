#include "actnet/net/socket/socket.hpp"

#include "actnet/net/error.hpp"
#include "actnet/net/socket/system_calls.hpp"
#include "net/socket/loopback.hpp"
#include "support/baseline.hpp"

#include <fcntl.h>

namespace net = actnet::net; // For names that the C library has too.
using namespace actnet::net;
using namespace actnet::test;

namespace {

/// Closes, and then says that it was interrupted.
class interrupted_close : public system_calls {
 public:
  int close(int fd) noexcept override {
    ++closes;
    system_calls::close(fd);
    errno = EINTR;
    return -1;
  }
  int closes = 0;
};

/// Interrupts the first of each kind of call that moves data or connections, before it does anything.
class interrupting_once : public system_calls {
 public:
  int accept4(int fd, sockaddr* address, socklen_t* size, int flags) noexcept override {
    return first(accept_) ? -1 : system_calls::accept4(fd, address, size, flags);
  }
  int connect(int fd, const sockaddr* address, socklen_t size) noexcept override {
    return first(connect_) ? -1 : system_calls::connect(fd, address, size);
  }
  ssize_t recv(int fd, void* buffer, std::size_t size, int flags) noexcept override {
    return first(recv_) ? -1 : system_calls::recv(fd, buffer, size, flags);
  }
  ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags, sockaddr* from,
                   socklen_t* from_size) noexcept override {
    return first(recvfrom_) ? -1 : system_calls::recvfrom(fd, buffer, size, flags, from, from_size);
  }
  ssize_t sendto(int fd, const void* data, std::size_t size, int flags, const sockaddr* to,
                 socklen_t to_size) noexcept override {
    return first(sendto_) ? -1 : system_calls::sendto(fd, data, size, flags, to, to_size);
  }
  ssize_t sendmsg(int fd, const msghdr* message, int flags) noexcept override {
    return first(sendmsg_) ? -1 : system_calls::sendmsg(fd, message, flags);
  }

 private:
  static bool first(bool& done) {
    errno = EINTR;
    return !std::exchange(done, true);
  }
  bool accept_ = false, connect_ = false, recv_ = false, recvfrom_ = false, sendto_ = false, sendmsg_ = false;
};

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

void check_flags(const net::socket& s) {
  CHECK((::fcntl(s.fd(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(s.fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

} // namespace

TEST_CASE("a socket closes its descriptor exactly once, however often it moves", "[socket]") {
  baseline before;
  auto made = stream_socket::pair();
  REQUIRE(made);
  auto& [a, b] = *made;
  const int first = a.fd();
  const int second = b.fd();

  stream_socket moved{std::move(a)};
  CHECK(moved.fd() == first);
  CHECK_FALSE(a);
  b = std::move(moved);
  CHECK(b.fd() == first);
  CHECK_FALSE(is_open(second));
  b.close();
  CHECK_FALSE(is_open(first));
  CHECK_FALSE(b);
  b.close();
}

TEST_CASE("a released descriptor stays open and belongs to the caller", "[socket]") {
  baseline before;
  int fd = -1;
  {
    auto made = stream_socket::pair();
    REQUIRE(made);
    fd = made->first.release();
    CHECK_FALSE(made->first);
  }
  REQUIRE(is_open(fd));
  ::close(fd);
}

TEST_CASE("a close that was interrupted is not repeated", "[socket]") {
  baseline before;
  interrupted_close calls;
  {
    replaced_system_calls in_force{calls};
    auto made = stream_socket::pair();
    REQUIRE(made);
    made->first.close();
    CHECK(calls.closes == 1);
  }
  CHECK(calls.closes == 2); // The other half of the pair.
}

TEST_CASE("calls that were interrupted are repeated", "[socket]") {
  baseline before;
  interrupting_once calls;
  replaced_system_calls in_force{calls};
  auto [client, server] = tcp_connection();
  CHECK(*send_text(client, "x") == 1);
  CHECK(receive_text(server) == "x");

  auto a = datagrams_on(endpoint::udp(ip_address::loopback_v4(), 0));
  const auto here = *a.local_endpoint();
  CHECK(a.send(as_bytes("y"), &here));
  REQUIRE(comes(a, POLLIN));
  std::byte buffer[8];
  CHECK(a.receive(buffer));
}

TEST_CASE("every descriptor is non-blocking and close-on-exec", "[socket]") {
  baseline before;
  auto listener = listen_on(endpoint::tcp(ip_address::loopback_v4(), 0));
  auto [client, server] = connect_through(listener);
  auto datagrams = datagrams_on(endpoint::udp(ip_address::loopback_v4(), 0));
  auto local = stream_socket::pair();
  REQUIRE(local);
  for (const net::socket* s : std::initializer_list<const net::socket*>{&listener, &client, &server, &datagrams,
                                                                        &local->first, &local->second})
    check_flags(*s);
}

TEST_CASE("sending to a peer that is gone is an error and no SIGPIPE", "[socket]") {
  baseline before;
  auto made = stream_socket::pair();
  REQUIRE(made);
  made->second.close();
  CHECK(send_text(made->first, "x").error() == errc::connection_reset);

  auto [client, server] = tcp_connection();
  REQUIRE(server.reset_on_close());
  server.close();
  REQUIRE(comes(client, POLLIN));
  CHECK(client.take_error() == errc::connection_reset);
  CHECK_FALSE(client.take_error());
  CHECK(send_text(client, "x").error() == errc::connection_reset);
}

TEST_CASE("an empty socket answers every operation with an error", "[socket]") {
  stream_socket s;
  CHECK_FALSE(s);
  CHECK(s.local_endpoint().error() == errc::bad_descriptor);
  CHECK(s.peer_endpoint().error() == errc::bad_descriptor);
  CHECK(s.set(no_delay{}).error() == errc::bad_descriptor);
  CHECK(s.get<no_delay>().error() == errc::bad_descriptor);
  CHECK(s.take_error() == errc::bad_descriptor);
  CHECK(s.shutdown_write().error() == errc::bad_descriptor);
  CHECK(send_text(s, "x").error() == errc::bad_descriptor);
  datagram_socket d;
  std::byte buffer[8];
  CHECK(d.receive(buffer).error() == errc::bad_descriptor);
  CHECK(d.disconnect().error() == errc::bad_descriptor);
  listener_socket l;
  CHECK(l.accept().error() == errc::bad_descriptor);
}

TEST_CASE("options are set in order up to the first that fails", "[socket]") {
  baseline before;
  auto [client, server] = tcp_connection();
  const socket_option options[] = {no_delay{true}, broadcast{true}, keep_alive{true}};
  CHECK(client.set_all(options).error() == errc::not_supported);
  CHECK(client.get<no_delay>()->on);
  CHECK_FALSE(client.get<keep_alive>()->on);
}
