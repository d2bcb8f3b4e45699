// Waits for a condition that no event announces. The last resort: where a message, a readable descriptor or a joined
// thread tells the same, wait for that instead.
#pragma once

#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <chrono>

namespace actnet::test {

/// How long any helper waits for something that is bound to happen before it gives up. Generous, because a slow
/// machine is no failure; a good run never comes near it.
inline constexpr std::chrono::milliseconds default_deadline{30'000};

/// Whether `predicate()` became true within `deadline`. Asks again after a yield, then after waits that grow from 1 to
/// 20 ms; asks at least once, and once more when the deadline is over.
template <class Predicate>
bool eventually(Predicate&& predicate, std::chrono::milliseconds deadline = default_deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  for (int round = 0; !predicate(); ++round) {
    if (std::chrono::steady_clock::now() >= end)
      return predicate();
    if (round < 50)
      ::sched_yield();
    else
      ::poll(nullptr, 0, std::min(round - 49, 20));
  }
  return true;
}

} // namespace actnet::test
