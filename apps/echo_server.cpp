// Sends back what it gets, on any mix of endpoints at once. A stream's handler and a socket's handler are all there is.
//   echo_server 127.0.0.1:9999 udp://127.0.0.1:9999
//   echo_server unix:/tmp/echo unixgram:@echo
//   echo_server --loops=2 --shard=reuse-port --max-connections=1000 '[::1]:9999'
#include "actnet/actors/actors.hpp"
#include "actnet/actors/forwarding.hpp"

#include <CLI/CLI.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace {

struct stream_echo : actnet::handler {
  actnet::connection peer;

  stream_echo(caf::actor_config& cfg, actnet::connection c) : handler(cfg), peer(std::move(c)) {}

  caf::behavior make_behavior() override {
    return {
        // The payload is the credit: from a peer that does not read, nothing more is taken.
        [this](const actnet::stream::received& r) { peer.write(r.payload); },
        [this](const actnet::stream::peer_finished&) { peer.finish(); },
    };
  }
};

struct datagram_echo : actnet::handler {
  actnet::datagram_socket socket;

  datagram_echo(caf::actor_config& cfg, actnet::datagram_socket s) : handler(cfg), socket(std::move(s)) {}

  caf::behavior make_behavior() override {
    return {[this](const actnet::datagram::received& r) {
      const auto nameless = !r.from.is_ip() && r.from.path().empty(); // nobody to answer
      if (!nameless)
        socket.send_to(r.from, r.payload);
    }};
  }
};

bool is_for_datagrams(const std::string& where) {
  const auto transport = actnet::endpoint::parse(where)->transport();
  return transport == actnet::net::transport::udp || transport == actnet::net::transport::unix_datagram;
}

} // namespace

int main(int argc, char** argv) {
  std::vector<std::string> where;
  std::optional<std::size_t> loops;
  std::optional<std::uint32_t> max_connections;
  std::optional<std::uint32_t> idle_seconds;
  std::optional<actnet::shard> shard;
  CLI::App cli{"Sends back what it gets."};
  cli.add_option("ENDPOINT", where, "IP:PORT, udp://IP:PORT, unix:PATH, unixgram:PATH; any number of them")
      ->required()
      ->check(actnet::mistake_in_endpoint);
  cli.add_option("--loops", loops, "Event loops, each with a thread; 0: one for each processor")
      ->check(CLI::Range(0, 1024));
  cli.add_option("--max-connections", max_connections, "At once for each stream endpoint; 0: any number");
  cli.add_option("--idle-timeout", idle_seconds, "Seconds until a silent connection is closed; 0: never")
      ->check(CLI::Range(0, 2'592'000));
  const std::map<std::string, actnet::shard> shards{{"round-robin", actnet::shard::round_robin},
                                                    {"reuse-port", actnet::shard::reuse_port}};
  cli.add_option("--shard", shard, "How connections are spread over the loops: round-robin or reuse-port")
      ->transform(CLI::CheckedTransformer(shards));

  actnet::run_options program;
  program.command_line = [&](actnet::settings& settings) {
    auto& options = settings.listener;
    settings.loops.count = loops.value_or(settings.loops.count);
    options.max_connections = max_connections.value_or(options.max_connections);
    options.shard = shard.value_or(options.shard);
    if (idle_seconds)
      options.connection.idle_timeout = std::chrono::seconds{*idle_seconds};
    options.connection.allow_half_open = true;
    actnet::make_room_for_all_credit(options.connection, options.connection);
    options.connection.when_slow = actnet::slow_peer::close; // never a gap in what is sent back
  };
  const auto open_all = [&](actnet::main_actor& self) {
    for (const auto& each : where)
      if (is_for_datagrams(each))
        self.bind(each).with<datagram_echo>();
      else
        self.listen(each).each<stream_echo>();
  };
  return actnet::run(cli, argc, argv, open_all, program);
}
