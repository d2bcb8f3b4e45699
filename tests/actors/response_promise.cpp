// Answers given later: kept whatever becomes of the actor that promised them.
#include "support/actor_world.hpp"

#include <stdexcept>

using namespace actnet;
using namespace actnet::test;

namespace {

struct question {
  int number = 0;
};
/// What it does with the promises it has made.
enum class then { deliver, deliver_error, drop, quit, quit_in_error, throw_up };

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(question)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(then)

namespace {

using promises = std::vector<response_promise>;

/// Keeps every promise until it is told what to do.
class promiser final : public handler {
 public:
  explicit promiser(caf::actor_config& cfg, std::shared_ptr<promises> outside = nullptr)
      : handler(cfg), outside_(std::move(outside)) {}

  caf::behavior make_behavior() override {
    return {
        [this](const question&) {
          auto made = make_response_promise();
          open_.push_back(made);
          if (outside_)
            outside_->push_back(std::move(made));
        },
        [this](then what) {
          switch (what) {
          case then::deliver:
            for (auto& each : open_)
              each.deliver(std::string{"here"});
            break;
          case then::deliver_error:
            for (auto& each : open_)
              each.deliver(make_error(errc::not_found));
            break;
          case then::drop: open_.clear(); break;
          case then::quit: quit(); break;
          case then::quit_in_error: quit(make_error(errc::idle)); break;
          case then::throw_up: throw std::runtime_error{"out of order"};
          }
        },
    };
  }

 private:
  promises open_;
  std::shared_ptr<promises> outside_;
};

struct promising_world {
  promising_world() : promising_world(nullptr) {}
  explicit promising_world(std::shared_ptr<promises> outside)
      : who(world.owned(spawn_on<promiser>(world.loop(), std::move(outside)))), asker(world.spawn(make_journal())) {}

  /// Writes down each answer.
  void ask(int many = 1) {
    world.in(asker, [&](probe& self) {
      for (int i = 0; i < many; ++i)
        self.request(who, caf::infinite, question{i})
            .then([log = answers](const std::string& text) { log->add(text); },
                  [log = answers](const caf::error& cause) { log->add(to_text(cause)); });
    });
    world.settle();
  }

  void tell(then what) {
    caf::anon_send(who, what);
    world.settle();
  }

  actor_world world;
  caf::actor who;
  caf::actor asker;
  journal_ptr answers = make_journal();
};

} // namespace

TEST_CASE("a promise is kept when it is delivered, with a value or an error, and once", "[promise]") {
  promising_world w;
  w.ask(3);
  CHECK(w.answers->lines().empty());
  SECTION("value") {
    w.tell(then::deliver);
    w.answers->expect("here", 3);
  }
  SECTION("error") {
    w.tell(then::deliver_error);
    w.answers->expect("not found", 3);
  }
  for (const auto again : {then::deliver, then::deliver_error, then::drop, then::quit})
    w.tell(again);
  CHECK(w.answers->lines().size() == 3);
}

TEST_CASE("a promise that is dropped, or whose actor ends, is answered with an error at once", "[promise]") {
  using ways = std::pair<then, std::string>;
  const auto [what, expected] =
      GENERATE(ways{then::drop, "the request was given up without an answer"}, ways{then::quit, ""},
               ways{then::quit_in_error, "idle for too long"}, ways{then::throw_up, "out of order"});
  promising_world w;
  w.ask(3);
  w.tell(what);
  w.answers->expect_like(expected, 3);
  w.tell(then::deliver);
  CHECK(w.answers->lines().size() == 3);
}

TEST_CASE("a promise of an actor that is killed is answered with an error at once", "[promise]") {
  promising_world w;
  w.ask(3);
  w.world.kill(w.who);
  w.answers->expect_like("", 3);
  w.world.settle();
  CHECK(w.answers->lines().size() == 3);
}

TEST_CASE("copies are one promise: it is dropped with the last, and survives its actor without harm", "[promise]") {
  const auto outside = std::make_shared<promises>();
  promising_world w{outside};
  w.ask();
  SECTION("the last copy goes") {
    w.tell(then::drop);
    CHECK(w.answers->lines().empty());
    w.world.in(w.asker, [&](probe&) { outside->clear(); }); // in the loop's thread
    w.answers->expect("the request was given up without an answer");
  }
  SECTION("a copy is delivered") {
    w.world.in(w.asker, [&](probe&) {
      CHECK(outside->front().pending());
      outside->front().deliver(std::string{"from outside"});
      CHECK_FALSE(outside->front().pending());
    });
    w.answers->expect("from outside");
    w.tell(then::deliver);
    w.tell(then::drop);
  }
  SECTION("the actor ends before the copy") {
    w.tell(then::quit_in_error);
    w.answers->expect("idle for too long");
    w.world.in(w.asker, [&](probe&) {
      CHECK_FALSE(outside->front().pending());
      outside->front().deliver(std::string{"too late"});
      outside->clear();
    });
  }
  w.world.settle();
  CHECK(w.answers->lines().size() == 1);
}

TEST_CASE("promises are given up in any order", "[promise]") {
  const auto outside = std::make_shared<promises>();
  promising_world w{outside};
  w.ask(5);
  w.tell(then::drop);
  for (const std::size_t which : {2, 0, 2, 1, 0})
    w.world.in(w.asker, [&](probe&) { outside->erase(outside->begin() + std::ptrdiff_t(which)); });
  w.answers->expect("the request was given up without an answer", 5);
}

TEST_CASE("a message that is no request makes a promise of nobody", "[promise]") {
  const auto outside = std::make_shared<promises>();
  promising_world w{outside};
  caf::anon_send(w.who, question{});
  w.world.in(w.asker, [&](probe& self) { self.send(w.who, question{}); });
  w.world.settle();
  w.world.in(w.asker, [&](probe&) {
    REQUIRE(outside->size() == 2);
    for (auto& each : *outside) {
      CHECK_FALSE(each.pending());
      each.deliver(std::string{"to nobody"});
    }
  });
  w.tell(then::throw_up);
  response_promise().deliver(1);
}
