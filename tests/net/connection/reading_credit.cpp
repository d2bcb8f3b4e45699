// The payload is the credit: who holds what was delivered stops the reading, who drops it sets it going again.
#include "net/connection/stage.hpp"

#include "actnet/net/log.hpp"

#include <atomic>
#include <mutex>
#include <thread>

namespace actnet::test {
namespace {

connection_options with_credit(std::uint32_t bytes) {
  connection_options options;
  options.read_credit_bytes = bytes;
  return options;
}

/// Keeps everything and is sent more than the credit allows, until it starves.
subject& starving(stage& on, const connection_options& options, std::size_t sent_bytes = 2'000'000) {
  auto& s = on.open(options);
  s.keep = true;
  s.check.emplace();
  const auto all = position_stream{}.bytes(sent_bytes);
  std::size_t sent = 0;
  REQUIRE(on.pump_until([&] {
    sent += s.far.send_some(std::span(all).subspan(sent));
    return s.near.starved();
  }));
  on.settle();
  return s;
}

} // namespace

TEST_CASE("payloads that are held stop reading at the credit, plus one read block at the most") {
  stage on;
  auto& s = starving(on, with_credit(200'000));
  CHECK(s.near.credit_outstanding() >= 200'000);
  CHECK(s.near.credit_outstanding() < 200'000 + net::block_pool::read_bytes + net::block::overhead_bytes);
  CHECK(s.received_bytes <= s.near.credit_outstanding());
  const auto before = s.received_bytes;
  on.settle();
  CHECK(s.received_bytes == before);
}

TEST_CASE("payloads dropped on the loop let reading go on, and the account comes back to nothing") {
  stage on;
  auto& s = on.open(with_credit(200'000));
  s.keep = true;
  s.check.emplace();
  const auto all = position_stream{}.bytes(3'000'000);
  std::size_t sent = 0;
  int starved = 0;
  REQUIRE(on.pump_until([&] {
    sent += s.far.send_some(std::span(all).subspan(sent));
    CHECK(s.near.credit_outstanding() < 200'000 + net::block_pool::read_bytes + net::block::overhead_bytes);
    if (s.near.starved()) {
      ++starved;
      s.kept.clear();
    }
    return s.received_bytes == all.size();
  }));
  CHECK(starved > 5);
  CHECK_FALSE(s.check->first_difference());
  s.kept.clear();
  CHECK(s.near.credit_outstanding() == 0);
}

TEST_CASE("a large read is charged by its block and its message, and one byte of it pays for all of it") {
  stage on;
  auto& s = on.open(with_credit(1'000'000));
  s.keep = true;
  s.far.send_all(position_stream{}.bytes(3'000));
  REQUIRE(on.pump_until([&] { return s.received_bytes == 3'000; }));
  CHECK(s.near.credit_outstanding() == net::block_pool::read_bytes + net::block::overhead_bytes);
  auto one_byte = s.kept.front().slice(1'500, 1);
  s.kept.clear();
  CHECK(s.near.credit_outstanding() == net::block_pool::read_bytes + net::block::overhead_bytes);
  one_byte = one_byte.detach();
  CHECK(s.near.credit_outstanding() == 0);

  s.far.send_all("small");
  REQUIRE(on.pump_until([&] { return s.received_bytes == 3'005; }));
  CHECK(s.near.credit_outstanding() == 112 + net::block::overhead_bytes);
}

TEST_CASE("detach gives the credit back and keeps the bytes") {
  stage on;
  auto& s = on.open(with_credit(100'000));
  std::vector<net::bytes> own;
  s.keep = true;
  s.when_received = [&] {
    own.push_back(s.kept.back().detach());
    s.kept.clear();
  };
  s.check.emplace();
  const auto all = position_stream{}.bytes(1'000'000);
  std::size_t sent = 0;
  REQUIRE(on.pump_until([&] {
    sent += s.far.send_some(std::span(all).subspan(sent));
    return s.received_bytes == all.size();
  }));
  CHECK(s.near.credit_outstanding() == 0);
  position_checker check;
  for (const auto& each : own)
    check.feed({each.data(), each.size()});
  CHECK(check.offset() == all.size());
  CHECK_FALSE(check.first_difference());
}

TEST_CASE("payloads may outlive their connection and its loop") {
  net::bytes survivor;
  {
    stage on;
    auto& s = on.open();
    s.keep = true;
    s.far.send_all("survivor");
    REQUIRE(on.pump_until([&] { return s.received_bytes == 8; }));
    survivor = s.kept.front();
    s.near.abort();
    REQUIRE(on.pump_until_closed(s));
    CHECK(s.near.credit_outstanding() == 112 + net::block::overhead_bytes);
  }
  CHECK(survivor.view() == "survivor");
}

TEST_CASE("a write of received payloads to another connection returns the credit when the kernel took them") {
  stage on;
  auto& from = on.open(with_credit(100'000));
  connection_options options;
  options.write_high_bytes = 64u << 20;
  auto& to = on.open(options, true, {.receive_buffer_bytes = 8'192}, 16'384);
  from.keep = true;
  from.when_received = [&] {
    to.write(std::move(from.kept.back()));
    from.kept.clear();
  };
  const auto all = position_stream{}.bytes(1'500'000);
  std::size_t sent = 0;
  on.pump_until([&] {
    sent += from.far.send_some(std::span(all).subspan(sent));
    return from.near.starved();
  });
  CHECK(from.near.starved()); // back-pressure went through, with no line of code for it
  std::string got;
  REQUIRE(on.pump_until([&] {
    sent += from.far.send_some(std::span(all).subspan(sent));
    CHECK(to.near.queued_bytes() <= 100'000 + net::block_pool::read_bytes);
    return drain(to.far, got) && got.size() == all.size();
  }));
  CHECK(position_checker{}.feed(std::as_bytes(std::span(got))));
  on.settle();
  CHECK(from.near.credit_outstanding() == 0);
}

TEST_CASE("a pause while starved, and a close while starved, are served") {
  stage on;
  auto& s = starving(on, with_credit(100'000));
  s.near.pause_reading();
  on.settle();
  CHECK_FALSE(s.near.starved());
  const auto before = s.received_bytes;
  s.kept.clear();
  on.settle();
  CHECK(s.received_bytes == before);
  s.near.resume_reading();
  REQUIRE(on.pump_until([&] { return s.near.starved(); }));
  s.near.close();
  s.far.close();
  REQUIRE(on.pump_until_closed(s));
}

TEST_CASE("a reset while starved is noticed at once and the rest is delivered when the credit returns") {
  stage on;
  auto& s = on.open(with_credit(64));
  s.keep = true;
  s.far.send_all("first");
  REQUIRE(on.pump_until([&] { return s.near.starved(); }));
  s.far.send_all("second");
  on.settle();
  CHECK(s.received_text == "first");
  s.far.reset();
  REQUIRE(on.pump_until([&] { return s.near.state() == connection_state::reset; }));
  CHECK_FALSE(s.closed());
  s.kept.clear();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_text == "firstsecond");
  CHECK(s.reason == close_reason::peer_reset);
}

TEST_CASE("an owner that holds all credit is warned about, then the connection is closed") {
  std::vector<std::string> lines;
  const auto before =
      net::set_log_sink(net::log_sink::direct([&](net::log_level, std::string_view kind, std::string_view line) {
        if (kind == "credit-stall")
          lines.emplace_back(line);
      }));
  {
    stage on;
    net::set_log_clock(on.clock);
    auto& s = starving(on, with_credit(100'000));
    on.advance(milliseconds{4'999});
    CHECK(lines.empty());
    on.advance(milliseconds{1});
    REQUIRE(lines.size() == 1);
    CHECK(lines.front().find(std::to_string(s.near.credit_outstanding())) != std::string::npos);
    on.advance(milliseconds{54'999});
    CHECK(lines.size() == 1);
    CHECK_FALSE(s.closed());
    on.advance(milliseconds{1});
    REQUIRE(s.closed());
    CHECK(s.reason == close_reason::error);
    CHECK(s.cause == errc::credit_stalled);
    net::set_log_clock(net::monotonic_clock::instance());
  }
  net::set_log_sink(before);
}

TEST_CASE("credit that returns in between begins the stall anew, and the limit holds without a warning") {
  stage on;
  auto options = with_credit(100'000);
  options.credit_stall_warning = milliseconds{0};
  options.credit_stall_limit = milliseconds{1'000};
  auto& s = starving(on, options);
  on.advance(milliseconds{999});
  s.kept.clear();
  REQUIRE(on.pump_until([&] { return s.near.starved(); }));
  on.settle();
  on.advance(milliseconds{999});
  CHECK_FALSE(s.closed());
  on.advance(milliseconds{1});
  REQUIRE(s.closed());
  CHECK(s.cause == errc::credit_stalled);
}

TEST_CASE("credit given back by other threads never leaves a sleeping loop asleep") {
  // The loop sleeps for real, on a clock that never moves: one lost wake-up is a hang, which the guard below turns into
  // a failure.
  constexpr std::size_t total = 24u << 20;
  stage on;
  auto& s = on.open(with_credit(1'000));
  s.check.emplace();
  std::mutex mutex;
  std::vector<net::bytes> handed;
  std::atomic<bool> over{false};
  s.keep = true;
  s.when_received = [&] {
    std::lock_guard guard{mutex};
    handed.push_back(std::move(s.kept.back()));
    s.kept.clear();
  };
  std::thread dropper([&] {
    while (!over) {
      std::vector<net::bytes> mine;
      {
        std::lock_guard guard{mutex};
        mine.swap(handed);
      }
      mine.clear();
    }
  });
  std::thread sender([&] {
    const position_stream stream;
    for (std::size_t at = 0; at < total; at += 65'536)
      s.far.send_all(stream.bytes(65'536, at));
  });
  std::thread guard([&] {
    (void)eventually([&] { return over.load(); }, milliseconds{60'000});
    if (!over) {
      over = true;
      on.loop->stop();
    }
  });
  while (s.received_bytes < total && !over)
    on.loop->run_once(true);
  const auto whole = s.received_bytes;
  over = true;
  sender.join();
  dropper.join();
  guard.join();
  CHECK(whole == total);
  CHECK_FALSE(s.check->first_difference());
  handed.clear();
  CHECK(s.near.credit_outstanding() == 0);
}

} // namespace actnet::test
