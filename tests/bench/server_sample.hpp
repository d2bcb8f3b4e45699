// What the kernel tells about the server's process: CPU time, memory, wake-ups, whether it is at rest. Reading it costs
// the server nothing. And how to let it stand still for a while.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

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

// -- stop and go -----------------------------------------------------------------------------------------------

struct thread_state {
  std::string number;
  char state = 'X';  ///< As proc_pid_stat(5) has it; X if the thread ended while it was read.
  long switches = 0; ///< How often it left a core.

  bool operator==(const thread_state&) const = default;
};

inline std::vector<thread_state> threads_of(pid_t server) {
  std::vector<thread_state> found;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(server) + "/task")) {
    thread_state one{thread.path().filename()};
    std::ifstream in(thread.path() / "status");
    for (std::string word; in >> word; in.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) {
      long number = 0;
      if (word == "State:")
        in >> one.state;
      else if (word.ends_with("voluntary_ctxt_switches:") && in >> number)
        one.switches += number;
    }
    found.push_back(std::move(one));
  }
  return found;
}

inline bool all_are(std::string_view states, const std::vector<thread_state>& threads) {
  return std::ranges::all_of(threads, [&](const auto& one) { return states.find(one.state) != states.npos; });
}

/// Looks at its threads until `condition` holds for them; after a minute, or when it ended, so does the run.
template <class Condition>
void await(pid_t server, const char* what, Condition condition) {
  const auto end = steady::now() + std::chrono::minutes(1);
  for (auto threads = threads_of(server); !condition(threads); threads = threads_of(server)) {
    if (steady::now() > end || all_are("ZX", threads)) {
      std::fprintf(stderr, "load: the server did not %s\n", what);
      std::exit(1);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

/// Until every thread of it sleeps, all at one moment: none of them left a core between two looks that found each
/// asleep.
inline void await_rest(pid_t server) {
  await(server, "come to rest",
        [&](const auto& threads) { return all_are("S", threads) && threads_of(server) == threads; });
}

/// Stops it, and returns when it stands still. What comes for it waits in the kernel.
inline void freeze(pid_t server) {
  ::kill(server, SIGSTOP);
  await(server, "stop", [](const auto& threads) { return all_are("Tt", threads); });
}

/// Lets it go on, and returns when it is at rest again.
inline void thaw(pid_t server) {
  ::kill(server, SIGCONT);
  await_rest(server);
}

} // namespace actnet::bench
