#include "support/quiet.hpp"

#include <poll.h>
#include <sys/resource.h>

#include <fstream>
#include <string>

namespace actnet::test {

namespace {

std::chrono::microseconds to_duration(const timeval& time) {
  return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
}

} // namespace

activity activity_so_far() noexcept {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return {to_duration(usage.ru_utime) + to_duration(usage.ru_stime), static_cast<std::size_t>(usage.ru_nvcsw)};
}

activity measure_activity(std::chrono::milliseconds window) noexcept {
  const auto begin = activity_so_far();
  const auto end_of_window = std::chrono::steady_clock::now() + window;
  std::size_t own_switches = 0;
  // poll(2) may come back early with EINTR.
  for (auto left = window; left.count() > 0; ++own_switches) {
    ::poll(nullptr, 0, static_cast<int>(left.count()));
    left = std::chrono::ceil<std::chrono::milliseconds>(end_of_window - std::chrono::steady_clock::now());
  }
  const auto end = activity_so_far();
  const auto switches = end.voluntary_switches - begin.voluntary_switches;
  return {end.cpu - begin.cpu, switches > own_switches ? switches - own_switches : 0};
}

bool is_quiet(std::chrono::milliseconds window, std::size_t switches_per_second) noexcept {
  const auto switches_allowed = switches_per_second * static_cast<std::size_t>(window.count()) / 1'000;
  for (int windows = 0; windows < 3; ++windows) {
    const auto used = measure_activity(window);
    if (used.cpu < window / 100 && used.voluntary_switches <= switches_allowed)
      return true;
  }
  return false;
}

bool is_asleep(pid_t thread) {
  std::ifstream file{"/proc/self/task/" + std::to_string(thread) + "/stat"}; // "7 (a name) S ...", proc(5)
  std::string line;
  std::getline(file, line);
  const auto end_of_name = line.rfind(')');
  return end_of_name != std::string::npos && line.compare(end_of_name, 3, ") S") == 0;
}

} // namespace actnet::test
