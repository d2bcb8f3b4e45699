#include "actnet/net/socket/options.hpp"

#include "actnet/net/error.hpp"
#include "actnet/net/socket/system_calls.hpp"
#include "net/socket/loopback.hpp"
#include "support/baseline.hpp"

#include <net/if.h>

#include <climits>

namespace net = actnet::net; // For names that the C library has too.
using namespace actnet::net;
using namespace actnet::test;
using namespace std::chrono_literals;

namespace {

template <class Option>
void check_round_trip(net::socket& s, const Option& wanted) {
  REQUIRE(s.set(wanted));
  const auto got = s.get<Option>();
  REQUIRE(got);
  CHECK(*got == wanted);
}

template <class Option>
void check_switch(net::socket& s) {
  check_round_trip(s, Option{true});
  check_round_trip(s, Option{false});
}

template <class Option>
void check_not_for(net::socket& s, const Option& option = {}) {
  CHECK(s.set(option).error() == errc::not_supported);
  CHECK(s.get<Option>().error() == errc::not_supported);
}

void check_refused(net::socket& s, const socket_option& option) {
  CAPTURE(option.index());
  const auto done = s.set(option);
  REQUIRE_FALSE(done);
  CHECK(done.error() == errc::invalid_argument);
}

ip_address group_for(const ip_address& ip) {
  return *ip_address::parse(ip.is_v4() ? "239.255.77.1" : "ff02::4d:1");
}

/// Counts the descriptors that are closed, and those for which close(2) may wait.
struct watched_closes final : system_calls {
  int close(int fd) noexcept override {
    ::linger asked{};
    socklen_t size = sizeof asked;
    if (::getsockopt(fd, SOL_SOCKET, SO_LINGER, &asked, &size) == 0 && asked.l_onoff != 0 && asked.l_linger > 0)
      ++waiting;
    ++all;
    return system_calls::close(fd);
  }

  int all = 0;
  int waiting = 0;
};

} // namespace

TEST_CASE("every TCP option is set and read back", "[options]") {
  baseline before;
  for (const auto& ip : loopbacks()) {
    CAPTURE(ip.to_string());
    auto [s, server] = tcp_connection(ip);
    check_switch<no_delay>(s);
    check_switch<reuse_address>(s);
    check_switch<reuse_port>(s);
    check_round_trip(s, keep_alive{true, 40s, 7s, 3});
    check_round_trip(s, net::linger{5s});
    check_round_trip(s, net::linger{0s});
    check_round_trip(s, net::linger{});
    check_round_trip(s, user_timeout{1234ms});
    check_round_trip(s, time_to_live{33});
    check_round_trip(s, type_of_service{0x28});
  }
}

TEST_CASE("keep_alive leaves the parts that are 0 as they are", "[options]") {
  baseline before;
  auto [s, server] = tcp_connection();
  REQUIRE(s.set(keep_alive{true, 40s, 7s, 3}));
  REQUIRE(s.set(keep_alive{false, 0s, 9s, 0}));
  CHECK(*s.get<keep_alive>() == keep_alive{false, 40s, 9s, 3});
}

TEST_CASE("every UDP option is set and read back", "[options]") {
  baseline before;
  for (const auto& ip : loopbacks()) {
    CAPTURE(ip.to_string());
    auto s = datagrams_on(endpoint::udp(ip, 0));
    check_switch<broadcast>(s);
    check_switch<multicast_loop>(s);
    check_switch<multicast_all>(s);
    check_switch<reuse_address>(s);
    check_round_trip(s, multicast_time_to_live{0});
    check_round_trip(s, multicast_time_to_live{255});
    check_round_trip(s, time_to_live{255});
    check_round_trip(s, type_of_service{0xff});
  }
}

TEST_CASE("an IPv6 socket uses its hop limit and type of service for IPv4 traffic too", "[options]") {
  baseline before;
  if (loopbacks().size() < 2)
    return;
  auto s = datagrams_on(endpoint::udp(ip_address::loopback_v6(), 0));
  REQUIRE(s.set(time_to_live{21}));
  REQUIRE(s.set(type_of_service{0x48}));
  const socket_view as_v4{s.fd(), transport::udp, AF_INET};
  time_to_live hops;
  type_of_service service;
  REQUIRE(read_option(as_v4, hops));
  REQUIRE(read_option(as_v4, service));
  CHECK(hops.hops == 21);
  CHECK(service.value == 0x48);
}

TEST_CASE("buffer sizes read back as what Linux uses, twice what was asked", "[options]") {
  baseline before;
  auto [tcp, server] = tcp_connection();
  REQUIRE(tcp.set(send_buffer{10'000}));
  REQUIRE(tcp.set(receive_buffer{12'000}));
  CHECK(tcp.get<send_buffer>()->bytes == 20'000);
  CHECK(tcp.get<receive_buffer>()->bytes == 24'000);

  auto local = stream_socket::pair();
  REQUIRE(local);
  REQUIRE(local->first.set(send_buffer{10'000}));
  CHECK(local->first.get<send_buffer>()->bytes == 20'000);
}

TEST_CASE("v6_only is for IPv6, and only before bind", "[options]") {
  baseline before;
  if (loopbacks().size() < 2)
    return;
  for (const bool on : {true, false}) {
    const socket_option option = v6_only{on};
    auto s = datagrams_on(endpoint::udp(ip_address::any_v6(), 0), std::span{&option, 1});
    CHECK(s.get<v6_only>()->on == on);
    check_refused(s, v6_only{!on});
  }
}

TEST_CASE("an option of another kind of socket is not supported, never ignored", "[options]") {
  baseline before;
  auto [tcp, server] = tcp_connection();
  auto udp = datagrams_on(endpoint::udp(ip_address::loopback_v4(), 0));
  auto local = stream_socket::pair();
  REQUIRE(local);
  const join_group join{group_for(ip_address::loopback_v4()), {}};

  check_not_for<broadcast>(tcp);
  check_not_for<multicast_loop>(tcp);
  check_not_for<multicast_all>(tcp);
  check_not_for<multicast_time_to_live>(tcp);
  CHECK(tcp.set(multicast_interface{}).error() == errc::not_supported);
  CHECK(tcp.get<multicast_interface>().error() == errc::not_supported);
  CHECK(tcp.set(join).error() == errc::not_supported);
  check_not_for<v6_only>(tcp);

  check_not_for<no_delay>(udp);
  check_not_for<keep_alive>(udp);
  check_not_for<net::linger>(udp);
  check_not_for<user_timeout>(udp);
  check_not_for<v6_only>(udp);

  auto& stream = local->first;
  check_not_for<no_delay>(stream);
  check_not_for<keep_alive>(stream);
  check_not_for<net::linger>(stream);
  check_not_for(stream, receive_buffer{10'000});
  check_not_for<time_to_live>(stream);
  check_not_for<v6_only>(stream);
  check_not_for<reuse_address>(stream);
  check_not_for<reuse_port>(stream);
  check_not_for<broadcast>(stream);
  check_not_for<user_timeout>(stream);
  check_not_for<type_of_service>(stream);
  check_not_for<multicast_time_to_live>(stream);
  check_not_for<multicast_loop>(stream);
  CHECK(stream.set(join).error() == errc::not_supported);
  CHECK(stream.set(leave_group{join.group, {}}).error() == errc::not_supported);
}

TEST_CASE("a value out of range is an invalid argument, never cut to size", "[options]") {
  baseline before;
  for (const auto& ip : loopbacks()) {
    CAPTURE(ip.to_string());
    auto [tcp, server] = tcp_connection(ip);
    check_refused(tcp, keep_alive{true, -1s, 0s, 0});
    check_refused(tcp, keep_alive{true, 32'768s, 0s, 0});
    check_refused(tcp, keep_alive{true, std::chrono::seconds::max(), 0s, 0});
    check_refused(tcp, keep_alive{true, 0s, 0s, 128});
    check_refused(tcp, net::linger{-1s});
    check_refused(tcp, net::linger{std::chrono::seconds::max()});
    check_refused(tcp, send_buffer{0});
    check_refused(tcp, send_buffer{std::size_t{INT_MAX} + 1});
    check_refused(tcp, receive_buffer{0});
    check_refused(tcp, time_to_live{0});
    check_refused(tcp, time_to_live{256});
    check_refused(tcp, type_of_service{3});
    check_refused(tcp, type_of_service{-1});
    check_refused(tcp, user_timeout{-1ms});
    check_refused(tcp, user_timeout{std::chrono::milliseconds::max()});
    auto udp = datagrams_on(endpoint::udp(ip, 0));
    check_refused(udp, multicast_time_to_live{256});
    check_refused(udp, multicast_time_to_live{-1});
    check_refused(udp, type_of_service{256});
  }
}

TEST_CASE("the interface for multicast is named by index or address", "[options]") {
  baseline before;
  const interface_index lo{::if_nametoindex("lo")};
  auto v4 = datagrams_on(endpoint::udp(ip_address::loopback_v4(), 0));
  REQUIRE(v4.set(multicast_interface{ip_address::loopback_v4()}));
  CHECK(v4.get<multicast_interface>()->interface == interface_choice{ip_address::loopback_v4()});
  REQUIRE(v4.set(multicast_interface{lo}));
  CHECK(v4.get<multicast_interface>()->interface == interface_choice{});
  check_refused(v4, multicast_interface{interface_index{0}});
  check_refused(v4, multicast_interface{ip_address::loopback_v6()});
  CHECK(v4.set(multicast_interface{interface_index{INT_MAX}}).error() == errc::address_unavailable);
  REQUIRE(v4.set(multicast_interface{}));

  if (loopbacks().size() < 2)
    return;
  auto v6 = datagrams_on(endpoint::udp(ip_address::loopback_v6(), 0));
  REQUIRE(v6.set(multicast_interface{lo}));
  CHECK(v6.get<multicast_interface>()->interface == interface_choice{lo});
  REQUIRE(v6.set(multicast_interface{}));
  CHECK(v6.get<multicast_interface>()->interface == interface_choice{});
  check_refused(v6, multicast_interface{ip_address::loopback_v6()});
  CHECK(v6.set(multicast_interface{interface_index{INT_MAX}}).error() == errc::address_unavailable);
}

TEST_CASE("joining twice, leaving without joining and groups that are none are errors", "[options]") {
  baseline before;
  const interface_index lo{::if_nametoindex("lo")};
  for (const auto& ip : loopbacks()) {
    CAPTURE(ip.to_string());
    const auto group = group_for(ip);
    auto s = datagrams_on(endpoint::udp(ip, 0));
    CHECK(s.set(leave_group{group, lo}).error() == errc::address_unavailable);
    REQUIRE(s.set(join_group{group, lo}));
    CHECK(s.set(join_group{group, lo}).error() == errc::address_in_use);
    REQUIRE(s.set(leave_group{group, lo}));
    CHECK(s.set(leave_group{group, lo}).error() == errc::address_unavailable);
    CHECK(s.set(join_group{group, interface_index{INT_MAX}}).error() == errc::address_unavailable);
    check_refused(s, join_group{ip, lo});
    check_refused(s, join_group{group_for(ip.is_v4() ? ip_address::loopback_v6() : ip_address::loopback_v4()), lo});
    check_refused(s, join_group{group, interface_index{0}});
  }
}

TEST_CASE("the zone of an IPv6 group names the interface when nothing else does", "[options]") {
  baseline before;
  if (loopbacks().size() < 2)
    return;
  const interface_index lo{::if_nametoindex("lo")};
  auto s = datagrams_on(endpoint::udp(ip_address::loopback_v6(), 0));
  REQUIRE(s.set(join_group{*ip_address::parse("ff02::4d:2%lo"), {}}));
  CHECK(s.set(leave_group{*ip_address::parse("ff02::4d:2"), lo}));
}

TEST_CASE("no close waits for a peer, whoever asked the socket to linger") {
  const baseline before;
  watched_closes calls;
  {
    const replaced_system_calls replaced{calls};
    auto listener = listener_socket::open(*endpoint::parse("127.0.0.1:0"), {});
    REQUIRE(listener);
    REQUIRE(listener->set(net::linger{5s}));
    auto begun =
        stream_socket::begin_connect(*listener->local_endpoint(), {}, std::array<socket_option, 1>{net::linger{5s}});
    REQUIRE(begun);
    auto accepted = listener->accept(); // and inherited it
    REQUIRE(accepted);
    CHECK(accepted->socket.get<net::linger>()->time == 5s);
    auto adopted = stream_socket::adopt(accepted->socket.release());
    REQUIRE(adopted);
    const auto moved = std::move(*adopted);
    auto again = stream_socket::begin_connect(*listener->local_endpoint(), {}, {});
    REQUIRE(again);
    const auto inherited = listener->accept();
    REQUIRE(inherited);
  }
  CHECK(calls.all == 5);
  CHECK(calls.waiting == 0);
}
