// Who opens Unix paths at the same time: one of them gets a dead server's, and the folder's lock is held no longer than
// it takes.
#include "actnet/net/socket/unix_path.hpp"

#include "actnet/net/socket/system_calls.hpp"
#include "net/socket/stale_path.hpp"
#include "support/baseline.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace actnet::net;
using namespace actnet::test;
namespace fs = std::filesystem;

namespace {

/// A kernel in which something happens before a probe gets its answer.
struct while_probed final : system_calls {
  explicit while_probed(std::function<void()> event) : happen(std::move(event)) {}
  int connect(int fd, const sockaddr* address, socklen_t size) noexcept override {
    const auto answer = system_calls::connect(fd, address, size);
    const auto number = errno;
    happen();
    errno = number;
    return answer;
  }
  std::function<void()> happen;
};

} // namespace

TEST_CASE("a server that takes the place of a dead one while that is being looked at keeps its path", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  leave_behind(path);
  listener_socket other;
  while_probed kernel([&] { // somebody without our lock
    if (other)
      return;
    fs::rename(path, folder / "old");
    other = std::move(*listener_socket::open(endpoint::unix_stream(path), {}));
  });
  const replaced_system_calls replaced(kernel);
  CHECK(open_error(endpoint::unix_stream(path)) == errc::address_in_use);
  CHECK(fs::exists(path));
}

TEST_CASE("of many that begin at once on a dead server's path exactly one gets it", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  for (int round = 0; round < 50; ++round) {
    leave_behind(path);
    std::atomic<int> ready{0}, opened{0}, ended{0};
    std::vector<std::thread> starters;
    for (int i = 0; i < 4; ++i)
      starters.emplace_back([&] {
        ++ready;
        while (ready < 4)
          std::this_thread::yield();
        const auto mine = listener_socket::open(endpoint::unix_stream(path), {});
        opened += mine.has_value();
        ++ended;
        while (ended < 4) // nobody leaves before all have tried
          std::this_thread::yield();
      });
    for (auto& each : starters)
      each.join();
    REQUIRE(opened == 1);
    REQUIRE_FALSE(fs::exists(path));
  }
}

TEST_CASE("of many processes that begin at once on a dead server's path exactly one gets it", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  const auto kind = GENERATE(transport::unix_stream, transport::unix_datagram);
  leave_behind(path);
  for (int round = 0; round < 10; ++round) { // who got it leaves it behind in turn
    int begin[2], outcomes[2], leave[2];
    for (auto* each : {begin, outcomes, leave})
      REQUIRE(::pipe2(each, O_CLOEXEC) == 0);
    // Returns when the parent has closed its end, which all children see at once.
    const auto await_end_of = [](int(&ends)[2]) {
      ::close(ends[1]);
      char none;
      return ::read(ends[0], &none, 1);
    };
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      children.push_back(::fork());
      if (children.back() == 0) {
        (void)await_end_of(begin);
        std::optional<result<listener_socket>> listener;
        std::optional<result<datagram_socket>> bound;
        if (kind == transport::unix_stream)
          listener.emplace(listener_socket::open(at(path, kind), {}));
        else
          bound.emplace(datagram_socket::open(at(path, kind), {}));
        const char outcome = (listener && *listener) || (bound && *bound) ? '1' : '0';
        const auto told = ::write(outcomes[1], &outcome, 1);
        (void)await_end_of(leave); // nobody leaves before all have tried
        ::_exit(told == 1 ? 0 : 1);
      }
    }
    ::close(begin[0]);
    ::close(begin[1]);
    std::string told(children.size(), '?');
    for (auto& each : told)
      CHECK(::read(outcomes[0], &each, 1) == 1);
    CHECK(std::count(told.begin(), told.end(), '1') == 1);
    CHECK(std::count(told.begin(), told.end(), '0') == 3);
    for (const auto fd : {outcomes[0], outcomes[1], leave[0], leave[1]})
      ::close(fd);
    for (const auto child : children)
      CHECK(::waitpid(child, nullptr, 0) == child);
  }
}

TEST_CASE("while somebody else holds the folder's lock, a dead server's path is not touched", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  leave_behind(path);
  {
    const descriptor lock{::open((folder / "").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    REQUIRE(::flock(lock.fd(), LOCK_EX) == 0);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(open_error(endpoint::unix_stream(path)) == errc::address_in_use);
    const auto waited = std::chrono::steady_clock::now() - begin;
    CHECK(waited >= std::chrono::milliseconds{90});
    CHECK(waited < std::chrono::seconds{5});                                // 100 ms, on a busy machine
    CHECK(open_error(endpoint::unix_stream(folder / "new")) == errc::none); // nothing is in the way
  }
  CHECK(open_error(endpoint::unix_stream(path)) == errc::none);
}

TEST_CASE("who waits for the folder's lock gets the path when it is let go in time", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  leave_behind(path);
  descriptor lock{::open((folder / "").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  REQUIRE(::flock(lock.fd(), LOCK_EX) == 0);
  struct let_go final : system_calls { // at the third try
    int flock(int fd, int operation) noexcept override {
      if (++tries == 3)
        held.reset();
      return system_calls::flock(fd, operation);
    }
    explicit let_go(descriptor& what) : held(what) {}
    descriptor& held;
    int tries = 0;
  } kernel(lock);
  const replaced_system_calls replaced(kernel);
  CHECK(open_error(endpoint::unix_stream(path)) == errc::none);
  CHECK(kernel.tries == 3);
}

TEST_CASE("the folder's lock is held while a socket is opened, and no longer", "[unix]") {
  const auto kind = GENERATE(transport::unix_stream, transport::unix_datagram);
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  leave_behind(path);
  bool locked_then = false;
  while_probed kernel([&] { locked_then = !is_unlocked(folder); });
  const replaced_system_calls replaced(kernel);
  listener_socket listener;
  datagram_socket bound;
  if (kind == transport::unix_stream)
    listener = listen_on(at(path, kind));
  else
    bound = datagrams_on(at(path, kind));
  CHECK(locked_then);
  CHECK(is_unlocked(folder));
  CHECK(open_error(at(path, kind)) == errc::address_in_use);
  CHECK(is_unlocked(folder));
}
