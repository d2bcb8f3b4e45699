// Programs as `run_program` runs them, here within the test: the loops they get, their exit codes, signals.
#include "support/actor_world.hpp"
#include "support/standard_error.hpp"

#include "actnet/actors/run.hpp"
#include "actnet/net/processors.hpp"

#include <caf/scheduler/abstract_coordinator.hpp>

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <vector>

using namespace actnet;
using namespace actnet::test;

namespace {

/// A program in a thread of its own, which begins with a listener on a free port.
class running_program {
 public:
  running_program(run_options options, std::function<void(handler&)> listen)
      : thread_([this, options, listen] {
          exit_code_ = run_program(options, [&](main_actor& self) -> caf::behavior {
            listen(self);
            return {[this](const listening& l) { listening_.set_value(l.local.port()); }};
          });
        }) {
    port_ = listening_.get_future().get();
  }
  ~running_program() {
    if (thread_.joinable())
      (void)end();
  }

  std::uint16_t port() const { return port_; }

  /// As SIGTERM does. Returns the exit code.
  int end() {
    pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
    return exit_code_;
  }

 private:
  std::promise<std::uint16_t> listening_;
  std::uint16_t port_ = 0;
  int exit_code_ = -1;
  std::thread thread_;
};

/// What a test and its handlers share.
struct latch {
  std::chrono::milliseconds at_least{0};
  std::atomic<bool> open{false};
  std::atomic<bool> somebody_holds{false};
};

/// Says where it lives and who it is, or holds its loop until the latch is open.
class sluggish final : public handler {
 public:
  sluggish(caf::actor_config& cfg, connection c, latch* until) : handler(cfg), peer_(std::move(c)), until_(until) {}

  caf::behavior make_behavior() override {
    return {[this](const stream::received& r) {
      if (r.payload.view() == "hold")
        hold();
      char thread[16];
      pthread_getname_np(pthread_self(), thread, sizeof thread);
      peer_.write(std::string{thread} + " sluggish#" + std::to_string(id()) + "\n");
    }};
  }

 private:
  void hold() {
    const auto earliest = std::chrono::steady_clock::now() + until_->at_least;
    until_->somebody_holds = true;
    while (!until_->open || std::chrono::steady_clock::now() < earliest)
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    until_->somebody_holds = false;
  }

  connection peer_;
  latch* until_;
};

/// Sends, and takes the answer apart: the thread and the handler.
std::pair<std::string, std::string> ask(peer& server, std::string_view question) {
  server.send_all(question);
  std::string line;
  while (!line.ends_with('\n'))
    line += server.read_exactly(1);
  const auto space = line.find(' ');
  return {line.substr(0, space), line.substr(space + 1, line.size() - space - 2)};
}

std::size_t alarms_about(const captured_log& log, const std::string& who) {
  const auto all = log.lines.lines();
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const std::string& line) {
    return line.starts_with("turn-alarm: a turn of ") && line.ends_with(who);
  }));
}

struct signal_state {
  signal_state() {
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    struct sigaction action {};
    sigaction(SIGPIPE, nullptr, &action);
    ignores_pipe = action.sa_handler == SIG_IGN;
  }
  bool blocks(int number) const { return sigismember(&blocked, number) == 1; }

  sigset_t blocked{};
  bool ignores_pipe = false;
};

/// Calls off a client of its own, and ends the program when that is done.
class calls_off final : public handler {
 public:
  calls_off(caf::actor_config& cfg, std::string remote, connect_options options, journal_ptr log)
      : handler(cfg), remote_(std::move(remote)), options_(std::move(options)), log_(std::move(log)) {
    join_program();
  }
  caf::behavior make_behavior() override {
    connect_to(remote_, options_).start().request(this, cancel_connect{}).then([this](caf::ok_atom) {
      log_->add("the handler goes on");
      stop_program();
    });
    return {[](int) {}};
  }

 private:
  std::string remote_;
  connect_options options_;
  journal_ptr log_;
};

run_options named_test() {
  run_options options;
  options.program = "test";
  options.settings.loops.count = 1;
  return options;
}

} // namespace

TEST_CASE("a handler that holds its loop beyond the alarm is named in the log, and the other loop goes on", "[run]") {
  const auto alarm = GENERATE(10ms, 0ms); // the latter: none
  const baseline before;
  const captured_log log;
  const unlimited_log every_line;
  latch until{.at_least = 50ms};
  auto options = named_test();
  options.settings.loops.count = 2;
  options.settings.loops.turn_alarm = alarm;
  running_program program{options, [&](handler& self) { self.listen("127.0.0.1:0").each<sluggish>(&until); }};
  peer one{program.port()}, two{program.port()};
  const auto [thread, name] = ask(one, "who?");
  const auto [other_thread, other_name] = ask(two, "who?");
  REQUIRE(thread != other_thread);
  one.send_all("hold");
  REQUIRE(eventually([&] { return until.somebody_holds.load(); }));
  for (int i = 0; i < 100; ++i)
    REQUIRE(ask(two, "who?").second == other_name);
  CHECK(until.somebody_holds);
  until.open = true;
  CHECK(ask(one, "").second == name);
  INFO(log.lines.text());
  CHECK((alarms_about(log, "::" + name) > 0) == (alarm > 0ms));
  one.close();
  two.close();
  CHECK(program.end() == 0);
}

TEST_CASE("while a handler blocks its loop for a second, the connections of another are answered at once",
          "[run]") { // F31
  const baseline before;
  const captured_log log;
  const unlimited_log every_line;
  latch until{.at_least = 1s, .open{true}};
  auto options = named_test();
  options.settings.loops.count = 2;
  running_program program{options, [&](handler& self) { self.listen("127.0.0.1:0").each<sluggish>(&until); }};
  peer one{program.port()};
  const auto [thread, name] = ask(one, "who?");
  std::vector<peer> others;
  for (int i = 0; i < 8; ++i) {
    others.emplace_back(program.port());
    if (ask(others.back(), "who?").first == thread)
      others.pop_back();
  }
  REQUIRE(others.size() == 4);
  one.send_all("hold");
  REQUIRE(eventually([&] { return until.somebody_holds.load(); }));
  std::vector<std::chrono::steady_clock::duration> took;
  while (until.somebody_holds) {
    const auto began = std::chrono::steady_clock::now();
    ask(others[took.size() % others.size()], "who?");
    took.push_back(std::chrono::steady_clock::now() - began);
  }
  CHECK(ask(one, "").second == name);
  std::sort(took.begin(), took.end());
  REQUIRE(took.size() >= 20);
  CHECK(took[took.size() * 99 / 100] < 500ms); // 50 ms on a machine that does nothing else
  INFO(log.lines.text());
  CHECK(alarms_about(log, "::" + name) > 0);
  one.close();
  others.clear();
  CHECK(program.end() == 0);
}

TEST_CASE("a program that opens nothing is over, and its caller's signals are as they were", "[run]") {
  const baseline left_over;
  const signal_state before;
  signal_state during;
  std::uint64_t loops_made = 0;
  auto options = named_test();
  options.settings.loops.count = 3;
  CHECK(run_program(options, [&](main_actor& self) -> caf::behavior {
          during = signal_state{};
          loops_made = loops::of(self.system()).size();
          return {};
        }) == 0);
  const signal_state after;
  CHECK(loops_made == 3);
  for (const auto number : {SIGINT, SIGTERM}) {
    CHECK(during.blocks(number));
    CHECK(after.blocks(number) == before.blocks(number));
  }
  CHECK(during.ignores_pipe);
  CHECK(after.ignores_pipe == before.ignores_pipe);
}

TEST_CASE("a program that calls off its own connects goes on, and so does a handler of it", "[run]") {
  const auto address = listening_peer{each_carrier()}.address(); // where nobody listens
  auto options = named_test();
  auto settings = options.settings.client;
  settings.reconnect = backoff_options{1h, 1h, 0, 1h};
  const auto log = make_journal();
  captured_log errors;
  CHECK(run_program(options, [&](main_actor& self) -> caf::behavior {
          self.listen("127.0.0.1:0").start();                                    // what the program goes on for
          connect_to(self.system(), address, settings).start().cancel_connect(); // of nobody
          self.connect_to(address, settings).start().request(&self, cancel_connect{}).then([=, &self](caf::ok_atom) {
            log->add("the main actor goes on");
            self.spawn<calls_off>(address, settings, log);
          });
          return {[](const listening&) {}};
        }) == 0);
  CHECK(log->lines() == std::vector<std::string>{"the main actor goes on", "the handler goes on"});
  CHECK(errors.lines.text().find("cancelled") == std::string::npos);
}

TEST_CASE("CAF's scheduler has a thread for each processor, or as many as the settings say", "[run]") {
  const std::size_t wanted = GENERATE(0, 1, 5);
  std::size_t made = 0;
  auto options = named_test();
  options.settings.scheduler_threads = wanted;
  CHECK(run_program(options, [&](main_actor& self) -> caf::behavior {
          made = self.system().scheduler().num_workers();
          return {};
        }) == 0);
  CHECK(made == (wanted != 0 ? wanted : net::usable_processors()));
}

TEST_CASE("what a program forks gets back the signals and the limit of open files that the program began with",
          "[run]") {
  rlimit files{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
  const auto low = rlimit{files.rlim_max - 1, files.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  const signal_state before;
  int differs = -1;
  CHECK(run_program(named_test(), [&](main_actor&) -> caf::behavior { // in the thread of a loop
          const auto child = ::fork();
          if (child == 0) {
            const signal_state there;
            rlimit its{};
            ::getrlimit(RLIMIT_NOFILE, &its);
            int different = its.rlim_cur != low.rlim_cur;
            different |= 2 * (there.ignores_pipe != before.ignores_pipe);
            for (const auto number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2})
              different |= 4 * (there.blocks(number) != before.blocks(number));
            ::_exit(different);
          }
          int status = 0;
          ::waitpid(child, &status, 0);
          differs = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
          return {};
        }) == 0);
  CHECK(differs == 0);
  ::setrlimit(RLIMIT_NOFILE, &files);
}

TEST_CASE("when a signal has ended a program, later ones do not end its caller", "[run]") {
  const baseline before;
  int exit_code = -1;
  std::optional<signal_state> after;
  std::thread{[&] {
    exit_code = run_program(named_test(), [caller = pthread_self()](main_actor&) -> caf::behavior {
      pthread_kill(caller, SIGTERM);
      return {[](int) {}}; // something to wait for
    });
    pthread_kill(pthread_self(), SIGTERM);
    after.emplace();
  }}.join();
  CHECK(exit_code == 0);
  REQUIRE(after);
  CHECK(after->blocks(SIGINT));
  CHECK(after->blocks(SIGTERM));
}

TEST_CASE("a main function that throws ends the program with what it says", "[run]") {
  const baseline before;
  captured_log quiet;
  int exit_code = -1;
  const auto said = standard_error_of([&] {
    exit_code = run_program(named_test(), [](main_actor&) -> caf::behavior { throw std::runtime_error{"as ordered"}; });
  });
  CHECK(exit_code == 1);
  CHECK(said == "test: as ordered\n");
}
