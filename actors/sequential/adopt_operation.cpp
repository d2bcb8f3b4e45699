#include "actnet/actors/sequential/adopt_operation.hpp"

#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/loops.hpp"

#include <utility>

namespace actnet::sequential {

void adopt_operation::begin() noexcept {
  auto socket = net::stream_socket::adopt(descriptor_);
  if (!socket) {
    finish(failed(make_error(socket.error())));
    return;
  }
  net::endpoint peer;
  if (auto found = socket->peer_endpoint())
    peer = *found;
  const auto options = on_demand(loops::of(home_.system()).settings().client.connection);
  const auto made = connection_actor::make(home_, {std::move(*socket), std::move(peer), options, nullptr});
  auto& born = static_cast<connection_actor&>(*made->get());
  auto held = stream_owner::make(home_, connection{born});
  born.born_to(held->pointer());
  born.start();
  finish(std::move(held));
}

} // namespace actnet::sequential
