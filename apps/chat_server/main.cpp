// Talk to each other: a supervised room, and a session for each connection.
//   chat_server 127.0.0.1:9999 unix:/tmp/chat
//   nc 127.0.0.1 9999
#include "room.hpp"
#include "session.hpp"

#include "actnet/actors/command_line.hpp"
#include "actnet/actors/run.hpp"

#include <string>
#include <vector>

int main(int argc, char** argv) {
  std::vector<std::string> where;
  actnet::command_line cli{
      "A chat room. The first line that a client sends is its name, then each line goes to all others; "
      "/to NAME LINE goes to one."};
  cli.add("ENDPOINT", where, "IP:PORT or unix:PATH; any number of them")
      .required()
      .check(actnet::mistake_in_stream_endpoint);

  actnet::run_options program;
  program.settings.listener.connection.idle_timeout = std::chrono::milliseconds{0}; // people may be silent
  program.settings.listener.connection.write_high_bytes = 256 * 1024;
  program.command_line = [](actnet::settings& settings) {
    settings.listener.connection.when_slow = actnet::slow_peer::close; // who does not read is not waited for
    settings.listener.connection.allow_half_open = true;               // who has finished may have lines to be said
  };
  const auto open_all = [&](actnet::main_actor& self) {
    const auto room = self.start_child(actnet::worker<chat::room>("room"));
    for (const auto& each : where)
      self.listen(each).each<chat::session>(room);
  };
  return actnet::run(cli, argc, argv, open_all, program);
}
