// The echo server that is measured: one loop, an actor for each connection and one for its handler.
//   actnet_echo PORT
#include "actnet/actors/actors.hpp"

#include <string>

namespace {

struct echo : actnet::handler {
  actnet::connection peer;

  echo(caf::actor_config& cfg, actnet::connection c) : handler(cfg), peer(std::move(c)) {}

  caf::behavior make_behavior() override {
    return {[this](const actnet::stream::received& r) { peer.write(r.payload); }};
  }
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 2)
    return 2;
  const std::string where = std::string{"127.0.0.1:"} + argv[1];
  actnet::run_options options;
  options.program = "actnet_echo";
  options.settings.loops.count = 1;
  return actnet::run_program(std::move(options), [where](actnet::main_actor& self) -> caf::behavior {
    self.listen(where).each<echo>();
    return {};
  });
}
