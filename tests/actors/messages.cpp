// Every message of the library crosses CAF's serializer unharmed, so that it can travel to another node.
#include "support/actor_world.hpp"

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/deep_to_string.hpp>

#include <tuple>

using namespace actnet;
using namespace actnet::test;

namespace {

const auto here = *net::endpoint::parse("127.0.0.1:7");
const auto there = *net::endpoint::parse("udp://[::1]:8");
const auto failure = make_error(errc::connection_reset, std::uint64_t{42});
const auto group = *net::ip_address::parse("239.1.2.3");

/// One of each, no field with its default value.
auto samples() {
  const auto payload = net::bytes::copy(std::string("\0bytes\n", 7));
  const socket_options options{{net::no_delay{true}, net::send_buffer{4'711}, net::join_group{group, group}}};
  stream::info info;
  info.state = connection_state::draining;
  info.local = here;
  info.peer = there;
  info.bytes_received = 1, info.bytes_sent = 2, info.reads = 3, info.writes_done = 4, info.writes_failed = 5;
  info.writes_refused = 6, info.queued_bytes = 7, info.credit_outstanding = 8;
  info.reading_paused = info.starved = true;
  info.deadline_in = 9ns;
  info.last_error = failure;
  info.round_trip_time = 10us;
  info.congestion_window = 11, info.retransmits = 12;
  info.credentials = {13, 14, 15};
  datagram::info datagrams;
  datagrams.local = there;
  datagrams.peer = there;
  datagrams.received = 1, datagrams.received_bytes = 2, datagrams.truncated = 3, datagrams.sent = 4;
  datagrams.sent_bytes = 5, datagrams.send_failed = 6, datagrams.receive_errors = 7, datagrams.dropped = 8;
  datagrams.queued_bytes = 9, datagrams.credit_outstanding = 10, datagrams.path_lost = true;
  return std::tuple{stream::write{payload, 1},
                    stream::write_file{"/tmp/x", 1, 2, 3},
                    stream::flush{2},
                    stream::finish{},
                    stream::close{},
                    stream::abort{},
                    stream::pause_reading{},
                    stream::resume_reading{},
                    stream::stop_reading{},
                    stream::read_some{1, 2ns},
                    stream::read_exactly{3, 4ns},
                    stream::read_until{payload, 5, 6ns},
                    stream::read_line{7, 8ns},
                    stream::read_to_end{9, 10ns},
                    stream::read_quiet{11ns, 12, 13ns},
                    stream::peek{14, 15ns},
                    stream::read_frame{16ns},
                    stream::use_codec{net::framing::delimiter("--", 17), true},
                    stream::pulled{payload, failure},
                    stream::set_options{options},
                    stream::set_deadline{3s},
                    stream::set_idle_timeout{4s},
                    stream::set_owner{},
                    stream::get_info{},
                    stream::written{5, 6, failure},
                    stream::finished{failure},
                    info,
                    stream::received{payload},
                    stream::peer_finished{},
                    stream::writable{},
                    stream::closed{close_reason::idle, failure},
                    datagram::send{payload, there, 7},
                    datagram::send_file{"/tmp/x", there, 1, 2, 3},
                    datagram::connect{there},
                    datagram::disconnect{},
                    datagram::join_group{{group, group}},
                    datagram::leave_group{{group, net::interface_index{3}}},
                    datagram::set_options{options},
                    datagram::set_owner{},
                    datagram::pause_reading{},
                    datagram::resume_reading{},
                    datagram::close{},
                    datagram::get_info{},
                    datagram::sent{8, failure},
                    datagrams,
                    datagram::received{payload, there, there, true, true},
                    datagram::writable{},
                    datagram::closed{close_reason::error, failure},
                    listening{here},
                    listen_failed{here, failure},
                    accepted{{}, here, there},
                    pause_accepting{},
                    resume_accepting{9},
                    set_limits{1, 2, 3, 4, 5ms, 6ms},
                    get_listener_info{},
                    listener_info{here, listener_state::stopping, 1, 2, 3, 4, 5, true},
                    connections_alarm{here, 6},
                    stop_listening{},
                    drain{10ms},
                    listener_closed{here, failure},
                    actnet::connect{here, 11ms},
                    cancel_connect{},
                    connected{{}, here, there},
                    connect_failed{here, failure},
                    reconnecting{here, failure, 7ms},
                    bound{{}, there},
                    bind_failed{there, failure}};
}

template <class T>
T there_and_back(caf::actor_system& system, const T& value) {
  std::vector<char> wire;
  caf::binary_serializer sink{system, wire};
  auto message = caf::make_message(value);
  const auto written = sink(message);
  REQUIRE_FALSE(written);
  caf::message back;
  caf::binary_deserializer source{system, wire};
  const auto read = source(back);
  REQUIRE_FALSE(read);
  REQUIRE(back.match_elements<T>());
  return back.get_as<T>(0);
}

} // namespace

TEST_CASE("every message that is announced survives the serializer", "[messages]") {
  actor_world world;
  std::apply(
      [&](const auto&... each) {
        const auto check = [&](const auto& value) {
          const auto text = caf::deep_to_string(value);
          INFO(text);
          CHECK(caf::deep_to_string(there_and_back(world.system(), value)) == text);
        };
        (check(each), ...);
      },
      samples());
}

TEST_CASE("the list of messages above is complete", "[messages]") {
  caf::actor_system_config with, without;
  announce_messages(with);
  std::size_t announced = 0;
  for (const auto& [name, factory] : with.value_factories_by_name)
    announced += name.starts_with("actnet::") ? 1 : 0;
  CHECK(announced == std::tuple_size_v<decltype(samples())> + 2); // and the bytes and endpoints in them
}

TEST_CASE("what travels arrives with every field", "[messages]") {
  actor_world world;
  auto& system = world.system();
  const auto write = there_and_back(system, stream::write{net::bytes::copy(std::string("a\0b", 3)), 9});
  CHECK(write.payload.view() == std::string_view("a\0b", 3));
  CHECK(write.token == 9);
  const auto written = there_and_back(system, stream::written{1, 2, failure});
  CHECK(written.cause == errc::connection_reset);
  CHECK(bytes_of(written.cause) == 42);
  const auto send = there_and_back(system, datagram::send{{}, std::nullopt, 1});
  CHECK_FALSE(send.to);
  CHECK(there_and_back(system, datagram::send{{}, there, 1}).to == there);
  CHECK_FALSE(there_and_back(system, datagram::send{{}, there, 1}).from);
  CHECK(there_and_back(system, datagram::send{{}, there, 1, there.ip()}).from == there.ip());
  const auto options = there_and_back(system, stream::set_options{{{net::no_delay{true}, net::send_buffer{4'711}}}});
  REQUIRE(options.options.list.size() == 2);
  CHECK(std::get<net::no_delay>(options.options.list[0]).on);
  CHECK(std::get<net::send_buffer>(options.options.list[1]).bytes == 4'711);
  CHECK(there_and_back(system, stream::set_deadline{3s}).from_now == 3s);
  CHECK(there_and_back(system, stream::closed{close_reason::idle, {}}).reason == close_reason::idle);
  CHECK(there_and_back(system, drain{10ms}).deadline == 10ms);
  CHECK(there_and_back(system, actnet::connect{here, 11ms}).deadline == 11ms);
  CHECK(there_and_back(system, actnet::connect{here, 0ms}).deadline == 0ms);
  CHECK_FALSE(there_and_back(system, actnet::connect{here}).deadline);
  const auto limits = there_and_back(system, set_limits{.max_connections = 0, .accept_rate = 4'294'967'295});
  CHECK(limits.max_connections == 0u);
  CHECK(limits.accept_rate == 4'294'967'295u);
  CHECK_FALSE(limits.max_per_address);
  CHECK_FALSE(limits.alarm_cooldown);
  const auto others =
      there_and_back(system, set_limits{.alarm_threshold = 7, .alarm_cooldown = 8ms, .handshake_deadline = 0ms});
  CHECK_FALSE(others.max_connections);
  CHECK(others.alarm_threshold == 7u);
  CHECK(others.alarm_cooldown == 8ms);
  CHECK(others.handshake_deadline == 0ms);
  const auto left = there_and_back(system, datagram::leave_group{{group, net::interface_index{3}}});
  CHECK(left.group.group == group);
  CHECK(std::get<net::interface_index>(left.group.interface).value == 3);
}

TEST_CASE("a handle that travels within a process still commands", "[messages]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  connected_pair pair;
  const auto c = world.adopt(pair, owner);
  const auto arrived = there_and_back(world.system(), accepted{c, here, there}).connection;
  CHECK(arrived == c);
  arrived.write("through the copy");
  CHECK(pair.far.read_exactly(16) == "through the copy");
}

TEST_CASE("errors print as phrases, and carry bytes or a sentence", "[messages]") {
  CHECK(to_text(make_error(errc::queue_full)) == to_string(errc::queue_full));
  CHECK(to_text(make_error(errc::invalid_endpoint, std::string{"a sentence"})) == "a sentence");
  CHECK(to_text(caf::error{}) == to_string(errc::none));
  CHECK(bytes_of(make_error(errc::closed, std::uint64_t{7})) == 7);
  CHECK(bytes_of(make_error(errc::closed)) == 0);
  CHECK_FALSE(make_error(errc::none));
  CHECK(make_error(std::make_error_code(std::errc::io_error)) == errc::other);
  actor_world world;
  CHECK(world.system().render(make_error(errc::queue_full)) == to_string(errc::queue_full));
}
