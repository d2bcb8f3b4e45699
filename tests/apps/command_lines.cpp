// The command lines of all programs: what is wrong, what is help, what cannot be opened.
#include "apps/programs.hpp"

#include "support/sanitizer.hpp"

using namespace actnet::test;
using stream = process::stream;

namespace {

std::vector<std::string> words(std::string program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), app(program));
  return arguments;
}

} // namespace

TEST_CASE("a wrong command line is one line on stderr and exit code 2", "[apps]") {
  struct row {
    std::vector<std::string> argv;
    std::string says;
  };
  const row rows[] = {
      {words("udp_hello", {"x"}), "x"},
      {words("udp_hello", {"--loud"}), "--loud"},
      {words("tcp_server", {"127.0.0.1"}), "the port is missing"},
      {words("tcp_server", {"127.0.0.1:70000"}), "out of range"},
      {words("tcp_server", {"example.org:80"}), "example.org"},
      {words("tcp_server", {""}), "ENDPOINT"},
      {words("tcp_server", {"udp://127.0.0.1:1"}), "not TCP"},
      {words("tcp_server", {"unix:/tmp/socket"}), "not TCP"},
      {words("tcp_server", {"127.0.0.1:0", "127.0.0.1:0"}), "not expected"},
      {words("tcp_server", {"-x"}), "-x"},
      {words("tcp_server", {"--keep"}), "--keep"},
      {words("tcp_client", {"127.0.0.1"}), "the port is missing"},
      {words("tcp_client", {"-"}), "the port is missing"},
      {words("tcp_client", {"udp://127.0.0.1:1", "m"}), "not TCP"},
      {words("tcp_client", {"127.0.0.1:1", "m", "n"}), "not expected"},
      {words("tcp_client", {"127.0.0.1:1", "-m"}), "-m"},
      {words("tcp_client", {"--", "127.0.0.1:1", "--", "m"}), "not expected"},
  };
  for (const auto& row : rows) {
    process program({.argv = row.argv, .input = ""});
    CAPTURE(row.argv);
    CHECK(program.wait() == exit_status{2, 0});
    CHECK(program.output().empty());
    const auto said = program.output(stream::err);
    CHECK(has_one_line(said));
    CHECK(said.find(row.says) != std::string::npos);
  }
}

TEST_CASE("--help is on stdout and exit code 0", "[apps]") {
  for (const auto name : {"udp_hello", "tcp_server", "tcp_client"}) {
    process program({.argv = words(name, {"--help"}), .input = ""});
    CHECK(program.wait() == exit_status{0, 0});
    CHECK(program.output().find(std::string{"Usage: "} + name) != std::string::npos);
    CHECK(program.output(stream::err).empty());
  }
}

TEST_CASE("a server says which address it cannot have, and why", "[apps]") {
  listening_peer taken;
  process in_use({.argv = words("tcp_server", {at_port(taken.port())}), .input = ""});
  CHECK(in_use.wait() == exit_status{1, 0});
  CHECK(in_use.output(stream::err) ==
        "tcp_server: cannot listen on " + at_port(taken.port()) + ": address already in use\n");

  running_server first({"-k"});
  process second({.argv = words("tcp_server", {at_port(first.port), "-k"}), .input = ""});
  CHECK(second.wait() == exit_status{1, 0});
  CHECK(second.output(stream::err) ==
        "tcp_server: cannot listen on " + at_port(first.port) + ": address already in use\n");
  CHECK(first.program.is_running());

  process elsewhere({.argv = words("tcp_server", {"192.0.2.1:80"}), .input = ""});
  CHECK(elsewhere.wait() == exit_status{1, 0});
  CHECK(elsewhere.output(stream::err) ==
        "tcp_server: cannot listen on 192.0.2.1:80: address not available on this machine\n");
}

TEST_CASE("a server says that it may not have a port", "[apps]") {
  int first_free_port = 0; // for everybody; ip(7)
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> first_free_port;
  if (::geteuid() == 0 || first_free_port <= 1)
    return;
  process program({.argv = words("tcp_server", {"127.0.0.1:1"}), .input = ""});
  CHECK(program.wait() == exit_status{1, 0});
  CHECK(program.output(stream::err) == "tcp_server: cannot listen on 127.0.0.1:1: permission denied\n");
}

TEST_CASE("a program without descriptors to begin with says so", "[apps]") {
  if (sanitized)
    return;
  for (const auto limit : {"5", "7"}) {
    const auto line = std::string{"ulimit -n "} + limit + "; exec \"$0\" \"$@\"";
    process program({.argv = {"sh", "-c", line, app("tcp_server"), "127.0.0.1:0"}, .input = ""});
    CHECK(program.wait() == exit_status{1, 0});
    CHECK(has_one_line(program.output(stream::err)));
    CHECK(program.output(stream::err).find("too many open files") != std::string::npos);
  }
}

TEST_CASE("a client says whom it cannot reach, and why", "[apps]") {
  process program({.argv = words("tcp_client", {"127.0.0.1:1"}), .input = ""});
  CHECK(program.wait() == exit_status{1, 0});
  CHECK(program.output().empty());
  CHECK(program.output(stream::err) == "tcp_client: cannot connect to 127.0.0.1:1: connection refused\n");
}

TEST_CASE("options stand before and after arguments", "[apps]") {
  for (const auto& order : {std::vector<std::string>{"-k", "127.0.0.1:0"},
                            {"127.0.0.1:0", "-k"},
                            {"--keep-listening", "127.0.0.1:0"},
                            {"-k", "--", "127.0.0.1:0"}}) {
    process server({.argv = words("tcp_server", order), .input = ""});
    const auto port = port_of(server);
    for (int i = 0; i < 2; ++i)
      CHECK(process({.argv = words("tcp_client", {at_port(port), "."}), .input = ""}).wait() == exit_status{0, 0});
    CHECK(server.is_running());
    server.send_signal(SIGTERM);
    CHECK(server.wait() == exit_status{0, 0});
    CHECK(server.output() == "..");
  }
}
