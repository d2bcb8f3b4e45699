#include "apps/programs.hpp"

#include "support/baseline.hpp"
#include "support/peers.hpp"

using namespace actnet::test;
using namespace std::chrono_literals;
using stream = process::stream;

namespace {

std::vector<std::string> to(const listening_peer& server, std::vector<std::string> arguments = {}) {
  arguments.insert(arguments.begin(), {app("tcp_client"), at_port(server.port())});
  return arguments;
}

} // namespace

TEST_CASE("a client sends its message, finishes and prints the answer", "[tcp_client]") {
  baseline before;
  listening_peer server;
  process program({.argv = to(server), .input = ""});
  auto connection = server.accept();
  CHECK(connection.read_to_end() == "Hello, world!");
  connection.send_all("And ");
  connection.send_all(std::string_view("you?\0\n", 6));
  connection.close();
  CHECK(program.wait() == exit_status{0, 0});
  CHECK(program.output() == std::string("And you?\0\n", 10));
  CHECK(program.output(stream::err).empty());
}

TEST_CASE("a message is sent as it is", "[tcp_client]") {
  for (const std::string message : {"", "--help", "-", "{}", "[a,b]", "%%", "two words", "\xff\n"}) {
    if (message == "-")
      continue; // standard input, also after --
    listening_peer server;
    process program({.argv = to(server, {"--", message}), .input = ""});
    auto connection = server.accept();
    CHECK(connection.read_to_end() == message);
    connection.close();
    CHECK(program.wait() == exit_status{0, 0});
  }
}

TEST_CASE("the message comes from standard input", "[tcp_client]") {
  listening_peer server;
  process program({.argv = to(server, {"-"})});
  auto connection = server.accept();
  program.write_input("one ");
  CHECK(connection.read_exactly(4) == "one ");
  program.write_input("two");
  program.close_input();
  CHECK(connection.read_to_end() == "two");
  connection.close();
  CHECK(program.wait() == exit_status{0, 0});
}

TEST_CASE("standard input may be empty or a file, but not closed", "[tcp_client]") {
  listening_peer server;
  process empty({.argv = redirected("</dev/null", to(server, {"-"}))});
  CHECK(server.accept().read_to_end() == "");
  CHECK(empty.wait() == exit_status{0, 0});

  process closed({.argv = redirected("<&-", to(server, {"-"}))});
  auto connection = server.accept();
  CHECK(closed.wait() == exit_status{1, 0});
  CHECK(closed.output(stream::err) == "tcp_client: cannot read standard input: bad file descriptor\n");
  CHECK(connection.await_end() == ending::reset); // and not: finished

  process folder({.argv = redirected("</", to(server, {"-"}))});
  CHECK(folder.wait() == exit_status{1, 0});
  CHECK(folder.output(stream::err) == "tcp_client: cannot read standard input: is a directory\n");
}

TEST_CASE("a server that closes first ends a client that waits for its input", "[tcp_client]") {
  listening_peer server;
  process program({.argv = to(server, {"-"})});
  auto connection = server.accept();
  connection.send_all("enough");
  connection.finish();
  CHECK(connection.read_to_end() == "");
  CHECK(program.wait() == exit_status{0, 0});
  CHECK(program.output() == "enough");
}

TEST_CASE("a server that only finishes its side still gets a message that is there", "[tcp_client]") {
  listening_peer server;
  process program({.argv = to(server, {"-"}), .input_file = app("tcp_client")});
  auto connection = server.accept();
  connection.finish();
  CHECK(connection.read_to_end().size() == std::filesystem::file_size(app("tcp_client")));
  CHECK(program.wait() == exit_status{0, 0});
}

TEST_CASE("a reset is a failure, and the answer before it is printed", "[tcp_client]") {
  listening_peer server;
  process program({.argv = to(server), .input = ""});
  auto connection = server.accept();
  CHECK(connection.read_to_end() == "Hello, world!");
  connection.send_all("half\n");
  program.wait_for_line(stream::out, "half");
  connection.reset();
  CHECK(program.wait() == exit_status{1, 0});
  CHECK(program.output(stream::err) ==
        "tcp_client: the connection to " + at_port(server.port()) + " broke: connection reset by peer\n");
}

TEST_CASE("a signal ends a client at once", "[tcp_client]") {
  for (const auto number : {SIGINT, SIGTERM})
    for (const auto message : {"-", "waiting for the answer"}) {
      listening_peer server;
      process program({.argv = to(server, {message})});
      auto connection = server.accept();
      program.write_input("a part");
      connection.await_readable();
      program.send_signal(number);
      CHECK(program.wait(2s) == exit_status{0, 0});
      CHECK(program.output(stream::err) == "");
    }
}

TEST_CASE("an answer that nobody can read ends the client with a word", "[tcp_client]") {
  listening_peer server;
  process program({.argv = redirected(">/dev/full", to(server)), .input = ""});
  auto connection = server.accept();
  connection.send_all("lost");
  CHECK(program.wait() == exit_status{1, 0});
  CHECK(program.output(stream::err) == "tcp_client: cannot write to standard output: no space left on device\n");
}
