#include "actnet/net/address/ip_address.hpp"

#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "actnet/net/error.hpp"
#include "actnet/net/socket/system_calls.hpp"

namespace actnet::net {

namespace {

constexpr std::string_view decimal_digits = "0123456789";
constexpr std::string_view hex_digits = "0123456789abcdefABCDEF";

failure<parse_error> fault(std::size_t position, std::string what) {
  return failure{parse_error{position, std::move(what)}};
}

std::string quoted(std::string_view text) {
  return '"' + printable(text) + '"';
}

bool has_leading_zero(std::string_view digits) noexcept {
  return digits.size() > 1 && digits.front() == '0';
}

// -- reading; `base` is where the part at hand begins in the whole text -----------------------------------------------

result<std::uint8_t, parse_error> parse_v4_part(std::string_view part, std::size_t base) {
  if (part.empty())
    return fault(base, "a part of the IPv4 address is empty");
  if (has_leading_zero(part))
    return fault(base, "part " + printable(part) + " of the IPv4 address has a leading zero");
  std::uint8_t value = 0;
  if (std::from_chars(part.data(), part.data() + part.size(), value).ec != std::errc{})
    return fault(base, "part " + printable(part) + " of the IPv4 address is out of range (0 to 255)");
  return value;
}

result<std::array<std::uint8_t, 4>, parse_error> parse_v4(std::string_view text, std::size_t base) {
  const std::size_t stranger = text.find_first_not_of("0123456789.");
  if (stranger != text.npos)
    return fault(base + stranger, quoted(text) + " is not an IP address");
  std::array<std::uint8_t, 4> bytes{};
  std::size_t begin = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t end = std::min(text.find('.', begin), text.size());
    const auto value = parse_v4_part(text.substr(begin, end - begin), base + begin);
    if (!value)
      return failure{value.error()};
    bytes[i] = *value;
    if (end == text.size() && i + 1 < bytes.size())
      return fault(base + end, "an IPv4 address has four parts, this one has " + std::to_string(i + 1));
    begin = end + 1;
  }
  if (begin <= text.size())
    return fault(base + begin - 1, "an IPv4 address has only four parts");
  return bytes;
}

/// Collects the groups of an IPv6 address and, at the end, moves those after the `::` to the back.
class v6_groups {
 public:
  std::size_t room() const noexcept { return bytes_.size() - filled_; }
  void add(std::uint8_t byte) noexcept { bytes_[filled_++] = byte; }
  bool has_gap() const noexcept { return gap_ <= filled_; }
  void open_gap() noexcept { gap_ = filled_; }
  std::size_t count() const noexcept { return filled_ / 2; }
  std::array<std::uint8_t, 16> spread() const noexcept {
    auto out = bytes_;
    if (has_gap())
      std::rotate(out.begin() + static_cast<std::ptrdiff_t>(gap_), out.begin() + static_cast<std::ptrdiff_t>(filled_),
                  out.end());
    return out;
  }

 private:
  std::array<std::uint8_t, 16> bytes_{};
  std::size_t filled_ = 0;
  std::size_t gap_ = bytes_.size() + 1;
};

/// Adds one group of hex digits.
result<void, parse_error> parse_v6_group(std::string_view group, std::size_t base, v6_groups& groups) {
  if (group.empty())
    return fault(base, "unexpected ':' in the IPv6 address");
  const std::size_t stranger = group.find_first_not_of(hex_digits);
  if (stranger != group.npos)
    return fault(base + stranger, "unexpected " + quoted(group.substr(stranger, 1)) + " in the IPv6 address");
  if (group.size() > 4)
    return fault(base, "group " + printable(group) + " of the IPv6 address has more than four digits");
  if (groups.room() < 2)
    return fault(base, "an IPv6 address has only eight groups");
  std::uint16_t value = 0;
  std::from_chars(group.data(), group.data() + group.size(), value, 16);
  groups.add(static_cast<std::uint8_t>(value >> 8));
  groups.add(static_cast<std::uint8_t>(value & 0xff));
  return {};
}

/// Adds the two groups of a dotted tail, which must be the last ones (RFC 4291 section 2.2, item 3).
result<void, parse_error> parse_v6_tail(std::string_view tail, std::size_t base, v6_groups& groups) {
  const auto bytes = parse_v4(tail, base);
  if (!bytes)
    return failure{bytes.error()};
  if (groups.room() < bytes->size())
    return fault(base, "an IPv6 address has only eight groups");
  for (const auto byte : *bytes)
    groups.add(byte);
  return {};
}

result<std::array<std::uint8_t, 16>, parse_error> parse_v6(std::string_view text) {
  v6_groups groups;
  std::size_t at = 0;
  if (text.starts_with("::")) {
    groups.open_gap();
    at = 2;
  }
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(':', at), text.size());
    const auto part = text.substr(at, end - at);
    const bool is_tail = end == text.size() && part.find('.') != part.npos;
    const auto added = is_tail ? parse_v6_tail(part, at, groups) : parse_v6_group(part, at, groups);
    if (!added)
      return failure{added.error()};
    at = end + 1;
    if (text.substr(end).starts_with("::")) {
      if (groups.has_gap())
        return fault(end, "\"::\" may stand in an IPv6 address only once");
      groups.open_gap();
      at = end + 2;
    } else if (at == text.size()) {
      return fault(end, "an IPv6 address cannot end in a single ':'");
    }
  }
  if (!groups.has_gap() && groups.room() > 0)
    return fault(text.size(), "an IPv6 address has eight groups, this one has " + std::to_string(groups.count()));
  if (groups.has_gap() && groups.room() == 0)
    return fault(text.find("::"), "\"::\" stands for at least one group, and here are already eight");
  return groups.spread();
}

/// Names that can stand in a text without being taken for an index or for what surrounds them. The kernel allows more.
bool is_zone_name(std::string_view zone) noexcept {
  const auto is_strange = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= ' ' || byte == 0x7f || std::string_view{"/:%[]"}.find(c) != std::string_view::npos;
  };
  return !zone.empty() && zone.size() < IF_NAMESIZE && zone.find_first_not_of(decimal_digits) != zone.npos &&
         std::none_of(zone.begin(), zone.end(), is_strange);
}

result<std::uint32_t, parse_error> parse_zone(std::string_view zone, std::size_t base) {
  if (zone.empty())
    return fault(base, "the zone after '%' is empty");
  if (zone.find_first_not_of(decimal_digits) == zone.npos) {
    std::uint32_t index = 0;
    if (has_leading_zero(zone))
      return fault(base, "zone " + printable(zone) + " has a leading zero");
    if (std::from_chars(zone.data(), zone.data() + zone.size(), index).ec != std::errc{})
      return fault(base, "zone " + printable(zone) + " is out of range (0 to 4294967295)");
    return index;
  }
  if (!is_zone_name(zone))
    return fault(base, "zone " + quoted(zone) + " cannot be the name of a network interface");
  const std::uint32_t index = sys().if_nametoindex(std::string{zone}.c_str());
  if (index != 0)
    return index;
  if (errno == ENODEV)
    return fault(base, "there is no network interface " + quoted(zone));
  return fault(base, "looking up network interface " + quoted(zone) +
                         " failed: " + std::string{to_string(from_errno(errno))});
}

// -- printing ---------------------------------------------------------------------------------------------------------

void append_number(std::string& out, std::uint32_t value, int radix) {
  std::array<char, 10> digits;
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value, radix).ptr);
}

void append_v4(std::string& out, std::span<const std::uint8_t> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0)
      out += '.';
    append_number(out, bytes[i], 10);
  }
}

struct zero_run {
  std::size_t begin = 0;
  std::size_t length = 0;
};

/// The longest run of zero groups, the first of equal ones (RFC 5952 section 4.2.3).
zero_run longest_zero_run(const std::array<std::uint16_t, 8>& groups) noexcept {
  zero_run best;
  zero_run current;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i] != 0) {
      current.length = 0;
      continue;
    }
    if (current.length++ == 0)
      current.begin = i;
    if (current.length > best.length)
      best = current;
  }
  return best;
}

void append_v6(std::string& out, std::span<const std::uint8_t> bytes) {
  std::array<std::uint16_t, 8> groups;
  for (std::size_t i = 0; i < groups.size(); ++i)
    groups[i] = static_cast<std::uint16_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  const zero_run run = longest_zero_run(groups);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (run.length > 1 && i == run.begin) { // A single zero group is never shortened (section 4.2.2).
      out += "::";
      i += run.length - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':')
      out += ':';
    append_number(out, groups[i], 16);
  }
}

void append_zone(std::string& out, std::uint32_t index) {
  out += '%';
  std::array<char, IF_NAMESIZE> name{};
  if (sys().if_indextoname(index, name.data()) != nullptr && is_zone_name(name.data()))
    out += name.data();
  else
    append_number(out, index, 10);
}

} // namespace

result<ip_address, parse_error> ip_address::parse(std::string_view text) {
  if (text.empty())
    return fault(0, "the address is empty");
  const std::size_t percent = text.find('%');
  const auto address = text.substr(0, percent);
  if (address.find(':') == address.npos) {
    const auto bytes = parse_v4(address, 0);
    if (!bytes)
      return failure{bytes.error()};
    if (percent != text.npos)
      return fault(percent, "only an IPv6 address can have a zone");
    return v4((*bytes)[0], (*bytes)[1], (*bytes)[2], (*bytes)[3]);
  }
  const auto bytes = parse_v6(address);
  if (!bytes)
    return failure{bytes.error()};
  if (percent == text.npos)
    return v6(*bytes);
  const auto zone = parse_zone(text.substr(percent + 1), percent + 1);
  if (!zone)
    return failure{zone.error()};
  return v6(*bytes, *zone);
}

std::string ip_address::to_string() const {
  std::string out;
  if (is_v4()) {
    append_v4(out, bytes());
  } else if (is_v4_mapped()) {
    out = "::ffff:";
    append_v4(out, bytes().last(4));
  } else {
    append_v6(out, bytes());
  }
  if (scope_id_ != 0)
    append_zone(out, scope_id_);
  return out;
}

bool ip_address::is_v4_mapped() const noexcept {
  constexpr std::array<std::uint8_t, 12> prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return is_v6() && std::equal(prefix.begin(), prefix.end(), bytes_.begin());
}

ip_address ip_address::unmapped() const noexcept {
  return is_v4_mapped() ? v4(bytes_[12], bytes_[13], bytes_[14], bytes_[15]) : *this;
}

bool ip_address::is_loopback() const noexcept {
  const ip_address a = unmapped();
  return a.is_v4() ? a.bytes_[0] == 127 : a.bytes_ == loopback_v6().bytes_;
}

bool ip_address::is_private() const noexcept {
  const ip_address a = unmapped();
  const auto& b = a.bytes_;
  if (a.is_v6())
    return (b[0] & 0xfe) == 0xfc;
  return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168);
}

bool ip_address::is_link_local() const noexcept {
  const ip_address a = unmapped();
  const auto& b = a.bytes_;
  return a.is_v4() ? b[0] == 169 && b[1] == 254 : b[0] == 0xfe && (b[1] & 0xc0) == 0x80;
}

bool ip_address::is_multicast() const noexcept {
  const ip_address a = unmapped();
  return a.is_v4() ? (a.bytes_[0] & 0xf0) == 0xe0 : a.bytes_[0] == 0xff;
}

bool ip_address::is_broadcast() const noexcept {
  return unmapped() == v4(255, 255, 255, 255);
}

bool ip_address::is_documentation() const noexcept {
  const ip_address a = unmapped();
  const auto& b = a.bytes_;
  if (a.is_v6())
    return (b[0] == 0x20 && b[1] == 0x01 && b[2] == 0x0d && b[3] == 0xb8) ||
           (b[0] == 0x3f && b[1] == 0xff && b[2] < 16);
  return (b[0] == 192 && b[1] == 0 && b[2] == 2) || (b[0] == 198 && b[1] == 51 && b[2] == 100) ||
         (b[0] == 203 && b[1] == 0 && b[2] == 113);
}

bool ip_address::is_unspecified() const noexcept {
  return unmapped().bytes_ == any_v6().bytes_;
}

} // namespace actnet::net

std::size_t std::hash<actnet::net::ip_address>::operator()(const actnet::net::ip_address& address) const noexcept {
  // IPv4 and IPv6 differ in length, so the kind needs no byte of its own.
  std::array<char, 16 + sizeof(std::uint32_t)> key;
  const auto bytes = address.bytes();
  const auto scope_id = address.scope_id();
  std::memcpy(key.data(), bytes.data(), bytes.size());
  std::memcpy(key.data() + bytes.size(), &scope_id, sizeof scope_id);
  return std::hash<std::string_view>{}({key.data(), bytes.size() + sizeof scope_id});
}
