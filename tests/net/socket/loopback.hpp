// What the socket tests share: loopback addresses, waiting on a descriptor, connected pairs.
#pragma once

#include "actnet/net/socket/datagram_socket.hpp"
#include "actnet/net/socket/listener_socket.hpp"
#include "support/catch.hpp"

#include <poll.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace actnet::test {

/// 127.0.0.1, and ::1 where the machine has it.
inline std::vector<net::ip_address> loopbacks() {
  std::vector<net::ip_address> all{net::ip_address::loopback_v4()};
  if (net::datagram_socket::open(net::endpoint::udp(net::ip_address::loopback_v6(), 0), {}))
    all.push_back(net::ip_address::loopback_v6());
  return all;
}

/// An abstract Unix name that no other process uses.
inline std::string unix_name(std::string_view what) {
  return "@actnet-test-" + std::to_string(::getpid()) + "-" + std::string{what};
}

/// Whether one of `events` (poll(2)) came, or a hang-up or error, within ten seconds.
inline bool comes(const net::socket& s, short events) {
  pollfd waiting{s.fd(), events, 0};
  return ::poll(&waiting, 1, 10'000) == 1;
}

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span{text});
}

inline net::result<std::size_t> send_text(net::stream_socket& s, std::string_view text) {
  const iovec part{const_cast<char*>(text.data()), text.size()};
  return s.send(std::span{&part, 1});
}

/// The next bytes as text, once there are some; "" at the end of the stream.
inline std::string receive_text(net::stream_socket& s) {
  REQUIRE(comes(s, POLLIN));
  std::byte buffer[4096];
  auto size = s.receive(buffer);
  REQUIRE(size);
  return {reinterpret_cast<const char*>(buffer), *size};
}

inline net::listener_socket listen_on(const net::endpoint& local, const net::listener_options& options = {}) {
  auto listener = net::listener_socket::open(local, options);
  REQUIRE(listener);
  return std::move(*listener);
}

inline net::datagram_socket datagrams_on(const net::endpoint& local, std::span<const net::socket_option> options = {}) {
  auto opened = net::datagram_socket::open(local, options);
  REQUIRE(opened);
  return std::move(*opened);
}

/// Connected to `remote`.
inline net::stream_socket connect_to(const net::endpoint& remote) {
  auto begun = net::stream_socket::begin_connect(remote, std::nullopt, {});
  REQUIRE(begun);
  if (!begun->connected) {
    REQUIRE(comes(begun->socket, POLLOUT));
    REQUIRE(begun->socket.finish_connect());
  }
  return std::move(begun->socket);
}

struct connection {
  net::stream_socket client;
  net::stream_socket server;
};

inline connection connect_through(net::listener_socket& listener) {
  auto client = connect_to(*listener.local_endpoint());
  REQUIRE(comes(listener, POLLIN));
  auto accepted = listener.accept();
  REQUIRE(accepted);
  return {std::move(client), std::move(accepted->socket)};
}

inline connection tcp_connection(const net::ip_address& ip = net::ip_address::loopback_v4()) {
  auto listener = listen_on(net::endpoint::tcp(ip, 0));
  return connect_through(listener);
}

} // namespace actnet::test
