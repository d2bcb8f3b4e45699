// A program whose actor holds a loop for ever, so that no order reaches what lives there. Loop 0 is the main actor's.
//   stuck LOOP DRAIN_DEADLINE_MS
#include "actnet/actors/handler.hpp"
#include "actnet/actors/run.hpp"

#include <unistd.h>

#include <iostream>
#include <string>

namespace {

struct holder : actnet::handler {
  explicit holder(caf::actor_config& cfg) : handler(cfg) { join_program(); }

  caf::behavior make_behavior() override {
    std::cerr << "stuck\n" << std::flush;
    for (;;)
      ::pause();
  }
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 3)
    return 2;
  const auto loop = std::stoul(argv[1]);
  actnet::run_options options;
  options.program = "stuck";
  options.settings.loops.count = 2;
  options.settings.drain_deadline = std::chrono::milliseconds{std::stol(argv[2])};
  return actnet::run_program(options, [loop](actnet::main_actor& self) -> caf::behavior {
    actnet::spawn_on<holder>(actnet::loops::of(self.system()).at(loop));
    return {};
  });
}
