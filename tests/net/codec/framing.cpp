#include "fuzz/decoders.hpp"
#include "support/catch.hpp"
#include "support/sanitizer.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

using namespace actnet;
using namespace std::string_literals;
using net::bytes;
using net::errc;
using net::framing;

namespace {

std::vector<std::string> decoded(const framing& how, std::string_view text) {
  return fuzz::frames_of(how, text, std::vector<std::size_t>(text.size(), 1));
}

std::string encoded(const framing& how, std::string_view frame) {
  const auto made = how.encode(bytes::copy(frame));
  return made ? std::string{made->view()} : made.error().message();
}

framing prefix(std::size_t width, framing::order order, std::size_t offset = 0, std::int64_t adjustment = 0,
               std::size_t max = 1000) {
  framing::prefix how;
  how.width = width;
  how.order = order;
  how.offset = offset;
  how.adjustment = adjustment;
  how.max = max;
  return framing::length_prefix(how);
}

std::string broken(errc cause) {
  return "broken " + std::to_string(static_cast<int>(cause));
}

using lines = std::vector<std::string>;

} // namespace

TEST_CASE("lines and delimiters, with their maximum and a byte beyond") {
  CHECK(decoded(framing::line(5), "one\r\n\n12345\nrest") == lines{"one\r", "", "12345", "left 4"});
  CHECK(decoded(framing::line(5), "123456") == lines{broken(errc::too_long)});
  CHECK(decoded(framing::line(5), "12345") == lines{"left 5"});
  CHECK(decoded(framing::delimiter("\0\0"s, 5), "a\0b\0\0\0c\0\0"s) == lines{"a\0b"s, "\0c"s, "left 0"});
  CHECK(encoded(framing::line(5), "12345") == "12345\n");
  CHECK(encoded(framing::line(5), "") == "\n");
  CHECK(encoded(framing::line(5), "123456") == make_error_code(errc::message_too_large).message());
  CHECK(encoded(framing::line(5), "a\nb") == make_error_code(errc::invalid_argument).message());
  CHECK(encoded(framing::delimiter("--"), "a-") == make_error_code(errc::invalid_argument).message());
}

TEST_CASE("a format whose maximum is the largest number waits for what has not come") {
  constexpr auto most = std::numeric_limits<std::size_t>::max();
  CHECK(decoded(framing::line(most), "one\nhalf a li") == lines{"one", "left 9"});
  CHECK(decoded(framing::delimiter("--", most), "one--half-") == lines{"one", "left 5"});
  CHECK(decoded(framing::varint(most), "\3one\3tw") == lines{"one", "left 3"});
  CHECK(decoded(prefix(8, framing::order::big, 0, 0, most), "\xff\xff\xff\xff\xff\xff\xff\xff") == lines{"left 8"});
  CHECK(encoded(framing::line(most), "one") == "one\n");
}

TEST_CASE("a header of more than 64 KiB is no format, whoever sends it to us as text") {
  auto text = prefix(4, framing::order::big, 64 * 1024).to_text();
  CHECK(framing::from_text(text));
  text.replace(text.find("65536"), 5, "65537");
  CHECK_FALSE(framing::from_text(text));
  text.replace(text.find("65537"), 5, std::to_string(std::numeric_limits<std::int64_t>::max()));
  CHECK_FALSE(framing::from_text(text));
}

TEST_CASE("fixed sizes") {
  CHECK(decoded(framing::fixed(3), "abcdefgh") == lines{"abc", "def", "left 2"});
  CHECK(encoded(framing::fixed(3), "abc") == "abc");
  CHECK(encoded(framing::fixed(3), "ab") == make_error_code(errc::invalid_argument).message());
}

TEST_CASE("length prefixes of every width, in both orders") {
  using enum framing::order;
  CHECK(decoded(prefix(1, big), "\3abc\0\1x"s) == lines{"abc", "", "x", "left 0"});
  CHECK(decoded(prefix(2, big), "\0\3abc"s) == lines{"abc", "left 0"});
  CHECK(decoded(prefix(2, little), "\3\0abc"s) == lines{"abc", "left 0"});
  CHECK(decoded(prefix(3, big), "\0\0\1a"s) == lines{"a", "left 0"});
  CHECK(decoded(prefix(4, little), "\1\0\0\0a"s) == lines{"a", "left 0"});
  CHECK(decoded(prefix(8, big), "\0\0\0\0\0\0\0\1a"s) == lines{"a", "left 0"});
  CHECK(encoded(prefix(2, big), "abc") == "\0\3abc"s);
  CHECK(encoded(prefix(3, little), "abc") == "\3\0\0abc"s);
  CHECK(encoded(prefix(8, little), "") == std::string(8, '\0'));
  CHECK(encoded(prefix(1, big), std::string(256, 'x')) == make_error_code(errc::message_too_large).message());
}

TEST_CASE("a length field of all ones announces too much, and takes no memory") {
  for (std::size_t width = 1; width <= 8; ++width)
    for (const auto order : {framing::order::big, framing::order::little})
      for (const auto adjustment : {-9, 0, 9}) {
        INFO(width << " bytes, adjusted by " << adjustment);
        CHECK(decoded(prefix(width, order, 0, adjustment, 100), std::string(width, '\xff')) ==
              lines{broken(errc::too_long)});
      }
  CHECK(decoded(framing::varint(100), std::string(10, '\xff')) == lines{broken(errc::bad_frame)});
  CHECK(decoded(framing::package(4), "\xff\xff\xff\xff"s) == lines{broken(errc::too_long)});
}

TEST_CASE("a length may count its header, and may lie in the middle of one") {
  using enum framing::order;
  CHECK(decoded(prefix(4, big, 0, -4), "\0\0\0\7abc"s) == lines{"abc", "left 0"});
  CHECK(decoded(prefix(4, big, 0, -4), "\0\0\0\3"s) == lines{broken(errc::bad_frame)});
  CHECK(encoded(prefix(4, big, 0, -4), "abc") == "\0\0\0\7abc"s);
  CHECK(decoded(prefix(2, big, 2), "ID\0\3abcID\0\0"s) == lines{"ID\0\3abc"s, "ID\0\0"s, "left 0"});
  CHECK(encoded(prefix(2, big, 2), "ID??abc") == "ID\0\3abc"s);
  CHECK(encoded(prefix(2, big, 2), "ID?") == make_error_code(errc::invalid_argument).message());
  CHECK(decoded(prefix(1, big, 0, 2), "\1abc"s) == lines{"abc", "left 0"});
  CHECK(encoded(prefix(1, big, 0, 2), "a") == make_error_code(errc::invalid_argument).message());
}

TEST_CASE("varints") {
  const std::string long_one(300, 'x');
  CHECK(decoded(framing::varint(), "\xac\x02"s + long_one + "\0\1a"s) == lines{long_one, "", "a", "left 0"});
  CHECK(encoded(framing::varint(), long_one) == "\xac\x02"s + long_one);
  CHECK(encoded(framing::varint(), "") == "\0"s);
  CHECK(decoded(framing::varint(100), "\x65"s) == lines{broken(errc::too_long)});
}

TEST_CASE("gtcp's packages have its default maxima") {
  CHECK(framing::package(1).max() == 255);
  CHECK(framing::package(2).max() == 65'535);
  CHECK(framing::package(3).max() == 16'777'215);
  CHECK(framing::package(4).max() == 2'147'483'647);
  CHECK(encoded(framing::package(), "abc") == "\0\3abc"s);
}

TEST_CASE("formats are read from the command line's words, and mistakes are said") {
  for (const auto& [text, how] : std::vector<std::pair<std::string, framing>>{
           {"line", framing::line()},
           {"delimiter:2d2d", framing::delimiter("--")},
           {"fixed:12", framing::fixed(12)},
           {"pkg3", framing::package(3)},
           {"u16le", prefix(2, framing::order::little, 0, 0, 65'535)},
           {"u64be", prefix(8, framing::order::big, 0, 0, framing::binary_max)},
           {"varint", framing::varint()}}) {
    INFO(text);
    const auto parsed = framing::parse(text);
    REQUIRE(parsed);
    CHECK(*parsed == how);
    CHECK(*framing::from_text(how.to_text()) == how);
  }
  CHECK(framing::parse("pkg2", 10)->max() == 10);
  for (const auto text : {"", "lines", "pkg0", "pkg5", "delimiter:", "delimiter:2", "delimiter:zz", "fixed:0",
                          "fixed:-1", "fixed:x", "u128be"}) {
    INFO(text);
    CHECK_FALSE(framing::parse(text));
    CHECK_FALSE(framing::from_text(text));
  }
  CHECK(framing::parse("lines").error() == "unknown frame format lines (known: line, delimiter:XX, fixed:N, pkg1 to "
                                           "pkg4, u16le, u32le, u32be, u64be, varint)");
}

TEST_CASE("the fuzzers' corpus and many random inputs keep what they have to keep") {
  const std::filesystem::path corpus = ACTNET_SOURCE_DIR "/tests/fuzz/corpus";
  const auto check = [](const std::string& target, std::span<const std::uint8_t> data) {
    if (target == "framing")
      fuzz::check_framing(data);
    else if (target == "stream_reader")
      fuzz::check_stream_reader(data);
    else
      fuzz::check_pull_reader(data);
  };
  for (const std::string target : {"framing", "stream_reader", "pull_reader"}) {
    std::size_t seen = 0;
    for (const auto& file : std::filesystem::directory_iterator{corpus / target}) {
      std::ifstream in{file.path(), std::ios::binary};
      const std::vector<char> content{std::istreambuf_iterator<char>{in}, {}};
      check(target, {reinterpret_cast<const std::uint8_t*>(content.data()), content.size()});
      ++seen;
    }
    CHECK(seen > 0);
    std::mt19937 random{1};
    for (std::size_t i = 0; i < test::rounds(3'000); ++i) {
      std::vector<std::uint8_t> data(random() % 120);
      for (auto& each : data)
        each = static_cast<std::uint8_t>(random() % 4 == 0 ? "-\nab\0\1\2"[random() % 7] : random());
      check(target, data);
    }
  }
}
