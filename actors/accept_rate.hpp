// How fast a listener accepts: a bucket of tokens that its shards share.
#pragma once

#include "actnet/net/loop/clock.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace actnet {

/// Holds one second's worth of tokens, all of them at first. Any thread. Shards that look at the same moment may all
/// find the last token; whatever is taken beyond it is missing later, so the rate is kept over time.
class accept_rate {
 public:
  /// Connections per second, at most a billion; 0: no limit.
  explicit accept_rate(std::uint32_t per_second) noexcept { set(per_second); }

  /// What was taken before stays taken.
  void set(std::uint32_t per_second) noexcept { per_second_.store(std::min(per_second, 1'000'000'000u)); }

  /// When there is a token; not after now if there is one.
  net::time_point next() const noexcept;
  void take(net::time_point now) noexcept;

 private:
  std::atomic<std::uint32_t> per_second_{0};
  std::atomic<net::time_point::rep> full_at_{0}; // when the bucket has filled up again
};

} // namespace actnet
