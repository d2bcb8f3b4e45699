// A program with two levels of supervisors: a clerk, who fails when he is told to by a client of the door.
#include "actnet/actors/handler.hpp"
#include "actnet/actors/run.hpp"
#include "actnet/actors/supervision/supervisor.hpp"

#include <stdexcept>
#include <string>

namespace {

struct clerk : actnet::handler {
  using handler::handler;

  caf::behavior make_behavior() override {
    return {[](const std::string& order) {
      if (order == "fail")
        throw std::runtime_error{"as told"};
    }};
  }
};

struct client : actnet::handler {
  actnet::connection peer;
  caf::actor served_by;

  client(caf::actor_config& cfg, actnet::connection c, caf::actor who)
      : handler(cfg), peer(std::move(c)), served_by(std::move(who)) {}

  caf::behavior make_behavior() override {
    return {[this](const actnet::stream::received& r) { send(served_by, std::string{r.payload.view()}); }};
  }

  void on_exit() override { served_by = nullptr; }
};

} // namespace

int main(int argc, char** argv) {
  return actnet::run(argc, argv, [](actnet::main_actor& self) {
    actnet::child_spec door;
    door.id = "door";
    door.start = [](const actnet::start_context& my) -> actnet::started_child {
      return my.listen("127.0.0.1:0").each<client>(my.sibling("clerk"));
    };
    self.start_child(actnet::supervise("office", {}, {actnet::worker<clerk>("clerk"), door}));
  });
}
