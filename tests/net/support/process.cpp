#include "support/process.hpp"

#include "support/baseline.hpp"
#include "support/catch.hpp"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

using namespace actnet::test;
using namespace std::chrono_literals;
using stream = process::stream;

TEST_CASE("a program gets its input and both outputs are captured", "[support]") {
  baseline before;
  process program({.argv = {"sh", "-c", "cat; echo problem >&2; exit 3"}, .input = "one\ntwo"});
  CHECK(program.wait() == exit_status{3, 0});
  CHECK(program.output() == "one\ntwo");
  CHECK(program.output(stream::err) == "problem\n");
  CHECK_FALSE(program.is_running());
}

TEST_CASE("more bytes than any pipe holds pass both ways", "[support]") {
  baseline before;
  const std::string text(3'000'000, 'x');
  process program({.argv = {"cat"}, .input = text});
  CHECK(program.wait() == exit_status{0, 0});
  CHECK(program.output() == text);
}

TEST_CASE("input can come bit by bit and lines are waited for", "[support]") {
  baseline before;
  process program({.argv = {"cat"}});
  program.write_input("skipped\nlistening on 127.0.0.1:4711\n");
  CHECK(program.wait_for_line(stream::out, "on ([^ ]+):([0-9]+)$") ==
        std::vector<std::string>{"on 127.0.0.1:4711", "127.0.0.1", "4711"});
  CHECK_THROWS_AS(program.wait_for_line(stream::out, "skipped", 20ms), std::runtime_error);
  program.write_input("half");
  CHECK_THROWS_AS(program.wait_for_line(stream::out, "half", 20ms), std::runtime_error);
  program.close_input();
  CHECK(program.wait_for_line(stream::out, "half") == std::vector<std::string>{"half"});
  CHECK(program.wait() == exit_status{0, 0});
  CHECK_THROWS_AS(program.wait_for_line(stream::out, "more", 1h), std::runtime_error);
  CHECK_THROWS_AS(program.wait_for_line(stream::out, "(", 1h), std::invalid_argument);
}

TEST_CASE("input comes from a file", "[support]") {
  char path[] = "/tmp/actnet-process-XXXXXX";
  baseline before;
  ::close(::mkstemp(path));
  std::ofstream(path) << "from a file";
  process program({.argv = {"cat"}, .input_file = path});
  CHECK(program.wait() == exit_status{0, 0});
  CHECK(program.output() == "from a file");
  ::unlink(path);
}

TEST_CASE("variables are added and replaced", "[support]") {
  ::setenv("ACTNET_TEST_OLD", "old", 1);
  process program({.argv = {"sh", "-c", "echo $ACTNET_TEST_OLD $ACTNET_TEST_NEW $HOME"},
                   .environment = {{"ACTNET_TEST_OLD", "replaced"}, {"ACTNET_TEST_NEW", "new"}, {"HOME", "/nowhere"}}});
  ::unsetenv("ACTNET_TEST_OLD");
  CHECK(program.wait() == exit_status{0, 0});
  CHECK(program.output() == "replaced new /nowhere\n");
}

TEST_CASE("a program has no descriptors but its three streams", "[support]") {
  baseline before;
  const auto inherited = ::dup(STDERR_FILENO); // without FD_CLOEXEC, as some callers leave theirs
  process program(
      {.argv = {"sh", "-c", "for n in 0 1 2 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$n ] || echo $n; done"}, .input = ""});
  CHECK(program.wait() == exit_status{0, 0});
  CHECK(program.output() == "0\n1\n2\n");
  ::close(inherited);
}

TEST_CASE("a signal ends a program and is its status", "[support]") {
  baseline before;
  process program({.argv = {"sleep", "1000"}});
  CHECK_THROWS_AS(program.wait(10ms), std::runtime_error);
  CHECK(program.is_running());
  program.send_signal(SIGTERM);
  CHECK(program.wait() == exit_status{0, SIGTERM});
  program.send_signal(SIGTERM);
}

TEST_CASE("signals that this process blocks or ignores reach a program", "[support]") {
  sigset_t blocked;
  sigset_t mask_before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &mask_before);
  const auto handler_before = ::signal(SIGINT, SIG_IGN);
  for (const auto number : {SIGTERM, SIGINT}) {
    process program({.argv = {"sleep", "1000"}});
    program.send_signal(number);
    CHECK(program.wait() == exit_status{0, number});
  }
  ::signal(SIGINT, handler_before);
  ::pthread_sigmask(SIG_SETMASK, &mask_before, nullptr);
}

TEST_CASE("a program that runs on is killed with its children, and nothing is left", "[support]") {
  baseline before;
  pid_t child = 0;
  {
    process program({.argv = {"sh", "-c", "trap '' TERM; sleep 1000 & echo $!; wait; wait"}});
    child = std::stoi(program.wait_for_line(stream::out, "[0-9]+")[0]);
    CHECK(::kill(child, 0) == 0);
  }
  // The child's own parent is gone: whoever adopted it reaps it.
  CHECK(eventually([&] {
    std::string state;
    std::ifstream status("/proc/" + std::to_string(child) + "/stat");
    return !std::getline(status, state) || state.find(") Z ") != std::string::npos;
  }));
}

TEST_CASE("a program that reads nothing does not harm its parent", "[support]") {
  baseline before;
  process program({.argv = {"true"}, .input = std::string(1'000'000, 'x')});
  CHECK(program.wait() == exit_status{0, 0});
}

TEST_CASE("a program that is not there is an error and leaves nothing", "[support]") {
  baseline before;
  CHECK_THROWS_AS(process({.argv = {"/no/such/program"}}), std::runtime_error);
  CHECK_THROWS_AS(process({.argv = {}}), std::runtime_error);
  CHECK_THROWS_AS(process({.argv = {"cat"}, .input_file = "/no/such/file"}), std::runtime_error);
}
