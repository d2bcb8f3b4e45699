// The TCP server of "Hello, sockets!" in Inko's manual, line by line: prints what one client sends first, and ends.
//   inko_tcp_server                    on 0.0.0.0:9999; then, in another terminal: inko_tcp_client
//   inko_tcp_server 127.0.0.1:4711
#include "actnet/actors/blocking/blocking.hpp"
#include "actnet/actors/command_line.hpp"
#include "actnet/actors/run.hpp"

#include <iostream>
#include <string>

using actnet::blocking::tcp_server;

int main(int argc, char** argv) {
  std::string where = "0.0.0.0:9999";
  actnet::command_line cli{"Prints up to 32 bytes of what one TCP client sends."};
  cli.add("ENDPOINT", where, "IP:PORT to listen on").shows_default().check(actnet::mistake_in_tcp_endpoint);

  return actnet::blocking::run(cli, argc, argv, [&](caf::actor_system& system) {
    auto server = tcp_server::bind(system, where).get();
    std::cerr << "listening on " + server.local_endpoint().to_string() + "\n";
    auto client = server.accept().get();

    std::cout << client.read(32).get().view() << std::flush;
    return std::cout ? 0 : 1;
  });
}
