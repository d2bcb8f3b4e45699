// Endpoints to and from sockaddr, by hand and through the kernel.
#include "actnet/net/address/socket_address.hpp"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "actnet/net/error.hpp"
#include "support/catch.hpp"
#include "support/descriptor.hpp"

using namespace actnet::net;
using namespace std::string_literals;
using actnet::test::descriptor;

namespace {

constexpr auto name_offset = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path));

endpoint back(const socket_address& address, transport kind) {
  const auto where = from_socket_address(address.data(), address.size, kind);
  REQUIRE(where);
  return *where;
}

/// What the kernel says a socket is bound to.
endpoint local_endpoint(const descriptor& socket, transport kind) {
  socket_address address;
  address.size = sizeof address.storage;
  REQUIRE(::getsockname(socket.fd(), address.data(), &address.size) == 0);
  return back(address, kind);
}

int bind_errno(const descriptor& socket, const endpoint& where) {
  const auto address = to_socket_address(where);
  return ::bind(socket.fd(), address.data(), address.size) == 0 ? 0 : errno;
}

/// A Unix address as a kernel would give it: these bytes after the family.
sockaddr_un unix_address(std::string_view name) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  std::memcpy(out.sun_path, name.data(), name.size());
  return out;
}

std::string name_from(std::string_view name, socklen_t size) {
  const auto address = unix_address(name);
  const auto where = from_socket_address(reinterpret_cast<const sockaddr*>(&address), size, transport::unix_stream);
  REQUIRE(where);
  return where->path();
}

class temporary_folder {
 public:
  temporary_folder() {
    std::string pattern = std::filesystem::temp_directory_path() / "actnet-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~temporary_folder() { std::filesystem::remove_all(path_); }
  std::string file(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

} // namespace

TEST_CASE("an endpoint becomes the kernel's address, in network order", "[address]") {
  const auto v4 = to_socket_address(endpoint::tcp(ip_address::v4(1, 2, 3, 4), 0x1234));
  sockaddr_in in;
  REQUIRE(v4.size == sizeof in);
  std::memcpy(&in, v4.data(), sizeof in);
  CHECK(in.sin_family == AF_INET);
  CHECK(in.sin_port == htons(0x1234));
  CHECK(in.sin_addr.s_addr == htonl(0x01020304));

  const auto v6 = to_socket_address(endpoint::udp(*ip_address::parse("fe80::1%7"), 0x1234));
  sockaddr_in6 in6;
  REQUIRE(v6.size == sizeof in6);
  std::memcpy(&in6, v6.data(), sizeof in6);
  CHECK(in6.sin6_family == AF_INET6);
  CHECK(in6.sin6_port == htons(0x1234));
  CHECK(in6.sin6_flowinfo == 0);
  CHECK(in6.sin6_addr.s6_addr[0] == 0xfe);
  CHECK(in6.sin6_addr.s6_addr[15] == 1);
  CHECK(in6.sin6_scope_id == 7);
}

TEST_CASE("a Unix name has the length that unix(7) asks for", "[address]") {
  CHECK(to_socket_address(endpoint::unix_stream("")).size == name_offset);
  CHECK(to_socket_address(endpoint::unix_stream("/x")).size == name_offset + 3);
  CHECK(to_socket_address(endpoint::unix_stream("@x")).size == name_offset + 2);
  CHECK(to_socket_address(endpoint::unix_stream("@" + std::string(107, 'x'))).size == sizeof(sockaddr_un));
  CHECK(to_socket_address(endpoint::unix_stream("/" + std::string(106, 'x'))).size == sizeof(sockaddr_un));

  const auto path = to_socket_address(endpoint::unix_stream("/x"));
  CHECK(std::memcmp(path.data()->sa_data, "/x", 3) == 0);
  const auto abstract = to_socket_address(endpoint::unix_stream("@x"));
  CHECK(std::memcmp(abstract.data()->sa_data, "\0x", 2) == 0);
}

TEST_CASE("every endpoint survives the way to a socket address and back", "[address]") {
  const std::string longest(107, 'p');
  for (const auto& where :
       {endpoint::tcp(ip_address::v4(1, 2, 3, 4), 65535), endpoint::udp(ip_address::any_v4(), 0),
        endpoint::tcp(*ip_address::parse("fe80::1:2%7"), 443), endpoint::udp(*ip_address::parse("::ffff:1.2.3.4"), 53),
        endpoint::unix_stream(""), endpoint::unix_stream("/run/x"), endpoint::unix_stream("x"),
        endpoint::unix_stream("@x"), endpoint::unix_stream("@"), endpoint::unix_stream("@a"s + '\0' + "b" + '\0'),
        endpoint::unix_stream(longest), endpoint::unix_stream("@" + longest), endpoint::unix_datagram(""),
        endpoint::unix_datagram("/run/x"), endpoint::unix_datagram("@x")}) {
    INFO(where.to_string());
    CHECK(back(to_socket_address(where), where.transport()) == where);
  }
}

TEST_CASE("a Unix path from the kernel ends at its NUL, at its size or at the end of the field", "[address]") {
  const std::string full(108, 'p');
  CHECK(name_from("/x", name_offset + 3) == "/x");
  CHECK(name_from("/x", name_offset + 2) == "/x");
  CHECK(name_from("/x", sizeof(sockaddr_un)) == "/x");
  CHECK(name_from(full, sizeof(sockaddr_un)) == full);
  CHECK(name_from(full, sizeof(sockaddr_un) + 1) == full);
  CHECK(name_from("\0x"s, name_offset + 2) == "@x");
  CHECK(name_from("\0x"s, name_offset + 4) == "@x\0\0"s);
  CHECK(name_from("", name_offset) == "");
  CHECK(name_from("@x", name_offset + 3) == "./@x");
}

TEST_CASE("the sender of a datagram without a name is unnamed", "[address]") {
  const auto where = from_socket_address(nullptr, 0, transport::unix_datagram);
  REQUIRE(where);
  CHECK(*where == endpoint::unix_datagram(""));
}

TEST_CASE("an address of the wrong family or too few bytes is refused", "[address]") {
  const auto v4 = to_socket_address(endpoint::tcp(ip_address::loopback_v4(), 80));
  const auto v6 = to_socket_address(endpoint::tcp(ip_address::loopback_v6(), 80));
  const auto path = to_socket_address(endpoint::unix_stream("/x"));
  socket_address packet{};
  packet.storage.ss_family = AF_PACKET;
  packet.size = sizeof packet.storage;
  struct row {
    const socket_address& address;
    socklen_t size;
    transport kind;
  };
  const std::vector<row> table{
      {v4, v4.size, transport::unix_stream},
      {v6, v6.size, transport::unix_datagram},
      {path, path.size, transport::tcp},
      {path, path.size, transport::udp},
      {path, 1, transport::unix_stream},
      {v4, v4.size - 1, transport::tcp},
      {v4, sizeof(sa_family_t), transport::tcp},
      {v4, 0, transport::tcp},
      {v6, v6.size - 1, transport::udp},
      {packet, packet.size, transport::udp},
      {packet, packet.size, transport::unix_datagram},
  };
  for (std::size_t i = 0; i < table.size(); ++i) {
    INFO("row " << i);
    const auto where = from_socket_address(table[i].address.data(), table[i].size, table[i].kind);
    REQUIRE_FALSE(where);
    CHECK(where.error() == errc::invalid_endpoint);
  }
}

TEST_CASE("the kernel binds to an IP endpoint and tells the port it chose", "[address]") {
  const descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const auto wanted = endpoint::tcp(ip_address::loopback_v4(), 0);
  REQUIRE(bind_errno(socket, wanted) == 0);
  const auto bound = local_endpoint(socket, transport::tcp);
  CHECK(bound.port() != 0);
  CHECK(bound.with_port(0) == wanted);
}

TEST_CASE("the kernel binds to Unix names and gives them back", "[address]") {
  const temporary_folder folder;
  const std::string full = folder.file(std::string(108 - folder.file("").size(), 'x'));
  REQUIRE(full.size() == 108);
  const std::string unique = "@actnet-test-" + std::to_string(::getpid());
  for (const auto& where :
       {endpoint::unix_stream(folder.file("short")), endpoint::unix_stream(full.substr(0, 107)),
        endpoint::unix_stream(full), endpoint::unix_stream(unique), endpoint::unix_stream(unique + '\0' + "tail"),
        endpoint::unix_stream(unique + std::string(108 - unique.size(), 'x'))}) {
    INFO(where.to_string());
    const descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CHECK(local_endpoint(socket, transport::unix_stream) == endpoint::unix_stream(""));
    CHECK(bind_errno(socket, where) == 0);
    CHECK(local_endpoint(socket, transport::unix_stream) == where);
  }
  CHECK(std::filesystem::is_socket(full.substr(0, 107)));
}

TEST_CASE("the kernel chooses an abstract name for an unnamed socket", "[address]") {
  const descriptor socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  REQUIRE(bind_errno(socket, endpoint::unix_datagram("")) == 0);
  CHECK(local_endpoint(socket, transport::unix_datagram).is_abstract());
}

TEST_CASE("a Unix name that the kernel cannot hold is refused, never shortened", "[address]") {
  const temporary_folder folder;
  const std::string too_long = folder.file(std::string(109 - folder.file("").size(), 'x'));
  const std::string with_nul = folder.file("a"s + '\0' + "b");
  for (const auto& name : {too_long, with_nul, "@" + std::string(108, 'x')}) {
    INFO(printable(name));
    const descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CHECK(bind_errno(socket, endpoint::unix_stream(name)) == EINVAL);
  }
  CHECK_FALSE(std::filesystem::exists(too_long.substr(0, 108)));
  CHECK_FALSE(std::filesystem::exists(folder.file("a")));
}
