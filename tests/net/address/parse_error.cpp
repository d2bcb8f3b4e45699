// The line a person reads when a text was refused, also if the text was made to spoil the log.
#include "actnet/net/address/parse_error.hpp"

#include <string>

#include "support/catch.hpp"

using namespace actnet::net;
using namespace std::string_literals;

TEST_CASE("a parse error says what was parsed, what is wrong and where, counted from 1", "[address]") {
  const parse_error error{10, "port 99999 is out of range (0 to 65535)"};
  CHECK(error.message("127.0.0.1:99999") ==
        "endpoint \"127.0.0.1:99999\": port 99999 is out of range (0 to 65535) (at character 11)");
  CHECK(error.message("x", "IP address").starts_with("IP address \"x\": "));
}

TEST_CASE("a hostile text stays on one line and inside its quotes", "[address]") {
  CHECK(printable("a\nb\r\x1b[31m\x7f"s + '\0') == "a\\x0ab\\x0d\\x1b[31m\\x7f\\x00");
  CHECK(printable("say \"hi\" \\") == "say \\\"hi\\\" \\\\");
  CHECK(printable("straße") == "straße");
}

TEST_CASE("a long text is cut, but not inside a character", "[address]") {
  CHECK(printable(std::string(120, 'a')) == std::string(120, 'a'));
  CHECK(printable(std::string(121, 'a')) == std::string(120, 'a') + "...");
  CHECK(printable(std::string(119, 'a') + "ß") == std::string(119, 'a') + "...");
  CHECK(printable(std::string(118, 'a') + "€") == std::string(118, 'a') + "...");
  CHECK(printable(std::string(118, 'a') + "ßb") == std::string(118, 'a') + "ß...");
  CHECK(printable(std::string(500, '\x80')) == std::string(117, '\x80') + "...");
}
