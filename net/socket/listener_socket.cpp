#include "actnet/net/socket/listener_socket.hpp"

#include "actnet/net/error.hpp"
#include "actnet/net/socket/system_calls.hpp"

namespace actnet::net {

result<listener_socket> listener_socket::open(const endpoint& local, const listener_options& options) {
  return open_as(options.reuse_port ? role::first_shard : role::alone, local, options);
}

result<std::vector<listener_socket>> listener_socket::open_shards(const endpoint& local,
                                                                  const listener_options& options, std::size_t count) {
  if (count == 0)
    return failure{errc::invalid_argument};
  std::vector<listener_socket> shards;
  shards.reserve(count);
  auto first = open_as(role::first_shard, local, options);
  if (!first)
    return failure{first.error()};
  const auto bound = first->local_endpoint();
  if (!bound)
    return failure{bound.error()};
  shards.push_back(std::move(*first));
  while (shards.size() < count) {
    auto next = open_as(role::further_shard, *bound, options);
    if (!next)
      return failure{next.error()};
    shards.push_back(std::move(*next));
  }
  return shards;
}

result<std::vector<listener_socket>> listener_socket::open_each(const endpoint& local,
                                                                const listener_options& options) {
  std::vector<listener_socket> all;
  if (!local.is_localhost()) {
    auto opened = open(local, options);
    if (!opened)
      return failure{opened.error()};
    all.push_back(std::move(*opened));
    return all;
  }
  auto of_v4 = options;
  of_v4.v6_only.reset();
  // The kernel chooses a port for one of them only, and somebody may have it on the other.
  for (int tries = local.port() == 0 ? 16 : 1; tries > 0; --tries) {
    auto v4 = open(endpoint::tcp(ip_address::loopback_v4(), local.port()), of_v4);
    if (!v4)
      return failure{v4.error()};
    const auto bound = v4->local_endpoint();
    if (!bound)
      return failure{bound.error()};
    auto v6 = open(endpoint::tcp(ip_address::loopback_v6(), bound->port()), options);
    if (!v6 && v6.error() == errc::address_in_use && tries > 1)
      continue;
    if (!v6 && v6.error() != errc::not_supported && v6.error() != errc::address_unavailable)
      return failure{v6.error()};
    all.push_back(std::move(*v4));
    if (v6)
      all.push_back(std::move(*v6));
    break;
  }
  return all;
}

result<listener_socket> listener_socket::open_as(role part, const endpoint& local, const listener_options& options) {
  const bool tcp = local.transport() == transport::tcp;
  if (!tcp && local.transport() != transport::unix_stream)
    return failure{errc::invalid_endpoint};
  if (!tcp && part != role::alone)
    return failure{errc::not_supported};
  const socket_address address = to_socket_address(local);
  auto opened = socket::open(local.transport(), address);
  if (!opened)
    return failure{opened.error()};
  listener_socket s{std::move(*opened)};
  if (auto done = s.prepare(part, options); !done)
    return failure{done.error()};
  if (auto done = s.bind(local, options.path_mode); !done)
    return failure{done.error()};
  if (part == role::first_shard)
    if (auto done = s.set(reuse_port{}); !done)
      return failure{done.error()};
  if (sys().listen(s.fd(), options.backlog) != 0)
    return failure{from_errno(errno)};
  return s;
}

result<void> listener_socket::prepare(role part, const listener_options& options) {
  if (options.reuse_address && transport() == net::transport::tcp)
    if (auto done = set(reuse_address{}); !done)
      return done;
  if (options.v6_only)
    if (auto done = set(v6_only{*options.v6_only}); !done)
      return done;
  if (part == role::further_shard)
    if (auto done = set(reuse_port{}); !done)
      return done;
  return set_all(options.options);
}

result<listener_socket> listener_socket::adopt(int fd) {
  auto taken = take_over(fd, SOCK_STREAM, true);
  if (!taken)
    return failure{taken.error()};
  return listener_socket{std::move(*taken)};
}

result<listener_socket::accepted> listener_socket::accept() {
  sockaddr_storage storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  socklen_t size = 0;
  const int fd = uninterrupted([&] {
    size = sizeof storage;
    return sys().accept4(this->fd(), address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  });
  if (fd < 0)
    return failure{from_errno(errno)};
  stream_socket s{socket_view{fd, transport(), view().family, view().lingers}}; // an accepted one inherits it
  auto peer = from_socket_address(address, size, transport());
  if (!peer)
    return failure{peer.error()};
  return accepted{std::move(s), std::move(*peer)};
}

} // namespace actnet::net
