// Who opens Unix paths at the same time: one of them gets a dead server's, nobody waits, and no stranger is in the way.
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

TEST_CASE("a lock that somebody has on the folder keeps nobody from a dead server's path", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  leave_behind(path);
  const descriptor lock{::open((folder / "").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  REQUIRE(::flock(lock.fd(), LOCK_EX) == 0);
  CHECK(open_error(endpoint::unix_stream(path)) == errc::none);
}

TEST_CASE("while another server of this user takes a path it is in use, and what that one left locks nobody out",
          "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  leave_behind(path);
  descriptor lock{::open(lock_of(path).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  REQUIRE(::flock(lock.fd(), LOCK_EX) == 0);
  CHECK(open_error(endpoint::unix_stream(path)) == errc::address_in_use);
  CHECK(open_error(endpoint::unix_stream(folder / "new")) == errc::none); // nothing is in the way
  lock.reset();
  CHECK(open_error(endpoint::unix_stream(path)) == errc::none);
  CHECK(is_unlocked(folder));
}

TEST_CASE("what another user has put in the lock's place is no lock", "[unix]") {
  if (::geteuid() != 0)
    return;
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  leave_behind(path);
  descriptor lock;
  SECTION("a file that he has locked") {
    lock = descriptor{::open(lock_of(path).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)};
    REQUIRE(::fchown(lock.fd(), 65'534, 65'534) == 0);
    REQUIRE(::flock(lock.fd(), LOCK_EX) == 0);
  }
  SECTION("a link") {
    fs::create_symlink(folder.file("file", "content"), lock_of(path));
  }
  SECTION("a pipe that nobody reads") {
    REQUIRE(::mkfifo(lock_of(path).c_str(), 0666) == 0);
  }
  CHECK(open_error(endpoint::unix_stream(path)) == errc::none);
  CHECK_FALSE(is_unlocked(folder)); // it is not ours to take away
}

TEST_CASE("the lock goes with whoever made it, and the next one makes another", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  leave_behind(path);
  struct unlinked_by_its_owner final : system_calls { // when it has been opened here, and before it is locked
    int flock(int fd, int operation) noexcept override {
      if (tries++ == 0)
        fs::remove(lock_of(of));
      return system_calls::flock(fd, operation);
    }
    explicit unlinked_by_its_owner(std::string path) : of(std::move(path)) {}
    std::string of;
    int tries = 0;
  } kernel(path);
  const replaced_system_calls replaced(kernel);
  CHECK(open_error(endpoint::unix_stream(path)) == errc::none);
  CHECK(kernel.tries == 2);
  CHECK(is_unlocked(folder));
}

TEST_CASE("the lock is there while a dead server's path is taken, and no longer", "[unix]") {
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
