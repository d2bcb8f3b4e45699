// Whether the process does nothing while it has nothing to do: CPU time and wake-ups over a window (invariant I9).
#pragma once

#include <sys/types.h>

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

/// Less than 1 % of one core, and no more than `switches_per_second` voluntary switches, in one of three windows: now
/// and then a busy machine charges a process with what is not its own. A window must be long enough for the figures:
/// 300 ms or more.
bool is_quiet(std::chrono::milliseconds window, std::size_t switches_per_second = 40) noexcept;

/// Whether a thread of this process (gettid(2)) sleeps in the kernel, as one does that waits for another.
bool is_asleep(pid_t thread);

} // namespace actnet::test
