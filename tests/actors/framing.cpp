// Frames on connections: delivered one by one, written one by one, changed in mid-stream, and what breaks them.
#include "support/actor_world.hpp"
#include "support/position_stream.hpp"

#include "actnet/actors/blocking/blocking.hpp"

#include <thread>

using namespace actnet;
using namespace actnet::test;
using namespace std::string_literals;
using net::framing;

namespace {

struct framed_world {
  explicit framed_world(connection_options options = {}, std::size_t loops = 1)
      : world(loops), pair(each_carrier()), log(make_journal()) {
    options.allow_half_open = true;
    who = world.spawn(log);
    conn = world.adopt(pair, who, options);
  }

  void use(std::optional<framing> how) {
    CHECK(world.ask<caf::ok_atom>(who, conn, stream::use_codec{std::move(how)}).first);
  }
  void write(const std::string& text, std::uint64_t token = 0) {
    world.in(who, [&](probe&) { conn.write(text, token); });
  }

  actor_world world;
  connected_pair pair;
  journal_ptr log;
  caf::actor who;
  connection conn;
};

} // namespace

TEST_CASE("with a codec each event is a frame, and each write one") {
  framed_world w;
  w.use(framing::package());
  w.pair.far.send_all("\0\3one\0\0\0\5th"s);
  w.log->expect("received one");
  w.log->expect("received ");
  w.pair.far.send_all("ree");
  w.log->expect("received three");
  w.write("abc", 1);
  w.write("");
  CHECK(w.pair.far.read_exactly(7) == "\0\3abc\0\0"s);
  w.log->expect("written 1 5"); // what goes over the wire
  w.pair.far.finish();
  w.log->expect("peer_finished");
}

TEST_CASE("codecs change in mid-stream, and what was read already carries over") {
  framed_world w;
  w.pair.far.send_all("raw");
  w.log->expect("received raw");
  CHECK(w.world.ask<caf::ok_atom>(w.who, w.conn, stream::pause_reading{}).first);
  w.pair.far.send_all("line\n\3bin--rest"s);
  w.use(framing::line());
  // With the first frame the format changes, before the next is delivered.
  w.world.in(w.who, [&](probe& self) {
    self.become(caf::message_handler{[&, me = &self](const stream::received& r) {
                  me->note("received " + std::string{r.payload.view()});
                  if (r.payload.view() == "line")
                    w.conn.use_codec(framing::length_prefix({.width = 1}));
                  if (r.payload.view() == "bin")
                    w.conn.use_codec(std::nullopt);
                }}.or_else(self.everything()));
    w.conn.resume_reading();
  });
  w.log->expect("received --rest");
  CHECK(w.log->lines() == std::vector<std::string>{"received raw", "received line", "received bin", "received --rest"});
}

TEST_CASE("a broken frame closes the connection with its cause, after what was written") {
  const auto [text, cause] =
      GENERATE(std::pair{"\xff\xff"s, errc::too_long}, std::pair{"\0\5abc"s, errc::end_of_stream});
  framed_world w;
  w.use(framing::package(2, 100));
  w.write("answer");
  w.pair.far.send_all("\0\3one"s + text);
  w.log->expect("received one");
  w.pair.far.finish();
  CHECK(w.pair.far.read_to_end() == "\0\6answer"s);
  w.log->expect(with_cause("closed error", cause));
}

TEST_CASE("what cannot be a frame is refused, and nothing of it is sent") {
  framed_world w;
  w.use(framing::line(5));
  w.write("123456", 1);
  w.write("a\nb", 2);
  w.world.in(w.who, [&](probe&) { w.conn.write_file("/dev/null", 0, 0, 3); });
  w.write("12345", 4);
  w.log->expect("written 4 6");
  w.log->expect(with_cause("written 1 0", errc::message_too_large));
  w.log->expect(with_cause("written 2 0", errc::invalid_argument));
  w.log->expect(with_cause("written 3 0", errc::not_supported));
  w.conn.close();
  CHECK(w.pair.far.read_to_end() == "12345\n");
}

TEST_CASE("frames larger than the credit complete, and credit is what stops the next ones") {
  connection_options options;
  options.read_credit_bytes = 4096;
  framed_world w{options};
  w.use(framing::package(4));
  const auto size = std::size_t{1'000'000};
  w.world.in(w.who, [](probe& self) { self.keeps = true; });
  std::string frames;
  for (int i = 0; i < 3; ++i)
    frames += "\0\x0f\x42\x40"s + std::string(size, static_cast<char>('a' + i));
  std::thread sender{[&] { w.pair.far.send_all(frames); }};
  w.log->expect("received 1000000 bytes");
  w.world.settle();
  CHECK(w.log->count("received 1000000 bytes") == 1); // held by its receiver
  w.world.in(w.who, [](probe& self) {
    CHECK(self.kept.at(0).view() == std::string(1'000'000, 'a'));
    self.keeps = false;
    self.kept.clear();
  });
  w.log->expect("received 1000000 bytes", 3);
  sender.join();
}

TEST_CASE("a paused connection delivers no frame, and the end waits behind them") {
  framed_world w;
  w.use(framing::line());
  CHECK(w.world.ask<caf::ok_atom>(w.who, w.conn, stream::pause_reading{}).first);
  w.pair.far.send_all("one\ntwo\n");
  w.pair.far.finish();
  w.world.settle();
  CHECK(w.log->count_like("received") == 0);
  w.conn.resume_reading();
  w.log->expect("peer_finished");
  CHECK(w.log->lines() == std::vector<std::string>{"received one", "received two", "peer_finished"});
}

TEST_CASE("frames are read one by one in the sequential dialects") {
  actor_world world;
  const auto over = each_carrier();
  auto listening = blocking::tcp_server::bind(world.system(), fresh_address(over)).get();
  auto near = blocking::stream_socket::connect(world.system(), listening.local_endpoint()).get();
  auto far = listening.accept().get();
  for (auto each : {&near, &far})
    CHECK(each->use_codec(framing::varint(1000)).has_value());
  CHECK(near.write("one").get() == 4);
  CHECK(near.write("").get() == 1);
  CHECK(near.flush().get() == 0);
  CHECK(near.write(std::string(1000, 'x')).get() == 1002);
  CHECK(code_of(near.write(std::string(1001, 'x'))) == errc::message_too_large);
  CHECK(far.read_frame().get().view() == "one");
  CHECK(far.read_frame().get().empty());
  CHECK(far.read_frame().get().size() == 1000);
  CHECK(code_of(far.read_frame(5ms)) == errc::timed_out);
  CHECK(near.use_codec(std::nullopt).has_value());
  CHECK(near.write("\3ab").get() == 3);
  CHECK(near.finish().has_value());
  const auto cut_off = far.read_frame();
  CHECK(code_of(cut_off) == errc::end_of_stream);
  CHECK(partial_of(cut_off.error()).view() == "\3ab");
}
