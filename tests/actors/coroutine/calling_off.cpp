// What is called off takes nothing with it: each kind of operation is undone, and what it had taken is there for the
// next, byte for byte.
#include "support/actor_world.hpp"

#include "actnet/actors/coroutine/coroutine.hpp"

using namespace actnet;
using namespace actnet::test;
using namespace actnet::coroutine;
using namespace std::string_literals;
using coroutine::sleep;
using net::framing;

namespace {

using lines = std::vector<std::string>;

std::string text_of(const result<net::bytes>& got) {
  return got ? std::string{got->view()} : to_text(got.error());
}

/// Runs `fun(log)` as a coroutine to its end; what it wrote down.
template <class F>
lines lines_of_coroutine(actor_world& world, F fun) {
  const auto log = make_journal();
  world.owned(spawn_coroutine(
      world.loop(),
      [fun](journal_ptr to) -> task<> {
        co_await fun(to);
        to->add("end");
      },
      log));
  log->expect("end");
  auto all = log->lines();
  all.pop_back();
  return all;
}

task<> send_later(stream_socket by, std::string text, bool then_ends) {
  (void)co_await by.write(text);
  if (then_ends)
    (void)co_await by.finish();
}

/// g++ 12 cannot tell what `co_await stream_socket::adopt(fd)` is within a template.
task<stream_socket> adopted(int fd) {
  co_return (co_await stream_socket::adopt(fd)).get();
}

/// Two reads wait on one stream when `text` comes, all at once. The first takes its part and is the first that ends, so
/// the second is called off with its part in hand. Then all that is left of the stream is read.
template <class First, class Second>
task<> undo_second(journal_ptr log, std::string text, bool ends, std::optional<framing> codec, First first,
                   Second second) {
  int ends_of[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_of) != 0)
    co_return;
  auto near = co_await adopted(ends_of[0]);
  auto far = co_await adopted(ends_of[1]);
  if (codec)
    (void)co_await near.use_codec(codec);
  coroutine::spawn(send_later, far.try_clone(), text, ends);
  auto got = co_await when_any(first(near), second(near));
  log->add(std::to_string(got.index()) + " " + text_of(std::get<0>(got)));
  if (!ends)
    (void)co_await far.finish();
  log->add(text_of(co_await near.read_to_end(1'000)));
}

} // namespace

TEST_CASE("a read of any kind that is called off when it has its bytes gives all of them back") {
  actor_world world;
  const auto undone = [&](std::string text, bool ends, std::optional<framing> codec, auto first, auto second) {
    return lines_of_coroutine(world,
                              [=](journal_ptr log) { return undo_second(log, text, ends, codec, first, second); });
  };
  const auto one = [](stream_socket& s) { return s.read(1); };
  const auto two = [&](auto second) { return undone("xabc\n--d", false, {}, one, second); };
  const lines whole{"0 x", "abc\n--d"};
  CHECK(two([](stream_socket& s) { return s.read(100); }) == whole);
  CHECK(two([](stream_socket& s) { return s.read_exactly(4); }) == whole);
  CHECK(two([](stream_socket& s) { return s.read_until("--"); }) == whole);
  CHECK(two([](stream_socket& s) { return s.read_line(); }) == whole);
  CHECK(two([](stream_socket& s) { return s.read_quiet(1h, 3); }) == whole);
  CHECK(two([](stream_socket& s) { return s.peek(3); }) == whole);

  // The end comes, and the first has looked, but taken nothing.
  const auto look = [](stream_socket& s) { return s.peek(100); };
  const auto ended = [&](std::optional<framing> codec, auto second) {
    return undone("abc\0"s, true, codec, look, second);
  };
  const lines left{"0 the peer finished too early", "abc\0"s};
  CHECK(ended({}, [](stream_socket& s) { return s.read_to_end(100); }) == left);
  CHECK(ended({}, [](stream_socket& s) { return s.read_exactly(100); }) == left);
  CHECK(ended({}, [](stream_socket& s) { return s.read_line(); }) == left);
  CHECK(ended({}, [](stream_socket& s) { return s.read_quiet(1h); }) == left);
  CHECK(ended(framing::line(), [](stream_socket& s) { return s.read_frame(); }) == left);

  const auto frame = [](stream_socket& s) { return s.read_frame(); };
  CHECK(undone("\0\3one\0\3two-"s, false, framing::package(), frame, frame) == lines{"0 one", "\0\3two-"s});
  CHECK(undone("one\n\ntwo", false, framing::line(), frame, frame) == lines{"0 one", "\ntwo"});
  CHECK(undone("onetwo-", false, framing::fixed(3), frame, frame) == lines{"0 one", "two-"});
  CHECK(undone("\3one\3two-", false, framing::varint(), frame, frame) == lines{"0 one", "\3two-"});
}

TEST_CASE("of several that are called off each gives back what it took, in the order of the stream") {
  actor_world world;
  const auto one = [](stream_socket& s) { return s.read(1); };
  CHECK(lines_of_coroutine(world, [=](journal_ptr log) {
          return undo_second(log, "abbccdd\neef", false, {}, one, [](stream_socket& s) {
            return when_any(s.read(2), s.read_exactly(2), s.read_line(), s.read(2), s.read(100));
          });
        }) == lines{"0 a", "bbccdd\neef"});
}

TEST_CASE("what an inner one of several brought goes straight to whoever waits for it") {
  actor_world world;
  CHECK(lines_of_coroutine(world, [](journal_ptr log) -> task<> {
          int ends_of[2];
          if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_of) != 0)
            co_return;
          auto near = (co_await stream_socket::adopt(ends_of[0])).get();
          auto far = (co_await stream_socket::adopt(ends_of[1])).get();
          coroutine::spawn(send_later, far.try_clone(), "one\ntwo\nthree\n", false);
          auto got = co_await when_any(within(1h, near.read_line()), near.read_line());
          log->add(std::to_string(got.index()) + " " + text_of(*std::get<0>(got)));
          auto next = co_await when_any(when_any(sleep(1h), within(1h, near.read_line())), near.read_line());
          log->add(std::to_string(next.index()) + " " + text_of(*std::get<1>(std::get<0>(next))));
          log->add(text_of(co_await near.read(100)));
        }) == lines{"0 one", "0 two", "three\n"});
}

TEST_CASE("a datagram that is taken with too little room by one that is called off is whole for the next") {
  actor_world world;
  CHECK(lines_of_coroutine(world, [](journal_ptr log) -> task<> {
          auto a = (co_await udp_socket::bind("127.0.0.1:0")).get();
          auto b = (co_await udp_socket::bind("127.0.0.1:0")).get();
          auto from = (co_await udp_socket::bind("127.0.0.1:0")).get();
          constexpr int count = 100;
          for (int i = 0; i < count;
               ++i) // they wait at both when the first is asked for, as many as a turn has room for
            for (auto to : {&a, &b}) {
              const auto number = std::to_string(1'000'000 + i);
              (void)co_await from.send_to(number, to->local_endpoint());
            }
          int of_a = 0, of_b = 0;
          while (of_a < count && of_b < count) {
            auto first = co_await when_any(a.receive_from(4), b.receive_from(4));
            ++(first.index() == 0 ? of_a : of_b);
          }
          auto& other = of_a < count ? a : b;
          int cut = 0, wrong = 0;
          for (auto i = of_a < count ? of_a : of_b; i < count; ++i) {
            auto got = (co_await other.receive_from()).get();
            cut += got.truncated || got.payload.size() != 7;
            wrong += got.payload.view() != std::to_string(1'000'000 + i);
          }
          log->add(std::to_string(cut) + " cut, " + std::to_string(wrong) + " wrong");
        }) == lines{"0 cut, 0 wrong"});
}

TEST_CASE("a datagram and a connection that one who is called off had go to whoever waits by then") {
  actor_world world;
  const auto log = make_journal();
  world.owned(spawn_coroutine(
      world.loop(),
      [](journal_ptr to) -> task<> {
        auto server = (co_await tcp_server::bind("127.0.0.1:0")).get();
        auto one = (co_await stream_socket::connect(server.local_endpoint())).get();
        auto two = (co_await stream_socket::connect(server.local_endpoint())).get();
        coroutine::spawn(
            [](tcp_server s, journal_ptr l) -> task<> {
              auto got = co_await s.accept();
              l->add(got ? "accepted" : "not accepted");
            },
            server.try_clone(), to);
        auto first = co_await when_any(server.accept(), server.accept());
        to->add("first " + std::to_string(first.index()));
        co_await receive<std::string>();
      },
      log));
  log->expect("first 0");
  log->expect("accepted");
}

TEST_CASE("a frame that its deadline cuts is the last thing that is written") {
  net::manual_clock time;
  actor_world world{1, &time};
  connected_pair pair{each_carrier()};
  const auto log = make_journal();
  world.owned(spawn_coroutine(
      world.loop(),
      [](journal_ptr to, int fd) -> task<> {
        auto peer = (co_await stream_socket::adopt(fd)).get();
        (void)co_await peer.use_codec(framing::package(4));
        to->add("begin");
        auto first = co_await peer.write(std::string(32 << 20, 'L'), 10s);
        to->add(to_text(first.error()));
        auto later = co_await peer.write("later");
        to->add(code_of(later) == errc::frame_cut && bytes_of(later.error()) == 0 ? "refused" : "not refused");
        (void)co_await peer.finish();
        to->add(std::to_string(bytes_of(first.error())));
        co_await receive<std::string>();
      },
      log, pair.near.release()));
  log->expect("begin");
  world.settle();
  time.advance(10s);
  log->expect("timed out");
  log->expect("refused");
  const auto got = pair.far.read_to_end();
  world.settle();
  CHECK(log->lines().back() == std::to_string(got.size()));
  CHECK(got.size() > 4);
  CHECK(got.size() < (32 << 20));
}

namespace {

task<> takes_a_number(journal_ptr log) {
  const auto got = co_await when_any(receive<int>(), receive<std::string>());
  log->add(got.index() == 0 ? "a number" : "the other one's text");
  co_await sleep(1h);
}

task<> waits_for_a_text(journal_ptr log) {
  log->add("waits");
  const auto got = co_await when_any(takes_a_number(log), receive<std::string>());
  log->add(got.index() == 1 ? "the text" : "no text");
}

struct farewell {
  journal_ptr log;
  ~farewell() { log->add("gone"); }
};

task<> takes_a_number_or_a_drain(journal_ptr log) {
  const farewell at_the_end{log};
  log->add("waits");
  const auto got = co_await when_any(receive<int>(), receive<drain>());
  log->add(got.index() == 0 ? "a number" : "a drain");
  co_await sleep(1h);
}

} // namespace

TEST_CASE("a message that is put back goes to whoever has been waiting for it") {
  actor_world world;
  const auto log = make_journal(), sender_log = make_journal();
  const auto who = world.owned(spawn_coroutine(world.loop(), waits_for_a_text, log));
  log->expect("waits");
  world.in(world.spawn(sender_log), [&](probe& self) { // both in one turn
    self.send(who, 1);
    self.send(who, "x"s);
  });
  log->expect("the text");
}

TEST_CASE("a drain that is put back is followed") {
  actor_world world;
  const auto log = make_journal(), sender_log = make_journal();
  const auto who = spawn_coroutine(world.loop(), takes_a_number_or_a_drain, log);
  log->expect("waits");
  world.in(world.spawn(sender_log), [&](probe& self) {
    self.send(who, 1);
    self.send(who, drain{1h});
  });
  log->expect("gone");
  CHECK(log->count("a drain") == 0);
}
