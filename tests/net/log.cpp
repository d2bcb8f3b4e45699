// The log: levels, sinks, the default line on standard error, and the rate limit on a clock that the test steps.
#include "actnet/net/log.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "actnet/net/loop/clock.hpp"
#include "support/catch.hpp"
#include "support/descriptor.hpp"
#include "support/eventually.hpp"
#include "support/faulty_threads.hpp"
#include "support/sanitizer.hpp"
#include "support/standard_error.hpp"

using namespace std::chrono_literals;
using namespace actnet::net;
using actnet::test::descriptor;
using actnet::test::eventually;
using actnet::test::standard_error_of;

namespace {

struct logged_line {
  log_level level;
  std::string kind;
  std::string text;
  bool operator==(const logged_line&) const = default;
};

/// Collects what is logged, at all levels; puts everything back afterwards.
class captured_log {
 public:
  captured_log()
      : before_(set_log_sink(log_sink::direct([this](log_level level, std::string_view kind, std::string_view text) {
          lines.push_back({level, std::string(kind), std::string(text)});
        }))) {
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
    for (const logged_line& each : lines)
      all.push_back(each.text);
    return all;
  }

  manual_clock clock;
  std::vector<logged_line> lines;

 private:
  log_sink before_;
};

using texts = std::vector<std::string>;

/// Puts a pipe in the place of standard error, which nobody reads and which is full.
class full_standard_error {
 public:
  full_standard_error() {
    flush_log(10s);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    read_.reset(ends[0]);
    const descriptor write{ends[1]};
    const std::string dots(4096, '.');
    while (::write(write.fd(), dots.data(), dots.size()) > 0)
      before_ += dots.size();
    kept_.reset(::dup(STDERR_FILENO));
    ::dup2(write.fd(), STDERR_FILENO);
  }
  ~full_standard_error() { give_back(); }

  void give_back() {
    if (kept_)
      ::dup2(kept_.fd(), STDERR_FILENO);
    kept_.reset();
  }

  /// Reads until `enough`, and returns what came after the dots.
  template <class Enough>
  std::string read_until(Enough enough) {
    std::string all;
    char buffer[65'536];
    eventually([&] {
      for (ssize_t count; (count = ::read(read_.fd(), buffer, sizeof buffer)) > 0;)
        all.append(buffer, static_cast<std::size_t>(count));
      return all.size() > before_ && enough(all);
    });
    return all.substr(std::min(before_, all.size()));
  }

 private:
  descriptor read_;
  descriptor kept_;
  std::size_t before_ = 0;
};

/// How many a line of the kind "log" says were dropped; -1 if the text has none.
long dropped_in(const std::string& text) {
  const std::string after = " lines were dropped, for they came faster than they were taken";
  const auto end = text.find(after);
  if (end == text.npos)
    return -1;
  const auto begin = text.rfind(' ', end - 1);
  return std::stol(text.substr(begin == text.npos ? 0 : begin + 1, end));
}

/// The exit code of a child of fork(2) that does `act`, and what it writes to standard error.
template <class Act>
std::pair<int, std::string> forked(Act act) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const descriptor read{ends[0]};
  descriptor write{ends[1]};
  const auto child = ::fork();
  if (child == 0) {
    ::dup2(write.fd(), STDERR_FILENO);
    ::_exit(act());
  }
  write.reset();
  std::string text;
  char buffer[4096];
  for (ssize_t count; (count = ::read(read.fd(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(count));
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text};
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
  CHECK(captured.lines ==
        std::vector<logged_line>{{log_level::warning, "k", "warning"}, {log_level::error, "k", "error"}});
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
  const log_sink first =
      set_log_sink(log_sink::direct([&](log_level, std::string_view, std::string_view) { ++second; }));
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
  const log_sink before = set_log_sink(log_sink::direct([&](log_level, std::string_view, std::string_view) {
    ++calls;
    log(log_level::error, "k", "from inside");
    log_limited(log_level::error, "k", "from inside");
    throw std::runtime_error("sink");
  }));
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
    return log_sink::direct([&](log_level, std::string_view, std::string_view) {
      overlaps += inside.fetch_add(1) != 0;
      std::this_thread::yield();
      ++count;
      --inside;
    });
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

TEST_CASE("what a terminal would obey is escaped, be it no UTF-8 or a control character of 8 bits", "[log]") {
  const log_sink before = set_log_sink({});
  const std::string written =
      standard_error_of([] { log(log_level::error, "k", "\x9b[2J \xc2\x9b[2J \xe2\x82\xac \xff"); });
  set_log_sink(before);
  REQUIRE(written.size() > 30);
  CHECK(written.substr(29) == " error k: \\x9b[2J \\xc2\\x9b[2J \xe2\x82\xac \\xff\n");
}

TEST_CASE("a program's own words are not of the log, and keep their place among its lines", "[log]") {
  set_log_level(log_level::error);
  const std::string written = standard_error_of([] {
    say("one\n");
    log(log_level::error, "k", "two");
    say("three\nfour\n");
  });
  set_log_level(log_level::info);
  CHECK(written.starts_with("one\n20"));
  CHECK(written.ends_with(" error k: two\nthree\nfour\n"));
}

TEST_CASE("logging goes on while nobody reads standard error, and who reads then is told how much is missing",
          "[log]") {
  const std::string text(100, 'x');
  constexpr int many = 10'000;
  full_standard_error unread;
  for (int i = 0; i < many; ++i)
    log(log_level::error, "k", text);
  CHECK_FALSE(flush_log(0ms));
  const auto got = unread.read_until([](const std::string& all) { return dropped_in(all) >= 0; });
  unread.give_back();
  const auto lines = std::count(got.begin(), got.end(), '\n') - 1;
  CHECK(lines + dropped_in(got) == many);
  CHECK(static_cast<std::size_t>(lines) * text.size() <= log_queue_bytes_max);
  CHECK(static_cast<std::size_t>(lines) * text.size() >= log_queue_bytes_max / 2);
  CHECK(flush_log(10s));
}

TEST_CASE("a sink that waits holds up nobody who logs: it is called in a thread of the log's own", "[log]") {
  std::mutex mutex;
  std::condition_variable opened;
  bool open = false;
  std::thread::id in;
  std::vector<std::string> taken;
  const log_sink before = set_log_sink([&](log_level, std::string_view, std::string_view text) {
    std::unique_lock lock(mutex);
    opened.wait(lock, [&] { return open; });
    in = std::this_thread::get_id();
    taken.emplace_back(text);
  });
  constexpr int many = 10'000;
  for (int i = 0; i < many; ++i)
    log(log_level::error, "k", std::to_string(i));
  {
    const std::lock_guard lock(mutex);
    CHECK(taken.empty());
    open = true;
  }
  opened.notify_all();
  CHECK(flush_log(30s));
  set_log_sink(before);
  CHECK(in != std::this_thread::get_id());
  REQUIRE(taken.size() > 2);
  for (std::size_t i = 0; i + 1 < taken.size(); ++i)
    CHECK(taken[i] == std::to_string(i));
  CHECK(static_cast<long>(taken.size()) - 1 + dropped_in(taken.back()) == many);
}

TEST_CASE("once another sink is in force the one before is not called any more", "[log]") {
  std::atomic<int> first{0}, second{0};
  const log_sink before = set_log_sink([&](log_level, std::string_view, std::string_view) { ++first; });
  for (int i = 0; i < 100; ++i) {
    log(log_level::error, "k", "to the first");
    set_log_sink([&](log_level, std::string_view, std::string_view) { ++second; });
    const int seen = first;
    log(log_level::error, "k", "to the second");
    set_log_sink([&](log_level, std::string_view, std::string_view) { ++first; });
    CHECK(first == seen);
  }
  set_log_sink(before);
  CHECK(first == 100);
  CHECK(second == 100);
}

TEST_CASE("a child of fork logs as its parent does, and nothing of what that has queued", "[log]") {
  if (actnet::test::sanitized)
    return; // it allows no threads there
  const std::string parents(100, 'p');
  full_standard_error unread; // the log's thread waits
  log(log_level::error, "k", parents);
  log(log_level::error, "k", parents);
  const auto [code, text] = forked([] {
    log(log_level::error, "k", "from the child");
    return flush_log(10s) ? 0 : 1;
  });
  unread.read_until([](const std::string& all) { return std::count(all.begin(), all.end(), '\n') == 2; });
  unread.give_back();
  CHECK(code == 0);
  CHECK(text.ends_with(" error k: from the child\n"));
  CHECK(text.find(parents) == text.npos);
  CHECK(flush_log(10s));
}

TEST_CASE("a child of fork logs also while another thread of its parent is within a sink", "[log]") {
  if (actnet::test::sanitized)
    return; // as above
  const auto direct = GENERATE(true, false);
  CAPTURE(direct);
  std::promise<void> inside, go_on;
  auto until = go_on.get_future().share();
  const auto sink = [&](log_level, std::string_view, std::string_view text) {
    if (text == "from the child") {
      (void)!::write(STDERR_FILENO, "the child's line", 16);
    } else {
      inside.set_value();
      until.wait();
    }
  };
  auto before = set_log_sink(direct ? log_sink::direct(sink) : log_sink{sink});
  std::thread other{[] { log(log_level::error, "k", "from the parent"); }};
  inside.get_future().wait();
  const auto [code, text] = forked([] {
    ::alarm(30); // ends a child that hangs
    log(log_level::error, "k", "from the child");
    return flush_log(10s) ? 0 : 1;
  });
  go_on.set_value();
  other.join();
  (void)flush_log(10s);
  set_log_sink(std::move(before));
  CHECK(code == 0);
  CHECK(text == "the child's line");
}

TEST_CASE("where no thread is to be had a line is written at once, or lost if that would wait", "[log]") {
  if (actnet::test::sanitized)
    return; // as above
  const auto [code, text] = forked([] {
    const actnet::test::few_threads none(0);
    if (start_log_thread())
      return 1;
    log(log_level::error, "k", "at once");
    const full_standard_error unread;
    log(log_level::error, "k", "lost");
    return flush_log(0ms) ? 0 : 2;
  });
  CHECK(code == 0);
  CHECK(text.ends_with(" error k: at once\n"));
}
