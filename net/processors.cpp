#include "actnet/net/processors.hpp"

#include "actnet/net/socket/system_calls.hpp"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

namespace actnet::net {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t processors_max = 1 << 20;

/// The kernel refuses a set that has no room for all processors there could be (EINVAL).
std::size_t processors_by_affinity() {
  for (std::size_t room = CPU_SETSIZE; room <= processors_max; room *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(room), [](cpu_set_t* s) { CPU_FREE(s); });
    const auto size = CPU_ALLOC_SIZE(room);
    if (set && sys().sched_getaffinity(0, size, set.get()) == 0)
      return static_cast<std::size_t>(std::max(1, CPU_COUNT_S(size, set.get())));
    if (!set || errno != EINVAL)
      break;
  }
  return 1;
}

/// "cpu,cpuacct" has "cpu".
bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    if (list.substr(0, comma) == word)
      return true;
    list.remove_prefix(comma == list.npos ? list.size() : comma + 1);
  }
  return false;
}

/// A hierarchy of cgroups as it is mounted here (cgroups(7), proc(5)).
struct hierarchy {
  bool is_v2;
  std::string root;  ///< The group that is to be seen at the mount point.
  std::string mount; ///< The mount point.
};

/// The hierarchies that could have a quota, by /proc/self/mountinfo: `36 35 98:0 ROOT MOUNT options - TYPE source
/// super-options`, with any number of fields before the hyphen.
std::vector<hierarchy> mounted_hierarchies(const std::string& root) {
  std::vector<hierarchy> found;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string text; std::getline(file, text);) {
    std::istringstream fields(text);
    std::string skipped, type, source, options;
    hierarchy one;
    fields >> skipped >> skipped >> skipped >> one.root >> one.mount;
    while (fields >> skipped && skipped != "-") {
    }
    fields >> type >> source >> options;
    one.is_v2 = type == "cgroup2";
    if (one.is_v2 || (type == "cgroup" && has_word(options, "cpu")))
      found.push_back(std::move(one));
  }
  return found;
}

/// The group of this process, by /proc/self/cgroup: `0::/PATH` for version 2, `4:cpu,cpuacct:/PATH` for version 1.
std::optional<std::string> group_in(const hierarchy& which, const std::string& root) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string text; std::getline(file, text);) {
    const auto first = text.find(':');
    const auto second = text.find(':', first + 1);
    if (second == text.npos)
      continue;
    const auto controllers = std::string_view(text).substr(first + 1, second - first - 1);
    if (which.is_v2 ? text.starts_with("0::") : has_word(controllers, "cpu"))
      return text.substr(second + 1);
  }
  return std::nullopt;
}

/// Processors, from microseconds of time in each period. "max" and -1 are no quota.
std::optional<std::size_t> quota_of(bool is_v2, const fs::path& group) {
  std::int64_t quota = -1;
  std::int64_t period = 0;
  if (is_v2) {
    std::ifstream(group / "cpu.max") >> quota >> period; // "max 100000" leaves both at 0
  } else {
    std::ifstream(group / "cpu.cfs_quota_us") >> quota;
    std::ifstream(group / "cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0)
    return std::nullopt;
  return static_cast<std::size_t>((quota - 1) / period + 1);
}

/// The least of a group and of those above it.
std::size_t quota_within(const hierarchy& which, const std::string& root) {
  auto least = processors_max;
  const auto group = group_in(which, root);
  if (!group)
    return least;
  // In a container without a namespace of its own for cgroups, the path begins outside of what is mounted.
  auto below = fs::path(*group).lexically_relative(which.root);
  if (below.empty() || *below.begin() == "..")
    below = ".";
  fs::path at = root + which.mount;
  least = quota_of(which.is_v2, at).value_or(least);
  for (const auto& each : below)
    least = std::min(least, quota_of(which.is_v2, at /= each).value_or(least));
  return least;
}

} // namespace

std::size_t usable_processors(const std::string& root) {
  auto count = processors_by_affinity();
  for (const auto& each : mounted_hierarchies(root))
    count = std::min(count, quota_within(each, root));
  return count;
}

} // namespace actnet::net
