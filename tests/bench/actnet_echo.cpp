// The server that is measured: one loop, an actor for each socket and one for its handler.
#include "actnet/actors/handler.hpp"
#include "actnet/actors/run.hpp"

#include <string>

#include "echo_server.hpp"

namespace {

struct echo : actnet::handler {
  actnet::connection peer;

  echo(caf::actor_config& cfg, actnet::connection c) : handler(cfg), peer(std::move(c)) {}

  caf::behavior make_behavior() override {
    return {[this](const actnet::stream::received& r) { peer.write(r.payload); }};
  }
};

struct datagram_echo : actnet::handler {
  actnet::datagram_socket socket;

  datagram_echo(caf::actor_config& cfg, actnet::datagram_socket s) : handler(cfg), socket(std::move(s)) {}

  caf::behavior make_behavior() override {
    return {[this](const actnet::datagram::received& r) { socket.send_to(r.from, r.payload); }};
  }
};

/// One way of a proxy: owns the connection to the upstream server, and writes what comes from there to the client.
struct way_back : actnet::handler {
  actnet::connection client;

  way_back(caf::actor_config& cfg, actnet::connection, actnet::connection to) : handler(cfg), client(std::move(to)) {}

  caf::behavior make_behavior() override {
    return {
        [this](const actnet::stream::received& r) { client.write(r.payload); },
        [this](const actnet::stream::closed&) {
          client.close();
          quit();
        },
    };
  }
};

/// The other: owns the client's connection, which is read once there is a server to write to.
struct way_there : actnet::handler {
  actnet::connection client;
  actnet::endpoint upstream;
  actnet::connection server;

  way_there(caf::actor_config& cfg, actnet::connection c, actnet::endpoint to)
      : handler(cfg), client(std::move(c)), upstream(std::move(to)) {
    client.pause_reading();
  }

  caf::behavior make_behavior() override {
    connect_to(upstream).with<way_back>(client);
    return {
        [this](const actnet::connected& c) {
          server = c.connection;
          client.resume_reading();
        },
        [this](const actnet::stream::received& r) { server.write(r.payload); },
        [this](const actnet::stream::closed&) {
          if (server)
            server.close();
          quit();
        },
    };
  }
};

} // namespace

int main(int argc, char** argv) {
  const auto order =
      actnet::bench::read_server_order(argc, argv, "actnet " ACTNET_VERSION, {"tcp", "udp", "unix", "proxy"});
  actnet::run_options options;
  options.program = "actnet_echo";
  options.settings.loops.count = 1;
  options.settings.loops.turn_alarm = {}; // every turn is slow under valgrind
  return actnet::run_program(std::move(options), [&order](actnet::main_actor& self) -> caf::behavior {
    const std::string free_port = "127.0.0.1:0";
    if (order.work == "udp") {
      self.bind("udp://" + free_port).with<datagram_echo>();
    } else if (order.work == "unix") {
      self.listen("unix:" + order.unix_path).each<echo>();
    } else if (order.work == "proxy") {
      self.listen(free_port).each<way_there>(
          actnet::endpoint::tcp(actnet::net::ip_address::loopback_v4(), order.upstream_port));
    } else {
      self.listen(free_port).each<echo>();
    }
    return {};
  });
}
