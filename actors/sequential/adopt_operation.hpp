// Taking over a connected descriptor, as one operation.
#pragma once

#include "actnet/actors/sequential/stream_owner.hpp"

namespace actnet::sequential {

/// A stream over a connected TCP or Unix stream descriptor, on `home`. On failure the descriptor stays the caller's.
class adopt_operation final : public operation_of<std::shared_ptr<stream_handle>> {
 public:
  adopt_operation(loop_host& home, int descriptor) noexcept : home_(home), descriptor_(descriptor) {}

  loop_host& home() const noexcept override { return home_; }
  void call_off() noexcept override {} // it is done when it has begun

 private:
  void begin() noexcept override;

  loop_host& home_;
  int descriptor_;
};

} // namespace actnet::sequential
