// Floods of commands from another thread: every write has its one outcome, payloads take bounded memory, and closing
// once or a hundred thousand times is the same.
#include "support/actor_world.hpp"
#include "support/memory.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <atomic>

using namespace actnet;
using namespace actnet::test;

namespace {

constexpr std::uint64_t scaled(std::uint64_t count) {
  return sanitized ? count / 10 : count;
}

/// Makes payloads and knows how many bytes of them exist.
class payload_gauge {
 public:
  static constexpr std::uint64_t capacity = 1'008; ///< Of each payload's block, of which it fills 1,000.

  ~payload_gauge() { account_->close(); }

  net::bytes make() {
    auto made = net::bytes::copy(text_);
    made.charge_to(*account_);
    return made;
  }

  std::uint64_t existing() const noexcept {
    return account_->outstanding() / (capacity + net::block::overhead_bytes) * capacity;
  }

 private:
  struct deaf final : net::credit_bell {
    void ring() noexcept override {}
  };

  deaf bell_; // nobody asks for a ring
  net::credit_account* account_ = net::credit_account::open(bell_);
  std::string text_ = std::string(1'000, 'x');
};

/// Which of the tokens 1 to `count` have had their outcome.
class outcome_map {
 public:
  explicit outcome_map(std::uint64_t count) : ended_(count + 1) {}

  void take(const stream::written& w) {
    if (w.token == 0 || w.token >= ended_.size() || ended_[w.token]) {
      ++unexpected;
      return;
    }
    ended_[w.token] = true;
    ++count_;
    bytes += w.bytes;
    if (w.cause) {
      ++failed;
      ++(w.cause == errc::queue_full ? refused : w.cause == errc::closed ? late : otherwise);
    } else {
      in_order = in_order && w.token > last_written_;
      last_written_ = w.token;
      ++written;
    }
  }

  bool complete() const noexcept { return count_ + 1 == ended_.size(); }

  std::atomic<std::uint64_t> unexpected{0}; ///< A token's second outcome, or one of no such token.
  std::uint64_t written = 0, failed = 0;
  std::uint64_t refused = 0, late = 0, otherwise = 0; ///< The parts of `failed`.
  std::uint64_t bytes = 0;                            ///< That all of them claim.
  bool in_order = true;                               ///< Those that were written.

 private:
  std::vector<bool> ended_;
  std::uint64_t count_ = 0;
  std::uint64_t last_written_ = 0;
};

/// Lives on the scheduler. Does what it is told in its own turn, and collects the outcomes.
class writer final : public handler {
 public:
  using order = std::function<void(writer&)>;

  writer(caf::actor_config& cfg, std::uint64_t tokens, journal_ptr log)
      : handler(cfg), outcomes(tokens), log_(std::move(log)) {}

  caf::behavior make_behavior() override {
    return {
        [this](const order& what) { what(*this); },
        [this](const stream::written& w) {
          outcomes.take(w);
          if (outcomes.complete())
            log_->add("complete");
        },
        [](const stream::writable&) {},
    };
  }

  outcome_map outcomes;
  std::uint64_t answers = 0; ///< To requests.

 private:
  journal_ptr log_;
};

/// Owns the connection and hears of nothing but its end.
class owner final : public handler {
 public:
  owner(caf::actor_config& cfg, journal_ptr log) : handler(cfg), log_(std::move(log)) {}
  caf::behavior make_behavior() override {
    return {[this](const stream::closed& c) { log_->add("closed " + std::string{to_string(c.reason)}); }};
  }

 private:
  journal_ptr log_;
};

/// A connection whose peer has little room and reads nothing, and a writer elsewhere.
struct flood_stage {
  flood_stage(connection_options options, std::uint64_t tokens)
      : conn(world.adopt(pair, world.owned(spawn_on<owner>(world.loop(), log)), options)),
        from(world.owned(world.system().spawn<writer>(tokens, log))) {}

  /// Has the writer do `what`. Returns at once.
  void order(writer::order what) { caf::anon_send(from, writer::order{std::move(what)}); }

  /// What has become of the writes, when the writer has done everything and nothing is under way.
  template <class F>
  void look(F what) {
    world.settle();
    std::promise<void> done;
    order([&](writer& w) {
      what(w);
      done.set_value();
    });
    REQUIRE(done.get_future().wait_for(default_deadline) == std::future_status::ready);
  }

  actor_world world;
  journal_ptr log = make_journal();
  connected_pair pair{{.receive_buffer_bytes = 4'096}};
  connection conn;
  caf::actor from;
};

/// A loop in the middle of a long turn.
struct held_loop {
  explicit held_loop(loop_host& which) {
    REQUIRE(which.loop().post(&hold, this, nullptr));
    is_held.get_future().wait();
  }
  static void hold(void* self, void*) noexcept {
    auto& me = *static_cast<held_loop*>(self);
    me.is_held.set_value();
    me.let_go.get_future().wait_for(default_deadline);
  }

  std::promise<void> is_held;
  std::promise<void> let_go;
};

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(writer::order)

TEST_CASE("of a million writes from another thread each token has one outcome, and payloads take bounded memory",
          "[flood]") {
  constexpr auto count = scaled(1'000'000);
  connection_options options;
  options.write_high_bytes = 100'000;
  options.write_stall = 0s; // for however long the writes take
  payload_gauge gauge;
  {
    flood_stage s{options, count};
    const auto heap_before = heap_in_use_bytes();
    std::uint64_t most = 0;
    std::atomic<bool> all_given{false};
    s.order([&](writer&) {
      for (std::uint64_t token = 1; token <= count; ++token) {
        s.conn.write(gauge.make(), token);
        most = std::max(most, gauge.existing());
      }
      s.conn.abort();
      all_given = true;
    });
    while (!all_given)
      CHECK(s.world.info(s.conn).queued_bytes <= options.write_high_bytes + 1'000);
    REQUIRE(eventually([&] { return s.log->count("complete") == 1; }, 60s));
    s.log->expect("closed aborted");
    // One write may pass the mark, one's room may be given back before the payload is, and one is in the writer's hand.
    CHECK(most <= options.write_high_bytes + 3 * gauge.capacity);
    CHECK(most >= options.write_high_bytes / 2);
    const auto info = s.world.info(s.conn);
    s.look([&](writer& w) {
      CHECK(w.outcomes.unexpected == 0);
      CHECK(w.outcomes.complete());
      CHECK(w.outcomes.in_order);
      CHECK(w.outcomes.written > 0);
      CHECK(w.outcomes.refused > count / 2);
      CHECK(w.outcomes.bytes == info.bytes_sent);
      CHECK(info.writes_done == w.outcomes.written);
      CHECK(info.writes_failed == w.outcomes.failed);
    });
    if (!sanitized) // the loop keeps some room and spare blocks, but not for a flood
      CHECK(heap_in_use_bytes() <= heap_before + 3 * 1'024 * 1'024);
    CHECK(s.log->count("complete") == 1);
    CHECK(s.log->count_like("closed") == 1);
    CHECK(gauge.existing() == 0);
  }
}

TEST_CASE("writes that another thread sends as messages or requests to a loop that is held up take bounded memory",
          "[flood]") {
  constexpr auto count = scaled(100'000);
  const auto as_requests = GENERATE(false, true);
  connection_options options;
  options.write_high_bytes = 100'000;
  options.write_stall = 0s;
  payload_gauge gauge;
  {
    flood_stage s{options, count};
    held_loop held{s.world.loop()};
    std::uint64_t most = 0, refused_at_once = 0;
    std::promise<void> all_given;
    s.order([&](writer& w) {
      const auto to = caf::actor_cast<caf::actor>(s.conn.pointer());
      for (std::uint64_t token = 1; token <= count; ++token) {
        stream::write order{gauge.make(), token};
        if (as_requests)
          w.request(to, caf::infinite, std::move(order))
              .then([&w](const stream::written&) { ++w.answers; },
                    [&](const caf::error& cause) {
                      ++w.answers;
                      refused_at_once += cause == errc::queue_full ? 1 : 0;
                    });
        else
          w.send(to, std::move(order));
        most = std::max(most, gauge.existing());
      }
      all_given.set_value();
    });
    REQUIRE(all_given.get_future().wait_for(default_deadline) == std::future_status::ready);
    CHECK(most <= options.write_high_bytes + 2 * gauge.capacity);
    CHECK(most >= options.write_high_bytes / 2);
    CHECK(gauge.existing() <= most);
    held.let_go.set_value();
    if (as_requests) {
      REQUIRE(eventually(
          [&] {
            std::uint64_t answers = 0;
            s.look([&](writer& w) { answers = w.answers; });
            return answers + 200 >= count; // what is queued for the peer is not through
          },
          60s));
      CHECK(refused_at_once > count / 2);
    }
    caf::anon_send(caf::actor_cast<caf::actor>(s.conn.pointer()), stream::abort{});
    s.log->expect("closed aborted");
    s.look([&](writer& w) {
      CHECK(w.outcomes.unexpected == 0);
      if (as_requests) {
        CHECK(w.answers == count);
      } else {
        CHECK(w.outcomes.complete());
        CHECK(w.outcomes.in_order);
        CHECK(w.outcomes.refused > count / 2);
      }
    });
    CHECK(gauge.existing() == 0);
  }
}

TEST_CASE("a hundred thousand closes are one, and each write after the first is told that it comes too late",
          "[flood]") {
  constexpr std::uint64_t before = 10, each = scaled(50'000), requests = 100;
  payload_gauge gauge;
  flood_stage s{{}, before + 2 * each};
  const auto close_and_write = [&](std::uint64_t first) {
    s.order([&, first](writer& w) {
      for (std::uint64_t i = 0; i < each; ++i) {
        if (i % (each / requests) == 0)
          s.conn.request(&w, stream::close{}).then([&w](caf::ok_atom) { ++w.answers; });
        else
          s.conn.close();
        s.conn.write(gauge.make(), first + i);
      }
    });
  };
  s.order([&](writer&) {
    for (std::uint64_t token = 1; token <= before; ++token)
      s.conn.write("before", token);
  });
  close_and_write(before + 1); // while it is closing
  CHECK(s.pair.far.read_to_end().size() == before * 6);
  s.pair.far.close();
  s.log->expect("closed requested");
  close_and_write(before + each + 1); // when it is gone
  s.log->expect("complete");
  s.look([&](writer& w) {
    CHECK(w.outcomes.unexpected == 0);
    CHECK(w.outcomes.written == before);
    CHECK(w.outcomes.late == 2 * each);
    CHECK(w.outcomes.failed == 2 * each);
    CHECK(w.outcomes.bytes == before * 6);
    CHECK(w.answers == 2 * requests);
  });
  CHECK(s.log->count_like("closed") == 1);
  CHECK(gauge.existing() == 0);
}
