// The handle of a listener: its member functions are the commands.
#pragma once

#include "actnet/actors/handle.hpp"

#include <chrono>
#include <cstdint>

namespace actnet {

struct set_limits;

/// Commands to a listener, as described with the messages in messages.hpp.
class listener : public handle {
 public:
  using handle::handle;

  void pause_accepting() const;
  /// Goes on, with up to that many more, or without end if 0.
  void resume_accepting(std::uint64_t connections = 0) const;
  /// `it.set_limits({.max_connections = 100})`; include messages.hpp.
  void set_limits(const actnet::set_limits& limits) const;
  void stop_listening() const;
  void drain(std::chrono::milliseconds deadline) const;
};

} // namespace actnet
