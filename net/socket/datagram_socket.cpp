#include "actnet/net/socket/datagram_socket.hpp"

#include "actnet/net/error.hpp"
#include "actnet/net/socket/system_calls.hpp"

#include <linux/sock_diag.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace actnet::net {

namespace {

bool is_datagram(const endpoint& e) {
  return e.transport() == transport::udp || e.transport() == transport::unix_datagram;
}

template <class T>
T content_of(const cmsghdr* header) {
  T value;
  std::memcpy(&value, CMSG_DATA(header), sizeof value);
  return value;
}

ip_address destination(const in_pktinfo& info) {
  std::array<std::uint8_t, 4> bytes;
  std::memcpy(bytes.data(), &info.ipi_addr, sizeof bytes);
  return ip_address::v4(bytes[0], bytes[1], bytes[2], bytes[3]);
}

ip_address destination(const in6_pktinfo& info) {
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &info.ipi6_addr, sizeof bytes);
  const bool zoned = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) || IN6_IS_ADDR_MC_LINKLOCAL(&info.ipi6_addr);
  return ip_address::v6(bytes, zoned ? info.ipi6_ifindex : 0);
}

/// An IPv6 socket tells both of what came over IPv4: its `to` is the mapped address.
void take_details(msghdr& message, bool v6, received_datagram& datagram) {
  for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
      const auto info = content_of<in_pktinfo>(header);
      // The kernel names the address to answer from, which is another one if this was no unicast.
      datagram.to_many = info.ipi_spec_dst.s_addr != info.ipi_addr.s_addr;
      if (!v6)
        datagram.to = endpoint::udp(destination(info), datagram.to.port());
    } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
      datagram.to = endpoint::udp(destination(content_of<in6_pktinfo>(header)), datagram.to.port());
    }
  }
  datagram.to_many = datagram.to_many || datagram.to.ip().is_multicast();
}

/// Room for one control message that says where a datagram goes out from.
struct source_room {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in6_pktinfo))> bytes;
};

template <class Info>
void put_source(msghdr& message, source_room& room, int level, int type, const Info& info) {
  room = {}; // the padding too goes to the kernel
  message.msg_control = room.bytes.data();
  message.msg_controllen = CMSG_SPACE(sizeof info);
  auto* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(header), &info, sizeof info);
}

void put_source(msghdr& message, source_room& room, const ip_address& from) {
  if (from.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, from.bytes().data(), sizeof info.ipi_spec_dst);
    put_source(message, room, IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, from.bytes().data(), sizeof info.ipi6_addr);
    info.ipi6_ifindex = from.scope_id();
    put_source(message, room, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

} // namespace

result<datagram_socket> datagram_socket::open(const endpoint& local, std::span<const socket_option> options,
                                              std::optional<mode_t> path_mode) {
  if (!is_datagram(local))
    return failure{errc::invalid_endpoint};
  const socket_address address = to_socket_address(local);
  auto opened = socket::open(local.transport(), address);
  if (!opened)
    return failure{opened.error()};
  datagram_socket s{std::move(*opened)};
  if (local.transport() == net::transport::udp && (local.ip().is_unspecified() || local.ip().is_multicast()))
    // A kernel that is too old to have it for IPv6 is no reason to fail.
    if (auto done = s.set(multicast_all{false}); !done && done.error() != errc::not_supported)
      return failure{done.error()};
  if (auto done = s.set_all(options); !done)
    return failure{done.error()};
  if (auto done = s.ask_for_details(local); !done)
    return failure{done.error()};
  if (auto done = s.bind(local, path_mode); !done)
    return failure{done.error()};
  return s;
}

result<datagram_socket> datagram_socket::adopt(int fd) {
  auto taken = take_over(fd, SOCK_DGRAM, false);
  if (!taken)
    return failure{taken.error()};
  datagram_socket s{std::move(*taken)};
  const auto local = s.local_endpoint();
  const auto done = local ? s.ask_for_details(*local) : result<void>{failure{local.error()}};
  if (!done) {
    static_cast<void>(s.release());
    return failure{done.error()};
  }
  return s;
}

/// A socket that is bound to one address gets nothing that was sent to another.
result<void> datagram_socket::ask_for_details(const endpoint& local) {
  if (transport() != net::transport::udp || !local.ip().is_unspecified())
    return {};
  const int on = 1;
  const bool v6 = view().family == AF_INET6;
  if (sys().setsockopt(fd(), v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on) != 0)
    return failure{from_errno(errno)};
  if (v6 && sys().setsockopt(fd(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on) != 0) // of IPv4 it tells broadcasts
    return failure{from_errno(errno)};
  tells_destination_ = true;
  return {};
}

std::uint32_t datagram_socket::dropped() const {
  std::array<std::uint32_t, SK_MEMINFO_VARS> figures{};
  socklen_t size = sizeof figures;
  (void)sys().getsockopt(fd(), SOL_SOCKET, SO_MEMINFO, figures.data(), &size); // zeros stay where there is none
  return transport() == net::transport::udp ? figures[SK_MEMINFO_DROPS] : 0;
}

result<void> datagram_socket::connect(const endpoint& remote) {
  if (remote.transport() != transport())
    return failure{errc::invalid_endpoint};
  const socket_address address = to_socket_address(remote);
  bound_.reset(); // An adopted socket may be given its port only now.
  if (uninterrupted([&] { return sys().connect(fd(), address.data(), address.size); }) != 0)
    return failure{from_errno(errno)};
  return {};
}

result<void> datagram_socket::disconnect() {
  const auto before = local_endpoint();
  if (!before)
    return failure{before.error()};
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  bound_.reset();
  if (uninterrupted([&] { return sys().connect(fd(), &nobody, sizeof nobody); }) != 0)
    return failure{from_errno(errno)};
  const auto after = local_endpoint();
  if (!after)
    return failure{after.error()};
  if (after->port() == before->port())
    return {};
  return bind(to_socket_address(after->with_port(before->port())));
}

result<received_datagram> datagram_socket::receive(std::span<std::byte> buffer) {
  const auto here = bound();
  if (!here)
    return failure{here.error()};
  sockaddr_storage from;
  auto& from_any = reinterpret_cast<sockaddr&>(from);
  socklen_t from_size = sizeof from;
  alignas(cmsghdr) std::byte details[256];
  iovec part{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_name = &from;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = details;
  const auto size = uninterrupted([&] {
    // Without room for details: descriptors that a peer sends along a Unix socket would be ours to close. And cheaper.
    if (!tells_destination_)
      return sys().recvfrom(fd(), buffer.data(), buffer.size(), MSG_TRUNC | MSG_DONTWAIT, &from_any, &from_size);
    message.msg_namelen = sizeof from;
    message.msg_controllen = sizeof details;
    const auto got = sys().recvmsg(fd(), &message, MSG_TRUNC | MSG_DONTWAIT);
    from_size = message.msg_namelen;
    return got;
  });
  if (size < 0)
    return failure{from_errno(errno)};
  auto sender = from_socket_address(&from_any, from_size, transport());
  if (!sender)
    return failure{sender.error()};
  const auto full = static_cast<std::size_t>(size);
  received_datagram datagram{std::min(full, buffer.size()), full, full > buffer.size(), std::move(*sender), **here};
  if (tells_destination_)
    take_details(message, view().family == AF_INET6, datagram);
  return datagram;
}

result<std::size_t> datagram_socket::send(std::span<const std::byte> payload, const endpoint* to) {
  socket_address address;
  const sockaddr* whom = nullptr;
  socklen_t whom_size = 0;
  if (to != nullptr) {
    if (to->transport() != transport())
      return failure{errc::invalid_endpoint};
    address = to_socket_address(*to);
    whom = address.data();
    whom_size = address.size;
  }
  const auto size = uninterrupted(
      [&] { return sys().sendto(fd(), payload.data(), payload.size(), MSG_NOSIGNAL | MSG_DONTWAIT, whom, whom_size); });
  if (size < 0)
    return failure{from_errno(errno)};
  return static_cast<std::size_t>(size);
}

result<std::size_t> datagram_socket::send(std::span<const outgoing_datagram> messages) {
  std::array<mmsghdr, sent_at_once_max> headers;
  std::array<iovec, sent_at_once_max> parts;
  std::array<socket_address, sent_at_once_max> addresses;
  std::array<source_room, sent_at_once_max> sources;
  std::size_t count = 0;
  for (const auto& [payload, to, from] : messages.first(std::min(messages.size(), sent_at_once_max))) {
    if (to != nullptr && to->transport() != transport())
      break; // its turn to be refused comes
    const auto says_source = needs_source(from);
    if (!says_source && count == 0)
      return failure{says_source.error()};
    if (!says_source)
      break;
    parts[count] = {const_cast<std::byte*>(payload.data()), payload.size()};
    headers[count] = {};
    auto& header = headers[count].msg_hdr;
    header.msg_iov = &parts[count];
    header.msg_iovlen = 1;
    if (to != nullptr) {
      addresses[count] = to_socket_address(*to);
      header.msg_name = addresses[count].data();
      header.msg_namelen = addresses[count].size;
    }
    if (*says_source)
      put_source(header, sources[count], *from);
    ++count;
  }
  if (count == 0 || (count == 1 && headers[0].msg_hdr.msg_control == nullptr)) {
    const auto sent = send(messages.front().payload, messages.front().to);
    return sent ? result<std::size_t>{1} : failure{sent.error()};
  }
  const auto sent = uninterrupted(
      [&] { return sys().sendmmsg(fd(), headers.data(), static_cast<unsigned>(count), MSG_NOSIGNAL | MSG_DONTWAIT); });
  if (sent < 0)
    return failure{from_errno(errno)};
  return static_cast<std::size_t>(sent);
}

/// Whether the kernel has to be told of `from`: not on a socket that has only that address.
result<bool> datagram_socket::needs_source(const ip_address* from) {
  if (from == nullptr || from->is_unspecified())
    return false;
  if (transport() != net::transport::udp || from->is_v4() != (view().family == AF_INET))
    return failure{errc::invalid_argument};
  if (tells_destination_)
    return true;
  const auto here = bound();
  if (!here)
    return failure{here.error()};
  if ((**here).ip() != *from)
    return failure{errc::invalid_argument};
  return false;
}

/// Where the socket is bound. Asked again as long as it has no port yet.
result<const endpoint*> datagram_socket::bound() {
  if (!bound_ || (bound_->is_ip() && bound_->port() == 0)) {
    auto local = local_endpoint();
    if (!local)
      return failure{local.error()};
    bound_ = std::move(*local);
  }
  return &*bound_;
}

} // namespace actnet::net
