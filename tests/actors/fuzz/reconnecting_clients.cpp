// A client that reconnects, a server that refuses, resets and ends, and commands to the client whenever they come: what
// the owner is told is a way that can be gone, every request has one outcome, every connection one `closed`, and it is
// given up once.
#include "support/fuzzing.hpp"

using namespace actnet;
using namespace actnet::test;

namespace {

/// What the owner of a reconnecting client was told, held against what may follow on what. Any thread.
class client_book {
 public:
  void connected() {
    in("connected", [this] { return std::exchange(trying_, false) && !given_up_; });
    ++open_connections_;
  }
  void reconnecting(const caf::error& cause) {
    in(with_cause("reconnecting", cause), [&] {
      const auto right = trying_ == bool{cause} && !given_up_; // with a cause: the attempt failed
      trying_ = true;
      return right;
    });
  }
  void failed(const caf::error& cause) {
    in(with_cause("connect_failed", cause), [this] { return trying_ && !std::exchange(given_up_, true); });
  }
  void ended(const caf::error& cause) {
    in(with_cause("the client ended", cause), [this] { return !std::exchange(ended_, true) && given_up_ == trying_; });
  }
  void closed(const caf::error& cause) {
    in(with_cause("closed", cause), [this] {
      --open_connections_; // a handler on another loop may say so before the owner heard `connected`
      return true;
    });
  }
  void asked(std::string what) {
    in(std::move(what), [this] { return ++open_requests_ > 0; });
  }
  void answered(std::string what) {
    in(std::move(what), [this] { return --open_requests_ >= 0; });
  }
  void note(std::string what) {
    in(std::move(what), [] { return true; });
  }

  bool settled() const {
    std::lock_guard guard{mutex_};
    return ended_ && open_connections_ == 0 && open_requests_ == 0;
  }
  /// Empty: nothing.
  std::string wrong() const {
    std::lock_guard guard{mutex_};
    auto what = wrong_;
    if (!ended_)
      what += "the client did not end; ";
    if (open_connections_ != 0)
      what += std::to_string(open_connections_) + " connections without `closed`; ";
    if (open_requests_ != 0)
      what += std::to_string(open_requests_) + " requests without an answer; ";
    return what.empty() ? what : what + story_;
  }

 private:
  template <class F>
  void in(std::string what, F may_be) {
    std::lock_guard guard{mutex_};
    story_ += "\n  " + what;
    if (!may_be())
      wrong_ += what + " cannot be now; ";
  }

  mutable std::mutex mutex_;
  std::string story_;
  std::string wrong_;
  bool trying_ = true;
  bool given_up_ = false;
  bool ended_ = false;
  int open_connections_ = 0;
  int open_requests_ = 0;
};

/// Made for each connection of a client, unless the client's owner has them.
class connected_handler : public handler {
 public:
  connected_handler(caf::actor_config& cfg, connection peer, std::shared_ptr<client_book> book)
      : handler(cfg), peer_(std::move(peer)), book_(std::move(book)) {}
  caf::behavior make_behavior() override {
    return {
        [this](const stream::received& r) { peer_.write(r.payload); },
        [](const stream::written&) {},
        [](const stream::writable&) {},
        [](const stream::peer_finished&) {},
        [this](const stream::closed& c) {
          book_->closed(c.cause);
          quit();
        },
    };
  }

 private:
  connection peer_;
  std::shared_ptr<client_book> book_;
};

class client_owner;

/// To the owner of a client: do it.
struct client_order {
  void (*what)(client_owner& self);
};

class client_owner : public handler {
 public:
  client_owner(caf::actor_config& cfg, std::shared_ptr<client_book> book, std::string address, connect_options options,
               bool makes_handlers)
      : handler(cfg),
        book_(std::move(book)),
        address_(std::move(address)),
        options_(std::move(options)),
        makes_handlers_(makes_handlers) {}

  client dialler;
  connection last;

  caf::behavior make_behavior() override {
    auto opening = connect_to(address_, options_);
    dialler = makes_handlers_ ? opening.with<connected_handler>(book_) : opening.start();
    monitor(dialler.actor());
    set_down_handler([this](const caf::down_msg& down) { book_->ended(down.reason); });
    return {
        [this](client_order order) { order.what(*this); },
        [this](const connected& c) {
          last = c.connection;
          book_->connected();
        },
        [this](const reconnecting& r) { book_->reconnecting(r.cause); },
        [this](const connect_failed& f) { book_->failed(f.cause); },
        [this](const stream::closed& c) { book_->closed(c.cause); },
        [](const stream::received&) {},
        [](const stream::peer_finished&) {},
        [](const stream::writable&) {},
        [](const stream::written&) {},
    };
  }
  void on_exit() override { dialler = {}; }

  template <class Answer, class Command>
  void ask(const char* name, Command what) {
    book_->asked(std::string{name} + "?");
    request(dialler.actor(), caf::infinite, std::move(what))
        .then([this, name](const Answer&) { book_->answered(name); },
              [this, name](const caf::error& cause) { book_->answered(with_cause(name, cause)); });
  }
  const std::string& address() const { return address_; }
  client_book& book() { return *book_; }

 private:
  std::shared_ptr<client_book> book_;
  std::string address_;
  connect_options options_;
  bool makes_handlers_;
};

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(client_order)

namespace {

void end_by_drain(client_owner& self) {
  self.ask<caf::ok_atom>("drain", drain{5ms});
}

/// What ends the client is seldom done: the first of them is what most runs end with.
void (*const ends_of_client[])(client_owner&) = {
    end_by_drain,
    [](client_owner& self) { self.ask<caf::ok_atom>("drain at once", drain{0ms}); },
    [](client_owner& self) { self.ask<caf::ok_atom>("cancel_connect", cancel_connect{}); },
    [](client_owner& self) {
      self.book().note("user_shutdown");
      self.send_exit(self.dialler.actor(), caf::exit_reason::user_shutdown);
    },
    [](client_owner& self) {
      self.book().note("kill");
      self.send_exit(self.dialler.actor(), caf::exit_reason::kill);
    },
};

class reconnecting_run {
 public:
  reconnecting_run(fuzz_world& world, unsigned seed)
      : world_(world), by_(seed), server_(seed % 2 != 0 ? carrier::tcp : carrier::local) {
    connect_options options;
    options.deadline = by_.one_in(3) ? 0ms : 50ms;
    const std::chrono::milliseconds first{by_.one_in(20) ? 0 : by_.below(5) + 1};
    options.reconnect = backoff_options{first, 20ms, 20, 30ms};
    options.connection.close_timeout = 300ms;
    if (by_.one_in(4))
      server_.refuse();
    owner_ = spawn_on<client_owner>(world.loop(by_.below(2)), book_, server_.address(), options, by_.one_in(2));
  }

  std::string operator()() {
    for (auto left = 20 + by_.below(40); left > 0; --left) {
      disturb();
      if (by_.one_in(2))
        world_.settle();
      if (by_.one_in(10))
        order([](client_owner& self) {
          self.ask<connected>("connect", actnet::connect{*net::endpoint::parse(self.address())});
        });
      if (by_.one_in(60))
        order(ends_of_client[by_.below(std::size(ends_of_client))]);
    }
    if (by_.one_in(2))
      server_.refuse();
    order(ends_of_client[by_.below(std::size(ends_of_client))]);
    order(end_by_drain); // `cancel_connect` lets a connection be
    if (world_.await([this] { return book_->settled(); }, [this] { end_peers(); }))
      world_.settle(); // what should not come after it
    const auto wrong = book_->wrong();
    order([](client_owner& self) { self.last.abort(); });
    world_.kill(owner_);
    return wrong;
  }

 private:
  void order(void (*what)(client_owner&)) { caf::anon_send(owner_, client_order{what}); }

  void note(std::string what) { book_->note("[" + std::move(what) + "]"); }

  fuzz_peer& any_peer() { return peers_[by_.below(static_cast<unsigned>(peers_.size()))]; }

  void disturb() {
    switch (by_.below(10)) {
    case 0:
    case 1:
      if (auto taken = server_.accept()) {
        note("accepts");
        peers_.push_back(std::move(*taken));
      }
      break;
    case 2:
      if (!peers_.empty()) {
        note("the peer finishes");
        any_peer().finish();
      }
      break;
    case 3:
      if (!peers_.empty()) {
        note("the peer resets");
        std::swap(any_peer(), peers_.back());
        peers_.back().reset();
        peers_.pop_back();
      }
      break;
    case 4:
      if (!peers_.empty())
        (void)any_peer().send(std::string(by_.below(5'000), 'p'));
      break;
    case 5:
      if (by_.one_in(2)) {
        note("refuses");
        server_.refuse();
      }
      break;
    case 6:
      note("listens");
      server_.listen();
      break;
    case 8: world_.pass(std::chrono::microseconds{by_.below(30'000)}); break;
    default: world_.settle(); break;
    }
  }

  void end_peers() {
    if (auto taken = server_.accept())
      peers_.push_back(std::move(*taken));
    for (auto& each : peers_) {
      each.drain();
      each.finish();
    }
  }

  fuzz_world& world_;
  chance by_;
  fuzz_listener server_;
  std::vector<fuzz_peer> peers_;
  std::shared_ptr<client_book> book_ = std::make_shared<client_book>();
  caf::actor owner_;
};

} // namespace

TEST_CASE(
    "whatever a server and commands do to a client that reconnects, it ends once, and every order has its outcome",
    "[fuzz]") {
  captured_log quiet;
  fuzz_world world{2};
  for_each_seed(150, [&](unsigned seed) { return reconnecting_run{world, seed}(); });
}
