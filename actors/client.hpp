// The handle of a client, which makes outgoing connections, one at a time.
#pragma once

#include "actnet/actors/handle.hpp"
#include "actnet/net/address/endpoint.hpp"

#include <chrono>
#include <optional>

namespace actnet {

/// Commands to a client, as described with the messages in messages.hpp.
class client : public handle {
 public:
  using handle::handle;

  /// A deadline of zero: as long as the kernel tries. None: that of the client's options.
  void connect(const net::endpoint& remote, std::optional<std::chrono::milliseconds> deadline = {}) const;
  void cancel_connect() const;
  void drain(std::chrono::milliseconds deadline) const;
};

} // namespace actnet
