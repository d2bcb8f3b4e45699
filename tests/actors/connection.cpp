// Connections as their owners and their writers see them: outcomes, refusals, reading, ending, owners, time.
#include "support/actor_world.hpp"
#include "support/peers.hpp"
#include "support/position_stream.hpp"

#include <sys/mman.h>
#include <unistd.h>

using namespace actnet;
using namespace actnet::test;

namespace {

connection_options half_open() {
  connection_options options;
  options.allow_half_open = true;
  return options;
}

/// One connection with its owner in a world of one loop.
struct connection_stage {
  explicit connection_stage(connection_options options = half_open(), peer_options far = {}, net::clock* time = nullptr,
                            carrier over = each_carrier())
      : world(1, time), pair(far, over), owner(world.spawn(log)), conn(world.adopt(pair, owner, options)) {}

  /// In the owner's turn.
  template <class F>
  void own(F what) {
    world.in(owner, [&](probe& self) { what(self); });
  }

  actor_world world;
  journal_ptr log = make_journal();
  connected_pair pair{each_carrier()};
  caf::actor owner;
  connection conn;
};

constexpr peer_options narrow{.receive_buffer_bytes = 4'096};

std::string coded(std::size_t size) {
  const auto all = position_stream{1}.bytes(size);
  return {reinterpret_cast<const char*>(all.data()), all.size()};
}

} // namespace

TEST_CASE("a text of more than 2 GiB is an error of its write, and the connection goes on", "[connection]") {
  constexpr std::size_t size = 5ull << 30;
  // Nobody may touch it, and it takes no memory.
  const auto memory = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    WARN("no room for so many addresses");
    return;
  }
  const std::string_view text{static_cast<const char*>(memory), size};
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  connected_pair pair;
  const auto conn = world.adopt(pair, owner);
  const auto framed = GENERATE(false, true);
  world.in(owner, [&](probe&) {
    if (framed)
      conn.use_codec(net::framing::line());
    conn.write(text, 1);
    conn.write("hello", 2);
  });
  CHECK(pair.far.read_exactly(5) == "hello");
  log->expect_like("written 2");
  CHECK(log->lines()[0] == with_cause("written 1 0", errc::message_too_large));
  ::munmap(memory, size);
}

TEST_CASE("every write, flush and finish has its outcome, in order", "[connection]") {
  connection_stage s;
  s.own([&](probe&) {
    s.conn.write("one", 1);
    s.conn.write("silent");
    s.conn.write("", 2);
    s.conn.flush(3);
    s.conn.flush(0);
    s.conn.write("three", 4);
    s.conn.finish();
    s.conn.write("late", 5);
  });
  CHECK(s.pair.far.read_to_end() == "onesilentthree");
  s.log->expect("finished");
  const auto late = with_cause("written 5 0", errc::finished); // a refusal may overtake
  s.log->expect(late);
  auto lines = s.log->lines();
  std::erase(lines, late);
  CHECK(lines == std::vector<std::string>{"written 1 3", "written 2 0", "written 3 0", "written 4 5", "finished"});
}

TEST_CASE("commands sent as requests are answered", "[connection]") {
  connection_stage s;
  const auto text = net::bytes::copy("hello");
  const auto done = s.world.ask<stream::written>(s.conn, stream::write{text, 5});
  REQUIRE(done.first);
  CHECK(done.first->token == 5);
  CHECK(done.first->bytes == 5);
  CHECK(s.world.ask<stream::written>(s.conn, stream::flush{6}).first->token == 6);
  CHECK(s.world.ask<caf::ok_atom>(s.conn, stream::pause_reading{}).first);
  CHECK(s.world.info(s.conn).reading_paused);
  CHECK(s.world.ask<caf::ok_atom>(s.conn, stream::resume_reading{}).first);
  CHECK(s.world.ask<caf::ok_atom>(s.conn, stream::set_deadline{1h}).first);
  CHECK(s.world.info(s.conn).deadline_in > 59min);
  CHECK(s.world.ask<caf::ok_atom>(s.conn, stream::set_idle_timeout{1h}).first);
  const stream::set_options room{{{net::send_buffer{100'000}, net::send_buffer{200'000}}}};
  CHECK(s.world.ask<caf::ok_atom>(s.conn, room).first);
  CHECK(s.world.ask<caf::ok_atom>(s.conn, stream::set_owner{}).second == errc::invalid_argument);
  CHECK(s.world.ask<stream::finished>(s.conn, stream::finish{}).first);
  CHECK(s.pair.far.read_to_end() == "hello");
  CHECK(s.world.ask<stream::finished>(s.conn, stream::finish{}).second == errc::finished);
  CHECK(s.world.ask<caf::ok_atom>(s.conn, stream::close{}).first);
}

TEST_CASE("a write that was cut short says how much of it went", "[connection]") {
  auto options = half_open();
  options.write_high_bytes = 64'000'000;
  connection_stage s{options, narrow};
  std::promise<caf::error> answer;
  s.own([&](probe& self) {
    s.conn.request(&self, stream::write{net::bytes::copy(std::string(8'000'000, 'x')), 1})
        .then([](const stream::written&) {}, [&](caf::error& e) { answer.set_value(e); });
  });
  s.pair.far.read_exactly(1'000);
  s.own([&](probe&) { s.conn.write("behind", 2); });
  s.pair.far.reset();
  auto failed = answer.get_future();
  REQUIRE(failed.wait_for(default_deadline) == std::future_status::ready);
  const auto error = failed.get();
  CHECK(error == errc::connection_reset);
  CHECK(bytes_of(error) >= 1'000);
  CHECK(bytes_of(error) < 8'000'000);
  s.log->expect(with_cause("written 2 0", errc::connection_reset));
  s.log->expect(with_cause("closed peer_reset", errc::connection_reset));
}

TEST_CASE("above the high mark writes are refused, and all who were refused hear when there is room", "[connection]") {
  auto options = half_open();
  options.write_low_bytes = 500;
  options.write_high_bytes = 1'000;
  connection_stage s{options, narrow};
  const auto other_log = make_journal(), idle_log = make_journal();
  const auto other = s.world.spawn(other_log), idle = s.world.spawn(idle_log);
  constexpr std::size_t size = 8'000'000;
  s.own([&](probe&) {
    s.conn.write(coded(size), 1); // any size while it is below
    s.conn.write("refused", 2);
    s.conn.write("refused and silent");
    s.conn.flush(3); // needs no room
  });
  s.world.in(other, [&](probe&) {
    s.conn.write("refused", 4);
    s.conn.write("refused", 5);
  });
  s.log->expect(with_cause("written 2 0", errc::queue_full));
  s.log->expect(with_cause("written 0 0", errc::queue_full));
  other_log->expect(with_cause("written 5 0", errc::queue_full));
  CHECK(s.world.info(s.conn).writes_refused == 4);
  CHECK(s.world.ask<stream::written>(s.conn, stream::write{net::bytes::copy("x"), 6}).second == errc::queue_full);
  position_checker right;
  CHECK(right.feed(s.pair.far.read_exactly(size)));
  s.log->expect("writable");
  other_log->expect("writable");
  s.own([&](probe&) { s.conn.write("again", 7); });
  CHECK(s.pair.far.read_exactly(5) == "again");
  s.log->expect("written 7 5");
  CHECK(s.log->count("writable") == 1);
  CHECK(other_log->count("writable") == 1);
  CHECK(idle_log->lines().empty());
  CHECK(s.log->count("written 1 8000000") == 1);
}

TEST_CASE("a paused connection delivers nothing, and all of it when resumed", "[connection]") {
  connection_stage s;
  s.own([&](probe&) { s.conn.pause_reading(); });
  s.pair.far.send_all("while paused");
  s.world.settle();
  CHECK(s.log->lines().empty());
  s.own([&](probe&) { s.conn.resume_reading(); });
  s.log->expect("received while paused");
}

TEST_CASE("what comes after stop_reading is dropped, and the peer's end is told", "[connection]") {
  connection_stage s;
  s.own([&](probe&) { s.conn.stop_reading(); });
  s.pair.far.send_all("nobody listens");
  s.world.await_read(s.conn, 14);
  s.pair.far.finish();
  s.log->expect("peer_finished");
  CHECK(s.log->lines().size() == 1);
}

TEST_CASE("without allow_half_open the peer's end closes, after what the handler writes in reply", "[connection]") {
  const std::size_t loop_count = GENERATE(1u, 2u); // the owner idle on the same loop, and the owner elsewhere
  actor_world world{loop_count};
  const auto log = make_journal();
  const auto owner = world.spawn(log, [](probe& self, const std::string& line) {
    if (line == "peer_finished")
      self.peer.write("goodbye");
  });
  connected_pair pair{each_carrier()};
  for (std::size_t i = 1; i < loop_count; ++i)
    (void)loops::of(world.system()).next(); // so that the connection lives on the other loop
  world.in(owner, [&](probe& self) { self.peer = world.adopt(pair, owner); });
  pair.far.finish();
  CHECK(pair.far.read_to_end() == "goodbye");
  log->expect("closed peer_finished");
  CHECK(log->lines() == std::vector<std::string>{"peer_finished", "closed peer_finished"});
}

TEST_CASE("with allow_half_open writing goes on after the peer's end, until both have finished", "[connection]") {
  connection_stage s;
  s.pair.far.finish();
  s.log->expect("peer_finished");
  s.own([&](probe&) { s.conn.write("still here"); });
  CHECK(s.pair.far.read_exactly(10) == "still here");
  s.own([&](probe&) { s.conn.finish(); });
  s.log->expect("closed both_finished");
  CHECK(s.pair.far.read_to_end().empty());
}

TEST_CASE("close delivers what was written, abort does not, and both say so", "[connection]") {
  connection_stage s;
  s.pair.far.send_all("unread");
  s.own([&](probe&) {
    s.conn.write(coded(300'000));
    s.conn.close();
    s.conn.write("late", 1);
  });
  CHECK(s.pair.far.read_to_end().size() == 300'000);
  s.pair.far.close();
  s.log->expect("closed requested");
  CHECK(s.log->lines().back() == "closed requested");
}

TEST_CASE("what is written after a close in the same turn comes too late, however it was asked for", "[connection]") {
  const std::string how = GENERATE("by a message", "by a request", "behind what waits for the end of the turn");
  INFO(how);
  connection_stage s;
  s.own([&](probe& self) {
    s.conn.write("before", 1);
    if (how.starts_with("behind"))
      s.conn.set_deadline(1h);
    if (how == "by a request")
      s.conn.request(&self, stream::close{}).then([](caf::ok_atom) {});
    else
      s.conn.close();
    s.conn.write("after", 2);
  });
  CHECK(s.pair.far.read_to_end() == "before");
  s.log->expect(with_cause("written 2 0", errc::closed));
  s.pair.far.close();
  s.log->expect("closed requested");
}

TEST_CASE("the owner's end ends the connection: normally by a close, otherwise by a reset", "[connection]") {
  const auto reason = GENERATE(caf::exit_reason::user_shutdown, caf::exit_reason::kill);
  connection_stage s;
  s.own([&](probe&) { s.conn.write("before"); });
  CHECK(s.pair.far.read_exactly(6) == "before");
  s.world.kill(s.owner, reason);
  CHECK(s.pair.far.await_end() == (reason == caf::exit_reason::kill ? ending_of_abort(s.pair.over) : ending::finished));
  s.pair.far.close();
}

TEST_CASE("a connection gets a new owner, and the answer is the last thing that the old one hears", "[connection]") {
  connection_stage s;
  const auto log = make_journal();
  const auto heir = s.world.spawn(log);
  s.own([&](probe& self) {
    s.conn.request(&self, stream::set_owner{caf::actor_cast<caf::strong_actor_ptr>(heir)}).then([&self](caf::ok_atom) {
      self.note("handed over");
    });
  });
  s.log->expect("handed over");
  s.pair.far.send_all("for the heir");
  log->expect("received for the heir");
  s.world.kill(s.owner); // it no longer matters
  s.world.settle();
  s.pair.far.reset();
  log->expect(with_cause("closed peer_reset", errc::connection_reset));
  CHECK(s.log->lines() == std::vector<std::string>{"handed over"});
}

TEST_CASE("a new owner hears of the peer's end that came before it, and may go on writing", "[connection]") {
  connection_stage s;
  const auto log = make_journal();
  const auto heir = s.world.spawn(log);
  s.pair.far.finish();
  s.log->expect("peer_finished");
  s.own([&](probe&) { s.conn.set_owner(heir); });
  log->expect("peer_finished");
  s.world.in(heir, [&](probe&) {
    s.conn.write("from the heir");
    s.conn.finish();
  });
  CHECK(s.pair.far.read_to_end() == "from the heir");
  log->expect("closed both_finished");
  CHECK(s.log->lines() == std::vector<std::string>{"peer_finished"});
}

TEST_CASE("a peer's end that the old owner has not looked at is the new owner's to deal with", "[connection]") {
  actor_world world{2};
  const auto old_log = make_journal(), log = make_journal();
  const auto owner = world.spawn(old_log, {}, 1), heir = world.spawn(log);
  std::promise<void> go_on;
  connected_pair pair{each_carrier()};
  const auto conn = world.adopt(pair, owner);
  REQUIRE(world.info(conn).state == net::connection_state::open);
  std::promise<void> busy;
  caf::anon_send(owner, perform{[&](probe&) {
                   busy.set_value();
                   go_on.get_future().wait();
                 }});
  busy.get_future().wait();
  pair.far.finish();
  CHECK(eventually([&] { return world.info(conn).state == net::connection_state::peer_finished; }));
  world.in(heir, [&](probe&) { conn.set_owner(heir); });
  log->expect("closed peer_finished");
  CHECK(log->lines() == std::vector<std::string>{"peer_finished", "closed peer_finished"});
  go_on.set_value();
  old_log->expect("peer_finished");
}

TEST_CASE("an accepted connection waits for its owner, and is aborted when none comes in time", "[connection]") {
  const auto over = each_carrier();
  const said_carrier said{over};
  net::manual_clock time;
  actor_world world{1, &time};
  const auto log = make_journal(), late_log = make_journal();
  const auto boss = world.spawn(log);
  const auto late = world.spawn(late_log);
  listen_options options;
  options.connection.handshake_deadline = 5s;
  world.in(boss, [&](probe& self) { self.listen(fresh_address(over), options).start(); });
  log->expect("listening");
  const auto there = world.address_of(boss);
  peer claimed{there}, unclaimed{there};
  claimed.send_all("early");
  log->expect("accepted", 2);
  time.advance(4s);
  world.in(boss, [&](probe& self) { self.accepted_connections[0].set_owner(late); });
  late_log->expect("received early");
  time.advance(2s);
  CHECK(unclaimed.await_end() == ending_of_abort(over));
  claimed.send_all("still open");
  late_log->expect("received still open");
}

TEST_CASE("deadline, idle timeout and write stall end a connection when their time has come", "[connection]") {
  net::manual_clock time;
  auto options = half_open();
  options.write_stall = 30s;
  options.idle_timeout = 60s;
  connection_stage s{options, narrow, &time};
  SECTION("the deadline") {
    s.own([&](probe&) { s.conn.set_deadline(10s); });
    s.world.settle();
    time.advance(9s);
    s.world.settle();
    CHECK(s.log->lines().empty());
    time.advance(1s);
    s.log->expect(with_cause("closed deadline", errc::timed_out));
  }
  SECTION("a deadline that was taken back") {
    s.own([&](probe&) { s.conn.set_deadline(10s); });
    s.own([&](probe&) { s.conn.set_deadline(0s); });
    s.world.settle();
    time.advance(11s);
    s.world.settle();
    CHECK(s.log->lines().empty());
  }
  SECTION("the idle timeout") {
    time.advance(50s);
    s.world.settle();
    s.pair.far.send_all("x");
    s.log->expect("received x");
    time.advance(50s);
    s.world.settle();
    CHECK(s.log->lines().size() == 1);
    time.advance(10s);
    s.log->expect(with_cause("closed idle", errc::idle));
  }
  SECTION("an idle timeout that was changed") {
    CHECK(s.world.ask<caf::ok_atom>(s.conn, stream::set_idle_timeout{1s}).first);
    time.advance(1s);
    s.log->expect(with_cause("closed idle", errc::idle));
  }
  SECTION("the write stall") {
    s.own([&](probe&) {
      s.conn.write(coded(900'000), 1);
      s.conn.write(coded(8'000'000), 2);
    });
    REQUIRE(eventually([&] { return s.world.info(s.conn).bytes_sent > 0; }));
    s.world.settle();
    time.advance(1s); // what the peer's kernel took at first has been seen by then
    s.world.settle();
    CHECK(s.log->count_like("closed") == 0);
    time.advance(30s);
    s.log->expect(with_cause("closed error", errc::write_stalled));
    s.log->expect_like("written 2 ");
  }
}

TEST_CASE("get_info tells what a connection has done, and of TCP how it fares and of a Unix peer who it is",
          "[connection]") {
  connection_stage s;
  s.own([&](probe&) { s.conn.write("12345", 1); });
  s.log->expect("written 1 5");
  s.pair.far.send_all("123");
  s.world.await_read(s.conn, 3);
  const auto info = s.world.info(s.conn);
  CHECK(info.state == connection_state::open);
  CHECK(info.bytes_sent == 5);
  CHECK(info.bytes_received == 3);
  CHECK(info.reads == 1);
  CHECK(info.writes_done == 1);
  CHECK(info.queued_bytes == 0);
  CHECK(info.credit_outstanding == 0);
  const auto tcp = s.pair.over == carrier::tcp;
  CHECK((info.local.port() != 0) == tcp);
  CHECK((info.peer.port() != 0) == tcp);
  CHECK((info.congestion_window > 0) == tcp);
  CHECK(info.credentials ==
        (tcp ? net::peer_credentials{} : net::peer_credentials{::getpid(), ::geteuid(), ::getegid()}));
  CHECK_FALSE(info.reading_paused);
}

TEST_CASE("a handler that keeps what it gets holds no more than the credit, and the peer waits", "[connection]") {
  auto options = half_open();
  options.read_credit_bytes = 128 * 1024;
  connection_stage s{options};
  s.own([](probe& self) { self.keeps = true; });
  flooding_peer flood{std::move(s.pair.far)};
  REQUIRE(eventually([&] { return s.world.info(s.conn).starved; }));
  const auto held = s.world.info(s.conn);
  CHECK(held.credit_outstanding >= 128 * 1024);
  CHECK(held.credit_outstanding <= (128 + 64) * 1024 + net::block::overhead_bytes); // one read beyond
  s.own([](probe& self) {
    self.kept.clear();
    self.keeps = false;
  });
  s.world.await_read(s.conn, 4'000'000); // it goes on
  flood.stop();
  s.own([&](probe&) { s.conn.abort(); });
  s.log->expect_like("closed aborted");
}

TEST_CASE("a handler that keeps one message in a thousand pins no more than it was charged", "[connection]") {
  connection_stage s;
  int count = 0;
  std::vector<net::bytes> kept;
  class hoarder final : public handler {
   public:
    hoarder(caf::actor_config& cfg, std::vector<net::bytes>& kept_here, std::atomic<int>& seen)
        : handler(cfg), kept_(kept_here), seen_(seen) {}
    caf::behavior make_behavior() override {
      return {[this](const stream::received& r) {
        if (seen_++ % 1'000 == 0)
          kept_.push_back(r.payload);
      }};
    }

   private:
    std::vector<net::bytes>& kept_;
    std::atomic<int>& seen_;
  };
  std::atomic<int> seen{0};
  const auto who = s.world.owned(spawn_on<hoarder>(s.world.loop(), std::ref(kept), std::ref(seen)));
  connected_pair pair{each_carrier()};
  const auto conn = s.world.adopt(pair, who);
  while (seen < 5'000) {
    pair.far.send_all("one small message");
    ++count;
    s.world.await_read(conn, static_cast<std::uint64_t>(count) * 17);
  }
  CHECK(s.world.info(conn).credit_outstanding <=
        5 * (128 + net::block::overhead_bytes)); // a block of fitting size for each
  CHECK(s.world.info(conn).credit_outstanding >= 5 * (17 + net::block::overhead_bytes));
}
