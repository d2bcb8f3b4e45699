// echo_server and tcp_client frame by frame, as seen from outside.
#include "apps/programs.hpp"

#include "support/baseline.hpp"

#include <array>
#include <string>
#include <utility>
#include <vector>

using namespace actnet::test;
using namespace std::string_literals;
using stream = process::stream;

namespace {

process echo_in_frames(std::vector<std::string> options) {
  options.insert(options.begin(), app("echo_server"));
  options.emplace_back("127.0.0.1:0");
  return process{{.argv = std::move(options), .input = ""}};
}

} // namespace

TEST_CASE("echo_server answers each frame with the prefix and the frame, in every format") {
  const baseline before;
  for (const auto& [format, sent, answer] : std::vector<std::array<std::string, 3>>{
           {"line", "one\n\r\n\n", "> one\n> \r\n> \n"},
           {"delimiter:2d2d", "one----", "> one--> --"},
           {"fixed:3", "abcdef", "> abc> def"},
           {"pkg1", "\3one\0"s, "\5> one\2> "s},
           {"pkg2", "\0\3one\0\0"s, "\0\5> one\0\2> "s},
           {"pkg3", "\0\0\3one"s, "\0\0\5> one"s},
           {"pkg4", "\0\0\0\3one"s, "\0\0\0\5> one"s},
           {"u16le", "\3\0one"s, "\5\0> one"s},
           {"u32le", "\3\0\0\0one"s, "\5\0\0\0> one"s},
           {"u32be", "\0\0\0\3one"s, "\0\0\0\5> one"s},
           {"u64be", "\0\0\0\0\0\0\0\3one"s, "\0\0\0\0\0\0\0\5> one"s},
           {"varint", "\3one\0"s, "\5> one\2> "s},
       }) {
    INFO(format);
    auto server = echo_in_frames({"--frame=" + format, "--prefix=> "});
    peer client{port_of(server)};
    for (const char c : sent)
      client.send_all({&c, 1});
    CHECK(client.read_exactly(answer.size()) == answer);
    client.send_all(sent);
    client.finish();
    CHECK(client.read_to_end() == answer);
  }
}

TEST_CASE("without a prefix frames come back as they are, up to the maximum and not beyond") {
  auto server = echo_in_frames({"--frame=line", "--frame-max=5"});
  const auto port = port_of(server);
  peer client{port}, other{port};
  client.send_all("12345\n");
  CHECK(client.read_exactly(6) == "12345\n");
  client.send_all("1234\n123456\n");
  CHECK(client.read_to_end() == "1234\n");
  other.send_all("ok\n");
  CHECK(other.read_exactly(3) == "ok\n");
}

TEST_CASE("an answer that is too large for its format closes the connection") {
  auto server = echo_in_frames({"--frame=pkg1", "--prefix=> "});
  peer client{port_of(server)};
  client.send_all("\2ok\xff"s + std::string(255, 'x'));
  CHECK(client.read_to_end() == "\4> ok"s);
}

TEST_CASE("tcp_client sends each line as a frame and prints each answer as a line") {
  const baseline before;
  for (const std::string format : {"line", "delimiter:0d0a", "pkg2", "u32le", "varint"}) {
    INFO(format);
    auto server = echo_in_frames({"--frame=" + format, "--prefix=> "});
    const auto port = port_of(server);
    process client(
        {.argv = {app("tcp_client"), at_port(port), "-", "--frame=" + format}, .input = "one\n\nthree\nlast"});
    CHECK(client.wait() == exit_status{0, 0});
    CHECK(client.output() == "> one\n> \n> three\n> last\n");
    process single({.argv = {app("tcp_client"), at_port(port), "hello", "--frame=" + format}, .input = ""});
    CHECK(single.wait() == exit_status{0, 0});
    CHECK(single.output() == "> hello\n");
  }
}

TEST_CASE("tcp_client says which line cannot be a frame") {
  auto server = echo_in_frames({"--frame=pkg1"});
  process client({.argv = {app("tcp_client"), at_port(port_of(server)), "-", "--frame=pkg1"},
                  .input = "short\n" + std::string(300, 'x') + "\n"});
  CHECK(client.wait() == exit_status{1, 0});
  CHECK(client.output(stream::err) == "tcp_client: line 2 cannot be a frame: message too large\n");
}

TEST_CASE("a frame format that is none, and what needs one, are mistakes of the command line") {
  for (const auto& argv :
       std::vector<std::vector<std::string>>{{app("echo_server"), "--frame=lines", "127.0.0.1:0"},
                                             {app("echo_server"), "--prefix=x", "127.0.0.1:0"},
                                             {app("echo_server"), "--frame=line", "--frame-max=0", "127.0.0.1:0"},
                                             {app("tcp_client"), "127.0.0.1:1", "-", "--frame=fixed:0"}}) {
    process program({.argv = argv, .input = ""});
    CHECK(program.wait() == exit_status{2, 0});
  }
}
