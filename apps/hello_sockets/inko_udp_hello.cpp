// "Hello, sockets!" of Inko's manual, line by line: two UDP sockets in one program that waits in every call.
//   inko_udp_hello
#include "actnet/actors/blocking/blocking.hpp"

#include <iostream>

using actnet::blocking::udp_socket;

int main(int argc, char** argv) {
  return actnet::blocking::run(argc, argv, [](caf::actor_system& system) {
    auto server = udp_socket::bind(system, "0.0.0.0:0").get(); // port 0: the kernel chooses a free one
    auto client = udp_socket::bind(system, "0.0.0.0:0").get();

    // The server's address is 0.0.0.0. On Linux that is this machine; other systems refuse to connect to it.
    client.connect(server.local_endpoint()).get();
    client.write("Hello, world!").get();

    std::cout << server.read(32).get().view() << std::flush;
    return std::cout ? 0 : 1;
  });
}
