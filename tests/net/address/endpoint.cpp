// Endpoints: what parses and what does not (and where the fault is), printing, and that the two agree.
#include "actnet/net/address/endpoint.hpp"

#include <array>
#include <random>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "support/catch.hpp"
#include "support/memory.hpp"
#include "support/sanitizer.hpp"

using namespace actnet::net;
using namespace std::string_literals;

namespace {

endpoint parsed(std::string_view text, transport bare = transport::tcp) {
  const auto where = endpoint::parse(text, bare);
  INFO(text);
  REQUIRE(where);
  return *where;
}

const auto v6_with_zone = ip_address::v6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 1);

} // namespace

TEST_CASE("every form of an endpoint is read, and printed in the shortest one", "[address]") {
  struct row {
    std::string text;
    endpoint where;
    std::string printed;
  };
  const std::string longest(107, 'p');
  const auto local = ip_address::loopback_v4();
  const auto local_v6 = ip_address::loopback_v6();
  const std::vector<row> table{
      {"127.0.0.1:9999", endpoint::tcp(local, 9999), "127.0.0.1:9999"},
      {"127.0.0.1:0", endpoint::tcp(local, 0), "127.0.0.1:0"},
      {"127.0.0.1:65535", endpoint::tcp(local, 65535), "127.0.0.1:65535"},
      {"localhost:80", endpoint::localhost(80), "localhost:80"},
      {"[::1]:9999", endpoint::tcp(local_v6, 9999), "[::1]:9999"},
      {"[0:0::1]:9999", endpoint::tcp(local_v6, 9999), "[::1]:9999"},
      {"[fe80::1%lo]:80", endpoint::tcp(v6_with_zone, 80), "[fe80::1%lo]:80"},
      {"[fe80::1%1]:80", endpoint::tcp(v6_with_zone, 80), "[fe80::1%lo]:80"},
      {"[::ffff:127.0.0.1]:80", endpoint::tcp(*ip_address::parse("::ffff:7f00:1"), 80), "[::ffff:127.0.0.1]:80"},
      {"tcp://127.0.0.1:80", endpoint::tcp(local, 80), "127.0.0.1:80"},
      {"tcp://[::1]:80", endpoint::tcp(local_v6, 80), "[::1]:80"},
      {"udp://127.0.0.1:53", endpoint::udp(local, 53), "udp://127.0.0.1:53"},
      {"udp://localhost:53", endpoint::udp(local, 53), "udp://127.0.0.1:53"},
      {"udp://[fe80::1%lo]:53", endpoint::udp(v6_with_zone, 53), "udp://[fe80::1%lo]:53"},
      {"unix:/run/x.sock", endpoint::unix_stream("/run/x.sock"), "unix:/run/x.sock"},
      {"unix:///run/x.sock", endpoint::unix_stream("/run/x.sock"), "unix:/run/x.sock"},
      {"unix:////run/x.sock", endpoint::unix_stream("//run/x.sock"), "unix:////run/x.sock"},
      {"unix://x.sock", endpoint::unix_stream("x.sock"), "unix:x.sock"},
      {"unix:/", endpoint::unix_stream("/"), "unix:/"},
      {"unix:a b:80://c", endpoint::unix_stream("a b:80://c"), "unix:a b:80://c"},
      {"unix:" + longest, endpoint::unix_stream(longest), "unix:" + longest},
      {"unix:@name", endpoint::unix_stream("@name"), "unix:@name"},
      {"unix://@name", endpoint::unix_stream("@name"), "unix:@name"},
      {"unix:@//name", endpoint::unix_stream("@//name"), "unix:@//name"},
      {"unix:@" + longest, endpoint::unix_stream("@" + longest), "unix:@" + longest},
      {"unix:./@name", endpoint::unix_stream("./@name"), "unix:./@name"},
      {"unixgram:/run/log", endpoint::unix_datagram("/run/log"), "unixgram:/run/log"},
      {"unixgram:@log", endpoint::unix_datagram("@log"), "unixgram:@log"},
      {"unixgram:////log", endpoint::unix_datagram("//log"), "unixgram:////log"},
  };
  for (const auto& row : table) {
    INFO(row.text);
    CHECK(parsed(row.text) == row.where);
    CHECK(row.where.to_string() == row.printed);
    CHECK(parsed(row.printed) == row.where);
  }
}

TEST_CASE("an address without a scheme takes the transport that the caller expects", "[address]") {
  CHECK(parsed("1.2.3.4:5", transport::udp) == endpoint::udp(ip_address::v4(1, 2, 3, 4), 5));
  CHECK(parsed("[::1]:5", transport::udp).transport() == transport::udp);
  CHECK(parsed("tcp://1.2.3.4:5", transport::udp).transport() == transport::tcp);
  CHECK(parsed("unix:/x", transport::udp).transport() == transport::unix_stream);
}

TEST_CASE("what is not an endpoint says what is wrong and where", "[address]") {
  struct row {
    std::string text;
    std::size_t position;
    std::string what;
  };
  const std::string no_name = " is not an IP address, and names are not looked up here";
  const std::string schemes = " (known: tcp, udp, unix, unixgram)";
  const std::vector<row> table{
      {"", 0, "the text is empty"},
      // ports
      {"127.0.0.1", 9, "the port is missing"},
      {"127.0.0.1:", 10, "the port is missing"},
      {"localhost", 9, "the port is missing"},
      {"[::1]", 5, "the port is missing"},
      {"[::1]:", 6, "the port is missing"},
      {"127.0.0.1:65536", 10, "port 65536 is out of range (0 to 65535)"},
      {"127.0.0.1:99999", 10, "port 99999 is out of range (0 to 65535)"},
      {"1.2.3.4:18446744073709551696", 8, "port 18446744073709551696 is out of range (0 to 65535)"},
      {"127.0.0.1:http", 10, "port \"http\" is not a number"},
      {"127.0.0.1:+80", 10, "port \"+80\" is not a number"},
      {"127.0.0.1:-1", 10, "port \"-1\" is not a number"},
      {"127.0.0.1: 80", 10, "port \" 80\" is not a number"},
      {"127.0.0.1:080", 10, "port 080 has a leading zero"},
      {"127.0.0.1:80/x", 12, "unexpected \"/x\" after the port"},
      {"127.0.0.1:80\n", 12, "unexpected \"\\x0a\" after the port"},
      {"[::1]:80 ", 8, "unexpected \" \" after the port"},
      {"[::1]80", 5, "expected ':' and a port after ']'"},
      // addresses
      {":80", 0, "the address before the port is missing"},
      {"udp://:80", 6, "the address before the port is missing"},
      {"tcp://", 6, "the address is missing"},
      {"example.com:80", 0, "\"example.com\"" + no_name},
      {"udp://example.com:80", 6, "\"example.com\"" + no_name},
      {"LOCALHOST:80", 0, "\"LOCALHOST\"" + no_name},
      {"1.2.3.4 :80", 7, "\"1.2.3.4 \"" + no_name},
      {"*:80", 0, "\"*\"" + no_name},
      {"1.2.3:80", 5, "an IPv4 address has four parts, this one has 3"},
      {"udp://1.2.3.256:80", 12, "part 256 of the IPv4 address is out of range (0 to 255)"},
      {"1.2.3.4%lo:80", 7, "only an IPv6 address can have a zone"},
      {"::1:80", 1, "too many colons; write [::1]:80"},
      {"::1", 1, "too many colons; write [::1]:80"},
      {"1.2.3.4:80:90", 10, "too many colons; write [::1]:80"},
      {"[::1", 4, "']' is missing"},
      {"[::1:80", 7, "']' is missing"},
      {"[", 1, "']' is missing"},
      {"[]:80", 1, "the address is empty"},
      {"[::g]:80", 3, "unexpected \"g\" in the IPv6 address"},
      {"udp://[::1::]:80", 10, "\"::\" may stand in an IPv6 address only once"},
      {"[1.2.3.4]:80", 0, "only an IPv6 address stands in brackets"},
      {"[localhost]:80", 1, "\"localhost\" is not an IP address"},
      {"[[::1]]:80", 1, "unexpected \"[\" in the IPv6 address"},
      {"[fe80::1%]:80", 9, "the zone after '%' is empty"},
      // schemes
      {"http://1.2.3.4:80", 0, "unknown scheme \"http\"" + schemes},
      {"TCP://1.2.3.4:80", 0, "unknown scheme \"TCP\"" + schemes},
      {"://1.2.3.4:80", 0, "unknown scheme \"\"" + schemes},
      {"tcp:1.2.3.4:80", 4, "expected \"//\" after \"tcp:\""},
      {"udp:/1.2.3.4:80", 4, "expected \"//\" after \"udp:\""},
      {"tcp://udp://1.2.3.4:80", 19, "too many colons; write [::1]:80"},
      // Unix names
      {"unix:", 5, "the path is empty"},
      {"unix://", 7, "the path is empty"},
      {"unixgram:", 9, "the path is empty"},
      {"unix:@", 6, "the abstract name is empty"},
      {"unixgram://@", 12, "the abstract name is empty"},
      {"unix:" + std::string(108, 'p'), 5, "the path has 108 bytes, and at most 107 are possible"},
      {"unix://" + std::string(108, 'p'), 7, "the path has 108 bytes, and at most 107 are possible"},
      {"unix:@" + std::string(108, 'p'), 5, "the abstract name has 108 bytes, and at most 107 are possible"},
      {"unix:/a"s + '\0' + "b", 7, "unexpected NUL byte"},
      {"127.0.0.1:80"s + '\0', 12, "unexpected NUL byte"},
  };
  for (const auto& row : table) {
    INFO(printable(row.text));
    const auto where = endpoint::parse(row.text);
    REQUIRE_FALSE(where);
    CHECK(where.error().position == row.position);
    CHECK(where.error().what == row.what);
  }
}

TEST_CASE("an error of an endpoint makes a line for a person", "[address]") {
  const std::string text = "127.0.0.1:99999";
  const auto where = endpoint::parse(text);
  REQUIRE_FALSE(where);
  CHECK(where.error().message(text) ==
        "endpoint \"127.0.0.1:99999\": port 99999 is out of range (0 to 65535) (at character 11)");
}

TEST_CASE("names that only the kernel brings are printed all the same", "[address]") {
  CHECK(endpoint::unix_stream("").to_string() == "unix:");
  CHECK(endpoint::unix_datagram("").to_string() == "unixgram:");
  CHECK(endpoint::unix_stream("@a"s + '\0' + "b").to_string() == "unix:@a@b");
}

TEST_CASE("an endpoint answers for the parts it has, and neutrally for the others", "[address]") {
  const auto ip = endpoint::udp(ip_address::loopback_v6(), 53);
  CHECK(ip.transport() == transport::udp);
  CHECK(ip.is_ip());
  CHECK(ip.ip() == ip_address::loopback_v6());
  CHECK(ip.port() == 53);
  CHECK(ip.path().empty());
  CHECK_FALSE(ip.is_abstract());

  const auto path = endpoint::unix_datagram("/run/x");
  CHECK(path.transport() == transport::unix_datagram);
  CHECK_FALSE(path.is_ip());
  CHECK(path.ip() == ip_address::any_v4());
  CHECK(path.port() == 0);
  CHECK(path.path() == "/run/x");
  CHECK_FALSE(path.is_abstract());

  const auto abstract = endpoint::unix_stream("@x");
  CHECK(abstract.path() == "@x");
  CHECK(abstract.is_abstract());

  CHECK(endpoint{} == endpoint::tcp(ip_address::any_v4(), 0));
}

TEST_CASE("an endpoint with another port or transport is otherwise the same", "[address]") {
  const auto where = endpoint::tcp(ip_address::loopback_v4(), 0);
  CHECK(where.with_port(7) == endpoint::tcp(ip_address::loopback_v4(), 7));
  CHECK(where.port() == 0);
  CHECK(where.with_transport(transport::udp) == endpoint::udp(ip_address::loopback_v4(), 0));
  const auto path = endpoint::unix_stream("/x");
  CHECK(path.with_port(7) == path);
  CHECK(path.with_transport(transport::unix_datagram) == endpoint::unix_datagram("/x"));
}

TEST_CASE("endpoints differ in transport, address, port and name, and so do their hashes", "[address]") {
  const auto local = ip_address::loopback_v4();
  const std::vector<endpoint> all{endpoint::tcp(local, 1),     endpoint::tcp(local, 2),
                                  endpoint::udp(local, 1),     endpoint::tcp(ip_address::loopback_v6(), 1),
                                  endpoint::unix_stream("/x"), endpoint::unix_stream("/y"),
                                  endpoint::unix_stream("@x"), endpoint::unix_datagram("/x"),
                                  endpoint::unix_stream("")};
  std::set<std::size_t> hashes;
  for (std::size_t i = 0; i < all.size(); ++i) {
    hashes.insert(std::hash<endpoint>{}(all[i]));
    for (std::size_t j = 0; j < all.size(); ++j)
      CHECK((all[i] == all[j]) == (i == j));
  }
  CHECK(hashes.size() == all.size());
  const std::unordered_set<endpoint> known{all.begin(), all.end()};
  CHECK(known.contains(parsed("udp://localhost:1")));
}

TEST_CASE("localhost stands for both loopback addresses over TCP, and is none of them", "[address]") {
  const auto both = parsed("localhost:80");
  CHECK(both.is_localhost());
  CHECK(both.addresses() == std::vector{parsed("[::1]:80"), parsed("127.0.0.1:80")});
  CHECK_FALSE(both == parsed("127.0.0.1:80"));
  CHECK(both.with_port(81) == parsed("tcp://localhost:81"));
  CHECK(both.with_transport(transport::udp) == parsed("udp://127.0.0.1:80"));
  CHECK_FALSE(parsed("127.0.0.1:80").is_localhost());
  CHECK(parsed("unix:/x").addresses() == std::vector{parsed("unix:/x")});
}

TEST_CASE("copies of an IP endpoint take nothing from the heap", "[address]") {
  static_assert(std::is_nothrow_move_constructible_v<endpoint> && std::is_nothrow_move_assignable_v<endpoint>);
  const auto where = endpoint::tcp(v6_with_zone, 443);
  std::array<endpoint, 64> copies;
  const auto before = actnet::test::heap_in_use_bytes();
  for (auto& copy : copies)
    copy = where;
  const auto after = actnet::test::heap_in_use_bytes();
  CHECK(after == before);
  CHECK(copies.back() == where);
}

TEST_CASE("no random text does harm, and what parses prints and parses to the same", "[address]") {
  constexpr std::array<std::string_view, 40> pieces{
      ":",   "::",   "[",      "]",      "[::1]:",    "%",         "%lo",     "@",    "/",  "//",
      "://", "tcp:", "tcp://", "udp://", "unix:",     "unixgram:", ".",       "0",    "1",  "80",
      "255", "256",  "65535",  "65536",  "127.0.0.1", "localhost", "fe80::1", "ffff", "+",  "-",
      " ",   "\n",   "\x7f",   "\xff",   "\xc3",      "\\",        "\"",      "g",    "..", "x"};
  std::mt19937 random{4242};
  std::size_t valid = 0;
  for (std::size_t round = 0; round < actnet::test::rounds(100'000); ++round) {
    std::string text;
    for (auto n = random() % 9; n > 0; --n) {
      text += pieces[random() % pieces.size()];
      if (random() % 200 == 0)
        text += '\0';
    }
    const auto where = endpoint::parse(text, round % 2 == 0 ? transport::tcp : transport::udp);
    INFO(printable(text));
    if (!where) {
      REQUIRE(where.error().position <= text.size());
      REQUIRE_FALSE(where.error().what.empty());
      continue;
    }
    ++valid;
    REQUIRE(parsed(where->to_string()) == *where);
  }
  CHECK(valid > actnet::test::rounds(1'000));
}

TEST_CASE("every endpoint that text can hold survives being printed and parsed", "[address]") {
  std::mt19937 random{777};
  for (std::size_t round = 0; round < actnet::test::rounds(50'000); ++round) {
    const auto port = static_cast<std::uint16_t>(random());
    std::array<std::uint8_t, 16> bytes{};
    for (auto& byte : bytes)
      byte = random() % 2 == 0 ? static_cast<std::uint8_t>(random()) : std::uint8_t{0};
    std::string name = random() % 3 == 0 ? "//" : random() % 3 == 0 ? "@" : "";
    for (auto n = 1 + random() % 100; n > 0; --n)
      name += static_cast<char>(1 + random() % 255);
    name += 'x'; // A lone '@' would be an empty abstract name.
    for (const auto& where : {endpoint::tcp(ip_address::v4(bytes[0], bytes[1], bytes[2], bytes[3]), port),
                              endpoint::udp(ip_address::v6(bytes, static_cast<std::uint32_t>(random() % 3)), port),
                              endpoint::unix_stream(name), endpoint::unix_datagram(name)})
      REQUIRE(parsed(where.to_string()) == where);
  }
}
