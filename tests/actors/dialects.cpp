// One recorded trace of bytes, cut at every position, gives the same through messages, threads and coroutines.
#include "support/actor_world.hpp"

#include "actnet/actors/blocking/blocking.hpp"
#include "actnet/actors/coroutine/coroutine.hpp"

#include <functional>
#include <future>
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
void send_cut(peer& to, std::size_t at, const std::function<bool()>& first_was_read, const std::string& all = trace) {
  to.send_all(all.substr(0, at));
  REQUIRE(eventually(first_was_read));
  to.send_all(all.substr(at));
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

namespace {

const std::string frames = "\3one\0\5three\xac\x02"s + std::string(300, 'x') + "\1y";
const auto format = net::framing::varint(300);
const lines expected_frames{"one", "", "three", std::string(300, 'x'), "y", "the peer finished too early"};

lines frames_by_push(actor_world& world, carrier over, std::size_t at) {
  connected_pair pair{over};
  const auto got = std::make_shared<journal>();
  const auto log = make_journal();
  const auto who = world.spawn(log, [got](probe& self, const std::string& line) {
    if (line.starts_with("received"))
      got->add(std::exchange(self.received_text, {}));
  });
  const auto conn = world.adopt(pair, who);
  REQUIRE(world.ask<caf::ok_atom>(who, conn, stream::use_codec{format}).first);
  send_cut(
      pair.far, at, [&] { return world.info(conn).bytes_received >= at; }, frames);
  log->expect("peer_finished");
  auto all = got->lines();
  all.push_back(expected_frames.back());
  return all;
}

lines frames_by_blocking(actor_world& world, carrier over, std::size_t at) {
  listening_peer listener{over, {}};
  auto stream = blocking::stream_socket::connect(world.system(), listener.address()).get();
  auto far = listener.accept();
  stream.use_codec(format).get();
  lines got;
  std::thread reader{[&] {
    for (std::size_t i = 0; i < expected_frames.size(); ++i)
      got.push_back(said(stream.read_frame()));
  }};
  send_cut(
      far, at, [&] { return world.info(stream.as_connection()).bytes_received >= at; }, frames);
  reader.join();
  return got;
}

coroutine::task<> ask_for_frames(connection conn, journal_ptr log) {
  const auto whom = conn.actor();
  const stream::use_codec how{format};
  (co_await coroutine::request<void>(whom, how)).get();
  for (std::size_t i = 0; i < expected_frames.size(); ++i)
    log->add(said(co_await coroutine::request<net::bytes>(whom, stream::read_frame{})));
  log->add("end");
}

lines frames_by_messages(actor_world& world, carrier over, std::size_t at) {
  connected_pair pair{over};
  const auto log = make_journal();
  const auto conn = world.adopt(pair, world.spawn(make_journal()), demand_driven());
  coroutine::spawn_coroutine(world.loop(), ask_for_frames, conn, log);
  send_cut(
      pair.far, at, [&] { return world.info(conn).bytes_received >= at; }, frames);
  log->expect("end");
  auto all = log->lines();
  all.pop_back();
  return all;
}

coroutine::task<> read_frames(std::string where, journal_ptr log, std::function<void(connection)> opened) {
  auto stream = (co_await coroutine::stream_socket::connect(where)).get();
  opened(stream.as_connection());
  (co_await stream.use_codec(format)).get();
  for (std::size_t i = 0; i < expected_frames.size(); ++i)
    log->add(said(co_await stream.read_frame()));
  log->add("end");
}

lines frames_by_coroutine(actor_world& world, carrier over, std::size_t at) {
  listening_peer listener{over, {}};
  const auto log = make_journal();
  std::promise<connection> opened;
  const std::function<void(connection)> tell = [&](connection c) { opened.set_value(std::move(c)); };
  coroutine::spawn_coroutine(world.loop(), read_frames, listener.address(), log, tell);
  auto far = listener.accept();
  const auto conn = opened.get_future().get();
  send_cut(
      far, at, [&] { return world.info(conn).bytes_received >= at; }, frames);
  log->expect("end");
  auto all = log->lines();
  all.pop_back();
  return all;
}

} // namespace

TEST_CASE("one stream of frames, cut anywhere, is the same in every dialect") {
  const auto over = each_carrier();
  const said_carrier said_over{over};
  actor_world world;
  for (std::size_t at = 1; at < frames.size(); at += at < 15 || at > 305 ? 1 : 29) {
    INFO("cut at " << at);
    REQUIRE(frames_by_push(world, over, at) == expected_frames);
    REQUIRE(frames_by_messages(world, over, at) == expected_frames);
    REQUIRE(frames_by_blocking(world, over, at) == expected_frames);
    REQUIRE(frames_by_coroutine(world, over, at) == expected_frames);
  }
}
