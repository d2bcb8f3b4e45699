#include "actnet/actors/sequential/gudp_conn.hpp"

namespace actnet::sequential::gudp {

net::endpoint any_local(const net::endpoint& remote) {
  if (!remote.is_ip())
    return net::endpoint::unix_datagram({});
  return net::endpoint::udp(remote.ip().is_v4() ? net::ip_address::any_v4() : net::ip_address::any_v6(), 0);
}

} // namespace actnet::sequential::gudp
