#include "actnet/net/address/socket_address.hpp"

#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "actnet/net/error.hpp"

namespace actnet::net {

namespace {

constexpr std::size_t unix_name_offset = offsetof(sockaddr_un, sun_path);
constexpr std::size_t unix_name_bytes_max = sizeof(sockaddr_un::sun_path);

template <class Address>
void store(socket_address& out, const Address& address) noexcept {
  std::memcpy(&out.storage, &address, sizeof address);
  out.size = sizeof address;
}

void store_v4(socket_address& out, const endpoint& where) noexcept {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(where.port());
  std::memcpy(&address.sin_addr, where.ip().bytes().data(), sizeof address.sin_addr);
  store(out, address);
}

void store_v6(socket_address& out, const endpoint& where) noexcept {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(where.port());
  std::memcpy(&address.sin6_addr, where.ip().bytes().data(), sizeof address.sin6_addr);
  address.sin6_scope_id = where.ip().scope_id();
  store(out, address);
}

void store_unix(socket_address& out, const endpoint& where) noexcept {
  const std::string& name = where.path();
  const sa_family_t family = AF_UNIX;
  char* const begin = reinterpret_cast<char*>(&out.storage);
  std::memcpy(begin, &family, sizeof family);
  const bool has_stray_nul = !where.is_abstract() && name.find('\0') != name.npos;
  if (name.size() > unix_name_bytes_max || has_stray_nul) {
    std::memset(begin + unix_name_offset, 0, sizeof(sockaddr_storage) - unix_name_offset);
    out.size = sizeof(sockaddr_un) + 1; // The kernel compares this with sizeof(sockaddr_un) before anything else.
    return;
  }
  char* const path = begin + unix_name_offset;
  std::memcpy(path, name.data(), name.size());
  std::size_t size = name.size();
  if (where.is_abstract())
    path[0] = '\0';
  else if (size > 0 && size < unix_name_bytes_max) // A path that fills the field has no NUL (unix(7), BUGS).
    path[size++] = '\0';
  out.size = static_cast<socklen_t>(unix_name_offset + size);
}

endpoint ip_endpoint(const ip_address& ip, in_port_t port, transport kind) noexcept {
  return kind == transport::udp ? endpoint::udp(ip, ntohs(port)) : endpoint::tcp(ip, ntohs(port));
}

template <class Address>
result<Address> load(const sockaddr* address, socklen_t size) noexcept {
  Address out;
  if (size < sizeof out)
    return failure{make_error_code(errc::invalid_endpoint)};
  std::memcpy(&out, address, sizeof out);
  return out;
}

result<endpoint> load_v4(const sockaddr* address, socklen_t size, transport kind) noexcept {
  const auto in = load<sockaddr_in>(address, size);
  if (!in)
    return failure{in.error()};
  std::array<std::uint8_t, 4> bytes;
  std::memcpy(bytes.data(), &in->sin_addr, bytes.size());
  return ip_endpoint(ip_address::v4(bytes[0], bytes[1], bytes[2], bytes[3]), in->sin_port, kind);
}

result<endpoint> load_v6(const sockaddr* address, socklen_t size, transport kind) noexcept {
  const auto in = load<sockaddr_in6>(address, size);
  if (!in)
    return failure{in.error()};
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &in->sin6_addr, bytes.size());
  return ip_endpoint(ip_address::v6(bytes, in->sin6_scope_id), in->sin6_port, kind);
}

/// The name in the form that `endpoint` takes. `size` counts from the beginning of the address and may be larger than
/// sockaddr_un by one: the kernel counts a NUL for which there was no room.
std::string load_unix_name(const sockaddr* address, socklen_t size) {
  const char* const path = reinterpret_cast<const char*>(address) + unix_name_offset;
  const std::size_t room = std::min(size - unix_name_offset, unix_name_bytes_max);
  if (room == 0)
    return {};
  if (path[0] == '\0')
    return '@' + std::string{path + 1, room - 1};
  const std::string name{path, ::strnlen(path, room)};
  return name.starts_with('@') ? "./" + name : name;
}

} // namespace

socket_address to_socket_address(const endpoint& where) noexcept {
  socket_address out;
  if (!where.is_ip())
    store_unix(out, where);
  else if (where.ip().is_v4())
    store_v4(out, where);
  else
    store_v6(out, where);
  return out;
}

result<endpoint> from_socket_address(const sockaddr* address, socklen_t size, transport kind) {
  const bool is_unix = kind == transport::unix_stream || kind == transport::unix_datagram;
  sa_family_t family = AF_UNSPEC;
  if (size >= sizeof family)
    std::memcpy(&family, address, sizeof family);
  if (!is_unix && family == AF_INET)
    return load_v4(address, size, kind);
  if (!is_unix && family == AF_INET6)
    return load_v6(address, size, kind);
  if (!is_unix || (size > 0 && family != AF_UNIX))
    return failure{make_error_code(errc::invalid_endpoint)};
  std::string name = size == 0 ? std::string{} : load_unix_name(address, size);
  return kind == transport::unix_stream ? endpoint::unix_stream(std::move(name))
                                        : endpoint::unix_datagram(std::move(name));
}

} // namespace actnet::net
