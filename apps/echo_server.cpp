// Sends back what it gets, on any mix of endpoints at once. A stream's handler and a socket's handler are all there is.
//   echo_server 127.0.0.1:9999 udp://127.0.0.1:9999
//   echo_server unix:/tmp/echo unixgram:@echo
//   echo_server --frame=pkg2 --prefix='> ' 127.0.0.1:9999      frame by frame
//   echo_server --loops=2 --shard=reuse-port --max-connections=1000 '[::1]:9999'
#include "actnet/actors/command_line.hpp"
#include "actnet/actors/forwarding.hpp"
#include "actnet/actors/handler.hpp"
#include "actnet/actors/run.hpp"

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

/// Frame by frame, with something in front of each.
struct frame_echo : actnet::handler {
  actnet::connection peer;
  std::string prefix;

  frame_echo(caf::actor_config& cfg, actnet::connection c, actnet::net::framing format, std::string before,
             bool only_reads)
      : handler(cfg), peer(std::move(c)), prefix(std::move(before)) {
    peer.use_codec(std::move(format), only_reads);
  }

  caf::behavior make_behavior() override {
    return {
        [this](const actnet::stream::received& r) {
          if (prefix.empty())
            peer.write(r.payload);
          else
            peer.write(prefix + std::string{r.payload.view()});
        },
        [this](const actnet::stream::written&) { peer.close(); }, // an answer that is too large for a frame
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
        socket.answer(r, r.payload);
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
  std::optional<std::string> shard;
  std::string frame;
  std::string prefix;
  std::size_t frame_max = 0;
  actnet::command_line cli{"Sends back what it gets."};
  cli.add("ENDPOINT", where, "IP:PORT, udp://IP:PORT, unix:PATH, unixgram:PATH; any number of them")
      .required()
      .check(actnet::mistake_in_endpoint);
  cli.add("--loops", loops, "Event loops, each with a thread; 0: one for each processor").in_range(0, 1024);
  cli.add("--max-connections", max_connections, "At once for each stream endpoint; 0: any number");
  cli.add("--idle-timeout", idle_seconds, "Seconds until a silent connection is closed; 0: never")
      .in_range(0, 2'592'000);
  cli.add("--shard", shard, "How connections are spread over the loops: round-robin or reuse-port")
      .one_of({"round-robin", "reuse-port"});
  const auto framed = cli.add("--frame", frame,
                              "Streams: answer frame by frame; line, delimiter:XX (in hexadecimal), fixed:N, "
                              "pkg1 to pkg4 (gtcp's), u16le, u32le, u32be, u64be or varint")
                          .check(actnet::mistake_in_frame_format);
  cli.add("--prefix", prefix, "What each answer begins with").needs(framed);
  cli.add("--frame-max", frame_max,
          "Bytes of a frame; by default 64 KiB for line and delimiter, what pkg1 to pkg4 allow, else 64 MiB")
      .in_range(1, 2'147'483'647)
      .needs(framed);

  actnet::run_options program;
  program.command_line = [&](actnet::settings& settings) {
    auto& options = settings.listener;
    settings.loops.count = loops.value_or(settings.loops.count);
    options.max_connections = max_connections.value_or(options.max_connections);
    if (shard)
      options.shard = *shard == "reuse-port" ? actnet::shard::reuse_port : actnet::shard::round_robin;
    if (idle_seconds)
      options.connection.idle_timeout = std::chrono::seconds{*idle_seconds};
    options.connection.allow_half_open = true;
    actnet::make_room_for_all_credit(options.connection, options.connection);
  };
  const auto open_all = [&](actnet::main_actor& self) {
    for (const auto& each : where)
      if (is_for_datagrams(each))
        self.bind(each).with<datagram_echo>();
      else if (frame.empty())
        self.listen(each).each<stream_echo>();
      else
        // An answer with a prefix is not of the fixed size any more, and needs no mark.
        self.listen(each).each<frame_echo>(*actnet::net::framing::parse(frame, frame_max), prefix,
                                           frame.starts_with("fixed:") && !prefix.empty());
  };
  return actnet::run(cli, argc, argv, open_all, program);
}
