// gtcp's conveniences in coroutines: the same operations, retries, packages, servers, pool and one-shots, and gudp.
#include "support/actor_world.hpp"
#include "support/position_stream.hpp"

#include "actnet/actors/coroutine/gudp.hpp"

#include <optional>

using namespace actnet;
using namespace actnet::test;
using namespace actnet::coroutine;
using namespace std::string_literals;
using coroutine::sleep;
using gtcp::pkg_option;
using gtcp::retry;

namespace {

using lines = std::vector<std::string>;

std::string shown(const result<net::bytes>& got) {
  if (got)
    return std::string{got->view()};
  const auto partial = partial_of(got.error());
  return to_text(got.error()) + (partial.empty() ? "" : ": " + std::string{partial.view()});
}
std::string shown(const result<received_datagram>& got) {
  return got ? std::string{got->payload.view()} + (got->truncated ? " truncated" : "") : to_text(got.error());
}
template <class T>
std::string shown(const result<T>& got) {
  return got ? "ok" : to_text(got.error());
}

std::string said(errc code) {
  return std::string{to_string(code)};
}

/// What a coroutine writes down until its end: Catch's macros and `co_await` do not go together.
template <class F>
lines lines_of(actor_world& world, F fun) {
  const auto log = make_journal();
  world.owned(spawn_coroutine(world.loop(), [fun, log]() -> task<> {
    co_await fun(log);
    log->add("end");
  }));
  log->expect("end");
  auto all = log->lines();
  all.pop_back();
  return all;
}

/// Both ends of a connection.
struct both_ends {
  gtcp::conn near;
  gtcp::conn far;
};

task<> connect_both(std::string address, both_ends& made) {
  auto listening = (co_await tcp_server::bind(address)).get();
  made.near = (co_await gtcp::conn::connect(listening.local_endpoint())).get();
  made.far = gtcp::conn{(co_await listening.accept()).get()};
}

task<> echo(gtcp::conn peer) {
  for (;;) {
    auto some = co_await peer.recv(-1);
    if (!some)
      break;
    auto done = co_await peer.send(*some);
    if (!done)
      break;
  }
}

} // namespace

TEST_CASE(
    "in a coroutine too, recv takes so many bytes, until it is quiet, or what is there; a line; till a delimiter") {
  actor_world world;
  const auto address = fresh_address(each_carrier());
  const auto seen = lines_of(world, [address](journal_ptr log) -> task<> {
    both_ends both;
    co_await connect_both(address, both);
    log->add(shown(co_await both.far.recv(0)));
    (void)co_await both.near.send("abcdefone\r\ntwo;;three");
    log->add(shown(co_await both.far.recv(3)));
    log->add(shown(co_await both.far.recv_with_timeout(3, 1h)));
    log->add(shown(co_await both.far.recv_line()));
    log->add(shown(co_await both.far.recv_till(";;")));
    log->add(shown(co_await both.far.recv(-1)));
    both.far.set_recv_deadline(net::time_point{});
    log->add(shown(co_await both.far.recv(1)));
    log->add(shown(co_await both.far.recv_with_timeout(1, 1ms, retry{2, 1ms})));
    log->add(shown(co_await both.far.send_recv_with_timeout("question", 1, 1ms)));
    log->add(shown(co_await both.near.recv(8)));
    both.far.reset_deadline();
    (void)co_await both.near.send("rest");
    log->add(shown(co_await both.near.close()));
    log->add(shown(co_await both.far.recv(5, retry{3, 1h})));
    log->add(shown(co_await both.far.recv(0)));
    log->add(shown(co_await both.near.send("x", retry{3, 1h})));
  });
  CHECK(seen == lines{"", "abc", "def", "one\r", "two;;", "three", "timed out", "timed out", "timed out", "question",
                      "ok", "the peer finished too early: rest", "the peer finished too early", "closed"});
}

TEST_CASE("in a coroutine too, a send that is retried repeats no byte, and other coroutines run between") {
  actor_world world;
  const auto address = fresh_address(each_carrier());
  const auto seen = lines_of(world, [address](journal_ptr log) -> task<> {
    both_ends both;
    co_await connect_both(address, both);
    const auto data = position_stream{3}.bytes(10'000'000);
    const auto check = [](gtcp::conn far, std::size_t size, journal_ptr to) -> task<> {
      const auto all = co_await far.recv(static_cast<std::int64_t>(size));
      position_checker checker{3};
      to->add(all && checker.feed(all->view()) ? "all as it was sent" : "not what was sent");
    };
    coroutine::spawn(check, std::move(both.far), data.size(), log);
    const auto sent = co_await both.near.send_with_timeout(net::bytes::copy(data), 0ms, retry{1'000'000, 0ms});
    while (log->lines().empty())
      co_await sleep(1ms);
    log->add(shown(sent));
  });
  CHECK(seen == lines{"all as it was sent", "ok"});
}

TEST_CASE("in a coroutine too, packages are whole, and one that is too large closes") {
  actor_world world;
  const auto address = fresh_address(each_carrier());
  const auto seen = lines_of(world, [address](journal_ptr log) -> task<> {
    both_ends both;
    co_await connect_both(address, both);
    (void)co_await both.near.send_pkg("abc");
    log->add(shown(co_await both.far.recv(5)));
    (void)co_await both.near.send("\0\2x"s);
    log->add(shown(co_await both.far.recv_pkg_with_timeout(1ms)));
    (void)co_await both.near.send("y\0\0"s);
    log->add(shown(co_await both.far.recv_pkg()));
    log->add(shown(co_await both.far.recv_pkg()));
    (void)co_await both.near.send_pkg_with_timeout("answer", 1h, pkg_option{4});
    log->add(shown(co_await both.far.send_recv_pkg("question", pkg_option{4})));
    log->add(shown(co_await both.far.send_recv_pkg_with_timeout("again", 1ms, pkg_option{4})));
    log->add(shown(co_await both.near.send_pkg(std::string(256, 'x'), pkg_option{1})));
    (void)co_await both.near.send("\xff\xff\xff\xff");
    log->add(shown(co_await both.far.recv_pkg(pkg_option{4})));
    const auto after = co_await both.far.recv_pkg(pkg_option{4});
    log->add(after ? "no error" : "an error");
    log->add(shown(co_await both.near.recv_pkg(pkg_option{4})));
    log->add(shown(co_await both.near.recv_pkg(pkg_option{4})));
    log->add(shown(co_await both.near.recv_pkg(pkg_option{4})));
  });
  CHECK(seen == lines{"\0\3abc"s, "timed out", "xy", "", "answer", "timed out", said(errc::message_too_large),
                      said(errc::message_too_large), "an error", "question", "again", "the peer finished too early"});
}

TEST_CASE("in a coroutine too, a server runs a coroutine for each connection, until it is stopped") {
  actor_world world;
  const auto address = fresh_address(each_carrier());
  const auto seen = lines_of(world, [address](journal_ptr log) -> task<> {
    auto server = std::make_shared<gtcp::server>();
    log->add(std::to_string(server->listened_port()));
    log->add(shown(co_await server->run(echo)));
    log->add(shown(co_await server->listen(address)));
    const auto there = server->address().value();
    log->add(server->listened_port() == (there.is_ip() ? there.port() : -1) ? "its port" : "another");
    coroutine::spawn([server, log]() -> task<> { log->add(shown(co_await server->run(echo))); });
    auto one = (co_await gtcp::conn::connect(there)).get();
    auto other = (co_await gtcp::conn::connect(there, 1h)).get();
    log->add(shown(co_await one.send_recv("one", 3)));
    log->add(shown(co_await other.send_recv("other", 5)));
    log->add(shown(co_await gtcp::send(there, "x")));
    log->add(shown(co_await gtcp::send_with_timeout(there, "x", 1h)));
    log->add(shown(co_await gtcp::send_pkg(there, "x")));
    log->add(shown(co_await gtcp::send_pkg_with_timeout(there, "x", 1h)));
    log->add(shown(co_await gtcp::send_recv(there, "question", 8)));
    log->add(shown(co_await gtcp::send_recv_with_timeout(there, "question", 9, 5ms)));
    log->add(shown(co_await gtcp::send_recv_pkg(there, "package")));
    log->add(shown(co_await gtcp::send_recv_pkg_with_timeout(there, "package", 1h, pkg_option{3})));
    server->stop();
    while (log->lines().size() < 15) // its end too
      co_await sleep(1ms);
    log->add(shown(co_await one.send_recv("still here", 10)));
    const auto refused = co_await gtcp::send(there, "x");
    log->add(said(code_of(refused)));
    const auto mistaken = co_await gtcp::send("nonsense", "x");
    log->add(said(code_of(mistaken)));
    gtcp::server stopped;
    stopped.stop();
    log->add(shown(co_await stopped.run(there, echo)));
  });
  CHECK(seen == lines{"-1", "not connected", "ok", "its port", "one", "other", "ok", "ok", "ok", "ok", "question",
                      "timed out", "package", "package", "ok", "still here", said(errc::connection_refused),
                      said(errc::invalid_endpoint), "ok"});
}

TEST_CASE("in a coroutine too, a pool uses connections again, and replaces those that the server closed") {
  net::manual_clock time;
  actor_world world{1, &time};
  listening_peer listener{each_carrier()};
  const auto log = make_journal();
  const auto who = world.owned(spawn_coroutine(world.loop(), [log, there = listener.address()]() -> task<> {
    gtcp::pool pool;
    for (;;) {
      const auto order = co_await receive<std::string>();
      auto peer = (co_await pool.get(there)).get();
      log->add(*order + " " + shown(co_await peer.send_recv(*order, 6)));
      const auto closed = co_await peer.close();
      log->add(*order + " " + shown(closed) + " " + std::to_string(pool.idle()));
    }
  }));
  const auto answer = [&](peer& far, const std::string& order) {
    CHECK(far.read_exactly(order.size()) == order);
    far.send_all("answer");
    log->expect(order + " answer");
    log->expect(order + " ok 1");
  };
  caf::anon_send(who, "new"s);
  auto first = listener.accept();
  answer(first, "new");
  caf::anon_send(who, "again"s);
  answer(first, "again");
  first.finish();
  caf::anon_send(who, "replaced"s);
  auto second = listener.accept();
  answer(second, "replaced");
  CHECK(first.read_to_end() == "");
  time.advance(10s);
  caf::anon_send(who, "expired"s);
  auto third = listener.accept();
  answer(third, "expired");
  CHECK(second.read_to_end() == "");
  caf::anon_send(who, "failed"s);
  CHECK(third.read_exactly(6) == "failed");
  third.finish();
  log->expect("failed the peer finished too early");
  log->expect("failed ok 0");
}

TEST_CASE("a request of a coroutine that is called off keeps its connection out of the pool") {
  actor_world world;
  listening_peer listener{each_carrier()};
  const auto seen = lines_of(world, [there = listener.address()](journal_ptr log) -> task<> {
    gtcp::pool pool;
    auto near = (co_await pool.get(there)).get();
    auto late = co_await within(1ms, near.send_recv("question", 6));
    log->add(late ? "in time" : "too late");
    log->add(shown(co_await near.close()));
    log->add(std::to_string(pool.idle()));
  });
  CHECK(seen == lines{"too late", "ok", "0"});
}

TEST_CASE("in a coroutine too, a connected descriptor is adopted") {
  actor_world world;
  connected_pair pair{each_carrier()};
  pair.far.send_all("hello\n");
  const auto seen = lines_of(world, [fd = pair.near.fd()](journal_ptr log) -> task<> {
    log->add(shown(co_await gtcp::conn::adopt(-1)));
    auto near = (co_await gtcp::conn::adopt(fd)).get();
    log->add(shown(co_await near.recv_line()));
    log->add(shown(co_await near.send("back")));
  });
  CHECK(seen == lines{said(errc::bad_descriptor), "hello", "ok"});
  (void)pair.near.release();
  CHECK(pair.far.read_to_end() == "back");
}

TEST_CASE("in a coroutine too, datagrams have a client, a server, and one-shots") {
  const auto address = fresh_address(each_datagram_carrier());
  actor_world world;
  const auto seen = lines_of(world, [address](journal_ptr log) -> task<> {
    auto server = std::make_shared<gudp::server>();
    log->add(std::to_string(server->listened_port()));
    (void)co_await server->listen(address);
    const auto there = server->address().value();
    coroutine::spawn([server, log]() -> task<> {
      const auto echo_all = [](gudp::conn& peers) -> task<> {
        for (;;) {
          auto some = co_await peers.recv();
          if (!some)
            break;
          if (some->payload.view() != "silence")
            (void)co_await peers.send_to(some->payload, some->from);
        }
      };
      const auto ended = co_await server->run(echo_all);
      log->add("server " + shown(ended));
    });
    auto client = (co_await gudp::conn::connect(there)).get();
    log->add(shown(co_await client.send_recv("hello")));
    (void)co_await client.send("long");
    log->add(shown(co_await client.recv(2)));
    log->add(shown(co_await client.recv_with_timeout(2, 1ms, retry{2, 1ms})));
    log->add(shown(co_await gudp::send(there, "silence")));
    log->add(shown(co_await gudp::send_recv(there, "one-shot", 3)));
    log->add(shown(co_await gudp::send_recv_with_timeout(there, "silence", 3, 1ms)));
    server->stop();
    while (log->count_like("server") == 0)
      co_await sleep(1ms);
    (void)co_await client.close();
    log->add(shown(co_await client.send("x")));
  });
  CHECK(seen == lines{"-1", "hello", "lo truncated", "timed out", "ok", "one", "timed out", "server ok", "closed"});
}

TEST_CASE("a package whose sending is called off closes the connection, and nothing becomes its body") {
  actor_world world;
  const auto address = fresh_address(each_carrier());
  const auto seen = lines_of(world, [address](journal_ptr log) -> task<> {
    both_ends both;
    co_await connect_both(address, both);
    const auto option = pkg_option{4, 0};
    const auto first = co_await within(1ms, both.near.send_pkg(std::string(20'000'000, 'A'), option));
    log->add(first ? "sent" : "called off");
    log->add(shown(co_await both.near.send_pkg("the next"s, option)));
    const auto rest = co_await both.far.recv_pkg(option);
    log->add(!rest && rest.error() == errc::end_of_stream ? "the end" : "a package");
  });
  CHECK(seen == lines{"called off", "closed", "the end"});
}
