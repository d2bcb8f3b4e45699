// One recorded trace of bytes, cut at every position, gives the same through messages, threads and coroutines.
#include "support/actor_world.hpp"

#include "actnet/actors/blocking/blocking.hpp"
#include "actnet/actors/coroutine/coroutine.hpp"

#include <functional>
#include <thread>

using namespace actnet;
using namespace std::string_literals;
using namespace actnet::test;

namespace {

using lines = std::vector<std::string>;

/// What is read, in this order; a push dialect has it all in one.
const std::string trace = "line\r\nafter--fixed\0zero\n\nrest"s;

const lines expected{"line\r", "after--", "fixed", "\0zero"s, "", "re", "st", "end"};

std::string said(const net::bytes& got) {
  return std::string{got.view()};
}
template <class T>
std::string said(const result<T>& got) {
  return got ? said(*got) : to_text(got.error());
}

/// In two parts: the second goes when the first has been read.
void send_cut(peer& to, std::size_t at, const std::function<bool()>& first_was_read) {
  to.send_all(trace.substr(0, at));
  REQUIRE(eventually(first_was_read));
  to.send_all(trace.substr(at));
  to.finish();
}

connection_options demand_driven() {
  return sequential::on_demand({});
}

lines by_blocking(actor_world& world, carrier over, std::size_t at) {
  listening_peer listener{over, {}};
  auto stream = blocking::stream_socket::connect(world.system(), listener.address()).get();
  auto far = listener.accept();
  lines got;
  std::thread reader{[&] {
    got.push_back(said(stream.read_line()));
    got.push_back(said(stream.read_until("--")));
    got.push_back(said(stream.read_exactly(5)));
    got.push_back(said(stream.read_line()));
    got.push_back(said(stream.read_line()));
    got.push_back(said(stream.read_exactly(2)));
    got.push_back(said(stream.read_to_end(100)));
    const auto last = stream.read(10).get();
    got.push_back(last.empty() ? "end" : said(last));
  }};
  send_cut(far, at, [&] { return world.info(stream.as_connection()).bytes_received >= at; });
  reader.join();
  return got;
}

coroutine::task<> read_all(coroutine::stream_socket stream, journal_ptr log) {
  log->add(said(co_await stream.read_line()));
  log->add(said(co_await stream.read_until("--")));
  log->add(said(co_await stream.read_exactly(5)));
  log->add(said(co_await stream.read_line()));
  log->add(said(co_await stream.read_line()));
  log->add(said(co_await stream.read_exactly(2)));
  log->add(said(co_await stream.read_to_end(100)));
  const auto last = (co_await stream.read(10)).get();
  log->add(last.empty() ? "end" : said(last));
}

lines by_coroutine(actor_world& world, carrier over, std::size_t at) {
  const auto log = make_journal();
  connected_pair pair{over};
  const auto boss = world.spawn(log);
  connection conn;
  auto adopted = net::stream_socket::adopt(pair.near.fd());
  REQUIRE(adopted);
  (void)pair.near.release();
  world.in(boss, [&](probe& self) {
    auto& home = *self.home();
    auto made = connection_actor::make(home, {std::move(*adopted), {}, demand_driven(), nullptr});
    auto& born = static_cast<connection_actor&>(*made->get());
    conn = connection{born};
    auto held = sequential::stream_owner::make(home, conn);
    born.born_to(held->pointer());
    born.start();
    coroutine::spawn_coroutine(home, read_all, coroutine::stream_socket{std::move(held)}, log);
  });
  send_cut(pair.far, at, [&] { return world.info(conn).bytes_received >= at; });
  log->expect("end");
  return log->lines();
}

coroutine::task<> ask_all(connection conn, journal_ptr log) {
  const auto whom = conn.actor();
  log->add(said(co_await coroutine::request<net::bytes>(whom, stream::read_line{})));
  const stream::read_until up_to_dashes{net::bytes::copy("--")};
  log->add(said(co_await coroutine::request<net::bytes>(whom, up_to_dashes)));
  log->add(said(co_await coroutine::request<net::bytes>(whom, stream::read_exactly{5})));
  log->add(said(co_await coroutine::request<net::bytes>(whom, stream::read_line{})));
  log->add(said(co_await coroutine::request<net::bytes>(whom, stream::read_line{})));
  log->add(said(co_await coroutine::request<net::bytes>(whom, stream::read_exactly{2})));
  log->add(said(co_await coroutine::request<net::bytes>(whom, stream::read_to_end{})));
  const auto last = (co_await coroutine::request<net::bytes>(whom, stream::read_some{})).get();
  log->add(last.empty() ? "end" : said(last));
}

/// Asked by an actor, in messages.
lines by_messages(actor_world& world, carrier over, std::size_t at) {
  connected_pair pair{over};
  const auto log = make_journal();
  const auto conn = world.adopt(pair, world.spawn(make_journal()), demand_driven());
  coroutine::spawn_coroutine(world.loop(), ask_all, conn, log);
  send_cut(pair.far, at, [&] { return world.info(conn).bytes_received >= at; });
  log->expect("end");
  return log->lines();
}

/// By push: delivered, and read by the receiver itself.
lines by_push(actor_world& world, carrier over, std::size_t at) {
  connected_pair pair{over};
  const auto log = make_journal();
  const auto who = world.spawn(log);
  const auto conn = world.adopt(pair, who);
  send_cut(pair.far, at, [&] { return world.info(conn).bytes_received >= at; });
  log->expect("peer_finished");
  return {world.of(who, [](probe& self) { return self.received_text; })};
}

} // namespace

TEST_CASE("one trace of bytes, cut anywhere, is the same in every dialect") {
  const auto over = each_carrier();
  const said_carrier said_over{over};
  actor_world world;
  for (std::size_t at = 1; at < trace.size(); ++at) {
    INFO("cut at " << at);
    REQUIRE(by_push(world, over, at) == lines{trace});
    REQUIRE(by_messages(world, over, at) == expected);
    REQUIRE(by_blocking(world, over, at) == expected);
    REQUIRE(by_coroutine(world, over, at) == expected);
  }
}
