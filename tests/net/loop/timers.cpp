// The timer queue: order, what callbacks may do to it, and a long random run against a std::multimap.
#include "actnet/net/loop/timers.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/sanitizer.hpp"

using namespace std::chrono_literals;
using actnet::net::manual_clock;
using actnet::net::time_point;
using actnet::net::timer;
using actnet::net::timer_queue;

namespace {

constexpr time_point t0 = manual_clock::start;
constexpr auto nothing = [] {};

/// Writes its number down when it fires, then does what the test wants.
class probe final : public timer {
 public:
  probe(std::vector<int>& fired, int number) : fired_(fired), number_(number) {}

  void on_timer(time_point now) noexcept override {
    fired_.push_back(number_);
    fired_at = now;
    armed_when_fired = armed();
    if (then)
      then();
  }

  std::function<void()> then;
  time_point fired_at{};
  bool armed_when_fired = false;

 private:
  std::vector<int>& fired_;
  int number_;
};

/// Five timers and the list of those that fired.
struct five {
  std::vector<int> fired;
  probe t[5] = {{fired, 0}, {fired, 1}, {fired, 2}, {fired, 3}, {fired, 4}};
  timer_queue queue; // last, so that it disarms what a failed test left armed

  std::vector<int> round(time_point now) {
    fired.clear();
    const auto count = queue.fire_due(now, nothing);
    CHECK(count == fired.size());
    return fired;
  }
};

using list = std::vector<int>;

} // namespace

TEST_CASE("a timer is three words", "[timers]") {
  CHECK(sizeof(timer) == 24);
}

TEST_CASE("timers fire in order of deadline, ties in order of arming", "[timers]") {
  five f;
  f.queue.arm(f.t[0], t0 + 2s);
  f.queue.arm(f.t[1], t0 + 1s);
  f.queue.arm(f.t[2], t0 + 2s);
  f.queue.arm(f.t[3], t0 + 1s);
  f.queue.arm(f.t[4], t0 + 2s);
  CHECK(f.queue.size() == 5);
  CHECK(f.queue.next_deadline() == t0 + 1s);
  CHECK(f.round(t0 + 2s) == list{1, 3, 0, 2, 4});
  CHECK(f.queue.size() == 0);
  CHECK(f.queue.next_deadline() == time_point::max());
}

TEST_CASE("a timer is due at its deadline and not a nanosecond before", "[timers]") {
  five f;
  f.queue.arm(f.t[0], t0 + 1s);
  CHECK(f.t[0].armed());
  CHECK(f.t[0].deadline() == t0 + 1s);
  CHECK(f.round(t0 + 1s - 1ns).empty());
  CHECK(f.round(t0 + 1s) == list{0});
  CHECK_FALSE(f.t[0].armed_when_fired);
  CHECK_FALSE(f.t[0].armed());
  CHECK(f.round(t0 + 9s).empty());
}

TEST_CASE("arming an armed timer moves it, behind the others of its deadline", "[timers]") {
  five f;
  f.queue.arm(f.t[0], t0 + 1s);
  f.queue.arm(f.t[1], t0 + 2s);
  f.queue.arm(f.t[2], t0 + 3s);
  f.queue.arm(f.t[0], t0 + 2s); // later
  f.queue.arm(f.t[2], t0 + 1s); // earlier
  f.queue.arm(f.t[1], t0 + 2s); // same deadline, armed last
  CHECK(f.queue.size() == 3);
  CHECK(f.t[0].deadline() == t0 + 2s);
  CHECK(f.round(t0 + 3s) == list{2, 0, 1});
}

TEST_CASE("a cancelled timer does not fire, and cancelling twice is nothing", "[timers]") {
  five f;
  for (auto& each : f.t)
    f.queue.arm(each, t0 + 1s);
  f.queue.cancel(f.t[2]);
  f.queue.cancel(f.t[2]);
  f.queue.cancel(f.t[0]);
  CHECK_FALSE(f.t[2].armed());
  CHECK(f.queue.size() == 3);
  CHECK(f.round(t0 + 1s) == list{1, 3, 4});
}

TEST_CASE("a callback may cancel a timer that is due in the same round", "[timers]") {
  five f;
  for (auto& each : f.t)
    f.queue.arm(each, t0 + 1s);
  f.t[0].then = [&] {
    f.queue.cancel(f.t[0]); // not armed any more: nothing
    f.queue.cancel(f.t[1]);
    f.queue.cancel(f.t[4]);
  };
  CHECK(f.round(t0 + 1s) == list{0, 2, 3});
  CHECK(f.queue.size() == 0);
}

TEST_CASE("a callback may move a timer that is due in the same round", "[timers]") {
  five f;
  for (int i = 0; i < 3; ++i)
    f.queue.arm(f.t[i], t0 + 1s);
  f.t[0].then = [&] {
    f.queue.arm(f.t[1], t0 + 5s); // later: not in this round
    f.queue.arm(f.t[2], t0);      // still due: in the next round
  };
  CHECK(f.round(t0 + 1s) == list{0});
  CHECK(f.queue.next_deadline() == t0);
  CHECK(f.round(t0 + 1s) == list{2});
  CHECK(f.round(t0 + 5s) == list{1});
}

TEST_CASE("a timer that arms itself for now fires once a round and does not hold up the others", "[timers]") {
  five f;
  f.t[0].then = [&] { f.queue.arm(f.t[0], t0); };
  f.queue.arm(f.t[0], t0);
  f.queue.arm(f.t[1], t0 + 1s);
  CHECK(f.round(t0 + 1s) == list{0, 1});
  CHECK(f.round(t0 + 1s) == list{0});
  CHECK(f.round(t0 + 1s) == list{0});
  CHECK(f.queue.size() == 1);
}

TEST_CASE("what waits for the next round is counted, and can be cancelled and moved", "[timers]") {
  five f;
  f.queue.arm(f.t[0], t0 + 1s);
  f.t[0].then = [&] {
    for (int i = 1; i < 5; ++i)
      f.queue.arm(f.t[i], t0);
    CHECK(f.queue.size() == 4);
    CHECK(f.queue.next_deadline() == t0);
    f.queue.cancel(f.t[1]);
    CHECK_FALSE(f.t[1].armed());
    f.queue.arm(f.t[2], t0 + 5s);   // out of the waiting ones, later
    f.queue.arm(f.t[3], t0 + 10ms); // behind t[4]
    CHECK(f.queue.size() == 3);
  };
  CHECK(f.round(t0 + 1s) == list{0});
  CHECK(f.round(t0 + 1s) == list{4, 3});
  CHECK(f.round(t0 + 5s) == list{2});
}

TEST_CASE("after each timer the caller gets its turn, and may cancel what is due", "[timers]") {
  five f;
  for (auto& each : f.t)
    f.queue.arm(each, t0);
  int turns = 0;
  const auto count = f.queue.fire_due(t0, [&] {
    ++turns;
    CHECK(f.fired.size() == static_cast<std::size_t>(turns));
    f.queue.cancel(f.t[2]);
  });
  CHECK(count == 4);
  CHECK(turns == 4);
  CHECK(f.fired == list{0, 1, 3, 4});
}

TEST_CASE("a turn that throws ends the round and loses no timer", "[timers]") {
  five f;
  for (int i = 0; i < 3; ++i)
    f.queue.arm(f.t[i], t0 + 1s);
  f.t[0].then = [&] { f.queue.arm(f.t[0], t0); };
  CHECK_THROWS_AS(f.queue.fire_due(t0 + 1s, [] { throw std::runtime_error("turn"); }), std::runtime_error);
  f.t[0].then = nullptr;
  CHECK(f.queue.size() == 3);
  CHECK(f.round(t0 + 1s) == list{0, 1, 2});
}

TEST_CASE("a timer may be destroyed in its own callback", "[timers]") {
  timer_queue queue;
  std::vector<int> fired;
  auto owned = std::make_unique<probe>(fired, 7);
  struct destroyer final : timer {
    std::unique_ptr<destroyer>& self;
    explicit destroyer(std::unique_ptr<destroyer>& s) : self(s) {}
    void on_timer(time_point) noexcept override { self.reset(); }
  };
  std::unique_ptr<destroyer> self;
  self = std::make_unique<destroyer>(self);
  queue.arm(*self, t0);
  queue.arm(*owned, t0);
  CHECK(queue.fire_due(t0, nothing) == 2);
  CHECK_FALSE(self);
  CHECK(fired == list{7});
}

TEST_CASE("a queue that is destroyed disarms its timers", "[timers]") {
  std::vector<int> fired;
  probe left(fired, 1);
  {
    timer_queue queue;
    queue.arm(left, t0);
  }
  CHECK_FALSE(left.armed());
}

TEST_CASE("after a stall of two seconds each due timer fires once, in order, and none early", "[timers]") {
  manual_clock clock;
  timer_queue queue;
  std::vector<int> fired;
  std::deque<probe> timers;
  std::size_t rounds_fired = 0;
  const auto id = clock.subscribe([&] { rounds_fired += queue.fire_due(clock.now(), nothing); });
  for (int i = 0; i < 300; ++i) {
    timers.emplace_back(fired, i);
    queue.arm(timers.back(), clock.now() + 10ms * (i + 1));
  }
  clock.advance(2s);
  REQUIRE(fired.size() == 200);
  CHECK(rounds_fired == 200);
  for (int i = 0; i < 200; ++i) {
    CHECK(fired[static_cast<std::size_t>(i)] == i);
    CHECK(timers[static_cast<std::size_t>(i)].fired_at == t0 + 2s);
  }
  clock.advance(0s);
  CHECK(fired.size() == 200);
  CHECK(queue.next_deadline() == t0 + 2010ms);
  clock.unsubscribe(id);
  for (auto& each : timers)
    queue.cancel(each);
  CHECK(queue.size() == 0);
}

namespace {

/// A queue and its model: a std::multimap keeps equal keys in the order of insertion, as the queue promises.
class modelled_queue {
 public:
  explicit modelled_queue(unsigned seed, std::size_t count) : random_(seed) {
    for (std::size_t i = 0; i < count; ++i)
      timers_.emplace_back(*this);
  }

  void act() {
    modelled& picked = timers_[random_() % timers_.size()];
    forget(picked);
    if (random_() % 3 == 0) {
      queue_.cancel(picked);
    } else {
      const time_point deadline = now_ + std::chrono::microseconds{static_cast<int>(random_() % 4000) - 500};
      queue_.arm(picked, deadline);
      picked.where = model_.emplace(deadline, &picked);
      picked.armed_in_round = round_;
    }
  }

  void step() {
    now_ += std::chrono::microseconds{random_() % 40};
    ++round_;
    in_round_ = true;
    fired_ += queue_.fire_due(now_, [this] { differences_ += model_.size() != queue_.size(); });
    in_round_ = false;
    differences_ += next_due() != nullptr;
    const auto next = queue_.next_deadline();
    differences_ += next != (model_.empty() ? time_point::max() : model_.begin()->first);
    ++round_;
  }

  void cancel_all() {
    for (modelled& each : timers_) {
      forget(each);
      queue_.cancel(each);
    }
  }

  std::size_t size() const { return queue_.size(); }
  std::size_t fired() const { return fired_; }
  std::size_t differences() const { return differences_; }

 private:
  struct modelled final : timer {
    modelled_queue& owner;
    std::multimap<time_point, modelled*>::iterator where;
    std::uint64_t armed_in_round = 0;

    explicit modelled(modelled_queue& o) : owner(o), where(o.model_.end()) {}

    void on_timer(time_point now) noexcept override {
      owner.differences_ += !owner.in_round_ || now != owner.now_ || deadline() > now || owner.next_due() != this;
      owner.forget(*this);
      for (auto n = owner.random_() % 3; n > 0; --n)
        owner.act();
    }
  };

  /// What must fire next: the first that is due and was not armed in this round.
  modelled* next_due() const {
    for (auto each = model_.begin(); each != model_.end() && each->first <= now_; ++each)
      if (each->second->armed_in_round != round_)
        return each->second;
    return nullptr;
  }

  void forget(modelled& gone) {
    if (gone.where != model_.end())
      model_.erase(std::exchange(gone.where, model_.end()));
  }

  std::mt19937 random_;
  std::multimap<time_point, modelled*> model_;
  std::deque<modelled> timers_;
  timer_queue queue_;
  time_point now_ = t0;
  std::uint64_t round_ = 1;
  bool in_round_ = false;
  std::size_t fired_ = 0;
  std::size_t differences_ = 0;
};

} // namespace

TEST_CASE("100,000 timers armed, moved and cancelled at random fire as a multimap says", "[timers]") {
  modelled_queue tested(20240229, actnet::test::rounds(100'000));
  for (std::size_t i = 0; i < actnet::test::rounds(400'000); ++i) {
    tested.act();
    if (i % 100 == 99)
      tested.step();
  }
  CHECK(tested.fired() > actnet::test::rounds(50'000));
  CHECK(tested.size() > actnet::test::rounds(1'000));
  CHECK(tested.differences() == 0);
  tested.cancel_all();
  CHECK(tested.size() == 0);
}

TEST_CASE("a few timers, mostly due at once and changed by callbacks, fire as a multimap says", "[timers]") {
  for (unsigned seed = 1; seed <= actnet::test::rounds(50); ++seed) {
    modelled_queue tested(seed, 12);
    for (int i = 0; i < 2'000; ++i) {
      tested.act();
      tested.step();
    }
    CAPTURE(seed);
    CHECK(tested.fired() > 100);
    CHECK(tested.differences() == 0);
    tested.cancel_all();
  }
}

TEST_CASE("a round in two halves fires what was due when it began, unless it was cancelled in between") {
  std::vector<int> fired;
  probe due{fired, 1}, later{fired, 2}, late{fired, 3}, gone{fired, 4};
  timer_queue queue;
  queue.arm(due, t0);
  queue.arm(gone, t0);
  queue.arm(later, t0 + 1ms);
  queue.begin_round(t0);
  queue.arm(late, t0); // the next round's
  queue.cancel(gone);
  CHECK(queue.next_deadline() == t0);
  CHECK(queue.finish_round(nothing) == 1);
  CHECK(fired == std::vector{1});
  queue.begin_round(t0);
  queue.arm(due, t0);
  CHECK(queue.finish_round(nothing) == 1);
  CHECK(fired == std::vector{1, 3});
  queue.begin_round(t0 + 1ms);
  queue.cancel(later);
  queue.cancel(due);
  CHECK(queue.finish_round(nothing) == 0);
}

TEST_CASE("a queue that goes in the middle of a round disarms what it holds") {
  std::vector<int> fired;
  probe due{fired, 1}, late{fired, 2};
  {
    timer_queue queue;
    queue.arm(due, t0);
    queue.begin_round(t0);
    queue.arm(late, t0);
  }
  CHECK_FALSE(due.armed());
  CHECK_FALSE(late.armed());
}
