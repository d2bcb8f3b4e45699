// The library's log: levels, one replaceable sink, and a rate limit for what could repeat without end. Logging never
// waits: lines are queued, and a thread of the log's own gives them to the sink.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>

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

/// Where lines go. As a value: a function that takes one line, without a newline at its end. It is called by one thread
/// at a time, the log's own, and may wait: then lines queue up. What it throws is dropped, and so is a line that it
/// logs itself; it must not call the `set_log_…` functions.
class log_sink {
 public:
  using function = std::function<void(log_level, std::string_view kind, std::string_view text)>;

  /// Standard error, with date, level and kind.
  log_sink() = default;

  template <class F>
  requires(std::is_invocable_v<F&, log_level, std::string_view, std::string_view> &&
           !std::is_same_v<std::remove_cvref_t<F>, log_sink>) log_sink(F take)
      : take_(std::move(take)) {}

  /// Called in the thread that logs, before `log` returns: for tests, which look at once, and for a `take` that is
  /// known never to wait.
  static log_sink direct(function take) {
    log_sink made;
    made.take_ = std::move(take);
    made.direct_ = true;
    return made;
  }

  explicit operator bool() const noexcept { return static_cast<bool>(take_); }
  bool is_direct() const noexcept { return direct_; }
  void operator()(log_level level, std::string_view kind, std::string_view text) const { take_(level, kind, text); }

 private:
  function take_;
  bool direct_ = false;
};

/// Puts `sink` in force and returns the one before. It first gives the one before 200 ms to take what is queued; what
/// is left then goes to the new one. Once this returns, the sink before is not being called and never will be. Any
/// thread.
log_sink set_log_sink(log_sink sink);

/// The clock of `log_limited`, at first the monotonic one; what was counted so far is forgotten. Once this returns,
/// the clock before is not used any more. Any thread.
void set_log_clock(clock& source);

/// What may be queued, in bytes of kinds and texts and 64 more for each line. With so much in it a line is dropped, and
/// so are all that follow until half of it is free again; then a line of the kind "log" says how many there were.
constexpr std::size_t log_queue_bytes_max = 256 * 1024;

/// Logs one line. `kind` names the kind of message ("accept", "turn-alarm"). Any thread; never throws and never waits:
/// a line that cannot be logged (no memory, nobody reads) is lost.
void log(log_level level, std::string_view kind, std::string_view text) noexcept;

/// As `log`, but of each kind and level at most `lines_per_second` lines get through in a second (counted from the
/// first of them). The next to get through says how many were suppressed. `kind` is a name from the source text, not
/// made from what peers send: one record per kind and level is kept for the life of the process.
void log_limited(log_level level, std::string_view kind, std::string_view text, unsigned lines_per_second = 1) noexcept;

/// Queues `text` for standard error as it is, whatever the sink and the level: a program's own word to whoever started
/// it. In order with the lines of the log, and lost as they are. Any thread; never throws and never waits.
void say(std::string_view text) noexcept;

/// Waits until all that is queued has been taken, and returns whether it was within `patience`, in which the time does
/// not count while standard error has room and only the log's thread has not had its turn (5 s at most). The end of the
/// process does this by itself, by exit(3) and with 200 ms; call it before _exit(2). Any thread but the log's.
bool flush_log(std::chrono::milliseconds patience) noexcept;

/// What an orderly end waits for whoever reads standard error.
constexpr std::chrono::milliseconds log_patience{200};

/// Begins the log's thread, which the first line does otherwise: at the limit of threads it may not be had later.
/// Returns whether there is one. Without one, lines go to the sink in the thread that logs, and to standard error if it
/// takes them at once. Any thread.
bool start_log_thread() noexcept;

} // namespace actnet::net
