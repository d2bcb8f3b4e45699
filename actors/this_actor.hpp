// Which actor's code a thread is running, so that a handle knows who gives a command.
#pragma once

#include <caf/fwd.hpp>

#include <utility>

namespace actnet {

/// Makes `who` this thread's running actor for the scope.
class running_actor {
 public:
  explicit running_actor(caf::abstract_actor& who) noexcept : before_(std::exchange(current_, &who)) {}
  /// Nobody: while an actor is being made, commands are not its maker's.
  running_actor() noexcept : before_(std::exchange(current_, nullptr)) {}
  ~running_actor() { current_ = before_; }
  running_actor(const running_actor&) = delete;
  running_actor& operator=(const running_actor&) = delete;

 private:
  friend caf::abstract_actor* this_actor() noexcept;
  static inline constinit thread_local caf::abstract_actor* current_ = nullptr;
  caf::abstract_actor* before_;
};

/// The actor whose code the calling thread runs, if it is one of ours; null otherwise.
inline caf::abstract_actor* this_actor() noexcept {
  return running_actor::current_;
}

} // namespace actnet
