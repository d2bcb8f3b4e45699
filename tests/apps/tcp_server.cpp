#include "apps/programs.hpp"

#include "support/baseline.hpp"
#include "support/peers.hpp"

using namespace actnet::test;
using namespace std::chrono_literals;
using stream = process::stream;

TEST_CASE("a server prints what its one client sends, unchanged, and ends", "[tcp_server]") {
  baseline before;
  running_server server;
  std::string bytes(70'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(i * 7);
  peer client(server.port);
  client.send_all(bytes);
  client.finish();
  CHECK(client.await_end() == ending::finished);
  CHECK(server.program.wait() == exit_status{0, 0});
  CHECK(server.program.output() == bytes);
  CHECK(server.program.output(stream::err) == "listening on " + at_port(server.port) + "\n");
  CHECK_FALSE(listens(server.port));
}

TEST_CASE("a client that sends nothing is a client", "[tcp_server]") {
  running_server server;
  peer(server.port).close();
  CHECK(server.program.wait() == exit_status{0, 0});
  CHECK(server.program.output().empty());
}

TEST_CASE("a second client gets nothing through to a server for one", "[tcp_server]") {
  running_server server;
  peer first(server.port);
  first.send_all("first\n");
  server.program.wait_for_line(stream::out, "first");
  CHECK(eventually([&] { return !listens(server.port); }));
  first.close();
  CHECK(server.program.wait() == exit_status{0, 0});
  CHECK(server.program.output() == "first\n");
}

TEST_CASE("a reset in the middle is a failure for a server for one, at whatever moment it comes", "[tcp_server]") {
  for (const auto last_words : {"", "half"}) {
    running_server server;
    { resetting_peer client(server.port, last_words); }
    CHECK(server.program.wait() == exit_status{1, 0});
    CHECK(server.program.output(stream::err).find("tcp_server: the client did not finish: connection reset") !=
          std::string::npos);
  }
}

TEST_CASE("with -k clients are served at once, and a reset one harms nobody", "[tcp_server]") {
  running_server server({"-k"});
  peer one(server.port);
  peer two(server.port);
  two.send_all("two\n");
  server.program.wait_for_line(stream::out, "^two$");
  one.send_all("one\n");
  server.program.wait_for_line(stream::out, "^one$");
  { resetting_peer three(server.port, "three\n"); }
  one.send_all("one again\n");
  server.program.wait_for_line(stream::out, "^one again$");
  one.close();
  two.close();
  server.program.send_signal(SIGTERM);
  CHECK(server.program.wait() == exit_status{0, 0});
  CHECK_FALSE(listens(server.port));
}

TEST_CASE("a signal ends a server without clients", "[tcp_server]") {
  for (const auto number : {SIGINT, SIGTERM})
    for (const auto& arguments : {std::vector<std::string>{}, {"-k"}}) {
      running_server server(arguments);
      server.program.send_signal(number);
      CHECK(server.program.wait() == exit_status{0, 0});
      CHECK(has_one_line(server.program.output(stream::err)));
    }
}

TEST_CASE("a signal lets go of idle clients soon", "[tcp_server]") {
  for (const auto& arguments : {std::vector<std::string>{}, {"-k"}}) {
    running_server server(arguments);
    peer client(server.port);
    client.send_all("here\n");
    server.program.wait_for_line(stream::out, "here");
    server.program.send_signal(SIGINT);
    CHECK(client.await_end() == ending::finished);
    CHECK(server.program.wait(2s) == exit_status{0, 0});
    CHECK(server.program.output() == "here\n");
  }
}

TEST_CASE("a signal lets a busy client come to its end", "[tcp_server]") {
  for (const auto& arguments : {std::vector<std::string>{}, {"-k"}}) {
    running_server server(arguments);
    peer client(server.port);
    client.send_all("before\n");
    server.program.wait_for_line(stream::out, "before");
    server.program.send_signal(SIGTERM);
    CHECK(eventually([&] { return !listens(server.port); }));
    client.send_all("after\n");
    client.finish();
    CHECK(server.program.wait() == exit_status{0, 0});
    CHECK(server.program.output() == "before\nafter\n");
  }
}

TEST_CASE("a second signal aborts", "[tcp_server]") {
  const std::pair<int, int> orders[] = {{SIGTERM, SIGINT}, {SIGINT, SIGTERM}};
  for (const auto& [first, second] : orders) {
    running_server server({"-k"}, ">/dev/null");
    flooding_peer client{peer(server.port)};
    CHECK(eventually([&] { return client.bytes_sent() > 1'000'000; }));
    server.program.send_signal(first);
    CHECK(eventually([&] { return !listens(server.port); }));
    CHECK(server.program.is_running());
    server.program.send_signal(second);
    CHECK(server.program.wait() == exit_status{128 + second, 0});
    CHECK(eventually([&] { return client.was_refused(); }));
  }
}

TEST_CASE("a second signal ends a server also when its output is stuck", "[tcp_server]") {
  scratch_folder folder;
  slow_output output(folder);
  running_server server({"-k"}, ">\"" + output.path() + "\"");
  flooding_peer client{peer(server.port)};
  CHECK(eventually([&] { return output.waiting() >= 65'536; }));
  server.program.send_signal(SIGTERM);
  CHECK(eventually([&] { return !listens(server.port); }));
  server.program.send_signal(SIGTERM);
  CHECK(server.program.wait() == exit_status{143, 0});
}

TEST_CASE("output that nobody reads any more ends the server with a word", "[tcp_server]") {
  const auto shell = "{ \"$0\" \"$@\"; echo \"exit code $?\" >&2; } | head -c 1";
  process program({.argv = {"sh", "-c", shell, app("tcp_server"), "-k", "127.0.0.1:0"}, .input = ""});
  const auto port = port_of(program);
  flooding_peer client{peer(port)};
  program.wait_for_line(stream::err, "^tcp_server: cannot write to standard output: broken pipe$");
  program.wait_for_line(stream::err, "^exit code 1$");
  CHECK(program.wait() == exit_status{0, 0}); // head's
  CHECK(program.output().size() == 1);
  CHECK(eventually([&] { return client.was_refused(); }));
}

TEST_CASE("output that cannot be written ends the server with a word", "[tcp_server]") {
  const std::pair<std::string, std::string> outputs[] = {{">/dev/full", "no space left on device"},
                                                         {">&-", "bad file descriptor"}};
  for (const auto& [how, why] : outputs) {
    running_server server({"-k"}, how);
    peer client(server.port);
    client.send_all("lost");
    CHECK(server.program.wait() == exit_status{1, 0});
    server.program.wait_for_line(stream::err, "^tcp_server: cannot write to standard output: " + why + "$");
  }
}
