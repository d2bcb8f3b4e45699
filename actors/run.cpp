#include "actnet/actors/run.hpp"

#include "actnet/actors/config_file.hpp"
#include "actnet/net/codec/framing.hpp"
#include "actnet/net/log.hpp"
#include "actnet/net/processors.hpp"
#include "actnet/net/socket/system_calls.hpp"
#include "actnet/net/threads.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_registry.hpp>
#include <caf/send.hpp>

#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <mutex>
#include <stdexcept>

namespace actnet {

namespace {

using std::chrono::steady_clock;

/// What the actors get beyond the drain deadline, or after a second signal, before the process exits without them.
constexpr std::chrono::milliseconds last_patience{1'000};

/// ACTNET_LOG names the least level that is logged; without it, it is `otherwise`.
void choose_log_level(net::log_level otherwise) {
  net::set_log_level(otherwise);
  const auto wanted = std::getenv("ACTNET_LOG");
  if (!wanted)
    return;
  using net::log_level;
  constexpr std::pair<std::string_view, log_level> levels[]{{"debug", log_level::debug},
                                                            {"info", log_level::info},
                                                            {"warning", log_level::warning},
                                                            {"error", log_level::error},
                                                            {"off", log_level::off}};
  for (const auto& [name, level] : levels)
    if (name == wanted)
      return net::set_log_level(level);
  net::log(log_level::warning, "start", "ACTNET_LOG is none of debug, info, warning, error, off");
}

/// What a child of fork(2) gets back, so that a program that it executes begins as if it had been started by whoever
/// started this one. A child reads it in a place where little is allowed (pthread_atfork(3)): plain and static.
struct given_back {
  sigset_t mask{};
  struct sigaction broken_pipe {};
  rlimit files{};
  std::atomic<bool> has_signals = false;
  std::atomic<bool> has_files = false;
};
given_back children_get;

void give_back_to_children() {
  [[maybe_unused]] static const int once = pthread_atfork(nullptr, nullptr, [] {
    if (children_get.has_signals) {
      sigaction(SIGPIPE, &children_get.broken_pipe, nullptr);
      pthread_sigmask(SIG_SETMASK, &children_get.mask, nullptr);
    }
    if (children_get.has_files)
      ::setrlimit(RLIMIT_NOFILE, &children_get.files);
  });
}

void raise_file_limit() {
  rlimit limit{};
  if (net::sys().getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
    return;
  const auto before = limit.rlim_cur;
  children_get.files = limit;
  limit.rlim_cur = limit.rlim_max;
  children_get.has_files = net::sys().setrlimit(RLIMIT_NOFILE, &limit) == 0;
  if (!children_get.has_files)
    net::log(net::log_level::warning, "start", "the limit of open files stays at " + std::to_string(before));
  else if (net::log_enabled(net::log_level::debug))
    net::log(net::log_level::debug, "start",
             "raised the limit of open files from " + std::to_string(before) + " to " + std::to_string(limit.rlim_max));
}

/// Where a standard stream is closed, the first socket would take its number and get what is meant for the stream. What
/// takes its place fails as a closed one does.
void occupy_standard_descriptors() {
  for (const auto& [number, flags] :
       {std::pair{STDIN_FILENO, O_WRONLY}, {STDOUT_FILENO, O_RDONLY}, {STDERR_FILENO, O_WRONLY}})
    if (net::sys().fcntl(number, F_GETFD, 0) < 0)
      (void)net::sys().open("/dev/null", flags); // the lowest free number
}

/// The signals that tell a program to end.
constexpr auto orders_to_end = {SIGINT, SIGTERM, SIGHUP};

/// Blocked from before the actor system exists, so that every thread inherits it. `woken` is how the main actor's end
/// reaches the waiting thread.
class signals {
 public:
  signals() {
    sigemptyset(&set_);
    for (const auto number : orders_to_end)
      sigaddset(&set_, number);
    for (const auto number : {SIGUSR1, woken()})
      sigaddset(&set_, number);
    struct sigaction hang_up {};
    sigaction(SIGHUP, nullptr, &hang_up);
    if (hang_up.sa_handler == SIG_IGN)
      sigdelset(&set_, SIGHUP); // as nohup has it; a signal that is waited for is heard although it is ignored
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, &pipe_before_);
    children_get.mask = before_;
    children_get.broken_pipe = pipe_before_;
    children_get.has_signals = true;
    give_back_to_children();
  }
  ~signals() {
    children_get.has_signals = false;
    // What came too late to be heard would end the process once it is let through, and so would what is still to come:
    // a program that was told to end is on its way.
    const timespec at_once{};
    while (take(&at_once) > 0) {
    }
    if (told_to_end_)
      for (const auto number : orders_to_end)
        sigaddset(&before_, number);
    sigaction(SIGPIPE, &pipe_before_, nullptr);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

  static int woken() { return SIGRTMIN; }

  /// The next signal, or 0 when `until` has passed.
  int wait(steady_clock::time_point until) {
    for (;;) {
      const auto left = until - steady_clock::now();
      if (left.count() <= 0)
        return 0;
      const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
      const timespec time{static_cast<time_t>(std::min<std::int64_t>(whole.count(), 1 << 30)),
                          static_cast<long>(std::chrono::nanoseconds{left - whole}.count())};
      if (const auto number = take(&time); number > 0)
        return number;
    }
  }

 private:
  int take(const timespec* within) {
    const auto number = sigtimedwait(&set_, nullptr, within);
    told_to_end_ = told_to_end_ || std::count(orders_to_end.begin(), orders_to_end.end(), number) > 0;
    return number;
  }

  sigset_t set_{};
  sigset_t before_{};
  struct sigaction pipe_before_ {};
  bool told_to_end_ = false;
};

/// What the main actor tells the thread that waits.
class outcome final : public program_outcome {
 public:
  void draining(std::chrono::milliseconds deadline) override {
    {
      std::lock_guard guard{mutex_};
      give_up_at_ = net::later(net::later(steady_clock::now(), deadline), last_patience);
    }
    wake();
  }
  void ended(int exit_code) override {
    {
      std::lock_guard guard{mutex_};
      exit_code_ = exit_code;
    }
    wake();
  }

  std::optional<int> exit_code() const {
    std::lock_guard guard{mutex_};
    return exit_code_;
  }
  steady_clock::time_point give_up_at() const {
    std::lock_guard guard{mutex_};
    return give_up_at_;
  }

 private:
  void wake() const { pthread_kill(waiting_, signals::woken()); }

  const pthread_t waiting_ = pthread_self();
  mutable std::mutex mutex_;
  std::optional<int> exit_code_;
  steady_clock::time_point give_up_at_ = steady_clock::time_point::max();
};

/// CAF's own destructor would wait for a stuck actor for ever. No wait here is without an end, be it for a lock that
/// others hold while they wait, or for whoever should read standard error.
[[noreturn]] void exit_without_them(caf::actor_system& system, int exit_code) {
  net::log(net::log_level::error, "shutdown",
           std::to_string(system.registry().running()) + " actors are still alive; leaving without them");
  net::flush_log(net::log_patience);
  ::_exit(exit_code);
}

/// Ends the process if it is not destroyed in time. It has its thread from the start: at the end of a program there may
/// be none to be had.
class last_word {
 public:
  last_word() {
    auto begun = net::start_thread("actnet.end", [this] { wait(); });
    if (!begun)
      throw std::runtime_error{begun.error().message()};
    thread_ = std::move(*begun);
  }
  ~last_word() {
    {
      std::lock_guard guard{mutex_};
      destroyed_ = true;
    }
    changed_.notify_one();
    thread_->join();
  }

  void expect_end(std::chrono::milliseconds patience, caf::actor_system& system, int exit_code) {
    {
      std::lock_guard guard{mutex_};
      give_up_at_ = steady_clock::now() + patience;
      system_ = &system;
      exit_code_ = exit_code;
    }
    changed_.notify_one();
  }

 private:
  void wait() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return destroyed_ || system_; });
    if (!changed_.wait_until(lock, give_up_at_, [this] { return destroyed_; }))
      exit_without_them(*system_, exit_code_);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool destroyed_ = false;
  steady_clock::time_point give_up_at_{};
  caf::actor_system* system_ = nullptr;
  int exit_code_ = 0;
  std::unique_ptr<net::running_thread> thread_;
};

/// Waits for the main actor, with an ear for signals. Returns the exit code.
int wait_for_end(signals& heard, const outcome& how, caf::actor_system& system, const caf::actor& main,
                 std::chrono::milliseconds drain_deadline) {
  bool stopping = false;
  std::optional<int> aborted_with;
  auto give_up_at = steady_clock::time_point::max();
  for (;;) {
    if (const auto code = how.exit_code())
      return aborted_with.value_or(*code);
    const auto number = heard.wait(std::min(give_up_at, how.give_up_at()));
    if (number == 0)
      exit_without_them(system, aborted_with.value_or(1));
    if (number == signals::woken())
      continue;
    if (number == SIGUSR1) {
      caf::anon_send(main, print_tree{});
      continue;
    }
    if (!std::exchange(stopping, true)) {
      // The main actor may be on a loop that is stuck, and never say that it drains.
      give_up_at = net::later(net::later(steady_clock::now(), drain_deadline), last_patience);
      caf::anon_send(main, program_stop{0, {}, {}});
    } else if (!aborted_with && number != SIGHUP) { // of a terminal that goes, kernel and shell may both tell
      aborted_with = 128 + number;
      give_up_at = steady_clock::now() + last_patience;
      caf::anon_send(main, program_abort{*aborted_with});
    }
  }
}

} // namespace

void detail::prepare_process(const settings& of) {
  occupy_standard_descriptors();
  net::start_log_thread();
  choose_log_level(of.log_level);
  raise_file_limit();
  give_back_to_children();
}

void detail::cannot_start(const std::string& program, const std::exception& why) {
  net::say(program + ": cannot start: " + why.what() + "\n");
  net::flush_log(net::log_patience);
  ::_exit(1); // this thread's logger of CAF has outlived its system, and would crash or hang at a normal end
}

void detail::configure(config& cfg, const settings& of) {
  cfg.settings = of;
  cfg.set("scheduler.policy", caf::atom("sharing")); // idle workers of the stealing policy would poll
  const auto threads = of.scheduler_threads != 0 ? of.scheduler_threads : net::usable_processors();
  cfg.set("scheduler.max-threads", static_cast<std::uint64_t>(threads));
  cfg.set("scheduler.max-throughput", std::uint64_t{300});
}

int run_program(run_options options, main_function fun) try {
  detail::prepare_process(options.settings);
  signals heard;
  outcome how;
  config cfg;
  detail::configure(cfg, options.settings);
  int exit_code;
  last_word watched;
  {
    caf::actor_system system{cfg};
    system.await_actors_before_shutdown(false);
    {
      // It enters itself into the registry.
      const auto drain_deadline = options.settings.drain_deadline;
      auto main = spawn_on<main_actor>(loops::of(system).at(0), options.program, options.settings, std::move(fun),
                                       static_cast<program_outcome&>(how));
      exit_code = wait_for_end(heard, how, system, main, drain_deadline);
      system.registry().erase(main_actor_name);
    }
    watched.expect_end(last_patience + std::chrono::seconds{2}, system, exit_code);
  }
  net::flush_log(net::log_patience);
  return exit_code;
} catch (const std::exception& mistake) { // no descriptors, no memory, no threads
  detail::cannot_start(options.program, mistake);
}

std::optional<int> parse_command_line(CLI::App& cli, int argc, char** argv) {
  try {
    cli.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << cli.help() << std::flush;
    return 0;
  } catch (const CLI::ParseError& mistake) {
    std::cerr << cli.get_name() + ": " + mistake.what() + " (try --help)\n" << std::flush;
    return 2;
  }
  return std::nullopt;
}

namespace {

std::string mistake_in(const std::string& text, std::initializer_list<net::transport> fit, const char* expected) {
  const auto parsed = net::endpoint::parse(text);
  if (!parsed)
    return parsed.error().message(text);
  if (std::find(fit.begin(), fit.end(), parsed->transport()) == fit.end())
    return "endpoint " + parsed->to_string() + " is not " + expected;
  return {};
}

} // namespace

std::string mistake_in_endpoint(const std::string& text) {
  using enum net::transport;
  return mistake_in(text, {tcp, udp, unix_stream, unix_datagram}, "");
}

std::string mistake_in_stream_endpoint(const std::string& text) {
  using enum net::transport;
  return mistake_in(text, {tcp, unix_stream}, "for streams: IP:PORT or unix:PATH is expected");
}

std::string mistake_in_tcp_endpoint(const std::string& text) {
  return mistake_in(text, {net::transport::tcp}, "TCP: IP:PORT is expected");
}

std::string mistake_in_frame_format(const std::string& text) {
  const auto parsed = net::framing::parse(text);
  return parsed ? std::string{} : parsed.error();
}

std::optional<int> detail::read_command_line(CLI::App* cli, int argc, char** argv, run_options& options) {
  if (options.program.empty())
    options.program = argc > 0 ? std::filesystem::path{argv[0]}.filename().string() : "program";
  CLI::App plain;
  auto& app = cli ? *cli : plain;
  if (app.get_name().empty())
    app.name(options.program);
  std::string file;
  const auto from_file =
      app.add_option("--config-file", file, "Read settings from this file (TOML)")->type_name("FILE");
  const auto done = parse_command_line(app, argc, argv);
  const auto wanted = from_file->count() > 0;
  app.remove_option(from_file); // `file` goes out of scope before `cli` does
  if (done)
    return done;
  if (wanted) {
    const auto mistakes = read_config_file(file, options.settings);
    for (const auto& mistake : mistakes)
      std::cerr << to_string(mistake) + "\n";
    if (!mistakes.empty())
      return EX_CONFIG;
  }
  if (options.command_line)
    options.command_line(options.settings);
  return std::nullopt;
}

int detail::run_with(CLI::App* cli, int argc, char** argv, main_function fun, run_options options) {
  if (const auto done = read_command_line(cli, argc, argv, options))
    return *done;
  return run_program(std::move(options), std::move(fun));
}

} // namespace actnet
