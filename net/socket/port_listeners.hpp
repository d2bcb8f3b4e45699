// Who listens on a TCP port, for a word about why it is in use.
#pragma once

#include <cstdint>
#include <optional>

namespace actnet::net {

struct port_listeners {
  bool v4 = false;
  bool v6 = false; ///< Perhaps for IPv4 as well.
};

/// Of all processes in this network namespace, by sock_diag(7); nothing where the kernel does not tell. Does not wait.
std::optional<port_listeners> listeners_on(std::uint16_t port);

} // namespace actnet::net
