// The same results on a kernel that interrupts, cuts, blocks and errs (faults F4 to F9).
#include "net/connection/stage.hpp"

#include "support/faulty_system_calls.hpp"

#include <unistd.h>

namespace actnet::test {
namespace {

/// Sends `size` bytes each way at once, finishes both sides and checks everything.
void exchange(stage& on, std::size_t size) {
  connection_options options;
  options.allow_half_open = true;
  options.write_high_bytes = 1u << 30;
  auto& s = on.open(options);
  s.check.emplace(2);
  for (std::size_t at = 0; at < size; at += size / 8)
    s.write(coded(size / 8, at, 1), at / (size / 8) + 1);
  s.finish(100);
  const auto theirs = position_stream{2}.bytes(size);
  std::size_t sent = 0;
  std::string got;
  bool more = true;
  REQUIRE(on.pump_until([&] {
    sent += s.far.send_some(std::span(theirs).subspan(sent));
    more = more && drain(s.far, got);
    return sent == size && !more;
  }));
  s.far.finish();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.reason == close_reason::both_finished);
  CHECK(s.received_bytes == size);
  CHECK_FALSE(s.check->first_difference());
  CHECK(got.size() == size);
  CHECK(position_checker{1}.feed(std::as_bytes(std::span(got))));
  CHECK(s.outcomes.size() == 9);
  CHECK(s.count("peer_finished") == 1);
  for (std::size_t i = 0; i < 8; ++i)
    CHECK(s.outcomes[i].token == i + 1);
}

} // namespace

TEST_CASE("a signal in every second call goes unnoticed") { // F5
  faulty_system_calls kernel;
  net::replaced_system_calls in_force{kernel};
  {
    stage on;
    kernel.interrupt_every_second_call();
    kernel.limit_write(10'000); // for more than a few of them
    exchange(on, 400'000);
    kernel.clear_faults();
  }
  CHECK(kernel.injected(call::recv) > 0);
  CHECK(kernel.injected(call::sendmsg) > 0);
  CHECK(kernel.violations().empty());
}

TEST_CASE("reads and writes of one byte give the same result, in as many calls as bytes") { // F6
  for (const auto blocked : {false, true}) {
    CAPTURE(blocked);
    faulty_system_calls kernel;
    net::replaced_system_calls in_force{kernel};
    stage on;
    constexpr std::size_t size = 2'000;
    kernel.limit_read(1, blocked);
    kernel.limit_write(1, blocked);
    exchange(on, size);
    kernel.clear_faults();
    CHECK(kernel.bytes_out() == size);
    CHECK(kernel.calls(call::sendmsg) <= 2 * size + 2);
    CHECK(kernel.calls(call::recv) <= 4 * size + 16);
  }
}

TEST_CASE("odd limits and blocking in between give the same result") { // F6
  faulty_system_calls kernel;
  net::replaced_system_calls in_force{kernel};
  stage on;
  kernel.limit_read(4'097, true);
  kernel.limit_write(777, true);
  exchange(on, 400'000);
  kernel.clear_faults();
}

TEST_CASE("readiness with nothing behind it is ignored") { // F7
  faulty_system_calls kernel;
  net::replaced_system_calls in_force{kernel};
  stage on;
  auto& s = on.open();
  for (int i = 0; i < 10; ++i) {
    REQUIRE(kernel.spurious_readiness(s.near.socket().fd()));
    on.settle();
  }
  CHECK(s.log.empty());
  s.near.pause_reading();
  on.settle();
  REQUIRE(kernel.spurious_readiness(s.near.socket().fd()));
  on.settle();
  s.near.resume_reading();
  s.far.send_all("real");
  CHECK(on.pump_until([&] { return s.received_text == "real"; }));
}

TEST_CASE("an event for a descriptor that was closed and used again in the same batch reaches nobody") { // F7
  stage on{carrier::local}; // the only one whose numbers can be foretold
  auto& first = on.open();
  auto& second = on.open();
  auto* closer = &first;
  auto* victim = &second;
  subject* fresh = nullptr;
  int number = -1;
  struct step final : net::deferred {
    std::function<void()> work;
    void serve() noexcept override { work(); }
  };
  step abort_victim, open_fresh;
  abort_victim.work = [&] {
    number = victim->near.socket().fd();
    victim->near.abort();
    on.loop->defer(open_fresh); // after the victim was served
  };
  open_fresh.work = [&] {
    auto both = net::stream_socket::pair(); // the first number is the lowest free one: the victim's
    REQUIRE(both);
    fresh = &on.adopt(std::move(both->first), peer{descriptor{both->second.release()}});
  };
  const auto meet = [&](subject& me, subject& other) {
    me.when_received = [&] {
      if (number >= 0)
        return;
      closer = &me;
      victim = &other;
      on.loop->defer(abort_victim);
    };
  };
  meet(first, second);
  meet(second, first);
  first.far.send_all("one"); // both become ready in one batch
  second.far.send_all("two");
  REQUIRE(on.pump_until([&] { return fresh != nullptr; }));
  CHECK(fresh->near.socket().fd() == number);
  on.settle();
  CHECK(victim->reason == close_reason::aborted);
  CHECK(victim->received_text.empty());
  CHECK(fresh->log.empty());
  fresh->far.send_all("mine");
  CHECK(on.pump_until([&] { return fresh->received_text == "mine"; }));
  CHECK(closer->received_text.size() == 3);
}

TEST_CASE("a registration that the kernel refuses closes the connection with the reason") { // F4
  for (const auto error : {ENOMEM, ENOSPC}) {
    faulty_system_calls kernel;
    net::replaced_system_calls in_force{kernel};
    stage on;
    kernel.fail(call::epoll_ctl, error);
    auto& s = on.open();
    s.write(text("x"), 1);
    REQUIRE(on.pump_until_closed(s));
    on.settle();
    CHECK(s.reason == close_reason::error);
    CHECK(s.cause);
    CHECK(s.near.last_error() == s.cause);
    if (error == ENOMEM)
      CHECK(s.cause == errc::out_of_memory);
    CHECK(s.outcome_of(1)->cause == errc::closed);
    CHECK_FALSE(s.near.socket());
    auto& next = on.open(); // the loop lives
    next.far.send_all("hello");
    CHECK(on.pump_until([&] { return next.received_text == "hello"; }));
  }
}

TEST_CASE("an error in reading closes with it, after everything that came before") {
  faulty_system_calls kernel;
  net::replaced_system_calls in_force{kernel};
  stage on;
  auto& s = on.open();
  s.far.send_all("before");
  REQUIRE(on.pump_until([&] { return s.received_bytes == 6; }));
  kernel.fail(call::recv, EIO, {.first = 1, .count = 1, .fd = s.near.socket().fd()});
  s.far.send_all("after");
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.log == std::vector<std::string>{"received", "closed"});
  CHECK(s.received_text == "before");
  CHECK(s.reason == close_reason::error);
  CHECK(s.cause == errc::io_error);
}

TEST_CASE("bytes behind a message that carries descriptors are not left waiting") {
  // A read of a Unix socket stops at such a message although more bytes wait (unix(7), SCM_RIGHTS).
  stage on{carrier::local};
  auto& s = on.open();
  s.near.pause_reading();
  on.settle();
  attach(s.far.fd(), s.far.fd(), "a");
  s.far.send_all("bcdef");
  s.near.resume_reading();
  CHECK(on.pump_until([&] { return s.received_text == "abcdef"; }));
}

} // namespace actnet::test
