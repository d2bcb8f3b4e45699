// The write queue under pressure: its bounds, refusals, slow readers, and a kernel that takes bytes badly.
#include "net/connection/stage.hpp"

#include "support/faulty_system_calls.hpp"

#include <atomic>
#include <thread>

namespace actnet::test {
namespace {

connection_options small_queue() {
  connection_options options;
  options.write_low_bytes = 10'000;
  options.write_high_bytes = 40'000;
  return options;
}

/// A connection whose kernel buffers are full and whose queue is empty.
subject& stuffed(stage& on, const connection_options& options) {
  auto& s = on.open(options, true, {.receive_buffer_bytes = 4'096}, 4'096);
  const auto chunk = std::vector<std::byte>(1'000);
  do {
    s.write(net::bytes::copy(chunk));
    on.settle();
  } while (s.near.queued_bytes() == 0);
  return s;
}

} // namespace

TEST_CASE("the queue holds at most its high mark and one write, and refuses the rest at once") { // F11
  stage on;
  auto& s = stuffed(on, small_queue());
  std::uint64_t token = 0;
  std::size_t most = 0;
  for (int i = 0; i < 200; ++i) {
    s.write(coded(7'000), ++token);
    most = std::max(most, s.near.queued_bytes()); // now: the kernel may take some of it in a moment
    on.settle();
  }
  CHECK(most >= 40'000);
  CHECK(most < 40'000 + 7'000);
  const auto refused = s.near.counters().writes_refused;
  CHECK(refused > 100);
  CHECK(s.near.counters().writes_failed == refused);
  REQUIRE(s.outcome_of(200));
  CHECK(s.outcome_of(200)->cause == errc::queue_full);
  CHECK(s.outcome_of(200)->sent == 0);
  CHECK_FALSE(s.closed());
}

TEST_CASE("writable comes once, below the low mark, after writes were refused") {
  stage on;
  auto& s = stuffed(on, small_queue());
  for (std::uint64_t i = 1; i <= 20; ++i)
    s.write(coded(5'000), i);
  on.settle();
  CHECK(s.count("writable") == 0);
  std::size_t queued_then = 0;
  s.when_writable = [&] { queued_then = s.near.queued_bytes(); };
  std::string got;
  REQUIRE(on.pump_until([&] { return drain(s.far, got, 2'000) && s.count("writable") == 1; }));
  CHECK(queued_then <= 10'000);
  CHECK(queued_then > 0); // it did not wait for the very end
  REQUIRE(on.pump_until([&] { return drain(s.far, got) && s.near.queued_bytes() == 0; }));
  on.settle();
  CHECK(s.count("writable") == 1);
  s.write(text("below the mark"), 100);
  on.settle();
  CHECK(s.count("writable") == 1);
}

TEST_CASE("one write of any size is taken while the queue is below its high mark") {
  stage on;
  auto& s = stuffed(on, small_queue());
  s.write(coded(1'000'000), 1);
  on.settle();
  CHECK_FALSE(s.outcome_of(1));
  s.write(text("x"), 2);
  on.settle();
  CHECK(s.outcome_of(2)->cause == errc::queue_full);
  std::string got;
  CHECK(on.pump_until([&] { return drain(s.far, got) && s.outcome_of(1); }));
  CHECK(s.count("writable") == 1);
}

TEST_CASE("refusals give back what they reserved, whatever the cause") {
  stage on;
  auto options = small_queue();
  options.allow_half_open = true;
  auto& s = on.open(options);
  s.finish(1);
  for (std::uint64_t i = 0; i < 100; ++i)
    s.write(coded(30'000), 10 + i); // finished, not full
  on.settle();
  for (std::uint64_t i = 0; i < 100; ++i)
    CHECK(s.outcome_of(10 + i)->cause == errc::finished);
  CHECK(s.near.reserve(39'999 - net::connection::item_overhead_bytes));
  CHECK(s.near.reserve(1));
  CHECK_FALSE(s.near.reserve(1));
  CHECK(s.near.counters().writes_refused == 0);
}

TEST_CASE("an item can be used again after any outcome") {
  stage on;
  struct plain_owner final : net::connection_owner {
    void on_received(net::bytes&&) noexcept override {}
    bool on_peer_finished() noexcept override { return true; }
    void on_writable() noexcept override {}
    void on_outcome(net::write_item&, std::error_code why) noexcept override { causes.push_back(why); }
    net::write_item& item_of_direct() noexcept override { std::abort(); }
    void on_closed(close_reason, std::error_code) noexcept override {}
    std::vector<std::error_code> causes;
  } owner;
  auto both = net::stream_socket::pair();
  REQUIRE(both);
  net::write_item item;
  connection_options options;
  options.write_high_bytes = 5;
  net::connection c{*on.loop, std::move(both->first), options, owner};
  c.begin(true);
  c.refuse(item);
  on.settle();
  for (int i = 0; i < 3; ++i) {
    item.payload = text("hello");
    REQUIRE(c.reserve(5)); // the item before gave it back
    c.write(item);
    on.settle();
  }
  c.finish(item);
  on.settle();
  item.payload = text("hello");
  (void)c.reserve(5);
  c.write(item);
  on.settle();
  REQUIRE(owner.causes.size() == 6);
  CHECK(owner.causes[0] == errc::queue_full);
  for (int i = 1; i < 5; ++i)
    CHECK_FALSE(owner.causes[static_cast<std::size_t>(i)]);
  CHECK(owner.causes[5] == errc::finished);
  c.abort();
  on.settle();
}

TEST_CASE("a slow peer is closed instead, if that is the policy") {
  stage on;
  auto options = small_queue();
  options.when_slow = net::slow_peer::close;
  auto& s = stuffed(on, options);
  for (std::uint64_t i = 1; i <= 20; ++i)
    s.write(coded(5'000), i);
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.reason == close_reason::error);
  CHECK(s.cause == errc::queue_full);
  CHECK(s.count("closed") == 1);
  for (std::uint64_t i = 1; i <= 20; ++i)
    REQUIRE(s.outcome_of(i));
  CHECK(s.outcome_of(1)->cause == errc::queue_full);
  CHECK(s.count("writable") == 0);
}

TEST_CASE("a kernel without buffers is tried again and nothing is lost") { // F3
  for (const auto error : {ENOBUFS, ENOMEM}) {
    faulty_system_calls kernel;
    net::replaced_system_calls in_force{kernel};
    stage on;
    auto& s = on.open();
    kernel.fail(call::sendmsg, error, {.first = 1, .count = 3});
    kernel.fail(call::sendmsg, error, {.first = 5, .count = 1});
    s.write(coded(50'000), 1);
    s.write(coded(50'000, 50'000), 2);
    s.finish(3);
    on.round();
    CHECK_FALSE(s.outcome_of(1));
    std::string got;
    REQUIRE(on.pump_until([&] { return !drain(s.far, got); }));
    CHECK(got.size() == 100'000);
    CHECK(position_checker{}.feed(std::as_bytes(std::span(got))));
    CHECK(s.log == std::vector<std::string>{"done 1", "done 2", "done 3"});
    CHECK(kernel.injected(call::sendmsg) >= 3);
  }
}

TEST_CASE("room in the queue can be reserved from many threads, exactly to the mark") {
  stage on;
  connection_options options;
  options.write_high_bytes = 1'000'000;
  auto& s = on.open(options);
  std::atomic<int> granted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int k = 0; k < 2'000; ++k)
        if (s.near.reserve(1'000 - net::connection::item_overhead_bytes))
          ++granted;
    });
  for (auto& each : threads)
    each.join();
  CHECK(granted == 1'000);
}

TEST_CASE("a frame that is called off half sent is the last thing that is written, and the peer is told the end") {
  stage on;
  auto& s = on.open({}, true, {.receive_buffer_bytes = 4'096}, 4'096);
  const auto whole = GENERATE(false, true);
  auto& cut = s.write(coded(1'000'000), 1);
  cut.is_frame = !whole;
  on.settle();
  REQUIRE(cut.sent > 0);
  const auto went = static_cast<std::size_t>(cut.sent);
  s.write(text("waits behind it"), 2);
  s.flush(3);
  REQUIRE(s.near.withdraw(cut, errc::timed_out));
  s.write(text("comes later"), 4);
  s.flush(5);
  const auto finishes = GENERATE(false, true);
  if (finishes)
    s.finish(6);
  else
    s.near.close();
  std::string got;
  REQUIRE(on.pump_until([&] { return !drain(s.far, got); }));
  CHECK(s.outcome_of(1)->cause == errc::timed_out);
  CHECK(s.outcome_of(1)->sent == went);
  const auto expected = whole ? std::error_code{} : make_error_code(errc::frame_cut);
  for (const std::uint64_t each : {2, 3, 4, 5}) {
    REQUIRE(s.outcome_of(each));
    CHECK(s.outcome_of(each)->cause == expected);
  }
  CHECK(got.size() == went + (whole ? std::string{"waits behind itcomes later"}.size() : 0));
  if (finishes)
    CHECK_FALSE(s.outcome_of(6)->cause);
  s.far.finish();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.near.queued_bytes() == 0);
}

TEST_CASE("a frame that is called off before any of it was sent leaves the others as they are") {
  stage on;
  auto& s = on.open();
  auto& first = s.write(text("first"), 1);
  auto& second = s.write(text("second"), 2);
  first.is_frame = second.is_frame = true;
  REQUIRE(s.near.withdraw(first, errc::cancelled));
  on.settle();
  CHECK(s.outcome_of(1)->cause == errc::cancelled);
  CHECK_FALSE(s.outcome_of(2)->cause);
  CHECK(s.far.read_exactly(6) == "second");
}

} // namespace actnet::test
