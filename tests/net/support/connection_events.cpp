#include "support/connection_events.hpp"

#include "support/catch.hpp"

using namespace actnet::test;
using lines = std::vector<std::string>;

TEST_CASE("an orderly connection has no violations", "[support]") {
  connection_events events;
  events.opened();
  events.received(3);
  events.writable();
  events.written(true);
  events.peer_finished();
  events.written(true);
  events.writable();
  CHECK_FALSE(events.is_closed());
  events.closed();
  events.written(false);
  events.finish();
  CHECK(events.is_closed());
  CHECK(events.bytes_received() == 3);
  CHECK(events.violations() == lines{});
}

TEST_CASE("each event in a wrong state is named", "[support]") {
  connection_events events;

  SECTION("before the connection is there") {
    events.received(1);
    events.peer_finished();
    events.writable();
    events.written(true);
    events.closed();
    CHECK(events.violations() == lines{"received before opened", "peer_finished before opened",
                                       "writable before opened", "written before opened", "closed before opened"});
  }
  SECTION("after the peer finished") {
    events.opened();
    events.peer_finished();
    events.received(1);
    events.peer_finished();
    events.opened();
    CHECK(events.violations() ==
          lines{"received after peer_finished", "peer_finished after peer_finished", "opened after peer_finished"});
  }
  SECTION("after closed") {
    events.opened();
    events.closed();
    events.closed();
    events.opened();
    events.received(1);
    events.peer_finished();
    events.writable();
    events.written(true);
    CHECK(events.violations() == lines{"closed after closed", "opened after closed", "received after closed",
                                       "peer_finished after closed", "writable after closed", "written after closed"});
  }
  SECTION("at the end of the test") {
    events.opened();
    events.finish();
    CHECK(events.violations() == lines{"end of the test while open"});
  }
}

TEST_CASE("writes that end once, successes in order, are in order", "[support]") {
  write_tally tally;
  for (const auto token : {5, 3, 9, 0})
    tally.issued(static_cast<std::uint64_t>(token));
  CHECK(tally.open_count() == 3);
  tally.failed(9);
  tally.written(5);
  tally.written(3);
  tally.failed(0);
  tally.finish();
  CHECK(tally.violations() == lines{});
  CHECK(tally.issued_count() == tally.written_count() + tally.failed_count());
  CHECK(tally.failed_count() == 1);
}

TEST_CASE("a write that ends never, twice, unasked or out of order is named", "[support]") {
  write_tally tally;
  tally.issued(1);
  tally.issued(2);

  SECTION("never") {
    tally.written(1);
    tally.finish();
    CHECK(tally.violations() == lines{"write 2: never ended"});
  }
  SECTION("twice") {
    tally.written(1);
    tally.failed(1);
    CHECK(tally.violations() == lines{"write 1: ended twice"});
    CHECK(tally.failed_count() == 0);
  }
  SECTION("unasked") {
    tally.written(3);
    CHECK(tally.violations() == lines{"write 3: ended but was never issued"});
  }
  SECTION("out of order") {
    tally.written(2);
    tally.written(1);
    CHECK(tally.violations() == lines{"write 1: written after one that was issued later"});
  }
  SECTION("issued twice") {
    tally.issued(2);
    CHECK(tally.violations() == lines{"write 2: issued twice"});
  }
  SECTION("silent ones that speak") {
    tally.issued(0);
    tally.written(0);
    tally.failed(0);
    tally.failed(0);
    CHECK(tally.violations() ==
          lines{"write 0: success was reported", "write 0: failed more often than it was issued"});
  }
}
