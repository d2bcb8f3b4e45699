// Peers that take what they are sent slowly, or not at all: who goes forward is not given up, who stops is, in time.
#include "net/connection/stage.hpp"

#include "actnet/net/log.hpp"
#include "support/faulty_system_calls.hpp"
#include "support/scratch_folder.hpp"

#include <chrono>
#include <utility>

using namespace std::chrono_literals;

namespace actnet::test {
namespace {

constexpr std::size_t size = 150'000;
constexpr peer_options narrow{.receive_buffer_bytes = 8'192};

std::uint64_t untaken(subject& s) {
  const auto left = s.near.socket() ? s.near.socket().untaken() : std::uint64_t{0};
  return left ? *left : 0;
}

bool all_is_taken(subject& s) {
  return s.near.queued_bytes() == 0 && untaken(s) == 0;
}

/// The peer reads until that shows at our end: at most a few KB. `false` when it has come to the end.
bool takes_a_step(stage& on, subject& s, std::string& got) {
  const auto left = untaken(s);
  const auto sent = s.near.counters().bytes_sent;
  bool more = true;
  REQUIRE(on.pump_until([&] {
    more = drain(s.far, got, 1'024);
    return !more || all_is_taken(s) || s.near.counters().bytes_sent > sent || untaken(s) < left;
  }));
  return more;
}

/// Waits until nothing more happens by itself: the peer's kernel has taken what it has room for.
void come_to_rest(stage& on, subject& s) {
  for (auto quiet = 0; quiet < 20; ++quiet) {
    const auto before = std::pair{untaken(s), s.near.counters().bytes_sent};
    const auto end = std::chrono::steady_clock::now() + 5ms;
    while (std::chrono::steady_clock::now() < end)
      on.round();
    if (std::pair{untaken(s), s.near.counters().bytes_sent} != before)
      quiet = 0;
  }
}

/// Second by second until it is closed.
milliseconds time_to_close(stage& on, subject& s) {
  milliseconds passed{0};
  for (; !s.closed() && passed < 10min; passed += 250ms)
    on.advance(250ms);
  return passed;
}

/// Keeps what is logged, however often it is.
struct kept_lines {
  kept_lines()
      : before(net::set_log_sink(
            net::log_sink::direct([this](auto, auto, std::string_view line) { all.emplace_back(line); }))) {
    net::set_log_clock(net::monotonic_clock::instance()); // which forgets what was logged before
  }
  ~kept_lines() { net::set_log_sink(before); }

  std::vector<std::string> all;
  net::log_sink before;
};

bool is_whole(std::string_view got) {
  return got.size() == size && position_checker{1}.feed(std::as_bytes(std::span(got)));
}

} // namespace

TEST_CASE("a reader that takes a step now and then gets all of what was written before a close or a finish") {
  for (const auto by_file : {false, true})
    for (const auto close : {true, false}) {
      CAPTURE(by_file, close);
      const scratch_folder folder;
      stage on;
      connection_options options;
      options.write_stall = 10s;
      options.close_timeout = 1s;
      options.idle_timeout = 10s;
      auto& s = on.open(options, true, narrow, 16'384);
      by_file ? s.write_file(folder.file("much", coded(size).view()), 1) : void(s.write(coded(size), 1));
      close ? s.near.close() : s.finish();
      std::string got;
      for (;;) {
        REQUIRE(takes_a_step(on, s, got));
        if (all_is_taken(s))
          break;
        on.advance(9s);
        REQUIRE_FALSE(s.closed());
      }
      CHECK(on.pump_until([&] { return !drain(s.far, got); }));
      CHECK(is_whole(got));
      s.far.finish();
      REQUIRE(on.pump_until_closed(s));
      CHECK_FALSE(s.cause);
      REQUIRE(s.outcome_of(1));
      CHECK_FALSE(s.outcome_of(1)->cause);
    }
}

TEST_CASE("a reader that takes a step now and then is not given up while a connection is open, not even as idle") {
  stage on;
  connection_options options;
  options.write_stall = options.idle_timeout = 10s;
  auto& s = on.open(options, true, narrow, 16'384);
  s.write(coded(size), 1);
  std::string got;
  do {
    REQUIRE(takes_a_step(on, s, got));
    on.advance(9s);
    REQUIRE_FALSE(s.closed());
  } while (!all_is_taken(s));
  drain(s.far, got);
  CHECK(is_whole(got));
  on.advance(11s);
  CHECK(s.reason == close_reason::idle);
}

TEST_CASE("bytes that were in the kernel at once count as activity when the peer takes them") {
  stage on;
  connection_options options;
  options.idle_timeout = 10s;
  auto& s = on.open(options, true, narrow, 400'000);
  s.write(coded(size), 1);
  come_to_rest(on, s);
  REQUIRE(s.outcome_of(1)); // nothing is queued
  std::string got;
  while (got.size() < size / 2) {
    REQUIRE(takes_a_step(on, s, got));
    on.advance(9s);
    REQUIRE_FALSE(s.closed());
  }
  come_to_rest(on, s);
  CHECK(time_to_close(on, s) <= 11s);
  CHECK(s.reason == close_reason::idle);
}

TEST_CASE("a reader that stops is given up within the write stall and a second, and is told by a reset") {
  for (const auto how : {"open", "closing", "draining"}) {
    CAPTURE(how);
    stage on;
    const kept_lines log;
    connection_options options;
    options.write_stall = 10s;
    options.close_timeout = 1s;
    const auto draining = how == std::string_view{"draining"};
    auto& s = on.open(options, true, narrow, draining ? 400'000 : 16'384);
    s.write(coded(size), 1);
    if (how != std::string_view{"open"})
      s.near.close();
    std::string got;
    for (int i = 0; i < 3; ++i) {
      REQUIRE(takes_a_step(on, s, got));
      on.advance(9s);
    }
    come_to_rest(on, s);
    REQUIRE_FALSE(s.closed());
    CHECK((s.near.state() == connection_state::draining) == draining);
    const auto took = time_to_close(on, s);
    CHECK(took > 1s);
    CHECK(took <= 11s);
    CHECK(s.cause == errc::write_stalled);
    CHECK(s.reason == (how == std::string_view{"open"} ? close_reason::error : close_reason::requested));
    CHECK(s.outcome_of(1)->cause == (draining ? std::error_code{} : make_error_code(errc::write_stalled)));
    CHECK(s.far.await_end() == ending_of_abort(on.over));
    REQUIRE(log.all.size() == 1);
    CHECK(log.all[0].find("takes nothing") != std::string::npos);
  }
}

TEST_CASE("the close timeout begins when the peer has taken everything") {
  stage on;
  connection_options options;
  options.close_timeout = 5s;
  auto& s = on.open(options, true, narrow, 400'000);
  s.write(coded(size), 1);
  s.near.close();
  std::string got;
  while (!all_is_taken(s)) {
    on.advance(30s);
    REQUIRE_FALSE(s.closed());
    REQUIRE(takes_a_step(on, s, got));
  }
  const auto took = time_to_close(on, s);
  CHECK(took <= 6s);
  CHECK(took > 4s);
  CHECK(s.cause == errc::timed_out);
  drain(s.far, got, size);
  CHECK(is_whole(got));
  CHECK(s.far.await_end() == ending::finished);
}

TEST_CASE("without a write stall a close waits for the close timeout at each step, and no longer") {
  stage on;
  connection_options options;
  options.write_stall = 0s;
  options.close_timeout = 10s;
  auto& s = on.open(options, true, narrow, 16'384);
  s.write(coded(size), 1);
  on.advance(1h);
  REQUIRE_FALSE(s.closed());
  s.near.close();
  std::string got;
  for (int i = 0; i < 5; ++i) {
    REQUIRE(takes_a_step(on, s, got));
    on.advance(9s);
    REQUIRE_FALSE(s.closed());
  }
  come_to_rest(on, s);
  CHECK(time_to_close(on, s) <= 12s + 500ms);
  CHECK(s.cause == errc::write_stalled);
}

TEST_CASE("a loop that is held up for longer than every timeout gives up nobody who went forward meanwhile") {
  constexpr int many = 600; // more than the backend looks at in two polls
  stage on;
  connection_options options;
  options.write_stall = options.close_timeout = options.idle_timeout = 1s;
  std::vector<subject*> draining, idle, closing;
  for (int i = 0; i < many; ++i) {
    draining.push_back(&on.open(options));
    draining.back()->near.close();
    idle.push_back(&on.open(options));
  }
  for (int i = 0; i < 20; ++i) {
    closing.push_back(&on.open(options, true, narrow, 16'384));
    closing.back()->write(coded(size), 1);
    closing.back()->near.close();
  }
  on.settle();
  std::vector<std::string> got(closing.size());
  for (auto each : draining)
    each->far.finish();
  for (auto each : idle)
    each->far.send_all("x");
  for (std::size_t i = 0; i < closing.size(); ++i)
    for (int reads = 0; reads < 4; ++reads)
      drain(closing[i]->far, got[i], 4'096);
  on.clock.advance(1min);
  on.settle();
  for (auto each : draining) {
    REQUIRE(each->closed());
    CHECK_FALSE(each->cause);
  }
  for (auto each : idle)
    CHECK_FALSE(each->closed());
  for (std::size_t i = 0; i < closing.size(); ++i) {
    CHECK(on.pump_until([&] { return !drain(closing[i]->far, got[i]); }));
    CHECK(is_whole(got[i]));
  }
}

TEST_CASE("where the kernel does not tell what a peer has taken, a close ends at its timeouts all the same") {
  faulty_system_calls faults;
  const net::replaced_system_calls replaced{faults};
  stage on;
  connection_options options;
  options.write_stall = 10s;
  options.close_timeout = 1s;
  auto& closing = on.open(options, true, narrow, 16'384);
  auto& draining = on.open(options, true, narrow, 400'000);
  for (auto each : {&closing, &draining}) {
    faults.fail(call::ioctl, EPERM, {.count = occurrence::forever, .fd = each->near.socket().fd()});
    each->write(coded(size), 1);
    each->near.close();
  }
  on.settle();
  on.advance(2s);
  CHECK(draining.cause == errc::timed_out);
  CHECK(closing.near.state() == connection_state::closing);
  on.advance(11s);
  CHECK(closing.cause == errc::write_stalled);
}

} // namespace actnet::test
