#include "actnet/net/socket/listener_socket.hpp"

#include "actnet/net/error.hpp"
#include "net/socket/loopback.hpp"
#include "support/baseline.hpp"
#include "support/descriptor.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

using namespace actnet::net;
using namespace actnet::test;

namespace {

listener_options sharing() {
  listener_options options;
  options.reuse_port = true;
  return options;
}

errc open_error(const endpoint& where, const listener_options& options = {}) {
  const auto opened = listener_socket::open(where, options);
  return opened ? errc::none : static_cast<errc>(opened.error().value());
}

} // namespace

TEST_CASE("a listener accepts a connection and knows both ends", "[listener]") {
  baseline before;
  for (const auto& ip : loopbacks()) {
    auto listener = listen_on(endpoint::tcp(ip, 0));
    const auto here = *listener.local_endpoint();
    CHECK(here.ip() == ip);
    CHECK(here.port() != 0);
    CHECK(listener.accept().error() == errc::would_block);

    auto client = connect_to(here);
    REQUIRE(comes(listener, POLLIN));
    auto accepted = listener.accept();
    REQUIRE(accepted);
    CHECK(accepted->peer == *client.local_endpoint());
    CHECK(*accepted->socket.local_endpoint() == here);
    CHECK(*accepted->socket.peer_endpoint() == accepted->peer);
    CHECK(listener.accept().error() == errc::would_block);
  }
}

TEST_CASE("a Unix listener accepts at an abstract name", "[listener]") {
  baseline before;
  const auto where = endpoint::unix_stream(unix_name("listener"));
  auto listener = listen_on(where);
  CHECK(*listener.local_endpoint() == where);
  CHECK(open_error(where) == errc::address_in_use);
  auto [client, server] = connect_through(listener);
  CHECK(*client.peer_endpoint() == where);
  CHECK(*send_text(client, "hello") == 5);
  CHECK(receive_text(server) == "hello");
}

TEST_CASE("a Unix listener accepts at a path", "[listener]") {
  baseline before;
  char folder[] = "/tmp/actnet-test-XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  const std::string path = std::string{folder} + "/socket";
  {
    auto listener = listen_on(endpoint::unix_stream(path));
    auto [client, server] = connect_through(listener);
    CHECK(*client.peer_endpoint() == endpoint::unix_stream(path));
  }
  CHECK(::rmdir(folder) == 0); // nothing is left in it
}

TEST_CASE("a port that somebody listens on is in use", "[listener]") {
  baseline before;
  for (const auto& ip : loopbacks()) {
    auto alone = listen_on(endpoint::tcp(ip, 0));
    const auto taken = *alone.local_endpoint();
    CHECK(open_error(taken) == errc::address_in_use);
    CHECK(open_error(taken, sharing()) == errc::address_in_use);
    CHECK(listener_socket::open_shards(taken, {}, 2).error() == errc::address_in_use);
  }
}

TEST_CASE("a group of shards shows as in use to everybody else", "[listener]") {
  baseline before;
  for (const auto& ip : loopbacks()) {
    auto shards = listener_socket::open_shards(endpoint::tcp(ip, 0), {}, 3);
    REQUIRE(shards);
    REQUIRE(shards->size() == 3);
    const auto taken = *shards->front().local_endpoint();
    for (const auto& shard : *shards)
      CHECK(*shard.local_endpoint() == taken);
    CHECK(open_error(taken) == errc::address_in_use);
    CHECK(open_error(taken, sharing()) == errc::address_in_use);
    CHECK(listener_socket::open_shards(taken, {}, 2).error() == errc::address_in_use);
  }
}

TEST_CASE("the kernel spreads connections over the shards", "[listener]") {
  baseline before;
  auto shards = listener_socket::open_shards(endpoint::tcp(ip_address::loopback_v4(), 0), {}, 2);
  REQUIRE(shards);
  const auto where = *shards->front().local_endpoint();
  // All on one of two by chance: once in 2^63.
  std::vector<stream_socket> clients;
  while (clients.size() < 64)
    clients.push_back(connect_to(where));
  for (auto& shard : *shards) {
    REQUIRE(comes(shard, POLLIN));
    CHECK(shard.accept());
  }
}

TEST_CASE("shards need TCP and a number", "[listener]") {
  baseline before;
  const auto name = endpoint::unix_stream(unix_name("shards"));
  CHECK(listener_socket::open_shards(name, {}, 2).error() == errc::not_supported);
  CHECK(open_error(name, sharing()) == errc::not_supported);
  CHECK(listener_socket::open_shards(endpoint::tcp(ip_address::loopback_v4(), 0), {}, 0).error() ==
        errc::invalid_argument);
}

TEST_CASE("a port is free again as soon as its listener is gone, even with connections in TIME_WAIT", "[listener]") {
  baseline before;
  auto listener = listen_on(endpoint::tcp(ip_address::loopback_v4(), 0));
  const auto where = *listener.local_endpoint();
  auto [client, server] = connect_through(listener);
  REQUIRE(server.shutdown_write());
  CHECK(receive_text(client).empty());
  REQUIRE(client.shutdown_write());
  CHECK(receive_text(server).empty());
  server.close();
  client.close();
  listener.close();

  listener_options strict;
  strict.reuse_address = false;
  CHECK(open_error(where, strict) == errc::address_in_use);
  CHECK(open_error(where) == errc::none);
}

TEST_CASE("accepted TCP connections inherit the listener's options", "[listener]") {
  baseline before;
  listener_options options;
  options.options = {no_delay{true}, keep_alive{true, std::chrono::seconds{50}, {}, 4}, receive_buffer{20'000}};
  auto listener = listen_on(endpoint::tcp(ip_address::loopback_v4(), 0), options);
  auto [client, server] = connect_through(listener);
  CHECK(server.get<no_delay>()->on);
  CHECK(server.get<keep_alive>()->on);
  CHECK(server.get<keep_alive>()->time == std::chrono::seconds{50});
  CHECK(server.get<keep_alive>()->count == 4);
  CHECK(server.get<receive_buffer>()->bytes == 40'000);
}

TEST_CASE("v6_only decides whether an IPv6 listener takes IPv4", "[listener]") {
  baseline before;
  if (loopbacks().size() < 2)
    return;
  listener_options options;
  options.v6_only = false;
  auto both = listen_on(endpoint::tcp(ip_address::any_v6(), 0), options);
  const auto port = both.local_endpoint()->port();
  auto client = connect_to(endpoint::tcp(ip_address::loopback_v4(), port));
  REQUIRE(comes(both, POLLIN));
  auto accepted = both.accept();
  REQUIRE(accepted);
  CHECK(accepted->peer.ip().is_v4_mapped());

  options.v6_only = true;
  auto only = listen_on(endpoint::tcp(ip_address::any_v6(), 0), options);
  CHECK(only.get<v6_only>()->on);
  CHECK(open_error(endpoint::tcp(ip_address::loopback_v4(), 0), options) == errc::not_supported);
}

TEST_CASE("a listener says why it cannot open", "[listener]") {
  baseline before;
  CHECK(open_error(endpoint::udp(ip_address::loopback_v4(), 0)) == errc::invalid_endpoint);
  CHECK(open_error(endpoint::unix_stream("/nonexistent/actnet/socket")) == errc::no_such_path);
  CHECK(open_error(endpoint::tcp(ip_address::v4(203, 0, 113, 1), 0)) == errc::address_unavailable);
  listener_options wrong;
  wrong.options = {time_to_live{0}};
  CHECK(open_error(endpoint::tcp(ip_address::loopback_v4(), 0), wrong) == errc::invalid_argument);
}

TEST_CASE("a listening descriptor is adopted and made non-blocking", "[listener]") {
  baseline before;
  descriptor raw{::socket(AF_INET, SOCK_STREAM, 0)};
  REQUIRE(::listen(raw.fd(), 4) == 0);
  auto adopted = listener_socket::adopt(raw.fd());
  REQUIRE(adopted);
  CHECK(raw.release() == adopted->fd());
  CHECK(adopted->transport() == transport::tcp);
  CHECK((::fcntl(adopted->fd(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(adopted->fd(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(adopted->accept().error() == errc::would_block);
}

TEST_CASE("what is no listener is not adopted and stays with the caller", "[listener]") {
  baseline before;
  const descriptor wrong[] = {descriptor{::socket(AF_INET, SOCK_STREAM, 0)},
                              descriptor{::socket(AF_INET, SOCK_DGRAM, 0)}, descriptor{::open("/dev/null", O_RDONLY)}};
  for (const auto& raw : wrong) {
    CHECK(listener_socket::adopt(raw.fd()).error() == errc::bad_descriptor);
    CHECK(::fcntl(raw.fd(), F_GETFD) == 0);
  }
  CHECK(listener_socket::adopt(-1).error() == errc::bad_descriptor);
}
