// Servers that are told to end, or killed, while a thousand connections are busy; and those that come after.
#include "apps/programs.hpp"

#include <atomic>
#include <thread>

using namespace actnet::test;
using namespace std::chrono_literals;

namespace {

using clock = std::chrono::steady_clock;

/// What a busy machine may take on top of what is promised.
constexpr std::chrono::seconds allowance{9};

/// echo_server on TCP and on a Unix path, with a configuration file of this text.
struct server_on_both : process {
  server_on_both(const scratch_folder& folder, const std::string& config = "", std::uint16_t at = 0)
      : process({.argv = {app("echo_server"), "--config-file=" + folder.file("echo.toml", config), at_port(at),
                          "unix:" + (folder / "echo")},
                 .input = ""}),
        path("unix:" + (folder / "echo")),
        port(port_of(*this)) {
    wait_for_line(stream::err, "listening on unix:.*$");
  }

  /// The clients take turns with the carriers.
  peer client(std::size_t number, peer_options options = {}) const {
    return peer(number % 2 == 0 ? at_port(port) : path, options);
  }

  /// Each has been answered.
  std::vector<peer> clients(std::size_t count) const {
    std::vector<peer> all;
    for (std::size_t i = 0; i < count; ++i) {
      all.push_back(client(i));
      all.back().send_all("x");
    }
    for (auto& each : all)
      CHECK(each.read_exactly(1) == "x");
    return all;
  }

  const std::string path;
  const std::uint16_t port;
};

std::string told_by(std::size_t client, int line) {
  return "client " + std::to_string(client) + " line " + std::to_string(line) + std::string(400, '.') + "\n";
}

} // namespace

TEST_CASE("SIGTERM under the load of a thousand connections loses nothing that was sent before their ends", "[apps]") {
  const scratch_folder folder;
  server_on_both server(folder);
  std::vector<peer> clients;
  std::vector<std::string> sent(1'000);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    clients.push_back(server.client(i));
    clients[i].send_all(sent[i] = told_by(i, 0));
    CHECK(clients[i].read_exactly(4) == "clie"); // served, with more to come
  }
  const auto asked = clock::now();
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
  CHECK(clock::now() - asked < 6s + allowance); // the drain deadline is 5 s
}

TEST_CASE("SIGTERM ends a server within the drain deadline and a second, whatever a thousand clients do", "[apps]") {
  const scratch_folder folder;
  server_on_both server(folder, "program.drain_deadline = '1s'");
  auto silent = server.clients(1'000);
  const auto asked = clock::now();
  server.send_signal(SIGTERM);
  CHECK(server.wait(60s) == exit_status{0, 0});
  const auto took = clock::now() - asked;
  CHECK(took >= 1s);
  CHECK(took < 2s + allowance);
  for (auto& each : silent)
    (void)each.await_end();
}

TEST_CASE("a second signal ends a server within a second, whatever a thousand clients do", "[apps]") {
  const scratch_folder folder;
  server_on_both server(folder, "program.drain_deadline = '1h'");
  auto silent = server.clients(1'000);
  server.send_signal(SIGTERM);
  REQUIRE(eventually([&] { return !listens(server.port); })); // the first has been heard
  const auto asked = clock::now();
  server.send_signal(SIGTERM);
  CHECK(server.wait(60s) == exit_status{143, 0});
  CHECK(clock::now() - asked < 1s + allowance);
  for (auto& each : silent)
    (void)each.await_end();
}

TEST_CASE("SIGTERM resets at once who waits in a full backlog, and leaves those alone that are served", "[apps]") {
  const scratch_folder folder;
  server_on_both server(folder, "program.drain_deadline = '1h'\nlistener.max_connections = 2\nlistener.backlog = 4\n");
  auto served = server.clients(4);
  std::vector<peer> waiting;
  for (std::size_t i = 0; i < 8; ++i) {
    waiting.push_back(server.client(i));
    waiting.back().send_all("x");
  }
  std::atomic<int> turned_away{0};
  std::vector<std::jthread> late; // for whom the backlog has no room
  for (std::size_t i = 0; i < 8; ++i)
    late.emplace_back([&, i] {
      try {
        turned_away += server.client(i).await_end() == ending::reset;
      } catch (const std::runtime_error&) { // it could not connect
        ++turned_away;
      }
    });
  server.send_signal(SIGTERM);
  for (auto& each : waiting)
    CHECK(each.await_end() == ending::reset);
  late.clear();
  CHECK(turned_away == 8);
  const auto asked = clock::now();
  for (auto& each : served) {
    each.send_all("more");
    each.finish();
    CHECK(each.read_to_end() == "more");
  }
  CHECK(server.wait() == exit_status{0, 0});
  CHECK(clock::now() - asked < 1s + allowance);
}

TEST_CASE("after kill -9 the next server answers on the same port and path within a second", "[apps]") {
  const scratch_folder folder;
  std::uint16_t port = 0;
  auto killed = clock::now();
  for (int round = 0; round < 3; ++round) {
    server_on_both server(folder, "", port);
    auto clients = server.clients(50);
    CHECK(clock::now() - killed < 1s + allowance);
    port = server.port;
    for (auto& each : clients)
      each.send_all(std::string(10'000, 'y'));
    killed = clock::now();
    server.send_signal(SIGKILL);
    CHECK(server.wait().signal == SIGKILL);
    for (auto& each : clients)
      (void)each.await_end();
  }
}
