// Servers that are told to end, or killed, while a thousand connections are busy; and those that come after.
#include "apps/programs.hpp"

#include <optional>
#include <thread>

using namespace actnet::test;
using namespace std::chrono_literals;

namespace {

process echo_server_on(const std::vector<std::string>& where) {
  std::vector<std::string> argv{app("echo_server")};
  argv.insert(argv.end(), where.begin(), where.end());
  return process({.argv = std::move(argv), .input = ""});
}

std::string told_by(std::size_t client, int line) {
  return "client " + std::to_string(client) + " line " + std::to_string(line) + std::string(400, '.') + "\n";
}

} // namespace

TEST_CASE("SIGTERM under the load of a thousand connections loses nothing that was sent before their ends", "[apps]") {
  const scratch_folder folder;
  auto server = echo_server_on({"127.0.0.1:0", "unix:" + (folder / "echo")});
  const auto port = port_of(server);
  server.wait_for_line(process::stream::err, "listening on unix:.*$");
  std::vector<peer> clients;
  std::vector<std::string> sent(1'000);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    if (i % 2 == 0)
      clients.emplace_back(port);
    else
      clients.emplace_back("unix:" + (folder / "echo"));
    clients[i].send_all(sent[i] = told_by(i, 0));
    CHECK(clients[i].read_exactly(4) == "clie"); // served, with more to come
  }
  for (std::size_t i = 0; i < sent.size(); ++i) {
    if (i == sent.size() / 2)
      server.send_signal(SIGTERM);
    for (int line = 1; line <= 5; ++line) {
      const auto text = told_by(i, line);
      clients[i].send_all(text);
      sent[i] += text;
    }
  }
  std::size_t whole = 0;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    clients[i].finish();
    whole += "clie" + clients[i].read_to_end() == sent[i];
  }
  CHECK(whole == sent.size());
  CHECK(server.wait() == exit_status{0, 0});
}

TEST_CASE("SIGTERM ends a server in time although a thousand clients do not", "[apps]") {
  auto server = echo_server_on({"127.0.0.1:0"});
  const auto port = port_of(server);
  std::vector<peer> clients;
  for (int i = 0; i < 1'000; ++i) {
    clients.emplace_back(port);
    clients.back().send_all("x");
  }
  for (auto& each : clients)
    CHECK(each.read_exactly(1) == "x");
  server.send_signal(SIGTERM);
  CHECK(server.wait() == exit_status{0, 0}); // well before this gives up; the drain deadline is 5 s
  for (auto& each : clients)
    CHECK(each.await_end() == ending::reset);
}

TEST_CASE("after kill -9 the next server answers on the same port and path", "[apps]") {
  const scratch_folder folder;
  const auto path = "unix:" + (folder / "echo");
  std::uint16_t port = 0;
  for (int round = 0; round < 3; ++round) {
    auto server = echo_server_on({at_port(port), path});
    port = port_of(server);
    server.wait_for_line(process::stream::err, "listening on unix:.*$");
    std::vector<peer> clients;
    for (int i = 0; i < 50; ++i) {
      if (i % 2 == 0)
        clients.emplace_back(port);
      else
        clients.emplace_back(path);
      clients.back().send_all("x");
      CHECK(clients.back().read_exactly(1) == "x");
      clients.back().send_all(std::string(10'000, 'y'));
    }
    server.send_signal(SIGKILL);
    CHECK(server.wait().signal == SIGKILL);
    for (auto& each : clients)
      (void)each.await_end();
  }
}
