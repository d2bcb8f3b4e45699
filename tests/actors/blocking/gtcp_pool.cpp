// The pool under servers that close idle connections, restart, say what nobody asked, or answer late: a request is
// never repeated, and none is lost without a word.
#include "support/actor_world.hpp"
#include "support/faulty_system_calls.hpp"

#include "actnet/actors/blocking/gtcp.hpp"

#include <poll.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

using namespace actnet;
using namespace actnet::test;
using namespace actnet::blocking;

namespace {

/// A pool, and a server that is played by the test.
struct pooled {
  explicit pooled(actor_world& in, carrier how = each_carrier())
      : world(in), over(how), said(how), listener(how), pool(in.system()) {}

  gtcp::conn get() { return pool.get(listener.address()).get(); }

  /// A request and its answer over a new connection, which is idle afterwards.
  peer one_idle() {
    auto near = get();
    (void)near.send("question");
    auto far = listener.accept();
    answer(far);
    CHECK(near.recv(6).get().view() == "answer");
    CHECK(near.close().has_value());
    return far;
  }

  static void answer(peer& far) {
    CHECK(far.read_exactly(8) == "question");
    far.send_all("answer");
  }

  /// Whether somebody connects, or has connected.
  bool anybody() const {
    pollfd waiting{listener.fd(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) > 0;
  }

  actor_world& world;
  carrier over;
  said_carrier said;
  listening_peer listener;
  gtcp::pool pool;
};

} // namespace

TEST_CASE("a connection that was given back is used again, the last one first") {
  actor_world world;
  pooled its{world};
  auto far = its.one_idle();
  CHECK(its.pool.idle() == 1);
  auto again = its.get();
  CHECK(its.pool.idle() == 0);
  auto another = its.get();
  (void)again.send("over the first");
  CHECK(far.read_exactly(14) == "over the first");
  (void)another.send("over the second");
  auto second = its.listener.accept();
  CHECK(second.read_exactly(15) == "over the second");
  (void)again.close();
  (void)another.close();
  CHECK(its.pool.idle() == 2);
  auto last = its.get();
  (void)last.send("once more");
  CHECK(second.read_exactly(9) == "once more");
  CHECK(code_of(its.pool.get("nonsense")) == errc::invalid_endpoint);
}

TEST_CASE("an idle connection that the server closed, reset or spoke on is replaced unseen") {
  const auto how = GENERATE(0, 1, 2);
  actor_world world;
  pooled its{world};
  std::optional<peer> first = its.one_idle();
  auto one = its.get();
  auto other = its.get();
  CHECK(one.close().has_value());
  CHECK(other.close().has_value());
  CHECK(its.pool.idle() == 2);
  auto second = its.listener.accept();
  for (auto each : {&*first, &second})
    switch (how) {
    case 0: each->finish(); break;
    case 1: each->reset(); break;
    case 2: each->send_all("what nobody asked"); break;
    }
  auto near = its.get();
  CHECK(near.send("question").has_value());
  auto third = its.listener.accept();
  its.answer(third);
  CHECK(near.recv(6).get().view() == "answer");
  CHECK(near.close().has_value());
  CHECK(its.pool.idle() == 1);
  if (how != 1) {
    CHECK(first->read_to_end() == "");
    CHECK(second.read_to_end() == "");
  }
}

TEST_CASE("one that is taken and closed by the server before the first request is replaced with its deadlines") {
  actor_world world;
  pooled its{world};
  auto far = its.one_idle();
  auto near = its.get();
  near.set_recv_deadline(net::time_point{});
  far.finish();
  CHECK(near.send("question").has_value());
  auto fresh = its.listener.accept();
  CHECK(fresh.read_exactly(8) == "question");
  CHECK(far.read_to_end() == "");
  CHECK(code_of(near.recv(6)) == errc::timed_out);
}

TEST_CASE("an idle connection that takes no byte of the request is replaced unseen, one that took some is not") {
  const auto taken = GENERATE(0u, 3u);
  faulty_system_calls calls;
  const net::replaced_system_calls with{calls};
  actor_world world;
  pooled its{world};
  auto far = its.one_idle();
  auto near = its.get();
  if (taken > 0)
    calls.limit_write(taken);
  calls.fail(call::sendmsg, EPIPE, {.first = taken > 0 ? 2u : 1u});
  const auto sent = near.send("question");
  if (taken == 0) {
    CHECK(sent.has_value());
    CHECK(its.listener.accept().read_exactly(8) == "question");
  } else {
    CHECK(code_of(sent) == errc::connection_reset);
    CHECK(bytes_of(sent.error()) == taken);
    CHECK(far.read_exactly(taken) == "que");
    CHECK_FALSE(its.anybody());
    CHECK(near.close().has_value());
  }
  CHECK(its.pool.idle() == 0);
  (void)far.await_end();
}

TEST_CASE("a request that was perhaps sent is never repeated: its error is the caller's") {
  const auto reused = GENERATE(false, true);
  actor_world world;
  pooled its{world};
  std::optional<peer> far;
  if (reused)
    far = its.one_idle();
  auto near = its.get();
  std::thread server{[&] {
    if (!far)
      far = its.listener.accept();
    (void)far->read_exactly(8);
    far->finish();
  }};
  const auto got = near.send_recv("question", 6);
  server.join();
  CHECK(code_of(got) == errc::end_of_stream);
  CHECK(code_of(near.send_recv("question", 6)) != errc::none);
  CHECK(near.close().has_value());
  CHECK(its.pool.idle() == 0);
  CHECK_FALSE(its.anybody());
}

TEST_CASE("a connection on which something failed, or bytes are left, or that was dropped is not used again") {
  const auto what = GENERATE(0, 1, 2, 3);
  actor_world world;
  pooled its{world};
  {
    auto near = its.get();
    (void)near.send("question");
    auto far = its.listener.accept();
    (void)far.read_exactly(8);
    switch (what) {
    case 0:
      CHECK(code_of(near.recv_with_timeout(6, 1ms)) == errc::timed_out);
      far.send_all("late");
      break;
    case 1:
      far.send_all("answer and more");
      CHECK(near.recv(6).has_value());
      break;
    case 2: CHECK(code_of(near.send_pkg("", gtcp::pkg_option{5})) == errc::invalid_argument); break;
    case 3: break;
    }
    if (what != 3) {
      CHECK(near.close().has_value());
      CHECK(code_of(near.recv(1)) == errc::closed);
    }
  }
  CHECK(its.pool.idle() == 0);
  auto next = its.get();
  CHECK(next.send("question").has_value());
  auto far = its.listener.accept();
  its.answer(far);
  CHECK(next.recv(6).get().view() == "answer"); // not a late one
}

TEST_CASE("a connection that nobody used for the idle time is closed when the pool is used, the others when it goes") {
  net::manual_clock time;
  actor_world world{1, &time};
  std::optional<pooled> its{std::in_place, world};
  auto old = its->one_idle();
  time.advance(4s);
  auto newer = [&] {
    auto hold = its->get();
    auto far = its->one_idle();
    CHECK(hold.close().has_value());
    return far;
  }();
  CHECK(its->pool.idle() == 2);
  // Both were given back at 4 s.
  time.advance(10s - 1ns);
  auto near = its->get(); // the last one that was given back: the older connection
  CHECK(its->pool.idle() == 1);
  time.advance(1ns);
  CHECK(near.close().has_value());
  CHECK(its->pool.idle() == 1);
  CHECK(newer.read_to_end() == "");
  its.reset();
  CHECK(old.read_to_end() == "");
}

TEST_CASE("one that is given back after its pool is gone is closed") {
  actor_world world;
  std::optional<pooled> its{std::in_place, world};
  auto near = its->get();
  auto far = its->listener.accept();
  its.reset();
  CHECK(near.close().has_value());
  CHECK(far.read_to_end() == "");
}

TEST_CASE("many threads, a server that closes at will and restarts: every request arrives once at most, every answer "
          "is its own") {
  const auto over = each_carrier();
  const said_carrier said{over};
  actor_world world{2};
  std::mutex mutex;
  std::multiset<std::string> arrived;
  std::string address = fresh_address(over);
  const auto handle = [&](gtcp::conn& peer) {
    for (int left = 7;; --left) {
      auto request = peer.recv_pkg();
      if (!request)
        return;
      std::size_t number;
      {
        std::lock_guard guard{mutex};
        arrived.insert(std::string{request->view()});
        number = arrived.size();
      }
      if (number % 50 == 0)
        return; // without an answer
      if (!peer.send_pkg(std::move(*request)) || left == 0)
        return; // idle
    }
  };
  std::atomic<bool> over_now{false};
  auto first = std::make_unique<gtcp::server>(world.system());
  REQUIRE(first->listen(address).has_value());
  address = first->address()->to_string();
  std::thread serving{[&] {
    for (auto server = std::move(first); !over_now; server = std::make_unique<gtcp::server>(world.system())) {
      if (!server->address() && !server->listen(address))
        continue;
      const auto come = [&] {
        std::lock_guard guard{mutex};
        return arrived.size();
      };
      std::thread restarting{[&, until = come() + 100] {
        (void)eventually([&] { return over_now || come() > until; });
        server->close();
      }};
      (void)server->run(handle);
      restarting.join();
    }
  }};
  gtcp::pool pool{world.system()};
  std::atomic<int> wrong{0}, answered{0}, failures{0}, missing{0};
  std::vector<std::thread> clients;
  for (int who = 0; who < 3; ++who)
    clients.emplace_back([&, who] {
      for (int i = 0; i < 300; ++i) {
        const auto request = std::to_string(who) + "/" + std::to_string(i);
        auto peer = pool.get(address);
        auto answer = peer ? peer->send_recv_pkg_with_timeout(request, 10s) : result<net::bytes>{failed(peer.error())};
        if (!answer) {
          ++failures;
          continue;
        }
        ++answered;
        wrong += answer->view() != request;
        (void)peer->close();
        std::lock_guard guard{mutex};
        missing += arrived.count(request) == 0;
      }
    });
  for (auto& each : clients)
    each.join();
  over_now = true;
  serving.join();
  CHECK(answered + failures == 900);
  CHECK(answered > 100);
  CHECK(wrong == 0);
  CHECK(missing == 0);
  std::size_t repeated = 0;
  for (const auto& each : arrived)
    repeated += arrived.count(each) > 1;
  CHECK(repeated == 0);
}
