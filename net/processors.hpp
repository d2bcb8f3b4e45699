// How many processors this process may use.
#pragma once

#include <cstddef>
#include <string>

namespace actnet::net {

/// Those that its affinity allows (sched_getaffinity(2)), or fewer where a cgroup's quota gives it the time of fewer:
/// the quota rounded up, for of 1.5 processors a single one leaves a third unused. Of version 2 (cpu.max) and version 1
/// (cpu.cfs_quota_us) of cgroups, of its own group and of all above it that can be seen. At least 1. A quota that
/// cannot be read is none. `root` stands before "/proc" and before the mount points, for tests.
std::size_t usable_processors(const std::string& root = {});

} // namespace actnet::net
