// The handle of a client, which makes outgoing connections, one at a time.
#pragma once

#include "actnet/actors/handle.hpp"
#include "actnet/net/address/endpoint.hpp"

#include <chrono>

namespace actnet {

/// Commands to a client, as described with the messages in messages.hpp.
class client : public handle {
 public:
  using handle::handle;

  /// A deadline of zero: as long as the kernel tries.
  void connect(const net::endpoint& remote, std::chrono::milliseconds deadline = std::chrono::seconds{5}) const;
  void cancel_connect() const;
  void drain(std::chrono::milliseconds deadline) const;
};

} // namespace actnet
