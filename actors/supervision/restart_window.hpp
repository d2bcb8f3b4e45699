// Whether restarts come too fast: OTP's intensity and period.
#pragma once

#include "actnet/net/loop/clock.hpp"

#include <chrono>
#include <cstdint>
#include <deque>

namespace actnet {

class restart_window {
 public:
  /// Up to `intensity` restarts within any `period` are well.
  restart_window(std::uint32_t intensity, std::chrono::milliseconds period) noexcept
      : intensity_(intensity), period_(period) {}

  /// Counts a restart at `now`, not before the last one. False: that was one too many.
  bool add(net::time_point now);

  std::uint32_t intensity() const noexcept { return intensity_; }
  std::chrono::milliseconds period() const noexcept { return period_; }

 private:
  std::uint32_t intensity_;
  std::chrono::milliseconds period_;
  std::deque<net::time_point> restarts_; // those within the period
};

} // namespace actnet
