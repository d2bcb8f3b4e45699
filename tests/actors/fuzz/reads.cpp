// Random reads of a coroutine from two streams, many of them called off by a time or by the other stream's bytes, cut
// by a peer that sends random pieces: all bytes come in order, once.
#include "support/fuzzing.hpp"
#include "support/position_stream.hpp"

#include "actnet/actors/coroutine/coroutine.hpp"

using namespace actnet;
using namespace actnet::test;
using coroutine::task;
using coroutine::when_any;

namespace {

/// One stream of a reading coroutine, and what must come next.
struct read_side {
  coroutine::stream_socket stream;
  position_checker expected{0};
  net::framing codec = net::framing::line();
  bool ended = false;
};

/// A reading coroutine and the test look at it in turns: first the one, and the other once `done`.
struct reading {
  explicit reading(unsigned seed) : by(seed) {}

  chance by;
  read_side sides[2];
  journal story;
  std::string wrong;
  std::atomic<bool> done{false};

  net::duration soon() { return std::chrono::microseconds{by.below(1'500)}; }
};

enum class takes { all, nothing, all_and_a_line_feed };

void account(reading& r, read_side& side, const net::bytes& got, takes what) {
  auto expected = side.expected;
  expected.feed(got.view());
  if (what == takes::all_and_a_line_feed)
    expected.feed("\n");
  if (expected.first_difference() && r.wrong.empty())
    r.wrong = "not the byte of its place at " + std::to_string(*expected.first_difference());
  if (what != takes::nothing)
    side.expected = expected;
}

/// What a read came to.
void account(reading& r, read_side& side, const result<net::bytes>& got, takes what = takes::all) {
  r.story.add(std::to_string(&side - r.sides) +
              (got ? " = " + std::to_string(got->size()) : ": " + to_text(got.error())));
  if (got) {
    account(r, side, *got, what);
    side.ended = side.ended || (what == takes::all && got->empty());
    return;
  }
  const auto cause = code_of(got);
  const auto ends = cause == errc::end_of_stream && what != takes::nothing;
  account(r, side, partial_of(got.error()), what == takes::nothing ? takes::nothing : takes::all);
  side.ended = side.ended || ends;
  if (cause != errc::end_of_stream && cause != errc::timed_out && cause != errc::too_long && r.wrong.empty())
    r.wrong = to_text(got.error());
}

task<> read_once(reading& r, read_side& side) {
  auto& s = side.stream;
  const std::size_t n = r.by.below(r.by.one_in(4) ? 5'000 : 60) + 1;
  const auto soon = r.soon();
  const auto lines = side.codec == net::framing::line();
  switch (r.by.below(12)) {
  case 0: {
    auto got = co_await s.read(n);
    account(r, side, got);
    break;
  }
  case 1: {
    auto got = co_await s.read_exactly(n, soon);
    account(r, side, got);
    break;
  }
  case 2: {
    auto got = co_await s.read_until("\n", 65'536, soon);
    account(r, side, got);
    break;
  }
  case 3: {
    auto got = co_await s.read_line(65'536, soon);
    account(r, side, got, takes::all_and_a_line_feed);
    break;
  }
  case 4: {
    auto got = co_await s.peek(n % 50 + 1, soon);
    account(r, side, got, takes::nothing);
    break;
  }
  case 5: {
    auto got = co_await s.read_quiet(300us, n, soon);
    account(r, side, got);
    break;
  }
  case 6: {
    auto first = co_await when_any(s.read(n), coroutine::sleep(soon));
    if (first.index() == 0)
      account(r, side, std::get<0>(first));
    break;
  }
  case 7: {
    auto first = co_await when_any(coroutine::sleep(soon), s.read_exactly(n));
    if (first.index() == 1)
      account(r, side, std::get<1>(first));
    break;
  }
  case 8: {
    auto first = co_await coroutine::within(soon, s.read_line());
    if (first)
      account(r, side, *first, takes::all_and_a_line_feed);
    break;
  }
  case 9: {
    auto first = co_await when_any(s.read_quiet(300us, n), coroutine::sleep(soon), s.read(n));
    if (first.index() == 0)
      account(r, side, std::get<0>(first));
    else if (first.index() == 2)
      account(r, side, std::get<2>(first));
    break;
  }
  case 10: {
    side.codec = r.by.one_in(2) ? net::framing::line() : net::framing::fixed(n % 300 + 1);
    (void)co_await s.use_codec(side.codec);
    break;
  }
  default: {
    auto first = co_await when_any(s.read_frame(), coroutine::sleep(soon));
    if (first.index() == 0)
      account(r, side, std::get<0>(first), lines ? takes::all_and_a_line_feed : takes::all);
    break;
  }
  }
}

/// From both at a time.
task<> read_either(reading& r, read_side& a, read_side& b) {
  const std::size_t n = r.by.below(300) + 1;
  if (r.by.one_in(2)) {
    auto first = co_await when_any(a.stream.read_exactly(n), b.stream.read(n));
    if (first.index() == 0)
      account(r, a, std::get<0>(first));
    else
      account(r, b, std::get<1>(first));
  } else {
    auto first = co_await when_any(a.stream.read_until("\n"), b.stream.read_until("\n"));
    if (first.index() == 0)
      account(r, a, std::get<0>(first));
    else
      account(r, b, std::get<1>(first));
  }
}

task<> read_all(std::shared_ptr<reading> r, int first, int second, unsigned seed) {
  const int descriptors[] = {first, second};
  for (unsigned i = 0; i < 2; ++i) {
    auto adopted = co_await coroutine::stream_socket::adopt(descriptors[i]);
    r->sides[i].stream = std::move(*adopted);
    r->sides[i].expected = position_checker{2 * seed + i};
    (void)co_await r->sides[i].stream.use_codec(r->sides[i].codec);
  }
  auto& [a, b] = r->sides;
  while (!(a.ended && b.ended) && r->wrong.empty()) {
    auto& one = a.ended || (!b.ended && r->by.one_in(2)) ? b : a;
    auto& other = &one == &a ? b : a;
    if (!other.ended && r->by.one_in(3))
      co_await read_either(*r, one, other);
    else
      co_await read_once(*r, one);
  }
  a.stream = {};
  b.stream = {};
  r->done = true;
}

/// What was wrong; empty: nothing.
std::string wrong_with_reads(fuzz_world& world, unsigned seed) {
  chance by{seed + 99};
  const auto r = std::make_shared<reading>(seed);
  const auto over = seed % 2 != 0 ? carrier::tcp : carrier::local;
  fuzz_stream ends[] = {world.open_stream(over, 65'536), world.open_stream(over, 65'536)};
  const auto reader =
      coroutine::spawn_coroutine(world.loop(), read_all, r, ends[0].near.release(), ends[1].near.release(), seed);
  std::uint64_t sent[] = {0, 0};
  const std::uint64_t all[] = {5'000 + by.below(20'000), 5'000 + by.below(20'000)};
  const auto send = [&] {
    const auto i = by.below(2);
    const auto most = std::min<std::uint64_t>(all[i] - sent[i], by.below(by.one_in(5) ? 4'000 : 80) + 1);
    const auto piece = position_stream{2 * seed + i}.bytes(most, sent[i]);
    sent[i] += ends[i].far.send({reinterpret_cast<const char*>(piece.data()), piece.size()});
    if (sent[i] == all[i])
      ends[i].far.finish();
  };
  const auto came = world.await([&] { return r->done.load(); },
                                [&] {
                                  for (auto left = by.below(20); left > 0; --left)
                                    send();
                                  if (by.one_in(3))
                                    world.pass(r->done ? 0us : std::chrono::microseconds{by.below(2'000)});
                                });
  world.kill(reader);
  if (came && r->wrong.empty() && r->sides[0].expected.offset() == all[0] && r->sides[1].expected.offset() == all[1])
    return {};
  if (!came)
    return "the reader did not come to the end: " + r->story.text();
  return r->wrong + ", " + std::to_string(r->sides[0].expected.offset()) + " of " + std::to_string(all[0]) + " and " +
         std::to_string(r->sides[1].expected.offset()) + " of " + std::to_string(all[1]) + " bytes" + r->story.text();
}

} // namespace

TEST_CASE("reads that time out and are called off lose no byte, and change none", "[fuzz]") {
  captured_log quiet;
  fuzz_world world{1};
  for_each_seed(200, [&](unsigned seed) { return wrong_with_reads(world, seed); });
}
