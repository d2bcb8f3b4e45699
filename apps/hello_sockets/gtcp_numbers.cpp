// The first example of GoFrame's page on gtcp's connection, line by line: a server prints what comes, and a client
// sends it a number a second over one connection.
//   gtcp_numbers                       10,000 numbers over 127.0.0.1:8999
//   gtcp_numbers 127.0.0.1:4711 --count=3 --interval=0.1
#include "actnet/actors/blocking/gtcp.hpp"
#include "actnet/actors/command_line.hpp"
#include "actnet/actors/run.hpp"

#include <chrono>
#include <iostream>
#include <string>
#include <thread>

namespace gtcp = actnet::blocking::gtcp;

int main(int argc, char** argv) {
  std::string where = "127.0.0.1:8999";
  int count = 10'000;
  double interval = 1;
  actnet::command_line cli{"Sends numbers to a server of its own, which prints them."};
  cli.add("ENDPOINT", where, "IP:PORT of the server").shows_default().check(actnet::mistake_in_tcp_endpoint);
  cli.add("--count", count, "How many numbers").shows_default().in_range(0, 1'000'000'000);
  cli.add("--interval", interval, "Seconds between them").shows_default().in_range(0.0, 3600.0);

  return actnet::blocking::run(cli, argc, argv, [&](caf::actor_system& system) {
    gtcp::server server{system};
    server.listen(where).get();
    std::thread serving{[&] {
      (void)server.run([](gtcp::conn& conn) {
        while (auto data = conn.recv(-1))
          std::cout << data->view() << std::endl;
      });
    }};

    auto conn = gtcp::conn::connect(system, *server.address()).get();
    for (int i = 0; i < count; ++i) {
      if (auto sent = conn.send(std::to_string(i)); !sent)
        std::cerr << actnet::to_text(sent.error()) << "\n";
      std::this_thread::sleep_for(std::chrono::duration<double>{interval});
    }
    (void)conn.close();
    server.stop();
    serving.join();
    return std::cout ? 0 : 1;
  });
}
