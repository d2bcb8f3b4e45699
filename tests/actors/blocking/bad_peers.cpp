// Every form of read under peers that are silent, slow, talk nonsense, end too early or reset: the typed error, the
// partial bytes, the deadline, and nothing left behind.
#include "support/actor_world.hpp"

#include "actnet/actors/blocking/blocking.hpp"

#include <functional>
#include <thread>

using namespace actnet;
using namespace actnet::test;
using namespace actnet::blocking;

namespace {

using read_form = std::function<result<net::bytes>(stream_socket&, time_limit)>;

struct named_form {
  const char* name;
  read_form read;
  bool leaves;     ///< What has come stays when the stream ends.
  errc at_the_end; ///< After "some".
};

const std::vector<named_form> forms{
    {"read_exactly", [](stream_socket& s, time_limit t) { return s.read_exactly(100, t); }, false, errc::end_of_stream},
    {"read_until", [](stream_socket& s, time_limit t) { return s.read_until("--", 50, t); }, false,
     errc::end_of_stream},
    {"read_line", [](stream_socket& s, time_limit t) { return s.read_line(50, t); }, false, errc::end_of_stream},
    {"read_to_end", [](stream_socket& s, time_limit t) { return s.read_to_end(50, t); }, false, errc::none},
    {"read_quiet", [](stream_socket& s, time_limit t) { return s.read_quiet(1h, 100, t); }, false, errc::end_of_stream},
    {"peek", [](stream_socket& s, time_limit t) { return s.peek(100, t); }, true, errc::end_of_stream},
};

struct half_known {
  half_known(actor_world& world, carrier over) {
    listening_peer listener{over};
    near = stream_socket::connect(world.system(), listener.address()).get();
    far.emplace(listener.accept());
  }
  stream_socket near;
  std::optional<peer> far;
};

std::string what_came(const result<net::bytes>& got) {
  return std::string{got ? got->view() : partial_of(got.error()).view()};
}

} // namespace

TEST_CASE("a silent peer and a slow one: the read ends in time, and the bytes stay") {
  const auto over = each_carrier();
  const said_carrier said{over};
  actor_world world;
  for (const auto& form : forms) {
    INFO(form.name);
    half_known both{world, over};
    CHECK(code_of(form.read(both.near, 5ms)) == errc::timed_out); // silent
    std::thread slow{[&] {
      for (const char c : std::string{"slow"}) {
        both.far->send_all({&c, 1});
        std::this_thread::yield();
      }
    }};
    const auto late = form.read(both.near, 30ms);
    slow.join();
    CHECK(code_of(late) == errc::timed_out);
    CHECK(what_came(late) == "");
    CHECK(both.near.read_exactly(4).get().view() == "slow");
  }
}

TEST_CASE("a peer that ends or resets too early: the error with what had come") {
  const auto over = each_carrier();
  const said_carrier said{over};
  const auto resets = GENERATE(false, true);
  if (resets && over == carrier::local)
    return; // unix(7) has no reset that leaves what was sent
  actor_world world;
  for (const auto& form : forms) {
    INFO(form.name);
    half_known both{world, over};
    both.far->send_all("some");
    CHECK(both.near.peek(4).get().view() == "some");
    resets ? both.far->reset() : both.far->finish();
    const auto got = form.read(both.near, {});
    CHECK(code_of(got) == (resets ? errc::connection_reset : form.at_the_end));
    CHECK(what_came(got) == "some");
    const auto after = both.near.read(10);
    if (form.leaves)
      CHECK(what_came(after) == "some");
    else
      CHECK(code_of(after) == (resets ? errc::connection_reset : errc::none));
  }
}

TEST_CASE("a peer that sends garbage without end is read no further than the limit and one read") {
  const auto over = each_carrier();
  const said_carrier said{over};
  actor_world world;
  for (const auto& form : forms) {
    INFO(form.name);
    half_known both{world, over};
    std::atomic<bool> stop{false};
    std::thread garbage{[&] {
      const std::string junk(10'000, '\xff');
      try {
        while (!stop)
          both.far->send_some(std::as_bytes(std::span{junk}));
      } catch (const std::exception&) { // it was closed
      }
    }};
    const auto got = form.read(both.near, {});
    const auto ends_by_limit = std::string_view{form.name} == "read_until" ||
                               std::string_view{form.name} == "read_line" ||
                               std::string_view{form.name} == "read_to_end";
    CHECK(code_of(got) == (ends_by_limit ? errc::too_long : errc::none));
    CHECK(world.info(both.near.as_connection()).bytes_received <= 3 * net::block_pool::read_bytes);
    stop = true;
    garbage.join();
  }
}
