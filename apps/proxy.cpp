// Forwards bytes both ways between whoever connects to LISTEN and TARGET, with one actor for each pair of connections.
// A payload is the credit of the side that it came from: when one peer does not read, the other is not read from, and
// no line below is there for it.
//   proxy 127.0.0.1:9998 127.0.0.1:9999
//   proxy unix:/tmp/door 127.0.0.1:9999
#include "actnet/actors/command_line.hpp"
#include "actnet/actors/forwarding.hpp"
#include "actnet/actors/handler.hpp"
#include "actnet/actors/run.hpp"
#include "actnet/net/log.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

namespace {

struct tunnel : actnet::handler {
  actnet::connection client;
  actnet::connection target;
  std::string where;
  bool client_finished = false; // perhaps before there is a target

  tunnel(caf::actor_config& cfg, actnet::connection c, std::string to)
      : handler(cfg), client(std::move(c)), where(std::move(to)) {
    client.pause_reading(); // until there is somebody to forward to
  }

  caf::behavior make_behavior() override {
    connect_to(where).start();
    return {
        [this](const actnet::connected& c) {
          target = c.connection;
          client.resume_reading();
          if (client_finished)
            target.finish();
        },
        [this](const actnet::connect_failed& f) {
          actnet::net::log_limited(actnet::net::log_level::warning, "proxy",
                                   "cannot connect to " + where + ": " + actnet::to_text(f.cause));
          quit(f.cause); // which resets the client
        },
        [this](const actnet::stream::received& r) { other().write(r.payload); },
        [this](const actnet::stream::peer_finished&) {
          client_finished |= current_sender() == client.pointer();
          other().finish();
        },
        [this](const actnet::stream::closed& c) {
          // The end of this actor ends the other connection: by a close, or by a reset if there is a cause.
          if (c.reason == actnet::close_reason::idle || c.reason == actnet::close_reason::deadline)
            return quit();
          if (c.reason != actnet::close_reason::both_finished)
            return quit(c.cause);
          // The other side has both ends too, and ends by itself when all is sent.
          if (current_sender() == client.pointer())
            client = {};
          else
            target = {};
          if (!client && !target)
            quit();
        },
    };
  }

  actnet::connection& other() { return current_sender() == client.pointer() ? target : client; }
};

} // namespace

int main(int argc, char** argv) {
  std::string listen_at;
  std::string target;
  std::optional<std::size_t> loops;
  actnet::command_line cli{"Forwards connections."};
  cli.add("LISTEN", listen_at, "IP:PORT or unix:PATH to listen on")
      .required()
      .check(actnet::mistake_in_stream_endpoint);
  cli.add("TARGET", target, "IP:PORT or unix:PATH to connect to, once for each connection")
      .required()
      .check(actnet::mistake_in_stream_endpoint);
  cli.add("--loops", loops, "Event loops, each with a thread; 0: one for each processor").in_range(0, 1024);

  actnet::run_options program;
  program.command_line = [&](actnet::settings& settings) {
    settings.loops.count = loops.value_or(settings.loops.count);
    settings.client.same_loop = true; // both connections of a pair, with its actor
    actnet::make_room_for_all_credit(settings.listener.connection, settings.client.connection);
    actnet::make_room_for_all_credit(settings.client.connection, settings.listener.connection);
    for (const auto side : {&settings.listener.connection, &settings.client.connection}) {
      side->allow_half_open = true;
      side->credit_stall_limit = std::chrono::milliseconds{0}; // a slow reader may take its time
      side->write_stall = std::chrono::milliseconds{0};
      if (side->close_timeout.count() > 0) // which then is the time for each of its steps, in a close
        side->close_timeout = std::max(side->close_timeout, std::chrono::milliseconds{60'000});
      side->when_slow = actnet::slow_peer::close; // never a gap in what is forwarded
    }
  };
  const auto open_door = [&](actnet::main_actor& self) { self.listen(listen_at).each<tunnel>(target); };
  return actnet::run(cli, argc, argv, open_door, program);
}
