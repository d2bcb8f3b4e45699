// The accept loop of Navi's guide to TcpConnection, line by line: a coroutine for each connection, all on one thread.
// What the guide leaves open is an echo here.
//   navi_accept_loop                   on 127.0.0.1:3000, until SIGINT or SIGTERM; try it with: nc 127.0.0.1 3000
//   navi_accept_loop 127.0.0.1:4711
#include "actnet/actors/command_line.hpp"
#include "actnet/actors/coroutine/coroutine.hpp"

#include <iostream>
#include <string>

using actnet::coroutine::stream_socket;
using actnet::coroutine::task;
using actnet::coroutine::tcp_server;

namespace {

task<> handle(stream_socket conn) {
  for (;;) {
    auto some = co_await conn.read(1024);
    if (!some) // the connection broke
      co_return;
    if (some->empty()) // the client finished
      break;
    if (!co_await conn.write_all(*some))
      co_return;
  }
  (void)co_await conn.finish(); // Navi's `close`: the client reads the end
}

task<> accept_loop(std::string where) {
  auto listener = (co_await tcp_server::bind(where)).get();
  std::cerr << "listening on " + listener.local_endpoint().to_string() + "\n";
  for (;;) {
    auto conn = (co_await listener.accept()).get();
    actnet::coroutine::spawn(handle, std::move(conn));
  }
}

} // namespace

int main(int argc, char** argv) {
  std::string where = "127.0.0.1:3000";
  actnet::command_line cli{"Sends back what TCP clients send, with a coroutine for each."};
  cli.add("ENDPOINT", where, "IP:PORT to listen on").shows_default().check(actnet::mistake_in_tcp_endpoint);
  return actnet::coroutine::run(cli, argc, argv, [&] { return accept_loop(where); });
}
