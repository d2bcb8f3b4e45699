#include "actnet/net/socket/stream_socket.hpp"

#include "actnet/net/error.hpp"
#include "net/socket/loopback.hpp"
#include "support/baseline.hpp"
#include "support/descriptor.hpp"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/socket.h>

using namespace actnet::net;
using namespace actnet::test;

namespace {

std::error_code connect_error(const endpoint& remote, const std::optional<endpoint>& local = {}) {
  auto begun = stream_socket::begin_connect(remote, local, {});
  if (!begun)
    return begun.error();
  if (begun->connected)
    return {};
  REQUIRE(comes(begun->socket, POLLOUT));
  const auto finished = begun->socket.finish_connect();
  return finished ? std::error_code{} : finished.error();
}

/// A port of the loopback address that nobody listens on just now.
endpoint closed_port(const ip_address& ip) {
  return *listen_on(endpoint::tcp(ip, 0)).local_endpoint();
}

} // namespace

TEST_CASE("a connected stream carries bytes both ways", "[stream]") {
  baseline before;
  for (const auto& ip : loopbacks()) {
    auto [client, server] = tcp_connection(ip);
    CHECK(*client.peer_endpoint() == *server.local_endpoint());
    CHECK(*server.peer_endpoint() == *client.local_endpoint());
    CHECK(*send_text(client, "ping") == 4);
    CHECK(receive_text(server) == "ping");
    CHECK(*send_text(server, "pong") == 4);
    CHECK(receive_text(client) == "pong");
    std::byte buffer[8];
    CHECK(client.receive(buffer).error() == errc::would_block);
  }
}

TEST_CASE("a pair is connected to itself and has no names", "[stream]") {
  baseline before;
  auto made = stream_socket::pair();
  REQUIRE(made);
  CHECK(made->first.transport() == transport::unix_stream);
  CHECK(*made->first.peer_endpoint() == endpoint::unix_stream(""));
  CHECK(*send_text(made->second, "x") == 1);
  CHECK(receive_text(made->first) == "x");
}

TEST_CASE("a connect that nobody listens for is refused", "[stream]") {
  baseline before;
  for (const auto& ip : loopbacks())
    CHECK(connect_error(closed_port(ip)) == errc::connection_refused);
  CHECK(connect_error(endpoint::unix_stream(unix_name("nobody"))) == errc::connection_refused);
  CHECK(connect_error(endpoint::unix_stream("/nonexistent/actnet/socket")) == errc::no_such_path);
}

TEST_CASE("a connect comes from the local endpoint that was asked for", "[stream]") {
  baseline before;
  auto listener = listen_on(endpoint::tcp(ip_address::loopback_v4(), 0));
  const auto from = endpoint::tcp(ip_address::v4(127, 0, 0, 2), 0);
  auto begun = stream_socket::begin_connect(*listener.local_endpoint(), from, {});
  REQUIRE(begun);
  REQUIRE(comes(listener, POLLIN));
  auto accepted = listener.accept();
  REQUIRE(accepted);
  CHECK(accepted->peer.ip() == from.ip());
  CHECK(accepted->peer.port() != 0);
}

TEST_CASE("options are in force before anything is sent", "[stream]") {
  baseline before;
  auto listener = listen_on(endpoint::tcp(ip_address::loopback_v4(), 0));
  const socket_option good[] = {no_delay{true}, receive_buffer{9'000}};
  auto begun = stream_socket::begin_connect(*listener.local_endpoint(), std::nullopt, good);
  REQUIRE(begun);
  CHECK(begun->socket.get<no_delay>()->on);
  CHECK(begun->socket.get<receive_buffer>()->bytes == 18'000);
  const socket_option bad[] = {broadcast{}};
  CHECK(stream_socket::begin_connect(*listener.local_endpoint(), std::nullopt, bad).error() == errc::not_supported);
}

TEST_CASE("endpoints that do not fit are refused before anything is sent", "[stream]") {
  baseline before;
  const auto v4 = endpoint::tcp(ip_address::loopback_v4(), 1);
  CHECK(connect_error(endpoint::udp(ip_address::loopback_v4(), 1)) == errc::invalid_endpoint);
  CHECK(connect_error(endpoint::unix_datagram(unix_name("x"))) == errc::invalid_endpoint);
  CHECK(connect_error(v4, endpoint::tcp(ip_address::loopback_v6(), 0)) == errc::invalid_endpoint);
  CHECK(connect_error(v4, endpoint::udp(ip_address::loopback_v4(), 0)) == errc::invalid_endpoint);
  CHECK(connect_error(v4, endpoint::unix_stream(unix_name("x"))) == errc::invalid_endpoint);
  CHECK(connect_error(v4, endpoint::tcp(ip_address::v4(203, 0, 113, 1), 0)) == errc::address_unavailable);
}

TEST_CASE("a connect that is still under way says so", "[stream]") {
  baseline before;
  listener_options tiny;
  tiny.backlog = 0; // Linux keeps one connection then and lets further ones wait.
  auto listener = listen_on(endpoint::tcp(ip_address::loopback_v4(), 0), tiny);
  const auto where = *listener.local_endpoint();
  auto first = connect_to(where);
  auto second = stream_socket::begin_connect(where, std::nullopt, {});
  REQUIRE(second);
  CHECK_FALSE(second->connected);
  CHECK(second->socket.finish_connect().error() == errc::would_block);
}

TEST_CASE("a Unix listener with a full backlog blocks the connect at once", "[stream]") {
  baseline before;
  listener_options tiny;
  tiny.backlog = 0;
  const auto where = endpoint::unix_stream(unix_name("full"));
  auto listener = listen_on(where, tiny);
  auto first = connect_to(where);
  CHECK(connect_error(where) == errc::would_block);
}

TEST_CASE("a connect that met itself is refused", "[stream]") {
  baseline before;
  const auto nobody = closed_port(ip_address::loopback_v4());
  CHECK(connect_error(nobody, nobody) == errc::connection_refused);
}

TEST_CASE("a half-closed stream still carries the other direction", "[stream]") {
  baseline before;
  auto [client, server] = tcp_connection();
  CHECK(*send_text(client, "last") == 4);
  REQUIRE(client.shutdown_write());
  CHECK(receive_text(server) == "last");
  CHECK(receive_text(server).empty());
  CHECK(receive_text(server).empty());
  CHECK(*send_text(server, "answer") == 6);
  CHECK(receive_text(client) == "answer");
  CHECK(send_text(client, "more").error() == errc::connection_reset);
}

TEST_CASE("a stream shut for reading ends without the peer's help", "[stream]") {
  baseline before;
  auto [client, server] = tcp_connection();
  REQUIRE(client.shutdown_read());
  CHECK(receive_text(client).empty());
  CHECK(*send_text(client, "x") == 1);
  CHECK(receive_text(server) == "x");
}

TEST_CASE("reset_on_close resets the peer and drops what was sent", "[stream]") {
  baseline before;
  auto [client, server] = tcp_connection();
  REQUIRE(client.reset_on_close());
  client.close();
  REQUIRE(comes(server, POLLIN));
  std::byte buffer[8];
  CHECK(server.receive(buffer).error() == errc::connection_reset);

  auto made = stream_socket::pair();
  REQUIRE(made);
  CHECK(made->first.reset_on_close().error() == errc::not_supported);
}

TEST_CASE("a plain close ends the stream without a reset", "[stream]") {
  baseline before;
  auto [client, server] = tcp_connection();
  client.close();
  CHECK(receive_text(server).empty());
}

TEST_CASE("an empty buffer is not the end of the stream", "[stream]") {
  baseline before;
  auto [client, server] = tcp_connection();
  CHECK(client.receive({}).error() == errc::invalid_argument);
}

TEST_CASE("many parts go out in one send, in order", "[stream]") {
  baseline before;
  auto made = stream_socket::pair();
  REQUIRE(made);
  std::string text(IOV_MAX + 10, ' ');
  std::vector<iovec> parts;
  for (std::size_t i = 0; i < text.size(); ++i) {
    text[i] = static_cast<char>('a' + i % 26);
    parts.push_back({&text[i], 1});
  }
  CHECK(*made->first.send(parts) == IOV_MAX);
  CHECK(receive_text(made->second) == text.substr(0, IOV_MAX));
  CHECK(*made->first.send({}) == 0);
}

TEST_CASE("a full send buffer takes part of the bytes, then blocks", "[stream]") {
  baseline before;
  auto made = stream_socket::pair();
  REQUIRE(made);
  const std::string text(4'000'000, 'x');
  std::size_t sent = 0;
  auto answer = send_text(made->first, text);
  for (; answer; answer = send_text(made->first, text))
    sent += *answer;
  CHECK(answer.error() == errc::would_block);
  CHECK(sent > 0);
  CHECK(sent < text.size());
}

TEST_CASE("a connected descriptor is adopted and made non-blocking", "[stream]") {
  baseline before;
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  descriptor peer{fds[1]};
  auto adopted = stream_socket::adopt(fds[0]);
  REQUIRE(adopted);
  CHECK(adopted->fd() == fds[0]);
  CHECK(adopted->transport() == transport::unix_stream);
  CHECK((::fcntl(fds[0], F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(fds[0], F_GETFD) & FD_CLOEXEC) != 0);
  std::byte buffer[8];
  CHECK(adopted->receive(buffer).error() == errc::would_block);
  CHECK(::write(peer.fd(), "x", 1) == 1);
  CHECK(receive_text(*adopted) == "x");

  auto [client, server] = tcp_connection();
  auto again = stream_socket::adopt(client.release());
  REQUIRE(again);
  CHECK(again->transport() == transport::tcp);
  CHECK(again->set(no_delay{}));
}

TEST_CASE("whoever shares an adopted descriptor finds it blocking again afterwards", "[stream]") {
  baseline before;
  int fds[2];
  const auto kind = GENERATE(SOCK_STREAM, SOCK_DGRAM);
  const auto was = GENERATE(0, static_cast<int>(SOCK_NONBLOCK));
  const auto released = GENERATE(false, true);
  REQUIRE(::socketpair(AF_UNIX, kind | was, 0, fds) == 0);
  const descriptor shared{::dup(fds[0])};
  const descriptor peer{fds[1]};
  const auto blocks = [&] { return (::fcntl(shared.fd(), F_GETFL) & O_NONBLOCK) == 0; };
  const auto use = [&](auto adopted) {
    REQUIRE(adopted);
    CHECK_FALSE(blocks());
    auto moved = std::move(*adopted);
    CHECK_FALSE(blocks());
    if (released)
      ::close(moved.release());
  };
  if (kind == SOCK_STREAM)
    use(stream_socket::adopt(fds[0]));
  else
    use(datagram_socket::adopt(fds[0]));
  CHECK(blocks() == (was == 0));
}

TEST_CASE("Multipath TCP is adopted as TCP", "[stream]") {
  baseline before;
  descriptor raw{::socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP)};
  if (raw.fd() < 0) {
    WARN("this kernel has no Multipath TCP");
    return;
  }
  REQUIRE(::listen(raw.fd(), 4) == 0);
  auto listener = listener_socket::adopt(raw.fd());
  REQUIRE(listener);
  (void)raw.release();
  CHECK(listener->transport() == transport::tcp);
  descriptor plain{::socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP)};
  const auto there = to_socket_address(endpoint::tcp(ip_address::loopback_v4(), listener->local_endpoint()->port()));
  REQUIRE(::connect(plain.fd(), there.data(), there.size) == 0);
  auto near = stream_socket::adopt(plain.fd());
  REQUIRE(near);
  (void)plain.release();
  REQUIRE(comes(*listener, POLLIN));
  auto far = listener->accept();
  REQUIRE(far);
  CHECK(near->finish_connect());
  for (const auto& option :
       std::vector<socket_option>{no_delay{}, keep_alive{.on = true, .time = std::chrono::seconds{9}},
                                  user_timeout{std::chrono::seconds{9}}, send_buffer{65536}}) {
    const auto done = near->set(option);
    CHECK((done || done.error() == errc::not_supported));
  }
  REQUIRE(send_text(*near, "ping"));
  REQUIRE(comes(far->socket, POLLIN));
  CHECK(receive_text(far->socket) == "ping");
  CHECK(near->untaken());
  CHECK(far->socket.shutdown_write());
  REQUIRE(comes(*near, POLLIN));
  CHECK(receive_text(*near).empty());
  CHECK(near->reset_on_close());
}

TEST_CASE("what is no stream is not adopted and stays with the caller", "[stream]") {
  baseline before;
  int pipes[2];
  REQUIRE(::pipe(pipes) == 0);
  const descriptor wrong[] = {descriptor{::socket(AF_INET, SOCK_DGRAM, 0)},
                              descriptor{::socket(AF_UNIX, SOCK_SEQPACKET, 0)}, descriptor{pipes[0]},
                              descriptor{pipes[1]}, descriptor{::open("/dev/null", O_RDONLY)}};
  for (const auto& raw : wrong) {
    CHECK(stream_socket::adopt(raw.fd()).error() == errc::bad_descriptor);
    CHECK(::fcntl(raw.fd(), F_GETFD) == 0);
    CHECK((::fcntl(raw.fd(), F_GETFL) & O_NONBLOCK) == 0);
  }
  auto listener = listen_on(endpoint::tcp(ip_address::loopback_v4(), 0));
  CHECK(stream_socket::adopt(listener.fd()).error() == errc::bad_descriptor);
  CHECK(stream_socket::adopt(-1).error() == errc::bad_descriptor);
  CHECK(listener.local_endpoint());
}
