// Random commands to a connection from its owner, or from two that pass it to each other, and a random peer. In the end
// the peer is gone and nobody holds or pauses anything: `closed` has to come, last and once, and every order has its
// outcome.
#include "support/fuzzing.hpp"

#include <array>

using namespace actnet;
using namespace actnet::test;

namespace {

/// What is still owed to the commanders of one run, and the story for a report. Any thread.
class ledger {
 public:
  void ordered(std::string what) {
    std::lock_guard guard{mutex_};
    ++open_;
    tell(std::move(what));
  }
  void outcome(std::string what) {
    std::lock_guard guard{mutex_};
    --open_;
    tell(std::move(what));
  }
  void event(std::string what) {
    std::lock_guard guard{mutex_};
    after_closed_ += closed_ > 0;
    tell("<" + std::move(what));
  }
  void closed(const stream::closed& how) {
    std::lock_guard guard{mutex_};
    ++closed_;
    tell(with_cause("<closed " + std::string{to_string(how.reason)}, how.cause));
  }
  void note(std::string what) {
    std::lock_guard guard{mutex_};
    tell(std::move(what));
  }

  bool settled() const {
    std::lock_guard guard{mutex_};
    return closed_ > 0 && open_ == 0;
  }

  /// Empty: nothing. With two owners each may hear of the end.
  std::string wrong(int owners) const {
    std::lock_guard guard{mutex_};
    std::string what;
    if (closed_ == 0)
      what += "no `closed`; ";
    if (open_ != 0)
      what += std::to_string(open_) + " outcomes are missing; ";
    if (owners == 1 && closed_ > 1)
      what += "closed " + std::to_string(closed_) + " times; ";
    if (owners == 1 && after_closed_ > 0)
      what += std::to_string(after_closed_) + " events after `closed`; ";
    return what.empty() ? what : what + story_;
  }

 private:
  void tell(std::string what) { story_ += "\n  " + std::move(what); }

  mutable std::mutex mutex_;
  std::string story_;
  int open_ = 0;
  int closed_ = 0;
  int after_closed_ = 0;
};

class commander;

struct command {
  const char* name;
  void (*give)(commander& self, unsigned x);
};

/// To a commander: do it.
struct order {
  const command* what;
  unsigned x;
};
/// Hold and pause nothing any more.
struct come_to_rest {};

class commander final : public handler {
 public:
  commander(caf::actor_config& cfg, std::shared_ptr<ledger> book) : handler(cfg), book_(std::move(book)) {}

  connection peer;
  caf::actor twin;
  bool holds = false;
  std::vector<net::bytes> held;

  ledger& book() { return *book_; }
  std::uint64_t next_token() { return ++token_; }

  template <class Read>
  void ask(const char* name, Read what) {
    book_->ordered(std::string{name} + "?");
    peer.request(this, what)
        .then([this, name](const net::bytes& got) { book_->outcome(name + (" = " + std::to_string(got.size()))); },
              [this, name](const caf::error& e) { book_->outcome(with_cause(name, e)); });
  }

  caf::behavior make_behavior() override {
    return {
        [this](const connection& mine) { peer = mine; },
        [this](const caf::actor& other) { twin = other; },
        [this](const order& o) {
          book_->note(o.what->name);
          o.what->give(*this, o.x);
        },
        [this](come_to_rest) {
          holds = false;
          held.clear();
          peer.resume_reading();
        },
        [this](const stream::received& r) {
          book_->event("received " + std::to_string(r.payload.size()));
          if (holds)
            held.push_back(r.payload);
        },
        [this](const stream::peer_finished&) { book_->event("peer_finished"); },
        [this](const stream::writable&) { book_->event("writable"); },
        [this](const stream::written& w) { book_->outcome(with_cause("written", w.cause)); },
        [this](const stream::finished& f) { book_->outcome(with_cause("finished", f.cause)); },
        [this](const stream::closed& c) { book_->closed(c); },
    };
  }
  void on_exit() override { twin = nullptr; } // it may be this one

 private:
  std::shared_ptr<ledger> book_;
  std::uint64_t token_ = 0;
};

std::chrono::nanoseconds sometimes_5ms(unsigned x) {
  return x % 2 != 0 ? 5ms : 0ms;
}

void finish(commander& self) {
  self.book().ordered("finish");
  self.peer.finish();
}

/// What may end the connection early is seldom done.
constexpr std::array commands{
    command{"write",
            [](commander& self, unsigned x) {
              self.book().ordered("write of " + std::to_string(x % 70'000));
              self.peer.write(std::string(x % 70'000, x % 3 != 0 ? 'w' : '\n'), self.next_token());
            }},
    command{"a small write",
            [](commander& self, unsigned x) {
              self.book().ordered("write of " + std::to_string(x % 700));
              self.peer.write(std::string(x % 700, 'w'), self.next_token());
            }},
    command{"flush",
            [](commander& self, unsigned) {
              self.book().ordered("flush");
              self.peer.flush(self.next_token());
            }},
    command{"write_file",
            [](commander& self, unsigned x) {
              self.book().ordered("write_file");
              self.peer.write_file(x % 4 != 0 ? ACTNET_SOURCE_DIR "/README.md" : "/nowhere", 0, 0, self.next_token());
            }},
    command{"pause_reading", [](commander& self, unsigned) { self.peer.pause_reading(); }},
    command{"resume_reading", [](commander& self, unsigned) { self.peer.resume_reading(); }},
    command{"use_codec line",
            [](commander& self, unsigned x) {
              self.peer.use_codec(net::framing::line(x % 5 != 0 ? 65'536 : 20), x % 2 != 0);
            }},
    command{"use_codec package",
            [](commander& self, unsigned x) { self.peer.use_codec(net::framing::package(2), x % 2 != 0); }},
    command{"use_codec none", [](commander& self, unsigned) { self.peer.use_codec(std::nullopt); }},
    command{"read_some", [](commander& self, unsigned x) { self.ask("read_some", stream::read_some{x % 3'000}); }},
    command{"read_exactly",
            [](commander& self, unsigned x) {
              self.ask("read_exactly", stream::read_exactly{x % 3'000, sometimes_5ms(x)});
            }},
    command{"read_line",
            [](commander& self, unsigned x) {
              self.ask("read_line", stream::read_line{x % 3'000, sometimes_5ms(x)});
            }},
    command{"read_frame",
            [](commander& self, unsigned x) { self.ask("read_frame", stream::read_frame{sometimes_5ms(x)}); }},
    command{"read_quiet",
            [](commander& self, unsigned) {
              self.ask("read_quiet", stream::read_quiet{1ms, 1'000, 5ms});
            }},
    command{"peek",
            [](commander& self, unsigned x) {
              self.ask("peek", stream::peek{x % 300, 5ms});
            }},
    command{"read_to_end",
            [](commander& self, unsigned x) {
              if (x % 6 == 0)
                self.ask("read_to_end", stream::read_to_end{100'000, sometimes_5ms(x / 6)});
            }},
    command{"hold or let go",
            [](commander& self, unsigned x) {
              self.holds = x % 2 != 0;
              if (!self.holds)
                self.held.clear();
            }},
    command{"finish",
            [](commander& self, unsigned x) {
              if (x % 4 == 0)
                finish(self);
            }},
    command{"stop_reading",
            [](commander& self, unsigned x) {
              if (x % 8 == 0)
                self.peer.stop_reading();
            }},
    command{"close",
            [](commander& self, unsigned x) {
              if (x % 12 == 0)
                self.peer.close();
            }},
    command{"abort",
            [](commander& self, unsigned x) {
              if (x % 16 == 0)
                self.peer.abort();
            }},
    // From here on for two owners only.
    command{"set_owner",
            [](commander& self, unsigned x) { self.peer.set_owner(x % 3 == 0 ? caf::actor{&self} : self.twin); }},
    command{"set_owner", [](commander& self, unsigned) { self.peer.set_owner(self.twin); }},
};
constexpr unsigned commands_of_one_owner = commands.size() - 2;
constexpr command last_finish{"finish", [](commander& self, unsigned) { finish(self); }};

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(come_to_rest)

namespace {

/// Lines, packages of gtcp whole or cut, or a lot.
std::string something(chance& by) {
  std::string text;
  switch (by.below(5)) {
  case 0:
  case 1:
    text.assign(by.below(400), 'p');
    for (auto& each : text)
      if (by.one_in(9))
        each = '\n';
    break;
  case 2:
  case 3:
    for (auto left = by.below(6) + 1; left > 0; --left) {
      const auto size = by.below(50);
      text += '\0';
      text += static_cast<char>(size);
      text.append(size, '\n');
    }
    if (by.one_in(2))
      text.pop_back();
    break;
  default: text.assign(60'000, 'b'); break;
  }
  return text;
}

class commanded_run {
 public:
  commanded_run(fuzz_world& world, unsigned seed, std::size_t owners)
      : world_(world), by_(seed), ends_(world.open_stream(over(seed), 4'096 << by_.below(4))) {
    options_.allow_half_open = by_.one_in(3);
    options_.close_timeout = 300ms;
    options_.write_stall = 700ms;
    options_.read_credit_bytes = by_.one_in(2) ? 262'144 : 2'000;
    options_.write_high_bytes = by_.one_in(2) ? 1 << 20 : 20'000;
    options_.write_low_bytes = 5'000;
    for (std::size_t i = 0; i < owners; ++i)
      owners_.push_back(spawn_on<commander>(world.loop(i), book_));
    conn_ = *adopt_connection(world.system(), ends_.near.release(), owners_[0], options_);
    for (std::size_t i = 0; i < owners; ++i) {
      caf::anon_send(owners_[i], conn_);
      caf::anon_send(owners_[i], owners_[owners - 1 - i]);
    }
  }
  ~commanded_run() {
    conn_.abort();
    for (const auto& each : owners_)
      world_.kill(each);
  }
  commanded_run(const commanded_run&) = delete;
  commanded_run& operator=(const commanded_run&) = delete;

  std::string operator()() {
    for (auto left = 10 + by_.below(25); left > 0; --left) {
      const auto count = owners_.size() == 1 ? commands_of_one_owner : static_cast<unsigned>(commands.size());
      const auto& what = commands[by_.below(count)];
      caf::anon_send(owners_[by_.below(static_cast<unsigned>(owners_.size()))], order{&what, by_.any()});
      disturb();
    }
    const auto gone = by_.one_in(2);
    book_->note(gone ? "[the peer resets]" : "[the peer finishes, and reads on]");
    gone ? ends_.far.reset() : ends_.far.finish();
    if (by_.one_in(2))
      world_.settle();
    for (const auto& each : owners_)
      caf::anon_send(each, come_to_rest{});
    if (options_.allow_half_open)
      caf::anon_send(owners_[0], order{&last_finish, 0});
    if (world_.await([this] { return book_->settled(); }, [this] { ends_.far.drain(); }))
      world_.settle(); // what should not come after it
    else
      tell_state();
    return book_->wrong(static_cast<int>(owners_.size()));
  }

 private:
  static carrier over(unsigned seed) { return seed % 2 != 0 ? carrier::tcp : carrier::local; }

  void tell_state() {
    const auto state = world_.info(conn_);
    book_->note("[" + std::string{to_string(state.state)} + ", " + std::to_string(state.credit_outstanding) +
                " bytes of credit out of " + std::to_string(options_.read_credit_bytes) + ", " +
                std::to_string(state.queued_bytes) + " queued" + (state.reading_paused ? ", paused" : "") +
                (state.starved ? ", starved" : "") + "]");
  }

  void disturb() {
    switch (by_.below(8)) {
    case 0:
    case 1:
    case 2: {
      const auto text = something(by_);
      book_->note("[the peer sends " + std::to_string(text.size()) + "]");
      ends_.far.send(text);
      break;
    }
    case 3: (void)ends_.far.receive(by_.below(65'536) + 1); break;
    case 4:
      if (by_.one_in(10)) {
        book_->note("[the peer finishes]");
        ends_.far.finish();
      }
      break;
    case 5: world_.pass(std::chrono::microseconds{by_.below(6'000)}); break;
    default: world_.settle(); break;
    }
  }

  fuzz_world& world_;
  chance by_;
  fuzz_stream ends_;
  connection_options options_;
  std::shared_ptr<ledger> book_ = std::make_shared<ledger>();
  std::vector<caf::actor> owners_;
  connection conn_;
};

} // namespace

TEST_CASE("whatever an owner and a peer do to a connection, it ends, and every order has its outcome", "[fuzz]") {
  captured_log quiet;
  fuzz_world world{2};
  for_each_seed(400, [&](unsigned seed) { return commanded_run{world, seed, 1}(); });
}

TEST_CASE("whatever two owners of a connection and a peer do, it ends, and every order has its outcome", "[fuzz]") {
  captured_log quiet;
  fuzz_world world{2};
  for_each_seed(400, [&](unsigned seed) { return commanded_run{world, seed, 2}(); });
}
