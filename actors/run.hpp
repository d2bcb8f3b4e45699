// A program made of actors, from the command line to the exit code.
#pragma once

#include "actnet/actors/loops.hpp"
#include "actnet/actors/main_actor.hpp"
#include "actnet/actors/settings.hpp"

#include <caf/behavior.hpp>

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace CLI {
class App;
}

namespace actnet {

struct run_options {
  std::string program;       ///< Its name in messages; empty: from the command line.
  actnet::settings settings; ///< The program's own defaults: what a configuration file says replaces them.
  /// Puts what the command line said into the settings, in place of what the file says. Empty: nothing of theirs.
  std::function<void(actnet::settings&)> command_line;
};

/// Runs `fun` in a main actor on the first loop and returns the exit code once the program is over.
///
/// The signals SIGINT, SIGTERM and SIGHUP are blocked in every thread and waited for: the first drains (all listeners
/// stop, then connections have until the drain deadline, then they are aborted) and ends with 0, a second one aborts
/// and ends with 130 or 143, unless it is a SIGHUP. Once one has come, the calling thread keeps them blocked: more of
/// them do not take the exit code away. A SIGHUP that was ignored from the start, as by nohup, stays ignored. SIGUSR1
/// prints the tree of supervisors on stderr. SIGPIPE is ignored. If actors are left over a second after the deadline,
/// or after a second signal, they are logged and the process exits at once. The soft limit of open files is raised to
/// the hard one. A standard stream that is closed stays unusable: no socket gets its number.
///
/// A child of fork(2) begins with the signal mask, SIGPIPE and limit of open files that the program was started with.
/// posix_spawn(3), system(3) and popen(3) know nothing of that: what they start has SIGINT, SIGTERM and SIGHUP blocked
/// and SIGPIPE ignored, unless posix_spawnattr_setsigmask and posix_spawnattr_setsigdefault say otherwise.
///
/// Whoever reads standard error, or does not, holds nothing up: see net/log.hpp.
int run_program(run_options options, main_function fun);

/// Reads the command line by `cli` first: `--help` prints the help and answers 0, a mistake prints one line and answers
/// 2. Returns nothing if the program is to go on.
std::optional<int> parse_command_line(CLI::App& cli, int argc, char** argv);

/// For `CLI::Option::check`: what is wrong with `text` as an endpoint, as one for streams, and as one for TCP; empty if
/// nothing is.
std::string mistake_in_endpoint(const std::string& text);
std::string mistake_in_stream_endpoint(const std::string& text);
std::string mistake_in_tcp_endpoint(const std::string& text);

/// The same for the name of a frame format (see `net::framing::parse`).
std::string mistake_in_frame_format(const std::string& text);

namespace detail {

int run_with(CLI::App* cli, int argc, char** argv, main_function fun, run_options options);

/// The command line and the configuration file go into `options`; an exit code if there is nothing more to do.
std::optional<int> read_command_line(CLI::App* cli, int argc, char** argv, run_options& options);

/// What a process needs before the first socket.
void prepare_process(const settings& of);

/// For CAF's scheduler. The loops run all else.
void configure(config& cfg, const settings& of);

/// Says why there is no actor system, and ends the process with 1.
[[noreturn]] void cannot_start(const std::string& program, const std::exception& why);

template <class F>
main_function as_main_function(F fun) {
  if constexpr (std::is_void_v<std::invoke_result_t<F, main_actor&>>)
    return [fun = std::move(fun)](main_actor& self) mutable -> caf::behavior {
      fun(self);
      return {};
    };
  else
    return fun;
}

} // namespace detail

/// A program without options of its own: `fun(main_actor&)` returns nothing, or a behaviour for the main actor. Every
/// program that comes this way has the option `--config-file=FILE`; with mistakes in FILE it prints them, a line each,
/// and answers 78 (EX_CONFIG, sysexits.h) before anything else is done.
template <class F>
int run(int argc, char** argv, F fun, run_options options = {}) {
  return detail::run_with(nullptr, argc, argv, detail::as_main_function(std::move(fun)), std::move(options));
}

/// A program whose options `cli` describes; they are read before `fun` runs.
template <class F>
int run(CLI::App& cli, int argc, char** argv, F fun, run_options options = {}) {
  return detail::run_with(&cli, argc, argv, detail::as_main_function(std::move(fun)), std::move(options));
}

} // namespace actnet
