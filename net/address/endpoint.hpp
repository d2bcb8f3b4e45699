// Where a socket is bound or connected to: a transport and either an IP address with a port or a Unix name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actnet/net/address/ip_address.hpp"
#include "actnet/net/address/parse_error.hpp"
#include "actnet/net/result.hpp"

namespace actnet::net {

enum class transport : std::uint8_t { tcp, udp, unix_stream, unix_datagram };

/// The scheme of the transport in an endpoint's text: "tcp", "udp", "unix" or "unixgram".
std::string_view to_string(transport kind) noexcept;

/// A plain value. An IP endpoint is copied and moved without touching the heap.
class endpoint {
 public:
  /// TCP, 0.0.0.0, port 0.
  endpoint() noexcept = default;

  static endpoint tcp(const ip_address& ip, std::uint16_t port) noexcept { return {net::transport::tcp, ip, port, {}}; }
  static endpoint udp(const ip_address& ip, std::uint16_t port) noexcept { return {net::transport::udp, ip, port, {}}; }

  /// Both loopback addresses over TCP (RFC 6761, section 6.3), see `addresses`.
  static endpoint localhost(std::uint16_t port) noexcept {
    auto made = tcp(ip_address::loopback_v4(), port);
    made.localhost_ = true;
    return made;
  }

  /// `name` is a path of up to 107 bytes, '@' and an abstract name of up to 107 bytes (unix(7)), or empty: unnamed. It
  /// is not checked here, as `parse` does: what the kernel cannot hold is refused by it with `errc::invalid_argument`.
  static endpoint unix_stream(std::string name) {
    return {net::transport::unix_stream, {}, 0, shared(std::move(name))};
  }
  static endpoint unix_datagram(std::string name) {
    return {net::transport::unix_datagram, {}, 0, shared(std::move(name))};
  }

  /// Reads `IP:PORT` (with the transport `bare`: tcp or udp), `tcp://IP:PORT`, `udp://IP:PORT`, `unix:PATH` and
  /// `unix:@NAME` (abstract), and with `unixgram:` the same for datagrams. IPv6 stands in brackets. `localhost` is
  /// both loopback addresses over TCP and 127.0.0.1 over UDP; no other name is looked up. `unix://PATH` is `unix:PATH`,
  /// so `unix:///run/x` is /run/x; a file whose name begins with '@' is written `unix:./@x`. Costs a system call only
  /// if a zone names an interface.
  static result<endpoint, parse_error> parse(std::string_view text, net::transport bare = net::transport::tcp);

  /// `IP:PORT` for TCP, `udp://IP:PORT`, `unix:PATH`, `unix:@NAME`, `unixgram:…`; `unix:` if unnamed. `parse` gives the
  /// same endpoint back, except for names that no text can hold: unnamed, and abstract ones that are empty or have a
  /// NUL inside, which prints as '@'. Only the kernel brings such.
  std::string to_string() const;

  net::transport transport() const noexcept { return transport_; }
  bool is_ip() const noexcept { return transport_ == net::transport::tcp || transport_ == net::transport::udp; }

  const ip_address& ip() const noexcept { return ip_; } ///< 0.0.0.0 for a Unix endpoint, 127.0.0.1 for `localhost`.
  std::uint16_t port() const noexcept { return port_; } ///< In host order; 0 for a Unix endpoint.

  bool is_localhost() const noexcept { return localhost_; }

  /// What it stands for, in the order in which a client tries them: of `localhost` [::1] and 127.0.0.1, else itself.
  std::vector<endpoint> addresses() const;

  /// The Unix name in the form that `unix_stream` takes, with its '@' if abstract. Empty for an IP endpoint.
  const std::string& path() const noexcept { return name_ ? *name_ : no_name(); }
  bool is_abstract() const noexcept { return path().starts_with('@'); }

  /// The same address with another port; a Unix endpoint is returned as it is.
  endpoint with_port(std::uint16_t port) const;
  /// The same address over tcp or udp (`localhost` over udp is 127.0.0.1), or the same name over unix_stream or
  /// unix_datagram. To ask for a change between the two families is a mistake of the caller (asserted).
  endpoint with_transport(net::transport kind) const;

  friend bool operator==(const endpoint& a, const endpoint& b) noexcept {
    return a.ip_ == b.ip_ && a.port_ == b.port_ && a.transport_ == b.transport_ && a.localhost_ == b.localhost_ &&
           a.path() == b.path();
  }

 private:
  using shared_name = std::shared_ptr<const std::string>; // most have none: a datagram's two endpoints are copied often

  endpoint(net::transport kind, const ip_address& ip, std::uint16_t port, shared_name name) noexcept
      : ip_(ip), port_(port), transport_(kind), name_(std::move(name)) {}

  static shared_name shared(std::string name) {
    return name.empty() ? nullptr : std::make_shared<const std::string>(std::move(name));
  }
  static const std::string& no_name() noexcept;

  ip_address ip_;
  std::uint16_t port_ = 0;
  net::transport transport_ = net::transport::tcp;
  bool localhost_ = false;
  shared_name name_;
};

} // namespace actnet::net

template <>
struct std::hash<actnet::net::endpoint> {
  std::size_t operator()(const actnet::net::endpoint& where) const noexcept;
};
