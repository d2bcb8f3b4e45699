// spdlog is included here and nowhere else. Its writes to standard error are the only output of the library that
// does not pass through `sys()`.
#include "actnet/net/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/ansicolor_sink.h>

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "actnet/net/loop/clock.hpp"

namespace actnet::net {

namespace {

struct limit {
  time_point window_start;
  unsigned passed = 0;
  std::uint64_t suppressed = 0;
};

/// Everything that loggers share, under one lock.
struct log_state {
  std::mutex mutex;
  log_sink sink;
  clock* source = &monotonic_clock::instance();
  std::array<std::map<std::string, limit, std::less<>>, static_cast<std::size_t>(log_level::off)> limits;
  std::unique_ptr<spdlog::logger> standard_error;
};

/// Never destroyed: threads may log until the process is gone.
log_state& state() {
  static log_state& only = *new log_state;
  return only;
}

/// Set while this thread runs a sink.
thread_local bool inside_sink = false;

spdlog::level::level_enum to_spdlog(log_level level) noexcept {
  switch (level) {
  case log_level::debug: return spdlog::level::debug;
  case log_level::info: return spdlog::level::info;
  case log_level::warning: return spdlog::level::warn;
  case log_level::error: return spdlog::level::err;
  case log_level::off: break;
  }
  return spdlog::level::off;
}

/// Keeps a line one line, and a terminal safe from escape sequences: texts may quote what peers sent.
void append_printable(std::string& line, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f)
      line += c;
    else
      line.append("\\x") += {digits[byte >> 4], digits[byte & 15]};
  }
}

void write_to_standard_error(log_state& shared, log_level level, std::string_view kind, std::string_view text) {
  if (!shared.standard_error) {
    auto made = std::make_unique<spdlog::logger>("actnet", std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
    made->set_level(spdlog::level::trace);
    shared.standard_error = std::move(made);
  }
  std::string line(kind);
  line += ": ";
  append_printable(line, text);
  shared.standard_error->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

/// With the lock held.
void emit(log_state& shared, log_level level, std::string_view kind, std::string_view text) {
  struct mark {
    mark() { inside_sink = true; }
    ~mark() { inside_sink = false; }
  } const inside;
  if (shared.sink)
    shared.sink(level, kind, text);
  else
    write_to_standard_error(shared, level, kind, text);
}

limit& limit_of(log_state& shared, log_level level, std::string_view kind, time_point now) {
  auto& kinds = shared.limits[static_cast<std::size_t>(level)];
  const auto found = kinds.find(kind);
  return found != kinds.end() ? found->second : kinds.emplace(kind, limit{now}).first->second;
}

/// Whether a line may go through now.
bool admit(limit& counted, time_point now, unsigned lines_per_second) noexcept {
  if (now - counted.window_start >= std::chrono::seconds{1}) {
    counted.window_start = now;
    counted.passed = 0;
  }
  if (counted.passed >= lines_per_second) {
    ++counted.suppressed;
    return false;
  }
  ++counted.passed;
  return true;
}

} // namespace

constinit std::atomic<log_level> detail::least_log_level = log_level::info;

void set_log_level(log_level least) noexcept {
  detail::least_log_level.store(least, std::memory_order_relaxed);
}

log_sink set_log_sink(log_sink sink) {
  log_state& shared = state();
  const std::lock_guard lock(shared.mutex);
  return std::exchange(shared.sink, std::move(sink));
}

void set_log_clock(clock& source) {
  log_state& shared = state();
  const std::lock_guard lock(shared.mutex);
  shared.source = &source;
  for (auto& kinds : shared.limits)
    kinds.clear();
}

void log(log_level level, std::string_view kind, std::string_view text) noexcept {
  if (!log_enabled(level) || inside_sink)
    return;
  try {
    log_state& shared = state();
    const std::lock_guard lock(shared.mutex);
    emit(shared, level, kind, text);
  } catch (...) { // the promise of the header: the line is lost
  }
}

void log_limited(log_level level, std::string_view kind, std::string_view text, unsigned lines_per_second) noexcept {
  if (!log_enabled(level) || inside_sink)
    return;
  try {
    log_state& shared = state();
    const std::lock_guard lock(shared.mutex);
    const time_point now = shared.source->coarse_now();
    limit& counted = limit_of(shared, level, kind, now);
    if (!admit(counted, now, lines_per_second))
      return;
    if (counted.suppressed == 0)
      return emit(shared, level, kind, text);
    const std::string with_count =
        std::string(text) + " (suppressed before: " + std::to_string(counted.suppressed) + " of this kind)";
    counted.suppressed = 0;
    emit(shared, level, kind, with_count);
  } catch (...) { // as above
  }
}

} // namespace actnet::net
