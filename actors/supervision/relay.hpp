// The stable handle of a supervised child: it stays while children come and go behind it.
#pragma once

#include "actnet/net/error.hpp"

#include <caf/actor.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/monitorable_actor.hpp>

#include <memory>
#include <mutex>
#include <string>

namespace actnet {

class loop_host;

/// Passes on what it gets, unchanged, so an answer goes straight to whoever asked. While no child runs, a request fails
/// at once (`restarting`, `not_running`) and any other message is logged and dropped; nothing is kept. A monitor or a
/// link to it fires when the child is gone for good. What is on its way to a child that ends is lost with it.
///
/// It belongs to the loop of its supervisor, in whose thread it passes on without a lock.
class relay final : public caf::monitorable_actor {
 public:
  relay(caf::actor_config& cfg, loop_host& home, std::string path);

  /// A new one, with no child behind it. `path` is its name in the log.
  static caf::strong_actor_ptr make(loop_host& home, std::string path);

  const char* name() const override { return "actnet.relay"; }

  // -- its supervisor, in its loop's thread --------------------------------------------------------

  void connect(caf::strong_actor_ptr child);
  /// `cause` is what requests fail with from now on.
  void disconnect(net::errc cause);
  /// For good.
  void end(caf::error reason);

  // -- caf::abstract_actor -------------------------------------------------------------------------

  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit* unit) override;
  void enqueue(caf::strong_actor_ptr sender, caf::message_id id, caf::message content,
               caf::execution_unit* unit) override;

 private:
  void drop(caf::mailbox_element_ptr message, net::errc cause);

  const std::shared_ptr<loop_host> home_;
  const std::string path_;
  std::mutex mutex_; // held to write the next two, and to read them in any other thread than the loop's
  caf::strong_actor_ptr child_;
  net::errc without_child_ = net::errc::not_running;
  bool ended_ = false; // the loop's thread
};

} // namespace actnet
