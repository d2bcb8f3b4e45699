// The same server in the coroutine dialect: what that costs beyond messages.
#include "actnet/actors/coroutine/coroutine.hpp"

#include <string>

#include "echo_server.hpp"

namespace {

actnet::coroutine::task<> echo(actnet::coroutine::stream_socket peer) {
  for (;;) {
    auto some = co_await peer.read(65'536);
    if (!some || some->empty() || !co_await peer.write(std::move(*some)))
      co_return;
  }
}

} // namespace

int main(int argc, char** argv) {
  const auto order =
      actnet::bench::read_server_order(argc, argv, "actnet " ACTNET_VERSION " (coroutines)", {"tcp", "unix"});
  actnet::run_options options;
  options.program = "coroutine_echo";
  options.settings.loops.count = 1;
  options.settings.loops.turn_alarm = {}; // every turn is slow under valgrind
  return actnet::run_program(std::move(options), [&order](actnet::main_actor& self) -> caf::behavior {
    actnet::coroutine::serve(self, order.work == "unix" ? "unix:" + order.unix_path : "127.0.0.1:0", echo);
    return {};
  });
}
