// Frames and the end of the stream: whatever waits for credit, a resume or the rest of a frame comes to its end.
#include "net/connection/stage.hpp"

namespace actnet::test {
namespace {

connection_options small_credit() {
  connection_options options;
  options.read_credit_bytes = 70'000;
  return options;
}

subject& lines_on(stage& on, const connection_options& options = {}) {
  auto& s = on.open(options);
  s.near.set_framing(net::framing::line());
  return s;
}

/// Fills the credit of an owner that holds what it gets, with frames left over.
void starve(stage& on, subject& s) {
  s.keep = true;
  std::string lines;
  for (int i = 0; i < 1'500; ++i)
    lines += std::string(99, 'x') + "\n";
  for (std::size_t sent = 0; sent < lines.size();) {
    sent += s.far.send_some(std::as_bytes(std::span{lines}).subspan(sent));
    on.round();
    if (s.near.starved())
      return;
  }
  REQUIRE(on.pump_until([&] { return s.near.starved(); }));
}

void let_go(subject& s) {
  s.keep = false;
  s.kept.clear();
}

} // namespace

TEST_CASE("a reset within a frame closes with that cause, after the frames before it") {
  stage on;
  auto& s = lines_on(on);
  const auto paused = GENERATE(true, false);
  if (paused)
    s.near.pause_reading();
  on.settle();
  s.far.send_all("whole\nhalf");
  on.settle();
  s.far.reset();
  on.settle();
  CHECK(s.closed() == !paused);
  s.near.resume_reading();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_text == "whole");
  CHECK(*s.reason == close_reason::peer_reset);
  CHECK(s.cause == errc::connection_reset);
}

TEST_CASE("a reset behind a frame that is too long closes with its cause") {
  stage on;
  auto& s = on.open();
  s.near.set_framing(net::framing::line(10));
  s.near.pause_reading();
  on.settle();
  s.far.send_all("whole\nmuch too long a line");
  on.settle();
  s.far.reset();
  on.settle();
  s.near.resume_reading();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_text == "whole");
  CHECK(*s.reason == close_reason::peer_reset);
}

TEST_CASE("frames that wait for credit are delivered also after stop_reading, and the end after them") {
  stage on;
  auto& s = lines_on(on, small_credit());
  starve(on, s);
  s.near.stop_reading();
  on.settle();
  const auto before = s.received_bytes;
  s.far.finish();
  on.settle();
  CHECK(s.count("peer_finished") == 0);
  let_go(s);
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_bytes > before);
  CHECK(s.count("peer_finished") == 1);
  CHECK(*s.reason == close_reason::peer_finished);
  CHECK_FALSE(s.cause);
}

TEST_CASE("an owner that holds all credit is given up also after stop_reading") {
  stage on;
  auto options = small_credit();
  options.credit_stall_warning = milliseconds{0};
  auto& s = lines_on(on, options);
  starve(on, s);
  s.near.stop_reading();
  s.far.finish();
  on.settle();
  on.advance(options.credit_stall_limit);
  REQUIRE(s.closed());
  CHECK(s.cause == errc::credit_stalled);
}

TEST_CASE("after stop_reading the half of a frame does not make an orderly end an error") {
  stage on;
  auto& s = lines_on(on);
  const auto paused = GENERATE(false, true);
  s.far.send_all("whole\nhalf");
  REQUIRE(on.pump_until([&] { return s.received_text == "whole"; }));
  if (paused)
    s.near.pause_reading();
  s.near.stop_reading();
  on.settle();
  s.far.send_all(" of it\nand more");
  s.far.finish();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.received_text == "whole");
  CHECK(s.count("peer_finished") == 1);
  CHECK(*s.reason == close_reason::peer_finished);
  CHECK_FALSE(s.cause);
}

TEST_CASE("without stop_reading the half of a frame at the end is an error, and what was written goes out") {
  stage on;
  auto& s = lines_on(on);
  s.far.send_all("whole\nhalf");
  s.write(text("answer"), 1);
  s.far.finish();
  REQUIRE(on.pump_until_closed(s));
  CHECK(s.outcome_of(1)->sent == 6);
  CHECK(*s.reason == close_reason::error);
  CHECK(s.cause == errc::end_of_stream);
}

} // namespace actnet::test
