// The loop against its promises: order, no lost wake-up, silence, time, and what is left when it ends.
#include "actnet/net/loop/loop.hpp"

#include "actnet/net/bytes/bytes.hpp"
#include "actnet/net/log.hpp"
#include "actnet/net/loop/epoll_backend.hpp"
#include "support/baseline.hpp"
#include "support/catch.hpp"
#include "support/eventually.hpp"
#include "support/faulty_system_calls.hpp"
#include "support/peer.hpp"
#include "support/quiet.hpp"
#include "support/sanitizer.hpp"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace actnet::net;
using namespace std::chrono_literals;
using actnet::test::baseline;
using actnet::test::eventually;

namespace {

std::unique_ptr<loop> make_loop(loop_options options = {}) {
  auto made = loop::make(std::move(options));
  REQUIRE(made);
  return std::move(*made);
}

/// A loop in a thread of its own, stopped and closed at the end.
class running_loop {
 public:
  explicit running_loop(loop_options options = {}) : loop_(make_loop(std::move(options))) {
    thread_ = std::thread([this] { loop_->run(); });
  }
  ~running_loop() {
    loop_->stop();
    thread_.join();
    loop_->close_inbox();
  }
  loop* operator->() noexcept { return loop_.get(); }
  loop& operator*() noexcept { return *loop_; }

  /// Runs `work` in the loop's thread and waits for it.
  void call(const std::function<void()>& work) {
    struct visit {
      const std::function<void()>& work;
      std::atomic<bool> done = false;
    } here{work};
    const auto run = [](void* object, void*) noexcept {
      auto& v = *static_cast<visit*>(object);
      v.work();
      v.done.store(true);
      v.done.notify_one();
    };
    const auto posted = loop_->post(run, &here, nullptr);
    if (posted)
      here.done.wait(false);
    REQUIRE(posted); // not earlier: `work` may assert as well, and Catch2 takes one thread at a time
  }

 private:
  std::unique_ptr<loop> loop_;
  std::thread thread_;
};

void run_function(void* object, void*) noexcept {
  (*static_cast<std::function<void()>*>(object))();
}

struct work_item final : deferred {
  explicit work_item(std::function<void()> f) : action(std::move(f)) {}
  void serve() noexcept override { action(); }
  std::function<void()> action;
};

struct test_timer final : timer {
  explicit test_timer(std::function<void(time_point)> f = {}) : action(std::move(f)) {}
  void on_timer(time_point now) noexcept override {
    ++fired;
    if (action)
      action(now);
  }
  std::function<void(time_point)> action;
  int fired = 0;
};

/// A stream that takes note of what comes.
struct reader final : stream_target {
  reader(loop& home, stream_socket&& owned) : io(home.io()), socket(std::move(owned)) {
    auto opened = io.open(socket, *this);
    REQUIRE(opened);
    which = *opened;
    io.start_reading(which);
  }
  ~reader() { io.close(which); }
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;
  void on_received(bytes&& payload) noexcept override {
    received += payload.view();
    if (hook)
      hook();
  }
  void on_read_end(std::error_code) noexcept override {}
  void on_hang_up(std::error_code) noexcept override {}
  std::size_t gather(std::span<iovec>) noexcept override { return 0; }
  bool on_sent(std::size_t) noexcept override { return false; }
  void on_send_failed(std::error_code) noexcept override {}

  backend& io;
  stream_socket socket;
  channel which = channel::none;
  std::string received;
  std::function<void()> hook;
};

std::pair<stream_socket, actnet::test::peer> pair_of_streams() {
  auto both = stream_socket::pair();
  REQUIRE(both);
  return {std::move(both->first), actnet::test::peer(actnet::test::descriptor(both->second.release()))};
}

/// Keeps the log's lines as long as it lives.
class captured_log {
 public:
  captured_log()
      : before_(set_log_sink(log_sink::direct([this](log_level, std::string_view kind, std::string_view text) {
          std::lock_guard guard{mutex_};
          lines_.push_back(std::string{kind} + ": " + std::string{text});
        }))) {
    set_log_clock(time_); // stands still, so that a second never passes
  }
  ~captured_log() {
    set_log_clock(monotonic_clock::instance());
    set_log_sink(before_);
  }
  captured_log(const captured_log&) = delete;
  captured_log& operator=(const captured_log&) = delete;

  std::vector<std::string> lines() {
    std::lock_guard guard{mutex_};
    return lines_;
  }
  void pass(duration time) { time_.advance(time); }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
  manual_clock time_;
  log_sink before_;
};

/// Takes `count` steps of a list of pieces of work, one per turn.
struct piecewise final : resident {
  explicit piecewise(loop& l) : home(l) {}
  bool run_ready() noexcept override {
    if (!ready.empty()) {
      const auto piece = std::move(ready.front());
      ready.pop_front();
      piece();
      home.after_turn();
    }
    return !ready.empty();
  }
  std::string last_turn() const override { return "the resident's piece"; }

  loop& home;
  std::deque<std::function<void()>> ready;
};

} // namespace

// -- posted work -------------------------------------------------------------------------------

TEST_CASE("posts of several threads all run in the order of each thread, and no wake-up is lost", "[loop]") {
  const baseline before;
  constexpr std::uintptr_t posts_per_thread = 200'000;
  constexpr std::size_t posters = 3;
  struct state {
    std::array<std::uintptr_t, posters> next{};
    std::atomic<std::uintptr_t> total = 0;
    std::atomic<int> out_of_order = 0;
    std::atomic<int> refused = 0;
  } seen;
  {
    running_loop l;
    std::vector<std::thread> threads;
    for (std::size_t who = 0; who < posters; ++who)
      threads.emplace_back([&, who] {
        for (std::uintptr_t i = 0; i < posts_per_thread; ++i) {
          const auto note = [](void* object, void* argument) noexcept {
            auto& s = *static_cast<state*>(object);
            const auto value = reinterpret_cast<std::uintptr_t>(argument);
            if (s.next[value % posters]++ != value / posters)
              ++s.out_of_order;
            ++s.total;
          };
          if (!l->post(note, &seen, reinterpret_cast<void*>(i * posters + who)))
            ++seen.refused;
        }
      });
    for (auto& each : threads)
      each.join();
    CHECK(eventually([&] { return seen.total == posters * posts_per_thread; }));
  }
  CHECK(seen.out_of_order == 0);
  CHECK(seen.refused == 0);
}

TEST_CASE("each single post wakes a loop that sleeps", "[loop]") {
  running_loop l;
  for (int i = 0; i < 20'000; ++i) // each waits for its answer, so a lost wake-up hangs here
    l.call([] {});
  CHECK(l->wake_ups() > 0);
}

TEST_CASE("posted work runs in the loop's thread, and a post from there runs too", "[loop]") {
  running_loop l;
  CHECK_FALSE(l->in_loop_thread());
  std::atomic<int> inner = 0;
  l.call([&] {
    CHECK(l->in_loop_thread());
    CHECK(l->post([](void* object, void*) noexcept { ++*static_cast<std::atomic<int>*>(object); }, &inner, nullptr));
    CHECK(inner == 0); // not within the one that posts
  });
  CHECK(eventually([&] { return inner == 1; }));
}

TEST_CASE("posted work runs so much in a round, in order, and the rest in those that follow", "[loop]") {
  const auto on = make_loop();
  std::vector<int> order;
  std::deque<int> numbers;
  constexpr auto count = 3 * loop::posts_per_round + 1;
  for (std::size_t i = 0; i < count; ++i) {
    numbers.push_back(static_cast<int>(i));
    REQUIRE(on->post(
        [](void* to, void* number) noexcept {
          static_cast<std::vector<int>*>(to)->push_back(*static_cast<int*>(number));
        },
        &order, &numbers.back()));
  }
  while (order.size() < 3 * loop::posts_per_round) {
    const auto before = order.size();
    CHECK(on->run_once(true)); // it does not sleep
    REQUIRE(order.size() == before + loop::posts_per_round);
  }
  on->close_inbox(); // the last one
  CHECK(order.size() == count);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("posts after the inbox closed are refused, those before are run", "[loop]") {
  auto l = make_loop();
  int runs = 0;
  const auto count = [](void* object, void*) noexcept { ++*static_cast<int*>(object); };
  CHECK(l->post(count, &runs, nullptr));
  CHECK(l->post(count, &runs, nullptr));
  l->close_inbox();
  CHECK(runs == 2);
  CHECK_FALSE(l->post(count, &runs, nullptr));
  l->close_inbox();
  l->run_once(false);
  CHECK(runs == 2);
}

TEST_CASE("an inbox closed by posted work runs what came before, in order", "[loop]") {
  auto l = make_loop();
  std::string order;
  std::vector<std::function<void()>> all;
  all.reserve(5);
  all.emplace_back([&] {
    order += 'a';
    CHECK(l->post(run_function, &all[3], nullptr));
    l->close_inbox();
    CHECK_FALSE(l->post(run_function, &all[4], nullptr));
    order += '.';
  });
  for (const auto name : {'b', 'c', 'd', 'e'})
    all.emplace_back([&order, name] { order += name; });
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(l->post(run_function, &all[i], nullptr));
  l->run_once(false);
  CHECK(order == "abcd.");
}

TEST_CASE("a loop that is destroyed runs what was posted to it", "[loop]") {
  const baseline before;
  int runs = 0;
  auto l = make_loop();
  CHECK(l->post([](void* object, void*) noexcept { ++*static_cast<int*>(object); }, &runs, nullptr));
  l.reset();
  CHECK(runs == 1);
}

// -- deferred work ------------------------------------------------------------------------------

TEST_CASE("deferred work is served once, at the end of the turn, in the order of deferring", "[loop]") {
  auto l = make_loop();
  std::string order;
  work_item first{[&] { order += '1'; }};
  work_item second{[&] { order += '2'; }};
  std::function<void()> turn = [&] {
    l->defer(second);
    l->defer(first);
    l->defer(second);
    order += 't';
  };
  CHECK(l->post(run_function, &turn, nullptr));
  CHECK(l->post(run_function, &turn, nullptr));
  l->run_once(false);
  CHECK(order == "t21t21");
  l->run_once(false);
  CHECK(order == "t21t21");
}

TEST_CASE("deferred work may defer itself and others, and may be gone afterwards", "[loop]") {
  auto l = make_loop();
  int rounds = 0;
  bool other_served = false;
  std::unique_ptr<work_item> other;
  work_item again{[&] {
    if (++rounds < 5)
      l->defer(again);
    else
      l->defer(*other);
  }};
  other = std::make_unique<work_item>([&] {
    other_served = true;
    std::unique_ptr<work_item> gone = std::move(other); // also what it captured
  });
  l->defer(again);
  l->run_once(false);
  CHECK(rounds == 5);
  CHECK(other_served);
  CHECK_FALSE(other);
}

TEST_CASE("work deferred before the loop runs, outside of any turn, is served", "[loop]") {
  auto l = make_loop();
  bool served = false;
  work_item early{[&] {
    served = true;
    l->stop();
  }};
  l->adopt_thread();
  l->defer(early);
  l->run(); // would wait for ever
  CHECK(served);
}

// -- sockets ------------------------------------------------------------------------------------

TEST_CASE("what a socket brings ends a turn of its own", "[loop]") {
  const baseline before;
  auto l = make_loop();
  l->adopt_thread();
  auto [ours, theirs] = pair_of_streams();
  reader r(*l, std::move(ours));
  std::string served_after;
  work_item note{[&] { served_after = r.received; }};
  r.hook = [&] { l->defer(note); };
  theirs.send_all("hello");
  CHECK(eventually([&] {
    l->run_once(false);
    return !r.received.empty();
  }));
  CHECK(served_after == "hello");
}

TEST_CASE("a loop with 1,000 idle sockets does nothing at all", "[loop]") {
  const baseline before;
  running_loop l;
  std::vector<std::unique_ptr<reader>> readers;
  std::vector<actnet::test::peer> peers;
  l.call([&] {
    for (int i = 0; i < 1'000; ++i) {
      auto [ours, theirs] = pair_of_streams();
      readers.push_back(std::make_unique<reader>(*l, std::move(ours)));
      peers.push_back(std::move(theirs));
    }
  });
  auto woken = l->wake_ups();
  CHECK(eventually([&] { return std::exchange(woken, l->wake_ups()) == l->wake_ups(); }));
  ::poll(nullptr, 0, 50); // lets it come to rest; what is measured follows
  woken = l->wake_ups();
  CHECK((actnet::test::is_quiet(500ms) || actnet::test::sanitized));
  CHECK(l->wake_ups() == woken);
  peers[500].send_all("one");
  CHECK(eventually([&] {
    bool came = false;
    l.call([&] { came = readers[500]->received == "one"; });
    return came;
  }));
  l.call([&] { readers.clear(); });
}

// -- time ---------------------------------------------------------------------------------------

TEST_CASE("a timer fires at its deadline and never before", "[loop]") {
  auto l = make_loop();
  l->adopt_thread();
  for (const duration wait : {duration{1us}, duration{1ms}, duration{2'500us}, duration{7'000'001ns}}) {
    time_point told;
    test_timer t([&](time_point now) {
      told = now;
      l->io().wake(); // the round that fires it goes on to wait
    });
    const auto deadline = l->time().now() + wait;
    l->timers().arm(t, deadline);
    const auto woken = l->wake_ups();
    while (t.fired == 0)
      l->run_once(true);
    CHECK(told >= deadline);
    CHECK(l->time().now() >= deadline);
    CHECK(l->wake_ups() - woken <= 3); // it sleeps and does not go round
  }
}

TEST_CASE("a step of a manual clock wakes a sleeping loop, which then fires what is due", "[loop]") {
  const baseline before;
  manual_clock time;
  {
    running_loop l({.time = &time, .turn_alarm = 0ms}); // time moves in the middle of turns here
    std::atomic<int> fired = 0;
    test_timer t([&](time_point) { ++fired; });
    l.call([&] { l->timers().arm(t, time.now() + 1h); });
    time.advance(59min);
    l.call([] {});
    l.call([] {});
    CHECK(fired == 0);
    time.advance(1min);
    CHECK(eventually([&] { return fired == 1; }));
    const auto woken = l->wake_ups();
    ::poll(nullptr, 0, 30);
    CHECK(l->wake_ups() - woken <= 1); // the timer of a clock that stands still keeps nobody awake
    l.call([&] { l->timers().arm(t, time.now() + 1h); });
    l.call([&] { l->timers().cancel(t); });
  }
  time.advance(1h); // the loop is gone
}

TEST_CASE("after a stall timers fire once each, in order, and after the sockets were looked at", "[loop]") {
  manual_clock time;
  auto l = make_loop({.time = &time, .turn_alarm = 0ms});
  l->adopt_thread();
  std::string order;
  auto [ours, theirs] = pair_of_streams();
  reader r(*l, std::move(ours));
  r.hook = [&] { order += 's'; };
  std::vector<std::unique_ptr<test_timer>> timers;
  for (int i = 0; i < 5; ++i) {
    timers.push_back(std::make_unique<test_timer>([&order, i](time_point) { order += static_cast<char>('0' + i); }));
    l->timers().arm(*timers.back(), time.now() + 100ms * (i + 1));
  }
  test_timer later;
  l->timers().arm(later, time.now() + 3s);
  while (l->run_once(false)) {
  }
  REQUIRE(order.empty());
  std::function<void()> stall = [&] {
    theirs.send_all("still alive");
    time.advance(2s);
  };
  CHECK(l->post(run_function, &stall, nullptr));
  while (l->run_once(false)) {
  }
  CHECK(order == "s01234");
  for (const auto& each : timers)
    CHECK(each->fired == 1);
  CHECK(later.fired == 0);
  CHECK(l->now() == time.now());
  l->timers().cancel(later);
}

TEST_CASE("a timer that is armed for now again and again leaves sockets their turn", "[loop]") {
  auto l = make_loop();
  l->adopt_thread();
  auto [ours, theirs] = pair_of_streams();
  reader r(*l, std::move(ours));
  test_timer t;
  t.action = [&](time_point now) { l->timers().arm(t, now); };
  l->timers().arm(t, l->now());
  theirs.send_all("x");
  for (int i = 0; i < 1'000 && r.received.empty(); ++i)
    l->run_once(true);
  CHECK(r.received == "x");
  l->timers().cancel(t);
}

TEST_CASE("a judging timer fires when all that was ready has been told, however many have something to tell",
          "[loop]") {
  manual_clock time;
  auto l = make_loop({.time = &time});
  l->adopt_thread();
  constexpr int many = 700; // more than the backend looks at in two polls
  std::vector<std::unique_ptr<reader>> all;
  std::vector<actnet::test::peer> others;
  for (std::size_t i = 0; i < many; ++i) {
    auto [ours, theirs] = pair_of_streams();
    all.push_back(std::make_unique<reader>(*l, std::move(ours)));
    others.push_back(std::move(theirs));
    all.back()->hook = [&others, i] { others[i].send_all("x"); }; // and so on without end
  }
  l->run_once(false);
  for (auto& each : others)
    each.send_all("x");
  int told = 0;
  test_timer judge{[&](time_point) {
    for (const auto& each : all)
      told += !each->received.empty();
  }};
  test_timer usual;
  time.advance(1s);
  l->judging_timers().arm(judge, time.now());
  l->timers().arm(usual, time.now());
  int rounds = 0;
  for (; rounds < 100 && judge.fired == 0; ++rounds)
    l->run_once(false);
  CHECK(judge.fired == 1);
  CHECK(told == many);
  CHECK(rounds <= 8);
  CHECK(usual.fired == 1);
}

TEST_CASE("after a stop of the process judging timers leave others on the machine a second", "[loop]") {
  struct : system_calls {
    int clock_gettime(clockid_t clock, timespec* time) noexcept override {
      const auto done = system_calls::clock_gettime(clock, time);
      time->tv_sec += stopped_for.load();
      return done;
    }
    std::atomic<time_t> stopped_for{0};
  } calls;
  const replaced_system_calls replaced{calls};
  auto l = make_loop();
  l->adopt_thread();
  l->run_once(false);
  test_timer judge, next, usual;
  test_timer past;
  l->judging_timers().arm(past, l->now() - 1h); // which is not late for that
  const auto soon = l->time().now() + 1h;
  l->judging_timers().arm(judge, soon);
  l->judging_timers().arm(next, soon + 90min);
  l->timers().arm(usual, soon);
  const auto began = std::chrono::steady_clock::now();
  const auto rounds = [&] {
    for (int i = 0; i < 5; ++i)
      l->run_once(false);
  };
  rounds();
  if (std::chrono::steady_clock::now() - began < 500ms)
    CHECK(past.fired == 1);
  calls.stopped_for += 7'200;
  rounds();
  CHECK(usual.fired == 1);
  if (std::chrono::steady_clock::now() - began < 500ms) // else the second may be over
    CHECK(judge.fired == 0);
  calls.stopped_for += 1;
  rounds();
  CHECK(judge.fired == 1);
  calls.stopped_for += 7'200;
  rounds();
  calls.stopped_for += 1;
  rounds();
  CHECK(next.fired == 1);
}

TEST_CASE("an interrupted poll has told a judging timer nothing", "[loop]") {
  actnet::test::faulty_system_calls faults;
  const replaced_system_calls replaced{faults};
  manual_clock time;
  auto l = make_loop({.time = &time});
  l->adopt_thread();
  auto [ours, theirs] = pair_of_streams();
  reader r(*l, std::move(ours));
  l->run_once(false);
  theirs.send_all("x");
  std::string at_judgement;
  test_timer judge{[&](time_point) { at_judgement = r.received; }};
  time.advance(1s);
  l->judging_timers().arm(judge, time.now());
  faults.fail(actnet::test::call::epoll_wait, EINTR, {.count = 3});
  for (int i = 0; i < 10 && judge.fired == 0; ++i)
    l->run_once(false);
  CHECK(judge.fired == 1);
  CHECK(at_judgement == "x");
}

// -- the turn alarm --------------------------------------------------------------------------------

TEST_CASE("turns that are too long are logged once a second, with what ran", "[loop]") {
  manual_clock time;
  captured_log log;
  auto l = make_loop({.time = &time, .turn_alarm = 25ms});
  l->adopt_thread();
  piecewise actors(*l);
  l->set_resident(&actors);
  const auto hold_up = [&](duration how_long) {
    actors.ready.emplace_back([&time, how_long] { time.advance(how_long); });
    while (l->run_once(false)) {
    }
  };
  hold_up(25ms);
  time.advance(10s); // between rounds nobody is held up
  hold_up(1ms);
  CHECK(log.lines().empty());
  hold_up(40ms);
  hold_up(50ms);
  hold_up(60ms);
  REQUIRE(log.lines().size() == 1);
  CHECK(log.lines()[0].starts_with("turn-alarm: "));
  CHECK(log.lines()[0].find("40 ms") != std::string::npos);
  CHECK(log.lines()[0].find("the resident's piece") != std::string::npos);
  log.pass(1'001ms);
  hold_up(70ms);
  REQUIRE(log.lines().size() == 2);
  CHECK(log.lines()[1].find("70 ms") != std::string::npos);
}

TEST_CASE("what a turn put off to its end raises the alarm, too, whichever turn of the round that was", "[loop]") {
  manual_clock time;
  captured_log log;
  auto l = make_loop({.time = &time, .turn_alarm = 25ms});
  l->adopt_thread();
  piecewise actors(*l);
  l->set_resident(&actors);
  work_item slow{[&] { time.advance(40ms); }};
  const auto at_the_end_of = [&](auto begin) {
    log.pass(2s);
    begin();
    while (l->run_once(false)) {
    }
    return log.lines().empty() ? std::string{"nothing"} : log.lines().back();
  };
  CHECK(at_the_end_of([&] { actors.ready.emplace_back([&] { l->defer(slow); }); }).find("40 ms") != std::string::npos);
  CHECK(log.lines().size() == 1);
  at_the_end_of([&] { // not the last one of its round
    actors.ready.emplace_back([&] { l->defer(slow); });
    actors.ready.emplace_back([] {});
  });
  CHECK(log.lines().size() == 2);
  at_the_end_of([&] { l->defer(slow); }); // outside of any turn
  CHECK(log.lines().size() == 3);
}

TEST_CASE("a deadline that is asked for counts from now, however old the round is", "[loop]") {
  manual_clock time;
  auto l = make_loop({.time = &time, .turn_alarm = 0ms});
  l->run_once(false);
  time.advance(1h);
  CHECK(l->now() == time.now() - 1h);
  CHECK(l->deadline_in(1s) == time.now() + 1s);
  CHECK(l->deadline_in(std::chrono::hours::max()) == time_point::max());
}

TEST_CASE("a loop on the kernel's clock waits neither too long nor for ever for a deadline long past", "[loop]") {
  auto l = make_loop({});
  l->adopt_thread();
  struct twice final : timer { // the second time it is due when the loop is about to wait
    explicit twice(loop& l) : home(l) {}
    void on_timer(time_point) noexcept override {
      if (++fired == 1)
        home.timers().arm(*this, time_point::min());
    }
    loop& home;
    int fired = 0;
  } early(*l);
  l->timers().arm(early, time_point::min());
  l->run_once(true);
  CHECK(early.fired == 1);
  l->run_once(false);
  CHECK(early.fired == 2);
}

TEST_CASE("time in which nothing ran raises no alarm: not before the first round, not before the inbox closes",
          "[loop]") {
  manual_clock time;
  captured_log log;
  auto l = make_loop({.time = &time});
  time.advance(1h);
  std::function<void()> nothing = [] {};
  CHECK(l->post(run_function, &nothing, nullptr));
  l->run_once(false);
  time.advance(1h);
  CHECK(l->post(run_function, &nothing, nullptr));
  l->close_inbox();
  CHECK(log.lines().empty());
}

// -- credit ----------------------------------------------------------------------------------------

TEST_CASE("credit that comes back in another thread wakes the loop and serves who waits for it", "[loop]") {
  const baseline before;
  running_loop l;
  std::atomic<int> served = 0;
  work_item starving{[&] { ++served; }};
  auto* account = credit_account::open(l->bell());
  auto payload = bytes::copy("pinned");
  payload.charge_to(*account);
  l.call([&] {
    l->await_credit(starving);
    account->await_release();
  });
  CHECK(served == 0);
  std::thread([p = std::move(payload)]() mutable { p = {}; }).join();
  CHECK(eventually([&] { return served == 1; }));
  l.call([&] { l->stop_awaiting_credit(starving); });
  l->bell().ring();
  l.call([] {});
  l.call([] {});
  CHECK(served == 1);
  account->close();
}

TEST_CASE("a payload may be dropped after its loop is gone, also when another loop has its bell", "[loop]") {
  bytes late;
  credit_account* account = nullptr;
  {
    auto l = make_loop();
    account = credit_account::open(l->bell());
    late = bytes::copy("late");
    late.charge_to(*account);
    account->await_release();
  }
  const auto with_another_loop = GENERATE(false, true);
  std::unique_ptr<loop> next;
  if (with_another_loop)
    next = make_loop();
  std::thread([p = std::move(late)]() mutable { p = {}; }).join();
  if (next)
    next->run_once(false);
  account->close();
  SUCCEED("nothing was touched that is gone"); // as the sanitizers see it
}

TEST_CASE("rings from another thread while loops come and go touch none of them wrongly", "[loop]") {
  std::atomic<bool> done = false;
  auto first = make_loop();
  auto& bell = first->bell();
  first.reset();
  std::thread ringing([&] {
    while (!done)
      bell.ring();
  });
  for (int i = 0; i < 200; ++i)
    make_loop()->run_once(false);
  done = true;
  ringing.join();
  SUCCEED("no race"); // as the thread sanitizer sees it
}

// -- the resident, starting and stopping -----------------------------------------------------------

TEST_CASE("a resident that always has more to do leaves sockets, timers and posts their turn", "[loop]") {
  const baseline before;
  auto l = make_loop();
  l->adopt_thread();
  piecewise actors(*l);
  l->set_resident(&actors);
  auto [ours, theirs] = pair_of_streams();
  reader r(*l, std::move(ours));
  test_timer t;
  l->timers().arm(t, l->time().now() + 1ms);
  bool posted = false;
  std::function<void()> post = [&] { posted = true; };
  CHECK(l->post(run_function, &post, nullptr));
  theirs.send_all("x");
  int pieces = 0;
  std::function<void()> piece = [&] {
    if (++pieces == 1'000'000 || (posted && t.fired > 0 && !r.received.empty()))
      l->stop();
    else
      actors.ready.push_back(piece);
  };
  actors.ready.push_back(piece);
  l->run();
  CHECK(posted);
  CHECK(t.fired == 1);
  CHECK(r.received == "x");
  CHECK(pieces < 1'000'000);
}

TEST_CASE("a loop pumped by hand says when it is at rest", "[loop]") {
  manual_clock time;
  auto l = make_loop({.time = &time});
  l->adopt_thread();
  piecewise actors(*l);
  l->set_resident(&actors);
  auto [ours, theirs] = pair_of_streams();
  reader r(*l, std::move(ours));
  bool acted = false;
  r.hook = [&] { actors.ready.emplace_back([&] { acted = true; }); };
  while (l->run_once(false)) {
  }
  CHECK_FALSE(l->run_once(false));
  theirs.send_all("x");
  while (l->run_once(false)) {
  }
  CHECK(acted); // a Unix stream has no delay
  test_timer t;
  l->timers().arm(t, time.now() + 1s);
  CHECK_FALSE(l->run_once(false));
  time.advance(1s);
  while (l->run_once(false)) {
  }
  CHECK(t.fired == 1);
}

TEST_CASE("a loop is stopped from its own thread, from another, and before it runs", "[loop]") {
  const baseline before;
  auto l = make_loop();
  SECTION("from its own thread") {
    std::function<void()> stop = [&] { l->stop(); };
    CHECK(l->post(run_function, &stop, nullptr));
    l->run();
  }
  SECTION("from another") {
    std::thread runner([&] { l->run(); });
    l->stop();
    runner.join();
  }
  SECTION("before it runs") {
    l->stop();
    l->run();
  }
  CHECK(block_pool::current() == nullptr);
}

TEST_CASE("a loop that gets no descriptors is an error", "[loop]") {
  const baseline before;
  actnet::test::faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  kernel.fail(actnet::test::call::epoll_create1, ENFILE);
  const auto made = loop::make();
  REQUIRE_FALSE(made);
  CHECK(made.error() == errc::too_many_open_files);
}

TEST_CASE("interrupted calls change nothing for a running loop", "[loop]") {
  const baseline before;
  actnet::test::faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  kernel.interrupt_every_second_call();
  {
    running_loop l;
    std::atomic<int> fired = 0;
    test_timer t([&](time_point) { ++fired; });
    for (int i = 0; i < 1'000; ++i)
      l.call([] {});
    l.call([&] { l->timers().arm(t, l->time().now() + 3ms); });
    CHECK(eventually([&] { return fired == 1; }));
  }
  CHECK(kernel.violations().empty());
  CHECK(kernel.open_descriptors().empty());
}
