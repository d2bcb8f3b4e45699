// Datagram sockets: what is sent has an outcome, what comes is told, and each ends as it should.
#include "support/actor_world.hpp"

#include <caf/scoped_actor.hpp>

#include <poll.h>

#include <algorithm>
#include <array>
#include <future>
#include <optional>
#include <thread>
#include <vector>

using namespace actnet;
using namespace actnet::test;

namespace {

net::endpoint at(const datagram_peer& peer) {
  return *net::endpoint::parse(peer.address());
}

struct datagram_socket_stage {
  /// Over each carrier in turn, unless one is said.
  explicit datagram_socket_stage(datagram_carrier kind = each_datagram_carrier(), bind_options options = {},
                                 net::clock* time = nullptr)
      : over(kind), world(1, time), owner(world.spawn(log)) {
    world.in(owner, [&](probe& self) { it = self.bind(fresh_address(over), options).start(); });
    log->expect("bound");
    address = world.address_of(owner);
  }

  datagram::info info() { return *world.ask<datagram::info>(it, datagram::get_info{}).first; }

  const datagram_carrier over;
  said_carrier said{over};
  actor_world world;
  journal_ptr log = make_journal();
  caf::actor owner;
  datagram_socket it;
  std::string address;
};

} // namespace

TEST_CASE("datagrams go out and come in, empty ones too", "[datagram]") {
  datagram_socket_stage s;
  datagram_peer far{s.over};
  s.world.in(s.owner, [&](probe&) {
    s.it.send_to(at(far), "hello", 1);
    s.it.send_to(at(far), "", 2);
    s.it.send_to(at(far), "silent");
  });
  CHECK(far.receive().payload == "hello");
  CHECK(far.receive().payload.empty());
  CHECK(far.receive().payload == "silent");
  s.log->expect("sent 2");
  far.send_to(s.address, "answer");
  far.send_to(s.address, "");
  s.log->expect("datagram answer");
  s.log->expect("datagram ");
  CHECK(s.log->count_like("sent") == 2);
  const auto info = s.info();
  CHECK(info.sent == 3);
  CHECK(info.sent_bytes == 11);
  CHECK(info.received == 2);
  CHECK(info.received_bytes == 6);
  CHECK(info.queued_bytes == 0);
}

namespace {

/// Answers in the way that the question names.
class answerer : public handler {
 public:
  answerer(caf::actor_config& cfg, datagram_socket s) : handler(cfg), socket_(std::move(s)) {}

  caf::behavior make_behavior() override {
    return {[this](const datagram::received& r) {
              const datagram::send answer{r.payload, r.from, 0, r.answer_from()};
              const auto way = r.payload.view();
              if (way == "by handle")
                socket_.answer(r, r.payload);
              else if (way == "by message")
                send(socket_.actor(), answer);
              else if (way == "by request")
                socket_.request(this, answer).then([](const datagram::sent&) {});
              else
                std::thread{[&] { socket_.answer(r, r.payload); }}.join();
            },
            [](const datagram::sent&) {}};
  }

 private:
  datagram_socket socket_;
};

} // namespace

TEST_CASE("an answer by handle, by message, by request and from another thread comes from where was asked",
          "[datagram]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  datagram_socket it;
  world.in(owner, [&](probe& self) { it = self.bind("udp://0.0.0.0:0").with<answerer>(); });
  log->expect_like("bound");
  const auto port = world.ask<datagram::info>(it, datagram::get_info{}).first->local.port();
  for (const std::uint8_t last : {std::uint8_t{1}, std::uint8_t{2}}) {
    auto asker = *net::datagram_socket::open(net::endpoint::udp(net::ip_address::loopback_v4(), 0), {});
    REQUIRE(asker.connect(net::endpoint::udp(net::ip_address::v4(127, 0, 0, last), port))); // and hears nobody else
    for (const std::string_view way : {"by handle", "by message", "by request", "by another thread"}) {
      CAPTURE(last, way);
      REQUIRE(asker.send(std::as_bytes(std::span{way}), nullptr));
      pollfd waiting{asker.fd(), POLLIN, 0};
      REQUIRE(::poll(&waiting, 1, 10'000) == 1);
      std::array<std::byte, 100> buffer;
      CHECK(asker.receive(buffer)->size == way.size());
    }
  }
  it.close();
}

TEST_CASE("a datagram larger than a read comes cut and marked, an empty one and one that just fits come whole",
          "[datagram]") {
  constexpr std::size_t read_bytes = 65'536; // more than UDP can carry: only a Unix socket has larger ones
  datagram_socket_stage s{datagram_carrier::local};
  datagram_peer sender{s.over};
  const auto send = [&](std::size_t size) { sender.send_to(s.address, std::string(size, 'x')); };
  send(100'000);
  s.log->expect("datagram 65536 bytes truncated");
  send(0);
  s.log->expect("datagram ");
  send(read_bytes);
  s.log->expect("datagram 65536 bytes");
  send(read_bytes + 1);
  s.log->expect("datagram 65536 bytes truncated", 2);
  const auto info = s.info();
  CHECK(info.received == 4);
  CHECK(info.truncated == 2);
  CHECK(info.received_bytes == 3 * read_bytes);
}

TEST_CASE("the largest UDP datagram comes whole", "[datagram]") {
  datagram_socket_stage s{datagram_carrier::udp};
  udp_peer far;
  far.send_to(s.address, std::string(65'507, 'x'));
  s.log->expect("datagram 65507 bytes");
  CHECK(s.info().truncated == 0);
}

TEST_CASE("of a UDP burst beyond the receive buffer each datagram is either delivered or counted as dropped",
          "[datagram]") {
  constexpr std::uint64_t burst = 300; // a Unix sender would wait
  datagram_socket_stage s{datagram_carrier::udp};
  udp_peer far;
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::set_options{{{net::receive_buffer{16'384}}}}).first);
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::pause_reading{}).first);
  for (std::uint64_t i = 0; i < burst; ++i)
    far.send_to(s.address, std::string(500, 'x'));
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::resume_reading{}).first);
  s.log->expect_like("datagram 500 bytes");
  s.world.settle();
  far.send_to(s.address, "the last"); // each datagram tells of the drops before it
  s.log->expect("datagram the last");
  const auto info = s.info();
  CHECK(info.dropped > 0);
  CHECK(info.received > 1);
  CHECK(info.received + info.dropped == burst + 1);
}

TEST_CASE("empty datagrams that nobody lets go of stop reading at the credit", "[datagram]") {
  constexpr std::uint64_t burst = 2'000;
  bind_options options;
  options.read_credit_bytes = 16'384;
  datagram_socket_stage s{datagram_carrier::udp, options};
  s.world.in(s.owner, [](probe& self) { self.keeps = true; });
  udp_peer far;
  for (std::uint64_t i = 0; i < burst; ++i)
    far.send_to(s.address, "");
  REQUIRE(eventually([&] { return s.info().credit_outstanding >= options.read_credit_bytes; }));
  s.world.settle();
  const auto held = s.info();
  CHECK(held.received <= options.read_credit_bytes / net::block::overhead_bytes);
  CHECK(held.credit_outstanding < 2 * options.read_credit_bytes);
  s.world.in(s.owner, [](probe& self) {
    self.keeps = false;
    self.kept.clear();
  });
  REQUIRE(eventually([&] { // each of them was told, or found no room in the kernel
    const auto now = s.info();
    return now.received + now.dropped == burst;
  }));
  CHECK(s.info().credit_outstanding == 0);
}

TEST_CASE("sends as requests are answered, with the error if there is one", "[datagram]") {
  datagram_socket_stage s;
  datagram_peer far{s.over};
  const auto text = net::bytes::copy("hello");
  CHECK(s.world.ask<datagram::sent>(s.it, datagram::send{text, at(far), 4}).first->token == 4);
  const auto huge = net::bytes::copy(std::string(1'000'000, 'x'));
  CHECK(s.world.ask<datagram::sent>(s.it, datagram::send{huge, at(far), 5}).second == errc::message_too_large);
  CHECK(s.world.ask<datagram::sent>(s.it, datagram::send{text, std::nullopt, 6}).second); // nobody to send it to
  CHECK(far.receive().payload == "hello");
  CHECK(s.info().send_failed == 2);
}

TEST_CASE("what was sent before a connect is for the peer of then, however much it is", "[datagram]") {
  datagram_socket_stage s;
  datagram_peer first{s.over}, second{s.over};
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::connect{at(first)}).first);
  s.world.in(s.owner, [&](probe&) {
    for (std::uint64_t i = 1; i <= 100; ++i)
      s.it.send("first", i);
    s.it.connect(at(second));
    s.it.send("second", 101);
  });
  for (int i = 0; i < 100; ++i)
    CHECK(first.receive().payload == "first");
  CHECK(second.receive().payload == "second");
  s.log->expect("sent 101");
}

TEST_CASE("a connected socket needs no address, hears its peer only, and survives a refusal", "[datagram]") {
  datagram_socket_stage s;
  const auto udp = s.over == datagram_carrier::udp;
  datagram_peer stranger{s.over};
  std::optional<datagram_peer> far{s.over};
  const auto there = at(*far);
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::connect{there}).first);
  s.world.in(s.owner, [&](probe&) { s.it.send("no address", 1); });
  CHECK(far->receive().payload == "no address");
  if (udp)
    stranger.send_to(s.address, "who is this");
  else
    CHECK_THROWS(stranger.send_to(s.address, "who is this")); // a Unix sender is told (unix(7), EPERM)
  far->send_to(s.address, "it is me");
  s.log->expect("datagram it is me");
  CHECK(s.log->count("datagram who is this") == 0);
  CHECK(s.info().peer == there);
  far.reset();
  s.world.in(s.owner, [&](probe&) { s.it.send("into the void", 2); });
  s.log->expect(udp ? "sent 2" : with_cause("sent 2", errc::connection_refused)); // which UDP learns later
  REQUIRE(eventually([&] { return s.info().receive_errors > 0 || !udp; }));
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::disconnect{}).first);
  stranger.send_to(s.address, "and now");
  s.log->expect("datagram and now");
  CHECK_FALSE(s.info().peer);
}

TEST_CASE("a paused datagram socket delivers when resumed, and options are set live", "[datagram]") {
  datagram_socket_stage s;
  datagram_peer far{s.over};
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::pause_reading{}).first);
  far.send_to(s.address, "later");
  s.world.settle();
  CHECK(s.log->count_like("datagram") == 0);
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::set_options{{{net::send_buffer{100'000}}}}).first);
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::resume_reading{}).first);
  s.log->expect("datagram later");
}

TEST_CASE("datagrams that another thread sends as messages to a loop that is held up take bounded room", "[datagram]") {
  constexpr std::uint64_t count = 2'000;
  bind_options options;
  options.write_high_bytes = 100'000;
  datagram_socket_stage s{each_datagram_carrier(), options};
  const datagram_peer far{s.over};
  caf::scoped_actor sender{s.world.system()};
  struct {
    std::promise<void> begins, may_end;
  } hold;
  REQUIRE(s.world.loop().loop().post(
      [](void* given, void*) noexcept {
        auto& me = *static_cast<decltype(hold)*>(given);
        me.begins.set_value();
        me.may_end.get_future().wait_for(default_deadline);
      },
      &hold, nullptr));
  hold.begins.get_future().wait();
  const auto to = caf::actor_cast<caf::actor>(s.it.pointer());
  for (std::uint64_t token = 1; token <= count; token += 2) {
    sender->send(to, datagram::send{net::bytes::copy(std::string(1'000, 'x')), at(far), token});
    sender->send(to, datagram::send_file{std::string(1'000, 'x'), at(far), 0, 0, token + 1}); // there is none
  }
  hold.may_end.set_value();
  std::uint64_t refused = 0;
  std::vector<int> outcomes(count);
  for (std::uint64_t i = 0; i < count; ++i)
    sender->receive([&](const datagram::sent& each) {
      refused += each.cause == errc::queue_full ? 1 : 0;
      ++outcomes.at(each.token - 1);
    });
  CHECK(std::count(outcomes.begin(), outcomes.end(), 1) == static_cast<std::ptrdiff_t>(count));
  CHECK(refused >= count - options.write_high_bytes / 1'000 - 1);
}

TEST_CASE("above the high mark datagrams are refused, and those who were hear when there is room", "[datagram]") {
  bind_options options;
  options.write_high_bytes = 4'000;
  options.write_low_bytes = 1'000;
  datagram_socket_stage s{datagram_carrier::local, options}; // UDP never waits: what finds no room there is dropped
  const datagram_peer receiver{s.over};
  const auto other_log = make_journal();
  const auto other = s.world.spawn(other_log);
  const auto to = at(receiver);
  std::uint64_t token = 0;
  while (s.log->count_like("sent") == 0) { // until the receiver's queue and ours are full
    s.world.in(s.owner, [&](probe&) {
      for (int i = 0; i < 10; ++i)
        s.it.send_to(to, "x");
    });
    s.world.settle();
    REQUIRE(++token < 10'000);
  }
  s.log->expect(with_cause("sent 0", errc::queue_full));
  s.world.in(other, [&](probe&) { s.it.send_to(to, "x", 7); });
  other_log->expect(with_cause("sent 7", errc::queue_full));
  char buffer[16];
  std::thread reader{[&] {
    while (s.log->count("datagram writable") == 0 || other_log->count("datagram writable") == 0)
      (void)::recv(receiver.fd(), buffer, sizeof buffer, MSG_DONTWAIT);
  }};
  const auto told =
      eventually([&] { return s.log->count("datagram writable") > 0 && other_log->count("datagram writable") > 0; });
  if (!told) {
    s.log->add("datagram writable");
    other_log->add("datagram writable");
  }
  reader.join();
  CHECK(told);
}

TEST_CASE("a Unix receiver that does not read holds up what is for it, in order, and nothing else", "[datagram]") {
  datagram_socket_stage s{datagram_carrier::local};
  datagram_peer deaf{s.over}, other{s.over};
  constexpr int many = 100; // more than the kernel queues for one receiver
  s.world.in(s.owner, [&](probe&) {
    for (int i = 0; i < many; ++i) {
      s.it.send_to(at(deaf), std::to_string(i), 1);
      s.it.send_to(at(other), std::to_string(i), 2);
    }
  });
  for (int i = 0; i < many; ++i)
    CHECK(other.receive().payload == std::to_string(i));
  s.log->expect("sent 2", many);
  CHECK(s.log->count("sent 1") < many);
  CHECK(s.info().queued_bytes > 0);
  s.world.in(s.owner, [&](probe&) { s.it.send_to(at(deaf), "the last", 1); });
  for (int i = 0; i < many; ++i)
    CHECK(deaf.receive().payload == std::to_string(i));
  CHECK(deaf.receive().payload == "the last");
  s.log->expect("sent 1", many + 1);
  CHECK(s.info().queued_bytes == 0);
}

TEST_CASE("what a Unix receiver does not take within the write stall fails, and later it is served again",
          "[datagram]") {
  net::manual_clock time;
  datagram_socket_stage s{datagram_carrier::local, {}, &time};
  datagram_peer deaf{s.over}, other{s.over};
  constexpr std::size_t many = 50;
  s.world.in(s.owner, [&](probe&) {
    for (std::size_t i = 0; i < many; ++i)
      s.it.send_to(at(deaf), std::to_string(i), 1);
  });
  s.world.settle();
  const auto taken = s.log->count("sent 1");
  REQUIRE(taken < many);
  time.advance(29s);
  s.world.settle();
  CHECK(s.log->count_like("sent 1: ") == 0);
  time.advance(1s);
  s.log->expect(with_cause("sent 1", errc::write_stalled), many - taken);
  CHECK(s.info().send_failed == many - taken);
  CHECK(s.info().queued_bytes == 0);
  for (std::size_t i = 0; i < taken; ++i)
    CHECK(deaf.receive().payload == std::to_string(i));
  s.world.in(s.owner, [&](probe&) { s.it.send_to(at(deaf), "again", 3); });
  CHECK(deaf.receive().payload == "again");
}

TEST_CASE("the write stall also holds for the receiver that a Unix socket is connected to", "[datagram]") {
  net::manual_clock time;
  datagram_socket_stage s{datagram_carrier::local, {}, &time};
  datagram_peer deaf{s.over};
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::connect{at(deaf)}).first);
  constexpr std::size_t many = 50;
  s.world.in(s.owner, [&](probe&) {
    for (std::size_t i = 0; i < many; ++i)
      s.it.send(std::to_string(i), 1);
  });
  s.world.settle();
  const auto taken = s.log->count("sent 1");
  REQUIRE(taken < many);
  time.advance(29s);
  s.world.settle();
  CHECK(deaf.receive().payload == "0"); // a step forward
  s.log->expect("sent 1", taken + 1);
  s.world.settle();
  time.advance(29s);
  s.world.settle();
  CHECK(s.log->count_like("sent 1: ") == 0);
  time.advance(1s);
  s.log->expect(with_cause("sent 1", errc::write_stalled), many - taken - 1);
  CHECK(s.info().queued_bytes == 0);
  for (std::size_t i = 1; i <= taken; ++i)
    CHECK(deaf.receive().payload == std::to_string(i));
  s.world.in(s.owner, [&](probe&) { s.it.send("again", 3); });
  CHECK(deaf.receive().payload == "again");
}

TEST_CASE("a Unix receiver that had room while the loop was held up is not given up", "[datagram]") {
  net::manual_clock time;
  datagram_socket_stage s{datagram_carrier::local, {}, &time};
  datagram_peer slow{s.over};
  const auto connected = GENERATE(false, true);
  CAPTURE(connected);
  if (connected)
    CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::connect{at(slow)}).first);
  constexpr std::size_t many = 15;
  s.world.in(s.owner, [&](probe&) {
    for (std::size_t i = 0; i < many; ++i)
      connected ? s.it.send("x", 1) : s.it.send_to(at(slow), "x", 1);
  });
  s.world.settle();
  REQUIRE(s.log->count("sent 1") < many);
  s.world.in(s.owner, [&](probe&) { // a turn that holds the loop up
    for (std::size_t left = s.log->count("sent 1"); left > 0; --left)
      slow.receive();
    time.advance(1min);
  });
  s.log->expect("sent 1", many);
}

TEST_CASE("what an owner sent is told to it, also when the socket has another one by then", "[datagram]") {
  datagram_socket_stage s{datagram_carrier::local};
  datagram_peer deaf{s.over}, other{s.over};
  const auto late_log = make_journal();
  const auto late = s.world.spawn(late_log);
  constexpr int many = 50;
  s.world.in(s.owner, [&](probe&) {
    for (int i = 0; i < many; ++i)
      s.it.send_to(at(deaf), std::to_string(i), 1);
  });
  s.world.settle();
  REQUIRE(s.log->count("sent 1") < many);
  s.world.in(s.owner, [&](probe&) {
    s.it.send_to(at(other), "hello", 2); // queued in the turn of the change
    s.it.set_owner(late);
  });
  s.world.in(late, [&](probe&) { s.it.send_to(at(other), "and from me", 3); });
  CHECK(other.receive().payload == "hello");
  CHECK(other.receive().payload == "and from me");
  for (int i = 0; i < many; ++i)
    CHECK(deaf.receive().payload == std::to_string(i));
  s.log->expect("sent 1", many);
  s.log->expect("sent 2");
  late_log->expect("sent 3");
  CHECK(s.log->count("sent 3") == 0);
  CHECK(late_log->count_like("sent") == 1);
}

TEST_CASE("close sends what is queued, then the socket is gone", "[datagram]") {
  datagram_socket_stage s;
  datagram_peer far{s.over};
  s.world.in(s.owner, [&](probe&) {
    for (int i = 1; i <= 20; ++i)
      s.it.send_to(at(far), std::to_string(i), static_cast<std::uint64_t>(i));
    s.it.close();
    s.it.send_to(at(far), "late", 99);
  });
  for (int i = 1; i <= 20; ++i)
    CHECK(far.receive().payload == std::to_string(i));
  s.log->expect("datagram closed requested");
  s.log->expect("sent 99: " + std::string{to_string(errc::closed)});
  CHECK(s.log->lines().back().starts_with("datagram closed") != (s.log->count("sent 20") == 0));
}

TEST_CASE("a drain gives up at its deadline what cannot be sent", "[datagram]") {
  net::manual_clock time;
  datagram_socket_stage s{datagram_carrier::local, {}, &time}; // UDP never waits
  const datagram_peer receiver{s.over};
  const auto to = at(receiver);
  s.world.in(s.owner, [&](probe&) {
    for (std::uint64_t i = 1; i <= 1'000; ++i)
      s.it.send_to(to, "x", i);
  });
  caf::anon_send(s.it.actor(), drain{5s});
  s.world.settle();
  time.advance(4s);
  s.world.settle();
  CHECK(s.log->count_like("datagram closed") == 0);
  time.advance(1s);
  s.log->expect_like("datagram closed requested");
  CHECK(s.log->count_like("sent ") == 1'000);
}

TEST_CASE("a datagram handler has its own socket, and its failure ends it", "[datagram]") {
  captured_log quiet;
  actor_world world;
  const auto log = make_journal(), handled = make_journal();
  const auto boss = world.spawn(log);
  const auto over = each_datagram_carrier();
  datagram_peer far{over};
  world.in(boss, [&](probe& self) {
    self.bind(fresh_address(over)).with<probe>(handled, [](probe& me, const std::string& line) {
      if (line == "datagram fail")
        throw std::runtime_error{"as ordered"};
      (void)me;
    });
  });
  handled->expect("bound");
  log->expect("bound");
  const auto there = world.address_of(boss);
  far.send_to(there, "hello");
  handled->expect("datagram hello");
  far.send_to(there, "fail");
  handled->expect("datagram fail");
  REQUIRE(eventually([&] { return world.system().registry().running() == 1; }));
}

TEST_CASE("a datagram handler that cannot be made fails the bind", "[datagram]") {
  class unmakeable final : public handler {
   public:
    unmakeable(caf::actor_config& cfg, datagram_socket s) : handler(cfg) {
      s.send_to(*net::endpoint::parse("udp://127.0.0.1:9"), "from the constructor");
      throw 42;
    }
    caf::behavior make_behavior() override { return {}; }
  };
  captured_log quiet;
  actor_world world;
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  const auto over = each_datagram_carrier();
  world.in(boss, [&](probe& self) { self.bind(fresh_address(over)).with<unmakeable>(); });
  log->expect_like("bind_failed");
}

TEST_CASE("a group is joined and left over UDP, and Unix has none", "[datagram]") {
  datagram_socket_stage s;
  const auto group = *net::ip_address::parse("239.255.7.7");
  const auto loopback = *net::ip_address::parse("127.0.0.1");
  const auto joined = s.world.ask<caf::ok_atom>(s.it, datagram::join_group{{group, loopback}});
  if (s.over == datagram_carrier::local) {
    CHECK(joined.second == errc::not_supported);
    return;
  }
  CHECK(joined.first);
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::join_group{{group, loopback}}).second); // it is in already
  CHECK(s.world.ask<caf::ok_atom>(s.it, datagram::leave_group{{group, loopback}}).first);
}
