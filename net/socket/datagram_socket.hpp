// A socket of whole messages: UDP or Unix datagrams.
#pragma once

#include "actnet/net/socket/socket.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace actnet::net {

struct received_datagram {
  std::size_t size;      ///< Bytes in the buffer.
  std::size_t full_size; ///< Bytes of the message as it was sent.
  bool truncated;        ///< The buffer was too small; the rest of the message is gone.
  endpoint from;         ///< Unnamed if a Unix sender has no name.
  endpoint to;           ///< The address it was sent to, a group for multicast (IP_PKTINFO, IPV6_RECVPKTINFO), with our
                         ///< port; the local endpoint where the kernel does not tell.
  bool to_many = false;  ///< `to` is a group or a broadcast address, from which no answer may come.
};

/// From which address to answer what was sent `to` there; none: the kernel chooses, of its unicast addresses.
inline std::optional<ip_address> answer_address(const endpoint& to, bool to_many) noexcept {
  return to.transport() == transport::udp && !to_many ? std::optional{to.ip()} : std::nullopt;
}

struct outgoing_datagram {
  std::span<const std::byte> payload;
  const endpoint* to = nullptr;     ///< Null: the connected peer.
  const ip_address* from = nullptr; ///< One of our addresses; null or unspecified: the kernel chooses. UDP only.
};

/// Whole messages, in no order that the network promises. 0 bytes are an empty message, not an end.
class datagram_socket : public socket {
 public:
  datagram_socket() noexcept = default;

  /// Bound to `local`, port 0 and an unnamed Unix endpoint as the kernel chooses; the options are set before. Only
  /// groups that it joins are heard (`multicast_all`). A Unix path is unlinked on close; one that nobody answers on any
  /// more is taken over. `path_mode`: who may send to it; none: as the umask says.
  static result<datagram_socket> open(const endpoint& local, std::span<const socket_option> options,
                                      std::optional<mode_t> path_mode = std::nullopt);

  /// Takes a descriptor that somebody else opened and makes it non-blocking, until it is closed or released, and
  /// close-on-exec; it then also tells destinations and drops. `bad_descriptor` if it is no UDP or Unix datagram
  /// socket; on any error the caller still owns it.
  static result<datagram_socket> adopt(int fd);

  /// Sends to `remote` by default and receives from nobody else. Messages that arrived before stay. Can be repeated.
  result<void> connect(const endpoint& remote);

  /// Back to all senders, with the local endpoint that the socket had. The kernel forgets a port that it chose itself,
  /// so it is bound again: `address_in_use` in the rare case that somebody took it in between.
  result<void> disconnect();

  /// `not_connected` without a `connect`.
  result<endpoint> peer_endpoint() const { return peer(); }

  /// Messages that found no room in the receive buffer since the socket was opened (SO_MEMINFO, Linux 4.12). Wraps at
  /// 2^32. Always 0 for Unix, where the sender waits instead.
  std::uint32_t dropped() const;

  /// The next message. On a connected UDP socket, `connection_refused` says that an earlier message met no receiver
  /// (ICMP); the socket stays usable.
  result<received_datagram> receive(std::span<std::byte> buffer);

  /// One message of all of `payload`, to `to` or, if null, to the connected peer. `message_too_large`: more than one
  /// message can hold. `invalid_argument`: null and not connected (UDP; Unix says `not_connected`).
  /// `permission_denied`: a broadcast address without the option. `connection_refused` as for `receive`; this message
  /// was not sent.
  result<std::size_t> send(std::span<const std::byte> payload, const endpoint* to);

  /// The same with several at once. Returns how many went, at least one; otherwise what is wrong with the first, also:
  /// `invalid_argument`: its `from` is of another family than the socket, or not the one address that this is bound to;
  /// that or `network_unreachable`: it is not ours. At most `sent_at_once_max` are looked at.
  result<std::size_t> send(std::span<const outgoing_datagram> messages);
  static constexpr std::size_t sent_at_once_max = 16;

 private:
  explicit datagram_socket(socket&& opened) noexcept : socket(std::move(opened)) {}
  result<void> ask_for_details(const endpoint& local);
  result<bool> needs_source(const ip_address* from);
  result<const endpoint*> bound();

  bool tells_destination_ = false; // with each message; otherwise it is `bound_`
  std::optional<endpoint> bound_;  // Remembered, because it is looked at with every message.
};

} // namespace actnet::net
