// What the kernel tells about the server's process: CPU time, memory, wake-ups. Reading it costs the server nothing.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "load_support.hpp"

namespace actnet::bench {

/// CPU time of all threads, ended ones included.
inline std::chrono::nanoseconds cpu_time(pid_t server) {
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(server, &clock) != 0 || clock_gettime(clock, &time) != 0)
    fail("the server's CPU clock");
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

/// The number behind the line "`key` number ..." of a file of /proc.
inline long number_in(const std::filesystem::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string word; in >> word; in.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) {
    long number = 0;
    if (word == key && in >> number)
      return number;
  }
  fail(file.c_str());
}

/// Memory that is the process's own: heap, stacks, buffers. Pages of programs and libraries, which come as they are
/// used and whose share depends on who else runs, are not in it.
inline long own_memory_kib(pid_t server) {
  return number_in("/proc/" + std::to_string(server) + "/smaps_rollup", "Pss_Anon:");
}

/// Resident set size, as the kernel counts it: some pages late.
inline long rss_kib(pid_t server) {
  return number_in("/proc/" + std::to_string(server) + "/status", "VmRSS:");
}

/// How often the living threads went to sleep by themselves, so about how often they were woken.
inline long voluntary_switches(pid_t server) {
  long sum = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(server) + "/task"))
    sum += number_in(thread.path() / "status", "voluntary_ctxt_switches:");
  return sum;
}

} // namespace actnet::bench
