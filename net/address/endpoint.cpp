#include "actnet/net/address/endpoint.hpp"

#include <array>
#include <cassert>
#include <charconv>

namespace actnet::net {

namespace {

/// sockaddr_un has 108 bytes: for a path and its NUL, or for a NUL and an abstract name (unix(7)).
constexpr std::size_t unix_name_bytes_max = 107;

constexpr std::string_view localhost_name = "localhost";

failure<parse_error> fault(std::size_t position, std::string what) {
  return failure{parse_error{position, std::move(what)}};
}

std::string quoted(std::string_view text) {
  return '"' + printable(text) + '"';
}

result<std::uint16_t, parse_error> parse_port(std::string_view text, std::size_t begin) {
  const auto port = text.substr(begin);
  if (port.empty())
    return fault(begin, "the port is missing");
  const std::size_t stranger = port.find_first_not_of("0123456789");
  if (stranger == 0)
    return fault(begin, "port " + quoted(port) + " is not a number");
  if (stranger != port.npos)
    return fault(begin + stranger, "unexpected " + quoted(port.substr(stranger)) + " after the port");
  if (port.size() > 1 && port.front() == '0')
    return fault(begin, "port " + printable(port) + " has a leading zero");
  std::uint16_t value = 0;
  if (std::from_chars(port.data(), port.data() + port.size(), value).ec != std::errc{})
    return fault(begin, "port " + printable(port) + " is out of range (0 to 65535)");
  return value;
}

struct address_and_port {
  ip_address ip;
  std::uint16_t port;
  bool localhost = false;
};

/// `[IPv6]:PORT`, where text[begin] is the bracket.
result<address_and_port, parse_error> parse_bracketed(std::string_view text, std::size_t begin) {
  const std::size_t close = text.find(']', begin);
  if (close == text.npos)
    return fault(text.size(), "']' is missing");
  const auto ip = ip_address::parse(text.substr(begin + 1, close - begin - 1));
  if (!ip)
    return fault(begin + 1 + ip.error().position, ip.error().what);
  if (ip->is_v4())
    return fault(begin, "only an IPv6 address stands in brackets");
  if (close + 1 == text.size())
    return fault(text.size(), "the port is missing");
  if (text[close + 1] != ':')
    return fault(close + 1, "expected ':' and a port after ']'");
  const auto port = parse_port(text, close + 2);
  if (!port)
    return failure{port.error()};
  return address_and_port{*ip, *port};
}

result<ip_address, parse_error> parse_host(std::string_view host, std::size_t base) {
  if (host.empty())
    return fault(base, "the address before the port is missing");
  if (host == localhost_name)
    return ip_address::loopback_v4();
  const std::size_t stranger = host.find_first_not_of("0123456789.");
  if (stranger != host.npos && host[stranger] != '%')
    return fault(base + stranger, quoted(host) + " is not an IP address, and names are not looked up here");
  const auto ip = ip_address::parse(host);
  if (!ip)
    return fault(base + ip.error().position, ip.error().what);
  return *ip;
}

result<address_and_port, parse_error> parse_address_and_port(std::string_view text, std::size_t begin) {
  if (begin == text.size())
    return fault(begin, "the address is missing");
  if (text[begin] == '[')
    return parse_bracketed(text, begin);
  const std::size_t colon = text.find(':', begin);
  if (colon == text.npos)
    return fault(text.size(), "the port is missing");
  const std::size_t second = text.find(':', colon + 1);
  if (second != text.npos)
    return fault(second, "too many colons; write [::1]:80");
  const auto host = text.substr(begin, colon - begin);
  const auto ip = parse_host(host, begin);
  if (!ip)
    return failure{ip.error()};
  const auto port = parse_port(text, colon + 1);
  if (!port)
    return failure{port.error()};
  return address_and_port{*ip, *port, host == localhost_name};
}

result<endpoint, parse_error> parse_ip(std::string_view text, std::size_t begin, transport kind) {
  const auto parsed = parse_address_and_port(text, begin);
  if (!parsed)
    return failure{parsed.error()};
  if (kind == transport::udp)
    return endpoint::udp(parsed->ip, parsed->port);
  return parsed->localhost ? endpoint::localhost(parsed->port) : endpoint::tcp(parsed->ip, parsed->port);
}

/// What follows `tcp:` or `udp:`, where `begin` is the end of that.
result<endpoint, parse_error> parse_ip_after_scheme(std::string_view text, std::size_t begin, transport kind) {
  if (!text.substr(begin).starts_with("//"))
    return fault(begin, "expected \"//\" after " + quoted(text.substr(0, begin)));
  return parse_ip(text, begin + 2, kind);
}

result<endpoint, parse_error> parse_unix(std::string_view text, std::size_t begin, transport kind) {
  if (text.substr(begin).starts_with("//"))
    begin += 2;
  const auto name = text.substr(begin);
  if (name.empty())
    return fault(begin, "the path is empty");
  const bool is_abstract = name.front() == '@';
  const std::size_t size = name.size() - (is_abstract ? 1 : 0);
  if (size == 0)
    return fault(begin + 1, "the abstract name is empty");
  if (size > unix_name_bytes_max)
    return fault(begin, std::string{is_abstract ? "the abstract name" : "the path"} + " has " + std::to_string(size) +
                            " bytes, and at most " + std::to_string(unix_name_bytes_max) + " are possible");
  return kind == transport::unix_stream ? endpoint::unix_stream(std::string{name})
                                        : endpoint::unix_datagram(std::string{name});
}

} // namespace

std::string_view to_string(transport kind) noexcept {
  switch (kind) {
  case transport::tcp: return "tcp";
  case transport::udp: return "udp";
  case transport::unix_stream: return "unix";
  case transport::unix_datagram: return "unixgram";
  }
  return "unknown";
}

result<endpoint, parse_error> endpoint::parse(std::string_view text, net::transport bare) {
  using enum net::transport;
  assert(bare == tcp || bare == udp);
  if (text.empty())
    return fault(0, "the text is empty");
  const std::size_t nul = text.find('\0');
  if (nul != text.npos)
    return fault(nul, "unexpected NUL byte");
  if (text.starts_with("unix:"))
    return parse_unix(text, 5, unix_stream);
  if (text.starts_with("unixgram:"))
    return parse_unix(text, 9, unix_datagram);
  if (text.starts_with("tcp:"))
    return parse_ip_after_scheme(text, 4, tcp);
  if (text.starts_with("udp:"))
    return parse_ip_after_scheme(text, 4, udp);
  const std::size_t scheme_end = text.find("://");
  if (scheme_end != text.npos)
    return fault(0, "unknown scheme " + quoted(text.substr(0, scheme_end)) + " (known: tcp, udp, unix, unixgram)");
  return parse_ip(text, 0, bare);
}

const std::string& endpoint::no_name() noexcept {
  static const std::string empty;
  return empty;
}

std::string endpoint::to_string() const {
  std::string out;
  if (is_ip()) {
    if (transport_ == net::transport::udp)
      out = "udp://";
    if (localhost_)
      out += localhost_name;
    else
      out += ip_.is_v6() ? '[' + ip_.to_string() + ']' : ip_.to_string();
    out += ':';
    out += std::to_string(port_);
    return out;
  }
  out = net::to_string(transport_);
  // `parse` drops "//" after the colon, so a path that begins with it needs another one.
  out += path().starts_with("//") ? "://" : ":";
  for (const char c : path())
    out += c == '\0' ? '@' : c;
  return out;
}

std::vector<endpoint> endpoint::addresses() const {
  if (!localhost_)
    return {*this};
  return {tcp(ip_address::loopback_v6(), port_), tcp(ip_, port_)};
}

endpoint endpoint::with_port(std::uint16_t port) const {
  endpoint out = *this;
  if (is_ip())
    out.port_ = port;
  return out;
}

endpoint endpoint::with_transport(net::transport kind) const {
  endpoint out = *this;
  out.transport_ = kind;
  out.localhost_ = localhost_ && kind == net::transport::tcp;
  assert(out.is_ip() == is_ip());
  return out;
}

} // namespace actnet::net

std::size_t std::hash<actnet::net::endpoint>::operator()(const actnet::net::endpoint& where) const noexcept {
  const std::array<std::size_t, 3> key{std::hash<actnet::net::ip_address>{}(where.ip()),
                                       std::hash<std::string>{}(where.path()),
                                       std::size_t{where.port()} << 8 | static_cast<std::size_t>(where.transport())};
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(key.data()), sizeof key});
}
