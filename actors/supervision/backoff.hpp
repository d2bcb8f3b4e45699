// How long to wait before the next attempt, when attempts fail one after another.
#pragma once

#include "actnet/net/loop/clock.hpp"

#include <chrono>
#include <cstdint>
#include <random>

namespace actnet {

struct backoff_options {
  std::chrono::milliseconds first{0};            ///< Before the first attempt; zero: never wait.
  std::chrono::milliseconds most{30'000};        ///< The delay doubles up to this.
  std::uint32_t jitter_percent = 20;             ///< Each delay is longer or shorter by up to so much. 0 to 100.
  std::chrono::milliseconds reset_after{10'000}; ///< What lasted so long was no failure: begins again at `first`.

  bool operator==(const backoff_options&) const = default;
};

/// The delays of one that fails, doubling from `first` to `most`, with jitter so that many do not try in step.
class backoff {
 public:
  explicit backoff(backoff_options options, std::uint32_t seed = std::random_device{}());

  /// The delay before the next attempt, when what was begun at `began` failed at `now`.
  std::chrono::milliseconds next(net::time_point began, net::time_point now);

 private:
  backoff_options options_;
  std::chrono::milliseconds delay_{0}; // of the last attempt, without jitter; zero: none yet
  std::minstd_rand random_;
};

} // namespace actnet
