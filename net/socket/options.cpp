#include "actnet/net/socket/options.hpp"

#include "actnet/net/error.hpp"
#include "actnet/net/socket/system_calls.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>

namespace actnet::net {

namespace {

/// Where the kernel keeps an option. An option that the socket does not have is an error instead.
struct place {
  int level;
  int name;
};

using found_place = result<place>;

bool is_ip(const socket_view& s) {
  return s.family != AF_UNIX;
}

found_place if_tcp(const socket_view& s, place there) {
  if (s.transport != transport::tcp)
    return failure{errc::not_supported};
  return there;
}

found_place if_ip(const socket_view& s, place there) {
  if (!is_ip(s))
    return failure{errc::not_supported};
  return there;
}

found_place if_udp(const socket_view& s, place v4, place v6) {
  if (s.transport != transport::udp)
    return failure{errc::not_supported};
  return s.family == AF_INET6 ? v6 : v4;
}

found_place place_of(const socket_view& s, const no_delay&) {
  return if_tcp(s, {IPPROTO_TCP, TCP_NODELAY});
}
found_place place_of(const socket_view& s, const keep_alive&) {
  return if_tcp(s, {SOL_SOCKET, SO_KEEPALIVE});
}
found_place place_of(const socket_view& s, const linger&) {
  return if_tcp(s, {SOL_SOCKET, SO_LINGER});
}
found_place place_of(const socket_view&, const send_buffer&) {
  return place{SOL_SOCKET, SO_SNDBUF};
}
found_place place_of(const socket_view& s, const receive_buffer&) {
  return if_ip(s, {SOL_SOCKET, SO_RCVBUF});
}
found_place place_of(const socket_view& s, const time_to_live&) {
  return if_ip(s, s.family == AF_INET6 ? place{IPPROTO_IPV6, IPV6_UNICAST_HOPS} : place{IPPROTO_IP, IP_TTL});
}
found_place place_of(const socket_view& s, const v6_only&) {
  if (s.family != AF_INET6)
    return failure{errc::not_supported};
  return place{IPPROTO_IPV6, IPV6_V6ONLY};
}
found_place place_of(const socket_view& s, const reuse_address&) {
  return if_ip(s, {SOL_SOCKET, SO_REUSEADDR});
}
found_place place_of(const socket_view& s, const reuse_port&) {
  return if_ip(s, {SOL_SOCKET, SO_REUSEPORT});
}
found_place place_of(const socket_view& s, const broadcast&) {
  return if_udp(s, {SOL_SOCKET, SO_BROADCAST}, {SOL_SOCKET, SO_BROADCAST});
}
found_place place_of(const socket_view& s, const user_timeout&) {
  return if_tcp(s, {IPPROTO_TCP, TCP_USER_TIMEOUT});
}
found_place place_of(const socket_view& s, const type_of_service&) {
  return if_ip(s, s.family == AF_INET6 ? place{IPPROTO_IPV6, IPV6_TCLASS} : place{IPPROTO_IP, IP_TOS});
}
found_place place_of(const socket_view& s, const join_group&) {
  return if_udp(s, {IPPROTO_IP, IP_ADD_MEMBERSHIP}, {IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP});
}
found_place place_of(const socket_view& s, const leave_group&) {
  return if_udp(s, {IPPROTO_IP, IP_DROP_MEMBERSHIP}, {IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP});
}
found_place place_of(const socket_view& s, const multicast_time_to_live&) {
  return if_udp(s, {IPPROTO_IP, IP_MULTICAST_TTL}, {IPPROTO_IPV6, IPV6_MULTICAST_HOPS});
}
found_place place_of(const socket_view& s, const multicast_loop&) {
  return if_udp(s, {IPPROTO_IP, IP_MULTICAST_LOOP}, {IPPROTO_IPV6, IPV6_MULTICAST_LOOP});
}
found_place place_of(const socket_view& s, const multicast_all&) {
  return if_udp(s, {IPPROTO_IP, IP_MULTICAST_ALL}, {IPPROTO_IPV6, IPV6_MULTICAST_ALL});
}
found_place place_of(const socket_view& s, const multicast_interface&) {
  return if_udp(s, {IPPROTO_IP, IP_MULTICAST_IF}, {IPPROTO_IPV6, IPV6_MULTICAST_IF});
}

template <class T>
result<void> write(const socket_view& s, place there, const T& value) {
  if (sys().setsockopt(s.fd, there.level, there.name, &value, sizeof value) != 0)
    return failure{from_errno(errno)};
  return {};
}

template <class T>
result<T> read(const socket_view& s, place there) {
  T value{};
  socklen_t size = sizeof value;
  if (sys().getsockopt(s.fd, there.level, there.name, &value, &size) != 0)
    return failure{from_errno(errno)};
  return value;
}

template <class Option>
result<void> write_int(const socket_view& s, const Option& option, long long value, int least, int most) {
  const auto there = place_of(s, option);
  if (!there)
    return failure{there.error()};
  if (value < least || value > most)
    return failure{errc::invalid_argument};
  return write(s, *there, static_cast<int>(value));
}

/// As `write_int`, and on an IPv6 socket for its IPv4 traffic too.
template <class Option>
result<void> write_for_both_families(const socket_view& s, const Option& option, int value, int least, place v4) {
  auto written = write_int(s, option, value, least, 255);
  if (!written || s.family == AF_INET)
    return written;
  return write(s, v4, value);
}

template <class Option, class Take>
result<void> read_int(const socket_view& s, const Option& option, Take take) {
  const auto there = place_of(s, option);
  if (!there)
    return failure{there.error()};
  const auto value = read<int>(s, *there);
  if (!value)
    return failure{value.error()};
  take(*value);
  return {};
}

template <class Option>
result<void> read_switch(const socket_view& s, Option& option) {
  return read_int(s, option, [&](int value) { option.on = value != 0; });
}

/// The bytes of `ip` as the kernel's type of the same size: in_addr or in6_addr.
template <class Address>
Address raw(const ip_address& ip) {
  Address address;
  std::memcpy(&address, ip.bytes().data(), sizeof address);
  return address;
}

result<ip_mreqn> v4_interface(const interface_choice& choice) {
  ip_mreqn request{};
  if (const auto* index = std::get_if<interface_index>(&choice)) {
    if (index->value == 0 || index->value > INT_MAX)
      return failure{errc::invalid_argument};
    request.imr_ifindex = static_cast<int>(index->value);
  } else if (const auto* ip = std::get_if<ip_address>(&choice)) {
    if (!ip->is_v4())
      return failure{errc::invalid_argument};
    request.imr_address = raw<in_addr>(*ip);
  }
  return request;
}

result<unsigned> v6_interface(const interface_choice& choice) {
  if (std::holds_alternative<std::monostate>(choice))
    return 0u;
  const auto* index = std::get_if<interface_index>(&choice);
  if (index == nullptr || index->value == 0 || index->value > INT_MAX)
    return failure{errc::invalid_argument};
  return index->value;
}

template <class Membership>
result<void> write_membership(const socket_view& s, const Membership& option) {
  const auto there = place_of(s, option);
  if (!there)
    return failure{there.error()};
  if (!option.group.is_multicast() || option.group.is_v4() != (s.family == AF_INET))
    return failure{errc::invalid_argument};
  if (s.family == AF_INET) {
    auto request = v4_interface(option.interface);
    if (!request)
      return failure{request.error()};
    request->imr_multiaddr = raw<in_addr>(option.group);
    return write(s, *there, *request);
  }
  const auto index = v6_interface(option.interface);
  if (!index)
    return failure{index.error()};
  return write(s, *there, ipv6_mreq{raw<in6_addr>(option.group), *index != 0 ? *index : option.group.scope_id()});
}

template <class Option>
result<void> write_option(const socket_view& s, const Option& option) requires requires {
  option.on;
}
{ return write_int(s, option, option.on, 0, 1); }

result<void> write_option(const socket_view& s, const multicast_all& option) {
  return write_for_both_families(s, option, option.on, 0, {IPPROTO_IP, IP_MULTICAST_ALL});
}

result<void> write_option(const socket_view& s, const keep_alive& option) {
  struct {
    long long value;
    int name;
  } const parts[] = {
      {option.time.count(), TCP_KEEPIDLE}, {option.interval.count(), TCP_KEEPINTVL}, {option.count, TCP_KEEPCNT}};
  const auto there = place_of(s, option);
  if (!there)
    return failure{there.error()};
  for (const auto& part : parts)
    if (part.value < 0 || part.value > INT_MAX)
      return failure{errc::invalid_argument};
  for (const auto& part : parts)
    if (part.value != 0)
      if (auto written = write(s, {IPPROTO_TCP, part.name}, static_cast<int>(part.value)); !written)
        return written;
  return write(s, *there, int{option.on});
}

result<void> write_option(const socket_view& s, const linger& option) {
  const auto there = place_of(s, option);
  if (!there)
    return failure{there.error()};
  const auto seconds = option.time.value_or(std::chrono::seconds{0}).count();
  if (seconds < 0 || seconds > INT_MAX)
    return failure{errc::invalid_argument};
  return write(s, *there, ::linger{option.time.has_value(), static_cast<int>(seconds)});
}

result<void> write_bytes(const socket_view& s, const auto& option) {
  const auto bytes = option.bytes > INT_MAX ? -1 : static_cast<long long>(option.bytes);
  return write_int(s, option, bytes, 1, INT_MAX);
}

result<void> write_option(const socket_view& s, const send_buffer& option) {
  return write_bytes(s, option);
}
result<void> write_option(const socket_view& s, const receive_buffer& option) {
  return write_bytes(s, option);
}
result<void> write_option(const socket_view& s, const time_to_live& option) {
  return write_for_both_families(s, option, option.hops, 1, {IPPROTO_IP, IP_TTL});
}
result<void> write_option(const socket_view& s, const user_timeout& option) {
  return write_int(s, option, option.time.count(), 0, INT_MAX);
}
result<void> write_option(const socket_view& s, const type_of_service& option) {
  // The kernel clears the ECN bits of a TCP socket without saying so.
  if (s.transport == transport::tcp && (option.value & 3) != 0)
    return failure{errc::invalid_argument};
  return write_for_both_families(s, option, option.value, 0, {IPPROTO_IP, IP_TOS});
}
result<void> write_option(const socket_view& s, const join_group& option) {
  return write_membership(s, option);
}
result<void> write_option(const socket_view& s, const leave_group& option) {
  return write_membership(s, option);
}
result<void> write_option(const socket_view& s, const multicast_time_to_live& option) {
  return write_int(s, option, option.hops, 0, 255);
}

result<void> write_option(const socket_view& s, const multicast_interface& option) {
  const auto there = place_of(s, option);
  if (!there)
    return failure{there.error()};
  if (s.family == AF_INET) {
    const auto request = v4_interface(option.interface);
    return request ? write(s, *there, *request) : failure{request.error()};
  }
  const auto index = v6_interface(option.interface);
  return index ? write(s, *there, static_cast<int>(*index)) : failure{index.error()};
}

} // namespace

result<void> set_option(const socket_view& socket, const socket_option& option) {
  return std::visit([&](const auto& o) { return write_option(socket, o); }, option);
}

result<void> read_option(const socket_view& socket, no_delay& option) {
  return read_switch(socket, option);
}
result<void> read_option(const socket_view& socket, v6_only& option) {
  return read_switch(socket, option);
}
result<void> read_option(const socket_view& socket, reuse_address& option) {
  return read_switch(socket, option);
}
result<void> read_option(const socket_view& socket, reuse_port& option) {
  return read_switch(socket, option);
}
result<void> read_option(const socket_view& socket, broadcast& option) {
  return read_switch(socket, option);
}
result<void> read_option(const socket_view& socket, multicast_loop& option) {
  return read_switch(socket, option);
}

result<void> read_option(const socket_view& socket, multicast_all& option) {
  return read_switch(socket, option);
}

result<void> read_option(const socket_view& socket, keep_alive& option) {
  if (auto done = read_switch(socket, option); !done)
    return done;
  const auto time = read<int>(socket, {IPPROTO_TCP, TCP_KEEPIDLE});
  const auto interval = read<int>(socket, {IPPROTO_TCP, TCP_KEEPINTVL});
  const auto count = read<int>(socket, {IPPROTO_TCP, TCP_KEEPCNT});
  for (const auto* part : {&time, &interval, &count})
    if (!*part)
      return failure{part->error()};
  option.time = std::chrono::seconds{*time};
  option.interval = std::chrono::seconds{*interval};
  option.count = *count;
  return {};
}

result<void> read_option(const socket_view& socket, linger& option) {
  const auto there = place_of(socket, option);
  if (!there)
    return failure{there.error()};
  const auto value = read<::linger>(socket, *there);
  if (!value)
    return failure{value.error()};
  option.time.reset();
  if (value->l_onoff != 0)
    option.time = std::chrono::seconds{value->l_linger};
  return {};
}

result<void> read_option(const socket_view& socket, send_buffer& option) {
  return read_int(socket, option, [&](int value) { option.bytes = static_cast<std::size_t>(value); });
}
result<void> read_option(const socket_view& socket, receive_buffer& option) {
  return read_int(socket, option, [&](int value) { option.bytes = static_cast<std::size_t>(value); });
}
result<void> read_option(const socket_view& socket, time_to_live& option) {
  return read_int(socket, option, [&](int value) { option.hops = value; });
}
result<void> read_option(const socket_view& socket, user_timeout& option) {
  return read_int(socket, option, [&](int value) { option.time = std::chrono::milliseconds{value}; });
}
result<void> read_option(const socket_view& socket, type_of_service& option) {
  return read_int(socket, option, [&](int value) { option.value = value; });
}
result<void> read_option(const socket_view& socket, multicast_time_to_live& option) {
  return read_int(socket, option, [&](int value) { option.hops = value; });
}

result<void> read_option(const socket_view& socket, multicast_interface& option) {
  const auto there = place_of(socket, option);
  if (!there)
    return failure{there.error()};
  option.interface = std::monostate{};
  if (socket.family == AF_INET6) {
    return read_int(socket, option, [&](int index) {
      if (index != 0)
        option.interface = interface_index{static_cast<unsigned>(index)};
    });
  }
  const auto address = read<in_addr>(socket, *there);
  if (!address)
    return failure{address.error()};
  std::array<std::uint8_t, 4> bytes;
  std::memcpy(bytes.data(), &*address, sizeof bytes);
  if (address->s_addr != INADDR_ANY)
    option.interface = ip_address::v4(bytes[0], bytes[1], bytes[2], bytes[3]);
  return {};
}

} // namespace actnet::net
