// A paused connection delivers nothing, and still notices once that the peer is gone.
#include "net/connection/stage.hpp"

#include "support/faulty_system_calls.hpp"

namespace actnet::test {
namespace {

struct alarm : net::timer {
  explicit alarm(net::loop& who) : home(who) {}
  void on_timer(net::time_point) noexcept override {
    rang = true;
    home.io().wake(); // or the same round would go on to wait
  }
  net::loop& home;
  bool rang = false;
};

/// How often the loop wakes in 50 ms of real time.
std::uint64_t wake_ups_while_idle(stage& on) {
  alarm end{*on.loop};
  on.loop->timers().arm(end, on.loop->time().now() + milliseconds{50});
  const auto before = on.loop->wake_ups();
  while (!end.rang)
    on.loop->run_once(true);
  return on.loop->wake_ups() - before;
}

} // namespace

TEST_CASE("a paused connection delivers nothing until it is resumed") {
  stage on;
  auto& s = on.open();
  s.near.pause_reading();
  s.far.send_all("waiting");
  on.settle();
  CHECK(s.received_text.empty());
  s.near.resume_reading();
  REQUIRE(on.pump_until([&] { return s.received_text == "waiting"; }));
  s.near.pause_reading();
  s.near.resume_reading();
  s.far.send_all(" more");
  CHECK(on.pump_until([&] { return s.received_text == "waiting more"; }));
}

TEST_CASE("pausing from within received stops delivery with that payload") {
  stage on;
  auto& s = on.open();
  s.when_received = [&] { s.near.pause_reading(); };
  s.far.send_all(position_stream{}.bytes(200'000));
  REQUIRE(on.pump_until([&] { return s.received_bytes > 0; }));
  const auto first = s.received_bytes;
  on.settle();
  CHECK(s.received_bytes == first);
}

TEST_CASE("a paused connection notices FIN when nothing is unread before it") {
  stage on;
  connection_options options;
  options.allow_half_open = true;
  auto& s = on.open(options);
  s.near.pause_reading();
  on.settle();
  s.far.finish();
  REQUIRE(on.pump_until([&] { return s.near.state() == connection_state::peer_finished; }));
  on.settle();
  CHECK(s.log == std::vector<std::string>{"peer_finished"});
}

TEST_CASE("a FIN behind unread bytes is told after them, once reading is resumed") {
  stage on;
  auto& s = on.open();
  s.near.pause_reading();
  on.settle();
  s.far.send_all("unread");
  s.far.finish();
  on.settle();
  CHECK(s.log.empty());
  s.near.resume_reading();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.log == std::vector<std::string>{"received", "peer_finished", "closed"});
  CHECK(s.received_text == "unread");
}

TEST_CASE("a paused connection notices a reset when nothing is unread before it") {
  stage on;
  auto& s = on.open();
  s.near.pause_reading();
  on.settle();
  s.far.reset();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.log == std::vector<std::string>{"closed"});
  CHECK(s.reason == close_reason::peer_reset);
}

TEST_CASE("after a reset while paused, writes fail at once and unread bytes are delivered on resume") {
  stage on;
  connection_options options;
  options.write_high_bytes = 64u << 20;
  auto& s = on.open(options, true, {.receive_buffer_bytes = 8'192}, 16'384);
  s.near.pause_reading();
  s.write(coded(8u << 20), 1);
  on.settle();
  s.far.send_all(position_stream{3}.bytes(40'000));
  on.settle();
  s.far.reset();
  REQUIRE(on.pump_until([&] { return s.outcome_of(1) != nullptr; }));
  CHECK(s.outcome_of(1)->cause == errc::connection_reset);
  CHECK(s.outcome_of(1)->sent == s.near.counters().bytes_sent);
  CHECK(s.near.state() == connection_state::reset);
  on.settle();
  CHECK(s.log == std::vector<std::string>{"failed 1"});
  s.check.emplace(3);
  s.near.resume_reading();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.log == std::vector<std::string>{"failed 1", "received", "closed"});
  CHECK(s.received_bytes == 40'000);
  CHECK_FALSE(s.check->first_difference());
  CHECK(s.reason == close_reason::peer_reset);
  CHECK(s.cause == errc::connection_reset);
}

TEST_CASE("a paused connection whose peer is gone does not spin") {
  for (const auto reset : {false, true})
    for (const auto unread : {false, true}) {
      CAPTURE(reset, unread);
      stage on{each_carrier(), true};
      connection_options options;
      options.allow_half_open = true;
      auto& s = on.open(options);
      s.near.pause_reading();
      on.settle();
      if (unread)
        s.far.send_all("unread");
      reset ? s.far.reset() : s.far.finish();
      on.settle();
      CHECK(wake_ups_while_idle(on) <= 3);
    }
}

TEST_CASE("a paused connection with bytes that wait makes no system call for them") {
  faulty_system_calls kernel;
  net::replaced_system_calls in_force{kernel};
  stage on;
  auto& s = on.open();
  s.near.pause_reading();
  on.settle();
  const auto reads = [&] { return kernel.calls(call::recv); };
  const auto before = reads();
  s.far.send_all("unread");
  on.settle();
  CHECK(reads() == before);
}

} // namespace actnet::test
