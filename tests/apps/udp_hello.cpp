#include "apps/programs.hpp"

#include "support/baseline.hpp"

using namespace actnet::test;
using stream = process::stream;

TEST_CASE("udp_hello prints one line and nothing else", "[udp_hello]") {
  baseline before;
  process program({.argv = {app("udp_hello")}, .input = ""});
  CHECK(program.wait() == exit_status{0, 0});
  CHECK(program.output() == "Hello, world!\n");
  CHECK(program.output(stream::err).empty());
}

TEST_CASE("udp_hello ends well every time", "[udp_hello]") {
  for (int i = 0; i < 20; ++i)
    CHECK(process({.argv = {app("udp_hello")}, .input = ""}).wait() == exit_status{0, 0});
}

TEST_CASE("udp_hello says so when nobody can read its line", "[udp_hello]") {
  process program({.argv = redirected(">/dev/full", {app("udp_hello")}), .input = ""});
  CHECK(program.wait() == exit_status{1, 0});
  CHECK(program.output(stream::err) == "udp_hello: cannot write to standard output: no space left on device\n");
}
