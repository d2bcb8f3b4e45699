// What keeps the fast path sound: an event handed over on the stack never overtakes, strands or re-enters.
#include "support/actor_world.hpp"

#include <caf/after.hpp>
#include <caf/skip.hpp>

#include <stdexcept>

using namespace actnet;
using namespace actnet::test;

namespace {

using received_handler = std::function<void(const stream::received&)>;

struct number {
  int value = 0;
};

std::string big(std::size_t size) {
  return std::string(size, 'x');
}

std::size_t index_of(const std::vector<std::string>& lines, std::string_view line) {
  return static_cast<std::size_t>(std::find(lines.begin(), lines.end(), line) - lines.begin());
}

/// An owner with the behaviour that a test gives it.
class scripted : public handler {
 public:
  using script = std::function<caf::behavior(scripted&)>;
  scripted(caf::actor_config& cfg, journal_ptr log, script s) : handler(cfg), log(std::move(log)), script_(std::move(s)) {}
  caf::behavior make_behavior() override { return script_(*this); }

  journal_ptr log;
  connection peer;

 private:
  script script_;
};

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(number)

TEST_CASE("what waits in the owner's mailbox is not overtaken by what is received", "[fast-path]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.owned(spawn_on<scripted>(world.loop(), log, [](scripted& self) -> caf::behavior {
    return {
        [&self](const stream::received& r) {
          self.log->add("received");
          if (r.payload.size() > 0)
            self.send(&self, number{1});
        },
        [&self](const number&) { self.log->add("number"); },
    };
  }));
  tcp_pair pair;
  pair.far.send_all(big(200'000)); // more than one read, and each is delivered before the next message has its turn
  world.adopt(pair, owner);
  log->expect("received", 2);
  log->expect("number", 2);
  const auto lines = log->lines();
  CHECK(lines[0] == "received");
  CHECK(lines[1] == "number");
}

TEST_CASE("while an answer is awaited, nothing is delivered and nothing is lost", "[fast-path]") {
  actor_world world;
  const auto log = make_journal();
  caf::response_promise promise;
  const auto other = world.spawn(make_journal());
  const auto server = world.owned(world.system().spawn([&promise](caf::event_based_actor* self) -> caf::behavior {
    return {
        [self, &promise](int) {
          promise = self->make_response_promise();
          return promise;
        },
        [self, &promise](caf::ok_atom) { promise.deliver(7); },
    };
  }));
  const auto owner = world.owned(spawn_on<scripted>(world.loop(), log, [server](scripted& self) -> caf::behavior {
    return {
        [&self](const stream::received& r) { self.log->add("received " + std::string{r.payload.view()}); },
        [&self, server](const number&) {
          self.request(server, caf::infinite, 1).await([&self](int n) { self.log->add("answer " + std::to_string(n)); });
          self.log->add("asked");
        },
    };
  }));
  tcp_pair pair;
  world.adopt(pair, owner);
  pair.far.send_all("zero");
  log->expect("received zero");
  caf::anon_send(owner, number{1});
  log->expect("asked");
  for (const auto* text : {"one", "two", "three"}) {
    pair.far.send_all(text);
    world.settle();
  }
  CHECK(log->count_like("received") == 1);
  caf::anon_send(server, caf::ok_atom_v);
  log->expect_like("received one");
  CHECK(eventually([&] { return log->text().find("three") != std::string::npos; }));
  const auto lines = log->lines();
  CHECK(lines[2] == "answer 7");
}

TEST_CASE("what a handler skips comes later, in order, and before what came after it", "[fast-path]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.owned(spawn_on<scripted>(world.loop(), log, [](scripted& self) -> caf::behavior {
    return {[&self](const stream::received& r) -> caf::result<void> {
      if (r.payload.view().starts_with("later"))
        return caf::skip;
      self.log->add("first " + std::string{r.payload.view()});
      self.become(
          caf::behavior{[&self](const stream::received& s) { self.log->add("then " + std::string{s.payload.view()}); }});
      return caf::unit;
    }};
  }));
  tcp_pair pair;
  world.adopt(pair, owner);
  for (const auto* text : {"later 1", "later 2", "now", "after"}) {
    pair.far.send_all(text);
  }
  log->expect("then after");
  CHECK(log->lines() == std::vector<std::string>{"first now", "then later 1", "then later 2", "then after"});
}
