// Socket options as values: one struct per option, with its unit in the type or the name. Whether an option fits a
// socket is checked here, because the kernel often takes an option without a word and then ignores it.
#pragma once

#include "actnet/net/address/endpoint.hpp"
#include "actnet/net/address/ip_address.hpp"
#include "actnet/net/result.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <variant>

namespace actnet::net {

/// Send small segments at once, without waiting for acknowledgements (TCP_NODELAY, tcp(7)). TCP only.
struct no_delay {
  bool on = true;
  bool operator==(const no_delay&) const = default;
};

/// Probe a silent peer: first after `time`, then every `interval`; after `count` unanswered probes the connection
/// ends with `timed_out` (SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, tcp(7)). A value of 0 leaves that
/// part as it is. The kernel takes at most 32767 s and 127 probes. TCP only.
struct keep_alive {
  bool on = true;
  std::chrono::seconds time{0};
  std::chrono::seconds interval{0};
  int count = 0;
  bool operator==(const keep_alive&) const = default;
};

/// What close does with bytes not yet sent: without a value it returns at once and the kernel goes on sending; 0 s
/// drops them and sends RST (SO_LINGER, socket(7)). With more, close(2) would wait so long, also on a non-blocking
/// socket; `socket::close` never waits, and the kernel goes on sending. TCP only.
struct linger {
  std::optional<std::chrono::seconds> time;
  bool operator==(const linger&) const = default;
};

/// Room for bytes on their way out (SO_SNDBUF). Linux doubles the value for its bookkeeping, caps it at
/// net.core.wmem_max before that, and reads back what it really uses (socket(7)).
struct send_buffer {
  std::size_t bytes = 0;
  bool operator==(const send_buffer&) const = default;
};

/// Room for bytes on their way in (SO_RCVBUF). Linux doubles the value for its bookkeeping, caps it at
/// net.core.rmem_max before that, and reads back what it really uses (socket(7)). Not for Unix sockets, where it has
/// no effect (unix(7)).
struct receive_buffer {
  std::size_t bytes = 0;
  bool operator==(const receive_buffer&) const = default;
};

/// Hops before a unicast packet is dropped, 1 to 255 (IP_TTL, IPV6_UNICAST_HOPS). An IPv6 socket uses it for its IPv4
/// traffic too.
struct time_to_live {
  int hops = 64;
  bool operator==(const time_to_live&) const = default;
};

/// Take no IPv4 traffic on an IPv6 socket (IPV6_V6ONLY, ipv6(7)). Only before it is bound.
struct v6_only {
  bool on = true;
  bool operator==(const v6_only&) const = default;
};

/// Bind although old connections of that port are in TIME_WAIT (SO_REUSEADDR, socket(7)). IP only. On a UDP socket it
/// lets several sockets share the port.
struct reuse_address {
  bool on = true;
  bool operator==(const reuse_address&) const = default;
};

/// Share the port with other sockets of the same user that have set it too (SO_REUSEPORT, socket(7)). IP only.
struct reuse_port {
  bool on = true;
  bool operator==(const reuse_port&) const = default;
};

/// Allow sending to broadcast addresses (SO_BROADCAST, socket(7)). UDP only.
struct broadcast {
  bool on = true;
  bool operator==(const broadcast&) const = default;
};

/// End the connection with `timed_out` when sent bytes stay unacknowledged for so long; 0 is the system's default
/// (TCP_USER_TIMEOUT, tcp(7)). TCP only.
struct user_timeout {
  std::chrono::milliseconds time{0};
  bool operator==(const user_timeout&) const = default;
};

/// The byte that carries DSCP and ECN, 0 to 255 (IP_TOS, IPV6_TCLASS). The ECN bits (the lower two) belong to TCP
/// itself: on a TCP socket they must be 0. An IPv6 socket uses it for its IPv4 traffic too.
struct type_of_service {
  int value = 0;
  bool operator==(const type_of_service&) const = default;
};

/// An interface by its number in if_nametoindex(3), from 1.
struct interface_index {
  unsigned value = 0;
  bool operator==(const interface_index&) const = default;
};

/// The interface that a multicast option means. Empty: the kernel chooses by its routes, or for IPv6 takes the zone of
/// the group. An address, one of the interface's own, names it for IPv4 only.
using interface_choice = std::variant<std::monostate, interface_index, ip_address>;

/// Receive what is sent to `group`, an address of the socket's own family (IP_ADD_MEMBERSHIP, IPV6_ADD_MEMBERSHIP).
/// UDP only. Joining twice is `address_in_use`, an interface that is not there `address_unavailable`.
struct join_group {
  ip_address group;
  interface_choice interface;
  bool operator==(const join_group&) const = default;
};

/// Undoes `join_group` with the same values; `address_unavailable` if there is nothing to undo.
struct leave_group {
  ip_address group;
  interface_choice interface;
  bool operator==(const leave_group&) const = default;
};

/// Hops of multicast packets, 0 (this host only) to 255 (IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS). UDP only.
struct multicast_time_to_live {
  int hops = 1;
  bool operator==(const multicast_time_to_live&) const = default;
};

/// Deliver our own multicast packets on this host too (IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP). UDP only.
struct multicast_loop {
  bool on = true;
  bool operator==(const multicast_loop&) const = default;
};

/// Hear every group that any socket of this machine has joined, not only one's own (IP_MULTICAST_ALL, ip(7);
/// IPV6_MULTICAST_ALL, Linux 4.20; of an IPv6 socket both). UDP only. Off for a socket that we open, unlike the
/// kernel's default.
struct multicast_all {
  bool on = true;
  bool operator==(const multicast_all&) const = default;
};

/// Where multicast packets leave (IP_MULTICAST_IF, IPV6_MULTICAST_IF). UDP only. Linux reads an IPv4 choice back only
/// if it was an address; an index reads as empty.
struct multicast_interface {
  interface_choice interface;
  bool operator==(const multicast_interface&) const = default;
};

using socket_option =
    std::variant<no_delay, keep_alive, linger, send_buffer, receive_buffer, time_to_live, v6_only, reuse_address,
                 reuse_port, broadcast, user_timeout, type_of_service, join_group, leave_group, multicast_time_to_live,
                 multicast_loop, multicast_all, multicast_interface>;

/// A descriptor, which it does not own, and what decides the options it understands.
struct socket_view {
  int fd = -1;
  net::transport transport = net::transport::tcp;
  int family = 0;       ///< AF_INET, AF_INET6 or AF_UNIX.
  bool lingers = false; ///< Its close(2) would wait: see `linger`.
  bool blocked = false; ///< Before it was adopted, and is to again when it is given back or closed.
};

/// `not_supported`: the option is not for this kind of socket. `invalid_argument`: the value is out of range or of
/// the wrong family. A keep_alive that fails may have been set in part.
result<void> set_option(const socket_view& socket, const socket_option& option);

/// Reads what the kernel uses now. `not_supported` as above.
result<void> read_option(const socket_view& socket, no_delay& option);
result<void> read_option(const socket_view& socket, keep_alive& option);
result<void> read_option(const socket_view& socket, linger& option);
result<void> read_option(const socket_view& socket, send_buffer& option);
result<void> read_option(const socket_view& socket, receive_buffer& option);
result<void> read_option(const socket_view& socket, time_to_live& option);
result<void> read_option(const socket_view& socket, v6_only& option);
result<void> read_option(const socket_view& socket, reuse_address& option);
result<void> read_option(const socket_view& socket, reuse_port& option);
result<void> read_option(const socket_view& socket, broadcast& option);
result<void> read_option(const socket_view& socket, user_timeout& option);
result<void> read_option(const socket_view& socket, type_of_service& option);
result<void> read_option(const socket_view& socket, multicast_time_to_live& option);
result<void> read_option(const socket_view& socket, multicast_loop& option);
result<void> read_option(const socket_view& socket, multicast_all& option);
result<void> read_option(const socket_view& socket, multicast_interface& option);

} // namespace actnet::net
