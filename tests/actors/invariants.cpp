// What must hold whatever happens to connections, over the actors, on a kernel with faults: see support/invariants.hpp.
#include "support/invariants.hpp"

#include "support/peers.hpp"
#include "support/position_stream.hpp"

#include <algorithm>
#include <cerrno>

using namespace actnet;
using namespace actnet::test;

namespace {

connection_options roomy(bool half_open = false) {
  connection_options options;
  options.allow_half_open = half_open;
  options.write_high_bytes = 64'000'000;
  return options;
}

listen_options serving() {
  listen_options options;
  options.connection = roomy();
  options.accept_pause = 10ms;
  return options;
}

struct kernel_faults {
  const char* name;
  std::function<void(faulty_system_calls&)> begin;
};

void shorten(faulty_system_calls& calls) {
  calls.limit_read(1'000, true);
  calls.limit_write(777, true);
}

} // namespace

TEST_CASE("outcomes that claim too much, too little or too late are named", "[invariants]") {
  ack_ledger ledger;
  ledger.issued(1, 10);
  ledger.issued(2, 20);
  const auto failed = make_error(errc::connection_reset);
  SECTION("nothing to complain about") {
    ledger.ended({1, 10, {}}, 10);
    ledger.ended({2, 7, failed}, 20);
    ledger.finish(17);
    CHECK(ledger.violations() == none);
  }
  SECTION("before the kernel took it") {
    ledger.ended({1, 10, {}}, 9);
    CHECK(ledger.violations() == findings{"write 1 of 10 bytes claims what the kernel has not taken"});
  }
  SECTION("sizes that cannot be") {
    ledger.ended({1, 9, {}}, 100);
    ledger.ended({2, 20, failed}, 100);
    CHECK(ledger.violations() == findings{"write 1 of 9 bytes succeeded with another size than it has",
                                          "write 2 of 20 bytes failed, though all of it went"});
  }
  SECTION("bytes behind a gap") {
    ledger.ended({1, 9, failed}, 100);
    ledger.ended({2, 20, {}}, 100);
    CHECK(ledger.violations() == findings{"write 2 of 20 bytes went after one that was cut"});
  }
  SECTION("bytes that nobody claims") {
    ledger.ended({1, 10, {}}, 11);
    ledger.finish(11);
    CHECK(ledger.violations() == findings{"outcomes claim 10 bytes, the kernel took 11"});
  }
}

TEST_CASE("what an acknowledgement claims, the kernel has taken, however the connection ends", "[invariants]") {
  const auto faults =
      GENERATE(kernel_faults{"none", [](faulty_system_calls&) {}},
               kernel_faults{"short writes, and blocking in between", shorten},
               kernel_faults{"signals", [](faulty_system_calls& calls) { calls.interrupt_every_second_call(); }},
               kernel_faults{"no buffers", [](faulty_system_calls& calls) {
                               for (std::size_t i = 1; i < 20; i += 3)
                                 calls.fail(call::sendmsg, ENOBUFS, {.first = i});
                             }});
  const std::string ending = GENERATE("finish", "reset", "abort", "broken pipe");
  const std::size_t loop_count = GENERATE(1u, 2u);
  CAPTURE(faults.name, ending, loop_count);
  constexpr std::size_t count = 300;
  const auto whole = position_stream{1}.bytes(count * (count + 1) / 2 * 10);

  faulty_system_calls calls;
  const net::replaced_system_calls replaced{calls};
  {
    actor_world world{loop_count};
    event_book book{world};
    const auto owner = world.owned(spawn_on<witness>(world.loop(loop_count - 1), &book));
    connected_pair pair{{.receive_buffer_bytes = 4'096}};
    const auto fd = pair.near.fd();
    const int room = 16'384;
    REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0); // most of it waits in the queue
    connection subject;
    world.in(owner, [&](probe& self) {
      auto& it = static_cast<witness&>(self);
      it.take(subject = world.adopt(pair, owner, roomy(true)), [&calls, fd] { return calls.bytes_out(fd); });
      faults.begin(calls);
      std::size_t at = 0;
      for (std::size_t i = 1; i <= count; ++i) { // none is as long as another
        it.write(net::bytes::copy(std::span{whole}.subspan(at, i * 10)));
        at += i * 10;
      }
    });
    position_checker arrived;
    arrived.feed(pair.far.read_exactly(100'000));
    if (ending == "finish") {
      world.in(owner, [](probe& self) { static_cast<witness&>(self).finish(); });
      arrived.feed(pair.far.read_to_end());
      CHECK(arrived.offset() == whole.size());
      pair.far.close();
    } else if (ending == "reset") {
      pair.far.reset();
    } else if (ending == "abort") {
      subject.abort();
    } else {
      calls.fail(call::sendmsg, EPIPE, {.count = occurrence::forever, .fd = fd});
      REQUIRE(eventually([&] {
        pair.far.read_exactly(pair.far.unread()); // so that it writes again
        return book.so_far().written == count;
      }));
      pair.far.close();
    }
    CHECK_FALSE(arrived.first_difference());
    book.await([](const event_book::totals& t) { return t.closed == 1 && t.written == count + 1; });
    calls.clear_faults();
    CHECK(book.finish() == none);
    CHECK(accounts(world, book, calls) == none);
    CHECK((ending == "finish") == (calls.bytes_out(fd) == whole.size()));
  }
  CHECK(calls.violations() == none);
}

TEST_CASE("whatever peers do, a connection opens once, closes once and last, and the accounts agree", "[invariants]") {
  const auto faults = GENERATE(kernel_faults{"none", [](faulty_system_calls&) {}},
                               kernel_faults{"short reads and writes, and signals", [](faulty_system_calls& calls) {
                                               shorten(calls);
                                               calls.interrupt_every_second_call();
                                             }});
  const std::size_t loop_count = GENERATE(1u, 3u);
  CAPTURE(faults.name, loop_count);
  constexpr std::size_t rounds = 20, kinds = 5, each_sends = 20'000;

  faulty_system_calls calls;
  const net::replaced_system_calls replaced{calls};
  {
    witness_server s{loop_count, serving()};
    faults.begin(calls);
    const auto text = position_stream{1}.bytes(each_sends);
    for (std::size_t i = 0; i < rounds; ++i) {
      peer polite{s.port};
      polite.send_all(text);
      polite.finish();
      position_checker echo;
      CHECK(echo.feed(polite.read_to_end()));
      CHECK(echo.offset() == each_sends);
      half_closing_peer{s.port, "last words"}; // then gone, perhaps with the echo unread
      resetting_peer{s.port, "last words"};
      resetting_peer cut{s.port, {reinterpret_cast<const char*>(text.data()), text.size()}};
      cut.reset_after(i * 100);
      peer silent{s.port};
    }
    s.await_closed(rounds * kinds);
    CHECK(s.book.finish() == none);
    CHECK(accounts(s.world, s.book, calls) == none);
    calls.clear_faults();
    REQUIRE(ailments(s.world, s.port) == none);
  }
  CHECK(calls.violations() == none);
}

TEST_CASE("connections that are open have their accounts too", "[invariants]") {
  faulty_system_calls calls;
  const net::replaced_system_calls replaced{calls};
  witness_server s{2, serving()};
  std::vector<peer> peers;
  for (std::size_t i = 1; i <= 20; ++i) {
    peers.emplace_back(s.port);
    peers.back().send_all(std::string(i * 1'000, 'x'));
    peers.back().read_exactly(i * 1'000);
  }
  peers.clear();
  s.await_closed(20);
  for (std::size_t i = 1; i <= 7; ++i) {
    peers.emplace_back(s.port);
    peers.back().send_all("hello");
    peers.back().read_exactly(5);
  }
  s.world.settle();
  CHECK(accounts(s.world, s.book, calls) == none);
  CHECK(s.book.so_far().opened == 27);
  CHECK(calls.open_descriptors(call::accept4).size() == 7);
}

TEST_CASE("when a fault is over, everybody is served again, and then it is quiet", "[invariants]") {
  struct fault {
    call where;
    int error;
    std::size_t count; // it is over when so many calls failed, or when it is lifted
  };
  constexpr auto lifted = occurrence::forever;
  const auto f = GENERATE(fault{call::accept4, EMFILE, lifted}, fault{call::accept4, ENFILE, lifted},
                          fault{call::accept4, ENOBUFS, lifted}, fault{call::accept4, ENOMEM, lifted},
                          fault{call::accept4, ECONNABORTED, 200}, fault{call::accept4, EPROTO, 10},
                          fault{call::sendmsg, ENOBUFS, lifted}, fault{call::epoll_ctl, ENOSPC, 3},
                          fault{call::recv, EINTR, 1'000}, fault{call::epoll_wait, EINTR, 1'000});
  CAPTURE(to_string(f.where), f.error);
  captured_log log;
  faulty_system_calls calls;
  const net::replaced_system_calls replaced{calls};
  {
    witness_server s{2, serving()};
    std::vector<peer> peers;
    peers.emplace_back(s.port);
    peers[0].send_all("before");
    CHECK(peers[0].read_exactly(6) == "before");
    calls.fail(f.where, f.error, {.count = f.count});
    std::size_t lost = 0;
    for (int i = 0; i < 5; ++i) {
      try {
        peer fresh{s.port};
        fresh.send_all("during");
        peers.push_back(std::move(fresh));
      } catch (const std::runtime_error&) {
        ++lost; // reset at once
      }
    }
    peers[0].send_all("during");
    REQUIRE(eventually([&] { return calls.injected(f.where) >= 3; }));
    calls.clear_faults();
    REQUIRE(ailments(s.world, s.port) == none);
    for (auto& each : peers)
      try {
        const auto echo = each.read_exactly(6);
        CHECK(echo == "during");
      } catch (const std::runtime_error&) {
        ++lost;
      }
    CHECK(lost == (f.where == call::epoll_ctl ? f.count : 0));
    CHECK(disturbances(s.world) == none);
    peers.clear();
    s.await_closed(7);
    CHECK(s.book.finish() == none);
    CHECK(accounts(s.world, s.book, calls) == none);
  }
  CHECK(calls.violations() == none);
}

TEST_CASE("connections that come, echo and go leave no memory behind", "[invariants]") {
  class echo final : public handler {
   public:
    echo(caf::actor_config& cfg, connection c) : handler(cfg), peer_(std::move(c)) {}
    caf::behavior make_behavior() override {
      return {[this](const stream::received& r) { peer_.write(r.payload); }};
    }

   private:
    connection peer_;
  };
  actor_world world{2};
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  world.in(boss, [&](probe& self) { self.listen("127.0.0.1:0").each<echo>(); });
  log->expect("listening");
  const auto port = world.port_of(boss);
  const auto text = std::string(20'000, 'x');
  world.settle();
  const auto actors = world.live_actors();
  const auto growth = heap_growth(20, [&] {
    {
      std::vector<peer> peers;
      for (int i = 0; i < 50; ++i) {
        peers.emplace_back(port);
        peers.back().send_all(text);
      }
      for (auto& each : peers)
        each.read_exactly(text.size());
      for (int i = 0; i < 10; ++i)
        peers[static_cast<std::size_t>(i)].reset();
    }
    REQUIRE(eventually([&] { return world.live_actors() == actors; }));
    world.settle();
  });
  CHECK(growth <= 16 * 1'024);
  CHECK(growth >= -1'024 * 1'024);
}
