// Reads on demand as messages.
#include "support/actor_world.hpp"

#include <future>

using namespace actnet;
using namespace actnet::test;

namespace {

struct pulling_world {
  explicit pulling_world(carrier over = each_carrier(), bool on_demand = true) : pair(over), log(make_journal()) {
    connection_options options;
    options.allow_half_open = true;
    options.on_demand = on_demand;
    who = world.spawn(log);
    conn = world.adopt(pair, who, options);
  }

  /// What a request comes to.
  template <class Command>
  std::string ask(Command command) {
    return begin(std::move(command)).get();
  }

  /// It has been sent when this returns.
  template <class Command>
  std::future<std::string> begin(Command command) {
    const auto answer = std::make_shared<std::promise<std::string>>();
    world.in(who, [=, this](probe& self) {
      conn.request(&self, command)
          .then([answer](const net::bytes& got) { answer->set_value(std::string{got.view()}); },
                [answer](const caf::error& why) {
                  const auto partial = partial_of(why);
                  answer->set_value(to_text(why) + (partial.empty() ? "" : ": " + std::string{partial.view()}));
                });
    });
    return answer->get_future();
  }

  actor_world world;
  connected_pair pair;
  journal_ptr log;
  caf::actor who;
  connection conn;
};

} // namespace

TEST_CASE("each read on demand is a request that is answered with bytes") {
  pulling_world w;
  w.pair.far.send_all("one\r\ntwo--rest of it");
  CHECK(w.ask(stream::peek{3}) == "one");
  CHECK(w.ask(stream::read_line{}) == "one\r");
  CHECK(w.ask(stream::read_until{net::bytes::copy("--")}) == "two--");
  CHECK(w.ask(stream::read_exactly{4}) == "rest");
  CHECK(w.ask(stream::read_some{3}) == " of");
  CHECK(w.ask(stream::read_quiet{}) == " it");
  w.pair.far.send_all("the end");
  w.pair.far.finish();
  CHECK(w.ask(stream::read_to_end{}) == "the end");
  CHECK(w.ask(stream::read_some{}) == "");
  CHECK(w.ask(stream::read_exactly{1}) == "the peer finished too early");
  CHECK(w.log->count_like("received") == 0);
}

TEST_CASE("an end too early comes with what there was, and a limit leaves it") {
  pulling_world w;
  w.pair.far.send_all("123456");
  CHECK(w.ask(stream::read_line{5}) == "longer than allowed");
  CHECK(w.ask(stream::read_to_end{5}) == "longer than allowed");
  CHECK(w.ask(stream::read_line{100, 10ms}) == "timed out");
  CHECK(w.ask(stream::read_until{}) == "invalid argument");
  CHECK(w.ask(stream::read_exactly{std::uint64_t{1} << 40}) == "invalid argument");
  CHECK(w.ask(stream::read_some{0}) == "");
  w.pair.far.finish();
  CHECK(w.ask(stream::read_line{}) == "the peer finished too early: 123456");
}

TEST_CASE("a plain command's outcome is a message") {
  pulling_world w;
  const auto got = std::make_shared<std::promise<stream::pulled>>();
  struct listener final : handler {
    std::shared_ptr<std::promise<stream::pulled>> to;
    listener(caf::actor_config& cfg, std::shared_ptr<std::promise<stream::pulled>> p)
        : handler(cfg), to(std::move(p)) {}
    caf::behavior make_behavior() override {
      return {[this](const stream::pulled& p) { to->set_value(p); }};
    }
  };
  const auto who = w.world.owned(spawn_on<listener>(w.world.loop(), got));
  w.pair.far.send_all("abc");
  caf::actor_cast<caf::strong_actor_ptr>(w.conn.actor())
      ->enqueue(caf::actor_cast<caf::strong_actor_ptr>(who), caf::make_message_id(),
                caf::make_message(stream::read_exactly{3}), nullptr);
  auto answer = got->get_future();
  REQUIRE(answer.wait_for(default_deadline) == std::future_status::ready);
  const auto pulled = answer.get();
  CHECK(pulled.payload.view() == "abc");
  CHECK_FALSE(pulled.cause);
}

TEST_CASE("what was under way comes before the first answer, and resuming delivers the rest") {
  pulling_world w{each_carrier(), false};
  w.pair.far.send_all("pushed");
  w.log->expect("received pushed");
  CHECK(w.world.ask<caf::ok_atom>(w.who, w.conn, stream::pause_reading{}).first); // the border
  auto line = w.begin(stream::read_line{});
  w.pair.far.send_all("half");
  w.world.await_read(w.conn, 10);
  w.pair.far.send_all(" a line\nleft over");
  CHECK(line.get() == "half a line");
  CHECK(w.log->count_like("received") == 1);
  CHECK(w.world.ask<caf::ok_atom>(w.who, w.conn, stream::resume_reading{}).first);
  w.log->expect("received left over");
  w.pair.far.send_all("pushed again");
  w.log->expect("received pushed again");
  w.pair.far.finish();
  w.log->expect("peer_finished");
}

TEST_CASE("a connection that is gone still gives what had come, and then its end") {
  pulling_world w{carrier::tcp};
  w.pair.far.send_all("abcdef");
  CHECK(w.ask(stream::read_some{3}) == "abc");
  w.pair.far.reset();
  CHECK(w.ask(stream::read_line{}) == "connection reset by peer: def");
  w.log->expect_like("closed peer_reset");
  CHECK(w.ask(stream::read_some{3}) == "connection reset by peer");
}

TEST_CASE("a command that comes when the owner has closed fails, also one that waits") {
  pulling_world w;
  auto waits = w.begin(stream::read_exactly{10});
  w.pair.far.send_all("x");
  w.world.await_read(w.conn, 1);
  w.pair.far.send_all("y");
  w.world.await_read(w.conn, 2); // for somebody who waits
  w.conn.close();
  CHECK(waits.get() == "closed");
  CHECK(w.ask(stream::read_some{1}) == "closed");
}
