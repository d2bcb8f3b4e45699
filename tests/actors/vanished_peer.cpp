// Peers that vanish without a word (fault F10): what notices that, and when. Over TCP only: a Unix peer cannot vanish.
#include "support/actor_world.hpp"
#include "support/own_network.hpp"
#include "support/peers.hpp"

#include "actnet/net/socket/system_calls.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <atomic>

using namespace actnet;
using namespace actnet::test;

namespace {

/// A connection whose peer has vanished after it has said hello. Where the system allows no network of its own the peer
/// is merely silent for ever, which without an answer from its kernel comes to the same.
struct vanished_peer_stage {
  explicit vanished_peer_stage(net::clock* time = nullptr, connection_options options = {}) : world(1, time) {
    connected_pair silent;
    auto [near, far] = network.possible() ? network.connect() : std::pair{std::move(silent.near), descriptor{}};
    auto adopted = adopt_connection(world.system(), near.fd(), owner, options);
    REQUIRE(adopted);
    near_fd = near.release();
    conn = *adopted;
    peer.emplace(network.possible() ? actnet::test::peer{std::move(far)} : std::move(silent.far));
    peer->send_all("hello");
    log->expect("received hello");
    if (network.possible())
      network.go_down();
  }

  void own(std::function<void(probe&)> what) { world.in(owner, std::move(what)); }

  /// Of what was written, in bytes; while the connection is open.
  int unacknowledged() const {
    int count = 0;
    REQUIRE(::ioctl(near_fd, SIOCOUTQ, &count) == 0);
    return count;
  }

  own_network network; // before there are threads
  actor_world world;
  journal_ptr log = make_journal();
  std::optional<actnet::test::peer> peer;
  caf::actor owner = world.spawn(log);
  connection conn;
  int near_fd = -1;
};

/// Counts what is set on sockets.
struct counting_options final : net::system_calls {
  int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept override {
    if (level == IPPROTO_TCP && name == TCP_USER_TIMEOUT)
      ++user_timeouts;
    if (level == IPPROTO_TCP && name == TCP_KEEPIDLE)
      ++keep_alives;
    return system_calls::setsockopt(fd, level, name, value, size);
  }

  std::atomic<int> user_timeouts{0}, keep_alives{0};
};

const socket_options noticing{
    {net::user_timeout{300ms}, net::keep_alive{.on = true, .time = 1s, .interval = 1s, .count = 1}}};

} // namespace

TEST_CASE("a peer that vanished is noticed by the idle timeout, in its time", "[vanished-peer]") { // F10
  net::manual_clock time;
  connection_options options;
  options.idle_timeout = 60s;
  vanished_peer_stage s{&time, options};
  time.advance(59s);
  s.world.settle();
  CHECK(s.log->lines().size() == 1);
  time.advance(1s);
  s.log->expect(with_cause("closed idle", errc::idle));
}

TEST_CASE("writes to a peer that vanished succeed until the kernel is full, then the write stall ends them",
          "[vanished-peer]") { // F10
  net::manual_clock time;
  connection_options options;
  options.write_high_bytes = 64'000'000;
  vanished_peer_stage s{&time, options};
  actnet::test::connected_pair pair;
  const auto calm_log = make_journal();
  const auto calm = s.world.spawn(calm_log, [](probe& self, const std::string& line) {
    if (line.starts_with("received "))
      self.peer.write(line.substr(9));
  });
  s.world.in(calm, [&](probe& self) { self.peer = s.world.adopt(pair, calm); });
  constexpr std::uint64_t writes = 200;
  s.own([&](probe&) {
    for (std::uint64_t i = 1; i <= writes; ++i)
      s.conn.write(net::bytes::copy(std::string(100'000, 'x')), i);
  });
  s.world.settle();
  time.advance(1s); // the kernel of the peer was full by then
  s.world.settle();
  time.advance(58s);
  s.world.settle();
  CHECK(s.log->count_like("closed") == 0);
  pair.far.send_all("calm"); // the others do not notice
  CHECK(pair.far.read_exactly(4) == "calm");
  time.advance(2s);
  s.log->expect(with_cause("closed error", errc::write_stalled));
  CHECK(s.log->count_like("written ") == writes);
  CHECK(s.log->count_like("written 1 100000") > 0);
  CHECK(s.log->lines().back().starts_with("closed"));
}

TEST_CASE("a close does not wait for a peer that vanished beyond its timeouts", "[vanished-peer]") { // F10
  net::manual_clock time;
  vanished_peer_stage s{&time};
  s.own([&](probe&) {
    s.conn.write("last words");
    s.conn.close();
  });
  s.world.settle();
  const auto taken = !s.network.possible(); // then the peer's kernel is there, and its program does not end
  if (taken)
    REQUIRE(eventually([&] { return s.unacknowledged() == 0; })); // it may delay that by 40 ms, of no manual clock
  time.advance(1s);
  s.world.settle();
  time.advance(taken ? 3s : 58s);
  s.world.settle();
  CHECK(s.log->count_like("closed") == 0);
  time.advance(2s);
  s.log->expect(with_cause("closed requested", taken ? errc::timed_out : errc::write_stalled));
}

TEST_CASE("TCP_USER_TIMEOUT notices a peer that vanished while something was written to it", "[vanished-peer]") { // F10
  vanished_peer_stage s;
  if (!s.network.possible())
    return;
  CHECK(s.world.ask<caf::ok_atom>(s.conn, stream::set_options{{{noticing.list[0]}}}).first);
  s.own([&](probe&) { s.conn.write("is there anybody", 1); });
  s.log->expect("written 1 16");
  s.log->expect(with_cause("closed error", errc::timed_out)); // about 0.7 s: with the second retransmission
}

TEST_CASE("keep-alive notices a peer that vanished while nothing happened", "[vanished-peer]") { // F10
  vanished_peer_stage s;
  if (!s.network.possible())
    return;
  CHECK(s.world.ask<caf::ok_atom>(s.conn, stream::set_options{{{noticing.list[1]}}}).first);
  s.log->expect(with_cause("closed error", errc::timed_out)); // 2 s: the idle time and one probe
}

TEST_CASE("the options that notice it are set on connections that are made and accepted", "[vanished-peer]") {
  counting_options calls;
  const net::replaced_system_calls replaced{calls};
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  listen_options in;
  in.sockets = noticing;
  world.in(owner, [&](probe& self) { self.listen("127.0.0.1:0", in).start(); });
  log->expect("listening");
  CHECK(calls.user_timeouts + calls.keep_alives == 0);
  const peer far{world.port_of(owner)};
  log->expect("accepted");
  CHECK(calls.user_timeouts == 1);
  CHECK(calls.keep_alives == 1);
  world.of(owner, [](probe& self) { return self.peer; }).abort();
  listening_peer server;
  connect_options out;
  out.sockets = noticing;
  world.in(owner, [&](probe& self) { self.connect_to(server.address(), out).start(); });
  log->expect("connected");
  CHECK(calls.user_timeouts == 2);
  CHECK(calls.keep_alives == 2);
}
