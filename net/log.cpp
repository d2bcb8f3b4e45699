// spdlog is included here and nowhere else: it formats. Its asynchronous logger would wait for standard error at the
// end, or drop the first lines of a flood, which tell the cause, in favour of the last. Writes to standard error are
// the only output of the library that does not pass through `sys()`: the log's thread goes on while tests replace that.
#include "actnet/net/log.hpp"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <spdlog/details/log_msg.h>
#include <spdlog/details/os.h>
#include <spdlog/pattern_formatter.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "actnet/net/loop/clock.hpp"
#include "actnet/net/printable.hpp"
#include "actnet/net/threads.hpp"

namespace actnet::net {

namespace {

struct limit {
  time_point window_start;
  unsigned passed = 0;
  std::uint64_t suppressed = 0;
};

struct line {
  log_level level; ///< `off`: the text is for standard error as it is.
  spdlog::log_clock::time_point time;
  std::string kind;
  std::string text;

  std::size_t cost() const noexcept { return kind.size() + text.size() + 64; }
};

enum class waiting { endless, none };

/// Everything that loggers share. `mutex` is held while a line is put in or taken out, never while one is written.
struct log_state {
  std::mutex mutex;
  std::condition_variable queued;
  std::condition_variable taken;
  std::deque<line> queue;
  std::size_t queue_bytes = 0;
  std::uint64_t dropped = 0;
  bool has_thread = false;
  bool writing = false; ///< The log's thread has taken a line out.
  clock* source = &monotonic_clock::instance();
  std::array<std::map<std::string, limit, std::less<>>, static_cast<std::size_t>(log_level::off)> limits;

  std::mutex sink_mutex; ///< Held while a sink is called, and, with `mutex`, while it is replaced.
  log_sink sink;
  std::atomic<bool> has_sink = false; ///< Whether there is one, and lines do not go to standard error.
  std::atomic<bool> direct = false;   ///< Whether that one is.
};

log_state& state();

/// Set while this thread runs a sink.
thread_local bool inside_sink = false;

/// A child of fork(2) has one thread, that which forked: the log's is not there, and what was queued is its parent's to
/// write. Nor are those there that hold the sinks' lock or wait: whatever they are in begins anew.
void begin_anew_in_child() {
  auto& mine = state();
  mine.queue.clear();
  mine.queue_bytes = mine.dropped = 0;
  mine.has_thread = mine.writing = false;
  new (&mine.queued) std::condition_variable;
  new (&mine.taken) std::condition_variable;
  if (!inside_sink) // else it is this thread's
    new (&mine.sink_mutex) std::mutex;
  mine.mutex.unlock();
}

log_state& make_state() {
  pthread_atfork([] { state().mutex.lock(); }, [] { state().mutex.unlock(); }, begin_anew_in_child);
  return *new log_state;
}

/// Never destroyed: threads may log until the process is gone.
log_state& state() {
  static log_state& only = make_state();
  return only;
}

/// What a flush waits beyond its patience while standard error has room: then it is the log's thread that has not had
/// its turn, on a machine that is busy.
constexpr std::chrono::milliseconds busy_patience{5'000};

// -- writing -----------------------------------------------------------------------------------------

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

std::string_view color_of(log_level level) noexcept {
  switch (level) {
  case log_level::debug: return "\033[36m";          // cyan
  case log_level::info: return "\033[32m";           // green
  case log_level::warning: return "\033[33m\033[1m"; // yellow, bold
  default: return "\033[31m\033[1m";                 // red, bold
  }
}

/// Texts may quote what peers sent: this keeps a line one line, and a terminal safe from escape sequences.
std::string formatted(const line& given) {
  static auto& pattern =
      *new spdlog::pattern_formatter("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v", spdlog::pattern_time_type::local, "\n");
  static const bool in_color = spdlog::details::os::in_terminal(stderr) && spdlog::details::os::is_color_terminal();
  std::string text = given.kind + ": ";
  append_escaped(text, given.text);
  const spdlog::details::log_msg message(given.time, {}, "actnet", to_spdlog(given.level), text);
  spdlog::memory_buf_t buffer;
  pattern.format(message, buffer);
  std::string whole(buffer.data(), buffer.size());
  if (in_color && message.color_range_end > message.color_range_start) {
    whole.insert(message.color_range_end, "\033[m");
    whole.insert(message.color_range_start, color_of(given.level));
  }
  return whole;
}

/// Whatever is on the other side, and whoever else writes there: a pipe that poll(2) calls ready takes PIPE_BUF bytes
/// (pipe(7)). What cannot be written is lost.
void write_to_standard_error(std::string_view text, waiting how) {
  while (!text.empty()) {
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    const int found = ::poll(&ready, 1, how == waiting::endless ? -1 : 0);
    if (found == 0)
      return;
    const auto count =
        found < 0 ? -1 : ::write(STDERR_FILENO, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (count >= 0)
      text.remove_prefix(static_cast<std::size_t>(count));
    else if (errno != EINTR && errno != EAGAIN)
      return;
  }
}

bool has_room_at_standard_error() noexcept {
  pollfd ready{STDERR_FILENO, POLLOUT, 0};
  return ::poll(&ready, 1, 0) > 0;
}

/// With the sinks' lock held.
void call(const log_sink& sink, log_level level, std::string_view kind, std::string_view text) {
  struct mark {
    mark() { inside_sink = true; }
    ~mark() { inside_sink = false; }
  } const inside;
  sink(level, kind, text);
}

void deliver(log_state& shared, const line& given, waiting how) noexcept {
  try {
    if (given.level == log_level::off)
      return write_to_standard_error(given.text, how);
    {
      const std::lock_guard sinks(shared.sink_mutex);
      if (shared.sink)
        return call(shared.sink, given.level, given.kind, given.text);
    }
    write_to_standard_error(formatted(given), how);
  } catch (...) { // the promise of the header: the line is lost
  }
}

// -- the queue ---------------------------------------------------------------------------------------

/// With the lock held, as the following ones.
void push(log_state& shared, line made) {
  const auto cost = made.cost();
  shared.queue.push_back(std::move(made));
  shared.queue_bytes += cost;
}

void tell_dropped(log_state& shared) {
  if (const auto count = std::exchange(shared.dropped, 0); count > 0)
    push(shared, {log_level::warning, spdlog::log_clock::now(), "log",
                  std::to_string(count) + " lines were dropped, for they came faster than they were taken"});
}

line pop(log_state& shared) {
  auto next = std::move(shared.queue.front());
  shared.queue.pop_front();
  shared.queue_bytes -= next.cost();
  if (shared.queue.empty())
    tell_dropped(shared);
  return next;
}

/// The log's thread.
void take_lines(log_state& shared) noexcept {
  std::unique_lock lock(shared.mutex);
  for (;;) {
    shared.queued.wait(lock, [&] { return !shared.queue.empty(); });
    shared.writing = true;
    {
      const auto next = pop(shared);
      lock.unlock();
      deliver(shared, next, waiting::endless);
    }
    lock.lock();
    shared.writing = false;
    if (shared.queue.empty())
      shared.taken.notify_all();
  }
}

bool have_thread(log_state& shared) {
  if (shared.has_thread)
    return true;
  shared.has_thread = threads().start("actnet.log", [&shared] { take_lines(shared); }).has_value();
  if (!shared.has_thread)
    return false;
  [[maybe_unused]] static const bool once = [] {
    std::atexit([] { flush_log(log_patience); });
    return true;
  }();
  return true;
}

void enqueue(log_state& shared, line made) {
  std::unique_lock lock(shared.mutex);
  if (shared.queue_bytes >= (shared.dropped > 0 ? log_queue_bytes_max / 2 : log_queue_bytes_max)) {
    ++shared.dropped;
    return;
  }
  tell_dropped(shared);
  push(shared, std::move(made));
  if (have_thread(shared)) {
    shared.queued.notify_one();
    return;
  }
  while (!shared.queue.empty())
    deliver(shared, pop(shared), waiting::none);
}

/// To where the sink in force wants it.
void submit(log_state& shared, log_level level, std::string_view kind, std::string_view text) {
  if (shared.direct.load()) {
    const std::lock_guard sinks(shared.sink_mutex);
    if (shared.sink.is_direct())
      return call(shared.sink, level, kind, text);
  }
  enqueue(shared, {level, spdlog::log_clock::now(), std::string(kind), std::string(text)});
}

// -- the rate limit ----------------------------------------------------------------------------------

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

// -- for everybody -----------------------------------------------------------------------------------

constinit std::atomic<log_level> detail::least_log_level = log_level::info;

void set_log_level(log_level least) noexcept {
  detail::least_log_level.store(least, std::memory_order_relaxed);
}

log_sink set_log_sink(log_sink sink) {
  log_state& shared = state();
  flush_log(log_patience);
  const std::scoped_lock both(shared.sink_mutex, shared.mutex); // a fork(2) finds no half of it
  shared.direct = sink.is_direct();
  shared.has_sink = static_cast<bool>(sink);
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
    submit(state(), level, kind, text);
  } catch (...) { // the promise of the header: the line is lost
  }
}

void log_limited(log_level level, std::string_view kind, std::string_view text, unsigned lines_per_second) noexcept {
  if (!log_enabled(level) || inside_sink)
    return;
  try {
    log_state& shared = state();
    std::uint64_t suppressed = 0;
    {
      const std::lock_guard lock(shared.mutex);
      const time_point now = shared.source->coarse_now();
      limit& counted = limit_of(shared, level, kind, now);
      if (!admit(counted, now, lines_per_second))
        return;
      suppressed = std::exchange(counted.suppressed, 0);
    }
    if (suppressed == 0)
      return submit(shared, level, kind, text);
    submit(shared, level, kind,
           std::string(text) + " (suppressed before: " + std::to_string(suppressed) + " of this kind)");
  } catch (...) { // as above
  }
}

void say(std::string_view text) noexcept {
  try {
    enqueue(state(), {log_level::off, {}, {}, std::string(text)});
  } catch (...) { // as above
  }
}

bool flush_log(std::chrono::milliseconds patience) noexcept {
  if (inside_sink)
    return false;
  log_state& shared = state();
  std::unique_lock lock(shared.mutex);
  const auto all_taken = [&] { return shared.queue.empty() && !shared.writing; };
  auto excuse = patience.count() > 0 ? busy_patience : std::chrono::milliseconds{0};
  while (!all_taken()) {
    auto& left = excuse.count() > 0 && !shared.has_sink && has_room_at_standard_error() ? excuse : patience;
    if (left.count() <= 0)
      return false;
    const auto step = std::min(left, std::chrono::milliseconds{10});
    shared.taken.wait_for(lock, step, all_taken);
    left -= step;
  }
  return true;
}

bool start_log_thread() noexcept {
  try {
    log_state& shared = state();
    const std::lock_guard lock(shared.mutex);
    return have_thread(shared);
  } catch (...) {
    return false;
  }
}

} // namespace actnet::net
