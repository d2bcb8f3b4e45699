// Two UDP sockets, each owned by an actor, in one program: the client sends `Hello, world!`, the server prints it.
//   udp_hello
#include "actnet/actors/command_line.hpp"
#include "actnet/actors/handler.hpp"
#include "actnet/actors/run.hpp"
#include "actnet/actors/standard_streams.hpp"

#include <string>

namespace {

struct server : actnet::handler {
  actnet::datagram_socket socket;
  caf::actor output;

  server(caf::actor_config& cfg, actnet::datagram_socket s, caf::actor out)
      : handler(cfg), socket(std::move(s)), output(std::move(out)) {}

  caf::behavior make_behavior() override {
    return {[this](const actnet::datagram::received& r) {
      send(output, actnet::stream::write{actnet::bytes::copy(std::string{r.payload.view()} + "\n")});
      stop_program();
    }};
  }
};

struct client : actnet::handler {
  actnet::datagram_socket socket;
  actnet::endpoint server;

  client(caf::actor_config& cfg, actnet::datagram_socket s, actnet::endpoint to)
      : handler(cfg), socket(std::move(s)), server(std::move(to)) {}

  caf::behavior make_behavior() override {
    socket.connect(server);
    socket.send("Hello, world!");
    return {[this](const actnet::datagram::sent& outcome) { // with token 0: only of a failure
      fail_program("cannot send to " + server.to_string() + ": " + actnet::to_text(outcome.cause));
    }};
  }
};

} // namespace

int main(int argc, char** argv) {
  actnet::command_line cli{"Sends a datagram from one socket of its own to another and prints it."};
  return actnet::run(cli, argc, argv, [](actnet::main_actor& self) -> caf::behavior {
    const auto any_port = "udp://127.0.0.1:0";
    const auto first = self.bind(any_port).with<server>(actnet::open_standard_output(self));
    // In place of the line `listening on`: nobody else is to send here.
    return {[&self, first, any_port](const actnet::bound& b) {
      if (b.socket == first)
        self.bind(any_port).with<client>(b.local);
    }};
  });
}
