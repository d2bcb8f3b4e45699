// What the conformance suite of the backends is made of: the backends, a loop that counts, targets that record.
#pragma once

#include "actnet/net/loop/backend.hpp"

#include "actnet/net/loop/epoll_backend.hpp"
#include "support/baseline.hpp"
#include "support/carrier.hpp"
#include "support/catch.hpp"
#include "support/faulty_system_calls.hpp"
#include "support/peer.hpp"
#include "support/peers.hpp"
#include "support/position_stream.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace actnet::test::backend_suite {

using namespace actnet::net;
using namespace std::chrono_literals;

// -- the backends under test -----------------------------------------------------------------

struct tested_backend {
  const char* name;
  result<std::unique_ptr<backend>> (*make)();
  bool uses_system_calls; // so that the faults of `faulty_system_calls` reach it
};

inline constexpr std::array tested_backends{tested_backend{"epoll", make_epoll_backend, true}};

enum class faults { none, injected };

/// A backend and the loop that it thinks it has. `faults::injected` leaves out the backends that they do not reach.
struct fixture final : turns {
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
    const auto end = std::chrono::steady_clock::now() + default_deadline;
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

inline constexpr auto short_while = 40ms;
inline constexpr int awakes_of_silence = 6; // stray ones are allowed; looking for ever brings 8, spinning thousands

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

  void on_received(bytes&& payload) noexcept override {
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
  void on_unread() noexcept override { ++unread; }
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
  bool on_sent(std::size_t count) noexcept override {
    sent += count;
    happened("sent");
    return true;
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
  said_carrier said{socket.transport() == transport::tcp ? carrier::tcp : carrier::local};
  bool reading = false;
  std::string received;
  int ends = 0;
  std::error_code end_cause;
  std::size_t received_before_end = 0;
  int hang_ups = 0;
  int unread = 0;
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

inline endpoint tcp_at(std::uint16_t port) {
  return endpoint::tcp(ip_address::v4(127, 0, 0, 1), port);
}

inline endpoint udp_at(std::uint16_t port) {
  return endpoint::udp(ip_address::v4(127, 0, 0, 1), port);
}

/// An abstract Unix name of this process, another one each time.
inline std::string fresh_name() {
  static int number = 0;
  return "@actnet-test-backend-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
}

/// A receive buffer that was asked for bounds what we can have under way: on Unix it is the sender's to do that.
inline std::pair<stream_socket, peer> stream_pair(peer_options options = {}, carrier over = each_carrier()) {
  if (over == carrier::local) {
    auto both = stream_socket::pair();
    REQUIRE(both);
    const auto room = static_cast<std::size_t>(options.receive_buffer_bytes);
    if (room > 0)
      REQUIRE(both->first.set(send_buffer{room}));
    const auto near = both->first.fd();
    return {std::move(both->first), peer(descriptor(both->second.release()), options, near)};
  }
  listening_peer listener(options);
  auto begun = stream_socket::begin_connect(tcp_at(listener.port()), std::nullopt, {});
  REQUIRE(begun);
  return {std::move(begun->socket), listener.accept()};
}

inline std::string text_of(std::size_t size, std::uint64_t seed = 1) {
  const auto all = position_stream(seed).bytes(size);
  return {reinterpret_cast<const char*>(all.data()), all.size()};
}

/// Compares without printing it all when it fails.
inline bool same(const std::string& a, const std::string& b) {
  return a == b;
}

/// Reads and drops what has arrived.
inline void drain(int fd) {
  std::array<char, 65536> buffer;
  while (::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
  }
}

} // namespace actnet::test::backend_suite
