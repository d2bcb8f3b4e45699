// What every backend does alike: the contract in net/loop/backend.hpp, and nothing more, run over each of them.
#include "actnet/net/loop/backend.hpp"

#include "actnet/net/loop/epoll_backend.hpp"
#include "support/baseline.hpp"
#include "support/catch.hpp"
#include "support/faulty_system_calls.hpp"
#include "support/peer.hpp"
#include "support/peers.hpp"
#include "support/position_stream.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace actnet::net;
using namespace std::chrono_literals;
using actnet::test::baseline;
using actnet::test::call;
using actnet::test::carrier;
using actnet::test::datagram_carrier;
using actnet::test::datagram_peer;
using actnet::test::each_carrier;
using actnet::test::each_datagram_carrier;
using actnet::test::faulty_system_calls;
using actnet::test::listening_peer;
using actnet::test::peer;
using actnet::test::udp_peer;

namespace {

// -- the backends under test -----------------------------------------------------------------

struct tested_backend {
  const char* name;
  result<std::unique_ptr<backend>> (*make)();
  bool uses_system_calls; // so that the faults of `faulty_system_calls` reach it
};

constexpr std::array tested_backends{tested_backend{"epoll", make_epoll_backend, true}};

enum class faults { none, injected };

/// A backend and the loop that it thinks it has. `faults::injected` leaves out the backends that they do not reach.
struct fixture : turns {
  explicit fixture(faults kind = faults::none) {
    const auto tested = GENERATE(from_range(tested_backends));
    INFO(tested.name);
    if (kind == faults::injected && !tested.uses_system_calls)
      return;
    auto made = tested.make();
    REQUIRE(made);
    io = std::move(*made);
  }

  void on_awake(bool) noexcept override { ++awakes; }
  void after_turn() noexcept override {
    ++turns_ended;
    if (each_turn)
      each_turn();
  }

  void poll(std::optional<duration> wait) { io->poll(wait, *this); }

  template <class Predicate>
  bool until(Predicate reached) {
    const auto end = std::chrono::steady_clock::now() + actnet::test::default_deadline;
    while (!reached() && std::chrono::steady_clock::now() < end)
      poll(20ms);
    return reached();
  }

  /// Polls for a while; how often the backend came back before the time was over.
  int awakes_during(std::chrono::milliseconds window) {
    const auto end = std::chrono::steady_clock::now() + window;
    int early = -1;
    for (auto left = duration{window}; left > 0ns; left = end - std::chrono::steady_clock::now(), ++early)
      poll(left);
    return early;
  }

  std::unique_ptr<backend> io;
  std::function<void()> each_turn;
  int awakes = 0;
  int turns_ended = 0;
};

constexpr auto short_while = 40ms;
constexpr int awakes_of_silence = 5; // stray ones are allowed, spinning brings thousands

// -- targets that record ---------------------------------------------------------------------

/// One entry per completion; `hook` is called with its name at the end of each.
struct recorder {
  explicit recorder(fixture& f) : io(*f.io) {}
  ~recorder() { close(); }
  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;

  void close() noexcept {
    io.close(std::exchange(which, channel::none));
    closed = true;
  }

  template <class Socket, class Target>
  void open(Socket& socket, Target& self) {
    auto opened = io.open(socket, self);
    REQUIRE(opened);
    which = *opened;
    CHECK(which != channel::none);
  }

  void happened(const char* what) {
    CHECK_FALSE(closed);
    if (hook)
      hook(what);
  }

  backend& io;
  channel which = channel::none;
  bool closed = false;
  std::function<void(std::string_view)> hook;
};

struct stream_recorder final : stream_target, recorder {
  stream_recorder(fixture& f, stream_socket&& owned) : recorder(f), socket(std::move(owned)) { open(socket, *this); }

  void on_received(bytes payload) noexcept override {
    CHECK_FALSE(payload.empty());
    CHECK(reading);
    CHECK(ends == 0);
    received += payload.view();
    happened("received");
  }
  void on_read_end(std::error_code cause) noexcept override {
    ++ends;
    end_cause = cause;
    received_before_end = received.size();
    happened("end");
  }
  void on_hang_up(std::error_code cause) noexcept override {
    ++hang_ups;
    hang_up_cause = cause;
    happened("hang_up");
  }
  std::size_t gather(std::span<iovec> parts) noexcept override {
    ++gathers;
    happened("gather");
    std::size_t count = 0;
    for (auto at = sent; at < outgoing.size() && count < parts.size(); at += part_size, ++count)
      parts[count] = {outgoing.data() + at, std::min(part_size, outgoing.size() - at)};
    return count;
  }
  void on_sent(std::size_t count) noexcept override {
    sent += count;
    happened("sent");
  }
  void on_send_failed(std::error_code cause) noexcept override {
    ++send_failures;
    send_cause = cause;
    happened("send_failed");
  }

  void read() {
    reading = true;
    io.start_reading(which);
  }
  void stop() {
    reading = false;
    io.stop_reading(which);
  }
  void send(std::string text) {
    outgoing += text;
    io.send(which);
  }

  stream_socket socket;
  actnet::test::said_carrier said{socket.transport() == transport::tcp ? carrier::tcp : carrier::local};
  bool reading = false;
  std::string received;
  int ends = 0;
  std::error_code end_cause;
  std::size_t received_before_end = 0;
  int hang_ups = 0;
  std::error_code hang_up_cause;
  std::string outgoing;
  std::size_t part_size = 100'000;
  std::size_t sent = 0;
  int gathers = 0;
  int send_failures = 0;
  std::error_code send_cause;
};

struct connect_recorder final : connect_target, recorder {
  connect_recorder(fixture& f, stream_socket&& owned) : recorder(f), socket(std::move(owned)) { open(socket, *this); }
  void on_connected(std::error_code why) noexcept override {
    ++times;
    cause = why;
    happened("connected");
  }

  stream_socket socket;
  int times = 0;
  std::error_code cause;
};

struct listener_recorder final : listener_target, recorder {
  listener_recorder(fixture& f, listener_socket&& owned) : recorder(f), socket(std::move(owned)) {
    open(socket, *this);
  }
  explicit listener_recorder(fixture& f)
      : listener_recorder(f, std::move(*listener_socket::open(*endpoint::parse("127.0.0.1:0"), {}))) {}

  bool wants_connection() noexcept override {
    ++asked;
    happened("wants");
    return wanted-- > 0;
  }
  void on_accepted(listener_socket::accepted connection) noexcept override {
    accepted.push_back(std::move(connection.socket));
    happened("accepted");
  }
  void on_accept_failed(std::error_code cause) noexcept override {
    if (cause == errc::would_block)
      ++wanted;
    else
      failures.push_back(cause);
    happened("accept_failed");
  }
  std::uint16_t port() const { return socket.local_endpoint()->port(); }

  listener_socket socket;
  int wanted = 1'000;
  int asked = 0;
  std::vector<stream_socket> accepted;
  std::vector<std::error_code> failures;
};

struct datagram_recorder final : datagram_target, recorder {
  datagram_recorder(fixture& f, datagram_socket&& owned) : recorder(f), socket(std::move(owned)) {
    open(socket, *this);
  }
  explicit datagram_recorder(fixture& f)
      : datagram_recorder(f, std::move(*datagram_socket::open(*endpoint::parse("udp://127.0.0.1:0"), {}))) {}

  bool on_datagram(bytes payload, const received_datagram& info) noexcept override {
    CHECK(payload.size() == info.size);
    received.emplace_back(payload.view());
    last_truncated = info.truncated;
    happened("datagram");
    return in_a_row;
  }
  void on_receive_error(std::error_code cause) noexcept override {
    errors.push_back(cause);
    happened("receive_error");
  }
  std::size_t gather(std::span<outgoing_datagram> next) noexcept override {
    happened("next");
    const auto count = std::min({queue.size(), next.size(), at_once});
    for (std::size_t i = 0; i < count; ++i)
      next[i] = {std::as_bytes(std::span{queue[i].first}), queue[i].second ? &*queue[i].second : nullptr};
    return count;
  }
  void on_datagram_sent(std::error_code cause) noexcept override {
    if (!queue.empty())
      queue.pop_front();
    outcomes.push_back(cause);
    happened("datagram_sent");
  }
  bool on_receiver_full() noexcept override {
    const auto full = queue.front().second;
    for (auto i = queue.begin(); puts_aside && i != queue.end();)
      if (i->second == full) {
        aside.push_back(std::move(*i));
        i = queue.erase(i);
      } else {
        ++i;
      }
    happened("receiver_full");
    return puts_aside;
  }

  void send(std::string text, std::optional<endpoint> to) {
    queue.emplace_back(std::move(text), std::move(to));
    io.send(which);
  }
  std::uint16_t port() const { return socket.local_endpoint()->port(); }

  datagram_socket socket;
  std::vector<std::string> received;
  bool last_truncated = false;
  bool in_a_row = GENERATE(true, false); // datagrams share a turn
  std::size_t at_once = GENERATE(std::size_t{1}, std::size_t{100});
  std::vector<std::error_code> errors;
  std::deque<std::pair<std::string, std::optional<endpoint>>> queue, aside;
  bool puts_aside = false; // what is for a full receiver
  std::vector<std::error_code> outcomes;
};

// -- the other side ----------------------------------------------------------------------------

endpoint tcp_at(std::uint16_t port) {
  return endpoint::tcp(ip_address::v4(127, 0, 0, 1), port);
}

endpoint udp_at(std::uint16_t port) {
  return endpoint::udp(ip_address::v4(127, 0, 0, 1), port);
}

/// An abstract Unix name of this process, another one each time.
std::string fresh_name() {
  static int number = 0;
  return "@actnet-test-backend-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
}

/// A receive buffer that was asked for bounds what we can have under way: on Unix it is the sender's to do that.
std::pair<stream_socket, peer> stream_pair(actnet::test::peer_options options = {}, carrier over = each_carrier()) {
  if (over == carrier::local) {
    auto both = stream_socket::pair();
    REQUIRE(both);
    const auto room = static_cast<std::size_t>(options.receive_buffer_bytes);
    if (room > 0)
      REQUIRE(both->first.set(send_buffer{room}));
    const auto near = both->first.fd();
    return {std::move(both->first), peer(actnet::test::descriptor(both->second.release()), options, near)};
  }
  listening_peer listener(options);
  auto begun = stream_socket::begin_connect(tcp_at(listener.port()), std::nullopt, {});
  REQUIRE(begun);
  return {std::move(begun->socket), listener.accept()};
}

std::string text_of(std::size_t size, std::uint64_t seed = 1) {
  const auto all = actnet::test::position_stream(seed).bytes(size);
  return {reinterpret_cast<const char*>(all.data()), all.size()};
}

/// Compares without printing it all when it fails.
bool same(const std::string& a, const std::string& b) {
  return a == b;
}

/// Reads and drops what has arrived.
void drain(int fd) {
  std::array<char, 65536> buffer;
  while (::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
  }
}

} // namespace

TEST_CASE("the conformance suite runs over these backends", "[backend]") {
  std::string names;
  for (const auto& each : tested_backends) {
    const auto made = each.make();
    REQUIRE(made);
    CHECK((*made)->name() == std::string_view{each.name});
    names += std::string{" "} + each.name;
  }
  std::printf("backends:%s\n", names.c_str());
  std::fflush(stdout);
}

// -- streams: reading ----------------------------------------------------------------------------

TEST_CASE("a stream's bytes arrive whole and in order, then its end, once", "[backend]") {
  const baseline before;
  fixture f;
  auto [ours, theirs] = stream_pair();
  constexpr std::size_t size = 5'000'000;
  stream_recorder s(f, std::move(ours));
  s.read();
  actnet::test::flooding_peer flood(std::move(theirs), 7, size);
  REQUIRE(f.until([&] { return s.received.size() >= size; }));
  flood.stop().finish();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  actnet::test::position_checker checker(7);
  CHECK(checker.feed(std::as_bytes(std::span{s.received})));
  CHECK(s.received_before_end == size);
  CHECK_FALSE(s.end_cause);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.ends == 1);
  CHECK(s.hang_ups == 0);
}

TEST_CASE("every completion of a poll ends a turn", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  std::string log;
  f.each_turn = [&] { log += '.'; };
  s.hook = [&](std::string_view what) { log += what; };
  s.read();
  theirs.send_all("x");
  REQUIRE(f.until([&] { return !s.received.empty(); }));
  theirs.finish();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(log.find("received.") != std::string::npos);
  CHECK(log.find("end.") != std::string::npos);
}

TEST_CASE("a reset ends reading with its cause after all bytes that came before it", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  const auto size = GENERATE(as<std::size_t>{}, 0, 10, 50'000);
  theirs.send_all(text_of(size));
  theirs.reset();
  s.read();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(s.end_cause == errc::connection_reset);
  CHECK(same(s.received, text_of(size)));
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.ends == 1);
  CHECK(s.hang_ups == 0);
}

TEST_CASE("a stream that is not read delivers nothing, and all of it later", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  theirs.send_all("one ");
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.received.empty());
  s.read();
  REQUIRE(f.until([&] { return s.received == "one "; }));
  s.stop();
  theirs.send_all("two ");
  theirs.send_all("three");
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.received == "one ");
  s.read();
  CHECK(f.until([&] { return s.received == "one two three"; }));
}

TEST_CASE("reading stopped from within a delivery stops at once, and no byte is lost", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  constexpr std::size_t size = 1'000'000;
  actnet::test::flooding_peer flood(std::move(theirs), 3, size);
  stream_recorder s(f, std::move(ours));
  int deliveries = 0;
  s.hook = [&](std::string_view what) {
    if (what == "received") {
      ++deliveries;
      s.stop();
    }
  };
  int rounds = 0;
  while (s.received.size() < size && ++rounds < 1'000'000) {
    deliveries = 0;
    s.read();
    f.until([&] { return deliveries > 0; });
    f.poll(0ms);
    REQUIRE(deliveries == 1);
  }
  CHECK(same(s.received, text_of(size, 3)));
}

TEST_CASE("a clean end is told while reading is stopped, if no byte waits before it", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  SECTION("nothing waits") {
    theirs.finish();
    REQUIRE(f.until([&] { return s.ends > 0; }));
  }
  SECTION("bytes wait") {
    theirs.send_all("first");
    theirs.finish();
    CHECK(f.awakes_during(short_while) <= awakes_of_silence);
    CHECK(s.ends == 0);
    s.read();
    REQUIRE(f.until([&] { return s.ends > 0; }));
    CHECK(s.received == "first");
  }
  CHECK_FALSE(s.end_cause);
  s.stop();
  s.read();
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.ends == 1);
}

TEST_CASE("a hang-up is told once while bytes wait, and the bytes are read later", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  const auto was_read_before = GENERATE(false, true);
  if (was_read_before) {
    s.read();
    f.poll(0ms);
    s.stop();
  }
  theirs.send_all("last words");
  theirs.reset();
  REQUIRE(f.until([&] { return s.hang_ups > 0; }));
  CHECK(s.hang_up_cause == errc::connection_reset);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.hang_ups == 1);
  CHECK(s.ends == 0);
  s.read();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(s.received == "last words");
  CHECK(s.end_cause == errc::connection_reset);
  CHECK(s.hang_ups == 1);
}

TEST_CASE("a hang-up of a stopped stream where no byte waits is the end of reading", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  theirs.reset();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(s.end_cause == errc::connection_reset);
  s.read();
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.ends == 1);
  CHECK(s.hang_ups == 0);
}

TEST_CASE("a peer that finishes and then resets is an end and then one hang-up", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  const auto reading = GENERATE(false, true);
  const auto at_once = GENERATE(false, true);
  if (reading)
    s.read();
  std::string order;
  s.hook = [&](std::string_view what) { order += std::string{what} + " "; };
  theirs.finish();
  if (!at_once)
    REQUIRE(f.until([&] { return s.ends > 0; }));
  theirs.reset();
  REQUIRE(f.until([&] { return s.hang_ups > 0 || s.end_cause; }));
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  if (s.end_cause) // nothing was read between the two, and not every kernel tells the first
    CHECK(at_once);
  else
    CHECK(order == "end hang_up ");
  CHECK(s.ends == 1);
}

TEST_CASE("urgent data of the peer does not stall the stream", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair({}, carrier::tcp);
  stream_recorder s(f, std::move(ours));
  const auto reading = GENERATE(false, true);
  if (reading)
    s.read();
  theirs.send_all("before");
  REQUIRE(::send(theirs.fd(), "!", 1, MSG_OOB) == 1);
  theirs.send_all("after");
  const auto ordinary = [&] {
    auto text = s.received;
    std::erase(text, '!');
    return text;
  };
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  s.read();
  REQUIRE(f.until([&] { return ordinary() == "beforeafter"; }));
  theirs.send_all("more");
  REQUIRE(::send(theirs.fd(), "!", 1, MSG_OOB) == 1);
  theirs.finish();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(ordinary() == "beforeaftermore");
}

TEST_CASE("descriptors that a Unix peer sends along neither stall the stream nor stay open", "[backend]") {
  const baseline before;
  fixture f;
  auto [ours, theirs] = stream_pair({}, carrier::local);
  stream_recorder s(f, std::move(ours));
  s.read();
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const auto text = std::to_string(i) + ",";
    expected += text;
    actnet::test::attach(theirs.fd(), theirs.fd(), text);
  }
  CHECK(f.until([&] { return s.received == expected; }));
}

TEST_CASE("a stream with endless bytes leaves the others their turn", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  auto [calm_ours, calm_theirs] = stream_pair();
  stream_recorder busy(f, std::move(ours));
  stream_recorder calm(f, std::move(calm_ours));
  actnet::test::flooding_peer flood(std::move(theirs));
  busy.read();
  calm.read();
  REQUIRE(f.until([&] { return busy.received.size() > 1'000'000; }));
  for (int i = 1; i <= 20; ++i) {
    const auto at = busy.received.size();
    calm_theirs.send_all("x");
    REQUIRE(f.until([&] { return calm.received.size() == static_cast<std::size_t>(i); }));
    CHECK(busy.received.size() - at <= 2'000'000);
  }
}

// -- streams: sending ------------------------------------------------------------------------------

TEST_CASE("sending stops when the kernel is full and goes on when the peer reads", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair({.receive_buffer_bytes = 8'192});
  stream_recorder s(f, std::move(ours));
  s.part_size = GENERATE(as<std::size_t>{}, 1'000, 3'000'000);
  const auto text = text_of(6'000'000);
  s.send(text);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.sent < text.size());
  std::string arrived;
  std::thread reader([&] { arrived = theirs.read_exactly(text.size()); });
  CHECK(f.until([&] { return s.sent == text.size(); }));
  reader.join();
  CHECK(same(arrived, text));
  CHECK(s.send_failures == 0);
  s.send("and more");
  CHECK(theirs.read_exactly(8) == "and more");
}

TEST_CASE("what is queued from within a completion is sent without another call", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  s.hook = [&](std::string_view what) {
    if (what == "sent" && s.outgoing.size() < 30)
      s.outgoing += "0123456789";
  };
  s.send("0123456789");
  CHECK(theirs.read_exactly(30) == "012345678901234567890123456789");
}

TEST_CASE("one who always has something to send leaves the others their turn", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair({}, carrier::local);
  auto [calm_ours, calm_theirs] = stream_pair();
  stream_recorder busy(f, std::move(ours));
  stream_recorder calm(f, std::move(calm_ours));
  calm.read();
  calm_theirs.send_all("x");
  busy.hook = [&](std::string_view what) {
    if (what == "gather" && busy.gathers < 100'000 && calm.received.empty()) {
      drain(theirs.fd());
      busy.outgoing += "x";
    }
  };
  busy.send("x");
  CHECK(busy.gathers < 1'000);
  CHECK(f.until([&] { return !calm.received.empty(); }));
  CHECK(busy.gathers < 10'000);
  REQUIRE(f.until([&] { return busy.sent == busy.outgoing.size(); }));
}

TEST_CASE("after a reset sending fails once, and reading ends with the reset", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair({.receive_buffer_bytes = 8'192});
  stream_recorder s(f, std::move(ours));
  const auto reading = GENERATE(false, true);
  const auto bytes_wait = GENERATE(false, true);
  s.send(text_of(6'000'000));
  REQUIRE(s.sent < s.outgoing.size());
  if (bytes_wait)
    theirs.send_all("unread");
  if (reading)
    s.read();
  theirs.reset();
  REQUIRE(f.until([&] { return s.send_failures > 0; }));
  CHECK(s.send_cause == errc::connection_reset);
  s.read();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(s.received == (bytes_wait ? "unread" : ""));
  CHECK(s.end_cause == errc::connection_reset);
  const auto gathers = s.gathers;
  f.io->send(s.which);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(s.gathers == gathers);
  CHECK(s.send_failures == 1);
  CHECK(s.ends == 1);
  CHECK(s.hang_ups <= 1);
}

TEST_CASE("a send that meets the reset first does not make the end look clean", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  const auto was_open_before = GENERATE(false, true);
  if (was_open_before)
    f.poll(0ms);
  theirs.send_all("unread");
  theirs.reset();
  s.send("x");
  REQUIRE(f.until([&] { return s.send_failures > 0; }));
  CHECK(s.send_cause == errc::connection_reset);
  s.read();
  REQUIRE(f.until([&] { return s.ends > 0; }));
  CHECK(s.received == "unread");
  CHECK(s.end_cause == errc::connection_reset);
}

TEST_CASE("a kernel without buffers delays sending but does not end it", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  const auto error = GENERATE(ENOBUFS, ENOMEM);
  kernel.fail(call::sendmsg, error, {.first = 1, .count = 3});
  s.send("patience");
  CHECK(s.sent == 0);
  REQUIRE(f.until([&] { return s.sent == 8; }));
  CHECK(theirs.read_exactly(8) == "patience");
  CHECK(s.send_failures == 0);
  CHECK(kernel.injected(call::sendmsg) == 3);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
}

// -- channels ----------------------------------------------------------------------------------------

TEST_CASE("a stream can be closed from within each of its completions", "[backend]") {
  const baseline before;
  fixture f;
  const std::string last = GENERATE("received", "end", "hang_up", "gather", "sent", "send_failed");
  auto [ours, theirs] = stream_pair({.receive_buffer_bytes = 8'192});
  stream_recorder s(f, std::move(ours));
  bool reached = false;
  s.hook = [&](std::string_view what) {
    if (what == last) {
      reached = true;
      s.close();
      s.socket.close();
    }
  };
  if (last != "hang_up" && last != "send_failed")
    s.read();
  theirs.send_all(text_of(200'000));
  if (last == "end")
    theirs.finish();
  s.send(text_of(6'000'000)); // closing in `gather` or `sent` ends it here
  if (last == "hang_up" || last == "send_failed")
    theirs.reset();
  CHECK(f.until([&] { return reached; }));
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
}

TEST_CASE("channels can be opened and closed from within every completion", "[backend]") {
  const baseline before;
  fixture f;
  std::vector<std::unique_ptr<stream_recorder>> crowd;
  std::vector<peer> others;
  const auto grow = [&](std::string_view) {
    for (int i = 0; i < 3 && crowd.size() < 400; ++i) {
      auto [ours, theirs] = stream_pair({}, carrier::local);
      crowd.push_back(std::make_unique<stream_recorder>(f, std::move(ours)));
      others.push_back(std::move(theirs));
    }
    if (crowd.size() > 1 && crowd.size() < 400)
      crowd.erase(crowd.begin());
  };
  auto [ours, theirs] = stream_pair({.receive_buffer_bytes = 8'192});
  stream_recorder s(f, std::move(ours));
  listener_recorder l(f);
  datagram_recorder d(f);
  auto begun = stream_socket::begin_connect(tcp_at(l.port()), std::nullopt, {});
  REQUIRE(begun);
  connect_recorder c(f, std::move(begun->socket));
  for (recorder* each :
       {static_cast<recorder*>(&s), static_cast<recorder*>(&l), static_cast<recorder*>(&d), static_cast<recorder*>(&c)})
    each->hook = grow;
  s.read();
  theirs.send_all(text_of(100'000));
  s.send(text_of(6'000'000));
  f.io->start_reading(d.which);
  for (int i = 0; i < 10; ++i)
    d.send(std::to_string(i), udp_at(d.port()));
  CHECK(f.until([&] {
    return s.received.size() == 100'000 && l.accepted.size() == 1 && c.times == 1 && d.received.size() == 10;
  }));
  theirs.reset();
  CHECK(f.until([&] { return s.ends == 1 && s.send_failures == 1; }));
}

TEST_CASE("the number of a closed channel means nothing, also when another one took its place", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  auto old = channel::none;
  {
    stream_recorder s(f, std::move(ours));
    old = s.which;
  }
  const auto use = [&](channel which) {
    f.io->start_reading(which);
    f.io->stop_reading(which);
    f.io->send(which);
    f.io->accept_more(which);
    f.io->close(which);
  };
  use(old);
  use(channel::none);
  use(static_cast<channel>(~std::uint64_t{0}));
  auto [more_ours, more_theirs] = stream_pair();
  stream_recorder s(f, std::move(more_ours));
  CHECK(s.which != old);
  s.read();
  use(old);
  more_theirs.send_all("still here");
  CHECK(f.until([&] { return s.received == "still here"; }));
}

TEST_CASE("a descriptor that is closed and used again in the same batch gets nothing of the old one", "[backend]") {
  fixture f;
  std::array<std::unique_ptr<stream_recorder>, 2> both;
  std::vector<peer> others;
  for (auto& each : both) {
    auto [ours, theirs] = stream_pair({}, carrier::local);
    each = std::make_unique<stream_recorder>(f, std::move(ours));
    others.push_back(std::move(theirs));
  }
  std::unique_ptr<stream_recorder> heir;
  std::vector<peer> heirs_peer;
  for (std::size_t i = 0; i < 2; ++i) {
    both[i]->read();
    both[i]->hook = [&, i](std::string_view) {
      if (heir)
        return;
      const auto number = both[1 - i]->socket.fd();
      both[1 - i].reset();
      auto [ours, theirs] = stream_pair({}, carrier::local);
      CHECK(ours.fd() == number);
      heir = std::make_unique<stream_recorder>(f, std::move(ours));
      heirs_peer.push_back(std::move(theirs));
      heir->read();
    };
  }
  others[0].send_all("for the first");
  others[1].close();
  REQUIRE(f.until([&] { return heir != nullptr; }));
  f.awakes_during(short_while);
  CHECK(heir->received.empty());
  CHECK(heir->ends == 0);
  heirs_peer[0].send_all("for the heir");
  CHECK(f.until([&] { return heir->received == "for the heir"; }));
}

TEST_CASE("a channel that the kernel refuses is an error, and the next one opens", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  auto [ours, theirs] = stream_pair();
  kernel.fail(call::epoll_ctl, ENOSPC, {.fd = ours.fd()});
  {
    auto [other, unused] = stream_pair();
    stream_recorder s(f, std::move(other));
    const auto refused = f.io->open(ours, s);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == errc::out_of_memory);
  }
  stream_recorder s(f, std::move(ours));
  s.read();
  theirs.send_all("in");
  CHECK(f.until([&] { return s.received == "in"; }));
}

TEST_CASE("a backend that gets no descriptors is an error and leaves none behind", "[backend]") {
  const baseline before;
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  const auto which = GENERATE(call::epoll_create1, call::eventfd, call::epoll_ctl);
  kernel.fail(which, EMFILE);
  const auto made = make_epoll_backend();
  REQUIRE_FALSE(made);
  CHECK(made.error() == errc::too_many_open_files);
  CHECK(kernel.open_descriptors().empty());
}

// -- connecting ------------------------------------------------------------------------------------

TEST_CASE("a connect is told once, with its cause if it failed", "[backend]") {
  const baseline before;
  fixture f;
  listening_peer listener;
  const auto unix_name = endpoint::unix_stream(fresh_name());
  auto unix_listener = listener_socket::open(unix_name, {});
  REQUIRE(unix_listener);
  auto to = tcp_at(listener.port());
  std::error_code expected;
  SECTION("over TCP") {}
  SECTION("over Unix") {
    to = unix_name;
  }
  SECTION("refused") {
    listener.close();
    expected = errc::connection_refused;
  }
  auto begun = stream_socket::begin_connect(to, std::nullopt, {});
  REQUIRE(begun);
  connect_recorder c(f, std::move(begun->socket));
  REQUIRE(f.until([&] { return c.times > 0; }));
  CHECK(c.cause == expected);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(c.times == 1);
}

TEST_CASE("a connected stream is opened as one from within the completion of its connect", "[backend]") {
  fixture f;
  listening_peer listener;
  auto begun = stream_socket::begin_connect(tcp_at(listener.port()), std::nullopt, {});
  REQUIRE(begun);
  connect_recorder c(f, std::move(begun->socket));
  std::unique_ptr<stream_recorder> s;
  c.hook = [&](std::string_view) {
    c.close();
    s = std::make_unique<stream_recorder>(f, std::move(c.socket));
    s->read();
    s->send("ping");
  };
  REQUIRE(f.until([&] { return s != nullptr; }));
  auto theirs = listener.accept();
  CHECK(theirs.read_exactly(4) == "ping");
  theirs.send_all("pong");
  CHECK(f.until([&] { return s->received == "pong"; }));
}

TEST_CASE("a connect that fails late tells the cause", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  const auto [number, expected] = GENERATE(table<int, errc>({{ETIMEDOUT, errc::timed_out},
                                                             {EHOSTUNREACH, errc::host_unreachable},
                                                             {ENETUNREACH, errc::network_unreachable}}));
  kernel.fail_connect_later(number);
  auto begun = stream_socket::begin_connect(tcp_at(1), std::nullopt, {});
  REQUIRE(begun);
  connect_recorder c(f, std::move(begun->socket));
  REQUIRE(f.until([&] { return c.times > 0; }));
  CHECK(c.cause == expected);
}

// -- listeners ---------------------------------------------------------------------------------------

TEST_CASE("a listener is asked before each accept, and what it declines stays in the backlog", "[backend]") {
  const baseline before;
  fixture f;
  listener_recorder l(f);
  l.wanted = 2;
  std::vector<peer> peers;
  for (int i = 0; i < 5; ++i)
    peers.emplace_back(l.port());
  REQUIRE(f.until([&] { return l.asked == 3; }));
  peers.emplace_back(l.port()); // it is not asked about this one
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(l.accepted.size() == 2);
  CHECK(l.asked == 3);
  l.wanted = 1'000;
  f.io->accept_more(l.which);
  CHECK(f.until([&] { return l.accepted.size() == 6; }));
  peers.emplace_back(l.port());
  CHECK(f.until([&] { return l.accepted.size() == 7; }));
  CHECK(l.failures.empty());
}

TEST_CASE("a listener that was asked to go on before anybody came accepts who comes", "[backend]") {
  fixture f;
  listener_recorder l(f);
  f.poll(0ms);
  l.wanted = 0;
  const peer declined(l.port());
  REQUIRE(f.until([&] { return l.asked > 0; }));
  l.wanted = 1'000;
  f.io->accept_more(l.which);
  f.io->accept_more(l.which);
  CHECK(f.until([&] { return l.accepted.size() == 1; }));
  f.io->accept_more(l.which);
  const peer another(l.port());
  CHECK(f.until([&] { return l.accepted.size() == 2; }));
}

TEST_CASE("a Unix listener accepts", "[backend]") {
  fixture f;
  const auto name = endpoint::unix_stream(fresh_name());
  listener_recorder l(f, std::move(*listener_socket::open(name, {})));
  const auto begun = stream_socket::begin_connect(name, std::nullopt, {});
  REQUIRE(begun);
  CHECK(f.until([&] { return l.accepted.size() == 1; }));
}

TEST_CASE("a lack of descriptors or memory stops accepting until accept_more, told once", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  const auto [number, expected] = GENERATE(table<int, errc>({{EMFILE, errc::too_many_open_files},
                                                             {ENFILE, errc::too_many_open_files},
                                                             {ENOBUFS, errc::out_of_memory},
                                                             {ENOMEM, errc::out_of_memory}}));
  listener_recorder l(f);
  kernel.fail(call::accept4, number, {.count = actnet::test::occurrence::forever});
  const peer first(l.port());
  REQUIRE(f.until([&] { return !l.failures.empty(); }));
  const peer second(l.port());
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  REQUIRE(l.failures.size() == 1);
  CHECK(l.failures[0] == expected);
  f.io->accept_more(l.which);
  REQUIRE(f.until([&] { return l.failures.size() == 2; }));
  kernel.clear_faults();
  f.io->accept_more(l.which);
  CHECK(f.until([&] { return l.accepted.size() == 2; }));
}

TEST_CASE("what was wrong with one connection does not keep the next from being accepted", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  // The list of accept(2), with what its last paragraph adds for Linux.
  const auto number = GENERATE(ECONNABORTED, ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP,
                               ENETUNREACH, EPERM, ETIMEDOUT, EPROTONOSUPPORT);
  CAPTURE(number);
  listener_recorder l(f);
  kernel.fail(call::accept4, number, {.first = 1, .count = 2});
  const peer first(l.port());
  REQUIRE(f.until([&] { return l.accepted.size() == 1; }));
  CHECK(l.failures == std::vector<std::error_code>(2, errc::connection_aborted));
}

TEST_CASE("a listener on which every accept fails comes to rest and says why", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  const auto [number, said] =
      GENERATE(table<int, errc>({{EPERM, errc::permission_denied}, {ECONNABORTED, errc::other}}));
  listener_recorder l(f);
  kernel.fail(call::accept4, number, {.count = actnet::test::occurrence::forever});
  const peer first(l.port());
  REQUIRE(f.until([&, cause = said] { return !l.failures.empty() && l.failures.back() == cause; }));
  CHECK(l.failures.size() == 65);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(l.failures.size() == 65);
  kernel.clear_faults();
  f.io->accept_more(l.which);
  CHECK(f.until([&] { return l.accepted.size() == 1; }));
}

TEST_CASE("a listener can be closed from within each of its completions", "[backend]") {
  const baseline before;
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  const std::string last = GENERATE("wants", "accepted", "accept_failed");
  listener_recorder l(f);
  if (last == "accept_failed")
    kernel.fail(call::accept4, ECONNABORTED);
  const peer first(l.port());
  const peer second(l.port());
  l.hook = [&](std::string_view what) {
    if (what == last) {
      l.close();
      l.socket.close();
    }
  };
  CHECK(f.until([&] { return l.closed; }));
  f.poll(0ms);
  CHECK(kernel.violations().empty());
}

// -- datagrams ---------------------------------------------------------------------------------------

TEST_CASE("datagrams arrive one by one, also empty and large ones, and only while they are read", "[backend]") {
  const baseline before;
  fixture f;
  datagram_recorder d(f);
  udp_peer theirs;
  const auto large = text_of(60'000);
  theirs.send_to(d.port(), "small");
  theirs.send_to(d.port(), "");
  theirs.send_to(d.port(), large);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(d.received.empty());
  f.io->start_reading(d.which);
  REQUIRE(f.until([&] { return d.received.size() == 3; }));
  CHECK(d.received[0] == "small");
  CHECK(d.received[1].empty());
  CHECK(same(d.received[2], large));
  CHECK_FALSE(d.last_truncated);
  d.hook = [&](std::string_view what) {
    if (what == "datagram")
      f.io->stop_reading(d.which);
  };
  theirs.send_to(d.port(), "one");
  theirs.send_to(d.port(), "two");
  REQUIRE(f.until([&] { return d.received.size() == 4; }));
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(d.received.size() == 4);
  f.io->start_reading(d.which);
  REQUIRE(f.until([&] { return d.received.size() == 5; }));
  CHECK(d.received.back() == "two");
}

TEST_CASE("a datagram too large for one read is marked as truncated", "[backend]") {
  fixture f;
  const auto name = endpoint::unix_datagram(fresh_name());
  datagram_recorder d(f, std::move(*datagram_socket::open(name, {})));
  auto sender = datagram_socket::open(endpoint::unix_datagram(""), {});
  REQUIRE(sender);
  const auto text = text_of(100'000);
  REQUIRE(sender->send(std::as_bytes(std::span{text}), &name));
  f.io->start_reading(d.which);
  REQUIRE(f.until([&] { return d.received.size() == 1; }));
  CHECK(d.last_truncated == (d.received[0].size() < text.size()));
  CHECK(text.starts_with(d.received[0]));
  CHECK(d.received[0].size() >= 65'507); // anything that UDP can carry fits
}

TEST_CASE("datagrams are sent in order, and each gets its outcome", "[backend]") {
  fixture f;
  datagram_recorder d(f);
  udp_peer theirs;
  for (int i = 0; i < 100; ++i)
    d.queue.emplace_back(std::to_string(i), udp_at(theirs.port()));
  d.send("the last", udp_at(theirs.port()));
  REQUIRE(f.until([&] { return d.outcomes.size() == 101; }));
  CHECK(d.outcomes == std::vector<std::error_code>(101));
  for (int i = 0; i < 100; ++i)
    REQUIRE(theirs.receive().payload == std::to_string(i));
  CHECK(theirs.receive().payload == "the last");
}

TEST_CASE("a datagram larger than any can be fails alone", "[backend]") {
  fixture f;
  datagram_recorder d(f);
  udp_peer theirs;
  d.queue.emplace_back(text_of(70'000), udp_at(theirs.port()));
  d.send("fits", udp_at(theirs.port()));
  REQUIRE(f.until([&] { return d.outcomes.size() == 2; }));
  CHECK(d.outcomes[0] == errc::message_too_large);
  CHECK_FALSE(d.outcomes[1]);
  CHECK(theirs.receive().payload == "fits");
}

TEST_CASE("a refusal is reported and the socket lives", "[backend]") {
  fixture f;
  datagram_recorder d(f);
  auto gone = std::make_unique<udp_peer>();
  const auto port_without_receiver = gone->port();
  gone.reset();
  udp_peer theirs;
  REQUIRE(d.socket.connect(udp_at(port_without_receiver)));
  d.send("to nobody", std::nullopt);
  SECTION("to the reader") {
    f.io->start_reading(d.which);
    REQUIRE(f.until([&] { return !d.errors.empty(); }));
    REQUIRE(d.socket.connect(udp_at(theirs.port())));
  }
  SECTION("to the sender, without swallowing the next datagram") {
    d.send("to somebody", udp_at(theirs.port()));
    REQUIRE(f.until([&] { return d.outcomes.size() == 2; }));
    CHECK(theirs.receive().payload == "to somebody");
    REQUIRE(d.socket.connect(udp_at(theirs.port())));
    f.io->start_reading(d.which);
  }
  CHECK(d.errors == std::vector<std::error_code>{errc::connection_refused});
  CHECK(d.outcomes == std::vector<std::error_code>(d.outcomes.size()));
  theirs.send_to(d.port(), "hello");
  CHECK(f.until([&] { return d.received == std::vector<std::string>{"hello"}; }));
}

TEST_CASE("a Unix datagram without a receiver is refused itself", "[backend]") {
  fixture f;
  datagram_recorder d(f, std::move(*datagram_socket::open(endpoint::unix_datagram(""), {})));
  d.send("to nobody", endpoint::unix_datagram(fresh_name()));
  REQUIRE(f.until([&] { return d.outcomes.size() == 1; }));
  CHECK(d.outcomes[0] == errc::connection_refused);
  CHECK(d.errors.empty());
}

TEST_CASE("datagrams wait while there is no room and are sent when there is", "[backend]") {
  fixture f;
  const auto name = endpoint::unix_datagram(fresh_name());
  auto receiver = datagram_socket::open(name, {});
  REQUIRE(receiver);
  std::vector<datagram_socket> fillers;
  datagram_recorder d(f, std::move(*datagram_socket::open(endpoint::unix_datagram(""), {})));
  std::optional<endpoint> to = name;
  std::size_t filled = 0;
  SECTION("in the queue of a connected receiver") {
    REQUIRE(d.socket.connect(name));
    to.reset();
  }
  SECTION("in the queue of a receiver") {}
  SECTION("in a queue that others filled, so that none of ours is in it") {
    for (auto before = filled + 1; before != filled;) { // one alone may be stopped by its own buffer
      before = filled;
      fillers.push_back(std::move(*datagram_socket::open(endpoint::unix_datagram(""), {})));
      while (fillers.back().send(std::as_bytes(std::span{"full", 4}), &name))
        ++filled;
    }
    REQUIRE(filled > 0);
  }
  constexpr std::size_t count = 400; // a receiver may take no more than ten at a time
  for (std::size_t i = 0; i < count; ++i)
    d.queue.emplace_back(std::to_string(i), to);
  f.io->send(d.which);
  CHECK(f.awakes_during(short_while) <= 40); // it may have to try every few milliseconds
  REQUIRE(d.outcomes.size() < count);
  std::vector<std::string> arrived;
  std::array<std::byte, 100> buffer;
  CHECK(f.until([&] {
    while (auto got = receiver->receive(buffer))
      arrived.emplace_back(reinterpret_cast<const char*>(buffer.data()), got->size);
    return arrived.size() == filled + count;
  }));
  for (std::size_t i = 0; i < count && filled + i < arrived.size(); ++i)
    REQUIRE(arrived[filled + i] == std::to_string(i));
  CHECK(d.outcomes == std::vector<std::error_code>(count));
}

TEST_CASE("what is for a full receiver can be put aside for what is for others, and is tried when it is sent again",
          "[backend]") {
  fixture f;
  const auto full_name = endpoint::unix_datagram(fresh_name()), name = endpoint::unix_datagram(fresh_name());
  auto full = datagram_socket::open(full_name, {}), receiver = datagram_socket::open(name, {});
  REQUIRE(full);
  REQUIRE(receiver);
  datagram_recorder d(f, std::move(*datagram_socket::open(endpoint::unix_datagram(""), {})));
  d.puts_aside = true;
  constexpr std::size_t many = 100; // more than a full one has room for
  for (std::size_t i = 0; i < many; ++i)
    d.queue.emplace_back(std::to_string(i), full_name);
  d.queue.emplace_back("for another one", name);
  f.io->send(d.which);
  std::array<std::byte, 100> buffer;
  REQUIRE(f.until([&] { return d.queue.empty(); }));
  REQUIRE(receiver->receive(buffer));
  REQUIRE_FALSE(d.aside.empty());
  const auto sent = d.outcomes.size();
  CHECK(sent + d.aside.size() == many + 1);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence); // it waits for a `send`
  std::size_t arrived = 0;
  const auto take = [&] {
    while (auto got = full->receive(buffer))
      CHECK(std::string{reinterpret_cast<const char*>(buffer.data()), got->size} == std::to_string(arrived++));
  };
  CHECK(f.until([&] {
    take();
    if (d.queue.empty())
      std::swap(d.queue, d.aside);
    f.io->send(d.which);
    return arrived == many;
  }));
  CHECK(d.outcomes == std::vector<std::error_code>(many + 1));
}

TEST_CASE("one who always has a datagram to send leaves the others their turn", "[backend]") {
  fixture f;
  datagram_recorder d(f);
  auto [ours, theirs] = stream_pair();
  stream_recorder calm(f, std::move(ours));
  calm.read();
  theirs.send_all("x");
  d.hook = [&](std::string_view what) {
    if (what == "next" && d.outcomes.size() < 100'000 && calm.received.empty())
      d.queue.emplace_back("x", udp_at(d.port()));
  };
  f.io->send(d.which);
  CHECK(d.outcomes.size() < 1'000);
  CHECK(f.until([&] { return !calm.received.empty() && d.queue.empty(); }));
  CHECK(d.outcomes.size() < 10'000);
}

TEST_CASE("a datagram socket can be closed from within each of its completions", "[backend]") {
  const baseline before;
  fixture f;
  const std::string last = GENERATE("datagram", "receive_error", "next", "datagram_sent");
  const auto reading = GENERATE(false, true);
  if (last == "datagram" && !reading)
    return;
  datagram_recorder d(f);
  auto gone = std::make_unique<udp_peer>();
  const auto port_without_receiver = gone->port();
  gone.reset();
  REQUIRE(d.socket.connect(udp_at(last == "datagram" ? d.port() : port_without_receiver)));
  if (reading)
    f.io->start_reading(d.which);
  d.hook = [&](std::string_view what) {
    if (what == last) {
      d.close();
      d.socket.close();
    }
  };
  d.send("one", std::nullopt);
  if (!d.closed)
    d.send("two", std::nullopt);
  CHECK(f.until([&] { return d.closed; }));
  f.poll(0ms);
}

TEST_CASE("a datagram socket can be closed when it is told that a receiver is full", "[backend]") {
  const baseline before;
  fixture f;
  const auto name = endpoint::unix_datagram(fresh_name());
  const auto receiver = datagram_socket::open(name, {});
  REQUIRE(receiver);
  datagram_recorder d(f, std::move(*datagram_socket::open(endpoint::unix_datagram(""), {})));
  d.puts_aside = GENERATE(false, true);
  d.hook = [&](std::string_view what) {
    if (what == "receiver_full") {
      d.close();
      d.socket.close();
    }
  };
  for (int i = 0; i < 1'000 && !d.closed; ++i)
    d.send("x", name);
  CHECK(f.until([&] { return d.closed; }));
  f.poll(0ms);
}

// -- waiting -----------------------------------------------------------------------------------------

TEST_CASE("a wake from another thread ends a poll that waits for ever", "[backend]") {
  fixture f;
  for (int i = 0; i < 100; ++i) {
    std::thread other([&] { f.io->wake(); });
    f.poll(std::nullopt);
    other.join();
  }
  CHECK(f.awakes == 100);
}

TEST_CASE("a wake before a poll ends it at once, and only that one", "[backend]") {
  fixture f;
  f.io->wake();
  f.io->wake();
  f.poll(std::nullopt);
  CHECK(f.awakes == 1);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
}

TEST_CASE("a poll waits no less than it was asked to, and not at all for zero", "[backend]") {
  fixture f;
  for (const duration wait : {duration{100us}, duration{1ms}, duration{1500us}, duration{2'000'001ns}}) {
    const auto begin = std::chrono::steady_clock::now();
    f.poll(wait);
    CHECK(std::chrono::steady_clock::now() - begin >= wait);
  }
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1'000; ++i)
    f.poll(0ns);
  CHECK(std::chrono::steady_clock::now() - begin < 1s);
}

// -- an unfriendly kernel -----------------------------------------------------------------------------

TEST_CASE("interrupted calls, single bytes and false alarms change nothing", "[backend]") {
  const baseline before;
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  {
    fixture f(faults::injected);
    if (!f.io)
      return;
    const auto fault = GENERATE(as<std::string>{}, "interrupted", "single bytes", "false alarms");
    CAPTURE(fault);
    if (fault == "interrupted")
      kernel.interrupt_every_second_call();
    if (fault == "single bytes") {
      kernel.limit_read(1, true);
      kernel.limit_write(1, true);
    }
    const std::size_t size = fault == "single bytes" ? 3'000 : 300'000;
    listener_recorder l(f);
    auto begun = stream_socket::begin_connect(tcp_at(l.port()), std::nullopt, {});
    REQUIRE(begun);
    connect_recorder c(f, std::move(begun->socket));
    REQUIRE(f.until([&] { return c.times == 1 && l.accepted.size() == 1; }));
    CHECK_FALSE(c.cause);
    c.close();
    stream_recorder near(f, std::move(c.socket));
    stream_recorder far(f, std::move(l.accepted[0]));
    datagram_recorder d(f);
    near.read();
    far.read();
    f.io->start_reading(d.which);
    near.send(text_of(size, 1));
    far.send(text_of(size, 2));
    for (int i = 0; i < 50; ++i)
      d.send(std::to_string(i), udp_at(d.port()));
    CHECK(f.until([&] {
      if (fault == "false alarms")
        for (const auto fd : {near.socket.fd(), far.socket.fd(), l.socket.fd(), d.socket.fd()})
          CHECK(kernel.spurious_readiness(fd));
      return near.received.size() == size && far.received.size() == size && d.received.size() == 50;
    }));
    CHECK(same(near.received, text_of(size, 2)));
    CHECK(same(far.received, text_of(size, 1)));
    REQUIRE(near.socket.shutdown_write());
    CHECK(f.until([&] { return far.ends == 1; }));
    CHECK_FALSE(far.end_cause);
    CHECK(near.ends == 0);
    CHECK(near.hang_ups + far.hang_ups + near.send_failures + far.send_failures == 0);
    CHECK(l.accepted.size() == 1);
    CHECK(l.failures.empty());
    CHECK(d.errors.empty());
  }
  CHECK(kernel.violations().empty());
  CHECK(kernel.open_descriptors().empty());
}

TEST_CASE("false alarms on a connect that is under way are not taken for its end", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  // A listener whose backlog is full drops the handshake of the next one.
  listening_peer listener({}, 0);
  std::vector<stream_socket> waiting;
  std::unique_ptr<connect_recorder> c;
  for (int i = 0; i < 10 && !c; ++i) {
    auto begun = stream_socket::begin_connect(tcp_at(listener.port()), std::nullopt, {});
    REQUIRE(begun);
    if (begun->socket.finish_connect())
      waiting.push_back(std::move(begun->socket));
    else
      c = std::make_unique<connect_recorder>(f, std::move(begun->socket));
  }
  REQUIRE(c);
  for (int i = 0; i < 10; ++i) {
    CHECK(kernel.spurious_readiness(c->socket.fd()));
    f.poll(1ms);
  }
  CHECK(c->times == 0);
}

TEST_CASE("a false alarm after a hang-up does not tell it again", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  auto [ours, theirs] = stream_pair();
  stream_recorder s(f, std::move(ours));
  const auto bytes_wait = GENERATE(false, true);
  if (bytes_wait)
    theirs.send_all("unread");
  theirs.reset();
  REQUIRE(f.until([&] { return s.hang_ups + s.ends > 0; }));
  for (int i = 0; i < 10; ++i) {
    CHECK(kernel.spurious_readiness(s.socket.fd()));
    f.poll(1ms);
  }
  CHECK(s.hang_ups + s.ends == 1);
}
