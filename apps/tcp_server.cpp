// A TCP server that writes what its clients send to standard output: a connection is an actor, its handler is another.
//   tcp_server                         one client, on 0.0.0.0:9999
//   tcp_server -k 127.0.0.1:4711       any number of clients, until SIGINT or SIGTERM
#include "actnet/actors/command_line.hpp"
#include "actnet/actors/handler.hpp"
#include "actnet/actors/run.hpp"
#include "actnet/actors/standard_streams.hpp"

#include <string>

namespace {

struct sink : actnet::handler {
  actnet::connection client;
  caf::actor output;
  bool only_one;

  sink(caf::actor_config& cfg, actnet::connection c, caf::actor out, bool only)
      : handler(cfg), client(std::move(c)), output(std::move(out)), only_one(only) {
    join_program();
  }

  caf::behavior make_behavior() override {
    return {
        // The payload is the credit: while standard output is slow, nothing more is read from the client.
        [this](const actnet::stream::received& r) { send(output, actnet::stream::write{r.payload}); },
        // Who is busy gets the drain deadline.
        [this](const actnet::drain&) { client.set_idle_timeout(std::chrono::milliseconds{500}); },
        [this](const actnet::stream::closed& c) {
          if (only_one && c.reason == actnet::close_reason::peer_reset)
            fail_program("the client did not finish: " + actnet::to_text(c.cause));
          quit();
        },
    };
  }
};

} // namespace

int main(int argc, char** argv) {
  std::string where = "0.0.0.0:9999";
  bool keep_listening = false;
  actnet::command_line cli{"Writes what a TCP client sends to standard output."};
  cli.add("ENDPOINT", where, "IP:PORT to listen on").shows_default().check(actnet::mistake_in_tcp_endpoint);
  cli.add_flag("-k,--keep-listening", keep_listening, "Serve any number of clients, until a signal");

  return actnet::run(cli, argc, argv, [&](actnet::main_actor& self) -> caf::behavior {
    const auto output = actnet::open_standard_output(self);
    auto options = self.settings().listener;
    options.connection.idle_timeout = std::chrono::milliseconds{0};
    options.connection.credit_stall_warning = std::chrono::milliseconds{0}; // whoever reads the output may take a break
    options.connection.credit_stall_limit = std::chrono::milliseconds{0};
    if (keep_listening) {
      self.listen(where, options).each<sink>(output, false);
      return {};
    }
    options.max_connections = 1;
    const auto door = self.listen(where, options).start();
    return {[&self, door, output, taken = false](const actnet::accepted& a) mutable {
      if (std::exchange(taken, true)) // it came while the door was closing
        return a.connection.abort();
      door.stop_listening();
      const auto handler = actnet::spawn_on<sink>(*self.home(), a.connection, output, true);
      a.connection.set_owner(handler);
    }};
  });
}
