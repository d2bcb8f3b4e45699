// Who is slower than the other side: peers that do not read, and handlers that do not let go of what they got.
#include "support/actor_world.hpp"
#include "support/peers.hpp"
#include "support/position_stream.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

using namespace actnet;
using namespace actnet::test;

namespace {

/// One connection with its owner in a world of one loop. Its peer has little room.
struct slow_peer_stage {
  explicit slow_peer_stage(connection_options options, peer_options far = {}, net::clock* time = nullptr)
      : world(1, time), pair(far), owner(world.spawn(log)), conn(world.adopt(pair, owner, options)) {}

  /// In the owner's turn.
  template <class F>
  void own(F what) {
    world.in(owner, [&](probe& self) { what(self); });
  }

  actor_world world;
  journal_ptr log = make_journal();
  connected_pair pair;
  caf::actor owner;
  connection conn;
};

constexpr peer_options narrow{.receive_buffer_bytes = 4'096};

/// The rate limit of the log counts by a clock that a test moves.
struct log_time {
  explicit log_time(net::clock& time) { net::set_log_clock(time); }
  ~log_time() { net::set_log_clock(net::monotonic_clock::instance()); }
};

/// Writes the position stream in pieces, far more in a turn than there is room for. What was refused it writes again
/// when it is told that there is room.
class producer final : public handler {
 public:
  static constexpr std::size_t piece_bytes = 16'384;
  static constexpr std::uint64_t pieces_per_turn = 100;

  producer(caf::actor_config& cfg, std::uint64_t pieces, journal_ptr log)
      : handler(cfg), pieces_(pieces), log_(std::move(log)) {}

  caf::behavior make_behavior() override {
    return {
        [this](const accepted& a) {
          to_ = a.connection;
          flood();
        },
        [this](const stream::written& w) {
          if (w.cause)
            refused(w);
          else if (w.token != ++written_)
            log_->add("written out of order");
          if (written_ == pieces_)
            log_->add("done");
        },
        [this](const stream::writable&) {
          log_->add("writable");
          refused_ = 0;
          flood();
        },
        [this](const stream::closed& c) { log_->add("closed " + std::string{to_string(c.reason)}); },
    };
  }

 private:
  void flood() {
    for (std::uint64_t i = 0; i < pieces_per_turn && next_ < pieces_; ++i) {
      const auto bytes = stream_.bytes(piece_bytes, next_ * piece_bytes);
      to_.write(net::bytes::copy(bytes.data(), bytes.size()), ++next_);
    }
  }

  /// Once one is refused, so is all that was written after it.
  void refused(const stream::written& w) {
    if (refused_ == 0) {
      log_->add(with_cause("refused", w.cause));
      refused_ = next_ = w.token;
      --next_;
    } else if (w.token != ++refused_) {
      log_->add("refused out of order");
    }
  }

  connection to_;
  const std::uint64_t pieces_;
  journal_ptr log_;
  position_stream stream_;
  std::uint64_t next_ = 0;    // piece to be written; its token is one more
  std::uint64_t refused_ = 0; // the latest token refused since there was room
  std::uint64_t written_ = 0;
};

class echo final : public handler {
 public:
  echo(caf::actor_config& cfg, connection c) : handler(cfg), peer_(std::move(c)) {}
  caf::behavior make_behavior() override {
    return {[this](const stream::received& r) { peer_.write(r.payload); }};
  }

 private:
  connection peer_;
};

/// Answers each byte with many.
class amplifier final : public handler {
 public:
  static constexpr std::size_t answer_bytes = 50'000;

  amplifier(caf::actor_config& cfg, connection c, journal_ptr log)
      : handler(cfg), peer_(std::move(c)), log_(std::move(log)) {}
  caf::behavior make_behavior() override {
    return {[this](const stream::received& r) {
              log_->add("asked");
              peer_.write(std::string(r.payload.size() * answer_bytes, 'a'));
            },
            [this](const stream::written& w) { log_->add(with_cause("refused", w.cause)); }};
  }

 private:
  connection peer_;
  journal_ptr log_;
};

} // namespace

TEST_CASE("a peer that does not read is closed, if that is the policy, and each write has its outcome", "[slow_peer]") {
  connection_options options;
  options.write_high_bytes = 200'000;
  options.when_slow = slow_peer::close;
  slow_peer_stage s{options, narrow};
  const auto other_log = make_journal();
  const auto other = s.world.spawn(other_log);
  constexpr std::size_t size = 8'000'000;
  s.own([&](probe&) {
    s.conn.write(std::string(size, 'x'), 1); // any size while it is below
    s.conn.flush(2);
  });
  REQUIRE(eventually([&] { return s.world.info(s.conn).bytes_sent > 0; }));
  s.world.in(other, [&](probe&) {
    s.conn.write("one too many", 3);
    s.conn.write("silent");
    s.conn.write("too late", 4);
  });
  s.log->expect(with_cause("closed error", errc::queue_full));
  other_log->expect(with_cause("written 4 0", errc::closed));
  const auto sent = s.world.info(s.conn).bytes_sent;
  CHECK(sent < size);
  CHECK(s.log->lines() == std::vector{with_cause("written 1 " + std::to_string(sent), errc::queue_full),
                                      with_cause("written 2 0", errc::queue_full),
                                      with_cause("closed error", errc::queue_full)});
  CHECK(other_log->lines() == std::vector{with_cause("written 3 0", errc::queue_full),
                                          with_cause("written 0 0", errc::closed),
                                          with_cause("written 4 0", errc::closed)});
  CHECK(s.pair.far.await_end() == ending::reset);
  CHECK(s.world.ask<stream::written>(s.conn, stream::write{net::bytes::copy("x"), 5}).second == errc::closed);
}

TEST_CASE("a handler that lets go of nothing is named in the log, and at last its connection is closed",
          "[slow_peer]") {
  net::manual_clock time;
  captured_log log;
  const log_time counted_by{time};
  connection_options options;
  options.read_credit_bytes = 128 * 1024;
  options.credit_stall_warning = 5s;
  options.credit_stall_limit = 60s;
  slow_peer_stage s{options, {}, &time};
  s.own([](probe& self) { self.keeps = true; });
  flooding_peer flood{std::move(s.pair.far)};
  const auto starve = [&] { REQUIRE(eventually([&] { return s.world.info(s.conn).starved; })); };
  const auto warning = [&] {
    return "credit-stall: a connection has read nothing for a while: actnet::test::probe#" +
           std::to_string(s.owner.id()) + " holds " + std::to_string(s.world.info(s.conn).credit_outstanding) +
           " bytes of received data";
  };
  const auto pass = [&](std::chrono::milliseconds by) {
    time.advance(by);
    s.world.settle();
  };
  starve();
  pass(4'999ms);
  CHECK(log.lines.count_like("credit-stall") == 0);
  pass(1ms);
  log.lines.expect(warning());
  SECTION("it is closed at the limit") {
    pass(54'999ms);
    CHECK(s.log->count_like("closed") == 0);
    pass(1ms);
    s.log->expect(with_cause("closed error", errc::credit_stalled));
    CHECK(log.lines.count_like("credit-stall") == 1);
    CHECK(eventually([&] { return flood.was_refused(); }));
  }
  SECTION("it goes on when credit returns, and the time begins anew") {
    pass(54'999ms);
    const auto before = s.world.info(s.conn).bytes_received;
    s.own([](probe& self) { self.kept.clear(); });
    s.world.await_read(s.conn, before + 1);
    starve();
    pass(4'999ms);
    CHECK(log.lines.count_like("credit-stall") == 1);
    pass(1ms);
    log.lines.expect_like("credit-stall", 2);
    CHECK(s.log->count_like("closed") == 0);
  }
}

TEST_CASE("a producer that floods a slow reader fills the queue and no more, and harms nobody on its loop",
          "[slow_peer]") {
  constexpr std::uint64_t pieces = 200;
  constexpr std::size_t total = pieces * producer::piece_bytes;
  constexpr std::size_t step = 32'768;
  connection_options options;
  options.write_low_bytes = 64 * 1024;
  options.write_high_bytes = 256 * 1024;
  actor_world world;
  const auto log = make_journal(), door_log = make_journal();
  const auto door = world.spawn(door_log);
  world.in(door, [](probe& self) { self.listen("127.0.0.1:0").each<echo>(); });
  door_log->expect("listening");
  std::vector<peer> bystanders;
  for (int i = 0; i < 8; ++i)
    bystanders.emplace_back(world.port_of(door));

  connected_pair pair{narrow};
  const auto who = world.owned(spawn_on<producer>(world.loop(), pieces, log));
  const auto conn = world.adopt(pair, who, options);
  REQUIRE(world.ask<caf::ok_atom>(conn, stream::set_options{{{net::send_buffer{16'384}}}}).first);
  caf::anon_send(who, accepted{conn, {}, {}});
  log->expect(with_cause("refused", errc::queue_full));

  std::uint64_t queued_max = 0;
  position_checker right;
  for (std::size_t got = 0; got < total; got += step) {
    for (auto& each : bystanders) {
      each.send_all("still there?");
      REQUIRE(each.read_exactly(12) == "still there?");
    }
    queued_max = std::max(queued_max, world.info(conn).queued_bytes);
    REQUIRE(right.feed(pair.far.read_exactly(step)));
  }
  log->expect("done");
  CHECK(queued_max <= options.write_high_bytes + producer::piece_bytes);
  CHECK(queued_max > options.write_high_bytes - 2 * producer::piece_bytes);
  const auto info = world.info(conn);
  CHECK(info.writes_done == pieces);
  CHECK(info.writes_refused == info.writes_failed);
  CHECK(info.bytes_sent == total);
  pair.far.close();
  log->expect_like("closed");

  // Each time that it was refused it was told when there was room; and perhaps at the end, when nothing was refused.
  auto lines = log->lines();
  std::erase(lines, "done");
  const auto events = lines.size() - 1;
  CHECK(events > 10);
  for (std::size_t i = 0; i < events; ++i)
    CHECK((lines[i] == "writable") == (i % 2 == 1 || i + 1 == events));
  CHECK(lines[0] == with_cause("refused", errc::queue_full));
  CHECK(lines.back() == "closed peer_finished");
}

TEST_CASE("an accepted connection with a handler pauses by itself for a peer that asks and does not read",
          "[slow_peer]") {
  actor_world world;
  const auto log = make_journal(), door_log = make_journal();
  const auto door = world.spawn(door_log);
  listen_options options;
  options.connection.write_high_bytes = 200'000;
  options.sockets.list.push_back(net::send_buffer{16'384});
  world.in(door, [&](probe& self) { self.listen("127.0.0.1:0", options).each<amplifier>(log); });
  door_log->expect("listening");
  peer asking{world.port_of(door), narrow};
  constexpr std::size_t questions = 40;
  for (std::size_t i = 0; i < questions; ++i) {
    asking.send_all("?");
    world.settle();
  }
  CHECK(log->count("asked") < 12);
  CHECK(asking.read_exactly(questions * amplifier::answer_bytes).size() == questions * amplifier::answer_bytes);
  CHECK(log->count_like("refused") == 0);
}

TEST_CASE("empty writes take room like any other where a codec makes frames of them", "[slow_peer]") { // F39
  const auto how = *net::framing::parse(GENERATE("line", "pkg2"));
  connection_options options;
  options.write_high_bytes = 20'000;
  options.write_low_bytes = 10'000;
  slow_peer_stage s{options, narrow};
  constexpr std::uint64_t count = 2'000;
  s.own([&](probe&) {
    s.conn.use_codec(how);
    for (std::uint64_t i = 1; i <= count; ++i)
      s.conn.write("", i);
  });
  REQUIRE(eventually([&] { return s.world.info(s.conn).writes_refused > 0; }));
  REQUIRE(eventually([&] { return s.log->count_like("written") == count; }));
  const auto most = options.write_high_bytes / net::connection::item_overhead_bytes + 1;
  CHECK(s.world.info(s.conn).writes_done <= most);
  CHECK(s.world.info(s.conn).writes_done >= most / 2);
  s.own([&](probe&) { s.conn.write("", count + 1); }); // what they took is given back
  s.log->expect_like("written " + std::to_string(count + 1));
  CHECK(s.world.info(s.conn).writes_done > most / 2);
  CHECK(s.world.info(s.conn).queued_bytes == 0);
}

TEST_CASE("what frames are made of is charged until they are sent: a client that is only late gets all its answers",
          "[slow_peer]") {
  connection_options options;
  options.read_credit_bytes = 20'000;
  options.write_high_bytes = 200'000;
  slow_peer_stage s{options, narrow};
  REQUIRE(
      s.world.ask<caf::ok_atom>(s.conn, stream::set_options{{{net::send_buffer{16'384}, net::receive_buffer{16'384}}}})
          .first);
  s.own([&](probe& self) {
    s.conn.use_codec(net::framing::line());
    self.become(caf::message_handler{[&](const stream::received& r) { s.conn.write(r.payload); }});
  });
  std::string lines;
  for (int i = 0; i < 50'000; ++i)
    lines += std::string(59, 'x') + "\n";
  std::size_t sent = 0;
  std::uint64_t received = 0;
  REQUIRE(eventually([&] { // until it reads nothing more
    sent += s.pair.far.send_some(std::as_bytes(std::span{lines}).subspan(sent));
    s.world.settle();
    const auto now = s.world.info(s.conn);
    return now.starved && now.bytes_sent > 0 && received == std::exchange(received, now.bytes_received);
  }));
  const auto then = s.world.info(s.conn);
  CHECK(then.starved);
  CHECK(then.queued_bytes <= options.read_credit_bytes);
  std::string got;
  std::vector<char> some(65'536);
  REQUIRE(eventually([&] {
    sent += s.pair.far.send_some(std::as_bytes(std::span{lines}).subspan(sent));
    const auto count = ::recv(s.pair.far.fd(), some.data(), some.size(), MSG_DONTWAIT);
    if (count > 0)
      got.append(some.data(), static_cast<std::size_t>(count));
    return got.size() == lines.size();
  }));
  CHECK(got == lines);
  CHECK(s.world.info(s.conn).writes_refused == 0);
  CHECK(s.world.info(s.conn).credit_outstanding == 0);
}
