// The base class of actors that handle sockets: an event-based actor with sensible answers to what it does not handle.
#pragma once

#include "actnet/actors/hosted_actor.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/open.hpp"

#include <caf/behavior.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

namespace actnet {

/// Override `make_behavior` and handle what matters. For what a behaviour does not mention:
/// - `closed` (stream, datagram, listener): the actor ends, with the cause if there is one;
/// - `peer_finished`, `writable`, `finished`, `listening`, `bound`, `connected`, `reconnecting`, `connections_alarm`:
///   nothing is to be done;
/// - `written`, `sent` and `pulled` with a cause: logged at level debug (the connection's end follows, or the peer is
/// slow);
/// - `listen_failed`, `bind_failed`, `connect_failed`: the actor ends with the cause; but a connect that was called off
///   (`cancelled`) is nobody's failure, and nothing is to be done;
/// - `drain`, which comes after `join_program`: the actor ends;
/// - `accepted`: the connection is aborted: nobody wants it;
/// - any other request is answered with the error `unexpected_message`, any other message is logged and dropped.
///
/// While an `.await` is pending, CAF 0.17.6 keeps everything else in the mailbox, exits and kills too: prefer `.then`.
///
/// What is to happen later is a timer of the handler (`run_after`, `run_every`, `cancel`), each firing a turn of it as
/// a message is.
///
/// A handler that ends normally closes its connection, one that fails or is killed aborts it (`stream::abort` tells
/// what the peer sees of that). What an exception says is logged, and ends the actor.
class handler : public hosted_actor {
 public:
  explicit handler(caf::actor_config& cfg);

  /// What the actor system began with.
  const actnet::settings& settings() const noexcept { return loops::of(system()).settings(); }

  /// Opens sockets that belong to this actor, without options as the settings say; see open.hpp.
  listen_order listen(endpoint_argument local) { return listen(std::move(local), settings().listener); }
  listen_order listen(endpoint_argument local, listen_options options);
  connect_order connect_to(endpoint_argument remote) { return connect_to(std::move(remote), settings().client); }
  connect_order connect_to(endpoint_argument remote, connect_options options);
  bind_order bind(endpoint_argument local) { return bind(std::move(local), settings().datagram); }
  bind_order bind(endpoint_argument local, bind_options options);

  /// Itself, if it supervises: then its listeners and datagram sockets are its children.
  virtual supervisor_actor* as_supervisor() noexcept { return nullptr; }

  /// Told of each other actor that owns a socket opened by the above. By default nothing is to be done.
  virtual void opened(const caf::actor& socket);

  /// The program that `actnet::run` runs does not end before this actor, and sends it `drain` when it is stopped. To be
  /// called in the constructor by the handler of a connection: before the connection can have ended.
  void join_program();

  /// Ends the program that `actnet::run` runs, as a signal would: drained, with this exit code. A deadline of zero
  /// does not wait for connections that are still open.
  void stop_program(int exit_code = 0, std::optional<std::chrono::milliseconds> drain_deadline = {});

  /// The same with exit code 1 and one line on stderr: `PROGRAM: why`.
  void fail_program(std::string why, std::optional<std::chrono::milliseconds> drain_deadline = {});

 private:
  template <class Message>
  void tell_program(Message message);
};

} // namespace actnet
