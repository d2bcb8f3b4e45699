#include "actnet/actors/accept_rate.hpp"

#include <algorithm>
#include <chrono>

namespace actnet {

namespace {

/// Between two tokens.
net::duration interval(std::uint32_t per_second) noexcept {
  return net::duration{std::chrono::seconds{1}} / per_second;
}

} // namespace

net::time_point accept_rate::next() const noexcept {
  const auto per_second = per_second_.load();
  if (per_second == 0)
    return net::time_point::min();
  const net::time_point full_at{net::time_point::duration{full_at_.load()}};
  return full_at - (per_second - 1) * interval(per_second);
}

void accept_rate::take(net::time_point now) noexcept {
  const auto per_second = per_second_.load();
  if (per_second == 0)
    return;
  auto full_at = full_at_.load();
  while (!full_at_.compare_exchange_weak(full_at, std::max(full_at, now.time_since_epoch().count()) +
                                                      interval(per_second).count())) {
  }
}

} // namespace actnet
