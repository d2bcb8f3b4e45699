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
#include "actnet/net/loop/clock.hpp"

#include <caf/actor_system.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/message.hpp>
#include <caf/send.hpp>

#include <atomic>
#include <chrono>
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
  void add(std::string line);

  std::vector<std::string> lines() const;

  std::size_t count(std::string_view line) const;

  /// How many lines begin like this.
  std::size_t count_like(std::string_view prefix) const;

  /// Waits for a line; without it the test ends here.
  void expect(std::string_view line, std::size_t times = 1) const;

  /// The same for lines that begin like this.
  void expect_like(std::string_view prefix, std::size_t times = 1) const;

  /// All lines, for a message.
  std::string text() const;

 private:
  std::size_t like(std::string_view prefix) const;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<std::string> lines_;
};

using journal_ptr = std::shared_ptr<journal>;

inline journal_ptr make_journal() {
  return std::make_shared<journal>();
}

/// "what", or "what: why" if there is an error.
std::string with_cause(std::string what, const caf::error& cause);
std::string with_cause(std::string what, errc cause);

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
  probe(caf::actor_config& cfg, journal_ptr log, hook then = {});
  probe(caf::actor_config& cfg, connection c, journal_ptr log, hook then = {});
  probe(caf::actor_config& cfg, datagram_socket s, journal_ptr log, hook then = {});
  ~probe() override;

  connection peer; ///< Its own, or the last that was accepted or connected.
  datagram_socket socket;
  std::vector<connection> accepted_connections;
  net::endpoint local; ///< Where it listens or is bound.
  bool keeps = false;  ///< Holds on to received payloads.
  std::vector<net::bytes> kept;
  std::string received_text; ///< All of it.

  journal& log() noexcept { return *log_; }

  /// Writes down, and reacts.
  void note(std::string line);

  caf::behavior make_behavior() override;

  caf::behavior everything();

 private:
  journal_ptr log_;
  hook then_;
  bool ends_with_peer_ = false;
};

/// Collects the library's log instead of printing it, and counts anew what its rate limit lets through.
class captured_log {
 public:
  captured_log();
  ~captured_log();

  journal lines;

 private:
  net::log_sink before_;
};

/// Spawns an actor that is a function. For one without arguments CAF 0.17.6 binds a reference to null
/// (caf/detail/init_fun_factory.hpp), which the checks of the standard library refuse, so this one has an argument.
template <class F>
caf::actor spawn_function(caf::actor_system& system, F fun) {
  return system.spawn([fun](caf::event_based_actor* self, int) -> caf::behavior { return fun(self); }, 0);
}

/// For the log's rate limit any two lines are far apart: none is left out because of another.
class unlimited_log final : public net::clock {
 public:
  unlimited_log() { net::set_log_clock(*this); }
  ~unlimited_log() { net::set_log_clock(net::monotonic_clock::instance()); }

  net::time_point now() noexcept override { return net::time_point{std::chrono::hours{++hours_}}; }
  net::time_point coarse_now() noexcept override { return now(); }
  bool manual() const noexcept override { return false; }

 private:
  std::atomic<int> hours_{0};
};

/// Two ends of a connection: a descriptor for the library, and who sits at the other end.
struct connected_pair {
  explicit connected_pair(peer_options options = {}, carrier kind = carrier::tcp);
  explicit connected_pair(carrier kind) : connected_pair(peer_options{}, kind) {}

  descriptor near;
  peer far;
  carrier over;
  said_carrier said{over};

 private:
  using ends = std::pair<descriptor, peer>;
  connected_pair(ends both, carrier kind);
};

/// An actor system whose actors all have to be gone at the end, with every descriptor and thread.
class actor_world {
 public:
  explicit actor_world(std::size_t loops = 1, net::clock* time = nullptr, const actnet::settings& others = {});
  ~actor_world();

  caf::actor_system& system() { return *system_; }
  loop_host& loop(std::size_t index = 0) { return loops::of(*system_).at(index); }

  std::size_t live_actors();

  /// A probe that the world ends.
  caf::actor spawn(journal_ptr log, hook then = {}, std::size_t on_loop = 0);

  /// Has the world end `who`.
  caf::actor owned(caf::actor who);

  /// Calls `what` in a probe's own turn, and returns when it has been called.
  void in(const caf::actor& who, std::function<void(probe&)> what);

  /// What a request of `self` comes to, as `ok` or as the error; `Answer` is the type of the value.
  template <class Answer, class Command>
  std::pair<std::optional<Answer>, caf::error> ask(const caf::actor& who, handle to, Command command) {
    struct outcome {
      std::pair<std::optional<Answer>, caf::error> answer;
      std::promise<void> is_there;
    };
    auto what = std::make_shared<outcome>();
    request(who, std::move(to), caf::make_message(std::move(command)), what->is_there.get_future(),
            {[what](const Answer& value) {
               what->answer.first = value;
               what->is_there.set_value();
             },
             [what](caf::error& cause) {
               what->answer.second = std::move(cause);
               what->is_there.set_value();
             }});
    return what->answer;
  }

  /// Asked by an actor of the world's own.
  template <class Answer, class Command>
  std::pair<std::optional<Answer>, caf::error> ask(handle to, Command command) {
    return ask<Answer>(asker(), std::move(to), std::move(command));
  }

  stream::info info(const connection& c);

  /// Until the connection has taken so many bytes from the kernel, and they are where they belong.
  void await_read(const connection& c, std::uint64_t bytes);

  /// What `what` makes of a probe, in the probe's turn.
  template <class F>
  auto of(const caf::actor& who, F what) {
    std::optional<std::invoke_result_t<F, probe&>> value;
    in(who, [&value, what](probe& self) { value = what(self); });
    return *value;
  }

  std::uint16_t port_of(const caf::actor& who);

  /// Where it listens or is bound, as peers take it.
  std::string address_of(const caf::actor& who);

  /// Puts a connection over `pair` into the hands of `owner`.
  connection adopt(connected_pair& pair, const caf::actor& owner, connection_options options = {});

  /// Until every loop has done what it had to do when this was called, and what came of that.
  void settle();

  void kill(const caf::actor& who, caf::exit_reason reason = caf::exit_reason::kill);

  /// Ends the probes and waits for whatever else is to end by itself.
  void end();

  /// Ends the system under whatever lives in it.
  void shut_down();

 private:
  const caf::actor& asker();

  /// Has `who` ask, and waits until `on_answer`, which is called in a turn of `who`, says that the answer is there.
  void request(const caf::actor& who, handle to, caf::message command, std::future<void> is_there,
               caf::behavior on_answer);

  baseline before_; // first, so that it looks when all else is gone
  config config_;
  std::optional<caf::actor_system> system_;
  std::vector<caf::actor> owned_;
  caf::actor asker_;
};

} // namespace actnet::test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::test::perform)
