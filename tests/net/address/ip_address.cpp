// IP addresses: what parses and what does not (and where the fault is), RFC 5952, zones, and the ranges at their edges.
#include "actnet/net/address/ip_address.hpp"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "actnet/net/socket/system_calls.hpp"
#include "support/catch.hpp"
#include "support/sanitizer.hpp"

using namespace actnet::net;
using namespace std::string_literals;

namespace {

ip_address ip(std::string_view text) {
  const auto parsed = ip_address::parse(text);
  INFO(text);
  REQUIRE(parsed);
  return *parsed;
}

/// A machine with the interfaces that a test gives it, and `lookup_errno` for all other names.
class made_up_interfaces final : public system_calls {
 public:
  std::map<unsigned, std::string> names;
  int lookup_errno = ENODEV;

  unsigned if_nametoindex(const char* name) noexcept override {
    for (const auto& [index, known] : names)
      if (known == name)
        return index;
    errno = lookup_errno;
    return 0;
  }
  char* if_indextoname(unsigned index, char* name) noexcept override {
    const auto found = names.find(index);
    return found == names.end() ? nullptr : std::strcpy(name, found->second.c_str());
  }
};

struct invalid {
  std::string text;
  std::size_t position;
  std::string what;
};

void check_invalid(const std::vector<invalid>& table) {
  for (const auto& row : table) {
    INFO(printable(row.text));
    const auto parsed = ip_address::parse(row.text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().position == row.position);
    CHECK(parsed.error().what == row.what);
  }
}

} // namespace

TEST_CASE("an IPv4 address is four decimal numbers and prints as such", "[address]") {
  CHECK(ip("192.168.0.1") == ip_address::v4(192, 168, 0, 1));
  CHECK(ip("0.0.0.0") == ip_address::any_v4());
  CHECK(ip("127.0.0.1") == ip_address::loopback_v4());
  for (const auto* text : {"0.0.0.0", "1.20.255.100", "255.255.255.255"})
    CHECK(ip(text).to_string() == text);
  CHECK(ip_address::v4(1, 2, 3, 4).is_v4());
  CHECK(ip_address::v4(1, 2, 3, 4).bytes().size() == 4);
  CHECK(ip_address::v4(1, 2, 3, 4).bytes()[3] == 4);
  CHECK(ip_address{} == ip_address::any_v4());
}

TEST_CASE("what is not an IPv4 address says what is wrong and where", "[address]") {
  check_invalid({
      {"", 0, "the address is empty"},
      {"1.2.3", 5, "an IPv4 address has four parts, this one has 3"},
      {"16909060", 0, "part 16909060 of the IPv4 address is out of range (0 to 255)"},
      {"127", 3, "an IPv4 address has four parts, this one has 1"},
      {"1.2.3.4.5", 7, "an IPv4 address has only four parts"},
      {"1.2.3.4.", 7, "an IPv4 address has only four parts"},
      {"1.2.3.", 6, "a part of the IPv4 address is empty"},
      {"1..2.3", 2, "a part of the IPv4 address is empty"},
      {".1.2.3", 0, "a part of the IPv4 address is empty"},
      {"1.2.256.4", 4, "part 256 of the IPv4 address is out of range (0 to 255)"},
      {"1.2.3.99999999999999999999", 6, "part 99999999999999999999 of the IPv4 address is out of range (0 to 255)"},
      {"1.02.3.4", 2, "part 02 of the IPv4 address has a leading zero"},
      {"00.2.3.4", 0, "part 00 of the IPv4 address has a leading zero"},
      {"+1.2.3.4", 0, "\"+1.2.3.4\" is not an IP address"},
      {"1.-2.3.4", 2, "\"1.-2.3.4\" is not an IP address"},
      {" 1.2.3.4", 0, "\" 1.2.3.4\" is not an IP address"},
      {"1.2.3.4\n", 7, "\"1.2.3.4\\x0a\" is not an IP address"},
      {"1.2.3.4"s + '\0', 7, "\"1.2.3.4\\x00\" is not an IP address"},
      {"0x7f.0.0.1", 1, "\"0x7f.0.0.1\" is not an IP address"},
      {"example.com", 0, "\"example.com\" is not an IP address"},
      {"localhost", 0, "\"localhost\" is not an IP address"},
      {"1.2.3.4%lo", 7, "only an IPv6 address can have a zone"},
      {"%lo", 0, "a part of the IPv4 address is empty"},
  });
}

TEST_CASE("an IPv6 address prints as RFC 5952 says, whatever form it was read in", "[address]") {
  const std::vector<std::pair<const char*, const char*>> table{
      // RFC 4291 section 2.2
      {"ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:6789"},
      {"2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"},
      {"FF01:0:0:0:0:0:0:101", "ff01::101"},
      {"0:0:0:0:0:0:0:1", "::1"},
      {"0:0:0:0:0:0:0:0", "::"},
      {"0:0:0:0:0:0:13.1.68.3", "::d01:4403"},
      {"0:0:0:0:0:FFFF:129.144.52.38", "::ffff:129.144.52.38"},
      {"::FFFF:129.144.52.38", "::ffff:129.144.52.38"},
      {"::ffff:8190:3426", "::ffff:129.144.52.38"},
      // RFC 5952 sections 1, 2 and 4
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"2001:db8::1:0:0:1", "2001:db8::1:0:0:1"},
      {"2001:db8::0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"2001:db8:aaaa:bbbb:cccc:dddd:eeee:0001", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"},
      {"2001:db8:0:0:0::1", "2001:db8::1"},
      {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
      {"2001:DB8::AAAA", "2001:db8::aaaa"},
      // edges of "::"
      {"1::", "1::"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"0:0:1:2:3:4:0:0", "::1:2:3:4:0:0"},
      {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
      {"1::1.2.3.4", "1::102:304"},
      {"::1.2.3.4", "::102:304"},
  };
  for (const auto& [text, printed] : table) {
    CHECK(ip(text).to_string() == printed);
    CHECK(ip(printed) == ip(text));
  }
  CHECK(ip("::") == ip_address::any_v6());
  CHECK(ip("::1") == ip_address::loopback_v6());
  CHECK(ip("102::f").bytes()[1] == 2);
  CHECK(ip("102::f").bytes()[15] == 15);
  CHECK(ip("::").bytes().size() == 16);
}

TEST_CASE("what is not an IPv6 address says what is wrong and where", "[address]") {
  check_invalid({
      {":", 0, "unexpected ':' in the IPv6 address"},
      {":1:2:3:4:5:6:7", 0, "unexpected ':' in the IPv6 address"},
      {":::", 2, "unexpected ':' in the IPv6 address"},
      {"1:::2", 3, "unexpected ':' in the IPv6 address"},
      {"1::2::3", 4, "\"::\" may stand in an IPv6 address only once"},
      {"1:2:3:4:5:6:7:", 13, "an IPv6 address cannot end in a single ':'"},
      {"1::2:", 4, "an IPv6 address cannot end in a single ':'"},
      {"1:2:3:4:5:6:7", 13, "an IPv6 address has eight groups, this one has 7"},
      {"1:2:3:4:5:6:7:8:9", 16, "an IPv6 address has only eight groups"},
      {"1:2:3:4:5:6:7:1.2.3.4", 14, "an IPv6 address has only eight groups"},
      {"1:2:3:4:5:6:7::8", 13, "\"::\" stands for at least one group, and here are already eight"},
      {"::1:2:3:4:5:6:7:8", 0, "\"::\" stands for at least one group, and here are already eight"},
      {"::12345", 2, "group 12345 of the IPv6 address has more than four digits"},
      {"::00001", 2, "group 00001 of the IPv6 address has more than four digits"},
      {"::12g4", 4, "unexpected \"g\" in the IPv6 address"},
      {"::+1", 2, "unexpected \"+\" in the IPv6 address"},
      {"::1 ", 3, "unexpected \" \" in the IPv6 address"},
      {"[::1]", 0, "unexpected \"[\" in the IPv6 address"},
      {"::1/64", 3, "unexpected \"/\" in the IPv6 address"},
      {"1.2.3.4::", 1, "unexpected \".\" in the IPv6 address"},
      {"::1.2.3", 7, "an IPv4 address has four parts, this one has 3"},
      {"::ffff:1.2.3.04", 13, "part 04 of the IPv4 address has a leading zero"},
      {"::1"s + '\0', 3, "unexpected \"\\x00\" in the IPv6 address"},
  });
}

TEST_CASE("a zone is an index or the name of an interface, and prints as a name if that reads back", "[address]") {
  made_up_interfaces kernel;
  kernel.names = {{1, "lo"}, {2, "eth0"}, {3, "77"}, {4, "a]b"}, {5, "x%y"}, {6, "abcdefghijklmno"}};
  const replaced_system_calls replaced{kernel};

  CHECK(ip("fe80::1%eth0").scope_id() == 2);
  CHECK(ip("fe80::1%2") == ip("fe80::1%eth0"));
  CHECK(ip("fe80::1%0") == ip("fe80::1"));
  CHECK(ip("fe80::1%4294967295").scope_id() == 4294967295u);
  CHECK(ip("fe80::1%77").scope_id() == 77);
  CHECK(ip("fe80::1%eth0") != ip("fe80::1%lo"));

  const std::vector<std::pair<std::uint32_t, const char*>> printed{
      {0, "fe80::1"},   {1, "fe80::1%lo"}, {2, "fe80::1%eth0"}, {3, "fe80::1%3"},
      {4, "fe80::1%4"}, {5, "fe80::1%5"},  {9, "fe80::1%9"},    {6, "fe80::1%abcdefghijklmno"},
  };
  for (const auto& [index, text] : printed) {
    const auto address = ip_address::v6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, index);
    CHECK(address.to_string() == text);
    CHECK(ip(text) == address);
  }

  check_invalid({
      {"fe80::1%", 8, "the zone after '%' is empty"},
      {"fe80::1%eth9", 8, "there is no network interface \"eth9\""},
      {"fe80::1%4294967296", 8, "zone 4294967296 is out of range (0 to 4294967295)"},
      {"fe80::1%02", 8, "zone 02 has a leading zero"},
      {"fe80::1%a]b", 8, "zone \"a]b\" cannot be the name of a network interface"},
      {"fe80::1%lo%lo", 8, "zone \"lo%lo\" cannot be the name of a network interface"},
      {"fe80::1% lo", 8, "zone \" lo\" cannot be the name of a network interface"},
      {"fe80::1%lo"s + '\0', 8, "zone \"lo\\x00\" cannot be the name of a network interface"},
      {"fe80::1%abcdefghijklmnop", 8, "zone \"abcdefghijklmnop\" cannot be the name of a network interface"},
  });
  kernel.lookup_errno = EMFILE;
  check_invalid({{"fe80::1%eth9", 8, "looking up network interface \"eth9\" failed: too many open files"}});
}

TEST_CASE("the kernel's own interfaces are known by name", "[address]") {
  const unsigned loopback = ::if_nametoindex("lo");
  REQUIRE(loopback != 0);
  CHECK(ip("fe80::1%lo").scope_id() == loopback);
  CHECK(ip("fe80::1%" + std::to_string(loopback)).to_string() == "fe80::1%lo");
  CHECK_FALSE(ip_address::parse("fe80::1%nosuchinterface"));
}

TEST_CASE("each range of addresses begins and ends where its RFC says", "[address]") {
  struct range {
    bool (ip_address::*contains)() const noexcept;
    std::vector<const char*> inside;
    std::vector<const char*> outside;
  };
  const std::vector<range> ranges{
      {&ip_address::is_loopback,
       {"127.0.0.0", "127.255.255.255", "::1", "::ffff:127.0.0.1"},
       {"126.255.255.255", "128.0.0.0", "::", "::2", "1::1", "::127.0.0.1", "::ffff:0.0.0.1"}},
      {&ip_address::is_private,
       {"10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255",
        "fc00::", "fdff:ffff::1", "::ffff:10.1.2.3"},
       {"9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
        "fbff::", "fe00::", "a00::"}},
      {&ip_address::is_link_local,
       {"169.254.0.0", "169.254.255.255", "fe80::", "febf:ffff::1", "fe80::1%1", "::ffff:169.254.1.1"},
       {"169.253.255.255", "169.255.0.0", "fe7f::", "fec0::", "ff80::"}},
      {&ip_address::is_multicast,
       {"224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "::ffff:224.0.0.1"},
       {"223.255.255.255", "240.0.0.0", "feff::", "255.255.255.255"}},
      {&ip_address::is_broadcast,
       {"255.255.255.255", "::ffff:255.255.255.255"},
       {"255.255.255.254", "254.255.255.255", "192.168.0.255", "ffff:ffff::"}},
      {&ip_address::is_documentation,
       {"192.0.2.0", "192.0.2.255", "198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255",
        "2001:db8::", "2001:db8:ffff::1", "3fff::", "3fff:fff:ffff::1", "::ffff:192.0.2.1"},
       {"192.0.1.255", "192.0.3.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
        "2001:db7::", "2001:db9::", "3ffe::", "3fff:1000::"}},
      {&ip_address::is_unspecified,
       {"0.0.0.0", "::", "::ffff:0.0.0.0"},
       {"0.0.0.1", "1.0.0.0", "::1", "1::", "::fffe:0.0.0.0"}},
      {&ip_address::is_v4_mapped,
       {"::ffff:0.0.0.0", "::ffff:255.255.255.255"},
       {"1.2.3.4", "::fffe:1.2.3.4", "::1.2.3.4", "::1:ffff:1.2.3.4", "1::ffff:1.2.3.4"}},
  };
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    INFO("range " << i);
    for (const auto* text : ranges[i].inside) {
      INFO(text);
      CHECK((ip(text).*ranges[i].contains)());
    }
    for (const auto* text : ranges[i].outside) {
      INFO(text);
      CHECK_FALSE((ip(text).*ranges[i].contains)());
    }
  }
}

TEST_CASE("an IPv4-mapped address is IPv6, and gives the IPv4 address inside on request", "[address]") {
  const auto mapped = ip("::ffff:1.2.3.4");
  CHECK(mapped.is_v6());
  CHECK_FALSE(mapped.is_v4());
  CHECK(mapped != ip("1.2.3.4"));
  CHECK(mapped.unmapped() == ip("1.2.3.4"));
  CHECK(ip("1::2").unmapped() == ip("1::2"));
  CHECK(ip("1.2.3.4").unmapped() == ip("1.2.3.4"));
}

TEST_CASE("addresses have one order, and equal ones have one hash", "[address]") {
  const std::vector<ip_address> ascending{ip("0.0.0.0"), ip("1.2.3.4"),   ip("1.2.4.0"),   ip("255.0.0.0"), ip("::"),
                                          ip("::1"),     ip("fe80::1%1"), ip("fe80::1%2"), ip("fe80::2")};
  for (std::size_t i = 0; i < ascending.size(); ++i)
    for (std::size_t j = 0; j < ascending.size(); ++j)
      CHECK((ascending[i] <=> ascending[j]) == (i <=> j));
  std::set<std::size_t> hashes;
  for (const auto& address : ascending)
    hashes.insert(std::hash<ip_address>{}(address));
  CHECK(hashes.size() == ascending.size());
  CHECK(std::hash<ip_address>{}(ip("0:0::1")) == std::hash<ip_address>{}(ip("::1")));
  const std::unordered_set<ip_address> known{ip("::1"), ip("127.0.0.1")};
  CHECK(known.contains(ip_address::loopback_v6()));
  CHECK_FALSE(known.contains(ip("::2")));
}

TEST_CASE("the C library reads the same addresses from 200,000 random texts", "[address]") {
  std::mt19937 random{20240607};
  const auto below = [&](std::size_t bound) { return random() % bound; };
  constexpr std::array<std::string_view, 24> pieces{":",   ":", ":",   ":",   "::",   "::", ".",  ".",
                                                    ".",   ".", "0",   "1",   "2",    "25", "00", "ab",
                                                    "FFF", "f", "255", "256", "ffff", "01", "g",  "10"};
  std::size_t valid = 0;
  for (std::size_t round = 0; round < actnet::test::rounds(200'000); ++round) {
    std::string text;
    if (below(2) == 0)
      for (std::size_t n = below(16); n > 0; --n)
        text += pieces[below(pieces.size())];
    else // mostly right: groups and separators in turn
      for (std::size_t n = 1 + below(8); n > 0; --n) {
        text += pieces[10 + below(14)];
        text += below(4) == 0 ? pieces[4 + below(6)] : pieces[0];
      }
    if (below(2) == 0 && !text.empty())
      text.pop_back();
    std::array<std::uint8_t, 16> expected{};
    const bool is_v4 = text.find(':') == text.npos;
    const bool is_valid = ::inet_pton(is_v4 ? AF_INET : AF_INET6, text.c_str(), expected.data()) == 1;
    const auto parsed = ip_address::parse(text);
    INFO(text);
    REQUIRE(parsed.has_value() == is_valid);
    if (!is_valid) {
      REQUIRE(parsed.error().position <= text.size());
      continue;
    }
    ++valid;
    REQUIRE(std::equal(parsed->bytes().begin(), parsed->bytes().end(), expected.begin()));
    REQUIRE(ip(parsed->to_string()) == *parsed);
  }
  CHECK(valid > actnet::test::rounds(1'000));
}

TEST_CASE("the C library prints the same text for 100,000 random IPv6 addresses", "[address]") {
  std::mt19937 random{5952};
  for (std::size_t round = 0; round < actnet::test::rounds(100'000); ++round) {
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t i = 0; i < 8; ++i)
      if (random() % 2 == 0)
        bytes[2 * i + random() % 2] = static_cast<std::uint8_t>(random());
    // The C library prints the deprecated ::a.b.c.d (RFC 4291 section 2.5.5.1) with dots, RFC 5952 does not ask for it.
    if (std::all_of(bytes.begin(), bytes.begin() + 12, [](auto byte) { return byte == 0; }))
      continue;
    std::array<char, INET6_ADDRSTRLEN> expected;
    REQUIRE(::inet_ntop(AF_INET6, bytes.data(), expected.data(), expected.size()) != nullptr);
    REQUIRE(ip_address::v6(bytes).to_string() == expected.data());
  }
}
