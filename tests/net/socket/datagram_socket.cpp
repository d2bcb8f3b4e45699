#include "actnet/net/socket/datagram_socket.hpp"

#include "actnet/net/error.hpp"
#include "net/socket/loopback.hpp"
#include "support/baseline.hpp"
#include "support/descriptor.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>

using namespace actnet::net;
using namespace actnet::test;

namespace {

std::array<std::byte, 2048> buffer;

received_datagram next(datagram_socket& s) {
  REQUIRE(comes(s, POLLIN));
  auto got = s.receive(buffer);
  REQUIRE(got);
  return std::move(*got);
}

std::string text_of(const received_datagram& datagram) {
  return {reinterpret_cast<const char*>(buffer.data()), datagram.size};
}

datagram_socket udp_on(const ip_address& ip) {
  return datagrams_on(endpoint::udp(ip, 0));
}

} // namespace

TEST_CASE("a datagram arrives whole with both its endpoints", "[datagram]") {
  baseline before;
  for (const auto& ip : loopbacks()) {
    CAPTURE(ip.to_string());
    auto a = udp_on(ip);
    auto b = udp_on(ip);
    const auto to = *b.local_endpoint();
    CHECK(*a.send(as_bytes("hello"), &to) == 5);
    const auto got = next(b);
    CHECK(text_of(got) == "hello");
    CHECK(got.full_size == 5);
    CHECK_FALSE(got.truncated);
    CHECK(got.from == *a.local_endpoint());
    CHECK(got.to == to);
    CHECK(b.receive(buffer).error() == errc::would_block);
  }
}

TEST_CASE("a datagram says to which of our addresses it was sent", "[datagram]") {
  baseline before;
  auto any = udp_on(ip_address::any_v4());
  auto a = udp_on(ip_address::loopback_v4());
  const auto port = any.local_endpoint()->port();
  for (const std::uint8_t last : {std::uint8_t{1}, std::uint8_t{2}}) {
    const auto to = endpoint::udp(ip_address::v4(127, 0, 0, last), port);
    CHECK(a.send(as_bytes("x"), &to));
    CHECK(next(any).to == to);
  }
}

TEST_CASE("an answer comes from the address that was asked", "[datagram]") {
  baseline before;
  for (const auto& ip : loopbacks()) {
    CAPTURE(ip.to_string());
    auto any = udp_on(ip.is_v4() ? ip_address::any_v4() : ip_address::any_v6());
    const auto port = any.local_endpoint()->port();
    std::vector<ip_address> asked{ip_address::v4(127, 0, 0, 1), ip_address::v4(127, 0, 0, 2)};
    if (ip.is_v6())
      asked = {ip, *ip_address::parse("::ffff:127.0.0.2"), *ip_address::parse("::ffff:127.0.0.3")};
    for (const auto& here : asked) {
      CAPTURE(here.to_string());
      auto asker = udp_on(here.is_v4() || here == ip ? ip : ip_address::any_v6());
      const auto to = endpoint::udp(here, port);
      REQUIRE(asker.send(as_bytes("question"), &to));
      const auto question = next(any);
      CHECK(question.to == to);
      CHECK_FALSE(question.to_many);
      const auto from = answer_address(question.to, question.to_many);
      REQUIRE(from == here);
      const outgoing_datagram one{as_bytes("answer"), &question.from, &*from};
      const outgoing_datagram plain{as_bytes("plain"), &question.from};
      const std::array several{one, plain, one};
      CHECK(*any.send(std::span{&one, 1}) == 1);
      CHECK(*any.send(several) == 3);
      CHECK(next(asker).from == to);
      CHECK(next(asker).from == to);
      CHECK(text_of(next(asker)) == "plain");
      CHECK(next(asker).from == to);
    }
  }
}

TEST_CASE("a datagram comes from no address that is not its socket's own", "[datagram]") {
  baseline before;
  auto any = udp_on(ip_address::any_v4());
  auto one = udp_on(ip_address::loopback_v4());
  auto local = datagrams_on(endpoint::unix_datagram(""));
  const auto to = *one.local_endpoint();
  const auto name = *local.local_endpoint();
  const auto outcome = [](datagram_socket& s, const endpoint& whom, const ip_address& from) {
    const outgoing_datagram refused{as_bytes("refused"), &whom, &from};
    const outgoing_datagram taken{as_bytes("taken"), &whom};
    const std::array both{taken, refused};
    CHECK(*s.send(both) == 1);
    return s.send(std::span{&refused, 1}).error();
  };
  CHECK(outcome(any, to, ip_address::v4(192, 0, 2, 1)) == errc::network_unreachable); // as Linux says of IPv4
  CHECK(outcome(any, to, ip_address::loopback_v6()) == errc::invalid_argument);
  CHECK(outcome(one, to, ip_address::v4(127, 0, 0, 2)) == errc::invalid_argument);
  CHECK(outcome(local, name, ip_address::loopback_v4()) == errc::invalid_argument);
  const auto own = ip_address::loopback_v4();
  const outgoing_datagram fine{as_bytes("fine"), &to, &own};
  CHECK(*one.send(std::span{&fine, 1}) == 1);
  const auto unspecified = ip_address::any_v4();
  const outgoing_datagram chosen{as_bytes("chosen"), &to, &unspecified};
  CHECK(*any.send(std::span{&chosen, 1}) == 1);
}

TEST_CASE("what was sent to everybody or to a group is not answered from there", "[datagram]") {
  baseline before;
  const interface_index lo{::if_nametoindex("lo")};
  const auto dual = loopbacks().size() > 1;
  for (const auto& any : {ip_address::any_v4(), ip_address::any_v6()}) {
    if (any.is_v6() && !dual)
      continue;
    auto s = udp_on(any);
    auto asker = udp_on(ip_address::loopback_v4());
    REQUIRE(asker.set(broadcast{}));
    REQUIRE(asker.set(multicast_interface{lo}));
    std::vector<ip_address> many{ip_address::v4(127, 255, 255, 255)};
    if (any.is_v4()) {
      many.push_back(ip_address::v4(239, 255, 77, 9));
      REQUIRE(s.set(join_group{many.back(), lo}));
    }
    for (const auto& ip : many) {
      CAPTURE(ip.to_string());
      const auto to = endpoint::udp(ip, s.local_endpoint()->port());
      REQUIRE(asker.send(as_bytes("anybody?"), &to));
      const auto question = next(s);
      CHECK(question.to.ip().unmapped() == ip);
      CHECK(question.to_many);
      CHECK_FALSE(answer_address(question.to, question.to_many));
    }
  }
}

TEST_CASE("only groups that the socket has joined itself are heard, unless it wants all", "[datagram]") {
  baseline before;
  const interface_index lo{::if_nametoindex("lo")};
  for (const auto& ip : loopbacks()) {
    CAPTURE(ip.to_string());
    const auto group = *ip_address::parse(ip.is_v4() ? "239.255.77.8" : "ff02::4d:8%lo");
    const auto any = ip.is_v4() ? ip_address::any_v4() : ip_address::any_v6();
    auto member = udp_on(any);
    REQUIRE(member.set(join_group{group, lo}));
    auto stranger = udp_on(any);
    const socket_option all = multicast_all{};
    auto curious = datagrams_on(endpoint::udp(any, 0), std::span{&all, 1});
    auto sender = udp_on(ip);
    REQUIRE(sender.set(multicast_interface{lo}));
    const auto send = [&](const ip_address& where, const datagram_socket& to, std::string_view text) {
      const auto there = endpoint::udp(where, to.local_endpoint()->port());
      return sender.send(as_bytes(text), &there);
    };
    const auto sent = send(group, stranger, "group");
    if (ip.is_v6() && !sent && sent.error() == errc::network_unreachable)
      continue; // Few machines have a route for IPv6 groups on the loopback interface.
    REQUIRE(sent);
    REQUIRE(send(ip, stranger, "direct"));
    CHECK(text_of(next(stranger)) == "direct");
    REQUIRE(send(group, curious, "group"));
    CHECK(text_of(next(curious)) == "group");
    CHECK_FALSE(stranger.get<multicast_all>()->on);
    CHECK(curious.get<multicast_all>()->on);
  }
}

TEST_CASE("an empty datagram is a message, not an end", "[datagram]") {
  baseline before;
  auto a = udp_on(ip_address::loopback_v4());
  auto b = udp_on(ip_address::loopback_v4());
  const auto to = *b.local_endpoint();
  CHECK(*a.send({}, &to) == 0);
  CHECK(*a.send(as_bytes("after"), &to) == 5);
  const auto empty = next(b);
  CHECK(empty.size == 0);
  CHECK(empty.full_size == 0);
  CHECK_FALSE(empty.truncated);
  CHECK(empty.from == *a.local_endpoint());
  CHECK(text_of(next(b)) == "after");
}

TEST_CASE("a datagram longer than the buffer is marked and its length is told", "[datagram]") {
  baseline before;
  auto udp = udp_on(ip_address::loopback_v4());
  auto local = datagrams_on(endpoint::unix_datagram(unix_name("truncated")));
  for (auto* s : {&udp, &local}) {
    const auto to = *s->local_endpoint();
    CHECK(s->send(as_bytes("0123456789"), &to));
    CHECK(s->send(as_bytes("next"), &to));
    REQUIRE(comes(*s, POLLIN));
    const auto got = s->receive(std::span{buffer}.first(4));
    REQUIRE(got);
    CHECK(text_of(*got) == "0123");
    CHECK(got->full_size == 10);
    CHECK(got->truncated);
    CHECK(text_of(next(*s)) == "next");
  }
}

TEST_CASE("datagrams that found no room are counted", "[datagram]") {
  baseline before;
  auto a = udp_on(ip_address::loopback_v4());
  const socket_option small = receive_buffer{4'096};
  auto b = datagrams_on(endpoint::udp(ip_address::loopback_v4(), 0), std::span{&small, 1});
  const auto to = *b.local_endpoint();
  const std::vector<std::byte> payload(1'000);
  constexpr std::size_t sent = 100;
  for (std::size_t i = 0; i < sent; ++i)
    REQUIRE(a.send(payload, &to));
  std::size_t received = 0;
  while (b.receive(buffer))
    ++received;
  CHECK(received > 0);
  CHECK(received < sent);
  CHECK(b.dropped() == sent - received);
  CHECK(a.dropped() == 0);
}

TEST_CASE("a connected socket hears that nobody listens", "[datagram]") {
  baseline before;
  for (const auto& ip : loopbacks()) {
    const auto nobody = *udp_on(ip).local_endpoint();
    auto s = udp_on(ip);
    REQUIRE(s.connect(nobody));
    CHECK(*s.send(as_bytes("x"), nullptr) == 1);
    REQUIRE(comes(s, POLLIN));
    CHECK(s.receive(buffer).error() == errc::connection_refused);
    CHECK(s.receive(buffer).error() == errc::would_block);
    CHECK(*s.send(as_bytes("x"), nullptr) == 1);
    CHECK(s.send(as_bytes("x"), nullptr).error() == errc::connection_refused);
  }
}

TEST_CASE("a connected socket has one peer until it is disconnected, and keeps its port", "[datagram]") {
  baseline before;
  for (const auto& ip : loopbacks()) {
    CAPTURE(ip.to_string());
    auto s = datagrams_on(endpoint::udp(ip.is_v4() ? ip_address::any_v4() : ip_address::any_v6(), 0));
    auto friendly = udp_on(ip);
    auto stranger = udp_on(ip);
    const auto bound = *s.local_endpoint();
    const auto here = endpoint::udp(ip, bound.port());
    CHECK(s.peer_endpoint().error() == errc::not_connected);
    CHECK(s.send(as_bytes("x"), nullptr).error() == errc::invalid_argument);

    REQUIRE(s.connect(*friendly.local_endpoint()));
    CHECK(*s.peer_endpoint() == *friendly.local_endpoint());
    CHECK(*s.local_endpoint() == here);
    CHECK(stranger.send(as_bytes("stranger"), &here));
    CHECK(friendly.send(as_bytes("friend"), &here));
    CHECK(text_of(next(s)) == "friend");

    REQUIRE(s.disconnect());
    CHECK(s.peer_endpoint().error() == errc::not_connected);
    CHECK(*s.local_endpoint() == bound);
    CHECK(stranger.send(as_bytes("stranger"), &here));
    const auto got = next(s);
    CHECK(text_of(got) == "stranger");
    CHECK(got.to == here);
    REQUIRE(s.disconnect());
    CHECK(*s.local_endpoint() == bound);
  }
}

TEST_CASE("a message is refused for its size, its endpoint or its address", "[datagram]") {
  baseline before;
  auto s = udp_on(ip_address::loopback_v4());
  const auto here = *s.local_endpoint();
  const std::vector<std::byte> huge(65'508);
  CHECK(s.send(huge, &here).error() == errc::message_too_large);
  const auto tcp = endpoint::tcp(here.ip(), here.port());
  CHECK(s.send(as_bytes("x"), &tcp).error() == errc::invalid_endpoint);
  CHECK(s.connect(tcp).error() == errc::invalid_endpoint);
  const auto v6 = endpoint::udp(ip_address::loopback_v6(), here.port());
  CHECK(s.send(as_bytes("x"), &v6).error() == errc::not_supported);
  const auto everybody = endpoint::udp(ip_address::v4(127, 255, 255, 255), here.port());
  CHECK(s.send(as_bytes("x"), &everybody).error() == errc::permission_denied);
  CHECK(datagram_socket::open(tcp, {}).error() == errc::invalid_endpoint);
  CHECK(datagram_socket::open(here, {}).error() == errc::address_in_use);
}

TEST_CASE("a group member receives what is sent to the group, until it leaves", "[datagram]") {
  baseline before;
  const interface_index lo{::if_nametoindex("lo")};
  for (const auto& ip : loopbacks()) {
    CAPTURE(ip.to_string());
    const auto group = *ip_address::parse(ip.is_v4() ? "239.255.77.2" : "ff02::4d:3%lo");
    auto member = datagrams_on(endpoint::udp(ip.is_v4() ? ip_address::any_v4() : ip_address::any_v6(), 0));
    auto sender = udp_on(ip);
    const auto to = endpoint::udp(group, member.local_endpoint()->port());
    const auto direct = endpoint::udp(ip, to.port());
    REQUIRE(sender.set(multicast_interface{lo}));
    REQUIRE(member.set(join_group{group, lo}));
    const auto sent = sender.send(as_bytes("joined"), &to);
    if (ip.is_v6() && !sent && sent.error() == errc::network_unreachable)
      continue; // Few machines have a route for IPv6 groups on the loopback interface.
    REQUIRE(sent);
    const auto got = next(member);
    CHECK(text_of(got) == "joined");
    CHECK(got.to == to);

    REQUIRE(member.set(leave_group{group, lo}));
    static_cast<void>(sender.send(as_bytes("left"), &to));
    REQUIRE(sender.send(as_bytes("direct"), &direct));
    CHECK(text_of(next(member)) == "direct");
  }
}

TEST_CASE("Unix datagrams carry names, and a sender without one is unnamed", "[datagram]") {
  baseline before;
  const auto where = endpoint::unix_datagram(unix_name("receiver"));
  auto receiver = datagrams_on(where);
  auto named = datagrams_on(endpoint::unix_datagram(""));
  CHECK(named.local_endpoint()->is_abstract());
  CHECK(named.send(as_bytes("named"), &where));
  auto got = next(receiver);
  CHECK(text_of(got) == "named");
  CHECK(got.from == *named.local_endpoint());
  CHECK(got.to == where);

  auto unnamed = datagram_socket::adopt(::socket(AF_UNIX, SOCK_DGRAM, 0));
  REQUIRE(unnamed);
  CHECK(unnamed->send(as_bytes("x"), nullptr).error() == errc::not_connected);
  REQUIRE(unnamed->connect(where));
  CHECK(*unnamed->peer_endpoint() == where);
  CHECK(unnamed->send(as_bytes("unnamed"), nullptr));
  got = next(receiver);
  CHECK(text_of(got) == "unnamed");
  CHECK(got.from == endpoint::unix_datagram(""));
  REQUIRE(unnamed->disconnect());
  CHECK(unnamed->peer_endpoint().error() == errc::not_connected);
}

TEST_CASE("descriptors that a Unix peer sends along are not taken in", "[datagram]") {
  baseline before;
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0);
  descriptor peer{fds[1]};
  auto s = datagram_socket::adopt(fds[0]);
  REQUIRE(s);
  {
    descriptor gift{::open("/dev/null", O_RDONLY)};
    char letter = 'x';
    iovec part{&letter, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* header = CMSG_FIRSTHDR(&message);
    *header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    const int fd = gift.fd();
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    REQUIRE(::sendmsg(peer.fd(), &message, 0) == 1);
  }
  CHECK(text_of(next(*s)) == "x");
}

TEST_CASE("a datagram descriptor is adopted and tells destinations from then on", "[datagram]") {
  baseline before;
  auto adopted = datagram_socket::adopt(::socket(AF_INET, SOCK_DGRAM, 0));
  REQUIRE(adopted);
  CHECK((::fcntl(adopted->fd(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(adopted->fd(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(adopted->receive(buffer).error() == errc::would_block);
  auto other = udp_on(ip_address::loopback_v4());
  const auto there = *other.local_endpoint();
  REQUIRE(adopted->send(as_bytes("x"), &there)); // Gives it a port.
  const auto from = next(other).from;
  REQUIRE(other.send(as_bytes("back"), &from));
  CHECK(next(*adopted).to == from);
}

TEST_CASE("what carries no datagrams is not adopted and stays with the caller", "[datagram]") {
  baseline before;
  const descriptor wrong[] = {
      descriptor{::socket(AF_INET, SOCK_STREAM, 0)}, descriptor{::socket(AF_UNIX, SOCK_SEQPACKET, 0)},
      descriptor{::socket(AF_NETLINK, SOCK_DGRAM, 0)}, descriptor{::open("/dev/null", O_RDONLY)}};
  for (const auto& raw : wrong) {
    CHECK(datagram_socket::adopt(raw.fd()).error() == errc::bad_descriptor);
    CHECK(::fcntl(raw.fd(), F_GETFD) == 0);
  }
  CHECK(datagram_socket::adopt(-1).error() == errc::bad_descriptor);
}
