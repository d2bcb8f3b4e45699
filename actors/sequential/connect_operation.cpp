#include "actnet/actors/sequential/connect_operation.hpp"

#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/make_lean.hpp"

#include <caf/actor_cast.hpp>

#include <algorithm>

namespace actnet::sequential {

connect_operation::connect_operation(loop_host& home, endpoint_argument remote, time_limit within,
                                     connect_options options)
    : home_(home), remote_(std::move(remote)), within_(within), options_(std::move(options)) {
  options_.same_loop = true;
  options_.reconnect.reset();
  options_.connection = on_demand(options_.connection);
}

void connect_operation::begin() noexcept {
  auto& loop = home_.loop();
  using std::chrono::milliseconds;
  const auto by_default = options_.deadline.count() > 0 ? loop.deadline_in(options_.deadline) : net::time_point::max();
  const auto until = within_.resolve(loop, by_default);
  const auto left = until - std::min(until, loop.time().now());
  options_.deadline = until == net::time_point::max()
                          ? milliseconds{0}
                          : std::max(milliseconds{1}, std::chrono::ceil<milliseconds>(left));
  const auto made = owner_ = make_lean<stream_owner>(home_);
  auto& owner = static_cast<stream_owner&>(*made->get());
  owner.connecting_ = this;
  owner.start();
  if (owner.is_closed())
    return; // the loop is stopping; this has finished by that, and may be gone
  connect_to(home_.system(), remote_, options_).owned_by(caf::actor_cast<caf::actor>(made)).start();
}

void connect_operation::succeed() {
  finish(std::make_shared<stream_handle>(static_cast<stream_owner&>(*std::exchange(owner_, nullptr)->get())));
}

void connect_operation::fail(const caf::error& cause) {
  owner_ = nullptr;
  finish(failed(about("cannot connect to", remote_, cause)));
}

void connect_operation::call_off() noexcept {
  auto& owner = static_cast<stream_owner&>(*owner_->get());
  owner.connecting_ = nullptr;
  owner.end({}); // the client ends with it
}

} // namespace actnet::sequential
