// The blocking dialect: what a program in it does, what ends its calls, and that nothing stays behind.
#include "support/actor_world.hpp"
#include "support/position_stream.hpp"
#include "support/quiet.hpp"
#include "support/scratch_folder.hpp"

#include "actnet/actors/blocking/blocking.hpp"
#include "actnet/actors/blocking/gudp.hpp"

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

using namespace actnet;
using namespace actnet::test;
using namespace actnet::blocking;

namespace {

std::string fresh(carrier over) {
  return fresh_address(over);
}

/// A server and a client of it.
struct blocking_pair {
  explicit blocking_pair(actor_world& world, carrier over = each_carrier()) : said(over) {
    listening = tcp_server::bind(world.system(), fresh(over)).get();
    near = stream_socket::connect(world.system(), listening.local_endpoint()).get();
    far = listening.accept().get();
  }

  said_carrier said;
  tcp_server listening;
  stream_socket near;
  stream_socket far;
};

std::string text(result<net::bytes> got) {
  if (!got)
    return "error: " + to_text(got.error());
  return std::string{got->view()};
}

} // namespace

TEST_CASE("a blocking server and client talk, and see each other's ends") {
  const auto loops = GENERATE(1u, 2u);
  actor_world world{loops};
  blocking_pair both{world};
  CHECK(both.near.write("Hello, world!").get() == 13);
  CHECK(text(both.far.read(5)) == "Hello");
  CHECK(text(both.far.read(32)) == ", world!");
  CHECK(both.far.print("line one").has_value());
  CHECK(both.far.write_all("line two\r\npart").has_value());
  CHECK(text(both.near.read_line()) == "line one");
  CHECK(text(both.near.peek(4)) == "line");
  CHECK(text(both.near.read_until("\r\n")) == "line two\r\n");
  CHECK(both.far.finish().has_value());
  CHECK(text(both.near.read_to_end(100)) == "part");
  CHECK(text(both.near.read(10)) == "");
  CHECK(code_of(both.near.read_exactly(1)) == errc::end_of_stream);
  CHECK(both.near.write("the other half goes on").has_value());
  CHECK(both.near.flush().has_value());
  CHECK(both.near.close().has_value());
  CHECK(text(both.far.read_exactly(22)) == "the other half goes on");
  CHECK(text(both.far.read(10)) == "");
  CHECK(eventually([&] { return both.near.is_closed() && both.far.is_closed(); }));
  CHECK(code_of(both.near.read(1)) == errc::closed);
  CHECK(code_of(both.near.write("x")) == errc::closed);
}

TEST_CASE("whatever is asked of a stream that was moved away is answered by closed") {
  actor_world world;
  blocking_pair both{world};
  const auto moved_to = std::move(both.near);
  CHECK(code_of(both.near.read(1)) == errc::closed);
  CHECK(code_of(both.near.write("x")) == errc::closed);
  CHECK(code_of(both.near.close()) == errc::closed);
  CHECK(both.near.is_closed());
}

TEST_CASE("both sides know where they are") {
  actor_world world;
  blocking_pair both{world, carrier::tcp};
  CHECK(both.far.peer_endpoint() == both.near.local_endpoint());
  CHECK(both.near.peer_endpoint() == both.listening.local_endpoint());
  CHECK(both.far.local_endpoint() == both.listening.local_endpoint());
}

TEST_CASE("one thread reads and another writes the same stream") {
  actor_world world{2};
  blocking_pair both{world};
  constexpr std::size_t size = 20'000'000;
  std::thread echo{[mine = both.far.try_clone()]() mutable {
    for (;;) {
      auto some = mine.read(50'000);
      if (!some || some->empty())
        break;
      if (!mine.write(*some))
        break;
    }
    (void)mine.finish();
  }};
  std::thread writer{[mine = both.near.try_clone()]() mutable {
    const position_stream data{7};
    for (std::size_t sent = 0; sent < size; sent += 100'000) {
      const auto part = data.bytes(100'000, sent);
      if (!mine.write(net::bytes::copy(part.data(), part.size())))
        break;
    }
    (void)mine.finish();
  }};
  position_checker check{7};
  std::size_t got = 0;
  for (;;) {
    auto some = both.near.read(65'536);
    if (!some || some->empty())
      break;
    check.feed({some->data(), some->size()});
    got += some->size();
  }
  writer.join();
  echo.join();
  CHECK(got == size);
  CHECK_FALSE(check.first_difference());
}

TEST_CASE("a call that meets its deadline leaves the bytes, and the stream goes on") {
  actor_world world;
  blocking_pair both{world};
  (void)both.far.write("abc");
  auto late = both.near.read_exactly(5, 20ms);
  CHECK(code_of(late) == errc::timed_out);
  CHECK(text(both.near.read_exactly(3, 0ms)) == "abc"); // what is there is never too late
  both.near.timeout_after(20ms);
  CHECK(code_of(both.near.read(1)) == errc::timed_out);
  CHECK(code_of(both.near.read_line()) == errc::timed_out); // the same point in time
  CHECK(both.near.write("x").has_value());                  // need not wait
  both.near.reset_deadline();
  (void)both.far.write("d");
  CHECK(text(both.near.read(1)) == "d");
  both.near.set_read_deadline(net::time_point{});
  CHECK(text(both.far.read(1)) == "x");
  CHECK(code_of(both.near.read(1)) == errc::timed_out);
  (void)both.far.write("e");
  CHECK(text(both.near.read(1, time_limit::never())) == "e");
}

TEST_CASE("a write that meets its deadline says how much went, and leaves nothing queued") {
  actor_world world;
  blocking_pair both{world};
  const std::string much(30'000'000, 'x');
  auto late = both.near.write(much, 50ms);
  REQUIRE(!late);
  CHECK(code_of(late) == errc::timed_out);
  const auto went = bytes_of(late.error());
  CHECK(went < much.size());
  std::thread reader{[&, mine = both.far.try_clone()]() mutable { (void)mine.read_exactly(went); }};
  reader.join();
  CHECK(both.near.write("next").has_value());
  CHECK(text(both.far.read_exactly(4)) == "next");
}

TEST_CASE("accept waits, meets its deadline, and is interrupted for good by a stop handle") {
  actor_world world;
  auto listening = tcp_server::bind(world.system(), fresh(each_carrier())).get();
  CHECK(code_of(listening.accept(20ms)) == errc::timed_out);
  const auto stop = listening.stopper();
  std::thread stopper{[&] { stop.stop(); }};
  CHECK(code_of(listening.accept()) == errc::interrupted);
  stopper.join();
  stop.stop();
  CHECK(code_of(listening.accept()) == errc::interrupted);
}

TEST_CASE("connections that nobody accepted wait, and are closed with the server") {
  actor_world world;
  const auto over = each_carrier();
  auto listening = tcp_server::bind(world.system(), fresh(over)).get();
  std::vector<stream_socket> clients;
  for (int i = 0; i < 5; ++i)
    clients.push_back(stream_socket::connect(world.system(), listening.local_endpoint()).get());
  auto first = listening.accept().get();
  (void)clients.front().write("x");
  CHECK(text(first.read(1)) == "x");
  CHECK(listening.close().has_value());
  CHECK(code_of(listening.accept()) == errc::closed);
  for (std::size_t i = 1; i < clients.size(); ++i)
    CHECK((text(clients[i].read(1)) == "" || clients[i].is_closed()));
  CHECK(first.write("still here").has_value()); // its own life
  CHECK(text(clients.front().read_exactly(10)) == "still here");
  CHECK(code_of(stream_socket::connect(world.system(), listening.local_endpoint())) == errc::connection_refused);
}

TEST_CASE("to bind and to connect say what is wrong") {
  actor_world world;
  auto listening = tcp_server::bind(world.system(), "127.0.0.1:0").get();
  CHECK(code_of(tcp_server::bind(world.system(), listening.local_endpoint())) == errc::address_in_use);
  CHECK(code_of(tcp_server::bind(world.system(), "nonsense")) == errc::invalid_endpoint);
  CHECK(code_of(unix_client::connect(world.system(), "/no/such/path")) == errc::no_such_path);
  CHECK_THROWS_AS(tcp_client::connect(world.system(), "127.0.0.1:99999").get(), operation_failed);
}

TEST_CASE("a connect that waits is called off") {
  actor_world world;
  listening_peer full{carrier::local, {}, 0};
  const auto path = full.address();
  std::vector<stream_socket> filled;
  for (;;) {
    auto one = stream_socket::connect(world.system(), path, 50ms);
    if (!one) {
      CHECK(code_of(one) == errc::timed_out);
      break;
    }
    filled.push_back(std::move(one).get());
  }
  std::stop_source source;
  std::thread caller{[&] { source.request_stop(); }};
  CHECK(code_of(stream_socket::connect(world.system(), path, time_limit::never(), source.get_token())) ==
        errc::cancelled);
  caller.join();
  CHECK(code_of(stream_socket::connect(world.system(), path, time_limit::never(), source.get_token())) ==
        errc::cancelled);
}

TEST_CASE("a stream that is dropped while a thread waits in it ends that call") {
  actor_world world;
  blocking_pair both{world};
  auto mine = std::make_unique<stream_socket>(std::move(both.near));
  const auto watched = mine->as_connection();
  errc ended{};
  std::thread reader{[&] { ended = code_of(mine->read_exactly(3)); }};
  (void)both.far.write("x");
  world.await_read(watched, 1);
  (void)both.far.write("y");
  world.await_read(watched, 2); // it was read for somebody: one read ahead is all there is without
  mine.reset();
  reader.join();
  CHECK(ended == errc::closed);
}

TEST_CASE("on the thread of a loop every call says that it would block it") {
  actor_world world;
  blocking_pair both{world};
  const auto who = world.spawn(make_journal());
  world.in(who, [&](probe&) {
    CHECK(code_of(both.near.read(1)) == errc::would_block_the_loop);
    CHECK(code_of(both.near.write("x")) == errc::would_block_the_loop);
    CHECK(code_of(both.listening.accept()) == errc::would_block_the_loop);
    CHECK(code_of(tcp_server::bind(world.system(), "127.0.0.1:0")) == errc::would_block_the_loop);
  });
}

TEST_CASE("a file is sent") {
  actor_world world;
  blocking_pair both{world};
  const scratch_folder folder;
  const auto path = folder / "file";
  std::ofstream{path} << "the file's content";
  CHECK(both.near.send_file(path, 4, 6).get() == 6);
  CHECK(text(both.far.read_exactly(6)) == "file's");
  CHECK(code_of(both.near.send_file(path + "x")) == errc::no_such_path);
}

TEST_CASE("the system may end while calls wait") {
  actor_world world;
  auto both = std::make_unique<blocking_pair>(world);
  errc read{}, accepted{};
  std::atomic<pid_t> reads{0}, accepts{0};
  std::thread reader{[&] {
    reads = ::gettid();
    read = code_of(both->near.read(1));
  }};
  std::thread acceptor{[&] {
    accepts = ::gettid();
    accepted = code_of(both->listening.accept());
  }};
  REQUIRE(eventually([&] { return reads != 0 && is_asleep(reads) && accepts != 0 && is_asleep(accepts); }));
  world.shut_down();
  reader.join();
  acceptor.join();
  CHECK((read == errc::shutting_down || read == errc::closed));
  CHECK((accepted == errc::shutting_down || accepted == errc::closed));
}

namespace {

/// A question that is not answered before `give_answer`.
struct keep {};
struct give_answer {};

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(keep)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(give_answer)

TEST_CASE("to connect, to listen and to bind on a loop that is stopping fails at once") {
  actor_world world;
  auto& system = world.system();
  auto& home = world.loop();
  const auto keeper = spawn_function(system, [](caf::event_based_actor* self) -> caf::behavior {
    auto kept = std::make_shared<caf::response_promise>();
    return {[=](keep) {
              *kept = self->make_response_promise();
              return *kept;
            },
            [=](give_answer) {
              kept->deliver(caf::ok_atom_v);
              self->quit();
            }};
  });
  // An actor that awaits an answer holds the loop up in its end.
  caf::anon_send(world.spawn(make_journal()), perform{[keeper](probe& self) {
                   self.request(keeper, caf::infinite, keep{}).await([](caf::ok_atom) {}, [](const caf::error&) {});
                 }});
  world.settle();
  std::vector<errc> outcomes;
  std::thread user{[&] {
    eventually([&] {
      std::promise<bool> stops;
      const auto ask = [](void* host, void* answer) noexcept {
        static_cast<std::promise<bool>*>(answer)->set_value(static_cast<loop_host*>(host)->is_stopping());
      };
      return !home.loop().post(ask, &home, &stops) || stops.get_future().get();
    });
    for (int i = 0; i < 20; ++i) { // each in the memory of the one before
      outcomes.push_back(code_of(stream_socket::connect(system, "127.0.0.1:1").error()));
      outcomes.push_back(code_of(tcp_server::bind(system, "127.0.0.1:0").error()));
      outcomes.push_back(code_of(udp_socket::bind(system, "127.0.0.1:0").error()));
    }
    caf::anon_send(keeper, give_answer{});
  }};
  world.shut_down();
  user.join();
  CHECK(outcomes == std::vector<errc>(60, errc::shutting_down));
}

TEST_CASE("datagrams: connect, write and read, send_to and receive_from") {
  const auto over = each_datagram_carrier();
  const said_carrier said{over};
  actor_world world;
  const auto address = [&] { return fresh_address(over); };
  auto one = udp_socket::bind(world.system(), address()).get();
  auto other = udp_socket::bind(world.system(), address()).get();
  CHECK(one.connect(other.local_endpoint()).has_value());
  CHECK(one.write("Hello, world!").has_value());
  auto got = other.receive_from(5).get();
  CHECK(got.payload.view() == "Hello");
  CHECK(got.truncated);
  CHECK(got.from == one.local_endpoint());
  CHECK(other.send_to("back", got.from).has_value());
  CHECK(other.send_to("", got.from).has_value());
  CHECK(text(one.read(32)) == "back");
  CHECK(text(one.read(32)) == "");
  CHECK(code_of(one.read(32, 20ms)) == errc::timed_out);
  CHECK(code_of(one.write(std::string(300'000, 'x'))) == errc::message_too_large);
  CHECK(one.close().has_value());
  CHECK(code_of(one.read(32)) == errc::closed);
  CHECK(code_of(one.write("x")) == errc::closed);
  CHECK(code_of(udp_socket::bind(world.system(), other.local_endpoint())) == errc::address_in_use);
}

TEST_CASE("a socket on all addresses answers from the one that was asked") {
  actor_world world;
  auto server = udp_socket::bind(world.system(), "0.0.0.0:0").get();
  const auto asked = net::endpoint::udp(net::ip_address::v4(127, 0, 0, 2), server.local_endpoint().port());
  auto client = udp_socket::bind(world.system(), "127.0.0.1:0").get();
  CHECK(client.connect(asked).has_value()); // and hears nobody else
  CHECK(client.write("question").has_value());
  const auto got = server.receive_from().get();
  CHECK(got.to == asked);
  CHECK(server.send_to("answer", got.from).has_value());
  CHECK(server.send_file(ACTNET_SOURCE_DIR "/.clang-format", got.from).has_value());
  CHECK(text(client.read(32, 10s)) == "answer");
  CHECK(client.read(4'096, 10s).get().size() > 0);

  gudp::server conversation{world.system()};
  REQUIRE(conversation.listen("0.0.0.0:0").has_value());
  const auto there = net::endpoint::udp(asked.ip(), static_cast<std::uint16_t>(conversation.listened_port()));
  std::thread serving{[&] {
    (void)conversation.run([](gudp::conn& peers) {
      if (auto some = peers.recv())
        (void)peers.send_to(some->payload, some->from);
    });
  }};
  CHECK(text(gudp::send_recv_with_timeout(world.system(), there, "by gudp", 1'024, 10s)) == "by gudp");
  conversation.stop();
  serving.join();
}
