// Times that coroutines give: from when on they count, how long they can be, and who has taken too much of it.
#include "support/actor_world.hpp"

#include "actnet/actors/coroutine/coroutine.hpp"
#include "actnet/actors/coroutine/gtcp.hpp"

using namespace actnet;
using namespace actnet::test;
using namespace actnet::coroutine;
using coroutine::sleep;
using std::chrono::hours;
using std::chrono::years;

namespace {

/// g++ 12 cannot tell what `co_await stream_socket::adopt(fd)` is within a template.
task<stream_socket> adopted_stream(int fd) {
  co_return (co_await stream_socket::adopt(fd)).get();
}

struct timed_world {
  /// `fun(log, clock, peer)`, with a peer that says nothing.
  template <class F>
  void run(F fun) {
    world.owned(spawn_coroutine(
        world.loop(),
        [fun](journal_ptr to, net::manual_clock* clock, int fd) -> task<> {
          auto peer = co_await adopted_stream(fd);
          to->add("begin");
          co_await fun(to, *clock, peer);
          to->add("end");
        },
        log, &time, pair.near.release()));
    log->expect("begin");
  }
  void advance(net::duration by) {
    world.settle();
    time.advance(by);
    world.settle();
  }

  net::manual_clock time;
  actor_world world{1, &time};
  connected_pair pair;
  journal_ptr log = make_journal();
};

} // namespace

TEST_CASE("times that do not fit nanoseconds are as long as can be, in every form in which they are given") {
  timed_world w;
  const auto form = GENERATE(0, 1, 2, 3, 4, 5, 6);
  CAPTURE(form);
  w.run([form](journal_ptr log, net::manual_clock&, stream_socket& peer) -> task<> {
    switch (form) {
    case 0: co_await sleep(hours::max()); break;
    case 1: co_await sleep(years{300}); break;
    case 2: (void)co_await peer.read_line(100, years{300}); break;
    case 3: {
      auto done = co_await within(years{300}, sleep(20ms));
      log->add(done ? "in time" : "too late");
      break;
    }
    case 4:
      peer.timeout_after(hours::max());
      (void)co_await peer.read(1);
      break;
    case 5: {
      const auto read = stream::read_line{100, hours::max()};
      (void)co_await request<net::bytes>(caf::actor_cast<caf::actor>(peer.as_connection().pointer()), read);
      break;
    }
    default: {
      const auto deadline = stream::set_deadline{years{300}};
      const auto actor = caf::actor_cast<caf::actor>(peer.as_connection().pointer());
      (void)co_await request<void>(actor, deadline);
      (void)co_await peer.read(1);
    }
    }
  });
  w.advance(20ms);
  if (form == 3) {
    w.log->expect("in time");
    return;
  }
  w.advance(hours{24} * 365 * 200);
  CHECK(w.log->lines().back() == "begin");
}

TEST_CASE("what takes time in a turn is no part of the time that is asked for after it") {
  timed_world w;
  const auto form = GENERATE(0, 1, 2, 3, 4);
  CAPTURE(form);
  w.run([form](journal_ptr log, net::manual_clock& time, stream_socket& peer) -> task<> {
    co_await sleep(1ms);
    time.advance(100ms); // work
    log->add("worked");
    switch (form) {
    case 0: co_await sleep(50ms); break;
    case 1: (void)co_await peer.read_line(100, 50ms); break;
    case 2: {
      auto server = (co_await tcp_server::bind("127.0.0.1:0")).get();
      time.advance(100ms);
      (void)co_await server.accept(50ms);
      break;
    }
    case 3: {
      auto socket = (co_await udp_socket::bind("127.0.0.1:0")).get();
      time.advance(100ms);
      (void)co_await socket.receive_from(100, 50ms);
      break;
    }
    default: {
      const auto read = stream::read_line{100, 50ms};
      (void)co_await request<net::bytes>(caf::actor_cast<caf::actor>(peer.as_connection().pointer()), read);
    }
    }
  });
  w.advance(1ms);
  w.log->expect("worked");
  w.advance(0ms);
  w.advance(49ms);
  CHECK(w.log->lines().back() == "worked");
  w.advance(1ms);
  w.log->expect("end");
}

TEST_CASE("after a turn that held up the loop, what peers sent within the time of a wait is in time") {
  constexpr std::size_t count = 300; // more than the backend looks at in one round
  const auto form = GENERATE(0, 1);
  CAPTURE(form);
  net::manual_clock time;
  actor_world world{1, &time};
  std::vector<connected_pair> pairs(count);
  const auto log = make_journal();
  for (auto& pair : pairs)
    world.owned(spawn_coroutine(
        world.loop(),
        [form, log](int fd) -> task<> {
          auto peer = co_await adopted_stream(fd);
          log->add("begin");
          bool in_time = false;
          if (form == 0) {
            const auto line = co_await within(500ms, peer.read_line());
            in_time = line.has_value();
          } else {
            const auto first = co_await when_any(peer.read_line(), sleep(500ms));
            in_time = first.index() == 0;
          }
          log->add(in_time ? "in time" : "too late");
        },
        pair.near.release()));
  log->expect("begin", count);
  world.settle();
  world.owned(spawn_coroutine(world.loop(), [&]() -> task<> {
    for (auto& pair : pairs)
      pair.far.send_all("line\n");
    time.advance(800ms); // all in one turn
    co_return;
  }));
  CHECK(eventually([&] { return log->count("in time") + log->count("too late") == count; }));
  CHECK(log->count("too late") == 0);
}

TEST_CASE("a slow turn of a coroutine raises the turn alarm, with its name") {
  captured_log log;
  timed_world w;
  w.run([](journal_ptr, net::manual_clock& time, stream_socket& peer) -> task<> {
    coroutine::detail::here().loop().set_turn_alarm(25ms);
    (void)co_await peer.read_line();
    time.advance(26ms);
    (void)co_await peer.read_line();
    coroutine::detail::here().loop().set_turn_alarm(0ms);
  });
  w.pair.far.send_all("line\n");
  log.lines.expect_like("turn-alarm: a turn of 26 ms held up the loop: actnet::coroutine::coroutine_actor#");
  w.pair.far.send_all("line\n");
  w.log->expect("end");
  CHECK(log.lines.lines().size() == 1);
}
