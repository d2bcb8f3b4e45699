// The monotonic clock against a kernel that lies about the date, the manual one against its promises.
#include "actnet/net/loop/clock.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "actnet/net/socket/system_calls.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using actnet::net::duration;
using actnet::net::later;
using actnet::net::manual_clock;
using actnet::net::monotonic_clock;
using actnet::net::saturated;
using actnet::net::time_point;
using actnet::net::timeout;

namespace {

/// A kernel whose realtime clock jumps an hour back with each reading.
class jumping_realtime : public actnet::net::system_calls {
 public:
  int clock_gettime(clockid_t id, timespec* time) noexcept override {
    switch (id) {
    case CLOCK_MONOTONIC: *time = {50, 7}; return 0;
    case CLOCK_MONOTONIC_COARSE: *time = {49, 999}; return 0;
    default: *time = {realtime_ -= 3600, 0}; return 0;
    }
  }

 private:
  time_t realtime_ = 1'000'000;
};

} // namespace

TEST_CASE("the monotonic clock is on the time line of std::chrono::steady_clock", "[clock]") {
  auto& tested = monotonic_clock::instance();
  const auto before = std::chrono::steady_clock::now();
  const time_point read = tested.now();
  const auto after = std::chrono::steady_clock::now();
  CHECK(before <= read);
  CHECK(read <= after);
  CHECK_FALSE(tested.manual());
}

TEST_CASE("coarse time is at most a few ticks behind and never ahead", "[clock]") {
  auto& tested = monotonic_clock::instance();
  for (int i = 0; i < 1000; ++i) {
    const time_point before = tested.now();
    const time_point coarse = tested.coarse_now();
    const time_point after = tested.now();
    REQUIRE(coarse <= after);
    REQUIRE(coarse > before - 100ms);
  }
}

TEST_CASE("a jump of the realtime clock does not move the monotonic one", "[clock]") {
  jumping_realtime kernel;
  const actnet::net::replaced_system_calls replaced(kernel);
  auto& tested = monotonic_clock::instance();
  CHECK(tested.now() == time_point{50s + 7ns});
  CHECK(tested.coarse_now() == time_point{49s + 999ns});
  CHECK(tested.now() == time_point{50s + 7ns});
}

TEST_CASE("a manual clock stands still until it is advanced", "[clock]") {
  manual_clock tested;
  CHECK(tested.manual());
  CHECK(tested.now() == manual_clock::start);
  tested.advance(3ns);
  tested.advance(0ns);
  CHECK(tested.now() == manual_clock::start + 3ns);
  CHECK(tested.coarse_now() == tested.now());
}

TEST_CASE("each advance wakes every subscriber once, in order, and they see the new time", "[clock]") {
  manual_clock tested;
  std::vector<std::pair<char, time_point>> woken;
  const auto first = tested.subscribe([&] { woken.emplace_back('a', tested.now()); });
  const auto second = tested.subscribe([&] { woken.emplace_back('b', tested.now()); });
  CHECK(woken.empty());

  const time_point one = manual_clock::start + 1s;
  tested.advance(1s);
  CHECK(woken == std::vector<std::pair<char, time_point>>{{'a', one}, {'b', one}});

  woken.clear();
  tested.unsubscribe(first);
  tested.advance(0ns);
  CHECK(woken == std::vector<std::pair<char, time_point>>{{'b', one}});

  woken.clear();
  tested.unsubscribe(second);
  tested.advance(1s);
  CHECK(woken.empty());
}

TEST_CASE("threads may advance, read, subscribe and unsubscribe at once", "[clock]") {
  constexpr int threads = 4;
  constexpr int rounds = 500;
  manual_clock tested;
  std::atomic<int> woken{0};
  std::atomic<int> backwards{0};
  std::atomic<int> called_after_unsubscribe{0};
  const auto watcher = tested.subscribe([&] { ++woken; });
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i)
    running.emplace_back([&] {
      for (int n = 0; n < rounds; ++n) {
        const time_point before = tested.now();
        std::atomic<bool> gone{false};
        const auto id = tested.subscribe([&] { called_after_unsubscribe += gone; });
        tested.advance(1ns);
        backwards += tested.now() <= before;
        tested.unsubscribe(id);
        gone = true;
      }
    });
  for (auto& each : running)
    each.join();
  tested.unsubscribe(watcher);
  CHECK(woken == threads * rounds);
  CHECK(tested.now() == manual_clock::start + std::chrono::nanoseconds{threads * rounds});
  CHECK(backwards == 0);
  CHECK(called_after_unsubscribe == 0);
}

TEST_CASE("a duration that does not fit is as long as there is one, and all others are what they are", "[clock]") {
  using std::chrono::hours;
  using std::chrono::milliseconds;
  using std::chrono::years;
  const auto ns = [](auto time) { return saturated<duration>(time); };
  CHECK(ns(5s) == 5s);
  CHECK(ns(-5ms) == -5ms);
  CHECK(ns(years{292}) == years{292});
  CHECK(ns(years{293}) == duration::max());
  CHECK(ns(years{-293}) == duration::min());
  CHECK(ns(hours::max()) == duration::max());
  CHECK(ns(hours::min()) == duration::min());
  CHECK(ns(milliseconds::max()) == duration::max());
  CHECK(ns(duration::max()) == duration::max());
  CHECK(ns(std::chrono::duration<std::int64_t, std::pico>{1'999}) == 1ns);
  CHECK(ns(std::chrono::duration<std::uint64_t, std::nano>{~std::uint64_t{0}}) == duration::max());
  CHECK(ns(std::chrono::duration<std::uint64_t, std::pico>{~std::uint64_t{0}}) == duration{18'446'744'073'709'551});
  CHECK(ns(std::chrono::duration<int, std::ratio<1, 3>>{1}) == 333'333'333ns);
  CHECK(ns(std::chrono::duration<double>{0.25}) == 250ms);
  CHECK(ns(std::chrono::duration<double>{1e300}) == duration::max());
  CHECK(ns(std::chrono::duration<double>{-1e300}) == duration::min());
  CHECK(ns(std::chrono::duration<double>{0.0 / 0.0}) == 0ns);
  CHECK(saturated<milliseconds>(hours::max()) == milliseconds::max());
  CHECK(saturated<milliseconds>(1'999us) == 1ms);
  CHECK(saturated<milliseconds>(-1'999us) == -1ms);
}

TEST_CASE("the time after a time is never before it", "[clock]") {
  const auto now = manual_clock::start;
  CHECK(later(now, 5s) == now + 5s);
  CHECK(later(now, -5s) == now - 5s);
  CHECK(later(now, std::chrono::hours::max()) == time_point::max());
  CHECK(later(now, std::chrono::duration<int>{5}) == now + 5s);
  CHECK(later(now, duration::max()) == time_point::max());
  CHECK(later(time_point::max(), 1ns) == time_point::max());
  CHECK(later(time_point::min(), -1ns) == time_point::min());
  CHECK(later(time_point::min(), timeout{}) == time_point::min());
}
