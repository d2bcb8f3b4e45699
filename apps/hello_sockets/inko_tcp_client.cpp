// The TCP client of "Hello, sockets!" in Inko's manual, line by line: sends `Hello, world!`, and ends.
//   inko_tcp_client                    to port 9999 of this machine, where inko_tcp_server listens
//   inko_tcp_client 127.0.0.1:4711
#include "actnet/actors/blocking/blocking.hpp"
#include "actnet/actors/command_line.hpp"
#include "actnet/actors/run.hpp"

#include <string>

using actnet::blocking::tcp_client;

int main(int argc, char** argv) {
  std::string where = "0.0.0.0:9999"; // on Linux 0.0.0.0 is this machine; elsewhere it is 127.0.0.1 that works
  actnet::command_line cli{"Sends `Hello, world!` over TCP."};
  cli.add("ENDPOINT", where, "IP:PORT to connect to").shows_default().check(actnet::mistake_in_tcp_endpoint);

  return actnet::blocking::run(cli, argc, argv, [&](caf::actor_system& system) {
    auto client = tcp_client::connect(system, where).get();

    client.write("Hello, world!").get();
  });
}
