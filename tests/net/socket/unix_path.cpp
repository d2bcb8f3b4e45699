// Whose a Unix path is: taken over from the dead, left to the living, gone with its socket.
#include "actnet/net/socket/unix_path.hpp"

#include "actnet/net/error.hpp"
#include "net/socket/stale_path.hpp"
#include "support/baseline.hpp"
#include "support/descriptor.hpp"
#include "support/faulty_system_calls.hpp"
#include "support/peer.hpp"
#include "support/scratch_folder.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

using namespace actnet::net;
using namespace actnet::test;
namespace fs = std::filesystem;

namespace {

unsigned mode_of(const std::string& path) {
  struct stat about {};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  return about.st_mode & 07777;
}

/// What `ask` answers in a process of its own, as a user without rights if we are root.
template <class Ask>
errc without_rights(Ask ask) {
  const auto child = ::fork();
  if (child == 0) {
    constexpr uid_t nobody = 65'534;
    if (::geteuid() == 0 && (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0))
      ::_exit(255);
    ::_exit(static_cast<int>(ask()));
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) != 255);
  return static_cast<errc>(WEXITSTATUS(status));
}

class with_umask {
 public:
  explicit with_umask(mode_t bits) : before_(::umask(bits)) {}
  ~with_umask() { ::umask(before_); }

 private:
  mode_t before_;
};

} // namespace

TEST_CASE("a path on which nobody answers is taken over", "[unix]") {
  const auto kind = GENERATE(transport::unix_stream, transport::unix_datagram);
  const auto left_by = GENERATE(SOCK_STREAM, SOCK_DGRAM);
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  leave_behind(path, left_by);
  CHECK(open_error(at(path, kind)) == errc::none);
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("a path on which somebody answers, or that is no socket, stays and is in use", "[unix]") {
  const auto kind = GENERATE(transport::unix_stream, transport::unix_datagram);
  baseline before;
  const scratch_folder folder;
  const auto stream = folder / "stream", datagrams = folder / "datagrams", link = folder / "link";
  auto listener = listen_on(endpoint::unix_stream(stream));
  auto bound = datagrams_on(endpoint::unix_datagram(datagrams));
  leave_behind(folder / "dead");
  fs::create_symlink(folder / "dead", link);
  fs::create_directory(folder / "folder");
  for (const auto& path : {stream, datagrams, folder.file("file", "content"), link, folder / "folder"}) {
    INFO(path);
    CHECK(open_error(at(path, kind)) == errc::address_in_use);
    CHECK(fs::exists(fs::symlink_status(path)));
  }
  CHECK(fs::exists(folder / "dead"));
}

TEST_CASE("whoever looks whether a path is held takes no accept of its server", "[unix]") {
  const auto kind = GENERATE(SOCK_STREAM, SOCK_SEQPACKET);
  const auto ours = GENERATE(transport::unix_stream, transport::unix_datagram);
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  const descriptor server{::socket(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  bind_to(server, path);
  CHECK(open_error(at(path, ours)) == errc::address_in_use); // bound, but does not listen yet
  CHECK(fs::exists(path));
  REQUIRE(::listen(server.fd(), 1) == 0);
  CHECK(open_error(at(path, ours)) == errc::address_in_use);
  CHECK(::accept(server.fd(), nullptr, nullptr) == -1);
  CHECK(errno == EAGAIN);
}

TEST_CASE("a dead server's path is taken over also where nobody may list the folder", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  leave_behind(path);
  fs::permissions(path, fs::perms::all);
  fs::permissions(folder / "", fs::perms(::geteuid() == 0 ? 0333 : 0300));
  CHECK(without_rights([&] { return open_error(endpoint::unix_stream(path)); }) == errc::none);
  fs::permissions(folder / "", fs::perms::owner_all);
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("a link in the place of the new file is not followed when the file gets its mode", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  const auto victim = folder.file("victim", "content");
  const auto mode = mode_of(victim);
  struct link_after_bind final : system_calls {
    int lstat(const char* path, struct stat* about) noexcept override {
      const auto answer = system_calls::lstat(path, about);
      if (answer == 0 && std::string_view{path} == where) {
        fs::remove(where);
        fs::create_symlink(target, where);
      }
      return answer;
    }
    link_after_bind(std::string at, std::string to) : where(std::move(at)), target(std::move(to)) {}
    std::string where, target;
  } kernel(path, victim);
  const with_umask set(0077);
  {
    const replaced_system_calls replaced(kernel);
    listener_options options;
    options.path_mode = 0777;
    (void)listener_socket::open(endpoint::unix_stream(path), options);
  }
  CHECK(mode_of(victim) == mode);
}

TEST_CASE("without /proc a path gets its mode too, but in a folder where others may put something else in its place",
          "[unix]") {
  struct without_proc final : system_calls {
    int fchmodat(int folder, const char* path, mode_t mode, int flags) noexcept override {
      if (flags == 0)
        return system_calls::fchmodat(folder, path, mode, flags);
      errno = EOPNOTSUPP; // as glibc says it
      return -1;
    }
  } kernel;
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  const with_umask set(0077);
  const replaced_system_calls replaced(kernel);
  listener_options options;
  options.path_mode = 0660;
  for (const mode_t in : {0700, 0755, 01777}) {
    REQUIRE(::chmod(fs::path{path}.parent_path().c_str(), in) == 0);
    auto listener = listen_on(endpoint::unix_stream(path), options);
    CHECK(mode_of(path) == 0660);
  }
  for (const mode_t in : {0777, 0770}) {
    REQUIRE(::chmod(fs::path{path}.parent_path().c_str(), in) == 0);
    const auto refused = listener_socket::open(endpoint::unix_stream(path), options);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == errc::not_supported);
    CHECK_FALSE(fs::exists(path));
  }
}

TEST_CASE("a full backlog is an answer", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto where = endpoint::unix_stream(folder / "socket");
  listener_options options;
  options.backlog = 0;
  auto listener = listen_on(where, options);
  auto waiting = connect_to(where);
  CHECK(stream_socket::begin_connect(where, std::nullopt, {}).error() == errc::would_block);
  CHECK(open_error(where) == errc::address_in_use);
}

TEST_CASE("the file goes with its socket, wherever that was moved, and stays when the descriptor is given away",
          "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  const auto where = endpoint::unix_stream(path);
  {
    auto first = listen_on(where);
    auto second = std::move(first);
    first = listener_socket{};
    CHECK(fs::exists(path));
    listener_socket third;
    third = std::move(second);
    CHECK(fs::exists(path));
    third.close();
    CHECK_FALSE(fs::exists(path));
  }
  auto giver = listen_on(where);
  const descriptor given{giver.release()};
  giver.close();
  CHECK(fs::exists(path));
  CHECK(listener_socket::adopt(::dup(given.fd())));
  CHECK(fs::exists(path)); // an adopted one's file is not ours
}

TEST_CASE("what somebody else has put there by now is left alone", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "socket";
  auto first = listen_on(endpoint::unix_stream(path));
  fs::rename(path, folder / "elsewhere");
  auto second = listen_on(endpoint::unix_stream(path));
  first.close();
  CHECK(fs::exists(path));
  auto client = connect_to(endpoint::unix_stream(path));
}

TEST_CASE("the file has the mode that was asked for, whatever the umask, or what the umask leaves", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto stream = folder / "stream", datagrams = folder / "datagrams";
  for (const mode_t umask : {0000, 0022, 0777}) {
    const with_umask set(umask);
    for (const mode_t mode : {0600, 0660, 0666, 0777}) {
      listener_options options;
      options.path_mode = mode;
      auto listener = listen_on(endpoint::unix_stream(stream), options);
      CHECK(mode_of(stream) == mode);
      auto opened = datagram_socket::open(endpoint::unix_datagram(datagrams), {}, mode);
      REQUIRE(opened);
      CHECK(mode_of(datagrams) == mode);
    }
    auto listener = listen_on(endpoint::unix_stream(stream));
    CHECK(mode_of(stream) == (0777 & ~umask));
  }
}

TEST_CASE("a folder that is missing, and one without permission, are told apart", "[unix]") {
  baseline before;
  const scratch_folder folder;
  CHECK(open_error(endpoint::unix_stream(folder / "none/socket")) == errc::no_such_path);
  CHECK(open_error(endpoint::unix_stream(folder.file("file", "") + "/socket")) == errc::no_such_path);
  CHECK(open_error(endpoint::unix_stream(std::string(109, 'x'))) == errc::invalid_argument);
  CHECK(is_unlocked(folder));
}

TEST_CASE("without the right to write in the folder no path is bound and none is taken over", "[unix]") {
  const auto kind = GENERATE(transport::unix_stream, transport::unix_datagram);
  baseline before;
  const scratch_folder folder;
  const auto fresh = folder / "fresh", left = folder / "left";
  leave_behind(left);
  fs::permissions(left, fs::perms::all); // who may connect sees that it is stale
  const auto error_at = [&](const std::string& path) {
    return without_rights([&] { return open_error(at(path, kind)); });
  };
  const auto read_only = fs::perms(0555);
  fs::permissions(folder / "", read_only);
  CHECK(error_at(fresh) == errc::permission_denied);
  CHECK(error_at(left) == errc::address_in_use);
  if (::geteuid() == 0) {
    fs::permissions(folder / "", fs::perms::owner_all);
    CHECK(error_at(fresh) == errc::permission_denied);
    fs::permissions(folder / "", fs::perms(01777)); // where everybody may write, each has files of his own
    CHECK(error_at(fresh) == errc::none);
    CHECK(error_at(left) == errc::address_in_use);
    fs::permissions(left, fs::perms::owner_all);
    CHECK(error_at(left) == errc::address_in_use); // who may not connect cannot know
  }
  fs::permissions(folder / "", fs::perms::owner_all);
  CHECK(fs::exists(left));
  CHECK_FALSE(fs::exists(fresh));
}

TEST_CASE("a listener that fails after it was bound leaves no file", "[unix]") {
  baseline before;
  const scratch_folder folder;
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  kernel.fail(call::listen, EADDRINUSE);
  CHECK(open_error(endpoint::unix_stream(folder / "socket")) == errc::address_in_use);
  CHECK_FALSE(fs::exists(folder / "socket"));
  CHECK(is_unlocked(folder));
}

TEST_CASE("a stream that connects from a path owns it as long as it lives", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto here = endpoint::unix_stream(folder / "here");
  leave_behind(here.path());
  auto listener = listen_on(endpoint::unix_stream(folder / "there"));
  const auto connect_from_here = [&] { return stream_socket::begin_connect(*listener.local_endpoint(), here, {}); };
  auto first = connect_from_here();
  REQUIRE(first);
  CHECK(listener.accept()->peer == here);
  CHECK(connect_from_here().error() == errc::address_in_use);
  CHECK(fs::exists(here.path()));
  first->socket.close();
  CHECK_FALSE(fs::exists(here.path()));
  CHECK(connect_from_here());
}

TEST_CASE("abstract and unnamed sockets have no file", "[unix]") {
  baseline before;
  const scratch_folder folder;
  const auto name = endpoint::unix_stream(unix_name("path"));
  auto listener = listen_on(name);
  CHECK(open_error(name) == errc::address_in_use);
  auto unnamed = datagrams_on(endpoint::unix_datagram(""));
  CHECK(unnamed.local_endpoint()->is_abstract()); // the kernel's choice
}

TEST_CASE("a Unix stream knows who is at its other end", "[unix]") {
  baseline before;
  auto listener = listen_on(endpoint::unix_stream(unix_name("credentials")));
  auto [client, server] = connect_through(listener);
  const peer_credentials me{::getpid(), ::geteuid(), ::getegid()};
  CHECK(*client.credentials() == me);
  CHECK(*server.credentials() == me);
  auto tcp = listen_on(endpoint::tcp(ip_address::loopback_v4(), 0));
  auto [one, other] = connect_through(tcp);
  CHECK(one.credentials().error() == errc::not_supported);
}

TEST_CASE("descriptors that a Unix peer attaches are closed when its bytes are read", "[unix]") { // F33
  const auto kind = GENERATE(SOCK_STREAM, SOCK_DGRAM);
  baseline before;
  int ends[2];
  int tube[2];
  REQUIRE(::socketpair(AF_UNIX, kind | SOCK_CLOEXEC, 0, ends) == 0);
  REQUIRE(::pipe2(tube, O_CLOEXEC | O_NONBLOCK) == 0);
  const descriptor theirs{ends[0]}, watched{tube[0]};
  {
    descriptor attached{tube[1]};
    attach(theirs.fd(), attached.fd(), "x");
  }
  char end = 0;
  CHECK(::read(watched.fd(), &end, 1) == -1); // it is on its way: nobody has closed it yet
  std::byte buffer[16];
  if (kind == SOCK_STREAM) {
    auto ours = stream_socket::adopt(ends[1]);
    REQUIRE(ours);
    CHECK(*ours->receive(buffer) == 1);
    CHECK(::read(watched.fd(), &end, 1) == 0);
  } else {
    auto ours = datagram_socket::adopt(ends[1]);
    REQUIRE(ours);
    CHECK(ours->receive(buffer)->size == 1);
    CHECK(::read(watched.fd(), &end, 1) == 0);
  }
}
