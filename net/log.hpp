// The library's log: levels, one replaceable sink, and a rate limit for what could repeat without end.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>

namespace actnet::net {

class clock;

enum class log_level : std::uint8_t { debug, info, warning, error, off };

namespace detail {
extern std::atomic<log_level> least_log_level;
} // namespace detail

/// Lines below `least` are dropped; `off` drops all. At first `info`: what happens once and an operator wants to know
/// (which backend was chosen, where a listener is bound) is `info`, what happens per connection is `debug`.
void set_log_level(log_level least) noexcept;

/// One relaxed load. Ask before composing a text: `if (log_enabled(log_level::debug)) log(…)`.
inline bool log_enabled(log_level level) noexcept {
  return level != log_level::off && level >= detail::least_log_level.load(std::memory_order_relaxed);
}

/// Takes one line, without a newline at its end. Called by one thread at a time, in the thread that logs. What it
/// throws is dropped, and so is a line that it logs itself; it must not call the `set_log_…` functions.
using log_sink = std::function<void(log_level, std::string_view kind, std::string_view text)>;

/// Puts `sink` in force and returns the one before. The empty function stands for the default: standard error, with
/// date, level and kind. Once this returns, the sink before is not being called and never will be. Any thread.
log_sink set_log_sink(log_sink sink);

/// The clock of `log_limited`, at first the monotonic one; what was counted so far is forgotten. Once this returns,
/// the clock before is not used any more. Any thread.
void set_log_clock(clock& source);

/// Logs one line. `kind` names the kind of message ("accept", "turn-alarm"). Any thread; never throws: a line that
/// cannot be logged (no memory) is lost.
///
/// Lines are written one after the other in the caller's thread. A reader of standard error that stops reading
/// therefore stops, once the pipe is full, every thread that logs; a sink that must not wait has to queue.
void log(log_level level, std::string_view kind, std::string_view text) noexcept;

/// As `log`, but of each kind and level at most `lines_per_second` lines get through in a second (counted from the
/// first of them). The next to get through says how many were suppressed. `kind` is a name from the source text, not
/// made from what peers send: one record per kind and level is kept for the life of the process.
void log_limited(log_level level, std::string_view kind, std::string_view text, unsigned lines_per_second = 1) noexcept;

} // namespace actnet::net
