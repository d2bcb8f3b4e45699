#include "actnet/actors/client.hpp"

#include "actnet/actors/messages.hpp"

namespace actnet {

void client::connect(const net::endpoint& remote, std::optional<std::chrono::milliseconds> deadline) const {
  tell(actnet::connect{remote, deadline});
}

void client::cancel_connect() const {
  tell(actnet::cancel_connect{});
}

void client::drain(std::chrono::milliseconds deadline) const {
  tell(actnet::drain{deadline});
}

} // namespace actnet
