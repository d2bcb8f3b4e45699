// The second example of GoFrame's page on gtcp's connection, line by line: an echo with "> " before it, and a client
// that sends it the time, each second over a connection of its own. In coroutines: server and client share a thread.
//   gtcp_time_echo                     over 127.0.0.1:8999, until SIGINT or SIGTERM
//   gtcp_time_echo 127.0.0.1:4711 --count=3 --interval=0.1
#include "actnet/actors/command_line.hpp"
#include "actnet/actors/coroutine/gtcp.hpp"

#include <array>
#include <chrono>
#include <ctime>
#include <iostream>
#include <optional>
#include <string>

namespace gtcp = actnet::coroutine::gtcp;
using actnet::coroutine::task;

namespace {

std::string now() {
  const auto seconds = std::time(nullptr);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%F %T", &parts)};
}

task<> echo(gtcp::conn conn) {
  for (;;) {
    auto data = co_await conn.recv(-1);
    if (!data)
      co_return;
    auto sent = co_await conn.send("> " + std::string{data->view()});
    if (!sent)
      std::cerr << actnet::to_text(sent.error()) << "\n";
  }
}

task<> ask_for_the_time(gtcp::server& server, std::optional<int> count, std::chrono::duration<double> interval) {
  for (int i = 0; !count || i < *count; ++i) {
    auto conn = co_await gtcp::conn::connect(*server.address());
    if (!conn) {
      std::cerr << actnet::to_text(conn.error()) << "\n";
    } else {
      auto answer = co_await conn->send_recv(now(), -1);
      if (answer)
        std::cout << answer->view() << ' ' << conn->as_stream().local_endpoint().to_string() << ' '
                  << conn->as_stream().peer_endpoint().to_string() << std::endl;
      else
        std::cerr << actnet::to_text(answer.error()) << "\n";
      (void)co_await conn->close();
    }
    co_await actnet::coroutine::sleep(interval);
  }
}

task<> serve_and_ask(std::string where, std::optional<int> count, std::chrono::duration<double> interval) {
  gtcp::server server;
  (co_await server.listen(where)).get();
  (void)co_await actnet::coroutine::when_any(server.run(echo), ask_for_the_time(server, count, interval));
}

} // namespace

int main(int argc, char** argv) {
  std::string where = "127.0.0.1:8999";
  std::optional<int> count;
  double interval = 1;
  actnet::command_line cli{"Asks an echo server of its own for the time, each second."};
  cli.add("ENDPOINT", where, "IP:PORT of the server").shows_default().check(actnet::mistake_in_tcp_endpoint);
  cli.add("--count", count, "How often; by default without end").in_range(0, 1'000'000'000);
  cli.add("--interval", interval, "Seconds between them").shows_default().in_range(0.0, 3600.0);
  return actnet::coroutine::run(cli, argc, argv,
                                [&] { return serve_and_ask(where, count, std::chrono::duration<double>{interval}); });
}
