// The log: levels, sinks, the default line on standard error, and the rate limit on a clock that the test steps.
#include "actnet/net/log.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "actnet/net/loop/clock.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace actnet::net;

namespace {

struct line {
  log_level level;
  std::string kind;
  std::string text;
  bool operator==(const line&) const = default;
};

/// Collects what is logged, at all levels; puts everything back afterwards.
class captured_log {
 public:
  captured_log()
      : before_(set_log_sink([this](log_level level, std::string_view kind, std::string_view text) {
          lines.push_back({level, std::string(kind), std::string(text)});
        })) {
    set_log_level(log_level::debug);
    set_log_clock(clock);
  }
  ~captured_log() {
    set_log_clock(monotonic_clock::instance());
    set_log_level(log_level::info);
    set_log_sink(std::move(before_));
  }
  captured_log(const captured_log&) = delete;
  captured_log& operator=(const captured_log&) = delete;

  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const line& each : lines)
      all.push_back(each.text);
    return all;
  }

  manual_clock clock;
  std::vector<line> lines;

 private:
  log_sink before_;
};

using texts = std::vector<std::string>;

/// What `act` writes to standard error.
template <class Act>
std::string standard_error_of(Act act) {
  std::FILE* file = std::tmpfile();
  REQUIRE(file);
  std::fflush(stderr);
  const int kept = ::dup(STDERR_FILENO);
  ::dup2(::fileno(file), STDERR_FILENO);
  act();
  std::fflush(stderr);
  ::dup2(kept, STDERR_FILENO);
  ::close(kept);
  std::string written;
  std::rewind(file);
  for (int c; (c = std::fgetc(file)) != EOF;)
    written += static_cast<char>(c);
  std::fclose(file);
  return written;
}

} // namespace

TEST_CASE("the first level is info, and a level lets through itself and what is worse", "[log]") {
  CHECK(log_enabled(log_level::info));
  CHECK_FALSE(log_enabled(log_level::debug));

  captured_log captured;
  set_log_level(log_level::warning);
  log(log_level::debug, "k", "debug");
  log(log_level::info, "k", "info");
  log(log_level::warning, "k", "warning");
  log(log_level::error, "k", "error");
  log_limited(log_level::info, "k", "info, limited");
  CHECK(captured.lines == std::vector<line>{{log_level::warning, "k", "warning"}, {log_level::error, "k", "error"}});
}

TEST_CASE("off drops everything, and nothing can be logged at it", "[log]") {
  captured_log captured;
  log(log_level::off, "k", "at off");
  set_log_level(log_level::off);
  CHECK_FALSE(log_enabled(log_level::error));
  CHECK_FALSE(log_enabled(log_level::off));
  log(log_level::error, "k", "error");
  log_limited(log_level::off, "k", "at off");
  CHECK(captured.lines.empty());
}

TEST_CASE("a sink is replaced, returned and put back", "[log]") {
  captured_log captured;
  int second = 0;
  const log_sink first = set_log_sink([&](log_level, std::string_view, std::string_view) { ++second; });
  log(log_level::info, "k", "to the second");
  CHECK(second == 1);
  CHECK(captured.lines.empty());
  set_log_sink(first);
  log(log_level::info, "k", "to the first");
  CHECK(second == 1);
  CHECK(captured.texts() == texts{"to the first"});
}

TEST_CASE("what a sink throws is dropped, and so is what it logs", "[log]") {
  captured_log captured;
  int calls = 0;
  const log_sink before = set_log_sink([&](log_level, std::string_view, std::string_view) {
    ++calls;
    log(log_level::error, "k", "from inside");
    log_limited(log_level::error, "k", "from inside");
    throw std::runtime_error("sink");
  });
  log(log_level::info, "k", "one");
  log_limited(log_level::info, "k", "two");
  CHECK(calls == 2);
  set_log_sink(before);
  log(log_level::info, "k", "three");
  CHECK(captured.texts() == texts{"three"});
}

TEST_CASE("the default sink writes one line with date, level and kind to standard error", "[log]") {
  const log_sink before = set_log_sink({});
  const std::string written = standard_error_of([] {
    log(log_level::debug, "k", "below the level");
    log(log_level::warning, "turn-alarm", "a turn took {} ms");
  });
  set_log_sink(before);
  // 2024-02-29T12:34:56.789+01:00 warning turn-alarm: …
  REQUIRE(written.size() > 30);
  CHECK(written.substr(0, 2) == "20");
  CHECK(written[10] == 'T');
  CHECK(written.substr(29) == " warning turn-alarm: a turn took {} ms\n");
}

TEST_CASE("control bytes in a text cannot forge a line or steer a terminal", "[log]") {
  const log_sink before = set_log_sink({});
  const std::string written = standard_error_of([] { log(log_level::error, "k", "a\nb\x1b[2J\x7f \xc3\xa9"); });
  set_log_sink(before);
  REQUIRE(written.size() > 30);
  CHECK(written.substr(29) == " error k: a\\x0ab\\x1b[2J\\x7f \xc3\xa9\n");
}

TEST_CASE("one line per second of a kind gets through, and the next says how many did not", "[log]") {
  captured_log captured;
  for (int i = 0; i < 5; ++i)
    log_limited(log_level::error, "accept", std::to_string(i));
  captured.clock.advance(1s - 1ns);
  log_limited(log_level::error, "accept", "5");
  CHECK(captured.texts() == texts{"0"});

  captured.clock.advance(1ns);
  log_limited(log_level::error, "accept", "6");
  captured.clock.advance(1s);
  log_limited(log_level::error, "accept", "7");
  CHECK(captured.texts() == texts{"0", "6 (suppressed before: 5 of this kind)", "7"});
}

TEST_CASE("kinds and levels are limited apart, and plain lines not at all", "[log]") {
  captured_log captured;
  for (int i = 0; i < 2; ++i) {
    log_limited(log_level::error, "a", "a error");
    log_limited(log_level::info, "a", "a info");
    log_limited(log_level::error, "b", "b error");
    log(log_level::error, "a", "plain");
  }
  CHECK(captured.texts() == texts{"a error", "a info", "b error", "plain", "plain"});
}

TEST_CASE("a limit of three lets three through in each second", "[log]") {
  captured_log captured;
  for (int second = 0; second < 2; ++second) {
    for (int i = 0; i < 5; ++i)
      log_limited(log_level::info, "k", std::to_string(i), 3);
    captured.clock.advance(1s);
  }
  CHECK(captured.texts() == texts{"0", "1", "2", "0 (suppressed before: 2 of this kind)", "1", "2"});
}

TEST_CASE("another clock begins to count anew", "[log]") {
  captured_log captured;
  captured.clock.advance(24h);
  log_limited(log_level::info, "k", "one");
  log_limited(log_level::info, "k", "suppressed");
  manual_clock earlier;
  set_log_clock(earlier);
  log_limited(log_level::info, "k", "two");
  set_log_clock(captured.clock);
  CHECK(captured.texts() == texts{"one", "two"});
}

TEST_CASE("every line of several threads reaches one sink, and sinks are called by one thread at a time", "[log]") {
  constexpr int threads = 4;
  constexpr int lines_each = 2000;
  captured_log captured;
  std::atomic<int> inside{0}, overlaps{0}, first{0}, second{0};
  const auto counting_in = [&](std::atomic<int>& count) {
    return [&](log_level, std::string_view, std::string_view) {
      overlaps += inside.fetch_add(1) != 0;
      std::this_thread::yield();
      ++count;
      --inside;
    };
  };
  set_log_sink(counting_in(first));
  std::atomic<int> running{threads};
  std::vector<std::thread> loggers;
  for (int i = 0; i < threads; ++i)
    loggers.emplace_back([&] {
      for (int n = 0; n < lines_each; ++n)
        log(log_level::info, "k", "text");
      --running;
    });
  while (running > 0) {
    set_log_sink(counting_in(second));
    set_log_sink(counting_in(first));
  }
  for (auto& each : loggers)
    each.join();
  set_log_sink({});
  CHECK(first + second == threads * lines_each);
  CHECK(overlaps == 0);
}

TEST_CASE("several threads together are limited as one, and none of their lines is miscounted", "[log]") {
  constexpr int threads = 4;
  constexpr int lines_each = 1000;
  captured_log captured;
  std::vector<std::thread> loggers;
  for (int i = 0; i < threads; ++i)
    loggers.emplace_back([&] {
      for (int n = 0; n < lines_each; ++n)
        log_limited(log_level::info, "k", "text");
    });
  for (auto& each : loggers)
    each.join();
  captured.clock.advance(1s);
  log_limited(log_level::info, "k", "last");
  CHECK(captured.texts() == texts{"text", "last (suppressed before: 3999 of this kind)"});
}
