// What peers can put into the log by making handlers fail: a line a second, with the number of the others.
#include "support/actor_world.hpp"

#include <stdexcept>

using namespace actnet;
using namespace actnet::test;

namespace {

/// For the log's rate limit, time stands still.
class log_in_one_second {
 public:
  log_in_one_second() { net::set_log_clock(clock); }
  ~log_in_one_second() { net::set_log_clock(net::monotonic_clock::instance()); }

  net::manual_clock clock;
};

/// Fails at the first thing that it is sent.
class picky final : public handler {
 public:
  picky(caf::actor_config& cfg, connection) : handler(cfg) {}
  caf::behavior make_behavior() override {
    return {[](const stream::received&) { throw std::runtime_error{"cannot parse"}; }};
  }
};

/// Fails before.
class stillborn final : public handler {
 public:
  stillborn(caf::actor_config& cfg, connection) : handler(cfg) { throw std::runtime_error{"not today"}; }
};

enum class failing_at { at_input, at_birth };

} // namespace

TEST_CASE("however many peers make their handlers fail, that is a line a second of each kind", "[log_flood]") {
  const auto how = GENERATE(failing_at::at_input, failing_at::at_birth);
  constexpr int many = 30;
  captured_log said;
  log_in_one_second limits;
  actor_world world;
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  world.in(boss, [&](probe& self) {
    if (how == failing_at::at_input)
      self.listen("127.0.0.1:0").each<picky>();
    else
      self.listen("127.0.0.1:0").each<stillborn>();
  });
  log->expect("listening");
  const auto port = world.port_of(boss);
  const auto visit = [&](int count) {
    for (int i = 0; i < count; ++i) {
      peer guest{port};
      if (how == failing_at::at_input)
        guest.send_all("?");
      (void)guest.await_end();
    }
    world.settle();
  };
  visit(many);
  CHECK(said.lines.count_like("actor: ") == 1);
  limits.clock.advance(1s);
  visit(1);
  CHECK(said.lines.count_like("actor: ") == 2);
  INFO(said.lines.text());
  CHECK(said.lines.text().find("(suppressed before: " + std::to_string(many - 1) + " of this kind)") !=
        std::string::npos);
}
