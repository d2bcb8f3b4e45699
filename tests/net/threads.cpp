// The factory of threads: names, signals, and what it says when there are none to be had.
#include "actnet/net/threads.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <iterator>
#include <string>

#include "support/baseline.hpp"
#include "support/catch.hpp"
#include "support/faulty_threads.hpp"

using namespace actnet::net;
using actnet::test::baseline;
using actnet::test::few_threads;

TEST_CASE("a thread has its name, hears no signal, and its maker hears what it heard before", "[threads]") {
  const baseline before;
  sigset_t mask_before, mask_after, mask_there;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask_before);
  char name[16] = "";
  auto begun = start_thread("a name that is too long", [&] {
    pthread_sigmask(SIG_SETMASK, nullptr, &mask_there);
    pthread_getname_np(pthread_self(), name, sizeof name);
  });
  REQUIRE(begun);
  (*begun)->join();
  pthread_sigmask(SIG_SETMASK, nullptr, &mask_after);
  CHECK(std::string{name} == "a name that is ");
  for (const auto number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGCHLD}) {
    CHECK(sigismember(&mask_there, number) == 1);
    CHECK(sigismember(&mask_after, number) == sigismember(&mask_before, number));
  }
  for (const auto number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF})
    CHECK(sigismember(&mask_there, number) == 0);
}

TEST_CASE("what a thread of the library forks hears signals as the thread's maker does", "[threads]") {
  const baseline before;
  int heard = -1;
  auto begun = start_thread("forking", [&] {
    const auto child = ::fork();
    if (child == 0) {
      sigset_t mask;
      pthread_sigmask(SIG_SETMASK, nullptr, &mask);
      ::_exit(sigismember(&mask, SIGTERM) == 0 && sigismember(&mask, SIGUSR2) == 0 ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    heard = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  });
  REQUIRE(begun);
  (*begun)->join();
  CHECK(heard == 0);
}

TEST_CASE("where no thread is to be had, that is the error, and the work is not begun", "[threads]") {
  const baseline before;
  const few_threads none(0);
  bool ran = false;
  const auto begun = start_thread("none", [&] { ran = true; });
  REQUIRE_FALSE(begun);
  CHECK(begun.error() == errc::no_thread);
  CHECK(begun.error().message() == "no more threads can be had");
  CHECK_FALSE(ran);
}

TEST_CASE("it is proven that a number of threads can be had at once, and they are gone afterwards", "[threads]") {
  const baseline before;
  const auto threads_now = [] {
    return std::distance(std::filesystem::directory_iterator{"/proc/self/task"}, std::filesystem::directory_iterator{});
  };
  const auto count = threads_now();
  CHECK(prove_threads(0));
  CHECK(prove_threads(20));
  CHECK(threads_now() <= count);
  const few_threads some(5);
  const auto refused = prove_threads(6);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == errc::no_thread);
  CHECK(threads_now() <= count);
}
