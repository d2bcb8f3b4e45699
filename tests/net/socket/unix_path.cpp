// Whose a Unix path is: taken over from the dead, left to the living, gone with its socket.
#include "actnet/net/socket/unix_path.hpp"

#include "actnet/net/error.hpp"
#include "net/socket/loopback.hpp"
#include "support/baseline.hpp"
#include "support/descriptor.hpp"
#include "support/scratch_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <filesystem>
#include <thread>

using namespace actnet::net;
using namespace actnet::test;
namespace fs = std::filesystem;

namespace {

errc open_error(const endpoint& where) {
  if (where.transport() == transport::unix_datagram) {
    const auto opened = datagram_socket::open(where, {});
    return opened ? errc::none : static_cast<errc>(opened.error().value());
  }
  const auto opened = listener_socket::open(where, {});
  return opened ? errc::none : static_cast<errc>(opened.error().value());
}

/// A socket file that nobody answers on, as a killed server leaves it.
void leave_behind(const std::string& path, int type = SOCK_STREAM) {
  descriptor gone{::socket(AF_UNIX, type | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(gone.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

endpoint at(const std::string& path, transport kind) {
  return kind == transport::unix_stream ? endpoint::unix_stream(path) : endpoint::unix_datagram(path);
}

unsigned mode_of(const std::string& path) {
  struct stat about {};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  return about.st_mode & 07777;
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
  if (::geteuid() == 0)
    return; // who may everything
  fs::permissions(folder / "", fs::perms::owner_read | fs::perms::owner_exec);
  CHECK(open_error(endpoint::unix_stream(folder / "socket")) == errc::permission_denied);
  fs::permissions(folder / "", fs::perms::owner_all);
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
        while (ready < 4) {
        }
        const auto mine = listener_socket::open(endpoint::unix_stream(path), {});
        opened += mine.has_value();
        ++ended;
        while (ended < 4) { // nobody leaves before all have tried
        }
      });
    for (auto& each : starters)
      each.join();
    REQUIRE(opened == 1);
    REQUIRE_FALSE(fs::exists(path));
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
    CHECK(open_error(endpoint::unix_stream(path)) == errc::address_in_use); // after 100 ms
    CHECK(open_error(endpoint::unix_stream(folder / "new")) == errc::none); // nothing is in the way
  }
  CHECK(open_error(endpoint::unix_stream(path)) == errc::none);
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
    char byte = 'x';
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = attached.fd();
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    REQUIRE(::sendmsg(theirs.fd(), &message, 0) == 1);
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
