// What keeps the fast path sound: an event handed over on the stack never overtakes, strands or re-enters.
#include "support/actor_world.hpp"
#include "support/position_stream.hpp"

#include <caf/after.hpp>
#include <caf/skip.hpp>

#include <atomic>
#include <stdexcept>

using namespace actnet;
using namespace actnet::test;

namespace {

struct number {
  int value = 0;
};

std::string big(std::size_t size) {
  return std::string(size, 'x');
}

/// An owner with the behaviour that a test gives it.
class scripted : public handler {
 public:
  using script = std::function<caf::behavior(scripted&)>;
  scripted(caf::actor_config& cfg, journal_ptr to, script s)
      : handler(cfg), log(std::move(to)), script_(std::move(s)) {}
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
  connected_pair pair{each_carrier()};
  pair.far.send_all(big(100'000)); // more than one read, and each is delivered before the next message has its turn
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
  // Lives with the actor: deliver() goes on for a moment after the answer has arrived.
  const auto promise = std::make_shared<caf::response_promise>();
  const auto server =
      world.owned(spawn_function(world.system(), [promise](caf::event_based_actor* self) -> caf::behavior {
        return {
            [self, promise](int) {
              *promise = self->make_response_promise();
              return *promise;
            },
            [promise](caf::ok_atom) { promise->deliver(7); },
        };
      }));
  const auto owner = world.owned(spawn_on<scripted>(world.loop(), log, [server](scripted& self) -> caf::behavior {
    return {
        [&self](const stream::received& r) { self.log->add("received " + std::string{r.payload.view()}); },
        [&self, server](const number&) {
          self.request(server, caf::infinite, 1).await([&self](int n) {
            self.log->add("answer " + std::to_string(n));
          });
          self.log->add("asked");
        },
    };
  }));
  connected_pair pair{each_carrier()};
  const auto c = world.adopt(pair, owner);
  caf::anon_send(owner, number{1});
  log->expect("asked");
  for (const std::string text : {"1", "2", "3"}) {
    pair.far.send_all(text);
    world.await_read(c, text[0] - '0');
  }
  CHECK(log->lines().size() == 1);
  caf::anon_send(server, caf::ok_atom_v);
  log->expect("received 3");
  CHECK(log->lines() == std::vector<std::string>{"asked", "answer 7", "received 1", "received 2", "received 3"});
}

TEST_CASE("what a handler skips comes later, in order, and before what came after it", "[fast-path]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.owned(spawn_on<scripted>(world.loop(), log, [](scripted& self) -> caf::behavior {
    return {[&self](const stream::received& r) -> caf::result<void> {
      if (r.payload.view().starts_with("later"))
        return caf::skip;
      self.log->add("first " + std::string{r.payload.view()});
      self.become(caf::behavior{
          [&self](const stream::received& s) { self.log->add("then " + std::string{s.payload.view()}); }});
      return caf::unit;
    }};
  }));
  connected_pair pair{each_carrier()};
  const auto c = world.adopt(pair, owner);
  std::size_t sent = 0;
  for (const std::string text : {"later 1", "later 2", "now", "after"}) {
    pair.far.send_all(text);
    world.await_read(c, sent += text.size()); // each by itself
  }
  log->expect("then after");
  CHECK(log->lines() == std::vector<std::string>{"first now", "then later 1", "then later 2", "then after"});
}

TEST_CASE("a handler may change its behaviour in the middle of a delivery", "[fast-path]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.owned(spawn_on<scripted>(world.loop(), log, [](scripted& self) -> caf::behavior {
    const auto kept = std::make_shared<std::string>(1'000, 'k'); // freed with the behaviour
    return {[&self, kept](const stream::received& r) {
      const auto inner = std::make_shared<std::string>(1'000, 'i');
      self.become(caf::keep_behavior, [&self, inner](const stream::received& s) {
        self.unbecome();
        self.log->add("inner " + std::string{s.payload.view()} + inner->substr(0, 1));
      });
      self.log->add("outer " + std::string{r.payload.view()} + kept->substr(0, 1));
    }};
  }));
  connected_pair pair{each_carrier()};
  world.adopt(pair, owner);
  for (int i = 0; i < 50; ++i) {
    const auto text = std::to_string(i);
    pair.far.send_all(text);
    log->expect((i % 2 == 0 ? "outer " + text + "k" : "inner " + text + "i"));
  }
}

TEST_CASE("a peer_finished that is skipped comes once, when it is wanted", "[fast-path]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.owned(spawn_on<scripted>(world.loop(), log, [](scripted& self) -> caf::behavior {
    self.set_default_handler(caf::skip);
    return {[&self](const number&) {
      self.become(caf::behavior{[&self](const stream::peer_finished&) { self.log->add("peer_finished"); },
                                [&self](const stream::closed& c) {
                                  self.log->add("closed " + std::string{to_string(c.reason)});
                                  self.quit();
                                }});
    }};
  }));
  connected_pair pair{each_carrier()};
  const auto c = world.adopt(pair, owner);
  pair.far.finish();
  REQUIRE(eventually([&] { return world.info(c).state == connection_state::peer_finished; }));
  caf::anon_send(owner, number{1});
  log->expect("closed peer_finished");
  CHECK(log->lines() == std::vector<std::string>{"peer_finished", "closed peer_finished"});
}

TEST_CASE("a receive timeout and what is received live together", "[fast-path]") {
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.owned(spawn_on<scripted>(world.loop(), log, [](scripted& self) -> caf::behavior {
    return {[&self](const stream::received& r) { self.log->add("received " + std::string{r.payload.view()}); },
            caf::after(30ms) >> [&self] { self.log->add("timeout"); }};
  }));
  connected_pair pair{each_carrier()};
  world.adopt(pair, owner);
  log->expect("timeout");
  pair.far.send_all("one");
  log->expect("received one");
  const auto before = log->count("timeout");
  log->expect("timeout", before + 1);
  pair.far.send_all("two");
  log->expect("received two");
}

TEST_CASE("a receive timeout begins anew with everything that is received", "[fast-path]") {
  using clock = std::chrono::steady_clock;
  actor_world world;
  std::atomic<int> early{0};
  auto last = clock::now();
  const auto owner = world.owned(spawn_on<scripted>(world.loop(), make_journal(), [&](scripted& self) -> caf::behavior {
    return {[&](const stream::received& r) {
              last = clock::now();
              self.send(caf::actor_cast<caf::actor>(self.current_sender()), stream::write{r.payload});
            },
            caf::after(100ms) >> [&] { early += clock::now() - last < 50ms; }};
  }));
  connected_pair pair{each_carrier()};
  world.adopt(pair, owner);
  for (const auto end = clock::now() + 600ms; clock::now() < end;) {
    pair.far.send_all("x");
    pair.far.read_exactly(1);
  }
  CHECK(early <= 1); // one may be on its way when the machine is slow; without a new beginning there are five
}

TEST_CASE("a handler may end in the middle of a delivery, in every way", "[fast-path]") {
  struct way {
    const char* name;
    std::function<void(scripted&)> end;
    bool resets;
  };
  const auto w = GENERATE(
      way{"quits", [](scripted& self) { self.quit(); }, false},
      way{"quits with a failure", [](scripted& self) { self.quit(make_error(errc::io_error)); }, true},
      way{"throws", [](scripted&) { throw std::runtime_error{"as ordered"}; }, true},
      way{"throws something else", [](scripted&) { throw 42; }, true},
      way{"kills itself", [](scripted& self) { self.send_exit(&self, caf::exit_reason::kill); }, true},
      way{"shuts itself down", [](scripted& self) { self.send_exit(&self, caf::exit_reason::user_shutdown); }, false});
  INFO("a handler that " << w.name);
  captured_log quiet;
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.owned(spawn_on<scripted>(world.loop(), log, [&w](scripted& self) -> caf::behavior {
    return {[&self, &w](const stream::received& r) {
      self.log->add("received " + std::to_string(r.payload.size()));
      self.peer.write("last words");
      w.end(self);
    }};
  }));
  connected_pair pair{each_carrier()};
  pair.far.send_all(big(100'000));
  auto near = std::move(pair);
  std::promise<void> given;
  caf::anon_send(world.spawn(make_journal()), perform{[&](probe&) {
                   auto& self = dynamic_cast<scripted&>(*caf::actor_cast<caf::abstract_actor*>(owner));
                   self.peer = world.adopt(near, owner); // in the owner's thread, so that nothing has come yet
                   given.set_value();
                 }});
  given.get_future().wait();
  if (w.resets) {
    const auto seen = near.far.await_end();
    CHECK((seen == ending::reset || near.over == carrier::local)); // there only if bytes of the peer's were left unread
  } else {
    CHECK(near.far.read_to_end() == "last words");
    near.far.close();
  }
  CHECK(log->lines().size() == 1);
}

TEST_CASE("a handler may end its connection in the middle of a delivery", "[fast-path]") {
  const auto aborts = GENERATE(true, false);
  INFO((aborts ? "abort" : "close"));
  actor_world world;
  const auto log = make_journal();
  std::size_t received = 0;
  connected_pair pair{each_carrier()};
  pair.far.send_all(big(100'000));
  const auto owner = world.spawn(log, [&](probe& self, const std::string& line) {
    if (line.starts_with("received")) {
      if (++received == 1)
        aborts ? self.peer.abort() : self.peer.close();
    } else if (line.starts_with("closed")) {
      self.peer.write("too late", 9);
      self.peer.close();
    }
  });
  world.in(owner, [&](probe& self) { self.peer = world.adopt(pair, owner); });
  if (aborts) {
    log->expect(with_cause("closed aborted", errc::aborted));
    CHECK(pair.far.await_end() == ending::reset); // also on a Unix stream: bytes were left unread
  } else {
    CHECK(pair.far.read_to_end().empty());
    pair.far.close();
    log->expect("closed requested");
  }
  log->expect(with_cause("written 9 0", errc::closed));
  CHECK(received == 1);
}

TEST_CASE("two connections that write to each other's peers carry every byte both ways", "[fast-path]") {
  const std::size_t loop_count = GENERATE(1u, 2u);
  constexpr std::size_t size = 1'000'000;
  actor_world world{loop_count};
  connected_pair one{each_carrier()}, two{each_carrier()};
  class relay final : public handler {
   public:
    relay(caf::actor_config& cfg, std::shared_ptr<connection> other) : handler(cfg), other_(std::move(other)) {}
    caf::behavior make_behavior() override {
      return {[this](const stream::received& r) { other_->write(r.payload); },
              [this](const stream::peer_finished&) { other_->finish(); }};
    }

   private:
    std::shared_ptr<connection> other_;
  };
  connection_options options;
  options.allow_half_open = true;
  options.write_high_bytes = 8'000'000;
  const auto first = std::make_shared<connection>();
  const auto second = std::make_shared<connection>();
  const auto left = world.owned(spawn_on<relay>(world.loop(0), second));
  const auto right = world.owned(spawn_on<relay>(world.loop(loop_count - 1), first));
  *first = world.adopt(one, left, options);
  *second = world.adopt(two, right, options);
  std::thread writer{[&] {
    const auto all = position_stream{1}.bytes(size);
    one.far.send_all(all);
    one.far.finish();
  }};
  std::thread writer_back{[&] {
    const auto all = position_stream{2}.bytes(size);
    two.far.send_all(all);
    two.far.finish();
  }};
  std::string there, back;
  std::thread reader{[&] { there = two.far.read_to_end(); }};
  back = one.far.read_to_end();
  reader.join();
  writer.join();
  writer_back.join();
  position_checker there_checker{1}, back_checker{2};
  CHECK(there_checker.feed(there));
  CHECK(there.size() == size);
  CHECK(back_checker.feed(back));
  CHECK(back.size() == size);
}
