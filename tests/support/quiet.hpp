// Whether the process does nothing while it has nothing to do: CPU time and wake-ups over a window (invariant I9).
#pragma once

#include <chrono>
#include <cstddef>

namespace actnet::test {

/// What all threads of the process used since its start, or within a window.
struct activity {
  std::chrono::microseconds cpu{0};
  std::size_t voluntary_switches = 0; ///< How often a thread began to wait: one for each wake-up.
};

/// getrusage(2), RUSAGE_SELF.
activity activity_so_far() noexcept;

/// Waits for `window` and returns what was used meanwhile, without the waiting itself. Under a sanitizer its own
/// threads count as well.
activity measure_activity(std::chrono::milliseconds window) noexcept;

/// Less than 1 % of one core, and fewer than `switches_per_second` voluntary switches. The window must be long enough
/// for the figures: 300 ms or more.
bool is_quiet(std::chrono::milliseconds window, std::size_t switches_per_second = 40) noexcept;

} // namespace actnet::test
