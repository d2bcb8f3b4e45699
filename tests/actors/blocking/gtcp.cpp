// gtcp's conveniences for threads: the reads, retries that repeat nothing, deadlines, packages byte for byte, servers,
// one-shots, and gudp.
#include "support/actor_world.hpp"
#include "support/memory.hpp"
#include "support/position_stream.hpp"
#include "support/process.hpp"

#include "actnet/actors/blocking/gudp.hpp"

#include <atomic>
#include <thread>

using namespace actnet;
using namespace actnet::test;
using namespace actnet::blocking;
using namespace std::string_literals;
using gtcp::pkg_option;
using gtcp::retry;

namespace {

/// A connection, and whoever is at the other end.
struct with_peer {
  explicit with_peer(actor_world& world, carrier over = each_carrier()) : said(over) {
    listening_peer listener{over};
    near = gtcp::conn::connect(world.system(), listener.address()).get();
    far.emplace(listener.accept());
  }

  said_carrier said;
  gtcp::conn near;
  std::optional<peer> far;
};

std::string text_of(const result<net::bytes>& got) {
  return got ? std::string{got->view()} : "error: " + to_text(got.error());
}

std::string part_of(const result<net::bytes>& got) {
  return got ? "no error" : std::string{partial_of(got.error()).view()};
}

constexpr auto long_ago = net::time_point{};

} // namespace

TEST_CASE("recv takes exactly so many bytes, all until it is quiet, or what is there") {
  actor_world world;
  with_peer both{world};
  CHECK(text_of(both.near.recv(0)) == "");
  both.far->send_all("abcdefg");
  CHECK(text_of(both.near.recv(3)) == "abc");
  CHECK(text_of(both.near.recv(0)) == "defg");
  both.near.set_recv_buffer_wait(20ms);
  std::thread slow{[&] {
    both.far->send_all("one");
    both.far->send_all("two");
  }};
  std::string got;
  while (got.size() < 6)
    got += text_of(both.near.recv(-1));
  slow.join();
  CHECK(got == "onetwo");
  both.far->send_all("end");
  both.far->finish();
  const auto cut = both.near.recv(5);
  CHECK(code_of(cut) == errc::end_of_stream);
  CHECK(part_of(cut) == "end");
  for (const int length : {-1, 0, 1}) {
    const auto after = both.near.recv(length);
    CHECK(code_of(after) == errc::end_of_stream);
    CHECK(part_of(after) == "");
  }
}

TEST_CASE("recv until it is quiet brings what came before the end with the error") {
  actor_world world;
  with_peer both{world};
  both.near.set_recv_buffer_wait(1h);
  both.far->send_all("all of it");
  both.far->finish();
  const auto got = both.near.recv(-1);
  CHECK(code_of(got) == errc::end_of_stream);
  CHECK(part_of(got) == "all of it");
}

TEST_CASE("recv_line leaves out the line feed only, recv_till finds the delimiter byte for byte") {
  actor_world world;
  with_peer both{world};
  both.far->send_all("first\r\n\nhello END hello End more");
  CHECK(text_of(both.near.recv_line()) == "first\r");
  CHECK(text_of(both.near.recv_line()) == "");
  CHECK(text_of(both.near.recv_till("End")) == "hello END hello End");
  CHECK(code_of(both.near.recv_till("")) == errc::invalid_argument);
  CHECK(code_of(both.near.recv_line({}, 3)) == errc::too_long);
  both.far->finish();
  const auto cut = both.near.recv_line();
  CHECK(code_of(cut) == errc::end_of_stream);
  CHECK(part_of(cut) == " more");
}

TEST_CASE("a timeout is of its call only, and leaves the bytes and the deadline of the connection") {
  actor_world world;
  with_peer both{world};
  both.far->send_all("ab");
  both.near.set_deadline(long_ago);
  CHECK(code_of(both.near.recv_with_timeout(3, 5ms)) == errc::timed_out);
  CHECK(code_of(both.near.recv(3)) == errc::timed_out);
  CHECK(both.near.send_with_timeout("x", 1h).has_value());
  std::thread later{[&] {
    (void)both.far->read_exactly(1);
    both.far->send_all("c");
  }};
  CHECK(text_of(both.near.recv_with_timeout(3, 1h)) == "abc");
  later.join();
  CHECK(code_of(both.near.recv(1)) == errc::timed_out);
  CHECK(code_of(both.near.send_recv_with_timeout("question", 1, 5ms)) == errc::timed_out);
  CHECK(code_of(both.near.send_recv("question", 1)) == errc::timed_out);
  CHECK(both.far->read_exactly(16) == "questionquestion");
  both.near.reset_deadline();
  both.near.set_recv_deadline(long_ago);
  CHECK(code_of(both.near.recv(-1)) == errc::timed_out);
  const auto much = std::string(30'000'000, 'x');
  both.near.set_send_deadline(long_ago);
  const auto part = both.near.send(much);
  CHECK(code_of(part) == errc::timed_out);
  CHECK(bytes_of(part.error()) < much.size());
}

TEST_CASE("a send that is retried resumes where it was: no byte is lost, none is sent twice") {
  actor_world world;
  with_peer both{world};
  constexpr std::size_t size = 20'000'000;
  position_checker check{3};
  std::thread reader{[&] {
    while (check.offset() < size)
      check.feed(both.far->read_some(100'000));
  }};
  const auto data = position_stream{3}.bytes(size);
  const auto done = both.near.send_with_timeout(net::bytes::copy(data.data(), data.size()), 0ms, retry{1'000'000, 0ms});
  CHECK(done.has_value());
  CHECK((done && *done == size));
  reader.join();
  CHECK_FALSE(check.first_difference());
  both.far->send_all("next"); // and nothing more came
  CHECK(text_of(both.near.recv(4)) == "next");
  CHECK(both.far->unread() == 0);
}

TEST_CASE("a receive that is retried waits again; one at the end of the stream or on a closed connection does not") {
  actor_world world;
  with_peer both{world};
  both.far->send_all("ab");
  CHECK(code_of(both.near.recv_with_timeout(4, 0ms, retry{3, 0ms})) == errc::timed_out);
  std::thread later{[&] {
    (void)both.far->read_exactly(1);
    both.far->send_all("cd");
  }};
  (void)both.near.send("x");
  CHECK(text_of(both.near.recv_with_timeout(4, 1ms, retry{1'000'000, 0ms})) == "abcd");
  later.join();
  both.far->finish();
  CHECK(code_of(both.near.recv(1, retry{3, 1h})) == errc::end_of_stream);
  CHECK(code_of(both.near.recv_line(retry{3, 1h})) == errc::end_of_stream);
  CHECK(both.near.close().has_value());
  CHECK(code_of(both.near.recv(1, retry{3, 1h})) == errc::closed);
  CHECK(code_of(both.near.send("x", retry{3, 1h})) == errc::closed);
}

// -- packages ----------------------------------------------------------------------------------------

TEST_CASE("a package is the size of the data, big-endian in 1 to 4 bytes, and the data") {
  actor_world world;
  with_peer both{world};
  const auto wire = [&](std::string_view data, pkg_option option) {
    const auto count = both.near.send_pkg(data, option).get();
    return both.far->read_exactly(count);
  };
  CHECK(wire("abc", {}) == "\0\3abc"s);
  CHECK(wire("", {}) == "\0\0"s);
  CHECK(wire("abc", pkg_option{1}) == "\3abc"s);
  CHECK(wire("abc", pkg_option{3}) == "\0\0\3abc"s);
  CHECK(wire("a\0"s, pkg_option{4}) == "\0\0\0\2a\0"s);
  const std::string long_one(0x1234, 'x');
  CHECK(wire(long_one, {}) == "\x12\x34" + long_one);
  CHECK(wire(long_one, pkg_option{4}) == "\0\0\x12\x34"s + long_one);
  const std::string longest(255, 'y');
  CHECK(wire(longest, pkg_option{1}) == "\xff" + longest);
}

TEST_CASE("packages come whole, however the bytes were cut, and a timeout between leaves them whole") {
  actor_world world;
  const auto trace = "\0\5first\0\0\0\3two"s;
  with_peer both{world};
  for (std::size_t cut = 0; cut <= trace.size(); ++cut) {
    INFO("cut at " << cut);
    both.far->send_all(trace.substr(0, cut));
    std::vector<std::string> got;
    while (got.size() < 3) {
      const auto next = both.near.recv_pkg_with_timeout(0ms);
      if (!next)
        break;
      got.push_back(text_of(next));
    }
    both.far->send_all(trace.substr(cut));
    while (got.size() < 3)
      got.push_back(text_of(both.near.recv_pkg()));
    CHECK(got == std::vector{"first"s, ""s, "two"s});
  }
  both.far->send_all("\0\3tw"s);
  both.far->finish();
  const auto cut = both.near.recv_pkg();
  CHECK(code_of(cut) == errc::end_of_stream);
  CHECK(part_of(cut) == "tw");
  const auto after = both.near.recv_pkg();
  CHECK(code_of(after) == errc::end_of_stream);
  CHECK(part_of(after) == "");
}

TEST_CASE("a package that is larger than allowed is an error before it is sent, and closes when it comes") {
  actor_world world;
  with_peer both{world};
  CHECK(code_of(both.near.send_pkg("1234", pkg_option{2, 3})) == errc::message_too_large);
  CHECK(code_of(both.near.send_pkg(std::string(256, 'x'), pkg_option{1, 1000})) == errc::message_too_large);
  CHECK(code_of(both.near.send_pkg(std::string(65'536, 'x'))) == errc::message_too_large);
  for (const auto& wrong : {pkg_option{0}, pkg_option{5}, pkg_option{4, 0x8000'0000}}) {
    CHECK(code_of(both.near.send_pkg("", wrong)) == errc::invalid_argument);
    CHECK(code_of(both.near.recv_pkg(wrong)) == errc::invalid_argument);
  }
  CHECK(both.near.send_pkg("123", pkg_option{2, 3}).has_value());
  CHECK(both.far->read_exactly(5) == "\0\003123"s); // the first byte that went
  both.far->send_all("\0\0041234\0\1x"s);
  CHECK(code_of(both.near.recv_pkg(pkg_option{2, 3})) == errc::message_too_large);
  CHECK(code_of(both.near.recv_pkg(pkg_option{2, 3})) == errc::closed);
  CHECK(code_of(both.near.send_pkg("x")) == errc::closed);
  (void)both.far->await_end();
}

TEST_CASE("a size of all ones allocates nothing") {
  const auto header = GENERATE(2u, 3u, 4u);
  actor_world world;
  with_peer both{world};
  both.far->send_all(std::string(header, '\xff'));
  CHECK(both.near.as_stream().peek(header).has_value());
  const auto before = heap_in_use_bytes();
  const auto got = both.near.recv_pkg_with_timeout(0ms, pkg_option{header});
  CHECK(code_of(got) == (header == 4 ? errc::message_too_large : errc::timed_out));
  CHECK(heap_in_use_bytes() < before + 60'000);
}

TEST_CASE("a package of which a part went before the time was over closes the connection") {
  actor_world world;
  with_peer both{world};
  const auto data = position_stream{}.bytes(30'000'000);
  const auto cut = both.near.send_pkg_with_timeout(net::bytes::copy(data.data(), data.size()), 0ms, pkg_option{4});
  CHECK(code_of(cut) == errc::timed_out);
  CHECK(both.far->read_to_end().size() == bytes_of(cut.error()));
  CHECK(code_of(both.near.send_pkg("next", pkg_option{4})) == errc::closed);
}

namespace {

/// A peer for packages. `serve HEADER` prints its port and answers each package with its bytes reversed; `call HEADER
/// PORT` sends three and prints what came of each.
constexpr auto package_peer = R"(
import socket, struct, sys

mode, header = sys.argv[1], int(sys.argv[2])

def read(peer, count):
    data = b""
    while len(data) < count:
        some = peer.recv(count - len(data))
        if not some:
            sys.exit(0)
        data += some
    return data

def read_package(peer):
    size = struct.unpack(">I", read(peer, header).rjust(4, b"\0"))[0]
    return read(peer, size)

def send_package(peer, data):
    for byte in struct.pack(">I", len(data))[4 - header:] + data[:3]:
        peer.send(bytes([byte]))
    peer.sendall(data[3:])

if mode == "serve":
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    peer = listening.accept()[0]
    while True:
        send_package(peer, read_package(peer)[::-1])

peer = socket.create_connection(("127.0.0.1", int(sys.argv[3])))
for data in [b"abc", b"", bytes(range(200))]:
    send_package(peer, data)
    print("same" if read_package(peer) == data[::-1] else "different", flush=True)
)";

std::optional<process> python(std::vector<std::string> arguments) {
  std::vector<std::string> argv{"python3", "-c", package_peer};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  try {
    return std::optional<process>{std::in_place, process_options{.argv = argv}};
  } catch (const std::runtime_error&) {
    WARN("python3 is not installed: not tested");
    return std::nullopt;
  }
}

std::string reversed(std::string_view what) {
  return {what.rbegin(), what.rend()};
}

} // namespace

TEST_CASE("packages are understood by a peer in Python, in both directions") {
  const auto header = GENERATE(1u, 2u, 3u, 4u);
  actor_world world;
  const pkg_option option{header};
  if (auto peer = python({"serve", std::to_string(header)})) {
    const auto port = peer->wait_for_line(process::stream::out, "[0-9]+").front();
    auto near = gtcp::conn::connect(world.system(), "127.0.0.1:" + port).get();
    std::string all;
    for (int i = 0; i < 250; ++i)
      all += static_cast<char>(i);
    for (const auto& data : {"abc"s, ""s, all})
      CHECK(text_of(near.send_recv_pkg(data, option)) == reversed(data));
  }
  gtcp::server server{world.system()};
  REQUIRE(server.listen("127.0.0.1:0").has_value());
  std::thread serving{[&] {
    (void)server.run([&](gtcp::conn& peer) {
      while (auto data = peer.recv_pkg(option))
        (void)peer.send_pkg(reversed(data->view()), option);
    });
  }};
  if (auto peer = python({"call", std::to_string(header), std::to_string(server.listened_port())})) {
    CHECK(peer->wait() == exit_status{});
    CHECK(peer->output() == "same\nsame\nsame\n");
  }
  server.stop();
  serving.join();
}

// -- servers, one-shots and the rest -----------------------------------------------------------------

TEST_CASE("a server calls its handler for each connection, until it is stopped") {
  const auto address = fresh_address(each_carrier());
  actor_world world{2};
  gtcp::server server{world.system()};
  CHECK(!server.address());
  CHECK(server.listened_port() == -1);
  CHECK(code_of(server.run([](gtcp::conn&) {})) == errc::not_connected);
  REQUIRE(server.listen(address).has_value());
  const auto there = server.address().value();
  CHECK(server.listened_port() == (there.is_ip() ? there.port() : -1));
  CHECK(code_of(gtcp::server{world.system()}.run(there, {})) == errc::address_in_use);
  errc ended = errc::other;
  std::thread serving{[&] {
    ended = code_of(server.run([](gtcp::conn& peer) {
      while (auto some = peer.recv(-1))
        if (!peer.send(*some))
          break;
    }));
  }};
  std::vector<gtcp::conn> clients;
  for (int i = 0; i < 5; ++i)
    clients.push_back(gtcp::conn::connect(world.system(), there).get());
  for (auto& each : clients)
    CHECK(text_of(each.send_recv("hello", 5)) == "hello");
  server.stop();
  CHECK(text_of(clients.back().send_recv("still here", 10)) == "still here");
  clients.clear();
  serving.join();
  CHECK(ended == errc::none);
  CHECK(code_of(gtcp::conn::connect(world.system(), there)) == errc::connection_refused);
}

TEST_CASE("a server that is closed ends its handlers; one that was stopped before does not begin") {
  const auto address = fresh_address(each_carrier());
  actor_world world;
  gtcp::server server{world.system()};
  REQUIRE(server.listen(address).has_value());
  std::atomic<errc> seen{errc::none};
  std::thread serving{[&] {
    (void)server.run([&](gtcp::conn& peer) {
      (void)peer.send("begun");
      seen = code_of(peer.recv(1));
    });
  }};
  auto client = gtcp::conn::connect(world.system(), *server.address()).get();
  CHECK(text_of(client.recv(5)) == "begun");
  server.close();
  serving.join();
  CHECK(seen == errc::closed);
  CHECK(code_of(client.recv(1)) == errc::end_of_stream);
  gtcp::server other{world.system()};
  other.stop();
  CHECK(other.run(address, [](gtcp::conn&) {}).has_value());
}

TEST_CASE("a handler that throws resets its connection, and only that") {
  captured_log said;
  actor_world world;
  gtcp::server server{world.system()};
  REQUIRE(server.listen("127.0.0.1:0").has_value());
  std::thread serving{[&] {
    (void)server.run([](gtcp::conn& peer) {
      while (auto line = peer.recv_line()) {
        if (line->view() == "throw")
          throw std::runtime_error{"as told"};
        (void)peer.send(*line);
      }
    });
  }};
  {
    const auto there = server.address()->to_string();
    peer calm{there}, victim{there};
    victim.send_all("throw\n");
    CHECK(victim.await_end() == ending::reset);
    said.lines.expect("server: a handler ended by an exception: as told");
    calm.send_all("calm\n");
    CHECK(calm.read_exactly(4) == "calm");
  }
  server.stop();
  serving.join();
}

TEST_CASE("one-shots connect, send, receive and close, and their timeout covers all of it") {
  const auto over = each_carrier();
  const said_carrier said{over};
  actor_world world;
  auto& system = world.system();
  listening_peer listener{over};
  const auto there = listener.address();
  std::vector<std::string> came;
  std::thread serving{[&] {
    for (const auto& answer : {""s, ""s, ""s, ""s, "yes"s, "yes"s, "\0\1!"s, ""s}) {
      auto peer = listener.accept();
      auto all = peer.read_some(1);
      if (!answer.empty())
        peer.send_all(answer);
      all += peer.read_to_end();
      came.push_back(all);
    }
  }};
  CHECK(gtcp::send(system, there, "one").get() == 3);
  CHECK(gtcp::send_with_timeout(system, there, "two", 1h).get() == 3);
  CHECK(gtcp::send_pkg(system, there, "three").get() == 7);
  CHECK(gtcp::send_pkg_with_timeout(system, there, "four", 1h, pkg_option{1}).get() == 5);
  CHECK(text_of(gtcp::send_recv(system, there, "ask", 3)) == "yes");
  CHECK(text_of(gtcp::send_recv_with_timeout(system, there, "ask", -1, 1h)) == "yes");
  CHECK(text_of(gtcp::send_recv_pkg(system, there, "?")) == "!");
  CHECK(code_of(gtcp::send_recv_pkg_with_timeout(system, there, "late", 50ms)) == errc::timed_out);
  serving.join();
  CHECK(came == std::vector{"one"s, "two"s, "\0\5three"s, "\4four"s, "ask"s, "ask"s, "\0\1?"s, "\0\4late"s});
  listener.close();
  CHECK(code_of(gtcp::send(system, there, "x")) == errc::connection_refused);
  CHECK(code_of(gtcp::send(system, "nonsense", "x")) == errc::invalid_endpoint);
}

TEST_CASE("a connected descriptor is adopted; one that is none stays the caller's") {
  actor_world world;
  connected_pair pair{each_carrier()};
  auto near = gtcp::conn::adopt(world.system(), pair.near.fd()).get();
  (void)pair.near.release();
  pair.far.send_all("hello\n");
  CHECK(text_of(near.recv_line()) == "hello");
  CHECK(near.send("back").has_value());
  CHECK(pair.far.read_exactly(4) == "back");
  CHECK(near.close().has_value());
  listening_peer listener;
  CHECK(code_of(gtcp::conn::adopt(world.system(), listener.fd())) == errc::bad_descriptor);
  CHECK(code_of(stream_socket::adopt(world.system(), -1)) == errc::bad_descriptor);
  peer client{listener.address()};
  (void)listener.accept(); // it is open still
}

TEST_CASE("a free port can be listened on") {
  actor_world world;
  const auto port = gtcp::free_port().get();
  CHECK(port != 0);
  CHECK(tcp_server::bind(world.system(), "127.0.0.1:" + std::to_string(port)).has_value());
}

TEST_CASE("datagrams: a client, a server, and one-shots") {
  const auto over = each_datagram_carrier();
  const said_carrier said{over};
  actor_world world;
  auto& system = world.system();
  gudp::server server{system};
  CHECK(server.listened_port() == -1);
  CHECK(code_of(server.run([](gudp::conn&) {})) == errc::not_connected);
  REQUIRE(server.listen(fresh_address(over)).has_value());
  const auto there = server.address().value();
  errc ended = errc::none;
  std::thread serving{[&] {
    (void)server.run([&](gudp::conn& peers) {
      auto some = peers.recv();
      for (; some; some = peers.recv())
        if (some->payload.view() != "silence")
          (void)peers.send_to(some->payload, some->from);
      ended = code_of(some);
    });
  }};
  auto client = gudp::conn::connect(system, there).get();
  CHECK(text_of(client.send_recv("hello")) == "hello");
  CHECK(client.send("abc" + std::string(2000, '-')).has_value());
  const auto long_one = client.recv(3).get();
  CHECK(long_one.payload.view() == "abc");
  CHECK(long_one.truncated);
  CHECK(long_one.from == there);
  CHECK(code_of(client.recv_with_timeout(10, 1ms, retry{2, 0ms})) == errc::timed_out);
  client.set_deadline(long_ago);
  CHECK(code_of(client.recv()) == errc::timed_out);
  client.reset_deadline();
  CHECK(gudp::send(system, there, "silence").has_value());
  CHECK(text_of(gudp::send_recv(system, there, "one-shot", 3)) == "one");
  CHECK(code_of(gudp::send_recv_with_timeout(system, there, "silence", 10, 1ms)) == errc::timed_out);
  CHECK(code_of(gudp::send(system, "nonsense", "x")) == errc::invalid_endpoint);
  server.stop();
  serving.join();
  CHECK(ended == errc::closed);
  CHECK(client.close().has_value());
  CHECK(code_of(client.send("x")) == errc::closed);
}
