// The README's programs, built as they stand there but for their addresses.
#include "apps/programs.hpp"

#include "support/baseline.hpp"

using namespace actnet::test;
using stream = process::stream;

namespace {

process_options readme_program_at(const std::string& name, std::uint16_t port) {
  return {.argv = {readme_program(name)}, .input = "", .environment = {{"ACTNET_README_ADDRESS", at_port(port)}}};
}

/// What `patient_client` prints when its server does that to the connection.
template <class Server>
std::string said_to_patient_client(Server serve) {
  listening_peer server;
  process client(readme_program_at("patient_client", server.port()));
  auto accepted = server.accept();
  CHECK(accepted.read_exactly(7) == "Hello?\n");
  serve(accepted);
  CHECK(client.wait() == exit_status{0, 0});
  return client.output();
}

} // namespace

TEST_CASE("the README's program answers, also what came just before the peer finished, and stops at SIGTERM") {
  const baseline before;
  process server{{.argv = {readme_program("echo")}}};
  peer client{port_of(server)};
  client.send_all("Hello, ");
  CHECK(client.read_exactly(7) == "Hello, ");
  client.send_all("world!");
  client.finish();
  CHECK(client.read_to_end() == "world!");
  server.send_signal(SIGTERM);
  CHECK(server.wait().code == 0);
}

TEST_CASE("the README's hello_udp prints its line") {
  process program({.argv = {readme_program("hello_udp")}, .input = ""});
  CHECK(program.wait() == exit_status{0, 0});
  CHECK(program.output() == "Hello, world!\n");
}

TEST_CASE("the README's hello_client sends a line to hello_server, which prints it") {
  listening_peer taken;
  const auto port = taken.port();
  process early(readme_program_at("hello_server", port));
  CHECK(early.wait() == exit_status{1, 0});
  CHECK(early.output(stream::err) ==
        "hello_server: cannot listen on " + taken.address() + ": address already in use\n");
  taken.close();

  // It does not say when it listens: a client that comes too early is refused.
  process server(readme_program_at("hello_server", port));
  CHECK(eventually([&] { return process(readme_program_at("hello_client", port)).wait().code == 0; }));
  CHECK(server.wait() == exit_status{0, 0});
  CHECK(server.output() == "Hello, world!\n");
}

TEST_CASE("the README's echo_lines echoes the lines of many") {
  const baseline before;
  process server({.argv = {readme_program("echo_lines")}, .input = ""});
  const auto port = port_of(server);
  peer one(port), other(port);
  one.send_all("one\nand a half");
  other.send_all("other\n");
  CHECK(other.read_exactly(6) == "other\n");
  CHECK(one.read_exactly(4) == "one\n");
  one.send_all("\n");
  CHECK(one.read_exactly(11) == "and a half\n");
  for (auto each : {&one, &other}) {
    each->finish();
    CHECK(each->read_to_end().empty());
  }
  server.send_signal(SIGTERM);
  CHECK(server.wait() == exit_status{0, 0});
}

TEST_CASE("the README's patient_client prints an answer, what there is of one, or that none came") {
  CHECK(said_to_patient_client([](peer& p) { p.send_all("Hello!\n"); }) == "Hello!\n");
  CHECK(said_to_patient_client([](peer& p) {
          p.send_all("Hel");
          p.finish();
        }) == "only: Hel\n");
  CHECK(said_to_patient_client([](peer&) {}) == "no answer\n");
}
