// The root of a program's actors: what it opened keeps the program running.
#pragma once

#include "actnet/actors/supervision/supervisor_actor.hpp"
#include "actnet/net/loop/clock.hpp"
#include "actnet/net/loop/timers.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/behavior.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>

namespace actnet {

class main_actor;

/// What the main actor does first. A behaviour that it returns handles messages beyond the defaults.
using main_function = std::function<caf::behavior(main_actor&)>;

/// To the main actor: end the program.
struct program_stop {
  int exit_code = 0;
  std::string complaint; ///< One line for stderr; empty: none.
  std::optional<std::chrono::milliseconds> drain_deadline;
};

/// To the main actor: end it now.
struct program_abort {
  int exit_code = 1;
};

/// To the main actor: the program does not end before `who`.
struct program_joined {
  caf::actor who;
};

/// To the main actor: the tree of supervisors, on stderr.
struct print_tree {};

/// To the main actor, from itself: what the program began with has been dealt with.
struct program_begun {};

/// The main actor's name in the system's registry while `actnet::run` runs.
constexpr caf::atom_value main_actor_name = caf::atom("actnetmain");

/// How a program ended, or is ending; shared with `actnet::run`.
struct program_outcome {
  virtual ~program_outcome() = default;
  /// The program drains from now on; it should be over within `deadline`.
  virtual void draining(std::chrono::milliseconds deadline) = 0;
  virtual void ended(int exit_code) = 0;
};

/// The root of the tree of supervisors ("main"), one for one. What it listens on and binds are transient children of
/// it, and `start_child` adds others.
///
/// Says `listening on ENDPOINT` on stderr for each listener and datagram socket in the tree. Ends the program with a
/// sentence and exit code 1 when something that it opened does not open, when a child that nobody asked for by message
/// does not start, when children end too often, and when it is ended itself by an error; and with 0 once all its
/// children, all it opened and all that joined is gone. When told to stop, it sends `drain` to all sockets of
/// the tree and all that joined, then ends the other children in the reverse order of their start, and kills what is
/// left after the deadline. Of several complaints the first is told.
class main_actor final : public supervisor_actor, private net::timer {
 public:
  main_actor(caf::actor_config& cfg, std::string program, const actnet::settings& settings, main_function fun,
             program_outcome& outcome);

  const char* name() const override { return "actnet.main"; }

  caf::behavior make_behavior() override;
  void on_exit() override;
  void opened(const caf::actor& socket) override;

  /// Keeps `service`, which the others use, to the end: it gets `drain` once they are all gone, with the time it has
  /// (more than a day: any), and the program ends when it has ended.
  void keep_to_the_end(const caf::actor& service);

  /// The program's name, as in its messages.
  const std::string& program() const noexcept { return program_; }

 private:
  void stop(const program_stop& order);
  void give_up(const std::string& sentence);
  void socket_failed(const std::string& sentence);
  void tell_of(const net::endpoint& where);
  void say(const std::string& line) const;
  void end_if_alone();
  void child_failed_to_start(const std::string& path, started_child::nature is, const caf::error& cause) override;
  void giving_up(const std::string& sentence) override { give_up(sentence); }
  void on_free() override { end_if_alone(); }
  void told_to_end(const caf::error& reason) override;
  void all_ended(const caf::error& reason) override;
  void other_down(const caf::down_msg& message) override;
  void on_timer(net::time_point now) noexcept override;
  std::chrono::milliseconds patience_left() const;

  const std::string program_;
  const std::chrono::milliseconds drain_deadline_;
  main_function fun_;
  program_outcome& outcome_;
  std::set<caf::actor_addr> others_; // that are no children
  std::set<caf::actor_addr> services_;
  std::optional<net::time_point> drain_until_;
  std::set<std::string> told_of_;
  bool begun_ = false;
  bool sockets_gone_ = false;
  bool children_gone_ = false;
  int exit_code_ = 0;
};

} // namespace actnet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::program_stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::program_abort)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::program_joined)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::print_tree)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::program_begun)
