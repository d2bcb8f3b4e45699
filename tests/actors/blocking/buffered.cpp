// Readers and writers with a buffer, limits and copies, in the blocking dialect.
#include "support/actor_world.hpp"

#include "actnet/actors/blocking/buffered.hpp"

#include <thread>

using namespace actnet;
using namespace actnet::test;
using namespace actnet::blocking;

namespace {

struct buffered_pair {
  explicit buffered_pair(actor_world& world) {
    auto listening = tcp_server::bind(world.system(), fresh_address(each_carrier())).get();
    near = stream_socket::connect(world.system(), listening.local_endpoint()).get();
    far = listening.accept().get();
  }
  stream_socket near;
  stream_socket far;
};

std::string shown(const std::optional<net::bytes>& got) {
  return got ? std::string{got->view()} : "nothing";
}

} // namespace

TEST_CASE("a buffered reader has what std.io and Navi's BufRead have, whatever its capacity") {
  const auto capacity = GENERATE(1u, 3u, 8192u);
  actor_world world;
  buffered_pair both{world};
  buffered_reader<> reader{both.far, capacity};
  (void)both.near.write("abc\r\nsecond\n\nskip;me;a-rest");
  (void)both.near.finish();
  CHECK(reader.peek().get() == std::byte{'a'});
  CHECK(reader.read_byte().get() == std::byte{'a'});
  CHECK(reader.peek_first(3).get().view() == "bc\r");
  CHECK(shown(reader.read_line().get()) == "bc\r");
  CHECK(shown(reader.read_until(std::byte{'\n'}).get()) == "second\n");
  CHECK(shown(reader.read_line().get()) == "");
  CHECK(reader.skip_until(std::byte{';'}).get() == 5);
  CHECK(code_of(reader.read_until(std::byte{';'}, 1)) == errc::too_long);
  CHECK(shown(reader.read_until(std::byte{';'}, 2).get()) == "me;");
  const auto seen = reader.fill_buf().get();
  CHECK(seen.view().substr(0, 1) == "a");
  reader.consume(1);
  CHECK(reader.read(1).get().view() == "-");
  CHECK(shown(reader.read_line().get()) == "rest");
  CHECK(shown(reader.read_line().get()) == "nothing");
  CHECK(reader.peek_first(2).get().empty());
  CHECK_FALSE(reader.read_byte().get());
  CHECK(reader.fill_buf().get().empty());
  CHECK(reader.skip_until(std::byte{';'}).get() == 0);
}

TEST_CASE("a buffered writer gathers, and lets go when it is full, flushed or destroyed") {
  actor_world world;
  buffered_pair both{world};
  {
    buffered_writer<> writer{both.near, 10};
    CHECK(writer.write("12345").get() == 5);
    CHECK(writer.available() == 5);
    CHECK(writer.buffered() == 5);
    CHECK(code_of(both.far.read(10, 20ms)) == errc::timed_out);
    CHECK(writer.write("67890+").get() == 6);
    CHECK(both.far.read_exactly(11).get().view() == "1234567890+");
    CHECK(writer.write("a").get() == 1);
    CHECK(writer.flush().has_value());
    CHECK(both.far.read_exactly(1).get().view() == "a");
    CHECK(writer.write("last").get() == 4);
  }
  CHECK(both.far.read_exactly(4).get().view() == "last");
  (void)both.near.close();
  buffered_writer<> broken{both.near};
  CHECK(broken.write("x").has_value());
  CHECK(code_of(broken.flush()) == errc::closed);
}

TEST_CASE("what is limited ends there, and copying takes all of it") {
  actor_world world;
  buffered_pair one{world};
  auto listening = tcp_server::bind(world.system(), "127.0.0.1:0").get();
  auto target = stream_socket::connect(world.system(), listening.local_endpoint()).get();
  auto sink = listening.accept().get();
  std::thread source{[&] {
    for (int i = 0; i < 100; ++i)
      (void)one.near.write(std::string(10'000, 'x'));
    (void)one.near.finish();
  }};
  auto part = limit(one.far, 300'000);
  std::thread reader{[&] { CHECK(sink.read_to_end(2'000'000).get().size() == 1'000'000); }};
  CHECK(copy(part, target).get() == 300'000);
  CHECK(part.left() == 0);
  CHECK(part.read(10).get().empty());
  CHECK(copy(one.far, target).get() == 700'000);
  (void)target.finish();
  source.join();
  reader.join();
}
