// Programs of another user, who may have only so many threads: they begin, or say in one sentence that they cannot.
#include "apps/programs.hpp"

using namespace actnet::test;
using stream = process::stream;

namespace {

/// A user that nobody else is, so that nobody else's threads count.
constexpr const char* somebody = "64321";

std::vector<std::string> as_somebody(int threads, std::vector<std::string> argv) {
  argv.insert(argv.begin(), {"setpriv", "--reuid", somebody, "--regid", somebody, "--clear-groups", "prlimit",
                             "--nproc=" + std::to_string(threads), "--"});
  return argv;
}

} // namespace

TEST_CASE("a program that may have too few threads says so in one sentence and ends with 1", "[few_threads]") {
  if (process({.argv = as_somebody(100, {app("echo_server"), "--help"}), .input = ""}).wait().code != 0) {
    WARN("skipped: this needs to become another user (setpriv), who can read the programs");
    return;
  }
  const bool blocks = GENERATE(false, true);
  const int threads = GENERATE(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 100);
  CAPTURE(blocks, threads);
  process server(
      {.argv = as_somebody(threads, {app(blocks ? "inko_tcp_server" : "echo_server"), "127.0.0.1:0"}), .input = ""});
  bool begun = false;
  try {
    port_of(server);
    begun = true;
  } catch (const std::runtime_error&) { // it has ended
  }
  if (!begun) {
    CHECK(server.wait() == exit_status{1, 0});
    const auto said = server.output(stream::err);
    CAPTURE(said);
    CHECK(has_one_line(said));
    CHECK(said.find(": cannot start: no more threads can be had") != said.npos);
  } else if (!blocks) {
    server.send_signal(SIGTERM);
    CHECK(server.wait() == exit_status{0, 0});
  }
  if (threads == 1)
    CHECK_FALSE(begun);
  if (threads == 100 && std::thread::hardware_concurrency() <= 32)
    CHECK(begun);
}
