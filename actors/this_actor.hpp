// Which actor's code a thread is running, so that a handle knows who gives a command.
#pragma once

#include <caf/fwd.hpp>

namespace actnet {

/// The actor whose code the calling thread runs, if it is one of ours; null otherwise.
caf::abstract_actor* this_actor() noexcept;

/// Makes `who` this thread's running actor for the scope.
class running_actor {
 public:
  explicit running_actor(caf::abstract_actor& who) noexcept;
  /// Nobody: while an actor is being made, commands are not its maker's.
  running_actor() noexcept;
  ~running_actor();
  running_actor(const running_actor&) = delete;
  running_actor& operator=(const running_actor&) = delete;

 private:
  caf::abstract_actor* before_;
};

} // namespace actnet
