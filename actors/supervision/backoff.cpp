#include "actnet/actors/supervision/backoff.hpp"

#include <algorithm>

namespace actnet {

backoff::backoff(backoff_options options, std::uint32_t seed) : options_(options), random_(seed) {}

std::chrono::milliseconds backoff::next(net::time_point began, net::time_point now) {
  if (options_.first.count() <= 0)
    return std::chrono::milliseconds{0};
  const auto lasted = now >= net::later(began, options_.reset_after);
  const auto most = std::max(options_.first, options_.most);
  delay_ = lasted || delay_.count() == 0 ? options_.first : delay_ > most / 2 ? most : delay_ * 2;
  const auto spread = delay_.count() * std::min<std::int64_t>(options_.jitter_percent, 100) / 100;
  return delay_ + std::chrono::milliseconds{std::uniform_int_distribution<std::int64_t>{-spread, spread}(random_)};
}

} // namespace actnet
