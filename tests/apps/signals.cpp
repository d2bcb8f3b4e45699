// Whole programs and what befalls them from outside: stuck actors at the end, storms of signals, few descriptors.
#include "apps/programs.hpp"

#include "support/baseline.hpp"

#include <sys/syscall.h>

#include <atomic>
#include <chrono>
#include <stop_token>
#include <thread>

using namespace actnet::test;
using namespace std::chrono_literals;
using stream = process::stream;

namespace {

/// A program with an actor that holds `loop` for ever, once it does.
process stuck_program(int loop, std::chrono::milliseconds drain_deadline) {
  return process(
      {.argv = {ACTNET_TEST_PROGRAMS_DIR "/stuck", std::to_string(loop), std::to_string(drain_deadline.count())}});
}

/// Whether a signal to the whole process waits to be taken (ShdPnd, proc(5)). A second one of its kind would be lost.
bool is_pending(const process& program, int number) {
  std::ifstream status("/proc/" + std::to_string(program.id()) + "/status");
  for (std::string word; status >> word;)
    if (std::uint64_t set; word == "ShdPnd:" && status >> std::hex >> set)
      return (set >> (number - 1) & 1) != 0;
  throw std::runtime_error("no ShdPnd");
}

enum class aimed_at { process, its_threads };

/// Sends it to one of the program's threads, in turn.
void send_to_thread(const process& program, std::size_t turn, int number) {
  std::vector<pid_t> threads;
  for (const auto& each : std::filesystem::directory_iterator("/proc/" + std::to_string(program.id()) + "/task"))
    threads.push_back(std::stoi(each.path().filename()));
  ::syscall(SYS_tgkill, program.id(), threads[turn % threads.size()], number);
}

/// A thread that sends a program signals in turn.
class signal_storm {
 public:
  signal_storm(process& target, std::vector<int> numbers, std::chrono::milliseconds interval,
               aimed_at whom = aimed_at::process)
      : thread_([this, &target, numbers = std::move(numbers), interval, whom](const std::stop_token& over) {
          while (!over.stop_requested()) {
            const auto turn = sent_++;
            const auto number = numbers[turn % numbers.size()];
            if (whom == aimed_at::process)
              target.send_signal(number);
            else
              send_to_thread(target, turn / numbers.size(), number);
            if (interval > 0ms)
              ::poll(nullptr, 0, static_cast<int>(interval.count()));
          }
          target.send_signal(SIGCONT); // the last one may have stopped it
        }) {}

  std::size_t sent() const { return sent_; }

 private:
  std::atomic<std::size_t> sent_{0};
  std::jthread thread_;
};

process readme_echo() {
  return process({.argv = {readme_program("echo")}});
}

/// A client of an echo server that checks every byte.
class echo_client {
 public:
  explicit echo_client(std::uint16_t port, std::uint64_t seed) : peer_(port), out_(seed), back_(seed) {}

  void say(std::size_t size) {
    peer_.send_all(out_.bytes(size, said_));
    said_ += size;
  }

  /// Whether all that was said came back unchanged.
  bool hears_all() { return back_.feed(peer_.read_exactly(static_cast<std::size_t>(said_ - back_.offset()))); }

  /// Whether nothing came beyond that.
  bool ends_well() {
    peer_.finish();
    return peer_.read_to_end().empty();
  }

 private:
  peer peer_;
  position_stream out_;
  position_checker back_;
  std::uint64_t said_ = 0;
};

/// Where a program says what it says on stderr: read line by line, and then not any more.
class neglected_errors {
 public:
  neglected_errors() : path_(folder_ / "errors") {
    ::mkfifo(path_.c_str(), 0600);
    read_.reset(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }

  /// `argv` with its stderr here.
  std::vector<std::string> of(std::vector<std::string> argv) const { return redirected("2>" + path_, std::move(argv)); }

  /// Reads until there is a line with `begin` in it; returns what follows there.
  std::string await_line(const std::string& begin) {
    std::string found;
    REQUIRE(eventually([&] {
      char buffer[4096];
      if (const auto count = ::read(read_.fd(), buffer, sizeof buffer); count > 0)
        text_.append(buffer, static_cast<std::size_t>(count));
      const auto at = text_.find(begin);
      const auto end = at == text_.npos ? at : text_.find('\n', at);
      if (end == text_.npos)
        return false;
      found = text_.substr(at + begin.size(), end - at - begin.size());
      return true;
    }));
    return found;
  }

  /// From now on nobody reads, and there is no room.
  void neglect() {
    const descriptor write{::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)};
    for (const std::string dots(4096, '.'); ::write(write.fd(), dots.data(), dots.size()) > 0;) {
    }
  }

 private:
  scratch_folder folder_;
  std::string path_;
  descriptor read_;
  std::string text_;
};

} // namespace

TEST_CASE("a program goes on and ends in good order while nobody reads what it says on stderr", "[signals]") {
  baseline before;
  const scratch_folder folder;
  const auto settings = folder.file("settings.toml", "[listener]\nmax_per_address = 1\n");
  neglected_errors errors;
  process server({.argv = errors.of({app("echo_server"), "--config-file=" + settings, "127.0.0.1:0"}), .input = ""});
  const auto port = static_cast<std::uint16_t>(std::stoul(errors.await_line("listening on 127.0.0.1:")));
  errors.neglect();
  echo_client client(port, 1);
  client.say(1'000);
  REQUIRE(client.hears_all());
  for (int i = 0; i < 3; ++i) {
    peer refused(port); // which is logged
    CHECK(refused.await_end() == ending::reset);
    server.send_signal(SIGUSR1);
    REQUIRE(eventually([&] { return !is_pending(server, SIGUSR1); }));
    client.say(1'000);
    REQUIRE(client.hears_all());
  }
  CHECK(client.ends_well());
  server.send_signal(SIGTERM);
  CHECK(server.wait() == exit_status{0, 0});
}

TEST_CASE("a second signal ends a stuck program also while nobody reads what it says on stderr", "[signals]") {
  baseline before;
  neglected_errors errors;
  process program({.argv = errors.of({ACTNET_TEST_PROGRAMS_DIR "/stuck", "0", "3600000"})});
  errors.await_line("stuck");
  errors.neglect();
  program.send_signal(SIGTERM);
  REQUIRE(eventually([&] { return !is_pending(program, SIGTERM); }));
  program.send_signal(SIGTERM);
  CHECK(program.wait() == exit_status{128 + SIGTERM, 0});
}

TEST_CASE("one signal ends a program also when a loop is stuck, with a last word after the drain deadline",
          "[signals]") {
  const auto loop = GENERATE(0, 1); // the main actor's own, and another
  const auto promised = 300ms + 1s;
  baseline before;
  auto program = stuck_program(loop, 300ms);
  program.wait_for_line(stream::err, "^stuck$");
  const auto asked = std::chrono::steady_clock::now();
  program.send_signal(SIGTERM);
  CHECK(program.wait(10 * promised) == exit_status{1, 0});
  CHECK(std::chrono::steady_clock::now() - asked >= promised);
  program.wait_for_line(stream::err, "shutdown: [1-9][0-9]* actors are still alive; leaving without them$");
}

TEST_CASE("a second signal ends a program also when a loop is stuck", "[signals]") {
  struct row {
    int loop;
    int first;
    int second;
  };
  const auto r =
      GENERATE(row{0, SIGTERM, SIGTERM}, row{0, SIGTERM, SIGINT}, row{1, SIGINT, SIGTERM}, row{0, SIGHUP, SIGTERM});
  baseline before;
  auto program = stuck_program(r.loop, 1h);
  program.wait_for_line(stream::err, "^stuck$");
  program.send_signal(r.first);
  REQUIRE(eventually([&] { return !is_pending(program, r.first); }));
  program.send_signal(r.second);
  CHECK(program.wait() == exit_status{128 + r.second, 0});
  program.wait_for_line(stream::err, "shutdown: [1-9][0-9]* actors are still alive; leaving without them$");
}

TEST_CASE("a terminal that goes ends a program in good order, also when that is told twice", "[signals]") {
  baseline before;
  auto server = readme_echo();
  const auto port = port_of(server);
  echo_client client(port, 1);
  for (int i = 0; i < 2; ++i) {
    client.say(1'000);
    REQUIRE(client.hears_all());
    server.send_signal(SIGHUP);
    REQUIRE(eventually([&] { return !listens(port) && !is_pending(server, SIGHUP); }));
  }
  client.say(1'000);
  REQUIRE(client.hears_all());
  CHECK(client.ends_well());
  CHECK(server.wait() == exit_status{0, 0});
}

TEST_CASE("a program that was started to outlive its terminal does, as by nohup", "[signals]") {
  baseline before;
  process server({.argv = {"sh", "-c", "trap '' HUP; exec \"$0\"", readme_program("echo")}, .input = ""});
  echo_client client(port_of(server), 1);
  for (int i = 0; i < 3; ++i) {
    server.send_signal(SIGHUP);
    client.say(1'000);
    REQUIRE(client.hears_all());
  }
  CHECK(client.ends_well());
  server.send_signal(SIGTERM);
  CHECK(server.wait() == exit_status{0, 0});
}

TEST_CASE("signals that mean nothing to a program cost it nothing, be they ever so many", "[signals]") {
  const auto whom = GENERATE(aimed_at::process, aimed_at::its_threads);
  baseline before;
  auto server = readme_echo();
  const auto port = port_of(server);
  std::vector<echo_client> clients;
  for (std::uint64_t seed = 1; seed <= 8; ++seed)
    clients.emplace_back(port, seed);
  {
    // To stop and to continue interrupts system calls as a handler would; SIGRTMIN is heard, and means nothing either.
    const signal_storm storm(server, {SIGPIPE, SIGCHLD, SIGWINCH, SIGSTOP, SIGCONT, SIGURG, SIGRTMIN}, 1ms, whom);
    while (storm.sent() < 1'000) {
      for (auto& client : clients)
        client.say(20'000);
      for (auto& client : clients)
        REQUIRE(client.hears_all());
    }
  }
  for (auto& client : clients)
    CHECK(client.ends_well());
  server.send_signal(SIGTERM);
  CHECK(server.wait() == exit_status{0, 0});
}

TEST_CASE("a storm of signals to end ends a program in good order", "[signals]") {
  baseline before;
  for (int round = 0; round < 20; ++round) {
    auto server = readme_echo();
    echo_client client(port_of(server), 1);
    client.say(1'000);
    REQUIRE(client.hears_all());
    const signal_storm storm(server, {SIGTERM}, round % 4 == 0 ? 1ms : 0ms);
    const auto end = server.wait();
    CAPTURE(end.code, end.signal, server.output(stream::err));
    CHECK(end.signal == 0);
    CHECK((end.code == 0 || end.code == 143));
  }
}

TEST_CASE("SIGUSR1 prints what listens and is bound, with its connections and what went through", "[signals]") {
  const scratch_folder folder;
  const auto path = "unix:" + (folder / "echo");
  baseline before;
  process server({.argv = {app("echo_server"), "127.0.0.1:0", path, "udp://127.0.0.1:0"}, .input = ""});
  const auto port = port_of(server);
  const auto udp = server.wait_for_line(stream::err, "listening on (udp://127\\.0\\.0\\.1:([0-9]+))$");
  echo_client one(port, 1), other(port, 2);
  for (auto client : {&one, &other}) {
    client->say(10'000);
    REQUIRE(client->hears_all());
  }
  udp_peer asker;
  asker.send_to(static_cast<std::uint16_t>(std::stoul(udp[2])), "hello");
  CHECK(asker.receive().payload == "hello");
  const auto told_of = [&](const std::string& id) { // in a tree of its own
    server.send_signal(SIGUSR1);
    return server.wait_for_line(stream::err, "^main/" + id + " +(.*)$").at(1);
  };
  const auto of_tcp = "running, 0 restarts, listening on " + at_port(port) + ", ";
  CHECK(told_of("127.0.0.1:0") == of_tcp + "2 connections of 2 accepted, received 20000 bytes, sent 20000 bytes");
  CHECK(one.ends_well());
  CHECK(eventually([&] {
    return told_of("127.0.0.1:0") == of_tcp + "1 connection of 2 accepted, received 20000 bytes, sent 20000 bytes";
  }));
  CHECK(told_of(path) ==
        "running, 0 restarts, listening on " + path + ", 0 connections of 0 accepted, received 0 bytes, sent 0 bytes");
  CHECK(told_of("udp://127.0.0.1:0") ==
        "running, 0 restarts, " + udp[1] + ", received 1 datagram of 5 bytes, sent 1 datagram of 5 bytes");
  server.send_signal(SIGTERM);
  CHECK(other.ends_well());
  CHECK(server.wait() == exit_status{0, 0});
}

TEST_CASE("SIGUSR1 prints supervisors with their children, and how often each was started again", "[signals]") {
  baseline before;
  process server({.argv = {ACTNET_TEST_PROGRAMS_DIR "/nested"}, .input = ""});
  const auto port = port_of(server);
  peer client(port);
  client.send_all("fail");
  server.wait_for_line(stream::err, "main/office/clerk ended: .*; it is started again$");
  const auto expected = "main               running, 0 restarts\n"
                        "main/office        running, 0 restarts\n"
                        "main/office/clerk  running, 1 restart\n"
                        "main/office/door   running, 0 restarts, listening on " +
                        at_port(port) + ", 1 connection of 1 accepted, received 4 bytes, sent 0 bytes\n";
  CHECK(eventually([&] {
    server.send_signal(SIGUSR1);
    server.wait_for_line(stream::err, "^main/office/door ");
    return server.output(stream::err).ends_with(expected);
  }));
  server.send_signal(SIGTERM);
  client.close();
  CHECK(server.wait() == exit_status{0, 0});
}

TEST_CASE("a program takes as many descriptors as it may, not as few as it was started with", "[signals]") {
  constexpr int clients = 100;
  baseline before;
  process server({.argv = {"sh", "-c", "ulimit -Sn 64; exec \"$0\" -k 127.0.0.1:0", app("tcp_server")},
                  .input = "",
                  .environment = {{"ACTNET_LOG", "debug"}}});
  server.wait_for_line(stream::err, "debug start: raised the limit of open files from 64 to [0-9]+$");
  const auto port = port_of(server);
  std::vector<peer> all;
  for (int i = 0; i < clients; ++i) {
    all.emplace_back(port);
    all.back().send_all("here\n");
  }
  CHECK(eventually([&] { return server.output().size() == clients * std::string_view{"here\n"}.size(); }));
  const auto said = server.output(stream::err);
  CHECK(said.find("open files") == said.rfind("open files"));
  all.clear();
  server.send_signal(SIGTERM);
  CHECK(server.wait() == exit_status{0, 0});
}
