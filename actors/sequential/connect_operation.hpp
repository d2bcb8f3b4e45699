// Connecting, as one operation.
#pragma once

#include "actnet/actors/sequential/stream_owner.hpp"
#include "actnet/actors/sequential/time_limit.hpp"

namespace actnet::sequential {

/// Begins on `home`; that is also the loop of the connection.
class connect_operation final : public operation_of<std::shared_ptr<stream_handle>> {
 public:
  connect_operation(loop_host& home, endpoint_argument remote, time_limit within, connect_options options);

  loop_host& home() const noexcept override { return home_; }
  void call_off() noexcept override;

  /// What the owner to be was told.
  void succeed();
  void fail(const caf::error& cause);

 private:
  void begin() noexcept override;

  loop_host& home_;
  endpoint_argument remote_;
  time_limit within_;
  connect_options options_;
  caf::strong_actor_ptr owner_; // to be
};

} // namespace actnet::sequential
