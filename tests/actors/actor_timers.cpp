// Timers of handlers: each firing is a turn of the actor.
#include "support/actor_world.hpp"

#include <stdexcept>
#include <thread>

using namespace actnet;
using namespace actnet::test;

namespace {

struct with_clock {
  net::manual_clock time;
};

struct timed_world : with_clock, actor_world {
  timed_world() : actor_world(1, &time) {}

  void pass(net::duration by) {
    time.advance(by);
    settle();
  }

  journal_ptr log = make_journal();
};

/// Sets its timers before it is anywhere.
class early final : public probe {
 public:
  early(caf::actor_config& cfg, journal_ptr to) : probe(cfg, std::move(to)) {
    run_after(100ms, [this] { note("fired"); });
    cancel(run_after(50ms, [this] { note("cancelled"); }));
  }
};

} // namespace

TEST_CASE("a timer of a handler fires once, when its time has come") {
  timed_world world;
  const auto who = world.spawn(world.log);
  world.in(who, [](probe& self) { self.run_after(100ms, [&self] { self.note("fired"); }); });
  world.pass(99ms);
  CHECK(world.log->lines().empty());
  world.pass(1ms);
  CHECK(world.log->count("fired") == 1);
  world.pass(10s);
  CHECK(world.log->count("fired") == 1);
}

TEST_CASE("a timer that repeats keeps its pace, and does not make up for what it missed") {
  timed_world world;
  const auto who = world.spawn(world.log);
  world.in(who, [](probe& self) { self.run_every(100ms, [&self] { self.note("tick"); }); });
  for (std::size_t i = 1; i <= 3; ++i) {
    world.pass(99ms);
    CHECK(world.log->count("tick") == i - 1);
    world.pass(1ms);
    CHECK(world.log->count("tick") == i);
  }
  world.pass(130ms); // 30 ms late: the next one is not
  CHECK(world.log->count("tick") == 4);
  world.pass(70ms);
  CHECK(world.log->count("tick") == 5);
  world.pass(1s);
  CHECK(world.log->count("tick") == 6);
  world.pass(100ms);
  CHECK(world.log->count("tick") == 7);
}

TEST_CASE("what a timer of a handler orders is the handler's: outcomes come to it, and answers") {
  timed_world world;
  const auto who = world.spawn(world.log), other = world.spawn(make_journal());
  connected_pair pair{each_carrier()};
  const auto conn = world.adopt(pair, who);
  world.in(who, [&](probe& self) {
    self.run_after(1ms, [&self, conn] {
      conn.write("tick", 7);
      self.request(conn.actor(), caf::infinite, stream::get_info{})
          .then([&self](const stream::info&) { self.note("answer"); }, [](const caf::error&) {});
      self.note(self.current_sender() ? "a sender" : "no sender");
    });
  });
  world.pass(1ms);
  world.log->expect("written 7 4");
  world.log->expect("answer");
  world.log->expect("no sender");
  CHECK(pair.far.read_exactly(4) == "tick");
}

TEST_CASE("a handler may end in its timer, and its connection with it") {
  timed_world world;
  const auto by_exception = GENERATE(false, true);
  captured_log said;
  const auto who = world.spawn(world.log);
  connected_pair pair{carrier::tcp};
  world.adopt(pair, who);
  world.in(who, [&](probe& self) {
    self.run_every(1ms, [&self, by_exception] {
      self.note("fired");
      if (by_exception)
        throw std::runtime_error{"out of order"};
      self.quit();
    });
    self.run_every(1ms, [&self] { self.note("never"); });
  });
  world.pass(1ms);
  CHECK(pair.far.await_end() == (by_exception ? ending::reset : ending::finished));
  pair.far.close();
  CHECK(eventually([&] { return world.live_actors() == 0; }));
  world.pass(1s);
  CHECK(world.log->lines() == std::vector<std::string>{"fired"});
  CHECK(said.lines.count_like("actor: ") == (by_exception ? 1 : 0));
}

TEST_CASE("a timer can be cancelled at any time, also by itself and by another one that is due with it") {
  timed_world world;
  const auto who = world.spawn(world.log);
  struct ids {
    timer_id first, second, third;
  };
  const auto timers = std::make_shared<ids>();
  world.in(who, [&](probe& self) {
    const auto early = self.run_after(1ms, [&self] { self.note("cancelled at once"); });
    self.cancel(early);
    self.cancel(early); // no mistake
    self.cancel(timer_id::none);
    timers->first = self.run_every(10ms, [&self, timers] {
      self.note("first");
      self.cancel(timers->first);
      self.cancel(timers->second);
      self.cancel(timers->third);
    });
    timers->second = self.run_after(10ms, [&self] { self.note("second"); });
    timers->third = self.run_every(10ms, [&self] { self.note("third"); });
    self.run_after(10ms, [&self, timers] {
      self.note("fourth");
      self.cancel(timers->first); // its number is not another's
    });
    self.run_after(20ms, [&self] { self.note("fifth"); });
  });
  world.pass(10ms);
  CHECK(world.log->lines() == std::vector<std::string>{"first", "fourth"});
  world.pass(1s);
  CHECK(world.log->lines() == std::vector<std::string>{"first", "fourth", "fifth"});
}

TEST_CASE("timers of no time, of less, and of more than the clock can count") {
  timed_world world;
  const auto who = world.spawn(world.log);
  std::promise<void> often;
  auto left = std::make_shared<int>(1'000);
  world.in(who, [&, left](probe& self) {
    self.run_after(0s, [&self] { self.note("at once"); });
    self.run_after(-5s, [&self] { self.note("at once"); });
    self.run_after(std::chrono::hours::min(), [&self] { self.note("at once"); });
    self.run_after(std::chrono::hours::max(), [&self] { self.note("never"); });
    self.run_after(std::chrono::nanoseconds::max(), [&self] { self.note("never"); });
    self.run_every(std::chrono::years{1'000}, [&self] { self.note("never"); });
    const auto each_round = std::make_shared<timer_id>();
    *each_round = self.run_every(0s, [&self, &often, left, each_round] {
      if (--*left > 0)
        return;
      self.cancel(*each_round);
      often.set_value();
    });
  });
  world.log->expect("at once", 3);
  REQUIRE(often.get_future().wait_for(default_deadline) == std::future_status::ready);
  world.pass(std::chrono::hours{24 * 365});
  CHECK(world.log->count("never") == 0);
  CHECK(*left == 0);
}

TEST_CASE("a timer waits behind messages, and while a response is awaited") {
  timed_world world;
  const auto who = world.spawn(world.log);
  const auto question = std::make_shared<std::function<void()>>();
  const auto keeper =
      world.owned(spawn_function(world.system(), [question](caf::event_based_actor* self) -> caf::behavior {
        return {[=](int) {
                  auto promise = self->make_response_promise();
                  *question = [promise]() mutable { promise.deliver(1); };
                  return promise;
                },
                [=](const std::string&) { (*question)(); }};
      }));
  world.in(who, [&](probe& self) {
    self.run_after(1ms, [&self] { self.note("once"); });
    self.run_every(1ms, [&self] { self.note("each"); });
    const auto off = self.run_after(1ms, [&self] { self.note("cancelled"); });
    self.request(keeper, caf::infinite, 1)
        .await(
            [&self, off](int) {
              self.note("answer");
              self.cancel(off); // it is due, and waits
            },
            [](const caf::error&) {});
  });
  world.pass(1ms);
  world.pass(5ms);
  CHECK(world.log->lines().empty());
  caf::anon_send(keeper, std::string{"now"});
  world.log->expect("each");
  world.settle();
  CHECK(world.log->lines() == std::vector<std::string>{"answer", "once", "each"});
  world.pass(1ms);
  CHECK(world.log->count("each") == 2);
}

TEST_CASE("timers end with their actor, whoever ends it, and hold it no longer") {
  timed_world world;
  const auto kept = std::make_shared<int>();
  const auto who = world.spawn(world.log);
  world.in(who, [&](probe& self) {
    self.run_after(1h, [kept] {});
    self.run_every(1h, [kept] {});
  });
  CHECK(kept.use_count() == 3);
  world.kill(who);
  CHECK(eventually([&] { return kept.use_count() == 1; }));
}

TEST_CASE("what a handler sets in its constructor fires on its loop") {
  timed_world world;
  world.owned(spawn_on<early>(world.loop(), world.log));
  world.settle();
  world.pass(100ms);
  world.log->expect("fired");
  CHECK(world.log->lines() == std::vector<std::string>{"fired"});
}

TEST_CASE("an actor that never began leaves no timer behind") {
  class stillborn final : public handler {
   public:
    stillborn(caf::actor_config& cfg) : handler(cfg) {
      run_after(1ms, [] {});
      throw std::runtime_error{"as ordered"};
    }
  };
  timed_world world;
  CHECK_THROWS(spawn_on<stillborn>(world.loop()));
  world.pass(1ms);
}

TEST_CASE("handlers have timers wherever they live") {
  const auto where = GENERATE(placement::loop, placement::scheduler, placement::own_loop);
  timed_world world;
  const auto who = world.owned(spawn_at<early>(where, world.loop(), world.log));
  std::atomic<bool> off{false};
  world.in(who, [&](probe& self) {
    const auto each = std::make_shared<timer_id>();
    *each = self.run_every(100ms, [&self, each, &off] {
      self.note("tick");
      if (self.log().count("tick") == 2) {
        self.cancel(*each);
        off = true;
      }
    });
    self.cancel(self.run_after(10ms, [&self] { self.note("cancelled"); }));
  });
  world.settle();
  REQUIRE(eventually([&] {
    world.pass(10ms);
    return off.load();
  }));
  for (int i = 0; i < 50; ++i)
    world.pass(10ms);
  CHECK(world.log->count("fired") == 1);
  CHECK(world.log->count("tick") == 2);
  CHECK(world.log->count("cancelled") == 0);
}

TEST_CASE("a turn of a timer that takes too long is named in the log") {
  captured_log said;
  actor_world world;
  const auto log = make_journal();
  const auto who = world.spawn(log);
  world.in(who, [](probe& self) { self.home()->loop().set_turn_alarm(5ms); });
  world.in(who, [](probe& self) {
    self.run_after(1ms, [&self] {
      const auto until = std::chrono::steady_clock::now() + 50ms;
      while (std::chrono::steady_clock::now() < until) {
      }
      self.note("done");
    });
  });
  log->expect("done");
  CHECK(eventually([&] { return said.lines.count_like("turn-alarm: ") >= 1; }));
  CHECK(said.lines.text().find("probe#") != std::string::npos);
  world.in(who, [](probe& self) { self.home()->loop().set_turn_alarm(0ms); });
}

namespace {

/// Nobody holds it, so it ends at once.
class unheld final : public handler {
 public:
  unheld(caf::actor_config& cfg, journal_ptr to) : handler(cfg), log_(std::move(to)) {}
  caf::behavior make_behavior() override {
    return {[](int) {}};
  }
  void on_exit() override {
    log_->add(run_after(1ms, [] {}) == timer_id::none ? "no timer" : "a timer");
  }

 private:
  journal_ptr log_;
};

} // namespace

TEST_CASE("an actor that ends because nobody holds it sets no timer any more") {
  actor_world world;
  const auto log = make_journal();
  spawn_at<unheld>(placement::scheduler, world.loop(), log);
  log->expect("no timer");
  CHECK(eventually([&] { return world.live_actors() == 0; }));
}
