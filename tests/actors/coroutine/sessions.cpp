// What becomes of coroutines that throw, are killed, wait for messages, never pause, or are very many.
#include "support/actor_world.hpp"

#include "actnet/actors/coroutine/coroutine.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <future>
#include <thread>

using namespace actnet;
using namespace actnet::test;
using namespace actnet::coroutine;
using coroutine::sleep;

namespace {

task<> echo_session(stream_socket peer) {
  for (;;) {
    auto some = co_await peer.read(65'536);
    if (!some || some->empty() || !co_await peer.write(std::move(*some)))
      co_return;
  }
}

/// "throw" makes it throw; all else comes back.
task<> touchy(stream_socket peer) {
  for (;;) {
    auto line = (co_await peer.read_line()).get();
    if (line.view() == "throw")
      throw std::runtime_error{"as told"};
    (void)co_await peer.print(line.view());
  }
}

template <class F>
std::string serve_at(actor_world& world, carrier over, F fun) {
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  world.in(boss, [&](probe& self) { serve(self, fresh_address(over), fun); });
  log->expect("listening");
  return world.address_of(boss);
}

} // namespace

namespace actnet::test {
struct question {
  int number;
};
struct other_question {};
} // namespace actnet::test
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::test::question)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::test::other_question)

TEST_CASE("a coroutine that throws resets its connection, and only that") {
  captured_log said;
  actor_world world;
  const auto there = serve_at(world, carrier::tcp, touchy);
  peer calm{there}, victim{there};
  victim.send_all("throw\n");
  CHECK(victim.await_end() == ending::reset);
  said.lines.expect_like("actor: actnet.coroutine");
  calm.send_all("still here\n");
  CHECK(calm.read_exactly(11) == "still here\n");
}

TEST_CASE("a coroutine that returns closes its connection after all that it wrote") {
  actor_world world;
  const auto there = serve_at(
      world, each_carrier(), +[](stream_socket peer) -> task<> {
        (void)co_await peer.read(10);
        (void)co_await peer.write(std::string(300'000, 'x'));
      });
  peer client{there};
  client.send_all("much that it does not read");
  CHECK(client.read_to_end() == std::string(300'000, 'x'));
}

TEST_CASE("a coroutine that is killed while it waits leaves nothing behind, whatever it waits for") {
  const auto what = GENERATE(0, 1, 2, 3, 4, 5, 6, 7);
  actor_world world;
  const auto address = fresh_address(each_carrier());
  const auto log = make_journal();
  const auto who = spawn_coroutine(world.loop(), [=]() -> task<> {
    auto listening = (co_await tcp_server::bind(address)).get();
    auto near = (co_await stream_socket::connect(listening.local_endpoint())).get();
    auto far = (co_await listening.accept()).get();
    auto datagrams = (co_await udp_socket::bind("127.0.0.1:0")).get();
    log->add("waits");
    switch (what) {
    case 0: (void)co_await near.read(1); break;
    case 1: (void)co_await near.write(std::string(50'000'000, 'x')); break;
    case 2: (void)co_await listening.accept(); break;
    case 3: (void)co_await datagrams.receive_from(); break;
    case 4: co_await sleep(1h); break;
    case 5: (void)co_await receive<question>(); break;
    case 6: (void)co_await when_any(near.read(1), far.read(1), sleep(1h), receive<question>()); break;
    case 7:
      (void)co_await within(1h, request<int>(caf::actor_cast<caf::actor>(near.as_connection().pointer()), 1));
      break;
    }
    log->add("done");
    co_await sleep(1h);
  });
  log->expect("waits");
  world.settle();
  CHECK(log->count("done") == (what == 7 ? 1 : 0));
  world.kill(who);
  CHECK(eventually([&] { return world.live_actors() == 0; }));
}

TEST_CASE("a coroutine that is killed while it lets others have their turns leaves nothing behind") {
  actor_world world;
  const auto address = fresh_address(each_carrier());
  const auto log = make_journal();
  const auto other = world.spawn(make_journal());
  world.settle();
  const auto before = world.live_actors();
  const auto who = spawn_coroutine(world.loop(), [=]() -> task<> {
    auto listening = (co_await tcp_server::bind(address)).get();
    auto near = (co_await stream_socket::connect(listening.local_endpoint())).get();
    auto far = (co_await listening.accept()).get();
    (void)co_await near.write(std::string(100'000, 'x'));
    (void)co_await far.peek(100'000);
    log->add("ready");
    (void)co_await receive<question>();
    for (int i = 0; i < 100'000; ++i) // without a pause, so soon in another turn
      (void)co_await far.read(1);
  });
  log->expect("ready");
  std::promise<void> held, go;
  std::thread holder{[&] {
    world.in(other, [&](probe&) {
      held.set_value();
      go.get_future().wait();
    });
  }};
  held.get_future().wait();
  caf::anon_send(who, question{1}); // both before the turn that it asks for
  caf::anon_send_exit(who, caf::exit_reason::kill);
  go.set_value();
  holder.join();
  CHECK(eventually([&] { return world.live_actors() == before; }));
}

TEST_CASE("messages are awaited by their types, and requests answered or broken") {
  actor_world world;
  const auto log = make_journal();
  const auto who = world.owned(spawn_coroutine(world.loop(), [log]() -> task<> {
    auto third = co_await receive<question>();
    log->add("question " + std::to_string(third->number));
    third.reply(third->number + 1);
    auto text = co_await receive<std::string, int>();
    log->add(text.get<0>() + std::to_string(text.get<1>()));
    { auto dropped = co_await receive<other_question>(); }
    log->add("dropped");
    co_await receive<std::string>();
  }));
  caf::anon_send(who, std::string{"early"}, 7);
  CHECK(world.ask<int>(handle{caf::actor_cast<caf::strong_actor_ptr>(who)}, question{41}).first == 42);
  log->expect("early7");
  const auto broken = world.ask<int>(handle{caf::actor_cast<caf::strong_actor_ptr>(who)}, other_question{});
  CHECK(code_of(broken.second) == errc::broken_promise);
  CHECK(log->lines() == std::vector<std::string>{"question 41", "early7", "dropped"});
}

TEST_CASE("a coroutine asks actors, and hears of their end") {
  actor_world world;
  const auto log = make_journal();
  const auto answers = spawn_coroutine(world.loop(), []() -> task<> {
    auto asked = co_await receive<question>();
    asked.reply(asked->number * 2);
    (void)co_await receive<other_question>(); // and ends without an answer
  });
  world.owned(spawn_coroutine(world.loop(), [=]() -> task<> {
    monitor(answers);
    const auto twice = co_await request<int>(answers, question{21});
    log->add(std::to_string(*twice));
    const auto none = co_await request<int>(answers, other_question{});
    log->add(to_text(none.error()));
    const auto gone = co_await receive<caf::down_msg>();
    log->add(gone->source == answers.address() ? "gone" : "somebody else");
    const auto late = co_await request<int>(answers, question{1});
    log->add(late ? "an answer" : "no answer");
  }));
  log->expect("no answer");
  CHECK(log->lines() ==
        std::vector<std::string>{"42", "the request was given up without an answer", "gone", "no answer"});
}

TEST_CASE("nobody answers with an error, and has ended") {
  actor_world world;
  const auto log = make_journal();
  world.owned(spawn_coroutine(world.loop(), [=]() -> task<> {
    const auto answer = co_await request<int>(caf::actor{}, 1);
    log->add(to_text(answer.error()));
    monitor(caf::actor{});
    const auto gone = co_await receive<caf::down_msg>();
    log->add(gone->source ? "somebody" : to_text(gone->reason));
    log->add("end");
  }));
  log->expect("end");
  const auto invalid = to_text(make_error(errc::invalid_argument));
  CHECK(log->lines() == std::vector<std::string>{invalid, invalid, "end"});
}

TEST_CASE("what is asked of a stream, server or datagram socket that is empty is answered by closed") {
  actor_world world;
  const auto log = make_journal();
  connected_pair pair;
  const auto near = pair.near.release();
  world.owned(spawn_coroutine(world.loop(), [=]() -> task<> {
    const auto tell = [&](errc got) { log->add(to_text(make_error(got))); };
    auto adopted = co_await stream_socket::adopt(near);
    auto stream = std::move(*adopted);
    const auto moved_to = std::move(stream);
    tell(code_of(co_await stream.read(10, 1h)));
    tell(code_of(co_await stream.write("x")));
    tell(code_of(co_await stream.flush()));
    tell(code_of(co_await stream.send_file("x")));
    tell(code_of(co_await stream.finish()));
    tell(code_of(co_await stream.shutdown()));
    tell(code_of(co_await stream.close()));
    tell(code_of(co_await stream.try_clone().get<net::no_delay>()));
    auto first = co_await when_any(stream.read(1), sleep(1h));
    tell(code_of(std::get<0>(first)));
    stream.timeout_after(1h);
    stream.as_connection().write("x");
    log->add(stream.is_closed() && stream.peer_endpoint() == stream.local_endpoint() ? "closed" : "open");
    tcp_server server;
    tell(code_of(co_await server.accept(1h)));
    tell(code_of(co_await server.close()));
    server.stopper().stop();
    udp_socket socket;
    tell(code_of(co_await socket.read(10, 1h)));
    tell(code_of(co_await socket.write("x")));
    tell(code_of(co_await socket.close()));
    log->add(socket.is_closed() && !socket.as_datagram_socket() && !socket.try_clone() ? "closed" : "open");
    log->add("end");
  }));
  log->expect("end");
  const auto closed = to_text(make_error(errc::closed));
  CHECK(log->count(closed) + 1 == log->lines().size());
}

TEST_CASE("a socket of another loop is refused") {
  actor_world world{2};
  const auto log = make_journal();
  const auto listening = std::make_shared<tcp_server>();
  world.owned(spawn_coroutine(world.loop(0), [=]() -> task<> {
    *listening = (co_await tcp_server::bind("127.0.0.1:0")).get();
    log->add("bound");
    (void)co_await receive<question>();
    *listening = {};
  }));
  log->expect("bound");
  world.owned(spawn_coroutine(world.loop(1), [=]() -> task<> {
    log->add(to_text((co_await listening->accept()).error()));
    log->add("end");
  }));
  log->expect("end");
  CHECK(log->count(to_string(errc::wrong_loop)) == 1);
}

TEST_CASE("a coroutine that never has to wait lets others have their turns") {
  actor_world world;
  const auto address = fresh_address(each_carrier());
  const auto log = make_journal();
  world.owned(spawn_coroutine(world.loop(), [=]() -> task<> {
    auto listening = (co_await tcp_server::bind(address)).get();
    auto near = (co_await stream_socket::connect(listening.local_endpoint())).get();
    auto far = (co_await listening.accept()).get();
    (void)co_await near.write(std::string(100'000, 'x'));
    (void)co_await far.peek(100'000);
    coroutine::spawn(
        [](journal_ptr to) -> task<> {
          for (int i = 0; i < 10; ++i) {
            co_await sleep(0ms);
            to->add("other");
          }
        },
        log);
    for (int i = 0; i < 100'000; ++i)
      (void)co_await far.read(1);
    log->add("all read");
  }));
  log->expect("all read");
  const auto all = log->lines();
  CHECK(std::count(all.begin(), std::find(all.begin(), all.end(), "all read"), "other") == 10);
}

TEST_CASE("an accept loop ends when its stop handle or the program says so") {
  const auto by_handle = GENERATE(true, false);
  actor_world world;
  const auto address = fresh_address(each_carrier());
  const auto log = make_journal();
  const auto stop = std::make_shared<std::promise<coroutine::stop_handle>>();
  const auto who = spawn_coroutine(world.loop(), [=]() -> task<> {
    auto listening = (co_await tcp_server::bind(address)).get();
    log->add(to_text((co_await listening.accept(10ms)).error()));
    stop->set_value(listening.stopper());
    const auto got = co_await listening.accept();
    log->add(to_text(got.error()));
  });
  log->expect("timed out");
  if (by_handle)
    stop->get_future().get().stop();
  else
    caf::anon_send(who, drain{});
  CHECK(eventually([&] { return world.live_actors() == 0; }));
  CHECK(log->count("interrupted") == (by_handle ? 1 : 0));
}

TEST_CASE("thousands of sessions at once") {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const auto room = std::min<rlim_t>(limit.rlim_cur, 10'000);
  const auto count = static_cast<std::size_t>((room - 200) / 2);
  actor_world world{2};
  const auto there = serve_at(world, each_carrier(), echo_session);
  std::vector<peer> peers;
  for (std::size_t i = 0; i < count; ++i)
    peers.emplace_back(there);
  for (int round = 0; round < 2; ++round) {
    for (auto& each : peers)
      each.send_all("hello");
    std::size_t answered = 0;
    for (auto& each : peers)
      answered += each.read_exactly(5) == "hello";
    CHECK(answered == count);
  }
}

TEST_CASE("peers that send a byte now and then are gone by the deadline of their line, and disturb nobody") { // F12
  net::manual_clock time;
  actor_world world{1, &time};
  const auto there = serve_at(
      world, each_carrier(), +[](stream_socket peer) -> task<> {
        while (auto line = co_await peer.read_line(1000, 30s))
          (void)co_await peer.print(line->view());
      });
  std::vector<peer> slow;
  for (int i = 0; i < 300; ++i)
    slow.emplace_back(there);
  peer calm{there};
  for (int second = 0; second < 29; second += 5) {
    for (auto& each : slow)
      each.send_all("x");
    calm.send_all("hello\n");
    CHECK(calm.read_exactly(6) == "hello\n");
    time.advance(5s);
  }
  for (auto& each : slow)
    CHECK(each.read_to_end() == "");
  calm.send_all("hello\n");
  CHECK(calm.read_exactly(6) == "hello\n");
}
