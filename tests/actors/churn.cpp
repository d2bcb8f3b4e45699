// Connections that come and go by the hundred (fault F13): the limit holds at every instant, a bystander loses nothing,
// and nothing is left over.
#include "support/actor_world.hpp"
#include "support/invariants.hpp"
#include "support/position_stream.hpp"

#include "actnet/net/address/socket_address.hpp"
#include "actnet/net/socket/system_calls.hpp"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace actnet;
using namespace actnet::test;

namespace {

/// Follows every accepted descriptor from accept4 to close.
class accept_book final : public net::system_calls {
 public:
  int accept4(int fd, sockaddr* address, socklen_t* size, int flags) noexcept override {
    std::lock_guard guard{mutex_}; // a close elsewhere comes before or after, never between
    const auto made = system_calls::accept4(fd, address, size, flags);
    if (made >= 0) {
      open_.insert(made);
      most_ = std::max(most_, open_.size());
      ++accepted_;
    }
    return made;
  }
  int close(int fd) noexcept override {
    std::lock_guard guard{mutex_};
    open_.erase(fd);
    return system_calls::close(fd);
  }

  std::size_t open_sockets() const {
    std::lock_guard guard{mutex_};
    return open_.size();
  }
  std::size_t most() const {
    std::lock_guard guard{mutex_};
    return most_;
  }
  std::size_t accepted() const {
    std::lock_guard guard{mutex_};
    return accepted_;
  }

 private:
  mutable std::mutex mutex_;
  std::set<int> open_;
  std::size_t most_ = 0;
  std::size_t accepted_ = 0;
};

/// Greets, then echoes. The greeting lies unread at a Unix peer that leaves without a word, whose close is then a
/// reset.
class greeting_echo final : public handler {
 public:
  static constexpr std::string_view greeting = "hello";

  greeting_echo(caf::actor_config& cfg, connection c, std::shared_ptr<std::atomic<std::size_t>> closed)
      : handler(cfg), peer_(std::move(c)), closed_(std::move(closed)) {
    peer_.write(greeting);
  }

  caf::behavior make_behavior() override {
    return {[this](const stream::received& r) { peer_.write(r.payload); },
            [this](const stream::closed& c) {
              ++*closed_;
              quit(c.cause);
            }};
  }

 private:
  connection peer_;
  std::shared_ptr<std::atomic<std::size_t>> closed_;
};

/// A connection that echoes all the time, in a thread of its own.
class bystander {
 public:
  explicit bystander(const std::string& address) : peer_(address) {
    greeted_ = peer_.read_exactly(greeting_echo::greeting.size()) == greeting_echo::greeting;
    thread_ = std::thread{[this] { run(); }};
  }
  ~bystander() { stop(); }

  /// What it got wrong, or nothing.
  std::string stop() {
    stopped_ = true;
    if (thread_.joinable())
      thread_.join();
    return greeted_ ? trouble_ : "no greeting";
  }

  std::uint64_t rounds() const { return rounds_; }

 private:
  void run() {
    try {
      const position_stream out{7};
      position_checker in{7};
      while (!stopped_) {
        peer_.send_all(out.bytes(1'000, rounds_ * 1'000));
        const auto echo = peer_.read_exactly(1'000);
        if (!in.feed(std::as_bytes(std::span{echo}))) {
          trouble_ = "other bytes";
          return;
        }
        ++rounds_;
      }
    } catch (const std::exception& e) {
      trouble_ = e.what();
    }
  }

  peer peer_;
  bool greeted_ = false;
  std::atomic<bool> stopped_{false};
  std::atomic<std::uint64_t> rounds_{0};
  std::string trouble_;
  std::thread thread_;
};

/// How long a hundred echoes take; before every twentieth of them `disturb` is called, which does not count.
template <class F>
std::chrono::steady_clock::duration time_of_echoes(peer& who, F disturb) {
  const std::string text(1'000, 'x');
  std::chrono::steady_clock::duration all{0};
  for (int i = 0; i < 100; ++i) {
    if (i % 20 == 0)
      disturb();
    const auto began = std::chrono::steady_clock::now();
    who.send_all(text);
    if (who.read_exactly(text.size()) != text)
      throw std::runtime_error{"other bytes"};
    all += std::chrono::steady_clock::now() - began;
  }
  return all;
}

template <class T>
T median(std::vector<T> all) {
  std::nth_element(all.begin(), all.begin() + std::ptrdiff_t(all.size() / 2), all.end());
  return all[all.size() / 2];
}

/// A connect that does not wait. Nobody, if it failed at once.
descriptor begin_connect(const net::socket_address& there) {
  descriptor made{::socket(there.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (::connect(made.fd(), there.data(), there.size) != 0 && errno != EINPROGRESS)
    made.reset();
  return made;
}

bool is_ready(const descriptor& who, short what, int within_ms) {
  pollfd waiting{who.fd(), what, 0};
  return ::poll(&waiting, 1, within_ms) == 1 && (waiting.revents & what) != 0;
}

peer& first_with_input(std::vector<peer>& all) {
  std::vector<pollfd> waiting;
  for (const auto& each : all)
    waiting.push_back({each.fd(), POLLIN, 0});
  REQUIRE(::poll(waiting.data(), waiting.size(), 10'000) > 0);
  const auto found = std::find_if(waiting.begin(), waiting.end(), [](const pollfd& p) { return p.revents != 0; });
  return all[static_cast<std::size_t>(found - waiting.begin())];
}

} // namespace

TEST_CASE("connections that come and go by the hundred stay within the limit and disturb nobody", "[churn]") { // F13
  struct layout {
    std::size_t loops;
    actnet::shard shard;
  };
  const auto l = GENERATE(layout{1, shard::round_robin}, layout{2, shard::round_robin}, layout{2, shard::reuse_port});
  const auto over = each_carrier();
  const said_carrier said{over};
  constexpr std::size_t limit = 10, at_once = 300;
  accept_book calls;
  const net::replaced_system_calls replaced{calls};
  actor_world world{l.loops};
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  const auto closed = std::make_shared<std::atomic<std::size_t>>(0);
  listen_options options;
  options.max_connections = limit;
  options.shard = l.shard;
  listener server;
  world.in(boss, [&](probe& self) { server = self.listen(fresh_address(over), options).each<greeting_echo>(closed); });
  log->expect("listening");
  const auto there = world.address_of(boss);
  REQUIRE(world.ask<listener_info>(server, get_listener_info{}).first); // has been on all loops: each shard is there
  const auto actors = world.live_actors();
  {
    bystander calm{there};
    std::size_t come = 1;
    const auto crowd = [&] {
      std::vector<peer> peers;
      for (std::size_t i = 0; i < at_once; ++i)
        peers.emplace_back(there);
      come += at_once;
      return peers;
    };
    for (int round = 0; round < 3; ++round) {
      for (auto& each : crowd()) // most of them while they wait for their turn
        each.reset();
      crowd(); // and these with an ordinary end
      CHECK(world.ask<caf::ok_atom>(server, pause_accepting{}).first);
      auto before_accept = crowd();
      for (std::size_t i = 0; i < before_accept.size(); ++i)
        i % 2 == 0 ? before_accept[i].reset() : before_accept[i].close();
      CHECK(world.ask<caf::ok_atom>(server, resume_accepting{}).first);
      auto busy = crowd(); // each gets its answer, limit by limit
      for (auto& each : busy)
        each.send_all("x");
      while (!busy.empty()) { // in the order in which they were accepted, by whichever shard
        auto& each = first_with_input(busy);
        CHECK(each.read_exactly(6) == "hellox");
        each.reset();
        std::swap(each, busy.back());
        busy.pop_back();
      }
    }
    CHECK(eventually([&] { return calls.open_sockets() == 1; }));
    CHECK(calls.most() == limit);
    CHECK(calls.accepted() == come);
    CHECK(eventually([&] { return *closed == come - 1; }));
    peer fresh{there};
    CHECK(fresh.read_exactly(5) == "hello");
    const auto rounds = calm.rounds();
    CHECK(eventually([&] { return calm.rounds() > rounds; }));
    CHECK(calm.stop() == "");
  }
  CHECK(eventually([&] { return calls.open_sockets() == 0; }));
  CHECK(eventually([&] { return world.live_actors() == actors; }));
}

TEST_CASE("whoever finds the backlog full is served later, or fails at once, and nothing is left over",
          "[churn]") { // F13
  const auto how = GENERATE(shard::round_robin, shard::reuse_port);
  const auto over = each_carrier();
  const said_carrier said{over};
  constexpr std::size_t clients = 24;
  accept_book calls;
  const net::replaced_system_calls replaced{calls};
  actor_world world{2};
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  const auto closed = std::make_shared<std::atomic<std::size_t>>(0);
  listen_options options;
  options.backlog = 4;
  options.shard = how;
  listener server;
  world.in(boss, [&](probe& self) { server = self.listen(fresh_address(over), options).each<greeting_echo>(closed); });
  log->expect("listening");
  CHECK(world.ask<caf::ok_atom>(server, pause_accepting{}).first);
  REQUIRE(world.ask<listener_info>(server, get_listener_info{}).first); // has been on all loops: each shard is there
  const auto actors = world.live_actors();
  const auto there = net::to_socket_address(world.of(boss, [](probe& self) { return self.local; }));
  std::vector<descriptor> crowd;
  for (std::size_t i = 0; i < clients; ++i)
    if (auto one = begin_connect(there))
      crowd.push_back(std::move(one));
  const auto connected = static_cast<std::size_t>(
      std::count_if(crowd.begin(), crowd.end(), [](const descriptor& d) { return is_ready(d, POLLOUT, 0); }));
  CHECK(connected >= 4);
  CHECK(connected < clients);
  CHECK((over == carrier::tcp ? crowd.size() == clients : crowd.size() == connected));
  CHECK(world.ask<caf::ok_atom>(server, resume_accepting{}).first);
  std::vector<peer> peers;   // who speaks first, for whose last step of the handshake the kernel may have had no room
  for (auto& each : crowd) { // TCP tries again after a second
    REQUIRE(is_ready(each, POLLOUT, 30'000));
    peers.emplace_back(std::move(each), peer_options{.deadline = 30s});
    peers.back().send_all("x");
  }
  std::size_t served = 0;
  for (auto& each : peers)
    served += each.read_exactly(6) == "hellox";
  peers.clear();
  CHECK(served == crowd.size());
  CHECK(calls.accepted() == crowd.size());
  CHECK(eventually([&] { return calls.open_sockets() == 0; }));
  CHECK(eventually([&] { return world.live_actors() == actors; }));
  CHECK(*closed == served);
}

TEST_CASE("connections that come and go slow down nobody much, and afterwards it is quiet", "[churn]") { // F13
  const auto how = GENERATE(shard::round_robin, shard::reuse_port);
  const auto over = each_carrier();
  const said_carrier said{over};
  actor_world world{2};
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  const auto closed = std::make_shared<std::atomic<std::size_t>>(0);
  listen_options options;
  options.shard = how;
  listener server;
  world.in(boss, [&](probe& self) { server = self.listen(fresh_address(over), options).each<greeting_echo>(closed); });
  log->expect("listening");
  const auto there = world.address_of(boss);
  peer bystander{there};
  REQUIRE(bystander.read_exactly(greeting_echo::greeting.size()) == greeting_echo::greeting);
  std::size_t gone = 0;
  const auto keeps_its_pace = [&] {
    std::vector<std::chrono::steady_clock::duration> calm, disturbed; // in turn, so that what else goes on hits both
    for (int round = 0; round < 20; ++round) {
      calm.push_back(time_of_echoes(bystander, [] {}));
      disturbed.push_back(time_of_echoes(bystander, [&] {
        peer{there}.reset();
        ++gone;
      }));
      CHECK(eventually([&] { return *closed == gone; })); // the next calm round is one
    }
    const auto before = median(calm), during = median(disturbed);
    UNSCOPED_INFO("100 echoes took " << before.count() << " ns, and while others came and went " << during.count());
    return during <= 2 * before;
  };
  bool kept = false;
  for (int attempt = 0; attempt < 5 && !kept; ++attempt) // the machine may be busy
    kept = keeps_its_pace();
  CHECK(kept);
  bystander.close();
  CHECK(eventually([&] { return *closed == gone + 1; }));
  CHECK(disturbances(world) == findings{});
}
