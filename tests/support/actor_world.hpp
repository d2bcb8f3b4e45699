// An actor system with loops for tests, actors that write down what they are told, and a look at what is left over.
#pragma once

#include "support/baseline.hpp"
#include "support/carrier.hpp"
#include "support/catch.hpp"
#include "support/eventually.hpp"
#include "support/peer.hpp"

#include "actnet/actors/handler.hpp"
#include "actnet/actors/loops.hpp"
#include "actnet/net/log.hpp"

#include <caf/actor_registry.hpp>
#include <caf/actor_system.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace actnet::test {

using namespace std::chrono_literals;

/// What actors were told, one line each, in order. Any thread.
class journal {
 public:
  void add(std::string line) {
    std::lock_guard guard{mutex_};
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }

  std::vector<std::string> lines() const {
    std::lock_guard guard{mutex_};
    return lines_;
  }

  std::size_t count(std::string_view line) const {
    std::lock_guard guard{mutex_};
    return static_cast<std::size_t>(std::count(lines_.begin(), lines_.end(), line));
  }

  /// How many lines begin like this.
  std::size_t count_like(std::string_view prefix) const {
    std::lock_guard guard{mutex_};
    return like(prefix);
  }

  /// Waits for a line; without it the test ends here.
  void expect(std::string_view line, std::size_t times = 1) const {
    const auto found = await([&] { return std::count(lines_.begin(), lines_.end(), line) >= std::ptrdiff_t(times); });
    INFO("expected " << line << ", " << times << " times, in:" << text());
    REQUIRE(found);
  }

  /// The same for lines that begin like this.
  void expect_like(std::string_view prefix, std::size_t times = 1) const {
    const auto found = await([&] { return like(prefix) >= times; });
    INFO("expected " << prefix << "..., " << times << " times, in:" << text());
    REQUIRE(found);
  }

  /// All lines, for a message.
  std::string text() const {
    std::string all;
    for (const auto& line : lines())
      all += "\n  " + line;
    return all;
  }

 private:
  template <class Condition>
  bool await(Condition condition) const {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, default_deadline, condition);
  }

  std::size_t like(std::string_view prefix) const {
    return static_cast<std::size_t>(
        std::count_if(lines_.begin(), lines_.end(), [&](const std::string& l) { return l.starts_with(prefix); }));
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<std::string> lines_;
};

using journal_ptr = std::shared_ptr<journal>;

inline journal_ptr make_journal() {
  return std::make_shared<journal>();
}

/// "what", or "what: why" if there is an error.
inline std::string with_cause(std::string what, const caf::error& cause) {
  return cause ? std::move(what) + ": " + to_text(cause) : what;
}
inline std::string with_cause(std::string what, errc cause) {
  return std::move(what) + ": " + std::string{to_string(cause)};
}

/// What a probe does beyond writing down. Gets the line that was just written.
class probe;
using hook = std::function<void(probe&, const std::string& line)>;

/// To a probe: do this in your own turn.
struct perform {
  std::function<void(probe&)> what;
};

/// Writes down everything it is told.
class probe : public handler {
 public:
  probe(caf::actor_config& cfg, journal_ptr log, hook then = {})
      : handler(cfg), log_(std::move(log)), then_(std::move(then)) {}
  probe(caf::actor_config& cfg, connection c, journal_ptr log, hook then = {})
      : handler(cfg), peer(std::move(c)), log_(std::move(log)), then_(std::move(then)), ends_with_peer_(true) {}
  probe(caf::actor_config& cfg, datagram_socket s, journal_ptr log, hook then = {})
      : handler(cfg), socket(std::move(s)), log_(std::move(log)), then_(std::move(then)), ends_with_peer_(true) {}

  connection peer; ///< Its own, or the last that was accepted or connected.
  datagram_socket socket;
  std::vector<connection> accepted_connections;
  net::endpoint local; ///< Where it listens or is bound.
  bool keeps = false;  ///< Holds on to received payloads.
  std::vector<net::bytes> kept;
  std::string received_text; ///< All of it.

  journal& log() noexcept { return *log_; }

  /// Writes down, and reacts.
  void note(std::string line) {
    log_->add(line);
    if (then_)
      then_(*this, line);
  }

  caf::behavior make_behavior() override { return everything(); }

  caf::behavior everything() {
    caf::message_handler streams{
        [this](const perform& p) { p.what(*this); },
        [this](const stream::received& r) {
          received_text += r.payload.view();
          if (keeps)
            kept.push_back(r.payload);
          note("received " + shown(r.payload));
        },
        [this](const stream::peer_finished&) { note("peer_finished"); },
        [this](const stream::writable&) { note("writable"); },
        [this](const stream::written& w) {
          note(with_cause("written " + std::to_string(w.token) + " " + std::to_string(w.bytes), w.cause));
        },
        [this](const stream::finished& f) { note(with_cause("finished", f.cause)); },
        [this](const stream::closed& c) {
          note(with_cause("closed " + std::string{to_string(c.reason)}, c.cause));
          if (ends_with_peer_)
            quit(c.cause);
        },
    };
    caf::message_handler openers{
        [this](const listening& l) {
          local = l.local;
          note("listening");
        },
        [this](const listen_failed& f) { note(with_cause("listen_failed", f.cause)); },
        [this](const listener_closed& c) { note(with_cause("listener_closed", c.cause)); },
        [this](const accepted& a) {
          peer = a.connection;
          accepted_connections.push_back(a.connection);
          note("accepted");
        },
        [this](const connected& c) {
          peer = c.connection;
          note("connected");
        },
        [this](const connect_failed& f) { note(with_cause("connect_failed", f.cause)); },
    };
    caf::message_handler datagrams{
        [this](const bound& b) {
          socket = b.socket;
          local = b.local;
          note("bound");
        },
        [this](const bind_failed& f) { note(with_cause("bind_failed", f.cause)); },
        [this](const datagram::received& r) {
          if (keeps)
            kept.push_back(r.payload);
          note("datagram " + shown(r.payload) + (r.truncated ? " truncated" : ""));
        },
        [this](const datagram::sent& s) { note(with_cause("sent " + std::to_string(s.token), s.cause)); },
        [this](const datagram::writable&) { note("datagram writable"); },
        [this](const datagram::closed& c) {
          note(with_cause("datagram closed " + std::string{to_string(c.reason)}, c.cause));
          if (ends_with_peer_)
            quit(c.cause);
        },
    };
    return streams.or_else(openers).or_else(datagrams);
  }

 private:
  static std::string shown(const net::bytes& payload) {
    return payload.size() <= 32 ? std::string{payload.view()} : std::to_string(payload.size()) + " bytes";
  }

  journal_ptr log_;
  hook then_;
  bool ends_with_peer_ = false;
};

/// Collects the library's log instead of printing it, and counts anew what its rate limit lets through.
class captured_log {
 public:
  captured_log()
      : before_(net::set_log_sink([this](net::log_level, std::string_view kind, std::string_view text) {
          lines.add(std::string{kind} + ": " + std::string{text});
        })) {
    net::set_log_clock(net::monotonic_clock::instance());
  }
  ~captured_log() { net::set_log_sink(std::move(before_)); }

  journal lines;

 private:
  net::log_sink before_;
};

/// Two ends of a connection: a descriptor for the library, and who sits at the other end.
struct connected_pair {
  explicit connected_pair(peer_options options = {}, carrier kind = carrier::tcp)
      : connected_pair(kind == carrier::tcp ? by_tcp(options) : by_socketpair(options), kind) {}
  explicit connected_pair(carrier kind) : connected_pair(peer_options{}, kind) {}

  descriptor near;
  peer far;
  carrier over;
  said_carrier said{over};

 private:
  using ends = std::pair<descriptor, peer>;
  connected_pair(ends both, carrier kind) : near(std::move(both.first)), far(std::move(both.second)), over(kind) {}

  static ends by_tcp(peer_options options) {
    listening_peer listener{options};
    descriptor made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(listener.port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(made.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
      throw std::runtime_error{"connect"};
    return {std::move(made), listener.accept()};
  }

  /// A Unix receiver has no buffer of its own: what the sender may have under way bounds it (unix(7)).
  static ends by_socketpair(peer_options options) {
    int both[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) != 0)
      throw std::runtime_error{"socketpair"};
    if (const int room = options.receive_buffer_bytes; room > 0)
      ::setsockopt(both[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    return {descriptor{both[0]}, peer{descriptor{both[1]}, options, both[0]}};
  }
};

/// An actor system whose actors all have to be gone at the end, with every descriptor and thread.
class actor_world {
 public:
  explicit actor_world(std::size_t loops = 1, net::clock* time = nullptr, const actnet::settings& others = {}) {
    config_.settings = others;
    config_.settings.loops.count = loops;
    config_.settings.loops.time = time;
    config_.settings.loops.turn_alarm = 0ms; // a busy machine is no news here
    config_.set("scheduler.policy", caf::atom("sharing"));
    config_.set("scheduler.max-threads", std::uint64_t{1});
    system_.emplace(config_);
    system_->await_actors_before_shutdown(false);
  }
  ~actor_world() { end(); }

  caf::actor_system& system() { return *system_; }
  loop_host& loop(std::size_t index = 0) { return loops::of(*system_).at(index); }

  std::size_t live_actors() {
    std::size_t all = system_->registry().running();
    for (std::size_t i = 0; i < loops::of(*system_).size(); ++i)
      all += loop(i).live_actors();
    return all;
  }

  /// A probe that the world ends.
  caf::actor spawn(journal_ptr log, hook then = {}, std::size_t on_loop = 0) {
    return owned(spawn_on<probe>(loop(on_loop), std::move(log), std::move(then)));
  }

  /// Has the world end `who`.
  caf::actor owned(caf::actor who) {
    owned_.push_back(who);
    return who;
  }

  /// Calls `what` in a probe's own turn, and returns when it has been called.
  template <class F>
  void in(const caf::actor& who, F what) {
    auto done = std::make_shared<std::promise<void>>();
    caf::anon_send(who, perform{[done, what](probe& self) {
                     what(self);
                     done->set_value();
                   }});
    REQUIRE(done->get_future().wait_for(default_deadline) == std::future_status::ready);
  }

  /// What a request of `self` comes to, as `ok` or as the error; `Answer` is the type of the value.
  template <class Answer, class Command>
  std::pair<std::optional<Answer>, caf::error> ask(const caf::actor& who, handle to, Command command) {
    auto done = std::make_shared<std::promise<std::pair<std::optional<Answer>, caf::error>>>();
    caf::anon_send(who, perform{[=](probe& self) {
                     to.request(&self, command)
                         .then(
                             [done](const Answer& a) {
                               done->set_value({a, {}});
                             },
                             [done](caf::error& e) {
                               done->set_value({std::nullopt, std::move(e)});
                             });
                   }});
    auto answer = done->get_future();
    REQUIRE(answer.wait_for(default_deadline) == std::future_status::ready);
    return answer.get();
  }

  /// Asked by an actor of the world's own.
  template <class Answer, class Command>
  std::pair<std::optional<Answer>, caf::error> ask(handle to, Command command) {
    if (!asker_)
      asker_ = spawn(make_journal());
    return ask<Answer>(asker_, std::move(to), std::move(command));
  }

  stream::info info(const connection& c) { return *ask<stream::info>(c, stream::get_info{}).first; }

  /// Until the connection has taken so many bytes from the kernel, and they are where they belong.
  void await_read(const connection& c, std::uint64_t bytes) {
    REQUIRE(eventually([&] { return info(c).bytes_received >= bytes; }));
  }

  /// What `what` makes of a probe, in the probe's turn.
  template <class F>
  auto of(const caf::actor& who, F what) {
    std::optional<std::invoke_result_t<F, probe&>> value;
    in(who, [&value, what](probe& self) { value = what(self); });
    return *value;
  }

  std::uint16_t port_of(const caf::actor& who) {
    return of(who, [](probe& self) { return self.local.port(); });
  }

  /// Where it listens or is bound, as peers take it.
  std::string address_of(const caf::actor& who) {
    return of(who, [](probe& self) { return self.local.to_string(); });
  }

  /// Puts a connection over `pair` into the hands of `owner`.
  connection adopt(connected_pair& pair, const caf::actor& owner, connection_options options = {}) {
    auto adopted = adopt_connection(*system_, pair.near.fd(), owner, options);
    REQUIRE(adopted);
    (void)pair.near.release();
    return *adopted;
  }

  /// Until every loop has done what it had to do when this was called, and what came of that.
  void settle() {
    for (int round = 0; round < 3; ++round)
      for (std::size_t i = 0; i < loops::of(*system_).size(); ++i) {
        std::promise<void> done;
        REQUIRE(loop(i).loop().post([](void* p, void*) noexcept { static_cast<std::promise<void>*>(p)->set_value(); },
                                    &done, nullptr));
        REQUIRE(done.get_future().wait_for(default_deadline) == std::future_status::ready);
      }
  }

  void kill(const caf::actor& who, caf::exit_reason reason = caf::exit_reason::kill) {
    caf::anon_send_exit(who, reason);
  }

  /// Ends the probes and waits for whatever else is to end by itself.
  void end() {
    if (!system_)
      return;
    for (const auto& who : std::exchange(owned_, {}))
      kill(who);
    asker_ = nullptr;
    const auto gone = eventually([this] { return live_actors() == 0; });
    INFO("actors left over: " << live_actors());
    CHECK(gone);
    system_.reset();
  }

  /// Ends the system under whatever lives in it.
  void shut_down() {
    owned_.clear();
    asker_ = nullptr;
    system_.reset();
  }

 private:
  baseline before_; // first, so that it looks when all else is gone
  config config_;
  std::optional<caf::actor_system> system_;
  std::vector<caf::actor> owned_;
  caf::actor asker_;
};

} // namespace actnet::test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::test::perform)
