// The coroutine dialect: handlers that read as if they blocked.
#include "support/actor_world.hpp"
#include "support/scratch_folder.hpp"

#include "actnet/actors/coroutine/coroutine.hpp"

using namespace actnet;
using namespace actnet::test;
using namespace actnet::coroutine;
using coroutine::sleep;

namespace {

std::string outcome_of(const result<net::bytes>& got) {
  return got ? std::string{got->view()} : to_text(got.error());
}
template <class T>
std::string outcome_of(const result<T>& got) {
  return got ? "ok" : to_text(got.error());
}

/// A world in which coroutines run. What they see they write down: Catch's macros and `co_await` do not go together.
struct coroutine_world : actor_world {
  using actor_world::actor_world;
  ~coroutine_world() { end(); }

  /// `fun(log)`
  template <class F>
  caf::actor run(F fun) {
    return owned(spawn_coroutine(loop(), std::move(fun), log));
  }

  /// To its end; what it wrote down.
  template <class F>
  std::vector<std::string> lines_of(F fun) {
    run([fun](journal_ptr to) -> task<> {
      co_await fun(to);
      to->add("end");
    });
    log->expect("end");
    auto all = log->lines();
    all.pop_back();
    return all;
  }

  journal_ptr log = make_journal();
};

using lines = std::vector<std::string>;

task<> echo_stream(stream_socket peer) {
  for (;;) {
    auto some = co_await peer.read(65'536);
    if (!some || some->empty() || !co_await peer.write(*some))
      co_return;
  }
}

} // namespace

TEST_CASE("a listener runs a coroutine for each connection") {
  coroutine_world world{GENERATE(1u, 2u)};
  const auto over = each_carrier();
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  world.in(boss, [&](probe& self) { serve(self, fresh_address(over), echo_stream); });
  log->expect("listening");
  std::vector<peer> peers;
  for (int i = 0; i < 20; ++i)
    peers.emplace_back(world.address_of(boss));
  for (int round = 0; round < 3; ++round)
    for (auto& each : peers) {
      each.send_all("hello");
      CHECK(each.read_exactly(5) == "hello");
    }
  for (auto& each : peers)
    each.finish();
  for (auto& each : peers)
    CHECK(each.read_to_end() == "");
}

TEST_CASE("an accept loop gives each connection to a coroutine of its own") {
  coroutine_world world;
  const auto address = fresh_address(each_carrier());
  world.run([address](journal_ptr log) -> task<> {
    auto listening = (co_await tcp_server::bind(address)).get();
    log->add(listening.local_endpoint().to_string());
    for (;;)
      coroutine::spawn(echo_stream, (co_await listening.accept()).get());
  });
  world.log->expect_like("");
  const auto there = world.log->lines().front();
  peer one{there}, other{there};
  one.send_all("one");
  other.send_all("other");
  CHECK(other.read_exactly(5) == "other");
  CHECK(one.read_exactly(3) == "one");
}

TEST_CASE("coroutines connect, and every read form is theirs") {
  coroutine_world world;
  const auto address = fresh_address(each_carrier());
  CHECK(world.lines_of([address](journal_ptr log) -> task<> {
    auto listening = (co_await tcp_server::bind(address)).get();
    auto near = (co_await tcp_client::connect(listening.local_endpoint())).get();
    auto far = (co_await listening.accept()).get();
    log->add(outcome_of(co_await near.write("one\ntwo--three")));
    log->add(outcome_of(co_await far.peek(2)));
    log->add(outcome_of(co_await far.read_line()));
    log->add(outcome_of(co_await far.read_until("--")));
    log->add(outcome_of(co_await far.read_exactly(2)));
    log->add(outcome_of(co_await far.read_quiet(1ms)));
    log->add(outcome_of(co_await near.finish()));
    log->add(outcome_of(co_await far.read_to_end(10)));
    log->add(outcome_of(co_await far.read(10)));
    log->add(outcome_of(co_await far.read_line()));
    log->add(outcome_of(co_await far.print("back")));
    log->add(outcome_of(co_await far.close()));
    log->add(outcome_of(co_await near.read_to_end(10)));
    log->add(outcome_of(co_await far.read(1)));
    const connect_options options;
    log->add(outcome_of(co_await tcp_client::connect(listening.local_endpoint(), options, 1h)));
    log->add(outcome_of(co_await listening.close()));
    const auto refused = co_await tcp_client::connect(listening.local_endpoint());
    log->add(to_text(refused.error()).ends_with(": connection refused") ? "refused" : "not refused");
  }) == lines{"ok", "on", "one", "two--", "th", "ree", "ok", "", "", "the peer finished too early", "ok", "ok",
              "back\n", "closed", "ok", "ok", "refused"});
}

TEST_CASE("time passes for coroutines as it does for everybody") {
  net::manual_clock time;
  coroutine_world world{1, &time};
  world.run([](journal_ptr log) -> task<> {
    log->add("begin");
    co_await sleep(10s);
    log->add("later");
  });
  world.log->expect("begin");
  world.settle();
  time.advance(10s - 1ns);
  world.settle();
  CHECK(world.log->count("later") == 0);
  time.advance(1ns);
  world.log->expect("later");
}

TEST_CASE("the first of several, and the others lose nothing") {
  coroutine_world world;
  const auto address = fresh_address(each_carrier());
  CHECK(world.lines_of([address](journal_ptr log) -> task<> {
    auto listening = (co_await tcp_server::bind(address)).get();
    auto near = (co_await tcp_client::connect(listening.local_endpoint())).get();
    auto far = (co_await listening.accept()).get();
    (void)co_await near.write("abc");
    log->add(outcome_of(co_await far.peek(3)));
    auto first = co_await when_any(far.read_exactly(5), sleep(1ms));
    log->add(std::to_string(first.index()));
    auto late = co_await within(1ms, far.read_line());
    log->add(late ? "a line" : "too late");
    auto both = co_await when_any(far.read(2), far.read(1)); // each could have its bytes at once
    log->add(std::to_string(both.index()) + " " + outcome_of(std::get<0>(both)));
    log->add(outcome_of(co_await far.read(10)));
    auto waits = when_any(far.read(3), far.read(3), near.read(3));
    (void)co_await near.write("defghi");
    auto third = co_await std::move(waits);
    log->add(std::to_string(third.index()) + " " + outcome_of(std::get<0>(third)));
    log->add(outcome_of(co_await far.read(10)));
    auto in_time = co_await within(1h, near.write("x"));
    log->add(in_time ? outcome_of(*in_time) : "too late");
  }) == lines{"abc", "1", "too late", "0 ab", "c", "0 def", "ghi", "ok"});
}

TEST_CASE("Unix sockets by their paths, with options") {
  const scratch_folder folder;
  coroutine_world world;
  CHECK(world.lines_of([path = folder / "s", other = folder / "d"](journal_ptr log) -> task<> {
    listen_options options;
    options.path_mode = 0600;
    auto listening = (co_await unix_server::bind(path, options)).get();
    const connect_options how;
    auto near = (co_await unix_client::connect(path, how, 1h)).get();
    auto far = (co_await listening.accept()).get();
    (void)co_await near.write("by path");
    log->add(outcome_of(co_await far.read(10)));
    const bind_options plain;
    auto one = (co_await unix_datagram::bind(other, plain)).get();
    auto two = (co_await unix_datagram::bind("@actnet-test-" + path)).get();
    (void)co_await two.send_to("datagram", one.local_endpoint());
    log->add(outcome_of(co_await one.read()));
  }) == lines{"by path", "datagram"});
}
