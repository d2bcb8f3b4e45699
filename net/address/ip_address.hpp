// An IPv4 or IPv6 address as a value: parsing, printing and the well-known ranges. No ports, no host names.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "actnet/net/address/parse_error.hpp"
#include "actnet/net/result.hpp"

namespace actnet::net {

/// 24 bytes, never allocates. Ordered: IPv4 before IPv6, then by bytes, then by zone.
///
/// An IPv4-mapped address (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2) is IPv6 and not equal to a.b.c.d. The predicates
/// from `is_loopback` on nevertheless answer for the IPv4 address inside, because that is where the kernel sends: a
/// filter that refuses loopback refuses ::ffff:127.0.0.1 too.
class ip_address {
 public:
  /// 0.0.0.0
  constexpr ip_address() noexcept = default;

  static constexpr ip_address v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) noexcept {
    ip_address out;
    out.bytes_ = {a, b, c, d};
    return out;
  }

  /// `bytes` in network order. `scope_id` is the index of an interface (RFC 4007's zone), 0 for none.
  static constexpr ip_address v6(const std::array<std::uint8_t, 16>& bytes, std::uint32_t scope_id = 0) noexcept {
    ip_address out;
    out.kind_ = kind::v6;
    out.bytes_ = bytes;
    out.scope_id_ = scope_id;
    return out;
  }

  static constexpr ip_address any_v4() noexcept { return {}; }
  static constexpr ip_address any_v6() noexcept { return v6({}); }
  static constexpr ip_address loopback_v4() noexcept { return v4(127, 0, 0, 1); }
  static constexpr ip_address loopback_v6() noexcept { return v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}); }

  /// IPv4 as four decimal numbers without leading zeros, IPv6 in every form of RFC 4291 section 2.2, with a zone if
  /// wanted: `fe80::1%eth0`, `fe80::1%2`. A zone of digits is an index, whether or not such an interface exists; any
  /// other is a name, looked up with a system call.
  static result<ip_address, parse_error> parse(std::string_view text);

  /// RFC 5952; an IPv4-mapped address with a dotted tail. A zone is the interface's name (a system call) if the kernel
  /// knows one that parses back to the index, otherwise the index.
  std::string to_string() const;

  constexpr bool is_v4() const noexcept { return kind_ == kind::v4; }
  constexpr bool is_v6() const noexcept { return kind_ == kind::v6; }
  bool is_v4_mapped() const noexcept;

  bool is_loopback() const noexcept;      ///< 127.0.0.0/8, ::1
  bool is_private() const noexcept;       ///< RFC 1918, and fc00::/7 (RFC 4193)
  bool is_link_local() const noexcept;    ///< 169.254.0.0/16 (RFC 3927), fe80::/10
  bool is_multicast() const noexcept;     ///< 224.0.0.0/4, ff00::/8
  bool is_broadcast() const noexcept;     ///< 255.255.255.255 only: a subnet's own needs its mask.
  bool is_documentation() const noexcept; ///< RFC 5737, 2001:db8::/32 (RFC 3849), 3fff::/20 (RFC 9637)
  bool is_unspecified() const noexcept;   ///< 0.0.0.0, ::

  /// The IPv4 address inside an IPv4-mapped one; any other address as it is.
  ip_address unmapped() const noexcept;

  /// 4 or 16 bytes in network order, valid as long as this object.
  constexpr std::span<const std::uint8_t> bytes() const noexcept {
    return std::span{bytes_}.first(is_v4() ? std::size_t{4} : bytes_.size());
  }
  constexpr std::uint32_t scope_id() const noexcept { return scope_id_; }

  friend constexpr bool operator==(const ip_address&, const ip_address&) noexcept = default;
  friend constexpr std::strong_ordering operator<=>(const ip_address&, const ip_address&) noexcept = default;

 private:
  enum class kind : std::uint8_t { v4, v6 };

  // The order of the members is the order of the addresses. IPv4 uses the first four bytes, the others are 0.
  kind kind_ = kind::v4;
  std::array<std::uint8_t, 16> bytes_{};
  std::uint32_t scope_id_ = 0;
};

} // namespace actnet::net

template <>
struct std::hash<actnet::net::ip_address> {
  std::size_t operator()(const actnet::net::ip_address& address) const noexcept;
};
