// Random commands to a datagram socket from its owner, or from two that pass it to each other, and random peers: some
// that answer, some without room, some that are not there. In the end everything is read and the socket is closed:
// `closed` has to come, last and once, every send has had one outcome, and what arrived is what was sent.
#include "support/fuzzing.hpp"

#include <array>
#include <map>

using namespace actnet;
using namespace actnet::test;

namespace {

/// A text of which a part, or one mixed with another, is none.
std::string whole_text(unsigned size) {
  auto text = std::to_string(size) + ":";
  text.append(size, static_cast<char>('a' + size % 26));
  return text;
}

bool is_whole(std::string_view text) {
  unsigned size = 0;
  std::size_t at = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9' && at < 9; ++at)
    size = size * 10 + static_cast<unsigned>(text[at] - '0');
  return text.empty() || text == whole_text(size);
}

/// What the commanders of one run are owed and have got, and the story for a report. Any thread.
class datagram_book {
 public:
  std::uint64_t ordered(const std::string& what) {
    std::lock_guard guard{mutex_};
    outcomes_[++last_] = 0;
    ++open_;
    tell(what + " #" + std::to_string(last_));
    return last_;
  }
  void outcome(std::uint64_t token, const caf::error& cause) {
    std::lock_guard guard{mutex_};
    tell(with_cause("outcome of #" + std::to_string(token), cause));
    if (token == 0) // a failure of one that wanted none
      return;
    const auto its = outcomes_.find(token);
    if (its == outcomes_.end())
      wrong_ += "an outcome of nothing; ";
    else if (++its->second > 1)
      wrong_ += "a second outcome of #" + std::to_string(token) + "; ";
    else
      --open_;
  }
  void event(const std::string& what) {
    std::lock_guard guard{mutex_};
    after_closed_ += closed_ > 0;
    tell("<" + what);
  }
  void arrived(std::string_view payload) {
    if (is_whole(payload))
      return;
    std::lock_guard guard{mutex_};
    wrong_ += "a datagram of " + std::to_string(payload.size()) + " bytes is not as it was sent; ";
  }
  void closed(const datagram::closed& how) {
    std::lock_guard guard{mutex_};
    ++closed_;
    tell(with_cause("<closed " + std::string{to_string(how.reason)}, how.cause));
  }
  void note(const std::string& what) {
    std::lock_guard guard{mutex_};
    tell(what);
  }

  bool settled() const {
    std::lock_guard guard{mutex_};
    return closed_ > 0 && open_ == 0;
  }

  /// Empty: nothing. With two owners each may hear of the end.
  std::string wrong(std::size_t owners) const {
    std::lock_guard guard{mutex_};
    auto what = wrong_;
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
  void tell(const std::string& what) { story_ += "\n  " + what; }

  mutable std::mutex mutex_;
  std::string story_, wrong_;
  std::map<std::uint64_t, int> outcomes_; // how many, of each that was ordered
  std::uint64_t last_ = 0;
  int open_ = 0;
  int closed_ = 0;
  int after_closed_ = 0;
};

class datagram_commander;

struct datagram_act {
  const char* name;
  void (*give)(datagram_commander& self, unsigned x);
};

/// To a commander: do it.
struct datagram_order {
  const datagram_act* what;
  unsigned x;
};
/// Hold nothing any more, and close.
struct come_to_an_end {};

class datagram_commander final : public handler {
 public:
  datagram_commander(caf::actor_config& cfg, std::shared_ptr<datagram_book> book, std::vector<net::endpoint> where)
      : handler(cfg), targets(std::move(where)), book_(std::move(book)) {}

  datagram_socket socket;
  caf::actor twin;
  const std::vector<net::endpoint> targets;
  bool holds = false;
  std::vector<net::bytes> held;

  datagram_book& book() { return *book_; }

  datagram::send some_send(unsigned x, const std::string& way) {
    static const std::array from{net::ip_address::v4(127, 0, 0, 1), net::ip_address::v4(127, 0, 0, 2),
                                 net::ip_address::v4(192, 0, 2, 1), net::ip_address::loopback_v6()};
    datagram::send order;
    const auto size = x % 50 == 0 ? 300'000 : x % 7 == 0 ? 0 : x % 3'000;
    order.payload = net::bytes::copy(size == 0 ? std::string{} : whole_text(size));
    if (x / 50 % 8 != 0)
      order.to = targets[x / 400 % targets.size()];
    if (x / 1'600 % 4 == 0)
      order.from = from[x / 6'400 % from.size()];
    if (x / 25'600 % 4 != 0)
      order.token = book_->ordered(way + " of " + std::to_string(size));
    return order;
  }

  template <class Answer, class Command>
  void ask(const std::string& name, Command what) {
    const auto number = book_->ordered(name + "?");
    socket.request(this, std::move(what))
        .then([this, number](const Answer&) { book_->outcome(number, {}); },
              [this, number](const caf::error& e) { book_->outcome(number, e); });
  }

  caf::behavior make_behavior() override {
    return {
        [this](const datagram_socket& mine) { socket = mine; },
        [this](const caf::actor& other) { twin = other; },
        [this](const datagram_order& o) {
          book_->note(o.what->name);
          o.what->give(*this, o.x);
        },
        [this](come_to_an_end) {
          holds = false;
          held.clear();
          socket.resume_reading();
          socket.close();
        },
        [this](const bound&) {},
        [this](const datagram::received& r) {
          book_->event("received " + std::to_string(r.payload.size()));
          book_->arrived(r.payload.view());
          if (holds)
            held.push_back(r.payload);
          else if (r.payload.size() % 2 != 0)
            socket.answer(r, r.payload, book_->ordered("answer"));
        },
        [this](const datagram::writable&) { book_->note("<writable"); }, // also to those who own nothing
        [this](const datagram::sent& s) { book_->outcome(s.token, s.cause); },
        [this](const datagram::closed& c) { book_->closed(c); },
    };
  }
  void on_exit() override { twin = nullptr; } // it may be this one

 private:
  std::shared_ptr<datagram_book> book_;
};

/// What ends the socket early is seldom done.
constexpr std::array datagram_acts{
    datagram_act{"send by handle",
                 [](datagram_commander& self, unsigned x) {
                   const auto order = self.some_send(x, "send");
                   if (order.to)
                     self.socket.send_to(*order.to, order.payload, order.token);
                   else
                     self.socket.send(order.payload, order.token);
                 }},
    datagram_act{"send by message", [](datagram_commander& self,
                                       unsigned x) { self.send(self.socket.actor(), self.some_send(x, "message")); }},
    datagram_act{"send by request",
                 [](datagram_commander& self, unsigned x) {
                   auto order = self.some_send(x, "");
                   if (order.token != 0) // the answer is its outcome
                     self.book().outcome(order.token, {});
                   self.ask<datagram::sent>("request", std::move(order));
                 }},
    datagram_act{"many sends",
                 [](datagram_commander& self, unsigned x) {
                   for (auto left = x % 60; left > 0; --left)
                     self.socket.send_to(self.targets[x / 60 % self.targets.size()], whole_text(left * 10),
                                         self.book().ordered("one of many"));
                 }},
    datagram_act{"send_file",
                 [](datagram_commander& self, unsigned x) {
                   self.socket.send_file(self.targets.back(), x % 4 != 0 ? "/dev/null" : "/nowhere", 0, 0,
                                         self.book().ordered("send_file"));
                 }},
    datagram_act{"pause_reading", [](datagram_commander& self, unsigned) { self.socket.pause_reading(); }},
    datagram_act{"resume_reading", [](datagram_commander& self, unsigned) { self.socket.resume_reading(); }},
    datagram_act{"hold or let go",
                 [](datagram_commander& self, unsigned x) {
                   self.holds = x % 2 != 0;
                   if (!self.holds)
                     self.held.clear();
                 }},
    datagram_act{"get_info", [](datagram_commander& self,
                                unsigned) { self.ask<datagram::info>("get_info", datagram::get_info{}); }},
    datagram_act{"set_options",
                 [](datagram_commander& self, unsigned x) {
                   self.ask<caf::ok_atom>(
                       "set_options",
                       datagram::set_options{{{x % 2 != 0 ? net::socket_option{net::send_buffer{1 + x % 100'000}}
                                                          : net::socket_option{net::no_delay{}}}}});
                 }},
    datagram_act{"connect",
                 [](datagram_commander& self, unsigned x) {
                   if (x % 4 == 0)
                     self.ask<caf::ok_atom>("connect", datagram::connect{self.targets[x / 4 % self.targets.size()]});
                 }},
    datagram_act{"disconnect", [](datagram_commander& self,
                                  unsigned) { self.ask<caf::ok_atom>("disconnect", datagram::disconnect{}); }},
    datagram_act{"close",
                 [](datagram_commander& self, unsigned x) {
                   if (x % 16 == 0)
                     self.socket.close();
                 }},
    datagram_act{"drain",
                 [](datagram_commander& self, unsigned x) {
                   if (x % 16 == 0)
                     self.ask<caf::ok_atom>("drain", drain{std::chrono::milliseconds{x % 100}});
                 }},
    datagram_act{"kill",
                 [](datagram_commander& self, unsigned x) {
                   if (x % 16 == 0)
                     caf::anon_send_exit(self.socket.actor(), caf::exit_reason::kill);
                 }},
    // From here on for two owners only.
    datagram_act{"set_owner", [](datagram_commander& self,
                                 unsigned x) { self.socket.set_owner(x % 3 == 0 ? caf::actor{&self} : self.twin); }},
};
constexpr unsigned acts_of_one_owner = datagram_acts.size() - 1;

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(datagram_order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(come_to_an_end)

namespace {

class datagram_run {
 public:
  datagram_run(fuzz_world& world, unsigned seed, std::size_t owners)
      : world_(world), by_(seed), over_(seed % 2 != 0 ? datagram_carrier::udp : datagram_carrier::local) {
    options_.read_credit_bytes = by_.one_in(2) ? 262'144 : 20'000;
    options_.write_high_bytes = by_.one_in(2) ? 1 << 20 : 20'000;
    options_.write_low_bytes = 5'000;
    options_.write_stall = 700ms;
    const auto local = over_ == datagram_carrier::udp ? net::endpoint::udp(net::ip_address::loopback_v4(), 0)
                                                      : net::endpoint::unix_datagram({});
    std::vector<net::endpoint> targets;
    for (int i = 0; i < 3; ++i) {
      peers_.push_back(*net::datagram_socket::open(local, {}));
      targets.push_back(*peers_.back().local_endpoint());
    }
    peers_.erase(peers_.begin()); // nobody is there any more
    for (std::size_t i = 0; i < owners; ++i)
      owners_.push_back(spawn_on<datagram_commander>(world.loop(i), book_, targets));
    const auto where =
        over_ == datagram_carrier::udp && by_.one_in(2) ? net::endpoint::udp(net::ip_address::any_v4(), 0) : local;
    it_ = bind(world.system(), where, options_).owned_by(owners_[0]).start();
    const auto bound_to = world.ask<datagram::info>(it_, datagram::get_info{}).first->local;
    here_ = bound_to.is_ip() ? net::endpoint::udp(local.ip(), bound_to.port()) : bound_to;
    for (std::size_t i = 0; i < owners; ++i) {
      caf::anon_send(owners_[i], it_);
      caf::anon_send(owners_[i], owners_[owners - 1 - i]);
    }
  }
  ~datagram_run() {
    for (const auto& each : owners_)
      world_.kill(each);
  }
  datagram_run(const datagram_run&) = delete;
  datagram_run& operator=(const datagram_run&) = delete;

  std::string operator()() {
    for (auto left = 10 + by_.below(25); left > 0; --left) {
      const auto count = owners_.size() == 1 ? acts_of_one_owner : static_cast<unsigned>(datagram_acts.size());
      const auto& what = datagram_acts[by_.below(count)];
      caf::anon_send(owners_[by_.below(static_cast<unsigned>(owners_.size()))], datagram_order{&what, by_.any()});
      disturb();
    }
    if (by_.one_in(2))
      world_.settle();
    for (const auto& each : owners_)
      caf::anon_send(each, come_to_an_end{});
    if (world_.await([this] { return book_->settled(); }, [this] { read(1'000); }))
      world_.settle(); // what should not come after it
    return book_->wrong(owners_.size());
  }

 private:
  /// At most so many datagrams of each peer.
  void read(unsigned most) {
    for (auto& each : peers_)
      for (auto left = most; left > 0; --left) {
        const auto got = each.receive(buffer_);
        if (!got && got.error() == errc::would_block)
          break;
        if (got)
          book_->arrived({reinterpret_cast<const char*>(buffer_.data()), got->size});
      }
  }

  void disturb() {
    switch (by_.below(8)) {
    case 0:
    case 1:
    case 2:
      for (auto left = by_.below(20); left > 0; --left) {
        const auto text = by_.one_in(4) ? std::string{} : whole_text(by_.below(2'000));
        (void)peers_[by_.below(2)].send(std::as_bytes(std::span{text}), &here_);
      }
      break;
    case 3:
    case 4: read(by_.below(30)); break;
    case 5: world_.pass(std::chrono::microseconds{by_.below(6'000)}); break;
    default: world_.settle(); break;
    }
  }

  fuzz_world& world_;
  chance by_;
  const datagram_carrier over_;
  bind_options options_;
  std::shared_ptr<datagram_book> book_ = std::make_shared<datagram_book>();
  std::vector<net::datagram_socket> peers_;
  std::vector<caf::actor> owners_;
  datagram_socket it_;
  net::endpoint here_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(65'536);
};

} // namespace

TEST_CASE("whatever an owner and peers do to a datagram socket, it ends, and every order has its outcome", "[fuzz]") {
  captured_log quiet;
  fuzz_world world{2};
  for_each_seed(300, [&](unsigned seed) { return datagram_run{world, seed, 1}(); });
}

TEST_CASE("whatever two owners of a datagram socket and peers do, it ends, and every order has its outcome", "[fuzz]") {
  captured_log quiet;
  fuzz_world world{2};
  for_each_seed(300, [&](unsigned seed) { return datagram_run{world, seed, 2}(); });
}
