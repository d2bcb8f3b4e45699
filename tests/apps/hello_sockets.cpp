// The documents' own programs (apps/hello_sockets/), each run as a reader of the document would.
#include "apps/programs.hpp"

#include "support/baseline.hpp"

using namespace actnet::test;
using stream = process::stream;

namespace {

/// A program with an endpoint as its argument.
process_options at(const std::string& program, const std::string& endpoint, std::string input = "") {
  return {.argv = {app(program), endpoint}, .input = std::move(input)};
}

exit_status status_of(process_options options) {
  return process(std::move(options)).wait();
}

} // namespace

TEST_CASE("inko_udp_hello prints what its one socket sent to its other, and nothing else") {
  const baseline before;
  for (int i = 0; i < 20; ++i) {
    process program({.argv = {app("inko_udp_hello")}, .input = ""});
    CHECK(program.wait() == exit_status{0, 0});
    CHECK(program.output() == "Hello, world!");
    CHECK(program.output(stream::err).empty());
  }
}

TEST_CASE("inko_tcp_server prints what inko_tcp_client sent, and both end") {
  const baseline before;
  for (int i = 0; i < 20; ++i) {
    process server(at("inko_tcp_server", "127.0.0.1:0"));
    process client(at("inko_tcp_client", at_port(port_of(server))));
    CHECK(client.wait() == exit_status{0, 0});
    CHECK(client.output().empty());
    CHECK(client.output(stream::err).empty());
    CHECK(server.wait() == exit_status{0, 0});
    CHECK(server.output() == "Hello, world!");
  }
}

TEST_CASE("inko_tcp_client reaches a server of this machine at 0.0.0.0") {
  process server(at("inko_tcp_server", "0.0.0.0:0"));
  const auto there = server.wait_for_line(stream::err, "listening on (0\\.0\\.0\\.0:[0-9]+)$").at(1);
  CHECK(status_of(at("inko_tcp_client", there)) == exit_status{0, 0});
  CHECK(server.wait() == exit_status{0, 0});
  CHECK(server.output() == "Hello, world!");
}

TEST_CASE("inko_tcp_client's message arrives whole before its end, also after it has exited") {
  for (int i = 0; i < 20; ++i) {
    listening_peer server;
    process client(at("inko_tcp_client", at_port(server.port())));
    auto accepted = server.accept();
    CHECK(client.wait() == exit_status{0, 0});
    CHECK(accepted.read_to_end() == "Hello, world!");
  }
}

TEST_CASE("inko_tcp_server prints 32 bytes of more, and nothing of a client that only finishes") {
  process much(at("inko_tcp_server", "127.0.0.1:0"));
  peer talker(port_of(much));
  talker.send_all(std::string(32, 'a') + "b");
  CHECK(much.wait() == exit_status{0, 0});
  CHECK(much.output() == std::string(32, 'a'));

  process nothing(at("inko_tcp_server", "127.0.0.1:0"));
  peer silent(port_of(nothing));
  silent.finish();
  CHECK(nothing.wait() == exit_status{0, 0});
  CHECK(nothing.output().empty());
}

TEST_CASE("the documents' programs say in a line what went wrong, and end with 1") {
  listening_peer taken;
  process server(at("inko_tcp_server", at_port(taken.port())));
  CHECK(server.wait() == exit_status{1, 0});
  CHECK(server.output(stream::err) ==
        "inko_tcp_server: cannot listen on " + taken.address() + ": address already in use\n");
  process client(at("inko_tcp_client", "127.0.0.1:1"));
  CHECK(client.wait() == exit_status{1, 0});
  CHECK(client.output(stream::err) == "inko_tcp_client: cannot connect to 127.0.0.1:1: connection refused\n");
  process loop(at("navi_accept_loop", at_port(taken.port())));
  CHECK(loop.wait() == exit_status{1, 0});
  CHECK(loop.output(stream::err) ==
        "navi_accept_loop: cannot listen on " + taken.address() + ": address already in use\n");
}

TEST_CASE("the documents' programs do not end well when nobody can read what they print") {
  CHECK(status_of({.argv = redirected(">/dev/full", {app("inko_udp_hello")}), .input = ""}) == exit_status{1, 0});
  process server({.argv = redirected(">/dev/full", {app("inko_tcp_server"), "127.0.0.1:0"}), .input = ""});
  CHECK(status_of(at("inko_tcp_client", at_port(port_of(server)))) == exit_status{0, 0});
  CHECK(server.wait() == exit_status{1, 0});
}

TEST_CASE("the documents' programs have their documents' addresses, and check others") {
  for (const auto& [name, address] : {std::pair{"inko_tcp_server", "0.0.0.0:9999"},
                                      {"inko_tcp_client", "0.0.0.0:9999"},
                                      {"navi_accept_loop", "127.0.0.1:3000"}}) {
    CAPTURE(name);
    process help({.argv = {app(name), "--help"}, .input = ""});
    CHECK(help.wait() == exit_status{0, 0});
    CHECK(help.output().find(address) != std::string::npos);
    CHECK(status_of(at(name, "udp://127.0.0.1:1")) == exit_status{2, 0});
  }
}

TEST_CASE("navi_accept_loop serves many at a time, each to its own end") {
  const baseline before;
  process server(at("navi_accept_loop", "127.0.0.1:0"));
  const auto port = port_of(server);
  std::vector<peer> peers;
  for (int i = 0; i < 20; ++i)
    peers.emplace_back(port);
  for (auto& each : peers)
    each.send_all("hello");
  for (auto& each : peers)
    CHECK(each.read_exactly(5) == "hello");
  peers.front().reset(); // one that breaks off is nobody else's matter
  for (std::size_t i = 1; i < peers.size(); ++i) {
    peers[i].send_all("bye");
    peers[i].finish();
  }
  for (std::size_t i = 1; i < peers.size(); ++i)
    CHECK(peers[i].read_to_end() == "bye"); // it shuts its side down when we have
  server.send_signal(SIGTERM);
  CHECK(server.wait() == exit_status{0, 0});
}

TEST_CASE("navi_accept_loop gives nc back what it sent") {
  if (!is_installed("nc"))
    return;
  process server(at("navi_accept_loop", "127.0.0.1:0"));
  process client({.argv = {"nc", "-N", "127.0.0.1", std::to_string(port_of(server))}, .input = "Hello, world!\n"});
  CHECK(client.wait() == exit_status{0, 0});
  CHECK(client.output() == "Hello, world!\n");
}

TEST_CASE("gtcp_numbers prints the numbers that it sends to itself") {
  const baseline before;
  process program({.argv = {app("gtcp_numbers"), "127.0.0.1:0", "--count=5", "--interval=0.05"}, .input = ""});
  CHECK(program.wait() == exit_status{0, 0});
  auto numbers = program.output();
  CHECK(numbers.starts_with("0"));
  CHECK(numbers.ends_with("4\n"));
  std::erase(numbers, '\n'); // on a busy machine two may come at once, and share a line
  CHECK(numbers == "01234");
  CHECK(program.output(stream::err).empty());
}

TEST_CASE("gtcp_time_echo prints the time with a mark before it, and who said it to whom") {
  const baseline before;
  process program({.argv = {app("gtcp_time_echo"), "127.0.0.1:0", "--count=2", "--interval=0.01"}, .input = ""});
  program.wait_for_line(stream::out, "^> [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} 127.0.0.1:[0-9]+ 127.0.0.1:[0-9]+$");
  CHECK(program.wait() == exit_status{0, 0});
  CHECK(std::ranges::count(program.output(), '\n') == 2);
  CHECK(program.output(stream::err).empty());
  process endless({.argv = {app("gtcp_time_echo"), "127.0.0.1:0", "--interval=0.01"}, .input = ""});
  endless.wait_for_line(stream::out, "^> ");
  endless.send_signal(SIGTERM);
  CHECK(endless.wait() == exit_status{0, 0});
}
