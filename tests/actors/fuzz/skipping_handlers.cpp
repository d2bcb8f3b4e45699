// Events on the stack and through the mailbox to a handler that skips, changes its behaviour, awaits answers and times
// out: the bytes of the peer come in order, once, all of them, then its end, then `closed`.
#include "support/fuzzing.hpp"
#include "support/position_stream.hpp"

#include <caf/skip.hpp>

using namespace actnet;
using namespace actnet::test;

namespace {

/// What one skipping handler has seen. Any thread.
struct sightings {
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<int> numbers{0};
  std::atomic<int> closed{0};
  std::atomic<int> misplaced{0}; ///< Bytes that are not those of their place, or numbers out of their order.
  std::atomic<int> after_end{0}; ///< Events after one that should be the last of its kind.
};

class answering : public handler {
 public:
  using handler::handler;
  caf::behavior make_behavior() override {
    return {[](int x) { return x; }};
  }
};

/// To a skipping handler: see again.
struct open_eyes {};

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(open_eyes)

namespace {

class skipping : public handler {
 public:
  skipping(caf::actor_config& cfg, std::shared_ptr<sightings> seen, caf::actor answers, unsigned seed)
      : handler(cfg), seen_(std::move(seen)), answers_(std::move(answers)), by_(seed), expected_(seed) {
    set_default_handler(caf::skip);
  }

  caf::behavior make_behavior() override { return seeing(); }
  void on_exit() override { answers_ = nullptr; }

 private:
  caf::behavior seeing() {
    return caf::message_handler{
        [this](const stream::received& r) {
          take(r);
          if (by_.one_in(4))
            change();
        },
        [this](const stream::peer_finished&) { ended_ = true; },
        [this](const stream::closed&) {
          ++seen_->closed;
          quit();
        },
    }
        .or_else(always());
  }
  caf::behavior blind() {
    send(this, open_eyes{});
    return always();
  }
  /// Takes bytes only, for a while.
  caf::behavior for_a_while() {
    return {
        [this](const stream::received& r) { take(r); },
        [this](int number) { count(number); },
        [this](open_eyes) { become(seeing()); },
        caf::after(2ms) >> [this] { become(seeing()); },
    };
  }
  caf::message_handler always() {
    return {
        [this](int number) {
          count(number);
          change();
        },
        [this](open_eyes) { change(); },
    };
  }

  void change() {
    switch (by_.below(9)) {
    case 0: become(blind()); break;
    case 1: become(seeing()); break;
    case 2: become(caf::keep_behavior, blind()); break;
    case 3:
      unbecome();
      become(seeing());
      break;
    case 4:
      request(answers_, caf::infinite, 1).await([this](int) {
        if (by_.one_in(2))
          become(seeing());
      });
      break;
    case 5:
      request(answers_, caf::infinite, 1).then([this](int) {
        if (!by_.one_in(3))
          become(seeing());
      });
      break;
    case 6: send(this, open_eyes{}); break;
    case 7: become(for_a_while()); break;
    default: break;
    }
  }

  void take(const stream::received& r) {
    seen_->after_end += ended_;
    seen_->misplaced += !expected_.feed(r.payload.view());
    seen_->bytes = expected_.offset();
  }
  void count(int number) { seen_->misplaced += number != seen_->numbers++; }

  std::shared_ptr<sightings> seen_;
  caf::actor answers_;
  chance by_;
  position_checker expected_;
  bool ended_ = false;
};

/// What was wrong; empty: nothing.
std::string wrong_with_skipping(fuzz_world& world, const caf::actor& answers, unsigned seed) {
  chance by{seed};
  auto ends = world.open_stream(seed % 2 != 0 ? carrier::tcp : carrier::local, 65'536);
  const auto seen = std::make_shared<sightings>();
  const auto handled = spawn_on<skipping>(world.loop(by.below(2)), seen, answers, seed);
  const auto conn = *adopt_connection(world.system(), ends.near.release(), handled);
  const position_stream source{seed};
  std::uint64_t sent = 0;
  int numbers = 0;
  for (int i = 0; i < 60; ++i) {
    const auto piece = source.bytes(by.below(by.one_in(5) ? 5'000 : 50) + 1, sent);
    sent += ends.far.send({reinterpret_cast<const char*>(piece.data()), piece.size()});
    if (by.one_in(2))
      caf::anon_send(handled, numbers++);
    if (by.one_in(4))
      world.settle();
    if (by.one_in(8))
      world.pass(std::chrono::microseconds{by.below(3'000)});
  }
  ends.far.finish();
  const auto came = world.await([&] { return seen->closed > 0; }, [&] { caf::anon_send(handled, open_eyes{}); });
  conn.abort();
  world.kill(handled);
  if (came && seen->closed == 1 && seen->bytes == sent && seen->misplaced == 0 && seen->after_end == 0)
    return {};
  return std::to_string(seen->bytes) + " of " + std::to_string(sent) + " bytes and " + std::to_string(seen->numbers) +
         " of " + std::to_string(numbers) + " numbers came, " + std::to_string(seen->misplaced) + " misplaced, " +
         std::to_string(seen->after_end) + " after the end, closed " + std::to_string(seen->closed) + " times";
}

} // namespace

TEST_CASE("a handler that skips, awaits and changes its mind gets all bytes in order, and the end after them",
          "[fuzz]") {
  captured_log quiet;
  fuzz_world world{2};
  const auto answers = spawn_on<answering>(world.loop(1));
  for_each_seed(200, [&](unsigned seed) { return wrong_with_skipping(world, answers, seed); });
  world.kill(answers);
}
