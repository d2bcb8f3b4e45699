#include "actnet/actors/blocking/gudp.hpp"

#include <utility>

namespace actnet::blocking::gudp {

result<conn> detail::way::connect(caf::actor_system& system, endpoint_argument remote,
                                  std::optional<endpoint_argument> local) {
  const auto to = std::move(remote).for_datagrams();
  if (!to.mistake().empty())
    return failed(make_error(errc::invalid_endpoint, to.mistake()));
  auto bound = udp_socket::bind(system, local ? *local : sequential::gudp::any_local(to.value()));
  if (!bound)
    return failed(bound.error());
  if (auto done = bound->connect(to.value()); !done)
    return failed(done.error());
  return conn{std::move(*bound)};
}

result<void> server::run(endpoint_argument local, const handler& all) {
  if (auto done = listen(std::move(local)); !done)
    return done;
  return run(all);
}

result<void> server::listen(endpoint_argument local) {
  auto made = udp_socket::bind(system_, std::move(local));
  if (!made)
    return failed(made.error());
  std::lock_guard guard{mutex_};
  socket_ = conn{std::move(*made)};
  local_ = socket_.local_endpoint();
  if (stopped_)
    socket_.as_socket().as_datagram_socket().close();
  return {};
}

result<void> server::run(const handler& all) {
  if (!socket_)
    return failed(errc::not_connected);
  all(socket_);
  return socket_.close();
}

void server::stop() {
  std::lock_guard guard{mutex_};
  stopped_ = true;
  if (socket_)
    socket_.as_socket().as_datagram_socket().close();
}

std::optional<net::endpoint> server::address() const {
  std::lock_guard guard{mutex_};
  return local_;
}

int server::listened_port() const {
  const auto local = address();
  return local && local->is_ip() ? local->port() : -1;
}

result<void> send(caf::actor_system& system, endpoint_argument remote, std::string_view data, const retry& again) {
  auto peer = conn::connect(system, std::move(remote));
  if (!peer)
    return failed(peer.error());
  return peer->send(data, again);
}

result<net::bytes> send_recv(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                             std::size_t max, const retry& again) {
  auto peer = conn::connect(system, std::move(remote));
  if (!peer)
    return failed(peer.error());
  return peer->send_recv(data, max, again);
}

result<net::bytes> send_recv_with_timeout(caf::actor_system& system, endpoint_argument remote, std::string_view data,
                                          std::size_t max, net::timeout within, const retry& again) {
  auto peer = conn::connect(system, std::move(remote));
  if (!peer)
    return failed(peer.error());
  return peer->send_recv_with_timeout(data, max, within, again);
}

} // namespace actnet::blocking::gudp
