// Reads on demand, without a socket: what each kind of pull makes of the same bytes, however they are cut.
#include "support/catch.hpp"

#include "actnet/net/connection/pull_reader.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace actnet;
using namespace std::chrono_literals;
using net::bytes;
using net::errc;
using net::pull;
using net::pull_reader;
using net::time_point;

namespace {

struct noted_pull final : pull {
  noted_pull(kind k, std::size_t n) {
    what = k;
    size = n;
  }
  void on_pulled(bytes payload, std::error_code why) noexcept override {
    ++outcomes;
    got = payload.view();
    all = taken.empty() ? payload : taken;
    cause = why;
  }

  int outcomes = 0;
  std::string got;
  bytes all; // that it took
  std::error_code cause;
};

std::unique_ptr<noted_pull> until(std::string_view delimiter, std::size_t max, bool keep = true) {
  auto made = std::make_unique<noted_pull>(pull::kind::until, max);
  made->delimiter = bytes::copy(delimiter);
  made->keep_delimiter = keep;
  return made;
}

std::unique_ptr<noted_pull> line(std::size_t max = 100) {
  return until("\n", max, false);
}

std::unique_ptr<noted_pull> of(pull::kind what, std::size_t size) {
  return std::make_unique<noted_pull>(what, size);
}

struct reader_stage {
  ~reader_stage() {
    reader.end(errc::closed);
    reader.serve(now, false);
  }
  noted_pull& queue(std::unique_ptr<noted_pull> made) {
    auto& queued = *made;
    all.push_back(std::move(made));
    reader.queue(queued);
    reader.serve(now, false);
    return queued;
  }
  void feed(std::string_view text) {
    reader.feed(bytes::copy(text), now);
    reader.serve(now, false);
  }
  void end(std::error_code cause = {}) {
    reader.end(cause);
    reader.serve(now, false);
  }
  void advance(net::duration by) {
    now += by;
    reader.serve(now, true);
  }

  pull_reader reader;
  time_point now{1h};
  std::vector<std::unique_ptr<noted_pull>> all;
};

std::string said(const noted_pull& p) {
  if (p.outcomes == 0)
    return "waits";
  REQUIRE(p.outcomes == 1);
  return "'" + p.got + "'" + (p.cause ? " " + p.cause.message() : "");
}

/// What a queue of pulls of all kinds makes of a text.
std::vector<std::string> outcomes_of(const std::vector<std::string_view>& cuts) {
  reader_stage s;
  for (const auto& cut : cuts)
    s.feed(cut);
  std::vector<std::string> all;
  const auto next = [&](std::unique_ptr<noted_pull> p) { all.push_back(said(s.queue(std::move(p)))); };
  next(of(pull::kind::peek, 3));
  next(line());
  next(line());
  next(of(pull::kind::exactly, 4));
  next(until("--", 10));
  next(until("-", 0));
  next(of(pull::kind::exactly, 0));
  next(until("--", 10, false));
  next(line(4));
  next(line(3));
  next(until("xyz", 4));
  s.end();
  next(of(pull::kind::to_end, 8));
  next(of(pull::kind::to_end, 9));
  return all;
}

} // namespace

TEST_CASE("every cut of a stream gives the same answers") {
  const std::string text = "one\n\r\n1234a-b-----12345\nfgh";
  const auto whole = outcomes_of({text});
  const auto too_long = "'' " + make_error_code(errc::too_long).message();
  CHECK(whole == std::vector<std::string>{"'one'", "'one'", "'\r'", "'1234'", "'a-b--'", "'-'", "''", "''", too_long,
                                          too_long, too_long, too_long, "'12345\nfgh'"});
  const std::string_view view = text;
  for (std::size_t first = 0; first <= text.size(); ++first)
    for (std::size_t second = first; second <= text.size(); ++second) {
      std::vector<std::string_view> cuts;
      for (const auto part : {view.substr(0, first), view.substr(first, second - first), view.substr(second)})
        if (!part.empty())
          cuts.push_back(part);
      INFO("cut at " << first << " and " << second);
      REQUIRE(outcomes_of(cuts) == whole);
    }
  std::vector<std::string_view> single;
  for (std::size_t i = 0; i < text.size(); ++i)
    single.push_back(view.substr(i, 1));
  CHECK(outcomes_of(single) == whole);
}

TEST_CASE("read_some takes what is there, at most so much, and nothing at the end") {
  reader_stage s;
  auto& first = s.queue(of(pull::kind::some, 3));
  CHECK(said(first) == "waits");
  s.feed("abcde");
  CHECK(said(first) == "'abc'");
  CHECK(said(s.queue(of(pull::kind::some, 10))) == "'de'");
  auto& last = s.queue(of(pull::kind::some, 10));
  auto& after = s.queue(of(pull::kind::some, 10));
  s.end();
  CHECK(said(last) == "''");
  CHECK(said(after) == "''");
  CHECK(said(s.queue(of(pull::kind::some, 0))) == "''");
}

TEST_CASE("pulls are satisfied in the order in which they were queued") {
  reader_stage s;
  auto& four = s.queue(of(pull::kind::exactly, 4));
  auto& one = s.queue(of(pull::kind::some, 1));
  auto& l = s.queue(line());
  s.feed("abc");
  CHECK(said(one) == "waits");
  s.feed("def\n");
  CHECK(said(four) == "'abcd'");
  CHECK(said(one) == "'e'");
  CHECK(said(l) == "'f'");
}

TEST_CASE("a line may have its maximum and not a byte more, and a line too long stays") {
  reader_stage s;
  s.feed("12345\n123456\n");
  CHECK(said(s.queue(line(5))) == "'12345'");
  auto& too_long = s.queue(line(5));
  CHECK(too_long.cause == errc::too_long);
  CHECK(too_long.got.empty());
  CHECK(said(s.queue(line(6))) == "'123456'");
  auto& endless = s.queue(line(5));
  s.feed("12345");
  CHECK(said(endless) == "waits");
  s.feed("6");
  CHECK(endless.cause == errc::too_long);
  CHECK(s.reader.unread_bytes() == 6);
}

TEST_CASE("what the end leaves unfinished comes with it") {
  const auto cause = GENERATE(errc::none, errc::connection_reset);
  const auto expected = cause == errc::none ? errc::end_of_stream : cause;
  reader_stage s;
  auto made = GENERATE(0, 1, 2, 3);
  auto& p = s.queue(made == 0   ? of(pull::kind::exactly, 9)
                    : made == 1 ? until("--", 100)
                    : made == 2 ? of(pull::kind::quiet, 100)
                                : of(pull::kind::peek, 9));
  p.gap = 1s;
  s.feed("partial-");
  CHECK(said(p) == "waits");
  s.end(cause == errc::none ? std::error_code{} : make_error_code(cause));
  CHECK(p.got == "partial-");
  CHECK(p.cause == expected);
  CHECK(s.reader.unread_bytes() == (made == 3 ? 8 : 0));
}

TEST_CASE("all up to the end is no error, unless the stream breaks off or there is too much") {
  reader_stage s;
  auto& all = s.queue(of(pull::kind::to_end, 5));
  s.feed("abc");
  s.feed("de");
  CHECK(said(all) == "waits");
  SECTION("ended") {
    s.end();
    CHECK(said(all) == "'abcde'");
    CHECK(said(s.queue(of(pull::kind::to_end, 5))) == "''");
  }
  SECTION("broken off") {
    s.end(errc::connection_reset);
    CHECK(all.cause == errc::connection_reset);
    CHECK(all.got == "abcde");
  }
  SECTION("too much") {
    s.feed("f");
    CHECK(all.cause == errc::too_long);
    CHECK(s.reader.unread_bytes() == 6);
  }
}

TEST_CASE("a deadline leaves the bytes, and may overtake") {
  reader_stage s;
  auto& patient = s.queue(of(pull::kind::exactly, 10));
  auto made = of(pull::kind::some, 1);
  made->deadline = s.now + 2s;
  auto& hasty = s.queue(std::move(made));
  s.feed("abc");
  CHECK(s.reader.next_deadline() == s.now + 2s);
  s.advance(2s - 1ns);
  CHECK(said(hasty) == "waits");
  s.advance(1ns);
  CHECK(hasty.cause == errc::timed_out);
  CHECK(said(patient) == "waits");
  patient.deadline = s.now; // in the past is as good
  s.advance(0s);
  CHECK(patient.cause == errc::timed_out);
  CHECK(patient.got.empty());
  auto late = of(pull::kind::exactly, 3);
  late->deadline = s.now - 1h;
  CHECK(said(s.queue(std::move(late))) == "'abc'"); // what is there is never too late
}

TEST_CASE("the quiet read ends a gap after the last byte") {
  reader_stage s;
  auto made = of(pull::kind::quiet, 10);
  made->gap = 5ms;
  auto& p = s.queue(std::move(made));
  s.advance(1h);
  CHECK(said(p) == "waits"); // for the first byte
  s.feed("ab");
  s.advance(4ms);
  s.feed("cd");
  s.advance(4ms);
  CHECK(said(p) == "waits");
  CHECK(s.reader.next_deadline() == s.now + 1ms);
  s.advance(1ms);
  CHECK(said(p) == "'abcd'");
  s.feed("0123456789+");
  auto full = of(pull::kind::quiet, 10);
  full->gap = 5ms;
  CHECK(said(s.queue(std::move(full))) == "'0123456789'");
}

TEST_CASE("a pull that is withdrawn leaves its bytes to the next") {
  reader_stage s;
  auto& gone = s.queue(until("---", 100));
  s.feed("ab--");
  auto& next = s.queue(of(pull::kind::exactly, 5));
  CHECK(s.reader.withdraw(gone));
  CHECK_FALSE(s.reader.withdraw(gone));
  s.feed("c");
  CHECK(said(next) == "'ab--c'");
  CHECK(said(gone) == "waits");
  s.reader.put_back(bytes::copy("ab"));
  CHECK(said(s.queue(of(pull::kind::some, 5))) == "'ab'");
}

TEST_CASE("whatever a pull took can be put back, also what of it was not shown") {
  struct sample {
    pull::kind what;
    std::size_t size;
    std::string_view shown;
    std::optional<net::framing> frames = {};
    std::string_view delimiter = {};
    bool keep = true;
  };
  using namespace std::string_view_literals;
  using kind = pull::kind;
  const auto text = "\3abc\n--xy\n"sv;
  const auto zero = "\0\0\0rest"sv;
  const auto long_varint = "\x83\0abc"sv; // one byte would do
  const auto header_too = "h\2abc"sv;
  struct trace {
    std::string_view text;
    sample of;
  };
  const trace traces[] = {
      {text, {kind::some, 3, "\3ab"}},
      {text, {kind::exactly, 5, "\3abc\n"}},
      {text, {kind::quiet, 2, "\3a"}},
      {text, {kind::to_end, 100, text}},
      {text, {kind::exactly, 100, text}}, // the end comes before
      {text, {kind::until, 100, "\3abc\n--", {}, "--"}},
      {text, {kind::until, 100, "\3abc\n", {}, "--", false}},
      {text, {kind::until, 100, "\3abc", {}, "\n", false}},
      {"\nab"sv, {kind::until, 100, "", {}, "\n", false}},
      {text, {kind::frame, 0, "\3abc", net::framing::line()}},
      {"\nab"sv, {kind::frame, 0, "", net::framing::line()}},
      {text, {kind::frame, 0, "\3abc\n", net::framing::delimiter("--")}},
      {text, {kind::frame, 0, "\3abc", net::framing::fixed(4)}},
      {text, {kind::frame, 0, "abc", net::framing::package(1)}},
      {zero, {kind::frame, 0, "", net::framing::package(3)}},
      {text, {kind::frame, 0, "abc", net::framing::varint()}},
      {long_varint, {kind::frame, 0, "abc", net::framing::varint()}},
      {header_too, {kind::frame, 0, "h\2ab", net::framing::length_prefix({.width = 1, .offset = 1})}},
      {text, {kind::frame, 0, text, net::framing::fixed(100)}}, // the end comes before
  };
  for (const auto& [all, how] : traces)
    for (const auto byte_by_byte : {false, true}) {
      CAPTURE(static_cast<int>(how.what), how.shown, byte_by_byte);
      reader_stage s;
      s.reader.set_framing(how.frames);
      for (std::size_t i = 0; i < all.size(); i += byte_by_byte ? 1 : all.size())
        s.feed(all.substr(i, byte_by_byte ? 1 : all.size()));
      s.end();
      auto made = of(how.what, how.size);
      made->delimiter = bytes::copy(how.delimiter);
      made->keep_delimiter = how.keep;
      auto& p = s.queue(std::move(made));
      CHECK(p.got == how.shown);
      CHECK(s.reader.unread_bytes() == all.size() - p.all.size());
      s.reader.put_back(std::exchange(p.all, {}));
      CHECK(s.queue(of(kind::to_end, 100)).got == all);
    }
}

TEST_CASE("what is put back is searched for a delimiter, too") {
  reader_stage s;
  s.feed("a\nb");
  auto& first = s.queue(line());
  auto& next = s.queue(line());
  CHECK(said(first) == "'a'");
  CHECK(said(next) == "waits"); // and has looked at the b
  s.reader.put_back(std::exchange(first.all, {}));
  s.reader.serve(s.now, false);
  CHECK(said(next) == "'a'");
}

TEST_CASE("a delimiter of many bytes is found across any feed, also after a search that found only its beginning") {
  reader_stage s;
  auto& p = s.queue(until("aab", 100));
  for (const char c : std::string{"aaaa"})
    s.feed({&c, 1});
  CHECK(said(p) == "waits");
  s.feed("b-");
  CHECK(said(p) == "'aaaab'");
}

TEST_CASE("what cannot be is refused at once") {
  reader_stage s;
  CHECK(s.queue(until("", 10)).cause == errc::invalid_argument);
  CHECK(s.queue(until(std::string(300, 'x'), 10)).cause == errc::invalid_argument);
  CHECK(s.queue(of(pull::kind::exactly, pull::size_max + 1)).cause == errc::invalid_argument);
}

TEST_CASE("a stream that is given up has nothing more to read") {
  reader_stage s;
  auto& p = s.queue(of(pull::kind::exactly, 10));
  s.feed("abc");
  s.reader.abandon();
  s.reader.serve(s.now, false);
  CHECK(p.cause == errc::closed);
  CHECK(p.got.empty());
  CHECK(s.queue(of(pull::kind::some, 1)).cause == errc::closed);
}

TEST_CASE("a line that comes in many pieces is searched once, whatever their size") {
  const auto size = GENERATE(1u, 60u, 112u, 3'000u);
  constexpr std::size_t count = 2'000;
  reader_stage s;
  auto& whole = s.queue(line(std::size_t{1} << 30));
  for (std::size_t i = 0; i < count; ++i)
    s.feed(std::string(size, 'x'));
  s.feed("\n");
  CHECK(whole.got.size() == count * size);
  CHECK(s.reader.looked_at() <= 2 * count * (size + 1));
}

TEST_CASE("a line that is awaited in many short timeouts is searched once, and another delimiter from the beginning") {
  reader_stage s;
  const std::string half(10'000, 'x');
  s.feed(half + "-");
  for (int i = 0; i < 1'000; ++i) {
    auto& late = s.queue(line(100'000));
    late.deadline = s.now;
    s.advance(1ms);
    REQUIRE(late.cause == errc::timed_out);
    auto& called_off = s.queue(line(100'000));
    REQUIRE(s.reader.withdraw(called_off));
  }
  CHECK(s.reader.looked_at() <= 2 * half.size() + 10 * 1'000);
  CHECK(said(s.queue(until("-", 100'000))) == "'" + half + "-'");
  s.feed("a\n");
  CHECK(said(s.queue(line())) == "'a'");
}
