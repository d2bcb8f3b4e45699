// What a supervisor is told of its children: how each is started, when it is started again, how it is ended. The names
// and their meanings are those of OTP's supervisor; actors/README.md says where they differ.
#pragma once

#include "actnet/actors/open.hpp"
#include "actnet/actors/supervision/options.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace actnet {

class supervisor_actor;

/// When a child that ended is started again. It ended normally with no error, `exit_reason::normal` or
/// `exit_reason::user_shutdown`, and a supervisor also with `restart_limit`.
enum class restart : std::uint8_t {
  permanent, ///< Always.
  transient, ///< Unless it ended normally.
  temporary, ///< Never; the supervisor forgets it.
};

/// Only for those who ask what children there are.
enum class child_kind : std::uint8_t { worker, supervisor };

/// How a child is ended by its supervisor.
class shutdown {
 public:
  /// It is told to end (`exit_reason::user_shutdown`; sockets drain), and killed after that time.
  template <class Rep, class Period>
  constexpr shutdown(std::chrono::duration<Rep, Period> within) noexcept
      : within_(net::saturated<std::chrono::milliseconds>(within)) {
    if (within_ < within_.max() && within_ > within_.min() && within_ < within) // a part of a millisecond
      ++within_;
  }

  /// It is told to end, and waited for without end.
  static constexpr shutdown infinity() noexcept { return shutdown{std::chrono::milliseconds::max()}; }

  /// It is killed.
  static constexpr shutdown brutal() noexcept { return shutdown{std::chrono::milliseconds{-1}}; }

  constexpr bool is_brutal() const noexcept { return within_.count() < 0; }
  constexpr bool is_infinite() const noexcept { return within_ == std::chrono::milliseconds::max(); }
  constexpr std::chrono::milliseconds within() const noexcept { return within_; }

 private:
  std::chrono::milliseconds within_;
};

/// What a child that owns a socket leaves with its supervisor when it fails, for its successor.
class kept_socket {
 public:
  virtual ~kept_socket() = default;
  /// There is no successor: nothing of it is to stay.
  virtual void abandon() noexcept = 0;
  /// The successor starts together with its siblings, so connections do not stay either: they are closed, or aborted.
  virtual void drop_connections(bool /*abort*/) noexcept {}
};

/// A child that was made.
struct started_child {
  enum class nature : std::uint8_t {
    plain,      ///< Started once it is made; told to end by an exit message.
    listener,   ///< Started once it says so; told to end by `drain`.
    datagrams,  ///< As a listener.
    supervisor, ///< Started once all its children are; told to end by an exit message.
  };

  started_child() = default;
  started_child(caf::actor made) : who(std::move(made)) {}
  started_child(const listener& made) : who(made.actor()), is(nature::listener) {}
  started_child(const datagram_socket& made) : who(made.actor()), is(nature::datagrams) {}
  started_child(caf::actor made, nature n) : who(std::move(made)), is(n) {}

  caf::actor who;
  nature is = nature::plain;
};

/// For a function that makes a child.
class start_context {
 public:
  start_context(supervisor_actor& parent, std::string path, const caf::strong_actor_ptr& handle,
                std::shared_ptr<kept_socket>& kept)
      : parent_(parent), path_(std::move(path)), handle_(handle), kept_(kept) {}

  caf::actor_system& system() const;

  /// The next loop in turn.
  loop_host& next_loop() const;

  /// "main/chat/room".
  const std::string& path() const noexcept { return path_; }

  caf::actor parent() const;

  /// The stable handle of what is being made; nobody's for a temporary child.
  const caf::strong_actor_ptr& handle() const noexcept { return handle_; }

  /// The stable handle of another child of the same supervisor; nobody's if there is none of that id.
  caf::actor sibling(std::string_view id) const;

  /// On the next loop in turn.
  template <class Worker, class... Args>
  caf::actor spawn(Args&&... args) const {
    return spawn_on<Worker>(next_loop(), std::forward<Args>(args)...);
  }

  /// A listener whose socket stays open when the listening actor fails, so that nobody is refused until its successor
  /// runs; its connections stay too. What the order's last call returns is to be returned as the child.
  listen_order listen(endpoint_argument local) const;
  listen_order listen(endpoint_argument local, listen_options options) const;

  /// A datagram socket that stays open in the same way. Its handler is made anew with each start.
  bind_order bind(endpoint_argument local) const;
  bind_order bind(endpoint_argument local, bind_options options) const;

 private:
  supervisor_actor& parent_;
  const std::string path_;
  const caf::strong_actor_ptr& handle_;
  std::shared_ptr<kept_socket>& kept_;
};

/// Makes a child. What it throws is why the start failed. Runs in the supervisor's turn, once for each start.
using start_function = std::function<started_child(const start_context&)>;

struct child_spec {
  std::string id; ///< Unique among its siblings; of a dynamic child only its name in the log.
  start_function start;
  actnet::restart restart = actnet::restart::permanent;
  actnet::shutdown shutdown = std::chrono::milliseconds{5'000};
  child_kind kind = child_kind::worker;
};

/// A child that is an actor of class `Worker`, made from its arguments on the next loop in turn.
template <class Worker, class... Args>
child_spec worker(std::string id, Args... args) {
  return {std::move(id), [given = std::make_tuple(std::move(args)...)](const start_context& my) -> started_child {
            return std::apply([&](const auto&... xs) { return my.spawn<Worker>(xs...); }, given);
          }};
}

/// A child that is a supervisor. It lives on its parent's loop, and has all the time it needs to end.
child_spec supervise(std::string id, supervisor_options options, std::vector<child_spec> children = {});

} // namespace actnet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actnet::child_spec)
