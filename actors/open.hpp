// How an actor opens sockets: say what, then who is to handle it.
//
//   listen(system, "127.0.0.1:9999").owned_by(self).each<echo>();
//   connect(system, "127.0.0.1:9999").owned_by(self).with<talk>("Hello!");
//   bind(system, "udp://127.0.0.1:0").owned_by(self).with<receiver>();
//
// `actnet::handler` has the same as member functions, owned by itself.
#pragma once

#include "actnet/actors/client.hpp"
#include "actnet/actors/connection.hpp"
#include "actnet/actors/datagram_socket.hpp"
#include "actnet/actors/listener.hpp"
#include "actnet/actors/loops.hpp"
#include "actnet/actors/options.hpp"
#include "actnet/actors/this_actor.hpp"
#include "actnet/net/address/endpoint.hpp"

#include <caf/actor.hpp>
#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace actnet {

class handler;
class kept_socket;
class start_context;
class supervisor_actor;

/// Spawns an actor on a loop. A `Handler` that is not a `hosted_actor` would be resumed by CAF's scheduler instead.
template <class Handler, class... Args>
caf::actor spawn_on(loop_host& host, Args&&... args) {
  const running_actor nobody;
  caf::actor_config cfg{&host};
  return host.system().spawn_class<Handler, caf::no_spawn_options>(cfg, std::forward<Args>(args)...);
}

/// Spawns an actor where `where` says, for a socket that lives on `home`.
template <class Handler, class... Args>
caf::actor spawn_at(placement where, loop_host& home, Args&&... args) {
  switch (where) {
  case placement::scheduler: {
    const running_actor nobody;
    return home.system().spawn<Handler>(std::forward<Args>(args)...);
  }
  case placement::own_loop: {
    auto& own = loops::of(home.system()).make_own_loop();
    try {
      return spawn_on<Handler>(own, std::forward<Args>(args)...);
    } catch (...) {
      own.end_if_empty();
      throw;
    }
  }
  case placement::loop: break;
  }
  return spawn_on<Handler>(home, std::forward<Args>(args)...);
}

/// An endpoint, or a text that is to be one; a text that is none makes the opening fail with its sentence.
class endpoint_argument {
 public:
  endpoint_argument(net::endpoint e) : value_(std::move(e)) {}
  endpoint_argument(std::string_view text);
  endpoint_argument(const char* text) : endpoint_argument(std::string_view{text}) {}
  endpoint_argument(const std::string& text) : endpoint_argument(std::string_view{text}) {}

  /// What it is where a text without a scheme means UDP.
  endpoint_argument for_datagrams() &&;

  const net::endpoint& value() const noexcept { return value_; }
  const std::string& mistake() const noexcept { return mistake_; } ///< Empty: none.

 private:
  net::endpoint value_;
  bool bare_ = false; ///< A text without a scheme.
  std::string mistake_;
};

class listen_order {
 public:
  listen_order(caf::actor_system& system, endpoint_argument local, listen_options options);

  /// Who gets `listening` or `listen_failed`, `listener_closed`, and `accepted` if there is no handler for each. The
  /// listener ends with it.
  listen_order& owned_by(caf::actor owner) {
    owner_ = std::move(owner);
    return *this;
  }

  /// `opener` learns which actor was made, by `handler::opened`, before this order is gone.
  listen_order& opened_by(handler& opener) {
    opener_ = &opener;
    return *this;
  }

  /// It becomes a transient child of `parent`, in whose turn this is: started again when it fails, with its socket open
  /// all the while. The listener that the last call returns is then its stable handle.
  listen_order& supervised_by(supervisor_actor& parent) {
    supervisor_ = &parent;
    return *this;
  }

  /// It is the child of its owner that `child` is for; `kept` is where its socket stays until its next start.
  listen_order& supervised_as(const start_context& child, std::shared_ptr<kept_socket>& kept) {
    child_ = &child;
    kept_ = &kept;
    return *this;
  }

  /// Takes over an open listening socket; on failure the descriptor stays the caller's and the listener fails.
  listen_order& adopt(int descriptor) {
    descriptor_ = descriptor;
    return *this;
  }

  /// Begins paused: nothing is accepted until `resume_accepting`.
  listen_order& paused() {
    paused_ = true;
    return *this;
  }

  /// Makes a `Handler(actor_config&, connection, args...)` for each connection; it owns the connection.
  template <class Handler, class... Args>
  listener each(Args... args) {
    return start(
        [where = options_.handlers, given = std::make_tuple(std::move(args)...)](loop_host& home, const connection& c) {
          return std::apply([&](const auto&... xs) { return spawn_at<Handler>(where, home, c, xs...); }, given);
        });
  }

  /// Sends `accepted` to the owner, who claims each connection with `set_owner`.
  listener start() { return start(nullptr); }

  /// The owner of each connection is what `make_handler` makes, on the connection's loop.
  listener start(std::function<caf::actor(loop_host&, const connection&)> make_handler);

 private:
  caf::actor_system& system_;
  endpoint_argument local_;
  listen_options options_;
  caf::actor owner_;
  handler* opener_ = nullptr;
  supervisor_actor* supervisor_ = nullptr;
  const start_context* child_ = nullptr;
  std::shared_ptr<kept_socket>* kept_ = nullptr;
  int descriptor_ = -1;
  bool paused_ = false; // to begin with
};

class connect_order {
 public:
  connect_order(caf::actor_system& system, endpoint_argument remote, connect_options options);

  /// Who gets `connected` or `connect_failed`. Without a handler it owns the connection. The client ends with it.
  connect_order& owned_by(caf::actor owner) {
    owner_ = std::move(owner);
    return *this;
  }

  /// `opener` learns which actor was made, by `handler::opened`, before this order is gone.
  connect_order& opened_by(handler& opener) {
    opener_ = &opener;
    return *this;
  }

  /// Makes a `Handler(actor_config&, connection, args...)` when connected; it owns the connection.
  template <class Handler, class... Args>
  client with(Args... args) {
    return start(
        [where = options_.handlers, given = std::make_tuple(std::move(args)...)](loop_host& home, const connection& c) {
          return std::apply([&](const auto&... xs) { return spawn_at<Handler>(where, home, c, xs...); }, given);
        });
  }

  client start() { return start(nullptr); }

 private:
  client start(std::function<caf::actor(loop_host&, const connection&)> make_handler);

  caf::actor_system& system_;
  endpoint_argument remote_;
  connect_options options_;
  caf::actor owner_;
  handler* opener_ = nullptr;
};

class bind_order {
 public:
  bind_order(caf::actor_system& system, endpoint_argument local, bind_options options);

  /// Who gets `bound` or `bind_failed`. Without a handler it owns the socket.
  bind_order& owned_by(caf::actor owner) {
    owner_ = std::move(owner);
    return *this;
  }

  /// `opener` learns which actor was made, by `handler::opened`, before this order is gone.
  bind_order& opened_by(handler& opener) {
    opener_ = &opener;
    return *this;
  }

  /// As of a listener.
  bind_order& supervised_by(supervisor_actor& parent) {
    supervisor_ = &parent;
    return *this;
  }
  bind_order& supervised_as(const start_context& child, std::shared_ptr<kept_socket>& kept) {
    child_ = &child;
    kept_ = &kept;
    return *this;
  }

  /// Makes a `Handler(actor_config&, datagram_socket, args...)`; it owns the socket and gets `bound` too.
  template <class Handler, class... Args>
  datagram_socket with(Args... args) {
    return start([where = options_.handlers, given = std::make_tuple(std::move(args)...)](loop_host& home,
                                                                                          const datagram_socket& s) {
      return std::apply([&](const auto&... xs) { return spawn_at<Handler>(where, home, s, xs...); }, given);
    });
  }

  datagram_socket start() { return start(nullptr); }

 private:
  datagram_socket start(std::function<caf::actor(loop_host&, const datagram_socket&)> make_handler);

  caf::actor_system& system_;
  endpoint_argument local_;
  bind_options options_;
  caf::actor owner_;
  handler* opener_ = nullptr;
  supervisor_actor* supervisor_ = nullptr;
  const start_context* child_ = nullptr;
  std::shared_ptr<kept_socket>* kept_ = nullptr;
};

// Without options each takes those of the system's settings: who wants to change one of them begins with a copy of
// `loops::of(system).settings().listener`, `.client` or `.datagram`.

/// Listens on a TCP or Unix stream endpoint.
listen_order listen(caf::actor_system& system, endpoint_argument local);
listen_order listen(caf::actor_system& system, endpoint_argument local, listen_options options);

/// Connects once, and the client ends with that connection.
connect_order connect_to(caf::actor_system& system, endpoint_argument remote);
connect_order connect_to(caf::actor_system& system, endpoint_argument remote, connect_options options);

/// A datagram socket; a text without a scheme means UDP.
bind_order bind(caf::actor_system& system, endpoint_argument local);
bind_order bind(caf::actor_system& system, endpoint_argument local, bind_options options);

/// A client without work: it connects when told to (`client::connect`), as often as told, one at a time.
client make_client(caf::actor_system& system, const caf::actor& owner);
client make_client(caf::actor_system& system, const caf::actor& owner, connect_options options);

/// A connection over an open, connected stream descriptor, owned by `owner`. On failure the descriptor stays the
/// caller's and the handle is empty. Its settings are those of a client's connections.
net::result<connection> adopt_connection(caf::actor_system& system, int descriptor, const caf::actor& owner);
net::result<connection> adopt_connection(caf::actor_system& system, int descriptor, const caf::actor& owner,
                                         connection_options options);

} // namespace actnet
