// Endpoints in the form that system calls take and give: sockaddr_in, sockaddr_in6, sockaddr_un.
#pragma once

#include <sys/socket.h>

#include "actnet/net/address/endpoint.hpp"
#include "actnet/net/result.hpp"

namespace actnet::net {

/// Only the first `size` bytes of `storage` mean anything; neither is initialised by default. To receive an address
/// from the kernel, set `size` to `sizeof storage` first.
struct socket_address {
  sockaddr_storage storage;
  socklen_t size;

  sockaddr* data() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// An unnamed Unix endpoint gives the bare family, to which the kernel binds a name of its choice (unix(7), autobind).
/// A Unix name that is too long, or a path with a NUL inside, gives a `size` that every kernel refuses with EINVAL,
/// rather than another name.
socket_address to_socket_address(const endpoint& where) noexcept;

/// The endpoint in the `size` bytes at `address`, which came from the kernel for a socket of transport `kind`. With
/// `size` 0 and a Unix transport (the sender of a datagram without a name) it is unnamed. A path that begins with '@'
/// becomes `./@…`, the same file. `errc::invalid_endpoint` if the family does not fit the transport or bytes are
/// missing.
result<endpoint> from_socket_address(const sockaddr* address, socklen_t size, transport kind);

} // namespace actnet::net
