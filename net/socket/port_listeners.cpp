#include "actnet/net/socket/port_listeners.hpp"

#include "actnet/net/socket/system_calls.hpp"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cstring>

namespace actnet::net {

namespace {

/// Whether somebody does with a socket of that family; nothing if the kernel does not tell.
std::optional<bool> anybody_listens(std::uint16_t port, int family) {
  const int asked = sys().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (asked < 0)
    return std::nullopt;
  struct {
    nlmsghdr header;
    inet_diag_req_v2 of;
  } question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  question.of.sdiag_family = static_cast<std::uint8_t>(family);
  question.of.sdiag_protocol = IPPROTO_TCP;
  question.of.idiag_states = 1u << TCP_LISTEN;
  question.of.id.idiag_sport = htons(port);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  alignas(nlmsghdr) char answer[8192];
  nlmsghdr first{};
  // The kernel has answered when the question is sent.
  const bool told = sys().sendto(asked, &question, sizeof question, 0, reinterpret_cast<const sockaddr*>(&kernel),
                                 sizeof kernel) == static_cast<ssize_t>(sizeof question) &&
                    sys().recv(asked, answer, sizeof answer, MSG_DONTWAIT) >= static_cast<ssize_t>(sizeof first);
  sys().close(asked);
  if (!told)
    return std::nullopt;
  std::memcpy(&first, answer, sizeof first);
  if (first.nlmsg_type != SOCK_DIAG_BY_FAMILY && first.nlmsg_type != NLMSG_DONE)
    return std::nullopt;
  return first.nlmsg_type == SOCK_DIAG_BY_FAMILY;
}

} // namespace

std::optional<port_listeners> listeners_on(std::uint16_t port) {
  const auto v4 = anybody_listens(port, AF_INET);
  const auto v6 = anybody_listens(port, AF_INET6);
  if (!v4 || !v6)
    return std::nullopt;
  return port_listeners{*v4, *v6};
}

} // namespace actnet::net
