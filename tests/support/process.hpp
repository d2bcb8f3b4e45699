// Runs another program with text on its standard input and its output captured: the tests of whole programs, alone or
// against nc and socat.
#pragma once

#include "support/descriptor.hpp"
#include "support/eventually.hpp"

#include <sys/types.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace actnet::test {

/// How a program ended: by `signal` if that is not 0, else with `code`.
struct exit_status {
  int code = 0;
  int signal = 0;

  friend bool operator==(const exit_status&, const exit_status&) = default;
};

struct process_options {
  std::vector<std::string> argv;                   ///< The program comes first, found along PATH.
  std::optional<std::string> input = std::nullopt; ///< Written, then closed. Without it, `write_input` says what comes.
  std::string input_file = {};                     ///< Used in place of `input` when not empty.
  std::vector<std::pair<std::string, std::string>> environment = {}; ///< Added to this process's own, or replacing.
};

/// A running program in a process group of its own, with an empty signal mask. For a limit such as few descriptors run
/// it through `sh -c 'ulimit -n 20; exec ...'`. Every member may be called from any thread and throws
/// std::runtime_error, with what the program printed, when its deadline passes.
class process {
 public:
  enum class stream { out, err };

  /// Throws std::runtime_error when the program cannot be started.
  explicit process(process_options options);

  /// Kills the whole group and waits for the program.
  ~process();
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  pid_t id() const noexcept { return id_; }

  /// Appends to standard input; never blocks. What a program does not read is dropped when it closes its end.
  void write_input(std::string text);

  /// The program reads end-of-file after all that was written before.
  void close_input();

  /// To the program alone; nothing happens when it has ended.
  void send_signal(int number);

  bool is_running() const;

  /// Returns when the program has ended; what it printed is complete then, unless a child of it still holds the pipes
  /// when the deadline passes.
  exit_status wait(std::chrono::milliseconds deadline = default_deadline);

  /// All that was printed until now; on stderr without the turn alarms, which are the machine's when it is busy.
  std::string output(stream which = stream::out) const;

  /// The next line, after the one found last on this stream, that contains a match of `pattern` (extended regular
  /// expression, regex(7): `[0-9]`, not `\d`): the match and its groups. A line without line feed counts once the
  /// stream has ended. Throws early when the stream ends, and std::invalid_argument for a bad pattern.
  std::vector<std::string> wait_for_line(stream which, const std::string& pattern,
                                         std::chrono::milliseconds deadline = default_deadline);

 private:
  struct captured {
    descriptor pipe;
    std::string text;
    std::size_t searched = 0;
    bool ended = false;
  };

  void spawn(const process_options& options, int input, int output, int errors);
  void pump();
  bool write_some_input();
  void read_some_output(captured& from);
  void await_end();
  [[noreturn]] void give_up(const std::string& what) const;
  captured& at(stream which) { return captured_[static_cast<std::size_t>(which)]; }

  std::string name_;
  pid_t id_ = -1;
  descriptor wake_up_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  descriptor input_;
  std::string pending_input_;
  bool input_complete_ = false;
  bool stopping_ = false;
  std::array<captured, 2> captured_;
  std::optional<exit_status> status_;

  std::thread pump_thread_;
  std::thread reaper_thread_;
};

} // namespace actnet::test
