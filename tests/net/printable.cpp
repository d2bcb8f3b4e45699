// What of a foreign text a terminal may be shown.
#include "actnet/net/printable.hpp"

#include "support/catch.hpp"

using namespace actnet::net;
using namespace std::string_literals;

TEST_CASE("text stays as it is, in all lengths of UTF-8", "[printable]") {
  const std::string text = "plain \xc2\xa0 stra\xc3\x9f"
                           "e \xe2\x82\xac \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf";
  CHECK(without_controls(text) == text);
  std::string escaped;
  append_escaped(escaped, text);
  CHECK(escaped == text);
}

TEST_CASE("no control character of 7 or of 8 bits is left, and nothing that is no UTF-8", "[printable]") {
  const auto bad = GENERATE(values<std::string>(
      {"\0"s, "\t", "\n", "\r", "\x1b", "\x7f", "\xc2\x80", "\xc2\x9b", "\xc2\x9f", "\x80", "\x9b", "\xff", "\xc3",
       "\xc0\x9b", "\xe0\x82\x9b", "\xed\xa0\x80", "\xf0\x80\x82\x9b", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80"}));
  const auto shown = without_controls("a" + bad + "z");
  CAPTURE(bad.size(), shown);
  CHECK(shown.starts_with("a\xef\xbf\xbd"));
  CHECK(shown.ends_with("\xef\xbf\xbdz"));
  for (std::size_t i = 1; i + 1 < shown.size(); i += 3)
    CHECK(shown.substr(i, 3) == "\xef\xbf\xbd");
  std::string escaped;
  append_escaped(escaped, bad);
  CHECK(escaped.size() == 4 * bad.size());
  for (const char c : escaped)
    CHECK((c >= 0x20 && c < 0x7f));
}

TEST_CASE("a character that is cut off at the end is none", "[printable]") {
  CHECK(first_character_of("").bytes == 0);
  CHECK(without_controls("\xe2\x82") == "\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(without_controls("\xe2(") == "\xef\xbf\xbd(");
}
