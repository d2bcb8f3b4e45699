#include "actnet/net/loop/clock.hpp"

#include <cassert>
#include <ctime>
#include <utility>

#include "actnet/net/socket/system_calls.hpp"

namespace actnet::net {

namespace {

time_point read(clockid_t id) noexcept {
  timespec time{};
  [[maybe_unused]] const int failed = sys().clock_gettime(id, &time);
  assert(!failed); // clock_gettime(2): fails only for a clock that does not exist
  return time_point{std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec}};
}

} // namespace

monotonic_clock& monotonic_clock::instance() noexcept {
  static monotonic_clock only;
  return only;
}

time_point monotonic_clock::now() noexcept {
  return read(CLOCK_MONOTONIC);
}

time_point monotonic_clock::coarse_now() noexcept {
  return read(CLOCK_MONOTONIC_COARSE);
}

manual_clock::~manual_clock() {
  assert(subscribers_.empty());
}

void manual_clock::advance(duration by) {
  assert(by >= duration::zero());
  const std::lock_guard lock(mutex_);
  now_.fetch_add(time_point::duration{by}.count(), std::memory_order_release);
  for (const auto& [id, wake] : subscribers_)
    wake();
}

manual_clock::subscription manual_clock::subscribe(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  subscribers_.emplace(next_id_, std::move(wake));
  return next_id_++;
}

void manual_clock::unsubscribe(subscription id) {
  const std::lock_guard lock(mutex_);
  subscribers_.erase(id);
}

} // namespace actnet::net
