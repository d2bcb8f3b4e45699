// The same readers and writers, limits and copies in coroutines.
#include "support/actor_world.hpp"

#include "actnet/actors/coroutine/buffered.hpp"

using namespace actnet;
using namespace actnet::test;
using namespace actnet::coroutine;

namespace {

std::string text(const result<std::optional<net::bytes>>& got) {
  if (!got)
    return to_text(got.error());
  return *got ? std::string{(*got)->view()} : "nothing";
}

task<> use_all(std::string address, std::size_t capacity, journal_ptr log) {
  auto listening = (co_await tcp_server::bind(address)).get();
  auto near = (co_await stream_socket::connect(listening.local_endpoint())).get();
  auto far = (co_await listening.accept()).get();
  {
    buffered_writer<> writer{near, 4};
    (void)co_await writer.write("ab");
    (void)co_await writer.write("c\nsecond\n");
    (void)co_await writer.write("sk");
    log->add(std::to_string(writer.buffered()) + " " + std::to_string(writer.available()));
  }
  (void)co_await near.write("ip;rest");
  (void)co_await near.finish();
  buffered_reader<> reader{far, capacity};
  const auto first = (co_await reader.read_byte()).get();
  log->add(std::string(1, static_cast<char>(first.value())));
  log->add(text(co_await reader.read_line()));
  log->add(text(co_await reader.read_until(std::byte{'d'})));
  const auto skipped = (co_await reader.skip_until(std::byte{';'})).get();
  log->add(std::to_string(skipped));
  const auto some = (co_await reader.peek_first(9)).get();
  log->add(std::string{some.view()});
  auto part = limit(reader, 2);
  const auto copied = (co_await coroutine::copy(part, far)).get();
  log->add(std::to_string(copied));
  log->add(text(co_await reader.read_line()));
  log->add(text(co_await reader.read_line()));
  const auto back = (co_await near.read_exactly(2)).get();
  log->add(std::string{back.view()});
  log->add("end");
}

} // namespace

TEST_CASE("buffered readers and writers, limits and copies work in coroutines as they do in threads") {
  const auto capacity = GENERATE(1u, 8192u);
  actor_world world;
  const auto log = make_journal();
  world.owned(spawn_coroutine(world.loop(), use_all, fresh_address(each_carrier()), capacity, log));
  log->expect("end");
  CHECK(log->lines() ==
        std::vector<std::string>{"2 2", "a", "bc", "second", "6", "rest", "2", "st", "nothing", "re", "end"});
}
